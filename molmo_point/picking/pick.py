"""`Picker`: picks up an object by its name in words, and places it."""

import math

import numpy as np

from molmo_point.arm.arm import Arm, Cancelled
from molmo_point.arm.joint_path import NoPath
from molmo_point.arm.stop_latch import Permit
from molmo_point.camera.base import Camera
from molmo_point.commands.steps import Relation
from molmo_point.errors import InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GraspCandidate
from molmo_point.picking.approach import GraspPlan, plan_grasp
from molmo_point.picking.event_log import EventLog, PickStopped, no_path, until
from molmo_point.picking.held_object import DropZones, Held
from molmo_point.picking.object_search import Finder, Search
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.picking.placing import Placer
from molmo_point.picking.states import OnState, PickFailure, PickResult, PickState, PlaceResult
from molmo_point.picking.verification import STILL_THERE, still_there
from molmo_point.picking.views import Looker
from molmo_point.pointer import Pointer
from molmo_point.results import Target

_KEPT_M = 0.006
"""Largest closing of the fingers on the way up, meters."""


class Picker:
    """Picks and places objects by their names in words.

    Args:
        pointer: The model.
        arm: The arm.
        fixed_camera: Sees the whole table; the arm knows its optical frame.
        wrist_camera: Camera on the hand; None picks without a second look.
        settings: Thresholds and speeds; None takes the defaults.
        drop_zones: Places for `Relation.ASIDE` and `Relation.HAND_OVER`; None takes those of the simulated arm.

    Attributes:
        held: The object in the gripper; None is an empty gripper.
    """

    def __init__(
        self,
        pointer: Pointer,
        arm: Arm,
        fixed_camera: Camera,
        wrist_camera: Camera | None = None,
        settings: PickSettings | None = None,
        drop_zones: DropZones | None = None,
    ) -> None:
        self.pointer, self.arm = pointer, arm
        self.fixed_camera, self.wrist_camera = fixed_camera, wrist_camera
        self.settings = settings or PickSettings()
        self.drop_zones = drop_zones or DropZones()
        self.held: Held | None = None
        self.finder = Finder(arm, Looker(pointer, arm), fixed_camera, wrist_camera, self.settings)

    @property
    def holding(self) -> str:
        """Query of the object in the gripper; "" is an empty gripper."""
        return self.held.query if self.held is not None else ""

    def pick(
        self,
        query: str,
        *,
        cancelled: Cancelled | None = None,
        on_state: OnState | None = None,
        dry_run: bool = False,
        attempts: int = 3,
        permit: Permit | None = None,
    ) -> PickResult:
        """Pick up one object.

        Args:
            query: Words for the object, such as "the red cube".
            cancelled: Polled all the time; True stops the arm where it is. The gripper keeps its object.
            on_state: Called at every state and decision, from this thread.
            dry_run: Point and plan only; nothing moves.
            attempts: Largest number of attempts.
            permit: From `arm.resume()`, called when the command was accepted; revoked, it ends the pick as CANCELLED.
                None resumes the arm now; a dry run resumes nothing.

        Returns:
            A result in every case; `failure` and `message` give the reason for a failure.

        Raises:
            InputError: If the query or the number of attempts is unusable, or the gripper is not empty.
        """
        if attempts < 1:
            raise InputError("attempts must be at least 1", f"attempts={attempts}", "give 1 or more")
        if self.held is not None and not dry_run:
            raise InputError("the gripper must be empty", f"it holds {self.held.query!r}", "place that object first")
        if permit is None:
            permit = self.arm.stop_latch.watch() if dry_run else self.arm.resume()
        run = _Run(self, query, EventLog(self.arm.now_ns, on_state, until(permit, cancelled)))
        failure: PickStopped | None = None
        for attempt in range(1, attempts + 1):
            failure = run.attempt(attempt, dry_run)
            if failure is None or not failure.again or dry_run:
                break
        return run.result(failure, dry_run)

    def place(
        self,
        where: str | Transform = "",
        relation: Relation | str = Relation.ON,
        *,
        cancelled: Cancelled | None = None,
        on_state: OnState | None = None,
        permit: Permit | None = None,
    ) -> PlaceResult:
        """Place the object in the gripper.

        Args:
            where: Words for the object to place it in, on or next to; or `base_T_grasp`, the pose of the grasp frame at the
                release. "" with `Relation.ASIDE` and `Relation.HAND_OVER`, which take the next drop zone.
            relation: A `Relation` or its value; ignored for a pose.
            cancelled: As in `pick`.
            on_state: As in `pick`.
            permit: As in `pick`.

        Returns:
            A result in every case. An object goes into a container (a bowl, a plate, a box) from above, in its middle,
            clear of the rim. `Relation.IN` an object that is no container fails as WRONG_OBJECT; an object that does not
            fit fails as NO_GRASP.

        Raises:
            InputError: If the query is unusable, the relation is unknown, or the gripper is empty.
            FrameError: If the pose is not `base_T_grasp`.
        """
        if self.held is None:
            raise InputError("the gripper must hold an object", "it is empty", "pick an object first")
        if relation not in list(Relation):
            raise InputError("relation must be known", repr(relation), f"use one of {', '.join(each.value for each in Relation)}")
        relation = Relation(relation)
        permit = permit or self.arm.resume()
        if isinstance(where, str) and not relation.needs_place:
            where = self.drop_zones.next(self.arm, self.held, aside=relation is Relation.ASIDE)
        log = EventLog(self.arm.now_ns, on_state, until(permit, cancelled))
        result = Placer(self.arm, self.finder, self.settings, self.held, log).place(where, relation)
        if not result.holding:
            self.held = None
        return result


class _Run:
    """One pick."""

    def __init__(self, picker: Picker, query: str, log: EventLog) -> None:
        self.picker, self.query, self.log, self.cancelled = picker, query, log, log.cancelled
        self.arm, self.settings, self.finder = picker.arm, picker.settings, picker.finder
        self.state = PickState.POINTING
        self.target: Target | None = None
        self.grasp: GraspCandidate | None = None
        self.points_m = np.zeros((0, 3))

    def attempt(self, number: int, dry_run: bool) -> PickStopped | None:
        """Go once through all states; return what ended it too early."""
        self.log.attempt = number
        try:
            self._go_through(number, dry_run)
        except PickStopped as stopped:
            self.log.note(self.state, f"{stopped.failure.value}: {stopped.message}", target=self.target)
            return stopped
        return None

    def result(self, failure: PickStopped | None, dry_run: bool) -> PickResult:
        """Make the result of the pick, which ended with a failure or without."""
        width, holding = self.arm.gripper_width(), self.picker.holding
        done = "could be lifted" if dry_run else f"lifted, {width * 1e3:.0f} mm between the fingers"
        held = f"; the gripper holds {holding!r}" if holding else ""
        message = f"{self.query!r} {done}" if failure is None else failure.message + held
        return PickResult(
            query=self.query,
            failure=None if failure is None else failure.failure,
            message=message,
            attempts=self.log.attempt,
            dry_run=dry_run,
            target=self.target,
            grasp=self.grasp,
            width_m=width,
            holding=holding,
            **self.log.record(),
        )

    def _go_through(self, number: int, dry_run: bool) -> None:
        self._enter(PickState.POINTING)
        if not dry_run:
            self._make_ready()
            self._enter(PickState.POINTING)
        search = self.finder.search(self.query, self.log, PickState.POINTING)
        plan = self._plan(search)
        if dry_run:
            return
        self._enter(PickState.VERIFY_POINT)
        before = search.chosen
        self.finder.look_again(search, 2 * (number - 1))
        moved = not np.allclose(plan.approach.positions_rad[0], self.arm.joint_positions(), atol=0.02)
        if search.chosen is not before or moved:
            plan = self._plan(search)
        self._grasp(plan, search)

    def _enter(self, state: PickState) -> None:
        self.state = state
        if self.cancelled is not None and self.cancelled():
            raise PickStopped(PickFailure.CANCELLED, f"cancelled before {state.name}", again=False)

    def _note(self, message: str) -> None:
        self.log.note(self.state, message, target=self.target, grasp=self.grasp)

    def _make_ready(self) -> None:
        """Open the fingers, and go out of the cameras' view."""
        if self.arm.gripper_width() < 0.9 * self.arm.gripper.max_opening_m:
            self.arm.move_gripper(self.arm.gripper.max_opening_m, cancelled=self.cancelled)
        path = self.finder.home_path()
        if path.duration_s > 0.05:
            self._note("going to where the cameras see the table")
            self.finder.go(path, self.cancelled)

    def _plan(self, search: Search) -> GraspPlan:
        self.target = search.chosen.target
        self._enter(PickState.PLANNING)
        at_m = self.target.position_m
        reasons: list[NoPath] = []
        rejected = ""
        # The nearest view is the most exact; an earlier one of the same object may show another side.
        for sighting in (search.chosen, *(each for each in reversed(search.sightings) if each is not search.chosen)):
            if float(np.linalg.norm(sighting.target.position_m - at_m)) > self.settings.same_m:
                continue
            found, candidates = self.finder.grasps(sighting)
            said = f"{len(candidates)} grasps from {sighting.place}"
            self.log.note(self.state, said, target=self.target, candidates=candidates)
            rejected = rejected or f"{found.region.status.value} {found.region.message}; out: {found.reasons}"
            plan = plan_grasp(self.arm, candidates, search.obstacles, at_m, self.settings.lift_m)
            if isinstance(plan, GraspPlan):
                self.grasp = plan.grasp
                self.points_m = sighting.base_T_camera.apply(found.region.points_m, sighting.frame.frame)
                self._note(f"grasp of quality {plan.grasp.quality:.2f}, {plan.grasp.width_m * 1e3:.0f} mm wide")
                return plan
            reasons += plan
        if not reasons:
            raise PickStopped(PickFailure.NO_GRASP, f"the gripper cannot take it: {rejected}")
        raise no_path(*reasons)

    def _grasp(self, plan: GraspPlan, search: Search) -> None:
        self._enter(PickState.APPROACH)
        self._note("going to the start of the approach")
        opening_m = min(plan.grasp.opening_m, self.arm.gripper.max_opening_m)
        self.arm.move_gripper(opening_m, cancelled=self.cancelled)
        self.finder.go(plan.approach, self.cancelled)
        self._enter(PickState.GRASP)
        self._note("straight to the grasp")
        self.finder.go(plan.descent, self.cancelled)
        self.arm.move_gripper(0.0, cancelled=self.cancelled)
        width = self.arm.gripper_width()
        if width >= self.settings.least_width_m:
            self.picker.held = Held.of(self.query, plan.grasp, width, self.arm.table_z_m, self.points_m)
        self._enter(PickState.LIFT)
        if self.picker.held is None:
            self.arm.move_gripper(opening_m)
            self.finder.go(plan.lift, self.cancelled)
            raise PickStopped(PickFailure.SLIPPED, f"the fingers closed on nothing ({width * 1e3:.1f} mm)")
        self._note(f"lifting, {width * 1e3:.0f} mm between the fingers")
        self.finder.go(plan.lift, self.cancelled, self.settings.holding_speed)
        self._verify(search, width)

    def _verify(self, search: Search, width: float) -> None:
        self._enter(PickState.VERIFY_LIFT)
        now = self.arm.gripper_width()
        if now < self.settings.least_width_m or width - now > _KEPT_M:
            self.picker.held = None
            raise PickStopped(PickFailure.SLIPPED, f"lost on the way up: {width * 1e3:.0f} mm became {now * 1e3:.0f} mm")
        before, after = search.overview, self.finder.read_fixed()
        base_T_camera = self.arm.base_T_camera(before.frame, before.stamp_ns)
        share = still_there(before, after, search.chosen.target, base_T_camera)
        if share > STILL_THERE:
            self.picker.held = None
            raise PickStopped(PickFailure.SLIPPED, f"{share:.0%} of the object is still where it stood")
        seen = "its place is hidden" if math.isnan(share) else f"{share:.0%} of it is where it stood"
        self._note(f"held, {now * 1e3:.0f} mm between the fingers; {seen}")
