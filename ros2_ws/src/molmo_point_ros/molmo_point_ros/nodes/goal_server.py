"""An action of the node: accepts goals while the node is active, and hands them to the queue that all actions share."""

from collections.abc import Callable
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import CallbackGroup

from molmo_point_ros.nodes.goal_error import CODES, code_name
from molmo_point_ros.nodes.goal_queue import GoalQueue
from molmo_point_ros.pointing.action_goal import ActionGoal

RESULT_TIMEOUT_S = 10
"""How long a result can still be asked for. Humble keeps a goal, images and all, for 15 minutes if it is not told."""


def end_goal(goal_handle: Any, error_code: int) -> None:
    """Tell the client's side how a goal ended: well, cancelled where that was asked for, or aborted."""
    if error_code == CODES.NONE:
        goal_handle.succeed()
    elif goal_handle.is_cancel_requested:
        goal_handle.canceled()
    else:
        goal_handle.abort()


class GoalServer:
    """Serves one action.

    Made once: rclpy cannot destroy an action server while an executor waits on it, so cleanup keeps it, idle.

    Args:
        node: The node.
        action: The action type.
        name: Its name.
        queue: Shared by all actions: one model, one goal at a time.
        make_goal: Makes the goal of a handle; None where the node is being shut down.
        is_active: Whether goals are taken.
        group: Reentrant.
    """

    def __init__(
        self,
        node: Any,
        action: Any,
        name: str,
        queue: GoalQueue,
        make_goal: Callable[[Any], ActionGoal | None],
        is_active: Callable[[], bool],
        group: CallbackGroup,
    ) -> None:
        self._node, self._action, self._queue = node, action, queue
        self._make_goal, self._is_active = make_goal, is_active
        self._goals: dict[bytes, ActionGoal] = {}
        self._server = ActionServer(
            node,
            action,
            name,
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            handle_accepted_callback=self._on_accepted,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=group,
            result_timeout=RESULT_TIMEOUT_S,
        )

    def destroy(self) -> None:
        """End it; nothing may spin the node any more."""
        self._server.destroy()

    def _on_goal(self, request: Any) -> GoalResponse:
        if self._is_active():
            return GoalResponse.ACCEPT
        self._node.get_logger().warning("a goal was rejected: the node is not active")
        return GoalResponse.REJECT

    def _on_accepted(self, goal_handle: Any) -> None:
        goal = self._make_goal(goal_handle)
        if goal is None:
            goal_handle.execute()
            return
        self._goals[bytes(goal_handle.goal_id.uuid)] = goal
        self._queue.submit(goal)

    def _execute(self, goal_handle: Any) -> Any:
        """Runs in a thread of the executor, one goal at a time; only goals that were dropped end beside it."""
        goal = self._goals.pop(bytes(goal_handle.goal_id.uuid), None)
        if goal is None:
            goal_handle.abort()
            return self._action.Result(error_code=CODES.GOAL_REJECTED, error_msg="The node is being shut down.")
        try:
            result = goal.answer()
            end_goal(goal_handle, result.error_code)
            if result.error_code != CODES.NONE:
                self._node.get_logger().warning(f"goal ended with {code_name(result.error_code)}: {result.error_msg}")
            return result
        finally:
            self._queue.done(goal)
