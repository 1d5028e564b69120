"""An arm that holds a camera (or a board) and goes where it is told, with the noise of a real one: for rehearsal and tests."""

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import FloatArray
from molmo_point.calibration.boards import Board
from molmo_point.calibration.rendering import render_board
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.rigid import inverse, moved
from molmo_point.hand_eye.samples import Setup
from molmo_point.hand_eye.synthetic import random_truth

SIMULATED_CAMERA = Intrinsics(640, 480, 610.0, 609.0, 321.0, 238.0, "brown_conrady", (-0.05, 0.02, 0.0005, -0.0003, 0.0))


class SimulatedArm:
    """A kinematic arm with a rendered view.

    Args:
        board: in view.
        setup: where the camera is.
        seed: of the truth and the noise.
        robot_m, robot_rad: noise of the reported pose, per axis.
        intrinsics: of the camera.

    Attributes:
        x, w: (4, 4) the truth that a calibration must find.
    """

    def __init__(
        self,
        board: Board,
        setup: Setup = Setup.EYE_IN_HAND,
        seed: int = 0,
        *,
        robot_m: float = 0.0002,
        robot_rad: float = 0.0009,
        intrinsics: Intrinsics = SIMULATED_CAMERA,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self.x, self.w = random_truth(self._rng, setup)
        self.setup, self.board, self.intrinsics = setup, board, intrinsics
        self._noise = np.repeat([robot_m, robot_rad], 3)
        # What a person knows beforehand: about where the camera and the board are.
        rough = np.repeat([0.01, np.deg2rad(2.0)], 3)
        self._guess = (moved(self.x, self._rng.normal(size=6) * rough), moved(self.w, self._rng.normal(size=6) * rough))
        self._robot = np.eye(4)
        self._reported = np.eye(4)

    def go_to_view(self, camera_T_board: FloatArray) -> None:
        """Goes to about where the camera sees the board so."""
        x, w = self._guess
        outer = w @ inverse(x @ camera_T_board)
        self.go_to(outer if self.setup is Setup.EYE_IN_HAND else inverse(outer))

    def go_to(self, base_T_gripper: FloatArray) -> None:
        """Goes to a pose; what it reports there is off by the arm's noise, the same as long as it rests."""
        self._robot = np.asarray(base_T_gripper, np.float64)
        self._reported = moved(self._robot, self._rng.normal(size=6) * self._noise)

    def camera_T_board(self) -> FloatArray:
        """(4, 4) where the board truly is in the camera frame."""
        inner = inverse(self._robot) if self.setup is Setup.EYE_IN_HAND else self._robot
        return inverse(self.x) @ inner @ self.w

    def read(self) -> tuple[NDArray[np.uint8], FloatArray]:
        """An image (h, w, 3) and the pose (4, 4) that the arm reports."""
        return render_board(self.board, self.camera_T_board(), self.intrinsics, rng=self._rng), self._reported
