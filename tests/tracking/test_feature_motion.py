"""Features are taken on one surface, followed to the next view, and reduced to one motion."""

import math

import cv2
import numpy as np
import pytest

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.tracking.feature_motion import features_around, fit_motion, flow_between
from molmo_point.tracking.tracked_view import TrackedView, view_of

AT = np.array([100.0, 50.0])
CAMERA = Intrinsics(width=200, height=160, fx=300.0, fy=300.0, cx=99.5, cy=79.5)


def texture(seed=0):
    noise = np.random.default_rng(seed).normal(size=(160, 200)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.0), None, 40, 200, cv2.NORM_MINMAX).astype(np.uint8)


def view(gray, depth_m=None):
    return TrackedView(0, gray, depth_m, 300.0, DepthNoise(0.05, 0.08), float(gray.mean()))


def test_features_go_where_the_image_goes_even_when_it_darkens():
    start = features_around(view(texture()), np.array([100.0, 80.0]), math.nan)
    assert len(start) >= 10
    after = (np.roll(texture(), (3, -5), (0, 1)) * 0.7).astype(np.uint8)
    flow = flow_between(view(texture()), view(after), start)
    assert flow.good.mean() > 0.9
    np.testing.assert_allclose((flow.end - flow.start)[flow.good], np.tile([-5.0, 3.0], (flow.good.sum(), 1)), atol=0.15)
    part = flow.part(slice(2, 5))
    np.testing.assert_array_equal(part.start, flow.start[2:5])


def test_features_that_do_not_come_back_are_bad():
    start = features_around(view(texture()), np.array([100.0, 80.0]), math.nan)
    flow = flow_between(view(texture()), view(texture(7)), start)
    assert flow.good.mean() < 0.4
    assert len(flow_between(view(texture()), view(texture()), np.zeros((0, 2))).good) == 0


def test_features_stay_on_the_surface_of_the_point():
    depth_m = np.full((80, 100), 0.5, np.float32)
    depth_m[:, 52:] = 0.9
    found = features_around(view(texture(), depth_m), np.array([100.0, 80.0]), 0.5)
    assert len(found) >= 5 and found[:, 0].max() <= 106.0
    assert features_around(view(texture(), depth_m), np.array([100.0, 80.0]), 0.9)[:, 0].min() >= 102.0


def test_noise_is_no_feature():
    plain = np.clip(np.random.default_rng(0).normal(120, 0.6, (160, 200)), 0, 255).astype(np.uint8)
    assert len(features_around(view(plain), np.array([100.0, 80.0]), math.nan)) == 0


def test_depth_of_a_view_is_that_of_the_pixel():
    depth_m = (0.4 + 0.001 * np.arange(160)[:, None] + 0.002 * np.arange(200)[None, :]).astype(np.float32)
    frame = RgbdFrame(np.repeat(texture()[..., None], 3, axis=2), depth_m, CAMERA, 5)
    seen = view_of(frame)
    assert seen.size_wh == (200, 160) and seen.stamp_ns == 5 and seen.focal_px == 300.0
    uv = np.array([[50.0, 20.0], [120.0, 100.0]])
    np.testing.assert_allclose(seen.depth_at(uv), [0.4 + 0.02 + 0.1, 0.4 + 0.1 + 0.24], atol=0.004)


def test_holes_are_left_out_and_all_holes_are_nan():
    depth_m = np.full((160, 200), 0.5, np.float32)
    depth_m[20:40, 30:60] = np.nan
    seen = view_of(RgbdFrame(np.zeros((160, 200, 3), np.uint8), depth_m, CAMERA, 0))
    depths = seen.depth_at(np.array([[45.0, 30.0], [30.0, 30.0], [100.0, 100.0]]))
    assert math.isnan(depths[0]) and depths[1] == depths[2] == pytest.approx(0.5)


def test_depth_of_another_moment_is_not_used():
    color, depth_m = np.zeros((160, 200, 3), np.uint8), np.full((160, 200), 0.5, np.float32)
    assert view_of(RgbdFrame(color, depth_m, CAMERA, 10**9, depth_stamp_ns=10**9 + 30_000_000)).depth_m is None
    assert view_of(RgbdFrame(color, depth_m, CAMERA, 10**9, depth_stamp_ns=10**9 + 10_000_000)).depth_m is not None


def test_the_gate_follows_the_noise():
    seen = view(texture())
    assert seen.gate_m(0.3) == pytest.approx(0.012) == seen.gate_m(math.nan)
    assert seen.gate_m(2.0) == pytest.approx(4.0 * 1.5 * 4.0 * 0.08 / (300.0 * 0.05))
    np.testing.assert_array_equal(
        seen.inside(np.array([[-0.6, 5.0], [-0.4, 5.0], [199.4, 159.4], [199.6, 5.0], [5.0, 159.6]])),
        [False, True, True, False, False],
    )


def cluster(seed=0, count=40, spread=30.0):
    return AT + np.random.default_rng(seed).uniform(-spread, spread, (count, 2))


def moved(points, shift, turn=0.0, scale=1.0):
    c, s = scale * math.cos(turn), scale * math.sin(turn)
    return AT + np.array(shift) + (points - AT) @ np.array([[c, -s], [s, c]]).T


def fit(start, end):
    return fit_motion(start, end, AT, np.zeros(len(start)), 12.0)


@pytest.mark.parametrize(("shift", "turn", "scale"), [((3.0, -7.0), 0.0, 1.0), ((0.0, 2.0), 0.06, 1.0), ((1.0, 0.0), 0.0, 1.04)])
def test_similarities_are_found(shift, turn, scale):
    start = cluster()
    motion = fit(start, moved(start, shift, turn, scale))
    assert motion is not None
    np.testing.assert_allclose(motion.end, AT + shift, atol=0.05)
    assert math.atan2(motion.linear[1, 0], motion.linear[0, 0]) == pytest.approx(turn, abs=0.012)
    assert math.hypot(*motion.linear[:, 0]) == pytest.approx(scale, abs=0.008)
    assert motion.variance_px2 < 0.01


def test_a_third_of_wrong_features_changes_nothing():
    start = cluster(count=30)
    end = moved(start, (4.0, 1.0))
    end[:10] += [15.0, -9.0]
    motion = fit(start, end)
    assert motion is not None and np.linalg.norm(motion.end - AT - [4.0, 1.0]) < 0.05
    np.testing.assert_array_equal(motion.inliers, [False] * 10 + [True] * 20)


def test_what_does_not_agree_is_refused():
    start = cluster(count=12)
    assert fit(start, start + np.random.default_rng(1).uniform(-40, 40, start.shape)) is None
    assert fit(start[:2], start[:2]) is None
    assert fit(start, moved(start, (0.0, 0.0), scale=1.9)) is None


def test_variance_grows_with_disagreement_and_with_the_way_back():
    start = cluster(count=20)
    noise = np.random.default_rng(2).normal(0.0, 0.2, start.shape)
    clean, rough = fit(start, moved(start, (1.0, 1.0))), fit(start, moved(start, (1.0, 1.0)) + noise)
    back = fit_motion(start, moved(start, (1.0, 1.0)), AT, np.full(20, 0.6), 12.0)
    assert clean is not None and rough is not None and back is not None
    assert clean.variance_px2 < 1e-6 < rough.variance_px2
    assert back.variance_px2 == pytest.approx(0.6**2 / 2 / 18, rel=0.01)
