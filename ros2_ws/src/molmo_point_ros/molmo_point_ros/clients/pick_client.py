"""A blocking client of the picking node: `PickClient().pick("the red cube", place=("next to", "the blue ball"))`."""

from collections.abc import Callable
from typing import Any

from molmo_point_msgs.action import PickObject
from rclpy.node import Node
from std_srvs.srv import Trigger

from molmo_point.commands import PlaceStep, Relation
from molmo_point_ros.clients.action_caller import ActionCaller, duration_message
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError

_RELATIONS = {
    Relation.IN: PickObject.Goal.IN,
    Relation.ON: PickObject.Goal.ON,
    Relation.NEXT_TO: PickObject.Goal.NEXT_TO,
    Relation.ASIDE: PickObject.Goal.ASIDE,
    Relation.HAND_OVER: PickObject.Goal.HAND_OVER,
}
STOP_S = 5.0


class PickClient(ActionCaller):
    """Sends PickObject goals and waits for the results.

    Args:
        node: A node of yours; see `ActionCaller`.
        server: Name of the picking node, relative to the node's namespace, or absolute.
    """

    resend_s = 15.0
    """Long: what was sent twice would be cancelled once."""

    def __init__(self, node: Node | None = None, server: str = "molmo_pick") -> None:
        super().__init__(PickObject, f"{server}/pick_object", node)
        self._stop = self.node.create_client(Trigger, f"{server}/stop")

    def pick(
        self,
        query: str,
        place: PlaceStep | None = None,
        *,
        dry_run: bool = False,
        attempts: int = 0,
        timeout_s: float = 180.0,
        on_feedback: Callable[[PickObject.Feedback], None] | None = None,
    ) -> PickObject.Result:
        """Pick a thing up, put it somewhere, or both, and wait.

        Args:
            query: The thing in words; "" for what is held already.
            place: Where to put it; None keeps it.
            dry_run: Plan only.
            attempts: At most; 0 takes the node's own.
            timeout_s: For all of it, waiting for the node included.
            on_feedback: Called with every feedback message, in the thread that spins the node.

        Returns:
            The result, whatever its error code.

        Raises:
            GoalError: If the node is not there, does not take the goal, or gives no result in time.
        """
        goal = PickObject.Goal(query=query, dry_run=dry_run, attempts=attempts)
        if place is not None:
            goal.place_relation, goal.place_query = _RELATIONS[place.relation], place.where

        def timed(left_s: float) -> PickObject.Goal:
            goal.timeout = duration_message(left_s)
            return goal

        return self.call(timed, timeout_s, on_feedback)

    def stop(self, timeout_s: float = STOP_S) -> str:
        """Stop the arm, whoever moves it. Returns what the node says.

        Raises:
            GoalError: If the node does not answer.
        """
        if not self._stop.wait_for_service(timeout_sec=timeout_s):
            raise GoalError(ErrorCode.TIMEOUT, "There is no picking node to stop", f"{timeout_s:g} s", "use the arm's own stop")
        answer: Any = self._stop.call(Trigger.Request(), timeout_sec=timeout_s)
        if answer is None:
            raise GoalError(
                ErrorCode.TIMEOUT, "The picking node did not answer to stop", f"{timeout_s:g} s", "use the arm's own stop"
            )
        return answer.message
