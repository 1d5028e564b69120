"""A blocking client of the picking node: `PickClient().pick("the red cube", PlaceStep(Relation.NEXT_TO, "blue ball"))`."""

import contextlib
import sys
from collections.abc import Callable
from typing import Any

from molmo_point_msgs.action import PickObject
from rclpy.node import Node
from std_srvs.srv import Trigger

from molmo_point.commands import PlaceStep
from molmo_point_ros.clients.action_caller import ActionCall, ActionCaller, duration_message
from molmo_point_ros.conversions.field_checks import checked_timeout_s
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError
from molmo_point_ros.picking.pick_goal import RELATIONS

_CONSTANTS = {relation: constant for constant, relation in RELATIONS.items()}
STOP_S = 5.0
_LATE_S = 1.0


class PickClient(ActionCaller):
    """Sends PickObject goals and waits for the results.

    Args:
        node: A node of yours; see `ActionCaller`.
        server: Name of the picking node, relative to the node's namespace, or absolute.

    Attributes:
        stop_answer: Answer of the node to the stop of an interrupted program; "" before.
    """

    stop_answer = ""

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
        """Pick up an object, place it, or both, and wait.

        Args:
            query: Words for the object; "" places the object in the gripper.
            place: Place of the object; None keeps it in the gripper.
            dry_run: True plans only.
            attempts: Largest number of attempts; 0 takes the node's parameter.
            timeout_s: Time for all of it, waiting for the node included, seconds.
            on_feedback: Called with every feedback message, in the thread that spins the node.

        Returns:
            The result, with any error code.

        Raises:
            GoalError: If the node is not there, does not take the goal, or gives no result in time.
        """
        goal = PickObject.Goal(query=query, dry_run=dry_run, attempts=attempts)
        if place is not None:
            goal.place_relation, goal.place_query = _CONSTANTS[place.relation], place.where

        def timed(left_s: float) -> PickObject.Goal:
            goal.timeout = duration_message(left_s)
            return goal

        return self.call(timed, timeout_s, on_feedback)

    def abandon(self, call: ActionCall) -> None:
        """Cancel the goal, and stop the arm if the program was interrupted: nothing may move behind its back."""
        super().abandon(call)
        if not isinstance(sys.exc_info()[1], Exception):
            was_answered = call.wait_answered(0.0)
            with contextlib.suppress(GoalError):
                self.stop_answer = self.stop()
                # The goal may have been accepted after the stop.
                if not was_answered and call.wait_answered(_LATE_S):
                    self.stop()

    def stop(self, timeout_s: float = STOP_S) -> str:
        """Stop the arm, and return the node's answer.

        Raises:
            GoalError: If the node does not answer.
            InputError: If the timeout is no number of seconds.
        """
        checked_timeout_s(timeout_s)
        if not self._stop.wait_for_service(timeout_sec=timeout_s):
            raise GoalError(ErrorCode.TIMEOUT, "The picking node must run", f"{timeout_s:g} s", "use the arm's own stop")
        answer: Any = self._stop.call(Trigger.Request(), timeout_sec=timeout_s)
        if answer is None:
            raise GoalError(
                ErrorCode.TIMEOUT, "The picking node did not answer to stop", f"{timeout_s:g} s", "use the arm's own stop"
            )
        return answer.message
