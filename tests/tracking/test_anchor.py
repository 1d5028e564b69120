"""A reference patch is found where it moved to, with an honest covariance."""

import math

import cv2
import numpy as np
import pytest

from molmo_point.geometry.depth_noise import D435
from molmo_point.tracking.anchor import align, find_again, is_best_place, shade, take_anchor
from molmo_point.tracking.tracked_view import TrackedView

AT = np.array([100.0, 80.0])
I2 = np.eye(2)


def view(gray, depth_m=None):
    return TrackedView(0, gray, depth_m, 300.0, D435, float(gray.mean()))


def texture(seed=0):
    noise = np.random.default_rng(seed).normal(size=(160, 200)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.0), None, 40, 200, cv2.NORM_MINMAX).astype(np.uint8)


def moved(gray, shift, linear=I2):
    matrix = np.concatenate([linear, (AT + shift - linear @ AT)[:, None]], axis=1)
    return cv2.warpAffine(gray, matrix, (200, 160), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("linear", [I2, np.array([[1.04, 0.0], [0.0, 0.97]]), np.array([[0.999, -0.04], [0.04, 0.999]])])
def test_shift_and_warp_are_found(linear):
    anchor = take_anchor(view(texture()), AT, math.nan)
    after, shift = view(moved(texture(), np.array([1.3, -0.8]), linear)), np.array([1.3, -0.8])
    match = align(anchor, after, AT, I2, 4.0 * I2)
    np.testing.assert_allclose(match.uv, AT + shift, atol=0.08)
    np.testing.assert_allclose(match.linear, linear, atol=0.016)
    assert match.similarity > 0.98 and np.sqrt(match.covariance_px2[0, 0]) < 0.6


def test_light_is_taken_out():
    anchor = take_anchor(view(texture()), AT, math.nan)
    dark = view((moved(texture(), np.array([0.6, 0.4])) * 0.6 + 10).astype(np.uint8))
    match = align(anchor, dark, AT, I2, 4.0 * I2)
    np.testing.assert_allclose(match.uv, AT + np.array([0.6, 0.4]), atol=0.08)
    assert match.similarity > 0.98 and abs(shade(anchor, dark, match.uv, match.linear)) < 8.0


def test_along_an_edge_nothing_is_known():
    gray = np.full((160, 200), 60, np.uint8)
    gray[:, 100:] = 180
    gray = cv2.GaussianBlur(gray, (0, 0), 1.0)
    anchor = take_anchor(view(gray), AT, math.nan)
    match = align(anchor, view(moved(gray, np.array([1.0, 0.0]))), AT, I2, 4.0 * I2)
    assert match.uv[0] - AT[0] == pytest.approx(1.0, abs=0.15)
    assert match.uv[1] - AT[1] == pytest.approx(0.0, abs=0.05)
    assert match.covariance_px2[0, 0] < 0.5 and match.covariance_px2[1, 1] == pytest.approx(4.0, rel=0.1)


def test_another_surface_does_not_count():
    depth_m = np.full((80, 100), 0.5, np.float32)
    depth_m[:, 54:] = 0.9
    background = texture(5)
    before, after = texture(), texture()
    before[:, 108:], after[:, 108:] = background[:, 108:], np.roll(background, 40, axis=0)[:, 108:]
    split = take_anchor(view(before, depth_m), AT, 0.5)
    blind = take_anchor(view(before), AT, math.nan)
    assert align(split, view(after, depth_m), AT, I2, I2).similarity > 0.98
    assert align(blind, view(after), AT, I2, I2).similarity < 0.9


def test_what_is_not_there_is_not_similar():
    anchor = take_anchor(view(texture(0)), AT, math.nan)
    match = align(anchor, view(texture(9)), AT, I2, 0.25 * I2)
    assert match.similarity < 0.5
    plain = take_anchor(view(np.full((160, 200), 90, np.uint8)), AT, math.nan)
    match = align(plain, view(texture(9)), AT, I2, 0.25 * I2)
    assert math.isnan(match.similarity) and np.array_equal(match.uv, AT)
    assert shade(plain, view(np.full((160, 200), 90, np.uint8)), AT, I2) == pytest.approx(0.0, abs=0.01)


def test_found_again_only_where_it_is_alone_and_at_its_depth():
    depth_m = np.full((80, 100), 0.5, np.float32)
    anchor = take_anchor(view(texture(), depth_m), AT, 0.5)
    after = view(moved(texture(), np.array([9.0, -5.0])), depth_m)
    found = find_again(anchor, after, AT, I2, 0.5, 0.5)
    assert found is not None
    np.testing.assert_allclose(found.uv, AT + np.array([9.0, -5.0]), atol=0.1)
    assert find_again(anchor, after, AT, I2, 0.6, 0.5) is None, "another depth"
    assert find_again(anchor, view(texture(4), depth_m), AT, I2, 0.5, 0.5) is None, "not there"
    assert find_again(anchor, after, AT + np.array([-60.0, 0.0]), I2, 0.5, 0.1) is None, "too far for the time"
    twice = after.gray.copy()
    twice[55:100, 60:100] = 0
    twice[40:110, 50:95] = twice[40:110, 95:140]
    assert find_again(anchor, view(twice, depth_m), AT + np.array([-12.0, -5.0]), I2, 0.5, 1.0) is None, "two of them"


def test_a_place_next_to_a_better_one_is_refuted():
    anchor = take_anchor(view(texture()), AT, math.nan)
    assert is_best_place(anchor, view(texture()), AT + np.array([1.0, -1.0]), I2, 3.0)
    assert not is_best_place(anchor, view(texture()), AT + np.array([8.0, 0.0]), I2, 3.0)
