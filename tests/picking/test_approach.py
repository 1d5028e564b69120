"""Where to look from, and how far a place is from a box."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from molmo_point.arm.obstacle_boxes import ObstacleBox
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.approach import gap, look_poses, shifted

MOUNT = Transform("tool", "camera", np.eye(3), np.array([0.08, 0.0, -0.12]))
ARM = SimpleNamespace(base_frame="base", tool_T_camera=lambda frame: MOUNT if frame == "camera" else None)


def test_every_place_to_look_from_sees_the_thing_in_the_middle_upright():
    at = np.array([0.1, -0.05, 0.03])
    poses = list(look_poses(ARM, "camera", at, 0.34))
    assert len(poses) >= 6
    for pose in poses:
        camera = pose @ MOUNT
        seen = camera.inverse().apply(at, "base")
        assert seen == pytest.approx([0.0, 0.0, 0.34], abs=1e-9)
        assert camera.rotation[2, 0] == pytest.approx(0.0, abs=1e-9), "the horizon is level"
        assert camera.rotation[2, 1] < 0, "down in the image is down"
        assert camera.translation_m[2] > 0.25


def test_another_attempt_begins_elsewhere_and_no_camera_has_no_place():
    at = np.zeros(3)
    first, second = (next(look_poses(ARM, "camera", at, 0.3, first=number)) for number in (0, 1))
    assert np.abs(first.rotation - second.rotation).max() > 0.1
    assert list(look_poses(ARM, "other", at, 0.3)) == []


@pytest.mark.parametrize(
    ("place", "expected"),
    [((0.0, 0.0), 0.0), ((0.0, 0.06), 0.01), ((0.05, 0.0), 0.03), ((0.05, 0.09), 0.05)],
)
def test_gap_to_a_turned_box(place, expected):
    # half 5 cm by 2 cm, turned by a quarter: it reaches 5 cm along y
    box = ObstacleBox((0.0, 0.0, 0.02), (0.05, 0.02, 0.02), math.pi / 2)
    assert gap(box, np.array([*place, 0.0])) == pytest.approx(expected, abs=1e-9)


def test_shifting_keeps_the_rotation():
    moved = shifted(MOUNT, np.array([0.0, 0.0, 0.1]))
    assert moved.translation_m == pytest.approx([0.08, 0.0, -0.02])
    assert (moved.rotation == MOUNT.rotation).all()
