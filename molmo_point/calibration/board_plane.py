"""The plane of a table from a board that lies on it, seen in one image."""

import numpy as np

from molmo_point.arrays import ColorArray
from molmo_point.calibration.boards import Board
from molmo_point.calibration.detection import detect
from molmo_point.errors import InputError
from molmo_point.frame import OPTICAL_FRAME
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.known_plane import HEIGHT_M, HEIGHT_SIGMA_M, SIGMA_M, KnownPlane
from molmo_point.geometry.planar_pose import board_poses

MAX_AMBIGUITY = 0.6
"""Squared error of the best pose over that of its mirror, above which the tilt is a guess."""
CORNER_PX = 0.3
"""Standard deviation of a detected corner, in pixels."""
_REACH = 1.5
"""The plane is used this many board diagonals from the board's middle."""


def board_plane(
    color: ColorArray,
    board: Board,
    intrinsics: Intrinsics,
    *,
    frame: str = OPTICAL_FRAME,
    height_m: float = HEIGHT_M,
    height_sigma_m: float = HEIGHT_SIGMA_M,
) -> KnownPlane:
    """Find the plane of a board that lies on the table.

    Args:
        color: RGB image (h, w, 3), uint8.
        board: The board, measured after printing.
        intrinsics: Intrinsics of the image.
        frame: Optical frame of the image.
        height_m: Mean height of the pointed-at surfaces above the plane, in meters.
        height_sigma_m: Its standard deviation, in meters.

    Returns:
        The plane in the optical frame, with the normal toward the camera. `sigma_m` is the error of its height within one
        and a half diagonals of the board.

    Raises:
        InputError: The board is not found, or its tilt is ambiguous.
        DependencyError: OpenCV is not installed.
    """
    found = detect(board, color)
    if found.reason:
        raise InputError("The image must show the whole board", found.reason, "lay the board flat into the view, in good light")
    seen = found.board or board
    poses = board_poses(seen.points, found.uv[None], intrinsics)
    pose = poses.camera_T_board[0]
    if not np.all(np.isfinite(pose)) or poses.ambiguity[0] > MAX_AMBIGUITY:
        given = f"two tilts fit almost equally well ({poses.ambiguity[0]:.0%})" if np.all(np.isfinite(pose)) else "no pose"
        raise InputError("The tilt of the board must be clear", given, "use a larger board, or look from aside")
    points = seen.points @ pose[:3, :3].T + pose[:3, 3]
    middle = points.mean(axis=0)
    normal = pose[:3, 2] * (1.0 if pose[:3, 2] @ middle < 0 else -1.0)
    # The height of a place q of the plane moves with the twist (u, w) of the pose by n (u + w x q).
    noise_px2 = max(CORNER_PX, float(poses.rms_px[0])) ** 2
    twist = np.linalg.pinv(poses.information[0]) * noise_px2
    reach_m = _REACH * float(np.linalg.norm(seen.size_m))
    across = np.linalg.svd(normal[None])[2][1:]
    rates = [np.concatenate([normal, np.cross(middle + reach_m * side, normal)]) for side in (*across, *-across)]
    sigma_m = max(float(np.sqrt(rate @ twist @ rate)) for rate in rates)
    settings = {"sigma_m": max(SIGMA_M, sigma_m), "height_m": height_m, "height_sigma_m": height_sigma_m}
    return KnownPlane(frame, normal, float(normal @ middle), **settings)
