"""How a held thing goes into containers of known shape: where, turned how, and how far it falls."""

import numpy as np
import pytest

from molmo_point.arm.obstacle_boxes import ObstacleBox
from molmo_point.grasp.gripper import Gripper
from molmo_point.picking.container import Hollow, measure_hollow
from molmo_point.picking.container_placing import LETTING_GO_M, fits, ways_in
from molmo_point.picking.held_object import Held

GRIPPER = Gripper(max_opening_m=0.085, finger_width_m=0.023, finger_thickness_m=0.019, finger_depth_m=0.04, tip_offset_m=0.012)
DOWN = np.diag([1.0, -1.0, -1.0])
MIDDLE = np.array([0.05, -0.03])


def held(width=0.04, along=0.02, below=0.025):
    return Held("thing", width, below, float(np.hypot(0.5 * width, along)), DOWN.copy(), along)


def box(half_x, half_y, height, thing_m=None) -> Hollow:
    """A box without a lid on a table, seen from above; walls of 6 mm, floor 4 mm above the table."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(-0.15, 0.15, 0.002), np.arange(-0.15, 0.15, 0.002)))
    outer = (np.abs(x) < half_x + 0.006) & (np.abs(y) < half_y + 0.006)
    inner = (np.abs(x) < half_x) & (np.abs(y) < half_y)
    z = np.where(inner, 0.004, np.where(outer, height, 0.0))
    if thing_m is not None:
        z = np.where((np.abs(x) < thing_m) & (np.abs(y) < thing_m), 0.04, z)
    points = np.stack([x + MIDDLE[0], y + MIDDLE[1], z], axis=1)
    around = ObstacleBox((*MIDDLE, 0.5 * height), (half_x + 0.006, half_y + 0.006, 0.5 * height))
    found = measure_hollow(points, around)
    assert found is not None
    return found


def test_where_there_is_room_it_is_set_down_in_the_middle():
    way = ways_in(held(), GRIPPER, box(0.08, 0.07, 0.05), "base")[0]
    assert way.fall_m == 0.0
    assert way.support_m == pytest.approx(0.004, abs=0.001)
    # On the floor, with the few millimetres that everything is let go above what it is put on.
    assert way.pose.translation_m == pytest.approx([*MIDDLE, 0.004 + 0.025 + 0.006], abs=0.002)
    assert (way.pose.target, way.pose.source) == ("base", "grasp")


def test_fingers_that_have_no_room_below_the_rim_stay_above_it_and_it_falls():
    narrow = box(0.032, 0.032, 0.05)
    way = ways_in(held(), GRIPPER, narrow, "base")[0]
    tips_m = way.pose.translation_m[2] - GRIPPER.tip_offset_m
    assert way.fall_m > 0.02
    assert tips_m > narrow.rim_m
    assert way.pose.translation_m[2] - 0.025 - 0.006 < narrow.rim_m, "it is in the opening when it is let go"
    half = 0.5 * (0.04 + LETTING_GO_M) + GRIPPER.finger_thickness_m
    assert half > 0.032, "or the test means nothing"


def test_it_is_turned_to_where_the_fingers_have_room():
    long = box(0.09, 0.032, 0.05)
    across = Held("thing", 0.04, 0.025, 0.03, DOWN.copy(), 0.02)
    way = ways_in(across, GRIPPER, long, "base")[0]
    assert way.fall_m == 0.0
    assert abs(way.pose.rotation[0, 1]) > 0.9, "the fingers close along the long side"


def test_what_is_too_long_fits_only_along_the_long_side():
    brick = held(width=0.03, along=0.06)
    assert not fits(brick, box(0.05, 0.05, 0.05))
    assert ways_in(brick, GRIPPER, box(0.05, 0.05, 0.05), "base") == []
    ways = ways_in(brick, GRIPPER, box(0.08, 0.05, 0.05), "base")
    assert ways
    assert all(abs(way.pose.rotation[0, 0]) > 0.8 for way in ways), "its length along x"


def test_beside_what_lies_there_already():
    ways = ways_in(held(along=0.018, width=0.036), GRIPPER, box(0.10, 0.07, 0.045, thing_m=0.02), "base")
    away = ways[0].pose.translation_m[:2] - MIDDLE
    assert ways[0].support_m < 0.012, "on the floor"
    assert abs(away[0]) > 0.018 + 0.018, "beside it along the long side"
