"""The plane of a board in one image."""

import numpy as np
import pytest

from molmo_point.calibration.board_plane import board_plane
from molmo_point.calibration.boards import DEFAULT
from molmo_point.calibration.rehearsal_arm import render_board
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.rigid import motion, rotation_exp

LENS = Intrinsics(1280, 720, 900.0, 900.0, 639.0, 359.0)
BOARD = DEFAULT


def test_the_plane_of_the_board_is_found_with_its_normal_toward_the_camera():
    rotation = rotation_exp(np.array([0.8, 0.1, 0.2]))
    pose = motion(rotation, np.array([0.02, 0.0, 0.55]) - rotation @ BOARD.points.mean(axis=0))
    plane = board_plane(render_board(BOARD, pose, LENS), BOARD, LENS)
    normal = rotation[:, 2] * (-1.0 if rotation[:, 2] @ pose[:3, 3] > 0 else 1.0)
    assert plane.normal @ normal > np.cos(np.radians(0.5)) and plane.offset_m < 0
    away_m = plane.height_of(BOARD.points @ pose[:3, :3].T + pose[:3, 3])
    assert np.abs(away_m).max() < 2 * plane.sigma_m < 0.02


def test_an_image_without_the_board_is_refused():
    with pytest.raises(InputError, match="must show the whole board"):
        board_plane(np.full((720, 1280, 3), 128, np.uint8), BOARD, LENS)
