"""Where things are put aside and handed over: a few places in rows on the table, used in turn."""

import math
from collections.abc import Sequence

import numpy as np

from molmo_point.arm.arm import Arm
from molmo_point.arm.joint_path import NoPath
from molmo_point.errors import InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.approach import tool_pose
from molmo_point.picking.held_object import Held

ASIDE_XY_M, HAND_OVER_XY_M, SPACING_M = (-0.30, -0.38), (0.02, -0.38), 0.1
"""For the simulated arm: on its table, and not within what its fixed camera sees."""
ROW = 3
PLACES = 6
_TURNS_RAD = (0.0, math.pi, 0.5 * math.pi, -0.5 * math.pi, 0.25 * math.pi, -0.25 * math.pi)


class PutDownPlaces:
    """Poses of the grasp frame at which to let go.

    What stood on the table when it was gripped is let go just above the table, standing as it stood.

    Args:
        aside_xy_m: Base frame, middle of the first place for what is put aside.
        hand_over_xy_m: Likewise, for what somebody takes.
        spacing_m: From one place to the next: three along x, then a row farther along -y.

    Raises:
        InputError: If the places are not two finite numbers each.
    """

    def __init__(
        self,
        aside_xy_m: Sequence[float] = ASIDE_XY_M,
        hand_over_xy_m: Sequence[float] = HAND_OVER_XY_M,
        spacing_m: float = SPACING_M,
    ) -> None:
        for name, xy in (("aside_xy_m", aside_xy_m), ("hand_over_xy_m", hand_over_xy_m)):
            if len(xy) != 2 or not all(math.isfinite(value) for value in xy):
                raise InputError(f"The parameter {name} is not a place", str(list(xy)), "give x and y in metres, base frame")
        self._first = {True: np.array(aside_xy_m, float), False: np.array(hand_over_xy_m, float)}
        self._used = {True: 0, False: 0}
        self._spacing_m = spacing_m

    def next(self, arm: Arm, held: Held, *, aside: bool) -> Transform:
        """`base_T_grasp` of the next place that the arm reaches, turned about the vertical where it must be.

        Args:
            arm: Holds it.
            held: What is to be put down.
            aside: Or else handed over.
        """
        number = self._used[aside]
        self._used[aside] += 1
        poses = [self._pose(arm, held, aside, number + further, turn) for further in range(PLACES) for turn in _TURNS_RAD]
        for pose in poses:
            if not isinstance(arm.plan([tool_pose(arm, pose, held.width_m)]), NoPath):
                return pose
        # The arm says why not when it is sent there.
        return poses[0]

    def _pose(self, arm: Arm, held: Held, aside: bool, number: int, turn_rad: float) -> Transform:
        place = number % PLACES
        xy_m = self._first[aside] + self._spacing_m * np.array([place % ROW, -(place // ROW)])
        return held.standing(arm.base_frame, xy_m, arm.table_z_m, turn_rad)
