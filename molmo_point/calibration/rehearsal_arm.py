"""Kinematic arm with a rendered view of a board and the noise of a real arm, for rehearsal and tests."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import FloatArray
from molmo_point.calibration.boards import Board, import_cv2, squares
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.rigid import inverse, moved
from molmo_point.hand_eye.samples import Setup
from molmo_point.hand_eye.synthetic import random_truth

_GRID_PX = 4
_OVERSAMPLING = 2
_GRAY_NOISE = 2.0
_ROBOT_NOISE = np.repeat([0.0002, 0.0009], 3)  # meters, radians
_BACKGROUND, _PAPER, _INK = 140, 235, 25


def board_texture(board: Board, pixels_per_m: float) -> tuple[NDArray[np.uint8], FloatArray]:
    """Render the printed sheet with a white margin of one square; also return the board position of its first pixel.

    Pixels on an edge are gray by their share of ink, so that edges are exact to a fraction of a pixel. The position is that
    of the pixel's center (2,), in meters.
    """
    margin = board.square_m
    wide, high = board.size_m
    width, height = (int(np.ceil((side + 2 * margin) * pixels_per_m)) for side in (wide, high))
    ink = np.zeros((height, width), np.float32)
    for x, y, side in squares(board):
        columns, share_x = _coverage((x + margin) * pixels_per_m, (x + side + margin) * pixels_per_m, width)
        rows, share_y = _coverage((y + margin) * pixels_per_m, (y + side + margin) * pixels_per_m, height)
        ink[rows, columns] += np.outer(share_y, share_x)
    sheet = np.rint(_PAPER + np.minimum(ink, 1.0) * (_INK - _PAPER)).astype(np.uint8)
    return sheet, -np.array(board.origin_m) - margin + 0.5 / pixels_per_m


def _coverage(low: float, high: float, size: int) -> tuple[slice, NDArray[np.float32]]:
    first, last = int(low), min(int(np.ceil(high)), size)
    edges = np.arange(first, last)
    return slice(first, last), (np.minimum(high, edges + 1) - np.maximum(low, edges)).astype(np.float32)


@lru_cache(maxsize=4)
def _rays(intrinsics: Intrinsics) -> NDArray[np.float32]:
    """Return x / z and y / z (h * o, w * o, 2) of every fine pixel; undistorted on a coarse grid and interpolated."""
    cv2 = import_cv2()
    width, height = intrinsics.size_wh
    v, u = np.mgrid[-_GRID_PX : height + 2 * _GRID_PX : _GRID_PX, -_GRID_PX : width + 2 * _GRID_PX : _GRID_PX]
    coarse = intrinsics.deproject(np.stack([u, v], axis=-1), 1.0)[..., :2].astype(np.float32)
    fine_u = ((np.arange(width * _OVERSAMPLING) + 0.5) / _OVERSAMPLING - 0.5 + _GRID_PX) / _GRID_PX
    fine_v = ((np.arange(height * _OVERSAMPLING) + 0.5) / _OVERSAMPLING - 0.5 + _GRID_PX) / _GRID_PX
    at_u, at_v = np.meshgrid(fine_u.astype(np.float32), fine_v.astype(np.float32))
    return cv2.remap(coarse, at_u, at_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def render_board(
    board: Board,
    camera_T_board: FloatArray,
    intrinsics: Intrinsics,
    *,
    blur_px: float = 0.6,
    rng: np.random.Generator | None = None,
) -> NDArray[np.uint8]:
    """Render an image (h, w, 3) of a board, with lens distortion, pixel integration, blur and noise.

    Args:
        board: Board in view.
        camera_T_board: Pose of the board (4, 4).
        intrinsics: Intrinsics of the camera.
        blur_px: Standard deviation of the lens blur, in pixels.
        rng: Generator of the noise; default seed 0.
    """
    cv2 = import_cv2()
    middle = camera_T_board @ np.append(board.points.mean(axis=0), 1.0)
    pixels_per_m = min(_OVERSAMPLING * intrinsics.focal_px / max(float(middle[2]), 0.05), 6000.0 / max(board.size_m))
    sheet, first = board_texture(board, pixels_per_m)
    # A homography from a ray to a pixel of the sheet: the inverse of (x, y, 1) -> rotation, origin.
    to_rays = np.column_stack([camera_T_board[:3, 0], camera_T_board[:3, 1], camera_T_board[:3, 3]])
    to_sheet = np.array([[pixels_per_m, 0, -first[0] * pixels_per_m], [0, pixels_per_m, -first[1] * pixels_per_m], [0, 0, 1]])
    matrix = (to_sheet @ np.linalg.inv(to_rays)).astype(np.float32)
    at = cv2.perspectiveTransform(_rays(intrinsics), matrix / np.linalg.norm(matrix))
    image = cv2.remap(sheet, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=_BACKGROUND)
    width, height = intrinsics.size_wh
    gray = cv2.resize(image.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    gray = cv2.GaussianBlur(gray, (0, 0), blur_px)
    rng = np.random.default_rng(0) if rng is None else rng
    gray = np.clip(gray + rng.normal(0.0, _GRAY_NOISE, gray.shape), 0, 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


SIMULATED_CAMERA = Intrinsics(640, 480, 610.0, 609.0, 321.0, 238.0, "brown_conrady", (-0.05, 0.02, 0.0005, -0.0003, 0.0))


class RehearsalArm:
    """Kinematic arm with a rendered view.

    Args:
        board: Board in view.
        setup: Mounting of the camera.
        seed: Seed of the truth and the noise.

    Attributes:
        intrinsics: Intrinsics of the camera.
        x: True X (4, 4).
        w: True W (4, 4).
    """

    intrinsics = SIMULATED_CAMERA

    def __init__(self, board: Board, setup: Setup = Setup.EYE_IN_HAND, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self.x, self.w = random_truth(self._rng, setup)
        self.setup, self.board = setup, board
        # The rough knowledge of a user: approximate poses of camera and board.
        rough = np.repeat([0.01, np.deg2rad(2.0)], 3)
        self._guess = (moved(self.x, self._rng.normal(size=6) * rough), moved(self.w, self._rng.normal(size=6) * rough))
        self._robot = np.eye(4)
        self._reported = np.eye(4)

    def go_to_view(self, camera_T_board: FloatArray) -> None:
        """Move to about the pose from which the camera sees the board at `camera_T_board`."""
        x, w = self._guess
        self.go_to(self.setup.outer(w @ inverse(x @ camera_T_board)))

    def go_to(self, base_T_gripper: FloatArray) -> None:
        """Move to a pose; the reported pose has the arm's noise, constant while the arm rests."""
        self._robot = np.asarray(base_T_gripper, np.float64)
        self._reported = moved(self._robot, self._rng.normal(size=6) * _ROBOT_NOISE)

    def camera_T_board(self) -> FloatArray:
        """Return the true pose of the board in the camera frame (4, 4)."""
        return inverse(self.x) @ self.setup.other.outer(self._robot) @ self.w

    def read(self) -> tuple[NDArray[np.uint8], FloatArray]:
        """Return an image (h, w, 3) and the reported pose (4, 4)."""
        return render_board(self.board, self.camera_T_board(), self.intrinsics, rng=self._rng), self._reported
