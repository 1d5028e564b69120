"""The object in a gripper, its pose at the release, and the zones for objects that are put aside or handed over."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molmo_point.arm.arm import Arm
from molmo_point.arm.joint_path import NoPath
from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.rigid import rotation_exp
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GRASP_FRAME, GraspCandidate
from molmo_point.picking.approach import tool_pose

_DROP_M = 0.006
TURNS_RAD = 0.25 * np.pi * np.array([0, 1, -1, 2, -2, 3, -3, 4])
"""Rotations about the vertical that placing tries, the smallest first."""
ASIDE_XY_M, HAND_OVER_XY_M, SPACING_M = (-0.30, -0.38), (0.02, -0.38), 0.1
"""Drop zones of the simulated arm: on its table, outside the fixed camera's view."""
_ROW, _PLACES = 3, 6
_ZONE_TURNS_RAD = (0.0, math.pi, 0.5 * math.pi, -0.5 * math.pi, 0.25 * math.pi, -0.25 * math.pi)


@dataclass(frozen=True, eq=False)
class Held:
    """The object in the gripper.

    Attributes:
        query: Words that it was picked by.
        width_m: Distance between the fingers, meters.
        below_m: Distance from the grasp frame down to the underside, in the orientation of the grasp, meters.
        radius_m: Largest horizontal distance of the object from the grasp frame, meters.
        along_m: Largest distance along the pads, across the closing direction, meters; infinite is unknown.
        axes: (3, 3) rotation of the grasp frame in the base frame at the grasp.
    """

    query: str
    width_m: float
    below_m: float
    radius_m: float
    axes: FloatArray
    along_m: float = math.inf

    @classmethod
    def of(cls, query: str, grasp: GraspCandidate, width_m: float, table_z_m: float, points_m: FloatArray) -> "Held":
        """Measure an object that stood on the table, from its grasp and its points (n, 3), both in the base frame."""
        below = max(0.0, float(grasp.center_m[2]) - table_z_m)
        axes = grasp.camera_T_grasp.rotation.copy()
        away = points_m[:, :2] - grasp.center_m[:2] if len(points_m) else np.zeros((1, 2))
        radius = max(0.5 * width_m, float(np.quantile(np.linalg.norm(away, axis=1), 0.98)))
        across = axes[:2, 1] / max(float(np.linalg.norm(axes[:2, 1])), 1e-9)
        along = float(np.quantile(np.abs(away @ [-across[1], across[0]]), 0.98)) if len(points_m) else math.inf
        return cls(query, width_m, below, radius, axes, along)

    def standing(self, base_frame: str, xy_m: FloatArray, support_m: float, turn_rad: float = 0.0) -> Transform:
        """`base_T_grasp` for the release: the orientation of the grasp, just above the support.

        Args:
            base_frame: Name of the arm's base frame, z up.
            xy_m: (2,) position of the grasp frame, meters, base frame.
            support_m: Height of the support, meters, base frame.
            turn_rad: Rotation about the vertical since the grasp, radians.
        """
        place = np.array([*xy_m, support_m + self.below_m + _DROP_M])
        return Transform(base_frame, GRASP_FRAME, rotation_exp(np.array([0.0, 0.0, turn_rad])) @ self.axes, place)


class DropZones:
    """Places for objects that are put aside or handed over, each zone used place by place.

    An object is released just above the table, in the orientation of its grasp.

    Args:
        aside_xy_m: (2,) center of the first place for objects put aside, meters, base frame.
        hand_over_xy_m: (2,) center of the first place for objects handed over, meters, base frame.
        spacing_m: Distance of neighboring places: three along x, then a row farther along -y, meters.

    Raises:
        InputError: If a center is not two finite numbers.
    """

    def __init__(
        self,
        aside_xy_m: Sequence[float] = ASIDE_XY_M,
        hand_over_xy_m: Sequence[float] = HAND_OVER_XY_M,
        spacing_m: float = SPACING_M,
    ) -> None:
        for name, xy in (("aside_xy_m", aside_xy_m), ("hand_over_xy_m", hand_over_xy_m)):
            if len(xy) != 2 or not all(math.isfinite(value) for value in xy):
                raise InputError(f"{name} must be two finite numbers", str(list(xy)), "give x and y in meters, base frame")
        self._first = {True: np.array(aside_xy_m, float), False: np.array(hand_over_xy_m, float)}
        self._used = {True: 0, False: 0}
        self._spacing_m = spacing_m

    def next(self, arm: Arm, held: Held, *, aside: bool) -> Transform:
        """`base_T_grasp` of the next place within reach, rotated about the vertical if it must be.

        Args:
            arm: Holds the object.
            held: The object.
            aside: True is the zone for objects put aside, False the one for objects handed over.
        """
        number = self._used[aside]
        self._used[aside] += 1
        poses = [
            held.standing(arm.base_frame, self._center_m(aside, number + further), arm.table_z_m, turn)
            for further in range(_PLACES)
            for turn in _ZONE_TURNS_RAD
        ]
        for pose in poses:
            if not isinstance(arm.plan([tool_pose(arm, pose, held.width_m)]), NoPath):
                return pose
        # Placing then fails with the reason of the planner.
        return poses[0]

    def _center_m(self, aside: bool, number: int) -> FloatArray:
        place = number % _PLACES
        return self._first[aside] + self._spacing_m * np.array([place % _ROW, -(place // _ROW)])
