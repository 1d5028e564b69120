"""The pose of a flat board: exact on exact points, right of the two mirror solutions, and honest Jacobians."""

import numpy as np
import pytest

from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.planar_pose import board_poses, projection_jacobian, twist_jacobian, twisted
from molmo_point.hand_eye.synthetic import grid_points, viewpoints

POINTS = grid_points()
LENS = Intrinsics(640, 480, 610.0, 600.0, 322.0, 236.0, "brown_conrady", (-0.12, 0.05, 0.001, -0.002, 0.01))


def project(poses, camera=LENS):
    return camera.project(POINTS @ np.swapaxes(poses[:, :3, :3], 1, 2) + poses[:, None, :3, 3])


def views(count=20, tilt_deg=40.0):
    return viewpoints(np.random.default_rng(1), count, tilt_deg, 180.0, (0.3, 0.6), POINTS.mean(axis=0))


@pytest.mark.parametrize("camera", [LENS, Intrinsics(640, 480, 600.0, 600.0, 320.0, 240.0)])
def test_exact_points_give_the_exact_pose(camera):
    poses = views()
    found = board_poses(POINTS, project(poses, camera), camera)
    assert np.abs(found.camera_T_board - poses).max() < 1e-6
    assert found.rms_px.max() < 1e-5


def test_noisy_points_give_the_right_mirror_solution():
    poses = views()
    noise = np.random.default_rng(2).normal(0, 0.2, (20, len(POINTS), 2))
    found = board_poses(POINTS, project(poses) + noise, LENS)
    tilted = np.abs(poses[:, 2, 2]) < np.cos(np.deg2rad(20))
    assert tilted.sum() > 5
    normals = (found.camera_T_board[:, :3, 2] * poses[:, :3, 2]).sum(axis=1)
    assert normals[tilted].min() > np.cos(np.deg2rad(2.0))
    assert found.ambiguity[tilted].max() < 0.5


def test_unseen_points_and_unseen_boards_are_missing_not_wrong():
    poses = views(3)
    uv = project(poses)
    uv[0, 5:9] = np.nan
    uv[1] = np.nan
    found = board_poses(POINTS, uv, LENS)
    assert np.abs(found.camera_T_board[0] - poses[0]).max() < 1e-6
    assert np.isnan(found.camera_T_board[1]).all() and found.count[1] == 0
    assert found.count[0] == len(POINTS) - 4


def test_the_jacobian_is_that_of_the_projection():
    pose = views(1)
    p_camera = (POINTS @ pose[0, :3, :3].T + pose[0, :3, 3])[None]
    uv, by_point = projection_jacobian(p_camera, LENS)
    jacobian = twist_jacobian(by_point, p_camera)
    for i in range(6):
        step = np.zeros((1, 6))
        step[0, i] = 1e-6
        numeric = (project(twisted(pose, step)) - project(twisted(pose, -step))) / 2e-6
        assert np.allclose(jacobian[..., i], numeric, atol=1e-3), i
    assert np.allclose(uv, project(pose))
