"""Blocking clients of any action, for programs without a state machine."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import rclpy
from builtin_interfaces.msg import Duration
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError

_CANCEL_GRACE_S = 5.0
_Caller = TypeVar("_Caller", bound="ActionCaller")


class ActionCall:
    """A sent goal.

    Attributes:
        feedback: Feedback messages so far.
    """

    def __init__(self, on_feedback: Callable[[Any], None] | None) -> None:
        self.feedback: list[Any] = []
        self._on_feedback = on_feedback
        self._handle: Any = None
        self._accepted = threading.Event()
        self._ended = threading.Event()
        self._result: Any = None
        self._cancel_wanted = False

    def result(self, timeout_s: float | None = None) -> Any:
        """Wait for the result, with any error code.

        Raises:
            GoalError: GOAL_REJECTED if the node rejected the goal, TIMEOUT if no result arrived in time.
        """
        if not self._ended.wait(timeout_s):
            raise GoalError(ErrorCode.TIMEOUT, "No result arrived in time", f"{timeout_s:g} s", "see its node's log")
        if self._result is None:
            fix = "activate the pointing node; an arm takes one goal at a time"
            raise GoalError(ErrorCode.GOAL_REJECTED, "The node rejected the goal", "", fix)
        return self._result

    def wait_answered(self, timeout_s: float) -> bool:
        """Wait until the node has accepted or rejected the goal. Returns True if it has."""
        return self._accepted.wait(timeout_s)

    def wait_ended(self, timeout_s: float) -> bool:
        """Wait until the goal has ended or was rejected. Returns True if it has."""
        return self._ended.wait(timeout_s)

    def cancel(self) -> None:
        """Ask for the end; the result follows soon, with the code CANCELED."""
        self._cancel_wanted = True
        if self._handle is not None:
            self._handle.cancel_goal_async()

    def _take_feedback(self, message: Any) -> None:
        self.feedback.append(message.feedback)
        if self._on_feedback is not None:
            self._on_feedback(message.feedback)

    def _take_handle(self, future: Any) -> None:
        handle = future.result()
        self._accepted.set()
        if handle is None or not handle.accepted:
            self._ended.set()
            return
        self._handle = handle
        if self._cancel_wanted:
            handle.cancel_goal_async()
        handle.get_result_async().add_done_callback(self._take_result)

    def _take_result(self, future: Any) -> None:
        response = future.result()
        self._result = None if response is None else response.result
        self._ended.set()


class ActionCaller:
    """Sends goals of one action and waits for the results.

    Args:
        action: The action type.
        name: Name of the action, relative to the node's namespace, or absolute.
        node: Your node. If no executor spins it, the client does, in a thread of its own; None makes a node.

    Attributes:
        resend_s: Time without a response after which a goal is sent again, in seconds.
    """

    resend_s = 4.0

    def __init__(self, action: Any, name: str, node: Node | None = None) -> None:
        self._own_node = node is None
        self.node = node or rclpy.create_node(f"{name.rsplit('/', 1)[-1]}_client")
        self._client = ActionClient(self.node, action, name)
        self._executor: SingleThreadedExecutor | None = None
        self._closed = False
        if self.node.executor is None:
            self._executor = SingleThreadedExecutor()
            self._executor.add_node(self.node)
            self._thread = threading.Thread(target=self._spin, name="action_client", daemon=True)
            self._thread.start()

    def _spin(self) -> None:
        # An entity destroyed while the executor waits on it makes only one wait fail.
        while not self._closed and self.node.context.ok():
            try:
                self._executor.spin_once(timeout_sec=0.5)
            except Exception as error:
                if not self._closed and self.node.context.ok():
                    self.node.get_logger().warning(f"the client continues after: {error!r}")

    def wait_for_server(self, timeout_s: float = 10.0) -> bool:
        """Wait for the action's server. Returns True if it is found in time."""
        return self._client.wait_for_server(timeout_sec=timeout_s)

    def dispatch(self, goal: Any, on_feedback: Callable[[Any], None] | None = None) -> ActionCall:
        """Send a goal message without waiting for it."""
        call = ActionCall(on_feedback)
        # In the executor's thread: rclpy loses a goal's response that another thread takes while the goal is being sent.
        self.node.executor.create_task(self._send, goal, call)
        return call

    def _send(self, goal: Any, call: ActionCall) -> None:
        self._client.send_goal_async(goal, feedback_callback=call._take_feedback).add_done_callback(call._take_handle)

    def call(self, make_goal: Callable[[float], Any], timeout_s: float, on_feedback: Callable[[Any], None] | None = None) -> Any:
        """Wait for the server, send a goal, and wait for its result, with any error code.

        Args:
            make_goal: Returns the goal message for the remaining seconds.
            timeout_s: Timeout for all of it, in seconds.
            on_feedback: Called with every feedback message, in the thread that spins the node.

        Raises:
            GoalError: TIMEOUT without a server, or without a result in time; GOAL_REJECTED for a rejected goal.
        """
        started_s = time.monotonic()
        if not self.wait_for_server(timeout_s):
            given = f"action {self._client._action_name}, {timeout_s:g} s"
            raise GoalError(ErrorCode.TIMEOUT, "No node serves this action", given, "start it, or name it")
        while True:
            left_s = max(timeout_s - (time.monotonic() - started_s), 0.05)
            call = self.dispatch(make_goal(left_s), on_feedback)
            # A new server may not have discovered this client yet: its response is then lost.
            if call.wait_answered(min(left_s, self.resend_s)) or left_s <= self.resend_s:
                break
            call.cancel()
        try:
            return call.result(left_s + _CANCEL_GRACE_S)
        except BaseException:
            call.cancel()
            raise

    def close(self) -> None:
        """End the client; a given node stays, without a spinning thread."""
        self._closed = True
        if self._executor is not None:
            self._executor.wake()
            self._thread.join(timeout=5.0)
            self._executor.remove_node(self.node)
            self._executor.shutdown(timeout_sec=2.0)
            self._client.destroy()
        else:
            # In the executor's thread: rclpy cannot destroy an action client that another thread waits on.
            self.node.executor.create_task(self._client.destroy)
        if self._own_node:
            self.node.destroy_node()

    def __enter__(self: _Caller) -> _Caller:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def duration_message(seconds: float) -> Duration:
    """Return seconds, which must not be negative, as a message."""
    return Duration(sec=int(seconds), nanosec=int((seconds % 1) * 1e9))
