"""Boxes from a depth image against the boxes that it was computed from."""

import numpy as np
import pytest

from molmo_point.arm.obstacle_boxes import boxes_on_table
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform

INTRINSICS = Intrinsics(width=320, height=240, fx=300.0, fy=300.0, cx=159.5, cy=119.5)
ABOVE_M = 0.7
# straight down: x to the right stays x, y down in the image is -y
BASE_T_CAMERA = Transform("base", "camera", np.diag([1.0, -1.0, -1.0]), np.array([0.05, 0.0, ABOVE_M]))


def depth_of(*boxes: tuple[float, float, float, float, float]) -> np.ndarray:
    """Depth, seen from straight above, of boxes (x, y, half x, half y, height) on the table z = 0."""
    v, u = np.mgrid[0:240, 0:320].astype(float)
    depth = np.full((240, 320), ABOVE_M)
    for x, y, half_x, half_y, height in boxes:
        z = ABOVE_M - height
        at_x, at_y = (u - 159.5) / 300.0 * z + 0.05, -(v - 119.5) / 300.0 * z
        depth[(np.abs(at_x - x) < half_x) & (np.abs(at_y - y) < half_y)] = z
    return depth.astype(np.float32)


def test_two_boxes_are_found_where_they_stand():
    depth = depth_of((0.10, 0.08, 0.03, 0.02, 0.06), (-0.06, -0.05, 0.02, 0.05, 0.04))
    first, second = boxes_on_table(depth, INTRINSICS, BASE_T_CAMERA)
    by_height = sorted((first, second), key=lambda box: box.top_m)
    for box, (x, y, height, half) in zip(
        by_height, ((-0.06, -0.05, 0.04, (0.02, 0.05)), (0.10, 0.08, 0.06, (0.02, 0.03))), strict=True
    ):
        assert box.center_m[:2] == pytest.approx((x, y), abs=0.006)
        assert box.top_m == pytest.approx(height, abs=0.003)
        assert sorted(box.half_m[:2]) == pytest.approx(half, abs=0.006)


def test_an_empty_table_has_no_boxes():
    assert boxes_on_table(depth_of(), INTRINSICS, BASE_T_CAMERA) == ()


def test_a_picture_without_depth_has_no_boxes():
    assert boxes_on_table(np.full((240, 320), np.nan, np.float32), INTRINSICS, BASE_T_CAMERA) == ()


def test_what_is_as_high_as_the_table_says_is_no_thing():
    depth = depth_of((0.05, 0.0, 0.04, 0.04, 0.05))
    assert boxes_on_table(depth, INTRINSICS, BASE_T_CAMERA, table_z_m=0.05) == ()
    assert len(boxes_on_table(depth, INTRINSICS, BASE_T_CAMERA)) == 1


def test_what_is_out_of_reach_does_not_count():
    depth = depth_of((0.20, 0.0, 0.02, 0.02, 0.05))
    assert boxes_on_table(depth, INTRINSICS, BASE_T_CAMERA, reach_m=0.1) == ()
