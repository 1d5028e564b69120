"""The server of one action: takes goals, hands them to the node's queue, and ends them with their results."""

import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import CallbackGroup
from rclpy.qos import QoSProfile

from molmo_point_ros.nodes.action_goal import ActionGoal
from molmo_point_ros.nodes.goal_error import ErrorCode, brief, code_name
from molmo_point_ros.nodes.goal_queue import GoalQueue

RESULT_TIMEOUT_S = 10
"""Time for which a result can still be asked for. Humble's default keeps a goal with its images for 15 minutes."""
BURST = QoSProfile(depth=1000)
"""QoS of the services of an action. With the default depth of 10, a burst of goals loses requests and results."""
_MOST_TICKETS = 1000
_CANCELING_S, _CHECK_S = 0.5, 0.002


class GoalServer:
    """Serves one action.

    It is made once: rclpy cannot destroy an action server while an executor waits on it. Cleanup keeps it, idle.

    Args:
        node: The node.
        action: The action type.
        name: Name of the action.
        queue: Shared by all actions of the node.
        make_goal: Makes the goal of a handle and its ticket; None if the node takes no more goals.
        refusal: Returns the reason to reject a goal; "" accepts it.
        group: A reentrant callback group.
        ticket: Called when a goal is accepted, before the client knows: its value goes to `make_goal`.
        on_cancel: Called at once with a goal that is to be canceled.
    """

    def __init__(
        self,
        node: Any,
        action: Any,
        name: str,
        queue: GoalQueue,
        make_goal: Callable[[Any, Any], ActionGoal | None],
        refusal: Callable[[], str],
        group: CallbackGroup,
        ticket: Callable[[], Any] = lambda: None,
        on_cancel: Callable[[ActionGoal], None] = lambda goal: None,
    ) -> None:
        self._node, self._action, self._queue = node, action, queue
        self._make_goal, self._refusal, self._ticket, self._on_cancel = make_goal, refusal, ticket, on_cancel
        self._goals: dict[bytes, ActionGoal] = {}
        self._canceling: set[bytes] = set()
        self._lock = threading.Lock()
        self._tickets: dict[int, tuple[Any, Any]] = {}
        self._server = ActionServer(
            node,
            action,
            name,
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            handle_accepted_callback=self._on_accepted,
            cancel_callback=self._cancel,
            callback_group=group,
            goal_service_qos_profile=BURST,
            result_service_qos_profile=BURST,
            cancel_service_qos_profile=BURST,
            result_timeout=RESULT_TIMEOUT_S,
        )

    @property
    def is_idle(self) -> bool:
        """True if every accepted goal has ended."""
        return not self._goals and not self._tickets

    def destroy(self) -> None:
        """End it; nothing may spin the node any more."""
        self._server.destroy()

    def _on_goal(self, request: Any) -> GoalResponse:
        refusal = self._refusal()
        if refusal:
            self._node.get_logger().warning(f"rejected a goal: {refusal}")
            return GoalResponse.REJECT
        with self._lock:
            # The client learns of the acceptance before `_on_accepted` is called. What it does then, such as a stop, must
            # find the goal. The request is kept with its ticket, so that no other one gets its identity.
            self._tickets[id(request)] = (request, self._ticket())
            while len(self._tickets) > _MOST_TICKETS:
                del self._tickets[next(iter(self._tickets))]
        return GoalResponse.ACCEPT

    def _on_accepted(self, goal_handle: Any) -> None:
        key = bytes(goal_handle.goal_id.uuid)
        with self._lock:
            known = self._tickets.get(id(goal_handle.request))
        goal = self._make_goal(goal_handle, known[1] if known is not None else self._ticket())
        if goal is not None:
            self._goals[key] = goal
        with self._lock:
            self._tickets.pop(id(goal_handle.request), None)
        if goal is None:
            goal_handle.execute()
            return
        self._queue.submit(goal)

    def _cancel(self, goal_handle: Any) -> CancelResponse:
        key = bytes(goal_handle.goal_id.uuid)
        goal = self._goals.get(key)
        if goal is not None:
            self._canceling.add(key)
            self._on_cancel(goal)
        return CancelResponse.ACCEPT

    def _execute(self, goal_handle: Any) -> Any:
        """Run in a thread of the executor, one goal at a time; dropped goals end meanwhile."""
        key = bytes(goal_handle.goal_id.uuid)
        goal = self._goals.get(key)
        if goal is None:
            goal_handle.abort()
            return self._action.Result(error_code=int(ErrorCode.CANCELED), error_msg="The node takes no more goals.")
        try:
            result = goal.answer()
            if key in self._canceling:
                _await_cancel_request(goal_handle)
            _end(goal_handle, result.error_code)
            if result.error_code != ErrorCode.NONE:
                self._node.get_logger().warning(f"goal ended with {code_name(result.error_code)}: {brief(result.error_msg)}")
            return result
        finally:
            self._goals.pop(key, None)
            self._canceling.discard(key)
            self._queue.done(goal)


def _await_cancel_request(goal_handle: Any) -> None:
    """Wait until rclpy has noted the cancellation that `_cancel` has allowed; the goal may have ended faster."""
    deadline_s = time.monotonic() + _CANCELING_S
    while goal_handle.is_active and not goal_handle.is_cancel_requested and time.monotonic() < deadline_s:
        time.sleep(_CHECK_S)


def _end(goal_handle: Any, error_code: int) -> None:
    """Set the final state of a goal: succeeded, canceled on request, or aborted."""
    if error_code == ErrorCode.NONE:
        goal_handle.succeed()
    elif goal_handle.is_cancel_requested:
        goal_handle.canceled()
    else:
        goal_handle.abort()
