"""One PickObject goal from its acceptance to its result."""

import dataclasses
import time
import traceback
from collections.abc import Callable
from typing import Any

from molmo_point.picking.drop_zones import PutDownPlaces
from molmo_point_msgs.action import PickObject

from molmo_point.errors import CameraError, FrameError, InputError, MolmoPointError
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.states import PickEvent, PickFailure, PickResult, PickState
from molmo_point_ros.arms.arm_session import Rig
from molmo_point_ros.conversions.grasps import grasp_message
from molmo_point_ros.nodes.goal_error import GoalError

CODES = PickObject.Result
RELATIONS = {PickObject.Goal.IN: "in", PickObject.Goal.ON: "on", PickObject.Goal.NEXT_TO: "next to"}
TIMED_OUT = "timed out"

CODE_OF = {
    PickFailure.NOT_FOUND: CODES.NOT_FOUND,
    PickFailure.WRONG_OBJECT: CODES.WRONG_OBJECT,
    PickFailure.NO_DEPTH: CODES.NO_DEPTH,
    PickFailure.NO_GRASP: CODES.NO_GRASP,
    PickFailure.UNREACHABLE: CODES.PLANNING_ERROR,
    PickFailure.COLLISION: CODES.PLANNING_ERROR,
    PickFailure.SLIPPED: CODES.GRASP_FAILED,
    PickFailure.CANCELLED: CODES.CANCELED,
}
"""The action's error code for every way a pick can fail."""


def goal_error_of(error: Exception) -> GoalError:
    """An exception on the way as what the client is told."""
    if isinstance(error, GoalError):
        return error
    if isinstance(error, MolmoPointError):
        code = CODES.MODEL_ERROR
        for kind, of_kind in ((CameraError, CODES.NO_IMAGE), (FrameError, CODES.TF_ERROR), (InputError, CODES.GOAL_REJECTED)):
            code = of_kind if isinstance(error, kind) else code
        return GoalError(code, error.what, error.given, error.fix)
    return GoalError(CODES.UNKNOWN, f"Unexpected: {error!r}", "", "please report it, with the node's log")


class PickGoal:
    """A goal that is worked on in the arm's thread, and stopped from any other.

    Args:
        goal_handle: rclpy's handle of the accepted goal.
        places: Where things are put aside and handed over.
        attempts: Where the goal names none.
        timeout_s: Likewise.
        stamp_offset_ns: What to add to a time of the arm's clock for a time of the node's.
        log: Told the traceback of what nobody expected.
    """

    def __init__(
        self,
        goal_handle: Any,
        places: PutDownPlaces,
        attempts: int,
        timeout_s: float,
        stamp_offset_ns: Callable[[], int],
        log: Callable[[str], object],
    ) -> None:
        self._log = log
        self._handle, self._request = goal_handle, goal_handle.request
        self._places, self._stamp_offset_ns = places, stamp_offset_ns
        self._attempts = int(self._request.attempts) or attempts
        asked_s = self._request.timeout.sec + self._request.timeout.nanosec * 1e-9
        self._timeout_s = asked_s if asked_s > 0 else timeout_s
        self._started_s = time.monotonic()
        self._stop_reason = ""

    def stop(self, reason: str) -> None:
        """Ask for the end, from any thread; the first reason counts."""
        self._stop_reason = self._stop_reason or reason

    def should_stop(self) -> bool:
        """Asked by the arm again and again."""
        if self._handle.is_cancel_requested:
            self.stop("cancelled by the client")
        if time.monotonic() - self._started_s > self._timeout_s:
            self.stop(TIMED_OUT)
        return bool(self._stop_reason)

    def carry_out(self, rig: Rig) -> PickObject.Result:
        """Do the work, in the arm's thread. Never raises: what went wrong is in the result."""
        result = PickObject.Result(duration=0.0)
        began_ns = rig.arm.now_ns()
        try:
            self._check()
            if rig.recorder is not None:
                rig.recorder.begin(self.caption())
            self._pick_and_place(rig, result)
        except Exception as error:
            told = goal_error_of(error)
            if told.code == CODES.UNKNOWN:
                self._log(traceback.format_exc())
            result.error_code, result.error_msg = told.code, str(told)
        if self._stop_reason == TIMED_OUT and result.error_code == CODES.CANCELED:
            result.error_code = CODES.TIMEOUT
            result.error_msg = f"The goal took longer than it may: {self._timeout_s:g} s. {result.error_msg}"
        result.holding, result.duration = rig.picker.holding, (rig.arm.now_ns() - began_ns) * 1e-9
        return result

    def caption(self) -> str:
        """The goal in words."""
        goal = self._request
        words = [f"pick {_named(goal.query)}"] if goal.query else []
        if goal.place_relation in RELATIONS:
            words.append(f"put it {RELATIONS[goal.place_relation]} {_named(goal.place_query)}")
        elif goal.place_relation != goal.NOWHERE:
            words.append("put it aside" if goal.place_relation == goal.ASIDE else "hand it over")
        return ", ".join(words) + (" (dry run)" if goal.dry_run else "")

    def _check(self) -> None:
        goal = self._request
        if not goal.query.strip() and goal.place_relation == goal.NOWHERE:
            raise GoalError(CODES.GOAL_REJECTED, "There is nothing to do", "no query and no place", "name a thing in query")
        if goal.place_relation > goal.HAND_OVER:
            raise GoalError(CODES.GOAL_REJECTED, "The place_relation is unknown", str(goal.place_relation), "use the constants")
        if (goal.place_relation in RELATIONS) != bool(goal.place_query.strip()):
            given = f"place_relation {goal.place_relation}, place_query {goal.place_query!r}"
            fix = "give place_query with IN, ON and NEXT_TO, and only with them"
            raise GoalError(CODES.GOAL_REJECTED, "Relation and place do not go together", given, fix)

    def _pick_and_place(self, rig: Rig, result: PickObject.Result) -> None:
        goal = self._request
        if goal.query.strip():
            picked = rig.picker.pick(
                goal.query,
                cancelled=self.should_stop,
                on_state=lambda event: self._tell(rig, event),
                dry_run=goal.dry_run,
                attempts=self._attempts,
            )
            self._take_pick(picked, result)
            if not picked.success or goal.dry_run:
                return
        if goal.place_relation != goal.NOWHERE:
            self._place(rig, result)

    def _take_pick(self, picked: PickResult, result: PickObject.Result) -> None:
        result.attempts = picked.attempts
        result.picked = picked.success and not picked.dry_run
        if picked.grasp is not None and picked.target is not None:
            stamp_ns = max(picked.target.stamp_ns + self._stamp_offset_ns(), 0)
            result.executed = grasp_message(picked.grasp, dataclasses.replace(picked.target, stamp_ns=stamp_ns), None)
        if picked.failure is not None:
            result.failure, result.error_code = picked.failure.value, CODE_OF[picked.failure]
            result.error_msg = picked.message

    def _place(self, rig: Rig, result: PickObject.Result) -> None:
        goal = self._request
        if goal.dry_run:
            raise GoalError(CODES.GOAL_REJECTED, "Placing has no dry run", "dry_run without a query", "name a thing in query")
        where: str | Transform = goal.place_query
        if goal.place_relation not in RELATIONS:
            held = rig.picker.held
            if held is None:
                raise GoalError(CODES.GOAL_REJECTED, "There is nothing to place", "the gripper holds nothing", "pick first")
            where = self._places.next(rig.arm, held, aside=goal.place_relation == goal.ASIDE)
        relation: Any = RELATIONS.get(goal.place_relation, "on")
        placed = rig.picker.place(where, relation, cancelled=self.should_stop, on_state=lambda event: self._tell(rig, event))
        result.placed = placed.success
        if placed.failure is not None:
            result.failure, result.error_code = placed.failure.value, CODE_OF[placed.failure]
            result.error_msg = placed.message

    def _tell(self, rig: Rig, event: PickEvent) -> None:
        """Feedback, at every state and decision."""
        if rig.recorder is not None:
            rig.recorder.take(event)
        if not self._handle.is_active:
            return
        feedback = PickObject.Feedback(state=int(event.state), attempt=event.attempt, message=event.message)
        feedback.elapsed = time.monotonic() - self._started_s
        self._handle.publish_feedback(feedback)


def _named(thing: str) -> str:
    return thing if thing.lower().startswith(("the ", "a ", "an ", "all ", "my ")) else f"the {thing}"


def state_name(state: int) -> str:
    """The name of a state of the feedback, e.g. "VERIFY_POINT"."""
    return PickState(state).name if state in set(PickState) else str(state)
