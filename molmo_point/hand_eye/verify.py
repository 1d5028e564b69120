"""Is a calibration still right? Fresh views of a board, touched points, and a marker watched at run time."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.rigid import angle_between, hat, nearest_rotation
from molmo_point.geometry.transforms import Transform
from molmo_point.hand_eye.closed_form import board_from
from molmo_point.hand_eye.samples import HandEyeSet
from molmo_point.hand_eye.validation import unseen_errors

MIN_POINTS = 3
_DRAWS = 2000


@dataclass(frozen=True, eq=False)
class Verification:
    """Errors of a calibration on fresh data.

    Attributes:
        errors_mm: (n,) distances.
        rms_mm: root mean square. interval_mm: its 95 % interval, by bootstrap over the samples.
        bias_mm: (3,) mean error vector in the base (or gripper) frame: large beside `rms_mm` is an offset, not noise.
        turn_deg: (n,) rotation errors; NaN for touched points.
    """

    errors_mm: FloatArray
    rms_mm: float
    interval_mm: tuple[float, float]
    bias_mm: FloatArray
    turn_deg: FloatArray


def verify_with_board(data: HandEyeSet, x: FloatArray, w: FloatArray | None = None) -> Verification:
    """Errors of a calibration on fresh samples.

    Args:
        data: the fresh samples; the board may stand elsewhere than at the calibration.
        x: (4, 4) the calibration. w: (4, 4) where the board is, if it is known; otherwise where the samples put it on
            average, and the errors are enlarged by sqrt(n / (n - 1)) for it.
    """
    known = w is not None
    board = board_from(x, data) if w is None else w
    if not known:
        board = _centred(data, x, board)
    unseen = unseen_errors(data, x, board)
    n = len(data)
    centre = np.append(data.centre_board, 1.0)
    vectors = ((data.outer @ x @ data.poses.camera_T_board) @ centre - board @ centre)[:, :3] * 1e3
    grow = 1.0 if known else np.sqrt(n / (n - 1.0))
    return _verification(vectors * grow, unseen.turn_deg * grow)


def _centred(data: HandEyeSet, x: FloatArray, board: FloatArray) -> FloatArray:
    closed = data.outer @ x @ data.poses.camera_T_board
    centre = data.centre_board
    middle = (closed @ np.append(centre, 1.0))[:, :3].mean(axis=0)
    board = board.copy()
    board[:3, :3] = nearest_rotation(closed[:, :3, :3].mean(axis=0))
    board[:3, 3] = middle - board[:3, :3] @ centre
    return board


def verify_by_touch(seen_base_m: FloatArray, touched_base_m: FloatArray) -> Verification:
    """Errors between points as the camera saw them and as the tool tip touched them, both (n, 3) in the base frame.

    Raises:
        InputError: fewer than 3 points, or shapes that do not match.
    """
    seen, touched = np.asarray(seen_base_m, np.float64), np.asarray(touched_base_m, np.float64)
    if seen.shape != touched.shape or seen.ndim != 2 or seen.shape[1] != 3 or len(seen) < MIN_POINTS:
        raise InputError(
            f"A touch test needs at least {MIN_POINTS} points, each seen and touched",
            f"seen {seen.shape}, touched {touched.shape}",
            "touch 5 or more points spread over the workspace",
        )
    return _verification((seen - touched) * 1e3, np.full(len(seen), np.nan))


def _verification(vectors_mm: FloatArray, turn_deg: FloatArray) -> Verification:
    errors = np.linalg.norm(vectors_mm, axis=1)
    draws = np.random.default_rng(0).integers(0, len(errors), (_DRAWS, len(errors)))
    rms = np.sqrt((errors[draws] ** 2).mean(axis=1))
    low, high = np.quantile(rms, [0.025, 0.975])
    total = float(np.sqrt((errors**2).mean()))
    return Verification(errors, total, (float(low), float(high)), vectors_mm.mean(axis=0), turn_deg)


@dataclass(frozen=True)
class DriftState:
    """What the monitor says.

    Attributes:
        moved: the extrinsic (or the marker) has moved.
        offset_mm, turn_deg: median over the last observations; NaN before there are enough.
        limit_mm, limit_deg: what would be still normal.
        words: the same as a sentence.
    """

    moved: bool
    offset_mm: float
    turn_deg: float
    limit_mm: float
    limit_deg: float
    words: str


class DriftMonitor:
    """Watches a marker at a known place and says when the camera is no longer where it was calibrated.

    A single odd view says nothing: the median of the last observations must be beyond the limit, which is the tolerance or
    what the calibration's own uncertainty allows, whichever is larger.

    Args:
        camera: the calibration: base_T_camera, or gripper_T_camera with a gripper pose for every observation.
        base_T_marker: where the marker is; None takes the median of the first observations as the reference.
        tolerance_m: offset that the task can bear.
        tolerance_rad: and turn.
        window: number of observations.
    """

    def __init__(
        self,
        camera: Transform,
        base_T_marker: FloatArray | None = None,
        *,
        tolerance_m: float = 0.003,
        tolerance_rad: float = 0.01,
        window: int = 15,
    ) -> None:
        if not (tolerance_m > 0 and tolerance_rad > 0 and window >= 3):
            raise InputError(
                "Tolerances must be above zero, and the window at least 3",
                f"{tolerance_m}, {tolerance_rad}, {window}",
                "e.g. 0.003",
            )
        self._camera = camera
        self._reference = None if base_T_marker is None else np.asarray(base_T_marker, np.float64)
        self._learned = base_T_marker is None
        self._tolerance = (tolerance_m, tolerance_rad)
        self._seen: deque[FloatArray] = deque(maxlen=window)

    def update(self, camera_T_marker: FloatArray, base_T_gripper: FloatArray | None = None) -> DriftState:
        """Takes one observation.

        Args:
            camera_T_marker: (4, 4) the marker in the image.
            base_T_gripper: (4, 4) the arm at that moment; only for a camera on the arm.
        """
        matrix = self._camera.matrix if base_T_gripper is None else base_T_gripper @ self._camera.matrix
        self._seen.append(matrix @ camera_T_marker)
        window = np.array(self._seen)
        limits = self._limits(np.asarray(camera_T_marker))
        if len(window) < (self._seen.maxlen or 1):
            words = f"watching: {len(window)} of {self._seen.maxlen} observations"
            return DriftState(False, float("nan"), float("nan"), limits[0] * 1e3, float(np.rad2deg(limits[1])), words)
        middle = np.median(window[:, :3, 3], axis=0)
        turn = nearest_rotation(np.median(window[:, :3, :3], axis=0))
        if self._reference is None:
            self._reference = np.eye(4)
            self._reference[:3, :3], self._reference[:3, 3] = turn, middle
        offset = float(np.linalg.norm(middle - self._reference[:3, 3]))
        angle = float(angle_between(turn, self._reference[:3, :3]))
        moved = offset > limits[0] or angle > limits[1]
        words = f"the marker is {offset * 1e3:.1f} mm and {np.rad2deg(angle):.2f}° from its place"
        words += ": the camera or the marker has moved; calibrate again" if moved else ""
        return DriftState(moved, offset * 1e3, float(np.rad2deg(angle)), limits[0] * 1e3, float(np.rad2deg(limits[1])), words)

    def _limits(self, camera_T_marker: FloatArray) -> tuple[float, float]:
        """The tolerance; against a place known from elsewhere, at least three sigmas of the calibration."""
        covariance = self._camera.covariance
        if covariance is None or self._learned:
            return self._tolerance
        lever = self._camera.rotation @ camera_T_marker[:3, 3]
        jacobian = np.hstack([np.eye(3), -hat(lever)])
        spread = np.sqrt(np.linalg.eigvalsh(jacobian @ covariance @ jacobian.T)[-1])
        turn = np.sqrt(np.linalg.eigvalsh(covariance[3:, 3:])[-1])
        return max(self._tolerance[0], 3.0 * float(spread)), max(self._tolerance[1], 3.0 * float(turn))
