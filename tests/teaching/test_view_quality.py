"""Poor views: each is refused with its reason, and a good one is not."""

import cv2
import numpy as np
import pytest

from molmo_point.teaching.object_mask import ViewRefusal
from molmo_point.teaching.view_quality import judge_view, look_of, same_view

MASK = np.zeros((240, 320), bool)
MASK[70:170, 100:200] = True


def picture(mask=MASK, background: int = 150, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    print_ = cv2.resize(rng.integers(60, 220, (10, 10, 3), dtype=np.uint8), mask.shape[::-1], interpolation=cv2.INTER_NEAREST)
    color = np.where(mask[..., None], print_, background).astype(np.float64)
    return np.clip(color + rng.normal(0, 2, color.shape), 0, 255).astype(np.uint8)


def refusal(color: np.ndarray, mask: np.ndarray = MASK) -> ViewRefusal | None:
    fault = judge_view(color, mask)
    assert fault is None or (fault.message.endswith(".") and "\n" not in fault.message)
    return None if fault is None else fault.refusal


def moved(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return np.roll(mask, (rows, columns), (0, 1))


def test_a_good_view_is_taken_in_any_size_and_plain_or_not():
    assert refusal(picture()) is None
    plain = np.where(MASK[..., None], (200, 60, 60), (150, 150, 150)).astype(np.uint8)
    assert refusal(plain) is None
    assert refusal(cv2.resize(plain, None, fx=4, fy=4), np.kron(MASK, np.ones((4, 4))).astype(bool)) is None


def test_blur_counts_against_the_size_of_the_object():
    for size in (1, 4):
        large = cv2.resize(picture(), None, fx=size, fy=size, interpolation=cv2.INTER_NEAREST)
        mask = np.kron(MASK, np.ones((size, size))).astype(bool)
        assert refusal(cv2.GaussianBlur(large, (0, 0), 1.0 * size), mask) is None
        assert refusal(cv2.GaussianBlur(large, (0, 0), 7.0 * size), mask) is ViewRefusal.BLURRED


@pytest.mark.parametrize("kernel_hw", [(1, 21), (21, 1)])
def test_motion_during_the_exposure_is_refused(kernel_hw):
    assert refusal(cv2.blur(picture(), kernel_hw[::-1])) in (ViewRefusal.MOVED, ViewRefusal.BLURRED)


def test_an_object_at_the_border_is_cut_off_and_one_next_to_it_is_not():
    assert refusal(picture(moved(MASK, -75, 0)), np.roll(MASK, -75, 0) & (np.arange(240) < 100)[:, None]) is ViewRefusal.CUT_OFF
    assert refusal(picture(moved(MASK, -69, 0)), moved(MASK, -69, 0)) is None


def test_an_object_too_small_or_too_large_is_refused():
    small = np.zeros_like(MASK)
    small[100:107, 100:107] = True
    assert refusal(picture(small), small) is ViewRefusal.TOO_SMALL
    large = np.zeros_like(MASK)
    large[10:230, 10:310] = True
    assert refusal(picture(large), large) is ViewRefusal.TOO_LARGE


def test_light_is_judged_at_the_object():
    assert refusal((picture() * 0.1).astype(np.uint8)) is ViewRefusal.TOO_DARK
    black = np.where(MASK[..., None], 15, picture()).astype(np.uint8)
    assert refusal(black) is None
    white = np.where(MASK[..., None], 255, picture()).astype(np.uint8)
    assert refusal(white) is ViewRefusal.OVER_EXPOSED


def test_the_same_view_is_refused_and_another_side_size_or_background_is_not():
    first = look_of(picture(), MASK)
    again = same_view(look_of(np.roll(picture(seed=1), (3, 5), (0, 1)), moved(MASK, 3, 5)), [first])
    assert again is not None and again.refusal is ViewRefusal.SAME_VIEW and "view 1" in again.message
    assert same_view(first, []) is None
    turned = np.rot90(MASK).copy(), np.ascontiguousarray(np.rot90(picture()))
    assert same_view(look_of(turned[1], turned[0]), [first]) is None
    assert same_view(look_of(picture(background=90), MASK), [first]) is None
    smaller = cv2.resize(picture(), (240, 180)), cv2.resize(MASK.astype(np.uint8), (240, 180)) > 0
    padded = np.full((240, 320, 3), 150, np.uint8), np.zeros_like(MASK)
    for whole, part in zip(padded, smaller, strict=True):
        whole[:180, :240] = part
    assert same_view(look_of(*padded), [first]) is None
