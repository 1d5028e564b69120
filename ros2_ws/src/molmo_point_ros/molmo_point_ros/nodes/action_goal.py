"""The part of a goal that every action shares: stopping, timeout, feedback, and a result with an error code."""

import threading
import time
import traceback
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from molmo_point.errors import InputError
from molmo_point_ros.conversions.field_checks import checked_duration_s
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError, brief, goal_error_of
from molmo_point_ros.nodes.goal_queue import QueuedGoal, StopReason

_STOPPED = {
    StopReason.PREEMPTED: (ErrorCode.CANCELED, "send one goal at a time, with all its queries"),
    StopReason.TIMED_OUT: (ErrorCode.TIMEOUT, "raise the goal's timeout or the parameter timeout_s"),
    StopReason.BUSY: (ErrorCode.GOAL_REJECTED, "send one goal at a time"),
}


class ActionGoal(QueuedGoal):
    """A goal that is worked on in the thread that calls `answer`, and stopped from any other.

    A subclass has the action's `Result` and `Feedback`, and does the work in `answer_into`.

    Args:
        goal_handle: rclpy's handle of the accepted goal.
        timeout_s: Used if the goal names none.
        logger: Of the node, for unexpected errors.
        is_alive: Returns false when the node shuts down.
    """

    Result: Any
    Feedback: Any

    def __init__(self, goal_handle: Any, timeout_s: float, logger: Any, is_alive: Callable[[], bool] = lambda: True) -> None:
        self.goal_handle, self.request = goal_handle, goal_handle.request
        self.stop_reason: StopReason | None = None
        self._timeout_s, self._refused = timeout_s, None
        try:
            self._timeout_s = checked_duration_s(self.request.timeout, "timeout") or timeout_s
        except InputError as error:
            # A goal that was accepted ends with a result: `answer` raises it.
            self._refused = error
        self._logger, self._is_alive = logger, is_alive
        self._started_s = time.monotonic()
        self._feedback = self.Feedback()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Have the node's executor run the action server's execute callback."""
        self.goal_handle.execute()

    def stop(self, reason: StopReason) -> None:
        """Ask for the end, from any thread; the first reason counts."""
        self.stop_reason = self.stop_reason or reason

    def should_stop(self) -> bool:
        """Tell whether the work must end. Asked between tokens, between motions, and while waiting."""
        if self.left_s <= 0:
            self.stop(StopReason.TIMED_OUT)
        if self.goal_handle.is_cancel_requested:
            self.stop(StopReason.CANCELED)
        if not self._is_alive():
            self.stop(StopReason.SHUTDOWN)
        return self.stop_reason is not None

    @property
    def elapsed_s(self) -> float:
        """Time since the goal was accepted, in seconds."""
        return time.monotonic() - self._started_s

    @property
    def left_s(self) -> float:
        """Time until the timeout, in seconds; negative after it."""
        return self._timeout_s - self.elapsed_s

    def answer(self) -> Any:
        """Do the work. Never raises: an error is in the result's error_code and error_msg."""
        result = self.Result()
        try:
            if self._refused is not None:
                raise self._refused
            if self.stop_reason is not None:
                raise self.stopped_error()
            self.answer_into(result)
        except Exception as error:
            told = goal_error_of(error)
            if told.code == ErrorCode.UNKNOWN:
                self._logger.error(traceback.format_exc())
            result.error_code, result.error_msg = int(told.code), brief(str(told))
        return result

    @abstractmethod
    def answer_into(self, result: Any) -> None:
        """Do the work, and fill the result.

        Raises:
            Exception: Any error; `goal_error_of` gives its code.
        """

    def stopped_error(self) -> GoalError:
        """Return the error of a goal that was stopped."""
        reason = self.stop_reason or StopReason.CANCELED
        code, fix = _STOPPED.get(reason, (ErrorCode.CANCELED, "send it again"))
        return GoalError(code, "The goal was stopped", f"{reason.value}, after {self.elapsed_s:.2f} s", fix)

    def _stamp_feedback(self) -> None:
        """Write the time since the acceptance into the feedback."""
        self._feedback.elapsed = self.elapsed_s

    def tell(self, **values: Any) -> None:
        """Publish feedback with the given fields changed; without any as a sign of life."""
        with self._lock:
            for name, value in values.items():
                setattr(self._feedback, name, value)
            self._stamp_feedback()
            if self.goal_handle.is_active:
                self.goal_handle.publish_feedback(self._feedback)
