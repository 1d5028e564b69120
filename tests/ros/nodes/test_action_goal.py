"""The part of a goal that all actions share: its stop, its timeout, and the code of its error."""

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from molmo_point_msgs.action import CountObjects
from molmo_point_ros.nodes.action_goal import ActionGoal
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError, code_name
from molmo_point_ros.nodes.goal_queue import StopReason

from molmo_point.errors import CameraError, CheckpointError, DepthInputError, FrameError, InputError

pytestmark = pytest.mark.ros


class ScriptedGoal(ActionGoal):
    """Raises an error, or works until it is told to stop."""

    Result, Feedback = CountObjects.Result, CountObjects.Feedback
    error = None

    def answer_into(self, result):
        if self.error is not None:
            raise self.error
        if self.should_stop():
            raise self.stopped_error()


def made(error=None, timeout_s=60.0, is_alive=True, is_cancel_requested=False):
    logged = []
    handle = SimpleNamespace(request=CountObjects.Goal(), is_cancel_requested=is_cancel_requested, is_active=False)
    goal = ScriptedGoal(handle, timeout_s, SimpleNamespace(error=logged.append), lambda: is_alive)
    goal.error = error
    return goal, logged


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("depth is only a word here"), ErrorCode.GOAL_REJECTED),
        (DepthInputError("no word tells"), ErrorCode.NO_DEPTH),
        (CameraError("lost"), ErrorCode.NO_IMAGE),
        (FrameError("unknown"), ErrorCode.TF_ERROR),
        (CheckpointError("broken"), ErrorCode.MODEL_ERROR),
        (GoalError(ErrorCode.SYNC_ERROR, "skew"), ErrorCode.SYNC_ERROR),
    ],
)
def test_the_class_of_an_error_decides_its_code(error, code):
    goal, logged = made(error)
    result = goal.answer()
    assert (result.error_code, result.error_msg) == (code, str(error)) and not logged


def test_an_unexpected_error_is_unknown_and_logged_with_its_traceback():
    goal, logged = made(ZeroDivisionError("oops"))
    result = goal.answer()
    assert result.error_code == ErrorCode.UNKNOWN and "oops" in result.error_msg and "Traceback" in logged[0]


@pytest.mark.parametrize(
    ("options", "reason", "code"),
    [
        ({"timeout_s": 0.0}, StopReason.TIMED_OUT, ErrorCode.TIMEOUT),
        ({"is_alive": False}, StopReason.SHUTDOWN, ErrorCode.CANCELED),
        ({"is_cancel_requested": True}, StopReason.CANCELED, ErrorCode.CANCELED),
    ],
)
def test_a_stop_has_its_reason_and_code(options, reason, code):
    goal, _ = made(**options)
    result = goal.answer()
    assert (goal.stop_reason, result.error_code) == (reason, code) and reason.value in result.error_msg


def test_the_first_reason_counts_and_a_goal_dropped_while_busy_is_rejected():
    goal, _ = made()
    goal.stop(StopReason.BUSY)
    goal.stop(StopReason.SHUTDOWN)
    assert goal.answer().error_code == ErrorCode.GOAL_REJECTED and goal.stop_reason is StopReason.BUSY


def test_every_code_of_an_action_has_a_name():
    assert code_name(CountObjects.Result.SYNC_ERROR) == "SYNC_ERROR" and code_name(12345) == "12345"
    result = CountObjects.Result
    assert {name: getattr(result, name) for name in ErrorCode.__members__ if hasattr(result, name)}.items() <= {
        code.name: code.value for code in ErrorCode
    }.items()
