"""Blocking clients of any action, for programs without a state machine."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
import rclpy
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from unique_identifier_msgs.msg import UUID

from molmo_point_ros.conversions.field_checks import checked_timeout_s
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError
from molmo_point_ros.nodes.goal_server import BURST

_CANCEL_GRACE_S = 5.0
_ASK_S = 4.0
"""Time without an answer after which the end of the goal is asked for by its id."""
_Caller = TypeVar("_Caller", bound="ActionCaller")


class ActionCall:
    """A sent goal. It is sent once: a goal whose answer is late may be at work.

    Attributes:
        feedback: Feedback messages so far.
        goal_id: Identity of the goal, known before the node answers.
    """

    def __init__(self, client: ActionClient, on_feedback: Callable[[Any], None] | None, goal_id: bytes) -> None:
        self.feedback: list[Any] = []
        self.goal_id = UUID(uuid=np.frombuffer(goal_id, np.uint8))
        self._client = client
        self._on_feedback = on_feedback
        self._answered = threading.Event()
        self._ended = threading.Event()
        self._result: Any = None
        self._cancel_wanted = False

    def result(self, timeout_s: float | None = None) -> Any:
        """Wait for the result, with any error code.

        Raises:
            GoalError: GOAL_REJECTED if the node rejected the goal, TIMEOUT if no result arrived in time.
            InputError: If the timeout is no number of seconds.
        """
        if not self._ended.wait(None if timeout_s is None else checked_timeout_s(timeout_s)):
            raise GoalError(ErrorCode.TIMEOUT, "No result arrived in time", f"{timeout_s:g} s", "see its node's log")
        if self._result is None:
            fix = "activate the pointing node; an arm takes one goal at a time"
            raise GoalError(ErrorCode.GOAL_REJECTED, "The node rejected the goal", "", fix)
        return self._result

    def wait_answered(self, timeout_s: float) -> bool:
        """Wait until the node has accepted or rejected the goal. Returns True if it has."""
        return self._answered.wait(timeout_s)

    def wait_ended(self, timeout_s: float) -> bool:
        """Wait until the goal has ended or was rejected. Returns True if it has."""
        return self._ended.wait(timeout_s)

    def cancel(self) -> None:
        """Ask for the end; the result follows soon, with the code CANCELED. Needs no answer of the node."""
        self._cancel_wanted = True
        if not self._ended.is_set():
            self._handle().cancel_goal_async()

    def ask_end(self) -> None:
        """Ask for the result by the goal's id: the answer to the goal may be lost."""
        self._handle().get_result_async().add_done_callback(self._take_result)

    def _handle(self) -> ClientGoalHandle:
        response = self._client._action_type.Impl.SendGoalService.Response(accepted=True)
        return ClientGoalHandle(self._client, self.goal_id, response)

    def _take_feedback(self, message: Any) -> None:
        self.feedback.append(message.feedback)
        if self._on_feedback is not None:
            self._on_feedback(message.feedback)

    def _take_answer(self, future: Any) -> None:
        handle = future.result()
        if handle is None or not handle.accepted:
            self._answered.set()
            self._ended.set()
            return
        self._answered.set()
        # A cancellation that was sent before the node knew the goal had no effect.
        if self._cancel_wanted:
            self.cancel()
        self.ask_end()

    def _take_result(self, future: Any) -> None:
        response = future.result()
        # The node does not know the goal: it may be on its way.
        if response is None or response.status == GoalStatus.STATUS_UNKNOWN:
            return
        self._result = response.result
        self._answered.set()
        self._ended.set()


class ActionCaller:
    """Sends goals of one action and waits for the results.

    Args:
        action: The action type.
        name: Name of the action, relative to the node's namespace, or absolute.
        node: Your node. If no executor spins it, the client does, in a thread of its own; None makes a node.
    """

    def __init__(self, action: Any, name: str, node: Node | None = None) -> None:
        self._own_node = node is None
        self.node = node or rclpy.create_node(f"{name.rsplit('/', 1)[-1]}_client")
        # As the servers: the default depth of 10 loses results of a burst.
        burst = {f"{service}_service_qos_profile": BURST for service in ("goal", "result", "cancel")}
        self._client = ActionClient(self.node, action, name, **burst)
        self._executor: SingleThreadedExecutor | None = None
        self._closed = self._is_canceled = False
        self._current: ActionCall | None = None
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
        """Wait for the action's server. Returns True if it is found in time.

        Raises:
            InputError: If the timeout is no number of seconds.
        """
        return self._client.wait_for_server(timeout_sec=checked_timeout_s(timeout_s))

    def dispatch(self, goal: Any, on_feedback: Callable[[Any], None] | None = None) -> ActionCall:
        """Send a goal message without waiting for it."""
        call = ActionCall(self._client, on_feedback, self.new_goal_id())
        # In the executor's thread: rclpy loses a goal's response that another thread takes while the goal is being sent.
        self.node.executor.create_task(self._send, goal, call)
        return call

    def new_goal_id(self) -> bytes:
        """Return the id of the next goal, 16 bytes."""
        return uuid4().bytes

    def _send(self, goal: Any, call: ActionCall) -> None:
        sent = self._client.send_goal_async(goal, feedback_callback=call._take_feedback, goal_uuid=call.goal_id)
        sent.add_done_callback(call._take_answer)

    def call(self, make_goal: Callable[[float], Any], timeout_s: float, on_feedback: Callable[[Any], None] | None = None) -> Any:
        """Wait for the server, send a goal, and wait for its result, with any error code.

        Args:
            make_goal: Returns the goal message for the remaining seconds.
            timeout_s: Timeout for all of it, in seconds.
            on_feedback: Called with every feedback message, in the thread that spins the node.

        Raises:
            GoalError: TIMEOUT without a server, or without a result in time; GOAL_REJECTED for a rejected goal.
            InputError: If the timeout is no number of seconds.
        """
        started_s = time.monotonic()
        if not self.wait_for_server(timeout_s):
            given = f"action {self._client._action_name}, {timeout_s:g} s"
            raise GoalError(ErrorCode.TIMEOUT, "No node serves this action", given, "start it, or name it")
        left_s = max(timeout_s - (time.monotonic() - started_s), 0.05)
        if self._is_canceled:
            raise GoalError(ErrorCode.CANCELED, "The goal was canceled before it was sent", "", "send it again")
        call = self._current = self.dispatch(make_goal(left_s), on_feedback)
        try:
            if self._is_canceled:
                call.cancel()
            deadline_s = time.monotonic() + left_s + _CANCEL_GRACE_S
            # A new server may not have discovered this client yet: its answer is lost, and the goal is at work.
            while not call.wait_answered(min(_ASK_S, max(deadline_s - time.monotonic(), 0.0))):
                if time.monotonic() >= deadline_s:
                    break
                self.node.executor.create_task(call.ask_end)
            return call.result(max(deadline_s - time.monotonic(), 0.0))
        except BaseException:
            self.abandon(call)
            raise

    def cancel(self) -> None:
        """Cancel the goal of `call`, from any thread; one that is not sent yet is not sent, now or later."""
        self._is_canceled = True
        if self._current is not None:
            self._current.cancel()

    def abandon(self, call: ActionCall) -> None:
        """End a goal that nobody waits for any more: the caller was interrupted, or no result came in time."""
        call.cancel()

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


def duration_message(seconds: float, name: str = "timeout_s") -> Duration:
    """Return a timeout in seconds as a message.

    Raises:
        InputError: If it is not finite, negative, or longer than a day.
    """
    checked_timeout_s(seconds, name)
    return Duration(sec=int(seconds), nanosec=int((seconds % 1) * 1e9))
