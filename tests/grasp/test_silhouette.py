"""Grasps around the outline of an object in a color image: place, width, direction, and what is refused."""

import math

import numpy as np
import pytest

from molmo_point.frame import RgbdFrame
from molmo_point.grasp.candidates import Rejection
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.object_region import RegionStatus
from molmo_point.grasp.silhouette import find_silhouette, grasps_from_above
from molmo_point.sim.camera_pose import CameraPose, camera_geometry

pytest.importorskip("cv2")
CAMERA, POSE = camera_geometry(CameraPose((0.03, 0.0, 0.4), (0.0, 0.0, 0.0), 50.0), 640, 480)
HEIGHT_M = 0.03


def painted(*bricks, gripper=None):
    """A noisy table from above with flat bricks: (x, y, half length, half width, turn in degrees, color)."""
    color = np.full((480, 640, 3), (150, 120, 95), np.float64)
    rows, columns = np.mgrid[0:480, 0:640]
    rays = CAMERA.deproject(np.stack([columns, rows], axis=-1).astype(float), 1.0) @ POSE.rotation.T
    level = 1.5 * 0.5 * HEIGHT_M
    at = POSE.translation_m + rays * ((level - POSE.translation_m[2]) / rays[..., 2])[..., None]
    for x, y, long, wide, turn, rgb in bricks:
        along = np.array([math.cos(math.radians(turn)), math.sin(math.radians(turn))])
        away = at[..., :2] - [x, y]
        inside = (np.abs(away @ along) < long) & (np.abs(away @ [-along[1], along[0]]) < wide)
        color[inside] = rgb
    color += np.random.default_rng(0).normal(0, 4, color.shape)
    frame = RgbdFrame(np.clip(color, 0, 255).astype(np.uint8), None, CAMERA, 1)
    middle = np.array([bricks[0][0], bricks[0][1], 0.5 * HEIGHT_M])
    uv = CAMERA.project(POSE.inverse().apply(middle, "base"))
    return grasps_from_above(frame, uv, middle, POSE, 0.0, gripper or Gripper(), 0.15)


BRICK = (0.02, -0.03, 0.045, 0.018, 30.0, (200, 30, 30))


def test_the_narrow_side_of_a_brick_is_grasped_in_its_middle():
    found = painted(BRICK)
    best = found.best.transformed(POSE)
    np.testing.assert_allclose(best.center_m[:2], BRICK[:2], atol=0.003)
    assert best.width_m == pytest.approx(0.036, abs=0.004) and best.opening_m > best.width_m
    assert abs(best.closing @ [-0.5, math.cos(math.radians(30)), 0.0]) > math.cos(math.radians(6))
    np.testing.assert_allclose(best.approach, [0, 0, -1], atol=1e-9)
    gripper = found.gripper
    end_m = best.center_m[2] - gripper.tip_offset_m
    assert gripper.support_clearance_m - 1e-9 <= end_m < 0.5 * HEIGHT_M
    assert HEIGHT_M - end_m <= gripper.finger_depth_m - gripper.palm_clearance_m + 1e-9
    assert Rejection.TOO_WIDE.value in found.reasons


def test_a_finger_does_not_go_down_on_a_neighbor():
    blocked = painted(BRICK, (0.02 - 0.033 * 0.5, -0.03 + 0.033 * 0.866, 0.05, 0.010, 30.0, (30, 60, 200)))
    assert all(abs(each.transformed(POSE).closing @ [-0.5, 0.866, 0.0]) < 0.9 for each in blocked.candidates)
    assert Rejection.FINGER_HITS_NEIGHBOR.value in blocked.reasons


def test_an_object_wider_than_the_gripper_has_no_grasp():
    found = painted((0.0, 0.0, 0.045, 0.045, 0.0, (200, 30, 30)))
    assert found.best is None and Rejection.TOO_WIDE.value in found.reasons


def test_the_bare_table_has_no_outline():
    found = painted((0.3, 0.3, 0.001, 0.001, 0.0, (0, 0, 0)))
    assert found.best is None


def test_an_object_of_the_color_of_the_table_cannot_be_separated():
    found = painted((0.02, -0.03, 0.045, 0.018, 30.0, (150, 120, 95)))
    assert found.best is None and found.region.status is RegionStatus.MISSING


def test_the_mask_is_that_of_the_object_alone():
    color = np.full((480, 640, 3), 120, np.uint8)
    color[200:260, 300:360] = (200, 30, 30)
    color[200:260, 380:420] = (200, 30, 30)
    mask = find_silhouette(color, np.array([330.0, 230.0]), 1200.0).mask
    assert mask[200:260, 300:360].mean() > 0.95 and mask[:, 375:].sum() == 0 and mask[:, :295].sum() == 0
