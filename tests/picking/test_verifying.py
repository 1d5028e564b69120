"""Whether a thing still stands where it stood."""

import math

import numpy as np
import pytest

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth import DepthStatus
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.verifying import STILL_THERE, still_there
from molmo_point.results import Target

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
