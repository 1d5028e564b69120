"""The server of one action: takes goals, hands them to the node's queue, and ends them with their results."""

from collections.abc import Callable
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import CallbackGroup

from molmo_point_ros.nodes.action_goal import ActionGoal
from molmo_point_ros.nodes.goal_error import ErrorCode, code_name
from molmo_point_ros.nodes.goal_queue import GoalQueue

RESULT_TIMEOUT_S = 10
"""Time for which a result can still be asked for. Humble's default keeps a goal with its images for 15 minutes."""


class GoalServer:
    """Serves one action.

    It is made once: rclpy cannot destroy an action server while an executor waits on it. Cleanup keeps it, idle.

    Args:
        node: The node.
        action: The action type.
        name: Name of the action.
        queue: Shared by all actions of the node.
        make_goal: Makes the goal of a handle; None if the node shuts down.
        refusal: Returns the reason to reject a goal; "" accepts it.
        group: A reentrant callback group.
        on_cancel: Called at once with a goal that is to be canceled.
    """

    def __init__(
        self,
        node: Any,
        action: Any,
        name: str,
        queue: GoalQueue,
        make_goal: Callable[[Any], ActionGoal | None],
        refusal: Callable[[], str],
        group: CallbackGroup,
        on_cancel: Callable[[ActionGoal], None] = lambda goal: None,
    ) -> None:
        self._node, self._action, self._queue = node, action, queue
        self._make_goal, self._refusal, self._on_cancel = make_goal, refusal, on_cancel
        self._goals: dict[bytes, ActionGoal] = {}
        self._server = ActionServer(
            node,
            action,
            name,
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            handle_accepted_callback=self._on_accepted,
            cancel_callback=self._cancel,
            callback_group=group,
            result_timeout=RESULT_TIMEOUT_S,
        )

    def destroy(self) -> None:
        """End it; nothing may spin the node any more."""
        self._server.destroy()

    def _on_goal(self, request: Any) -> GoalResponse:
        refusal = self._refusal()
        if not refusal:
            return GoalResponse.ACCEPT
        self._node.get_logger().warning(f"rejected a goal: {refusal}")
        return GoalResponse.REJECT

    def _on_accepted(self, goal_handle: Any) -> None:
        goal = self._make_goal(goal_handle)
        if goal is None:
            goal_handle.execute()
            return
        self._goals[bytes(goal_handle.goal_id.uuid)] = goal
        self._queue.submit(goal)

    def _cancel(self, goal_handle: Any) -> CancelResponse:
        goal = self._goals.get(bytes(goal_handle.goal_id.uuid))
        if goal is not None:
            self._on_cancel(goal)
        return CancelResponse.ACCEPT

    def _execute(self, goal_handle: Any) -> Any:
        """Run in a thread of the executor, one goal at a time; dropped goals end meanwhile."""
        key = bytes(goal_handle.goal_id.uuid)
        goal = self._goals.get(key)
        if goal is None:
            goal_handle.abort()
            return self._action.Result(error_code=int(ErrorCode.GOAL_REJECTED), error_msg="The node shuts down.")
        try:
            result = goal.answer()
            _end(goal_handle, result.error_code)
            if result.error_code != ErrorCode.NONE:
                self._node.get_logger().warning(f"goal ended with {code_name(result.error_code)}: {result.error_msg}")
            return result
        finally:
            self._goals.pop(key, None)
            self._queue.done(goal)


def _end(goal_handle: Any, error_code: int) -> None:
    """Set the final state of a goal: succeeded, canceled on request, or aborted."""
    if error_code == ErrorCode.NONE:
        goal_handle.succeed()
    elif goal_handle.is_cancel_requested:
        goal_handle.canceled()
    else:
        goal_handle.abort()
