"""One PickObject goal from its acceptance to its result."""

import dataclasses
from collections.abc import Callable
from typing import Any

from molmo_point_msgs.action import PickObject

from molmo_point.arm.stop_latch import Permit
from molmo_point.commands.steps import PickStep, PlaceStep, Relation, describe_step
from molmo_point.picking.states import Outcome, PickEvent, PickFailure, PickState
from molmo_point.text_checks import checked_words
from molmo_point_ros.arms.arm_session import ArmThread, Rig
from molmo_point_ros.conversions.grasps import grasp_message
from molmo_point_ros.nodes.action_goal import ActionGoal
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError
from molmo_point_ros.nodes.goal_queue import StopReason
from molmo_point_ros.nodes.pick_parameters import PickNodeParameters

RELATIONS = {
    PickObject.Goal.IN: Relation.IN,
    PickObject.Goal.ON: Relation.ON,
    PickObject.Goal.NEXT_TO: Relation.NEXT_TO,
    PickObject.Goal.ASIDE: Relation.ASIDE,
    PickObject.Goal.HAND_OVER: Relation.HAND_OVER,
}
"""Relation of every constant of the goal but NOWHERE."""

MOST_ATTEMPTS = 100
"""Of one goal."""

CODE_OF = {
    PickFailure.NOT_FOUND: ErrorCode.NOT_FOUND,
    PickFailure.WRONG_OBJECT: ErrorCode.WRONG_OBJECT,
    PickFailure.UNTRUSTED: ErrorCode.UNTRUSTED,
    PickFailure.NO_DEPTH: ErrorCode.NO_DEPTH,
    PickFailure.NO_GRASP: ErrorCode.NO_GRASP,
    PickFailure.UNREACHABLE: ErrorCode.PLANNING_ERROR,
    PickFailure.COLLISION: ErrorCode.PLANNING_ERROR,
    PickFailure.SLIPPED: ErrorCode.GRASP_FAILED,
    PickFailure.CANCELLED: ErrorCode.CANCELED,
    PickFailure.STALE_FRAME: ErrorCode.NO_IMAGE,
    PickFailure.CAMERA_FAILED: ErrorCode.NO_IMAGE,
    PickFailure.MODEL_FAILED: ErrorCode.MODEL_ERROR,
    PickFailure.ARM_FAILED: ErrorCode.UNKNOWN,
    PickFailure.NO_TRANSFORM: ErrorCode.TF_ERROR,
    PickFailure.GRIPPER_NOT_EMPTY: ErrorCode.GRASP_FAILED,
    PickFailure.UNEXPECTED: ErrorCode.UNKNOWN,
}
"""Error code of every failure of a pick."""


class PickGoal(ActionGoal):
    """A goal that the arm's thread works on.

    Args:
        goal_handle: rclpy's handle of the accepted goal.
        thread: The arm's thread.
        permit: Permission to move, given when the goal was accepted.
        parameters: Parameters of the node.
        now_ns: The node's clock.
        logger: Logger of the node, for unexpected errors.
    """

    Result, Feedback = PickObject.Result, PickObject.Feedback

    def __init__(
        self,
        goal_handle: Any,
        thread: ArmThread,
        permit: Permit,
        parameters: PickNodeParameters,
        now_ns: Callable[[], int],
        logger: Any,
    ) -> None:
        super().__init__(goal_handle, parameters.timeout_s, logger)
        self._thread, self._permit, self._now_ns = thread, permit, now_ns
        self._attempts = int(self.request.attempts) or parameters.attempts

    def should_stop(self) -> bool:
        """See `ActionGoal.should_stop`; a revoked permit ends the goal, too."""
        if super().should_stop():
            return True
        if self._permit.revoked:
            self.stop(StopReason.STOP_SERVICE)
        return self.stop_reason is not None

    def answer_into(self, result: Any) -> None:
        """Pick and place in the arm's thread.

        Raises:
            MolmoPointError: If the goal is unusable, or the arm refuses it.
        """
        # A goal that is refused or stopped before it reaches the arm tells it, too.
        result.holding = self._thread.holding
        steps = self._steps()
        if self.should_stop():
            raise self.stopped_error()
        self._thread.do(lambda rig: self._recorded(rig, steps, result))

    def _steps(self) -> tuple[PickStep | None, PlaceStep | None]:
        """The steps that the goal asks for.

        Raises:
            GoalError: If it asks for none, or its fields contradict each other.
        """
        goal, code = self.request, ErrorCode.GOAL_REJECTED
        # Before anything is echoed: the words go into feedback, logs and videos.
        for name, words in (("query", goal.query), ("place_query", goal.place_query)):
            if words.strip():
                checked_words(words, name)
        if self._attempts > MOST_ATTEMPTS:
            raise GoalError(code, f"attempts must be at most {MOST_ATTEMPTS}", str(self._attempts), "ask for fewer")
        relation = RELATIONS.get(goal.place_relation)
        pick = PickStep(goal.query) if goal.query.strip() else None
        if relation is None and goal.place_relation != goal.NOWHERE:
            raise GoalError(code, "place_relation must be known", str(goal.place_relation), "use the constants of the goal")
        if pick is None and relation is None:
            raise GoalError(code, "The goal must ask for something", "no query and no place", "name an object in query")
        if (relation is not None and relation.needs_place) != bool(goal.place_query.strip()):
            given = f"place_relation {goal.place_relation}, place_query {goal.place_query!r}"
            raise GoalError(code, "place_query must go with IN, ON and NEXT_TO, and only with them", given, "correct one of them")
        if pick is None and goal.dry_run:
            raise GoalError(code, "dry_run must go with a query: placing has no dry run", "no query", "name an object in query")
        return pick, None if relation is None else PlaceStep(relation, goal.place_query)

    def _recorded(self, rig: Rig, steps: tuple[PickStep | None, PlaceStep | None], result: Any) -> None:
        rig.use_taught()
        began_ns, recorder = rig.arm.now_ns(), rig.recorder
        if recorder is not None:
            words = ", ".join(describe_step(step) for step in steps if step is not None)
            recorder.begin(words + (" (dry run)" if self.request.dry_run else ""))
        error = ""
        try:
            self._work(rig, *steps, result)
        except Exception as problem:
            error = str(problem)
            raise
        finally:
            result.holding, result.duration = rig.picker.holding, (rig.arm.now_ns() - began_ns) * 1e-9
            if recorder is not None:
                success, message = not error and result.error_code == ErrorCode.NONE, error or result.error_msg
                # Drawing takes longer than picking; the client does not wait for it.
                self._thread.post(lambda _: recorder.end(success, message))

    def _work(self, rig: Rig, pick: PickStep | None, place: PlaceStep | None, result: Any) -> None:
        def tell(event: PickEvent) -> None:
            if rig.recorder is not None:
                rig.recorder.take(event)
            self.tell(state=int(event.state), attempt=event.attempt, message=event.message)

        if pick is not None:
            picked = rig.picker.pick(
                pick.what,
                cancelled=self.should_stop,
                on_state=tell,
                dry_run=self.request.dry_run,
                attempts=self._attempts,
                permit=self._permit,
            )
            result.attempts = picked.attempts
            result.picked = picked.success and not picked.dry_run
            if picked.grasp is not None and picked.target is not None:
                stamp_ns = max(picked.target.stamp_ns + self._now_ns() - rig.arm.now_ns(), 0)
                result.executed = grasp_message(picked.grasp, dataclasses.replace(picked.target, stamp_ns=stamp_ns), None)
            self._take(picked, result)
            if not result.picked:
                return
        if place is not None:
            placed = rig.picker.place(place.where, place.relation, cancelled=self.should_stop, on_state=tell, permit=self._permit)
            result.placed = placed.success
            self._take(placed, result)

    def _take(self, outcome: Outcome, result: Any) -> None:
        if outcome.failure is None:
            return
        result.failure, result.error_code = outcome.failure.value, int(CODE_OF[outcome.failure])
        result.error_msg = outcome.message
        if outcome.failure is PickFailure.CANCELLED and self.stop_reason is StopReason.TIMED_OUT:
            result.error_code = int(ErrorCode.TIMEOUT)
            result.error_msg = f"The goal took longer than its timeout, {self._timeout_s:g} s. {outcome.message}"


def state_name(state: int) -> str:
    """Name of a state of the feedback, such as "VERIFY_POINT"; the number for an unknown one."""
    return PickState(state).name if state in set(PickState) else str(state)
