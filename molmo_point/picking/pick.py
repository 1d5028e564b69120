"""`Picker`: picks up an object by its name in words, and places it."""

import math
from collections.abc import Callable

import numpy as np

from molmo_point.arm.arm import Arm, Cancelled
from molmo_point.arm.joint_path import NoPath
from molmo_point.arm.stop_latch import Permit
from molmo_point.camera.base import Camera
from molmo_point.commands.steps import Relation
from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GRASP_FRAME, GraspCandidate
from molmo_point.picking.approach import GraspPlan, plan_grasp
from molmo_point.picking.event_log import EventLog, PickStopped, no_path
from molmo_point.picking.flat_finder import FlatFinder
from molmo_point.picking.grip import Grip
from molmo_point.picking.guarded_arm import GuardedArm
from molmo_point.picking.held_object import DropZones, Held
from molmo_point.picking.object_search import Finder, Search
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.picking.placing import Placer
from molmo_point.picking.states import OnState, Outcome, PickFailure, PickResult, PickState, PlaceResult
from molmo_point.picking.verification import STILL_THERE, still_there
from molmo_point.picking.views import Looker
from molmo_point.pointer import Pointer
from molmo_point.results import Target
from molmo_point.text_checks import checked_words

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
        held: The object in the gripper, also if only nobody knows that it is gone; None is an empty gripper.
        guarded: The arm as commands see it.
        grip: The fingers.
        finder: Looks for objects.
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
        self.guarded = GuardedArm(arm)
        self.grip = Grip(self.guarded, self, self.settings.least_width_m)
        looker = Looker(pointer, self.guarded, self.settings.accept_cautions)
        finder = FlatFinder if self.settings.without_depth else Finder
        self.finder = finder(self.guarded, looker, fixed_camera, wrist_camera, self.settings)

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
        if not attempts >= 1:
            raise InputError("attempts must be at least 1", f"attempts={attempts}", "give 1 or more")
        query = checked_words(query)
        if self.held is not None and not dry_run:
            fix = "place that object first, or call release()"
            raise InputError("the gripper must be empty", f"it holds {self.held.query!r}", fix)
        run = _Run(self, query, EventLog(self.guarded.clock_ns, on_state, cancelled), dry_run)
        failure = self._ended(run.log, permit, not dry_run, lambda: run.attempts(attempts))
        return run.result(failure)

    def release(self, *, cancelled: Cancelled | None = None, permit: Permit | None = None) -> Outcome:
        """Open the fingers where they are, whatever they hold; an object in the air falls.

        `place` puts an object down. This is for an object that cannot be placed, or that this picker did not pick.

        Args:
            cancelled: As in `pick`.
            permit: As in `pick`.

        Returns:
            A result in every case.
        """
        log, released = EventLog(self.guarded.clock_ns, None, cancelled), self.holding
        failure = self._ended(log, permit, True, lambda: self.grip.release(self.guarded.gripper.max_opening_m))
        if failure is not None:
            log.note_end(PickState.PLACE, failure)
        said = f"released {released!r}" if released else "the fingers are open"
        return Outcome(
            failure=None if failure is None else failure.failure,
            message=said if failure is None else failure.told(self.holding),
            holding=self.holding,
            **log.record(),
        )

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
        if isinstance(where, Transform) and (where.target, where.source) != (self.arm.base_frame, GRASP_FRAME):
            fix = f"give {self.arm.base_frame}_T_{GRASP_FRAME}"
            raise FrameError("where must be a pose of the grasp frame in the base frame", f"{where.target}_T_{where.source}", fix)
        relation = Relation(relation)
        if isinstance(where, str) and relation.needs_place:
            where = checked_words(where)
        log = EventLog(self.guarded.clock_ns, on_state, cancelled)
        placer = Placer(self.guarded, self.grip, self.finder, self.settings, self.held, log)

        def work() -> None:
            at = where
            if isinstance(at, str) and not relation.needs_place:
                at = self.drop_zones.next(self.guarded, placer.held, aside=relation is Relation.ASIDE)
            placer.place(at, relation)

        return placer.result(self._ended(log, permit, True, work), where, relation, self.holding)

    def _ended(self, log: EventLog, permit: Permit | None, resumes: bool, work: Callable[[], None]) -> PickStopped | None:
        """Carry out a command; return what ended it too early."""

        def begun() -> None:
            self.finder.begin()
            work()

        return self.guarded.carry_out(log, permit, resumes, begun)


class _Run:
    """One pick."""

    def __init__(self, picker: Picker, query: str, log: EventLog, dry_run: bool) -> None:
        self.picker, self.query, self.log, self.dry_run = picker, query, log, dry_run
        self.arm, self.grip, self.settings, self.finder = picker.guarded, picker.grip, picker.settings, picker.finder
        self.state = PickState.POINTING
        self.target: Target | None = None
        self.grasp: GraspCandidate | None = None
        self.width_m = math.nan
        self.points_m = np.zeros((0, 3))

    def attempts(self, most: int) -> None:
        """Go through all states, again from the start after a failure that allows it with empty fingers.

        Raises:
            PickStopped: The last failure.
        """
        for attempt in range(1, most + 1):
            self.log.attempt = attempt
            try:
                self._go_through(attempt)
                return
            except PickStopped as stopped:
                again = stopped.again and attempt < most and not self.dry_run and self.picker.held is None
                if not again:
                    raise
                self.log.note_end(self.state, stopped, self.target)

    def result(self, failure: PickStopped | None) -> PickResult:
        """Make the result of the pick, which ended with a failure or without."""
        if failure is not None:
            self.log.note_end(self.state, failure, self.target)
        done = "could be lifted" if self.dry_run else f"lifted, {self.width_m * 1e3:.0f} mm between the fingers"
        return PickResult(
            query=self.query,
            failure=None if failure is None else failure.failure,
            message=f"{self.query!r} {done}" if failure is None else failure.told(self.picker.holding),
            attempts=self.log.attempt,
            dry_run=self.dry_run,
            target=self.target,
            grasp=self.grasp,
            width_m=self.width_m,
            holding=self.picker.holding,
            **self.log.record(),
        )

    def _go_through(self, number: int) -> None:
        self._enter(PickState.POINTING)
        if not self.dry_run:
            if number == 1:
                self._require_trusted()
            self._make_ready()
            self._enter(PickState.POINTING)
        search = self.finder.search(self.query, self.log, PickState.POINTING)
        plan = self._plan(search)
        if self.dry_run:
            return
        self._enter(PickState.VERIFY_POINT)
        before = search.chosen
        self.finder.look_again(search, 2 * (number - 1))
        moved = not np.allclose(plan.approach.positions_rad[0], self.arm.joint_positions(), atol=0.02)
        if search.chosen is not before or moved:
            plan = self._plan(search)
        self._grasp(plan)
        self._verify(search)

    def _enter(self, state: PickState) -> None:
        self.state = state
        self.arm.check()

    def _note(self, message: str) -> None:
        self.log.note(self.state, message, target=self.target, grasp=self.grasp)

    def _require_trusted(self) -> None:
        """Ask the model before the first motion, if making ready moves the arm or its fingers."""
        is_home, is_open = self.finder.is_home, self.arm.gripper_width() >= 0.9 * self.arm.gripper.max_opening_m
        if is_home and not is_open:
            self.finder.search(self.query, self.log, PickState.POINTING)
        elif not is_home:
            self.finder.require_trusted(self.query, self.log, PickState.POINTING)

    def _make_ready(self) -> None:
        """Open the fingers, and go out of the cameras' view."""
        self.grip.require_empty(self.finder.rise)
        if self.arm.gripper_width() < 0.9 * self.arm.gripper.max_opening_m:
            self.grip.open_empty(self.arm.gripper.max_opening_m)
        if self.finder.home_path().duration_s > 0.05:
            self._note("going to where the cameras see the table")
            self.finder.go_home()

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

    def _grasp(self, plan: GraspPlan) -> None:
        self._enter(PickState.APPROACH)
        self._note("going to the start of the approach")
        opening_m = min(plan.grasp.opening_m, self.arm.gripper.max_opening_m)
        self.grip.open_empty(opening_m)
        self.finder.go(plan.approach)
        self._enter(PickState.GRASP)
        self._note("straight to the grasp")
        self.finder.go(plan.descent)

        def measured(width_m: float) -> Held:
            return Held.of(self.query, plan.grasp, width_m, self.arm.table_z_m, self.points_m)

        width = self.width_m = self.grip.close_on(measured, plan.grasp.width_m, opening_m)
        self._enter(PickState.LIFT)
        if self.picker.held is None:
            self.grip.open_empty(opening_m)
            self.finder.go(plan.lift)
            raise PickStopped(PickFailure.SLIPPED, f"the fingers closed on nothing ({width * 1e3:.1f} mm)")
        self._note(f"lifting, {width * 1e3:.0f} mm between the fingers")
        self.finder.go(plan.lift, self.settings.holding_speed)

    def _verify(self, search: Search) -> None:
        self._enter(PickState.VERIFY_LIFT)
        self.width_m = self.grip.require_held(_KEPT_M)
        before, after = search.overview, self.finder.read_fixed()
        share = still_there(before, after, search.chosen.target, self.arm.base_T_camera(before.frame, before.stamp_ns))
        if share > STILL_THERE:
            # The gripper says that it holds something, and keeps it.
            raise PickStopped(PickFailure.SLIPPED, f"{share:.0%} of the object is still where it stood", again=False)
        self.width_m = self.grip.require_held(_KEPT_M)
        seen = "its place is hidden" if math.isnan(share) else f"{share:.0%} of it is where it stood"
        self._note(f"held, {self.width_m * 1e3:.0f} mm between the fingers; {seen}")
