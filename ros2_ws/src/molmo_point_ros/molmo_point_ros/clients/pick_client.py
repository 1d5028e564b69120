"""A blocking client of the picking node: `PickClient().pick("the red cube", PlaceStep(Relation.NEXT_TO, "blue ball"))`."""

import contextlib
import sys
import threading
from collections.abc import Callable
from typing import Any

from molmo_point_msgs.action import PickObject
from rclpy.node import Node
from std_msgs.msg import UInt64
from std_srvs.srv import Trigger

from molmo_point.commands import PlaceStep
from molmo_point_ros.clients.action_caller import ActionCall, ActionCaller, duration_message
from molmo_point_ros.conversions.field_checks import checked_timeout_s
from molmo_point_ros.inputs.image_qos import LATCHED
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError
from molmo_point_ros.picking.command_id import new_command, step_id
from molmo_point_ros.picking.pick_goal import RELATIONS

_CONSTANTS = {relation: constant for constant, relation in RELATIONS.items()}
STOP_S = 5.0
_LATE_S = _ECHO_S = 1.0


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


class CommandPickClient(PickClient):
    """A `PickClient` whose goals are steps of one command: after a stop by anybody the node does none of them.

    Args:
        node: A node of yours; see `ActionCaller`.
        server: Name of the picking node, relative to the node's namespace, or absolute.
    """

    def __init__(self, node: Node | None = None, server: str = "molmo_pick") -> None:
        self._command = new_command()
        self._heard: set[int] = set()
        self._has_heard = threading.Condition()
        super().__init__(node, server)
        self._subscription = self.node.create_subscription(UInt64, f"{server}/last_stop", self._take_stop, LATCHED)

    @property
    def stops(self) -> int:
        """Number of stops of the arm, by anybody, since the client has found the node."""
        return max(len(self._heard) - 1, 0)

    def wait_for_node(self, timeout_s: float) -> bool:
        """Wait until the client hears of stops. Returns True if it does in time."""
        with self._has_heard:
            return self._has_heard.wait_for(lambda: bool(self._heard), timeout_s)

    def begin(self) -> None:
        """Begin a new command."""
        self._command, self._is_canceled, self._current = new_command(), False, None

    def stop(self, timeout_s: float = STOP_S) -> str:
        """See `PickClient.stop`; the stop is counted when this returns."""
        before = len(self._heard)
        answer = super().stop(timeout_s)
        with self._has_heard:
            self._has_heard.wait_for(lambda: len(self._heard) != before, _ECHO_S if before else 0.0)
        return answer

    def new_goal_id(self) -> bytes:
        """See `ActionCaller.new_goal_id`."""
        return step_id(self._command)

    def _take_stop(self, message: UInt64) -> None:
        with self._has_heard:
            self._heard.add(message.data)
            self._has_heard.notify_all()

    def close(self) -> None:
        """See `ActionCaller.close`."""
        spinning = None if self._executor is not None else self.node.executor
        super().close()
        if spinning is not None:
            spinning.create_task(self.node.destroy_subscription, self._subscription)
        elif not self._own_node:
            self.node.destroy_subscription(self._subscription)
