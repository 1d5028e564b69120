"""Whether a thing still stands where it stood."""

import math

import numpy as np
import pytest

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.verification import STILL_THERE, seen_put, still_there
from molmo_point.results import DepthStatus, Target

CAMERA = Intrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)
BASE_T_CAMERA = Transform("base", "camera", np.diag([1.0, -1.0, -1.0]), np.array([0.3, 0.1, 0.6]))


def frame(box: bool) -> RgbdFrame:
    """A table, and perhaps a box of 5 cm on it, from above."""
    depth_m = np.full((120, 160), 0.6, np.float32)
    if box:
        depth_m[50:65, 100:115] = 0.55
    return RgbdFrame(np.zeros((120, 160, 3), np.uint8), depth_m, CAMERA, 0, "camera")


def target(uv, depth_m) -> Target:
    position_m = BASE_T_CAMERA.apply(CAMERA.deproject(uv, depth_m), "camera")
    return Target(0, 0, "box", 0.9, position_m, np.eye(3) * 1e-6, "base", 0, DepthStatus.OK, math.nan, 1.0)


def test_all_of_it_or_nothing_is_still_there():
    at = target((107.0, 57.0), 0.55)
    assert still_there(frame(True), frame(True), at, BASE_T_CAMERA) == 1.0
    assert still_there(frame(True), frame(False), at, BASE_T_CAMERA) < 0.1 < STILL_THERE


@pytest.mark.parametrize("uv", [(159.6, 57.0), (107.0, 119.6), (300.0, 57.0)])
def test_what_was_outside_the_image_is_not_known(uv):
    assert math.isnan(still_there(frame(True), frame(True), target(uv, 0.6), BASE_T_CAMERA))


def place_of(uv, depth_m) -> np.ndarray:
    return BASE_T_CAMERA.apply(CAMERA.deproject(uv, depth_m), "camera")


def test_what_was_put_down_is_seen_as_something_higher():
    at = place_of((107.0, 57.0), 0.6)
    assert seen_put(frame(False), frame(True), at, 0.03, BASE_T_CAMERA) > 0.5
    assert seen_put(frame(False), frame(False), at, 0.03, BASE_T_CAMERA) == 0.0
    assert seen_put(frame(True), frame(True), at, 0.03, BASE_T_CAMERA) == 0.0, "it was there before"
    elsewhere = place_of((30.0, 57.0), 0.6)
    assert seen_put(frame(False), frame(True), elsewhere, 0.03, BASE_T_CAMERA) == 0.0


def test_a_place_that_an_arm_hides_or_that_is_outside_is_not_known():
    at, hidden = place_of((107.0, 57.0), 0.6), frame(False)
    assert hidden.depth_m is not None
    depth_m = hidden.depth_m.copy()
    depth_m[30:90, 80:140] = 0.3
    arm = RgbdFrame(np.zeros((120, 160, 3), np.uint8), depth_m, CAMERA, 0, "camera")
    assert math.isnan(seen_put(frame(False), arm, at, 0.03, BASE_T_CAMERA))
    assert math.isnan(seen_put(frame(False), frame(True), at + np.array([1.0, 0.0, 0.0]), 0.03, BASE_T_CAMERA))
