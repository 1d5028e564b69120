"""From a frame and a target to grasps: what is refused before any work is done, and what comes of it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from molmo_point.errors import FrameError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.propose import propose_grasps
from molmo_point.results import DepthStatus, Target
from molmo_point.viz.grasp import draw_grasps, grasp_words

INTRINSICS = Intrinsics(320, 240, 300.0, 300.0, 159.5, 119.5)


def make_frame() -> RgbdFrame:
    """A block of 52 by 92 mm, 40 mm high, seen straight from above at 0.5 m."""
    depth = np.full((240, 320), 0.5, np.float32)
    depth[90:150, 143:177] = 0.46
    return RgbdFrame(np.full((240, 320, 3), 90, np.uint8), depth, INTRINSICS, 7, "cam")


TARGET = Target(159.5, 119.5, "block", 0.9, np.array([0.0, 0.0, 0.46]), 1e-6 * np.eye(3), "cam", 7, DepthStatus.OK, math.nan, 1.0)


def test_block_is_grasped_across_and_drawn():
    frame = make_frame()
    grasps = propose_grasps(frame, TARGET)
    assert grasps.best is not None
    assert grasps.best.width_m == pytest.approx(34 * 0.46 / 300, abs=0.002)
    assert abs(grasps.best.closing[0]) > 0.99 and grasps.best.approach[2] > 0.99
    assert f"{grasps.best.width_m * 1e3:.0f} mm" in grasp_words(grasps)
    picture = draw_grasps(frame, grasps, label="block")
    assert picture.shape == frame.color.shape and (picture[100:140, 100:130] != 90).any()


def test_level_of_the_base_decides_what_is_a_support():
    level = Transform("base", "cam", np.diag([1.0, -1.0, -1.0]), np.zeros(3))
    tilted = Transform("base", "cam", np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]), np.zeros(3))
    assert propose_grasps(make_frame(), TARGET, base_T_camera=level).region.support is not None
    assert propose_grasps(make_frame(), TARGET, base_T_camera=tilted).region.support is None


def test_what_does_not_belong_together_is_refused():
    frame = make_frame()
    with pytest.raises(InputError, match="must have depth and intrinsics"):
        propose_grasps(replace(frame, depth_m=None), TARGET)
    with pytest.raises(FrameError, match="must be in the frame"):
        propose_grasps(frame, replace(TARGET, frame="base"))
    with pytest.raises(InputError, match="capture time"):
        propose_grasps(frame, replace(TARGET, stamp_ns=8))
    with pytest.raises(FrameError, match="must start"):
        propose_grasps(frame, TARGET, base_T_camera=Transform.identity("base", "other"))
