"""Knowledge of the fingers: the object between them, measured or claimed, and every way to close and open them.

An object is let go only by `release`. Where nobody can tell, the object counts as held.
"""

import math
from collections.abc import Callable
from typing import Protocol

from molmo_point.picking.event_log import PickStopped
from molmo_point.picking.guarded_arm import GuardedArm
from molmo_point.picking.held_object import Held
from molmo_point.picking.states import PickFailure

_SAME_M, _STEADY_M = 0.006, 0.0015
"""Widths of empty fingers closer than the first are one. Fingers this close to the width they were told to are open, meters."""
_LET_GO_M, _LOST_M = 0.008, 0.012
"""Opening that lets go for certain. A grip that changed by more holds nothing, or not the same."""
_SETTLE_S = 0.2
_REST_S, _RESTS_M, _LEAST_RESTS, _MOST_WAITS = 0.1, 0.0003, 4, 20
"""Fingers that move less in this time, four times in a row, rest, seconds and meters; most times."""


class Holder(Protocol):
    """Owner of the object in the gripper: a `Picker`."""

    held: Held | None


class Grip:
    """The fingers of an arm.

    Args:
        arm: The arm.
        owner: Its `held` is the object in the gripper, or the object that may be there.
        least_width_m: Fingers closer than this hold nothing, meters.
    """

    def __init__(self, arm: GuardedArm, owner: Holder, least_width_m: float) -> None:
        self._arm, self._owner, self._least_m = arm, owner, least_width_m
        # Width at which the fingers were last known to be empty, meters; NaN is unknown.
        self._empty_m = math.nan

    def require_empty(self, make_room: Callable[[], None]) -> None:
        """Make sure that nothing is between the fingers, and drop nothing for it.

        Args:
            make_room: Moves the hand to where its fingers may close on nothing but what they hold.

        Raises:
            PickStopped: GRIPPER_NOT_EMPTY if an unknown object is between them.
        """
        width, presses = self._arm.gripper_width(), self._arm.is_gripping()
        empty = width < self._least_m
        if not empty and not presses:
            empty = abs(width - self._empty_m) <= _SAME_M or width >= 0.9 * self._arm.gripper.max_opening_m
            if not empty:
                # Closing drops nothing, and an object stops the fingers.
                make_room()
                width = self._arm.move_gripper(0.0)
                width = width if width < self._least_m else self._at_rest(width)
                self._arm.check()
                empty = width < self._least_m
        if not empty:
            said = f"something that this picker did not pick is between the fingers, {width * 1e3:.0f} mm wide"
            raise PickStopped(PickFailure.GRIPPER_NOT_EMPTY, f"{said}; call release() where it may fall", again=False)
        self._empty_m = width

    def open_empty(self, width_m: float) -> None:
        """Open fingers that are known to be empty.

        Raises:
            PickStopped: ARM_FAILED if they do not open.
        """
        width = self._arm.move_gripper(width_m)
        if not width >= width_m - _SAME_M:
            width = self._at_rest(width)
        self._empty_m = width
        self._arm.check()
        if not width >= width_m - _SAME_M:
            raise _not_open(width_m, width)

    def close_on(self, measured: Callable[[float], Held], expected_m: float, opening_m: float) -> float:
        """Close the fingers on an object, measure if they hold it, and return their width, meters.

        Args:
            measured: Makes the object in the gripper, for a width of the fingers in meters.
            expected_m: Expected width of the object, meters.
            opening_m: Width of the open fingers around it, meters.

        Raises:
            PickStopped: CANCELLED, with the fingers where they are; ARM_FAILED if they stand before the object.
        """
        known_m = self._empty_m
        # Until it is measured, nobody knows.
        self._empty_m, self._owner.held = math.nan, measured(expected_m)
        try:
            width = self._arm.move_gripper(0.0)
        except PickStopped as stopped:
            if stopped.failure is PickFailure.CANCELLED:
                self._empty_m, self._owner.held = known_m, None
            raise
        if width > expected_m + _SAME_M:
            # They may still close: a driver must wait for them, and not every gripper tells its end.
            width = self._at_rest(width)
        touches = width >= self._least_m and self._touches(width, 0.5 * (expected_m + opening_m))
        if touches:
            self._owner.held = measured(width)
        else:
            self._empty_m, self._owner.held = width, None
        self._arm.check()
        if not touches and width >= self._least_m:
            said = f"the fingers stand at {width * 1e3:.0f} mm and press on nothing"
            raise PickStopped(PickFailure.ARM_FAILED, f"{said}; the object is {expected_m * 1e3:.0f} mm wide", again=False)
        return width

    def require_held(self, kept_m: float = _LOST_M) -> float:
        """Measure if the object is still between the fingers, and return their width, meters.

        Args:
            kept_m: Largest change of the width, meters.

        Raises:
            PickStopped: SLIPPED. The object stays held unless the fingers are certainly empty.
        """
        held = self._owner.held
        assert held is not None
        width, before = self._arm.gripper_width(), held.width_m
        if abs(width - before) <= kept_m and self._arm.is_gripping() is not False:
            return width
        width = self._at_rest(width)
        opened = width > before + _LOST_M and not self._arm.is_gripping()
        changed = f"{before * 1e3:.0f} mm between the fingers became {width * 1e3:.0f} mm"
        # Fingers that lost an object close; those that stand at its width may hold it, whatever they say of their force.
        closed = width < before - _LOST_M and self._presses_on_nothing()
        if width < self._least_m or opened or closed:
            self._owner.held, self._empty_m = None, width
            raise PickStopped(PickFailure.SLIPPED, f"it was lost on the way: {changed}")
        if not abs(width - before) <= kept_m:
            raise PickStopped(PickFailure.SLIPPED, f"it moved in the grip: {changed}", again=False)
        if self._presses_on_nothing():
            said = f"the fingers stand at {width * 1e3:.0f} mm and press on nothing: nobody knows if they hold it"
            raise PickStopped(PickFailure.SLIPPED, said, again=False)
        return width

    def release(self, width_m: float) -> None:
        """Open the fingers, and measure if they let the object go.

        Raises:
            PickStopped: CANCELLED, or ARM_FAILED if the fingers do not open; the object counts as held.
        """
        before, self._empty_m = self._arm.gripper_width(), math.nan
        width, let_go_m = self._arm.move_gripper(width_m), min(before + _LET_GO_M, width_m - _STEADY_M)
        if width < let_go_m:
            width = self._at_rest(width)
        if width >= let_go_m or (width > before + _RESTS_M and self._presses_on_nothing()):
            self._owner.held, self._empty_m = None, width
            return
        self._arm.check()
        raise _not_open(width_m, width)

    def _at_rest(self, width_m: float) -> float:
        """Width of fingers that may still move, once they stand, meters."""
        rests = 0
        for _ in range(_MOST_WAITS):
            self._arm.wait(_REST_S)
            before, width_m = width_m, self._arm.gripper_width()
            rests = rests + 1 if abs(width_m - before) <= _RESTS_M else 0
            if rests == _LEAST_RESTS:
                break
        return width_m

    def _touches(self, width_m: float, widest_m: float) -> bool:
        """True if closing fingers were stopped by an object; by their width alone if they do not tell."""
        presses = self._arm.is_gripping()
        return width_m <= widest_m if presses is None else presses or not self._presses_on_nothing()

    def _presses_on_nothing(self) -> bool:
        """True if the fingers certainly press on nothing, also a moment later: an object may give way."""
        if self._arm.is_gripping() is not False:
            return False
        self._arm.wait(_SETTLE_S)
        return self._arm.is_gripping() is False


def _not_open(told_m: float, width_m: float) -> PickStopped:
    said = f"the gripper was told to open to {told_m * 1e3:.0f} mm and stands at {width_m * 1e3:.0f} mm"
    return PickStopped(PickFailure.ARM_FAILED, said, again=False)
