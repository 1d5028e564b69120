"""Samples of a hand-eye calibration: one board seen from many robot poses.

Two setups share one equation, G_i^-1 = X B_i W^-1, with the board pose B_i = camera_T_board:

- eye in hand (camera on the arm, board fixed): X = gripper_T_camera, W = base_T_board, G_i^-1 = gripper_T_base;
- eye to hand (fixed camera, board on the gripper): X = base_T_camera, W = gripper_T_board,
  G_i^-1 = base_T_gripper.
"""

from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.planar_pose import BoardPoses, board_poses
from molmo_point.geometry.rigid import applied, inverse, rigid_error

MIN_SAMPLES = 5


class Setup(str, Enum):
    """Mounting of the camera: on the gripper, or fixed relative to the base."""

    EYE_IN_HAND = "eye_in_hand"
    EYE_TO_HAND = "eye_to_hand"

    @property
    def other(self) -> "Setup":
        """The other setup."""
        return Setup.EYE_TO_HAND if self is Setup.EYE_IN_HAND else Setup.EYE_IN_HAND

    def outer(self, motions: FloatArray) -> FloatArray:
        """Convert base_T_gripper (..., 4, 4) to G of `G @ X @ camera_T_board = W`, or back."""
        return motions if self is Setup.EYE_IN_HAND else inverse(motions)


@dataclass(frozen=True, eq=False)
class HandEyeSet:
    """Robot poses, each with the board points detected from it. Build it with `hand_eye_set`.

    Attributes:
        setup: Mounting of the camera.
        base_T_gripper: Reported robot poses (n, 4, 4), in meters.
        uv: Detected pixels (n, m, 2); NaN where a point was not detected.
        points_board: Board points (m, 3) in meters, z = 0.
        intrinsics: Intrinsics of the images.
        ids: Names of the n samples, for reports.
        poses: Pose of the board in each image, from that image alone.
        from_poses: True if the pixels are computed from board poses, not detected in images.
        view_T_camera: Rotation (4, 4) from the camera frame of the file to that of `poses`, which looks at the boards; `solve`
            finds the camera frame of `poses`. The identity unless boards were not in front of the file's camera.
    """

    setup: Setup
    base_T_gripper: FloatArray
    uv: FloatArray
    points_board: FloatArray
    intrinsics: Intrinsics
    ids: tuple[str, ...]
    poses: BoardPoses
    from_poses: bool = False
    view_T_camera: FloatArray = field(default_factory=lambda: np.eye(4))

    def __len__(self) -> int:
        return len(self.base_T_gripper)

    @property
    def outer(self) -> FloatArray:
        """G_i (n, 4, 4): `outer @ X @ camera_T_board = W` for exact data."""
        return self.setup.outer(self.base_T_gripper)

    @property
    def center_board(self) -> FloatArray:
        """Middle of the board's points (3,), in meters."""
        return self.points_board.mean(axis=0)

    def subset(self, keep: NDArray[Any]) -> "HandEyeSet":
        """Select samples by a mask or by indices."""
        keep = np.flatnonzero(keep) if keep.dtype == bool else keep
        poses = BoardPoses(*(getattr(self.poses, each.name)[keep] for each in fields(self.poses)))
        ids = tuple(self.ids[i] for i in keep)
        return replace(self, base_T_gripper=self.base_T_gripper[keep], uv=self.uv[keep], ids=ids, poses=poses)

    def with_robot(self, base_T_gripper: FloatArray, setup: "Setup | None" = None) -> "HandEyeSet":
        """Return the same images with other robot poses."""
        return replace(self, base_T_gripper=base_T_gripper, setup=setup or self.setup)

    def with_boards(self, camera_T_board: FloatArray) -> "HandEyeSet":
        """Return samples with other board poses, and the pixels that follow from them.

        Raises:
            InputError: If a board is not in front of the camera.
        """
        uv = self.intrinsics.project(applied(camera_T_board, self.points_board))
        return hand_eye_set(self.setup, self.base_T_gripper, uv, self.points_board, self.intrinsics, self.ids, True)

    def with_points(self, uv: FloatArray, points_board: FloatArray, intrinsics: Intrinsics | None = None) -> "HandEyeSet":
        """Return samples of the same robot poses with other points of the board, in the images or on the board."""
        camera = intrinsics or self.intrinsics
        return hand_eye_set(self.setup, self.base_T_gripper, uv, points_board, camera, self.ids, self.from_poses)

    def sigma_px(self) -> float:
        """Estimate the standard deviation of the detected points, in pixels, from the residual of one pose per image."""
        count, rms = self.poses.count, self.poses.rms_px
        freedom = np.maximum(2 * count - 6, 0)
        squares = rms**2 * count
        if freedom.sum() < 6:
            return 0.3
        per_image = np.sqrt(squares / np.maximum(freedom, 1))[freedom > 0]
        # The median over images: one image with wrong corners must not make the others look noisy.
        return float(max(np.median(per_image), 0.02))


def hand_eye_set(
    setup: Setup | str,
    base_T_gripper: FloatArray,
    uv: FloatArray,
    points_board: FloatArray,
    intrinsics: Intrinsics,
    ids: tuple[str, ...] = (),
    from_poses: bool = False,
) -> HandEyeSet:
    """Check samples and compute the board's pose in every image.

    Args:
        setup: "eye_in_hand" or "eye_to_hand".
        base_T_gripper: Robot poses (n, 4, 4), in meters.
        uv: Detected pixels (n, m, 2); NaN where a point was not detected.
        points_board: Board points (m, 3), in meters.
        intrinsics: Intrinsics of the images.
        ids: Names of the samples; default their numbers.
        from_poses: True if the pixels are computed from board poses.

    Raises:
        InputError: For fewer than 5 samples, sizes that contradict each other, a matrix that is not a rigid motion, a
            sample without the board, or an unknown setup.
    """
    poses, uv = np.asarray(base_T_gripper, np.float64), np.asarray(uv, np.float64)
    points = np.asarray(points_board, np.float64)
    if setup not in [s.value for s in Setup]:
        raise InputError("setup must be 'eye_in_hand' or 'eye_to_hand'", repr(setup), "tell where the camera is mounted")
    n = len(poses)
    if poses.shape != (n, 4, 4) or uv.shape != (n, len(points), 2) or points.shape != (len(points), 3):
        raise InputError(
            "Robot poses and images must match",
            f"robot poses {poses.shape}, detected points {uv.shape}, board {points.shape}",
            "give one robot pose (4x4) per image, and one pixel per board point",
        )
    if n < MIN_SAMPLES:
        what = f"A hand-eye calibration needs at least {MIN_SAMPLES} samples"
        raise InputError(what, f"{n} samples", "record 12 to 25, with large rotations")
    names = _distinct(ids, n)
    bad = rigid_error(poses) >= 1e-3
    if bad.any():
        fix = "give base_T_gripper with an orthonormal rotation and the last row 0 0 0 1"
        raise InputError("Every robot pose must be a rigid motion", f"sample {names[int(np.argmax(bad))]}", fix)
    found = board_poses(points, uv, intrinsics)
    lost = [names[i] for i in np.flatnonzero(~np.isfinite(found.rms_px))]
    if lost:
        raise InputError(
            "Every sample must show 4 board points", f"{', '.join(lost)}: fewer than 4 points", "leave these samples out"
        )
    return HandEyeSet(Setup(setup), poses, uv, points, intrinsics, names, found, from_poses)


def _distinct(ids: tuple[str, ...], count: int) -> tuple[str, ...]:
    names = tuple(ids) or tuple(str(i) for i in range(count))
    if len(names) != count or len(set(names)) != count:
        raise InputError("ids must be one distinct name per sample", f"{names}", "rename the samples")
    return names
