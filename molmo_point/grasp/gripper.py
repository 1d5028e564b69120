"""Parallel gripper: sizes, limits, and its shape as boxes."""

import math
from dataclasses import dataclass, fields

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError


@dataclass(frozen=True)
class Gripper:
    """Hand with two fingers that close in parallel.

    The tool frame lies between the fingers: z approaches the object, y is the closing direction (the fingers are at
    +y and -y), x completes a right-handed set. Its origin is in the middle of the pads, `tip_offset_m` before the ends of
    the fingers. The palm is `finger_depth_m` behind the ends. The defaults are a small hand like Franka's.

    Attributes:
        max_opening_m: Largest distance between the fingers, in meters.
        finger_width_m: Size of a finger along x, in meters.
        finger_thickness_m: Size of a finger along y, in meters.
        finger_depth_m: Distance from the palm to the ends of the fingers along z, in meters.
        tip_offset_m: Distance from the tool frame's origin to the ends of the fingers along z, in meters.
        palm_width_m: Size of the hand along x, in meters.
        palm_span_m: Size of the hand along y, in meters.
        palm_depth_m: Size of the hand along z, to the wrist, in meters.
        clearance_m: Gap between each open finger and the object, in meters.
        palm_clearance_m: Gap between the palm and the object, in meters.
        support_clearance_m: Gap between the ends of the fingers and the support plane, in meters.
        friction: Coefficient of friction between pad and object; its arc tangent is the largest contact angle.
        max_tilt_rad: Largest angle between the approach and straight down onto the support plane, in radians.
        approach_distance_m: Length of the straight approach before the grasp, in meters.

    Raises:
        InputError: If a size is not finite and above zero, or the sizes contradict each other.
    """

    max_opening_m: float = 0.08
    finger_width_m: float = 0.018
    finger_thickness_m: float = 0.010
    finger_depth_m: float = 0.045
    tip_offset_m: float = 0.009
    palm_width_m: float = 0.05
    palm_span_m: float = 0.16
    palm_depth_m: float = 0.08
    clearance_m: float = 0.006
    palm_clearance_m: float = 0.004
    support_clearance_m: float = 0.004
    friction: float = 0.45
    max_tilt_rad: float = math.radians(60.0)
    approach_distance_m: float = 0.08

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            least = 0.0 if each.name in ("support_clearance_m", "palm_clearance_m", "max_tilt_rad") else 1e-9
            good = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (good and math.isfinite(value) and value >= least):
                what, fix = (
                    f"{each.name} of a gripper must be a finite number above zero",
                    "give meters, radians for max_tilt_rad",
                )
                raise InputError(what, f"{each.name}={value!r}", fix)
        if self.tip_offset_m + self.palm_clearance_m >= self.finger_depth_m or 2 * self.clearance_m >= self.max_opening_m:
            raise InputError(
                "The sizes of a gripper must leave room for the tool frame and for two clearances",
                f"tip_offset_m={self.tip_offset_m}, finger_depth_m={self.finger_depth_m}, clearance_m={self.clearance_m}, "
                f"max_opening_m={self.max_opening_m}",
                "give tip_offset_m + palm_clearance_m < finger_depth_m and 2 clearance_m < max_opening_m",
            )

    def boxes(self, opening_m: float | FloatArray, approach_m: float = 0.0) -> tuple[FloatArray, FloatArray]:
        """Return the lower and upper corners (..., 3, 3), in the tool frame, of: finger at -y, finger at +y, hand.

        Args:
            opening_m: Distances between the fingers (...), in meters.
            approach_m: Extension of the hand backward, in meters: the space that the approach sweeps.
        """
        half = 0.5 * np.asarray(opening_m)
        far, wide, palm = half + self.finger_thickness_m, 0.5 * self.finger_width_m, self.tip_offset_m - self.finger_depth_m
        lows, highs = np.empty((2, *half.shape, 3, 3))
        lows[..., :2, 0], highs[..., :2, 0] = -wide, wide
        lows[..., 0, 1], highs[..., 0, 1] = -far, -half
        lows[..., 1, 1], highs[..., 1, 1] = half, far
        lows[..., :2, 2], highs[..., :2, 2] = palm, self.tip_offset_m
        side = np.array([0.5 * self.palm_width_m, 0.5 * self.palm_span_m])
        lows[..., 2, :2], highs[..., 2, :2] = -side, side
        lows[..., 2, 2], highs[..., 2, 2] = palm - self.palm_depth_m - approach_m, palm
        return lows, highs


def corners_of(lows: FloatArray, highs: FloatArray) -> FloatArray:
    """Return the eight corners (..., 8, 3) of boxes from their lower and upper corners (..., 3)."""
    pick = np.array([[(i >> axis) & 1 for axis in range(3)] for i in range(8)], dtype=bool)
    return np.where(pick, highs[..., None, :], lows[..., None, :])
