"""What a gripper holds, and how it stands where it is let go."""

import math
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.geometry.rigid import rotation_exp
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GRASP_FRAME, GraspCandidate

_DROP_M = 0.006
TURNS_RAD = 0.25 * np.pi * np.array([0, 1, -1, 2, -2, 3, -3, 4])
"""Turns about the vertical in which it is tried to put something down, the least first."""


@dataclass(frozen=True, eq=False)
class Held:
    """What the gripper holds, and how.

    Attributes:
        query: As it was asked for.
        width_m: Between the fingers.
        below_m: From the grasp frame down to its underside, when it stands as it stood.
        radius_m: How far it may reach from the grasp frame, sideways.
        along_m: The same along the pads, across the closing direction; infinite where only the radius is known.
        axes: (3, 3) of the grasp frame in the base frame when it was grasped.
    """

    query: str
    width_m: float
    below_m: float
    radius_m: float
    axes: FloatArray
    along_m: float = math.inf

    @classmethod
    def of(cls, query: str, grasp: GraspCandidate, width_m: float, table_z_m: float, points_m: FloatArray) -> "Held":
        """What a grasp holds of a thing that stood on the table; grasp and its measured points (n, 3) in the base frame."""
        below = max(0.0, float(grasp.center_m[2]) - table_z_m)
        axes = grasp.camera_T_grasp.rotation.copy()
        away = points_m[:, :2] - grasp.center_m[:2] if len(points_m) else np.zeros((1, 2))
        radius = max(0.5 * width_m, float(np.quantile(np.linalg.norm(away, axis=1), 0.98)))
        across = axes[:2, 1] / max(float(np.linalg.norm(axes[:2, 1])), 1e-9)
        along = float(np.quantile(np.abs(away @ [-across[1], across[0]]), 0.98)) if len(points_m) else math.inf
        return cls(query, width_m, below, radius, axes, along)

    def standing(self, base_frame: str, xy_m: FloatArray, support_m: float, turn_rad: float = 0.0) -> Transform:
        """`base_T_grasp` at which to let it go: standing as it stood, just above what it is put on.

        Args:
            base_frame: Name of the arm's base frame, z up.
            xy_m: (2,) of the grasp frame, base frame.
            support_m: Height of what it is put on, base frame.
            turn_rad: About the vertical, from how it stood.
        """
        place = np.array([*xy_m, support_m + self.below_m + _DROP_M])
        return Transform(base_frame, GRASP_FRAME, rotation_exp(np.array([0.0, 0.0, turn_rad])) @ self.axes, place)
