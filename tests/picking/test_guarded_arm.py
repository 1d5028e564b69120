"""The arm of one command: stops between motions, errors, NaN, and poses that jump."""

import numpy as np
import pytest

from molmo_point.arm.joint_path import FollowEnd, JointPath
from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.event_log import PickStopped
from molmo_point.picking.guarded_arm import GuardedArm
from molmo_point.picking.states import PickFailure

from .scripted_arm import ScriptedArm, path


class Driver:
    """Hands everything on to the arm but what `broken` replaces."""

    def __init__(self, arm, **broken):
        self.arm = arm
        vars(self).update(broken)

    def __getattr__(self, name):
        return getattr(self.arm, name)


def guarded(arm, cancelled=lambda: False):
    guard = GuardedArm(arm)
    guard.begin(cancelled)
    return guard


def failure_of(work):
    with pytest.raises(PickStopped) as raised:
        work()
    return raised.value.failure


def raises(error):
    def work(*_, **__):
        raise error

    return work


def test_a_stop_between_two_motions_is_honored_and_the_second_one_does_not_begin():
    arm = ScriptedArm()
    permit = arm.resume()
    guard = guarded(arm, lambda: permit.revoked)
    assert guard.follow(path(0.0, 0.5)) is FollowEnd.DONE
    arm.stop()
    arm.resume()
    for motion in (lambda: guard.follow(path(0.5, 1.0)), lambda: guard.move_gripper(0.0), guard.check):
        assert failure_of(motion) is PickFailure.CANCELLED
    assert arm.calls == [("follow", 0.5)]


def test_a_caller_that_cancels_for_a_moment_ends_the_command_for_good():
    asked = []
    guard = guarded(ScriptedArm(), lambda: asked.append(1) or len(asked) == 1)
    assert failure_of(guard.check) is PickFailure.CANCELLED
    assert failure_of(guard.check) is PickFailure.CANCELLED


@pytest.mark.parametrize("error", [RuntimeError("no connection"), AssertionError(), InputError("elsewhere"), KeyError(1)])
def test_an_error_in_motion_is_a_failure_of_the_arm_and_stops_it(error):
    arm = ScriptedArm()
    assert failure_of(lambda: guarded(Driver(arm, follow=raises(error))).follow(path(0.0, 0.5))) is PickFailure.ARM_FAILED
    assert arm.stopped


@pytest.mark.parametrize(("away_m", "turn_rad", "failure"), [(0.1, 0.0, True), (0.0, 0.5, True), (0.02, 0.0, False)])
def test_a_planned_path_that_leads_elsewhere_is_a_failure_of_the_arm(away_m, turn_rad, failure):
    arm = ScriptedArm()
    guard = guarded(Driver(arm, plan=lambda *_, **__: path(0.0, 0.5)))
    turn = np.array([[np.cos(turn_rad), -np.sin(turn_rad), 0], [np.sin(turn_rad), np.cos(turn_rad), 0], [0, 0, 1.0]])
    planned = guard.plan([Transform("base", "tool", turn, arm.base_T_tool().translation_m + np.array([away_m, 0, 0]))])
    assert isinstance(planned, JointPath)
    if failure:
        assert failure_of(lambda: guard.follow(planned)) is PickFailure.ARM_FAILED
    else:
        assert guard.follow(planned) is FollowEnd.DONE


def test_a_planner_that_gives_no_path_and_no_reason_is_a_failure_of_the_arm():
    arm = ScriptedArm()
    guard = guarded(Driver(arm, plan=lambda *_, **__: None))
    assert failure_of(lambda: guard.plan([arm.base_T_tool()])) is PickFailure.ARM_FAILED


def test_an_interrupt_in_motion_stops_the_arm_and_passes_on():
    arm = ScriptedArm()
    with pytest.raises(KeyboardInterrupt):
        guarded(Driver(arm, move_gripper=raises(KeyboardInterrupt()))).move_gripper(0.0)
    assert arm.stopped


def test_the_end_of_a_motion_is_noted_also_after_an_error():
    arm = ScriptedArm()
    guard = guarded(arm)
    guard.follow(path(0.0, 0.5))
    assert guard.still_since_ns == arm.now_ns() == 2_000_000_000
    arm.wait(1.0)
    guard._arm = Driver(arm, follow=raises(RuntimeError()))
    failure_of(lambda: guard.follow(path(0.5, 0.0)))
    assert guard.still_since_ns == 3_000_000_000


@pytest.mark.parametrize(
    ("name", "value", "ask"),
    [
        ("gripper_width", float("nan"), lambda guard: guard.gripper_width()),
        ("gripper_width", float("inf"), lambda guard: guard.gripper_width()),
        ("gripper_width", -1.0, lambda guard: guard.gripper_width()),
        ("gripper_width", None, lambda guard: guard.gripper_width()),
        ("gripper_width", float("nan"), lambda guard: guard.move_gripper(0.0)),
        ("joint_positions", np.array([np.nan]), lambda guard: guard.joint_positions()),
        ("joint_positions", np.array([np.nan]), lambda guard: guard.plan([])),
        ("joint_positions", np.array([np.nan]), lambda guard: guard.follow(path(0.0, 0.5))),
    ],
)
def test_what_is_not_a_number_is_a_failure_of_the_arm(name, value, ask):
    guard = guarded(Driver(ScriptedArm(), **{name: lambda: value}))
    assert failure_of(lambda: ask(guard)) is PickFailure.ARM_FAILED


def test_an_arm_that_claims_to_be_done_elsewhere_has_failed():
    guard = guarded(Driver(ScriptedArm(), follow=lambda *_, **__: FollowEnd.DONE))
    assert failure_of(lambda: guard.follow(path(0.0, 0.5))) is PickFailure.ARM_FAILED


def test_an_arm_that_is_blocked_while_somebody_stops_it_is_cancelled():
    arm = ScriptedArm()
    permit = arm.resume()
    guard = guarded(Driver(arm, follow=lambda *_, **__: arm.stop() or FollowEnd.BLOCKED), lambda: permit.revoked)
    assert failure_of(lambda: guard.follow(path(0.0, 0.5))) is PickFailure.CANCELLED
    assert failure_of(lambda: guarded(Driver(arm, follow=lambda *_, **__: FollowEnd.BLOCKED)).follow(path(0.0, 0.5))) is (
        PickFailure.COLLISION
    )


@pytest.mark.parametrize(
    "pose",
    [
        raises(FrameError("no such frame")),
        raises(LookupError("no transform")),
        lambda *_: None,
        lambda *_: Transform.identity("map", "fixed"),
        lambda *_: Transform.identity("base", "wrist"),
    ],
)
def test_a_camera_without_its_pose_is_no_transform(pose):
    assert failure_of(lambda: guarded(Driver(ScriptedArm(), base_T_camera=pose)).base_T_camera("fixed", 1)) is (
        PickFailure.NO_TRANSFORM
    )


def test_a_fixed_camera_that_jumps_ends_the_command():
    arm = ScriptedArm()
    guard = guarded(arm)
    before = guard.base_T_camera("fixed", arm.now_ns())
    arm.pose = jumped = Transform("base", "fixed", before.rotation, before.translation_m + 0.05)
    assert failure_of(lambda: guard.base_T_camera("fixed", arm.now_ns())) is PickFailure.NO_TRANSFORM
    for pose in (arm.pose, before):
        arm.pose = pose
        guard.begin(lambda: False)
        assert guard.base_T_camera("fixed", arm.now_ns()) is pose, "the next command believes either"
    arm.pose = jumped
    assert failure_of(lambda: guard.base_T_camera("fixed", arm.now_ns())) is PickFailure.NO_TRANSFORM


def test_a_camera_on_the_hand_is_where_the_hand_carries_it():
    arm = ScriptedArm()
    mount = Transform("tool", "wrist", np.eye(3), np.array([0.0, -0.08, 0.0]))
    true = arm.base_T_tool() @ mount
    told = Driver(arm, tool_T_camera=lambda frame: mount, base_T_camera=lambda frame, stamp_ns: true)
    guard = guarded(told)
    assert guard.base_T_camera("wrist", arm.now_ns()) is true
    told.base_T_camera = lambda frame, stamp_ns: arm.base_T_tool() @ Transform.identity("tool", "wrist")
    assert failure_of(lambda: guard.base_T_camera("wrist", arm.now_ns())) is PickFailure.NO_TRANSFORM


def test_an_arm_that_cannot_be_reached_at_all_is_a_failure_and_not_an_error():
    dead = raises(ConnectionError("gone"))
    names = ("stop", "now_ns", "wait", "joint_positions", "gripper_width", "follow", "move_gripper", "plan", "plan_home")
    guard = guarded(ScriptedArm())
    guard._arm = Driver(ScriptedArm(), **dict.fromkeys((*names, "is_gripping", "base_T_tool", "spend_answer_time"), dead))
    for ask in (guard.now_ns, guard.joint_positions, guard.gripper_width, guard.plan_home, guard.base_T_tool, guard.is_gripping):
        assert failure_of(ask) is PickFailure.ARM_FAILED
    assert failure_of(lambda: guard.follow(path(0.0, 0.5))) is PickFailure.ARM_FAILED
    assert guard.clock_ns() == 1_000_000_000
