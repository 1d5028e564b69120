"""The fingers: they let go at a planned release only, and what they hold is measured, or claimed where nobody can tell."""

import math

import numpy as np
import pytest

from molmo_point.picking.event_log import PickStopped
from molmo_point.picking.grip import Grip
from molmo_point.picking.guarded_arm import GuardedArm
from molmo_point.picking.held_object import Held
from molmo_point.picking.states import PickFailure

from .scripted_arm import ScriptedArm

OBJECT_M, OPEN_M = 0.045, 0.06
SAYS = pytest.mark.parametrize("says", [True, False], ids=["tells its force", "does not"])


class Owner:
    held: Held | None = None


def held(width_m):
    return Held("the cube", width_m, 0.02, 0.02, np.eye(3))


def grip_of(arm):
    guard, owner, permit = GuardedArm(arm), Owner(), arm.resume()
    guard.begin(lambda: permit.revoked)
    return Grip(guard, owner, 0.006), owner


def stopped_by(work):
    with pytest.raises(PickStopped) as raised:
        work()
    return raised.value.failure


def holding(says=True):
    """Fingers that closed on the object after they opened for it."""
    arm = ScriptedArm(says=says)
    grip, owner = grip_of(arm)
    grip.open_empty(OPEN_M)
    arm.object_m = OBJECT_M
    assert grip.close_on(held, OBJECT_M, OPEN_M) == pytest.approx(OBJECT_M)
    assert owner.held is not None and owner.held.width_m == pytest.approx(OBJECT_M)
    arm.calls.clear()
    return arm, grip, owner


@SAYS
def test_what_is_held_stays_held(says):
    arm, grip, owner = holding(says)
    assert grip.require_held() == pytest.approx(OBJECT_M)
    assert owner.held is not None
    assert arm.calls == []


@SAYS
@pytest.mark.parametrize("until_m", [0.058, 0.05])
def test_fingers_stopped_before_they_touch_hold_nothing_and_stay_there(says, until_m):
    arm = ScriptedArm(OPEN_M, OBJECT_M, says)
    grip, owner = grip_of(arm)
    waited = arm.wait

    def wait(seconds):
        waited(seconds)
        if arm.width < until_m:
            arm.stop()

    arm.wait = wait
    assert stopped_by(lambda: grip.close_on(held, OBJECT_M, OPEN_M)) is PickFailure.CANCELLED
    if says or until_m > 0.055:
        assert owner.held is None
    assert OBJECT_M < arm.width <= 0.06


def test_a_stop_once_they_touch_leaves_the_object_held():
    arm = ScriptedArm(OPEN_M, OBJECT_M)
    grip, owner = grip_of(arm)
    closing = arm.move_gripper
    arm.move_gripper = lambda width_m, **options: (closing(width_m, **options), arm.stop())[0]
    assert stopped_by(lambda: grip.close_on(held, OBJECT_M, OPEN_M)) is PickFailure.CANCELLED
    assert owner.held is not None


def test_a_stop_before_the_fingers_close_holds_nothing():
    arm = ScriptedArm(OPEN_M, OBJECT_M)
    grip, owner = grip_of(arm)
    arm.stop()
    assert stopped_by(lambda: grip.close_on(held, OBJECT_M, OPEN_M)) is PickFailure.CANCELLED
    assert owner.held is None
    assert arm.calls == []


@SAYS
def test_fingers_that_close_on_nothing_hold_nothing(says):
    arm = ScriptedArm(OPEN_M, says=says)
    grip, owner = grip_of(arm)
    assert grip.close_on(held, OBJECT_M, OPEN_M) == 0.0
    assert owner.held is None


@SAYS
def test_fingers_that_are_stuck_hold_nothing_and_are_a_failure(says):
    arm = ScriptedArm(OPEN_M, OBJECT_M, says)
    arm.move_gripper = lambda width_m, cancelled=None: arm.width
    grip, owner = grip_of(arm)
    assert stopped_by(lambda: grip.close_on(held, OBJECT_M, OPEN_M)) is PickFailure.ARM_FAILED
    assert owner.held is None
    assert stopped_by(lambda: grip.open_empty(0.085)) is PickFailure.ARM_FAILED


class LateArm(ScriptedArm):
    """Its `move_gripper` returns at once, and the fingers move while the arm waits."""

    def move_gripper(self, width_m, *, cancelled=None):
        self.calls.append(("gripper", width_m))
        self.told_m = width_m
        return self.width

    def wait(self, seconds):
        super().wait(seconds)
        least = self.object_m if self.told_m < self.width else 0.0
        self.width += float(np.clip(max(self.told_m, least) - self.width, -0.1 * seconds, 0.1 * seconds))


@SAYS
def test_fingers_that_arrive_late_are_measured_at_their_end(says):
    arm = LateArm(0.02, says=says)
    grip, owner = grip_of(arm)
    grip.open_empty(OPEN_M)
    assert arm.width == pytest.approx(OPEN_M)
    arm.object_m = OBJECT_M
    assert grip.close_on(held, OBJECT_M, OPEN_M) == pytest.approx(OBJECT_M)
    assert owner.held is not None and owner.held.width_m == pytest.approx(OBJECT_M)
    grip.release(OBJECT_M + 0.03)
    assert owner.held is None


@SAYS
def test_fingers_that_close_late_on_nothing_hold_nothing(says):
    arm = LateArm(OPEN_M, says=says)
    grip, owner = grip_of(arm)
    assert grip.close_on(held, OBJECT_M, OPEN_M) == 0.0
    assert owner.held is None


@pytest.mark.parametrize("width", [math.nan, None])
def test_what_nobody_can_measure_counts_as_held(width):
    arm = ScriptedArm(OPEN_M, OBJECT_M)
    grip, owner = grip_of(arm)
    arm.gripper_width = lambda: width
    assert stopped_by(lambda: grip.close_on(held, OBJECT_M, OPEN_M)) is PickFailure.ARM_FAILED
    assert owner.held is not None


def test_an_interrupt_while_the_fingers_close_leaves_the_claim():
    arm = ScriptedArm(OPEN_M, OBJECT_M)
    grip, owner = grip_of(arm)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    arm.move_gripper = interrupted
    with pytest.raises(KeyboardInterrupt):
        grip.close_on(held, OBJECT_M, OPEN_M)
    assert owner.held is not None


@SAYS
@pytest.mark.parametrize(("width_m", "told_m"), [(0.0, 0.0), (0.08, 0.08)], ids=["fell out", "taken, and the hand is open"])
def test_what_is_certainly_gone_is_not_held(says, width_m, told_m):
    arm, grip, owner = holding(says)
    arm.width, arm.told_m = width_m, told_m
    assert stopped_by(grip.require_held) is PickFailure.SLIPPED
    assert owner.held is None


@SAYS
def test_what_became_narrower_is_a_failure_and_stays_in_the_hand(says):
    arm, grip, owner = holding(says)
    arm.width = 0.02
    assert stopped_by(grip.require_held) is PickFailure.SLIPPED
    assert owner.held is not None
    assert arm.calls == []


def test_fingers_that_stand_at_the_width_of_the_object_may_hold_it_whatever_they_say_of_their_force():
    arm, grip, owner = holding()
    arm.told_m = arm.width
    assert stopped_by(grip.require_held) is PickFailure.SLIPPED
    assert owner.held is not None
    assert arm.calls == [], "nothing opens"


def test_fingers_that_closed_on_and_press_on_nothing_hold_nothing():
    arm, grip, owner = holding()
    arm.width = arm.told_m = OBJECT_M - 0.02
    assert stopped_by(grip.require_held) is PickFailure.SLIPPED
    assert owner.held is None


def test_a_width_that_is_no_number_says_nothing_about_the_object():
    arm, grip, owner = holding()
    arm.gripper_width = lambda: math.nan
    for ask in (grip.require_held, lambda: grip.release(0.075)):
        assert stopped_by(ask) is PickFailure.ARM_FAILED
        assert owner.held is not None


@SAYS
def test_a_release_lets_go(says):
    arm, grip, owner = holding(says)
    grip.release(OBJECT_M + 0.03)
    assert owner.held is None
    grip.require_empty(lambda: None)
    assert arm.calls == [("gripper", OBJECT_M + 0.03)], "the fingers are known to be empty"


def test_a_release_that_does_not_open_keeps_the_object():
    arm, grip, owner = holding()
    arm.move_gripper = lambda width_m, cancelled=None: arm.width
    assert stopped_by(lambda: grip.release(0.075)) is PickFailure.ARM_FAILED
    assert owner.held is not None


def test_a_stopped_release_keeps_the_object():
    arm, grip, owner = holding()
    arm.stop()
    assert stopped_by(lambda: grip.release(0.075)) is PickFailure.CANCELLED
    assert owner.held is not None
    assert arm.width == pytest.approx(OBJECT_M)


def test_a_release_stopped_after_the_fingers_let_go_holds_nothing():
    arm, grip, owner = holding()

    def opens_a_little(width_m, cancelled=None):
        arm.stop()
        arm.width += 0.001
        arm.told_m = arm.width
        return arm.width

    arm.move_gripper = opens_a_little
    grip.release(0.075)
    assert owner.held is None


@SAYS
def test_unknown_fingers_are_closed_and_never_opened_on_something(says):
    arm = ScriptedArm(0.05, OBJECT_M, says)
    grip, _ = grip_of(arm)
    assert stopped_by(lambda: grip.require_empty(lambda: None)) is PickFailure.GRIPPER_NOT_EMPTY
    assert arm.calls == [("gripper", 0.0)]
    assert arm.width == pytest.approx(OBJECT_M)


def test_fingers_that_press_on_something_unknown_are_not_moved():
    arm = ScriptedArm(OBJECT_M, OBJECT_M)
    arm.told_m = 0.0
    grip, _ = grip_of(arm)
    assert stopped_by(lambda: grip.require_empty(lambda: None)) is PickFailure.GRIPPER_NOT_EMPTY
    assert arm.calls == []


@SAYS
@pytest.mark.parametrize(("width_m", "calls"), [(0.0, 0), (0.085, 0), (0.05, 1)])
def test_empty_fingers_are_found_to_be_empty(says, width_m, calls):
    arm = ScriptedArm(width_m, says=says)
    grip, _ = grip_of(arm)
    grip.require_empty(lambda: None)
    assert len(arm.calls) == calls
