"""What a hand-eye calibration is computed from: the same board seen from many robot poses.

Two setups share one equation, G_i^-1 = X B_i W^-1, with the board pose B_i = camera_T_board:

- eye in hand (camera on the arm, board fixed): X = gripper_T_camera, W = base_T_board, G_i^-1 = gripper_T_base;
- eye to hand (camera beside the arm, board on the gripper): X = base_T_camera, W = gripper_T_board,
  G_i^-1 = base_T_gripper.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.planar_pose import BoardPoses, board_poses
from molmo_point.geometry.rigid import inverse

MIN_SAMPLES = 5


class Setup(str, Enum):
    """Where the camera is."""

    EYE_IN_HAND = "eye_in_hand"
    EYE_TO_HAND = "eye_to_hand"

    @property
    def other(self) -> "Setup":
        """The other setup."""
        return Setup.EYE_TO_HAND if self is Setup.EYE_IN_HAND else Setup.EYE_IN_HAND


@dataclass(frozen=True, eq=False)
class HandEyeSet:
    """Robot poses, each with the board points seen from it.

    Attributes:
        setup: Where the camera is.
        base_T_gripper: (n, 4, 4) as the robot reported them, meters.
        uv: (n, m, 2) seen points, pixels; NaN where a point was not seen.
        points_board: (m, 3) points of the board, meters, z = 0.
        intrinsics: of the images.
        ids: n names, for reports.
        poses: the board's pose in each image, from that image alone.

    Build it with `hand_eye_set`.
    """

    setup: Setup
    base_T_gripper: FloatArray
    uv: FloatArray
    points_board: FloatArray
    intrinsics: Intrinsics
    ids: tuple[str, ...]
    poses: BoardPoses

    def __len__(self) -> int:
        return len(self.base_T_gripper)

    @property
    def outer(self) -> FloatArray:
        """(n, 4, 4) G_i: `outer @ X @ camera_T_board = W` for exact data."""
        poses = self.base_T_gripper
        return poses if self.setup is Setup.EYE_IN_HAND else inverse(poses)

    @property
    def center_board(self) -> FloatArray:
        """(3,) middle of the board's points, meters."""
        return self.points_board.mean(axis=0)

    def subset(self, keep: NDArray[Any]) -> "HandEyeSet":
        """The samples that a mask or a list of numbers names."""
        keep = np.flatnonzero(keep) if keep.dtype == bool else keep
        p = self.poses
        poses = BoardPoses(p.camera_T_board[keep], p.rms_px[keep], p.ambiguity[keep], p.information[keep], p.count[keep])
        ids = tuple(self.ids[i] for i in keep)
        return replace(self, base_T_gripper=self.base_T_gripper[keep], uv=self.uv[keep], ids=ids, poses=poses)

    def with_robot(self, base_T_gripper: FloatArray, setup: "Setup | None" = None) -> "HandEyeSet":
        """The same images with other robot poses."""
        return replace(self, base_T_gripper=base_T_gripper, setup=setup or self.setup)

    def sigma_px(self) -> float:
        """Standard deviation of the seen points, pixels, from what a pose per image cannot explain."""
        count, rms = self.poses.count, self.poses.rms_px
        freedom = np.maximum(2 * count - 6, 0)
        squares = rms**2 * count
        if freedom.sum() < 6:
            return 0.3
        per_image = np.sqrt(squares / np.maximum(freedom, 1))[freedom > 0]
        # A median over images: one image with wrong corners must not make all the others look noisy.
        return float(max(np.median(per_image), 0.02))


def hand_eye_set(
    setup: Setup | str,
    base_T_gripper: FloatArray,
    uv: FloatArray,
    points_board: FloatArray,
    intrinsics: Intrinsics,
    ids: tuple[str, ...] = (),
) -> HandEyeSet:
    """Samples ready to be calibrated from: checked, with the board's pose in every image.

    Args:
        setup: "eye_in_hand" or "eye_to_hand".
        base_T_gripper: (n, 4, 4) robot poses, meters.
        uv: (n, m, 2) seen board points, pixels, NaN where not seen.
        points_board: (m, 3) the board's points, meters.
        intrinsics: of the images.
        ids: names of the samples; numbers by default.

    Raises:
        InputError: fewer than 5 samples, sizes that do not match, a matrix that is no rigid motion, a board that was not
            seen in a sample, or an unknown setup.
    """
    poses, uv = np.asarray(base_T_gripper, np.float64), np.asarray(uv, np.float64)
    points = np.asarray(points_board, np.float64)
    if setup not in tuple(Setup) and setup not in tuple(s.value for s in Setup):
        raise InputError("The setup is unknown", repr(setup), "use 'eye_in_hand' or 'eye_to_hand'")
    n = len(poses)
    if poses.shape != (n, 4, 4) or uv.shape != (n, len(points), 2) or points.shape != (len(points), 3):
        raise InputError(
            "Robot poses and images do not match",
            f"robot poses {poses.shape}, seen points {uv.shape}, board {points.shape}",
            "give one robot pose (4x4) per image, and one pixel per board point",
        )
    if n < MIN_SAMPLES:
        raise InputError(
            f"A hand-eye calibration needs at least {MIN_SAMPLES} samples",
            f"{n} samples",
            "record 12 to 25, with large rotations",
        )
    names = tuple(ids) or tuple(str(i) for i in range(n))
    if len(names) != n or len(set(names)) != n:
        raise InputError("Every sample needs a name of its own", f"{names}", "give one distinct id per sample")
    _check_motions(poses, names)
    found = board_poses(points, uv, intrinsics)
    lost = [names[i] for i in np.flatnonzero(~np.isfinite(found.rms_px))]
    if lost:
        raise InputError(
            "The board was not seen in some samples", f"{', '.join(lost)}: fewer than 4 points", "leave these samples out"
        )
    return HandEyeSet(Setup(setup), poses, uv, points, intrinsics, names, found)


def _check_motions(poses: FloatArray, names: tuple[str, ...]) -> None:
    rotations = poses[:, :3, :3]
    error = np.abs(rotations @ np.swapaxes(rotations, 1, 2) - np.eye(3)).max(axis=(1, 2))
    row = np.abs(poses[:, 3] - [0.0, 0.0, 0.0, 1.0]).max(axis=1)
    bad = ~np.isfinite(poses).all(axis=(1, 2)) | ~(error < 1e-3) | ~(row < 1e-3) | ~(np.linalg.det(rotations) > 0)
    if bad.any():
        raise InputError(
            "A robot pose is no rigid motion",
            f"sample {names[int(np.argmax(bad))]}",
            "give base_T_gripper with an orthonormal rotation and the last row 0 0 0 1",
        )
