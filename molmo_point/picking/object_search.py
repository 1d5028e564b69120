"""Search for the object that several views agree on, and grasps on it."""

import math
from dataclasses import dataclass, field, replace
from operator import attrgetter, itemgetter

import numpy as np

from molmo_point.arm.arm import Cancelled
from molmo_point.arm.joint_path import JointPath, NoPath
from molmo_point.arm.obstacle_boxes import ObstacleBox, boxes_on_table
from molmo_point.camera.base import Camera
from molmo_point.frame import RgbdFrame
from molmo_point.grasp.candidates import GraspCandidate, Grasps
from molmo_point.grasp.propose import propose_grasps
from molmo_point.picking.approach import HOME_S, gap, home_path, plan_look, rise_path
from molmo_point.picking.event_log import EventLog, PickStopped
from molmo_point.picking.fresh_frames import FreshFrames
from molmo_point.picking.guarded_arm import GuardedArm
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.picking.states import PickFailure, PickState
from molmo_point.picking.views import Blank, Looker, Sighting, grouped, same_object, weight_of

_BARE_M, _MISSED_M = 0.008, 0.03
"""A target lower than the first above the table is on the bare table. It is moved to an object within the second."""
_WIDE, _COMPARE_M, _AROUND_M = 1.6, (0.38, 0.62), 0.15
"""Stand-off as a factor of the distance of two objects, its bounds, and the distance for one object and its surroundings."""


@dataclass(eq=False)
class Search:
    """Views of one search.

    Attributes:
        query: Words for the object.
        log: Events of the pick or placing that it is part of.
        overview: Frame of the fixed camera with a free view of the table.
        obstacles: Boxes around all objects on the table.
        sightings: Views with a target.
        chosen: The sighting believed so far.
    """

    query: str
    log: EventLog
    overview: RgbdFrame
    obstacles: tuple[ObstacleBox, ...]
    sightings: list[Sighting] = field(default_factory=list)
    chosen: Sighting = field(init=False)

    def note(self, message: str, state: PickState = PickState.VERIFY_POINT) -> None:
        """Log an event with the target believed so far."""
        self.log.note(state, message, target=self.chosen.target)


class Finder:
    """Finds objects with two cameras.

    Args:
        arm: Carries the wrist camera.
        looker: Asks the model.
        fixed_camera: Sees the whole table.
        wrist_camera: On the hand; None without one.
        settings: Thresholds.
    """

    def __init__(
        self, arm: GuardedArm, looker: Looker, fixed_camera: Camera, wrist_camera: Camera | None, settings: PickSettings
    ) -> None:
        self._arm, self._looker, self._settings = arm, looker, settings
        self._fixed = FreshFrames(arm, fixed_camera, "the fixed camera")
        self._wrist = None if wrist_camera is None else FreshFrames(arm, wrist_camera, "the wrist camera")
        self._wrist_frame = ""

    def begin(self) -> None:
        """Begin a command."""
        for camera in (self._fixed, self._wrist):
            if camera is not None:
                camera.begin()

    def search(self, query: str, log: EventLog, state: PickState) -> Search:
        """Ask the model about both cameras, without moving.

        Raises:
            PickStopped: NOT_FOUND, NO_DEPTH or UNTRUSTED if no camera gives a target; if no view of it reaches the least
                confidence, NOT_FOUND where a camera sees none, else UNTRUSTED; or as `FreshFrames.read` and `Looker.answer`.
        """
        log.note(state, f"looking for {query!r} with the fixed camera")
        overview = self.read_fixed()
        search = Search(query, log, overview, self._obstacles(overview))
        answers = [self._answer(search, overview, "the fixed camera")]
        if self._wrist is not None:
            frame = self._prepared(self._wrist.read())
            self._wrist_frame = frame.frame
            answers.append(self._answer(search, frame, "the wrist camera, from above"))
        search.sightings += [answer for answer in answers if isinstance(answer, Sighting)]
        if not search.sightings and isinstance(answers[0], Blank):
            failure = answers[0].failure
            raise PickStopped(failure, answers[0].message, again=failure is not PickFailure.UNTRUSTED)
        self._choose(search, state)
        self._require_confidence(search, [answer for answer in answers if isinstance(answer, Blank)])
        return search

    def _obstacles(self, overview: RgbdFrame) -> tuple[ObstacleBox, ...]:
        """Boxes around everything that the fixed camera sees on the table."""
        assert overview.depth_m is not None and overview.intrinsics is not None
        pose = self._arm.base_T_camera(overview.frame, overview.stamp_ns)
        return boxes_on_table(overview.depth_m, overview.intrinsics, pose, table_z_m=self._arm.table_z_m)

    def _prepared(self, frame: RgbdFrame) -> RgbdFrame:
        """A frame of the wrist camera as the model is asked about it."""
        return frame

    def require_trusted(self, query: str, log: EventLog, state: PickState) -> None:
        """Ask the model before the arm goes to where the cameras see the table.

        The arm may hide the table now, so only cautions about the words and the model count.

        Raises:
            PickStopped: UNTRUSTED; or as `FreshFrames.read` and `Looker.answer`.
        """
        log.note(state, f"asking for {query!r} before anything moves")
        self._looker.answer(self._fixed.read(), query, "the fixed camera", log.cancelled)

    def look_again(self, search: Search, first: int) -> None:
        """Look again from a stand-off until the views agree on `search.chosen`; begin at direction number `first`.

        Raises:
            PickStopped: WRONG_OBJECT if they do not agree, NO_DEPTH if the last view has none, CANCELLED, or COLLISION if
                something blocks the arm; UNTRUSTED if the last view is not trusted, or no view of the object reaches the least
                confidence. A view that is not trusted counts neither way.
        """
        looks, same_m = self._settings.max_looks, self._settings.same_m
        if self._wrist is None or not looks:
            return
        for number in range(first, first + looks):
            groups = grouped(search.sightings, same_m)
            undecided = _wide_views(groups[0]) < 2 or _lead(groups) < self._settings.clear_lead
            if number < first + looks - 1 and undecided and self._compare(search, groups, number):
                continue
            at_m = search.chosen.target.position_m
            answer = self._look(search, at_m, self._settings.stand_off_m, "the stand-off", number)
            if answer is None:
                self._require_lead(search)
                return
            if isinstance(answer, Sighting) and same_object(answer.target, search.chosen.target, same_m):
                answer = replace(answer, is_wide=False)
                search.sightings.append(answer)
                self._require_lead(search)
                off_mm = round(1e3 * float(np.linalg.norm(answer.target.position_m - at_m)))
                search.log.note(PickState.VERIFY_POINT, f"seen again from the stand-off, {off_mm} mm off")
                search.chosen = answer
                return
            if isinstance(answer, Blank) and answer.failure is PickFailure.UNTRUSTED:
                search.note(f"this view does not count: {answer.message}")
                if number == first + looks - 1:
                    raise PickStopped(answer.failure, answer.message)
                continue
            self._disagree(search, answer)
            if isinstance(answer, Blank) and answer.failure is PickFailure.NO_DEPTH and number == first + looks - 1:
                raise PickStopped(answer.failure, answer.message)
        raise PickStopped(PickFailure.WRONG_OBJECT, f"close views do not agree on {search.query!r}")

    def _require_lead(self, search: Search) -> None:
        groups = grouped(search.sightings, self._settings.same_m)
        if _wide_views(groups[0]) < 2:
            raise PickStopped(PickFailure.WRONG_OBJECT, f"only one distant view takes this for {search.query!r}")
        if _lead(groups) < self._settings.least_lead:
            said = f"{search.query!r} may be one object or another: weights {_weights(groups)}"
            raise PickStopped(PickFailure.WRONG_OBJECT, said)
        self._require_confidence(search, [])

    def _require_confidence(self, search: Search, blanks: list[Blank]) -> None:
        """Refuse an object that no view is sure of; a view that sees none says more."""
        views = grouped(search.sightings, self._settings.same_m)[0]
        if any(view.reaches(self._settings.least_confidence) for view in views):
            return
        surest = max(views, key=lambda view: view.target.confidence)
        percent = math.floor(100 * surest.target.confidence)
        said = f"the model is only {percent} % sure of {search.query!r} from {surest.place}"
        denial = next((blank for blank in blanks if blank.failure is PickFailure.NOT_FOUND), None)
        if denial is not None:
            raise PickStopped(denial.failure, f"{denial.message}; {said}", again=False)
        raise PickStopped(PickFailure.UNTRUSTED, said, again=False)

    def _compare(self, search: Search, groups: list[list[Sighting]], number: int) -> bool:
        """Look at the two likeliest objects together, or around the only one; False if the camera cannot get there."""
        one, other = (groups[index][0].target.position_m for index in (0, min(1, len(groups) - 1)))
        apart_m = float(np.linalg.norm(other - one)) if len(groups) > 1 else _AROUND_M
        stand_off_m = float(np.clip(_WIDE * apart_m + self._settings.stand_off_m - 0.05, *_COMPARE_M))
        place = "between the two" if len(groups) > 1 else "farther away"
        answer = self._look(search, 0.5 * (one + other), stand_off_m, place, number)
        if isinstance(answer, Sighting):
            search.sightings.append(answer)
        if answer is not None:
            self._choose(search)
        return answer is not None

    def _look(self, search: Search, at_m: np.ndarray, stand_off_m: float, place: str, number: int) -> Sighting | Blank | None:
        """Look at a position with the wrist camera; None if it cannot get to any viewpoint."""
        assert self._wrist is not None
        path = plan_look(self._arm, self._wrist_frame, at_m, stand_off_m, search.obstacles, number)
        if isinstance(path, NoPath):
            search.note(f"no way to look from {place}: {path.message}")
            return None
        search.note(f"going to look from {place}", PickState.APPROACH)
        frame = self._prepared(self.read_after(path, self._wrist))
        search.note("looking again with the wrist camera")
        return self._answer(search, frame, place)

    def _answer(self, search: Search, frame: RgbdFrame, place: str) -> Sighting | Blank:
        """The model's answer, moved onto an object that it just misses; a point on the bare table is blank."""
        answer = self._looker.answer(frame, search.query, place, search.log.cancelled)
        bare_m = self._arm.table_z_m + _BARE_M
        if isinstance(answer, Blank) or answer.target.position_m[2] > bare_m:
            return answer
        gaps = ((gap(box, answer.target.position_m), box) for box in search.obstacles)
        gap_m, box = min(gaps, key=itemgetter(0), default=(1.0, None))
        if box is not None and gap_m <= _MISSED_M:
            moved = self._looker.moved(answer, np.array([*box.center_m[:2], box.top_m]))
            # A low point inside an obstacle is a container floor, not the table.
            if moved is not None and (moved.target.position_m[2] > bare_m or gap(box, moved.target.position_m) == 0.0):
                return moved
        return Blank(place, PickFailure.NOT_FOUND, f"the model points at the bare table from {place}")

    def _disagree(self, search: Search, answer: Sighting | Blank) -> None:
        """Weigh a view from the stand-off that contradicts the chosen one."""
        before = search.chosen
        if isinstance(answer, Blank):
            search.sightings = [each for each in search.sightings if each is not before] or search.sightings
        else:
            search.sightings.append(answer)
        self._choose(search)
        if isinstance(answer, Sighting) and search.chosen is not before:
            search.note(f"more likely: the object seen from {search.chosen.place}")

    def _choose(self, search: Search, state: PickState = PickState.VERIFY_POINT) -> None:
        groups = grouped(search.sightings, self._settings.same_m)
        search.chosen = max(groups[0], key=attrgetter("weight"))
        if len(search.sightings) > 1:
            agreed = ", ".join(sorted({sighting.place for sighting in groups[0]}))
            doubt = "" if len(groups) == 1 else f"; weights of the objects: {_weights(groups)}"
            search.note(f"chosen: the object seen from {agreed}{doubt}", state)

    def grasps(self, sighting: Sighting) -> tuple[Grasps, tuple[GraspCandidate, ...]]:
        """Propose grasps on a sighting: as found, and in the base frame."""
        pose = sighting.base_T_camera
        found = propose_grasps(sighting.frame, sighting.in_camera, gripper=self._arm.gripper, base_T_camera=pose)
        return found, tuple(candidate.transformed(pose) for candidate in found.candidates)

    @property
    def is_home(self) -> bool:
        """True if the arm stands where the cameras see the table."""
        path = self._arm.plan_home()
        return isinstance(path, JointPath) and path.duration_s <= HOME_S

    def home_path(self) -> JointPath:
        """Plan the path to where the cameras see the table; errors as `approach.home_path`."""
        return home_path(self._arm)

    def rise(self, speed: float = 1.0) -> None:
        """Go straight up if the hand is low among the objects."""
        path = rise_path(self._arm, self._settings.lift_m)
        if path is not None:
            self.go(path, speed)

    def go_home(self, speed: float = 1.0) -> None:
        """Go to where the cameras see the table; a hand that is low rises first."""
        self.rise(speed)
        path = self.home_path()
        if path.duration_s > HOME_S:
            self.go(path, speed)

    def go(self, path: JointPath, speed: float = 1.0, cancelled: Cancelled | None = None) -> None:
        """Follow a path.

        Raises:
            PickStopped: CANCELLED, or COLLISION if something blocks the arm.
        """
        self._arm.follow(path, cancelled=cancelled, speed=speed)

    def read_after(self, path: JointPath, camera: FreshFrames) -> RgbdFrame:
        """Follow a path, and read a camera at its end."""
        self.go(path)
        return camera.read()

    def read_fixed(self) -> RgbdFrame:
        """Read the next frame of the fixed camera, which must measure the table."""
        return self._fixed.read(whole_table=True)


def _wide_views(group: list[Sighting]) -> int:
    return sum(sighting.is_wide for sighting in group)


def _lead(groups: list[list[Sighting]]) -> float:
    """Lead in weight of the likeliest object; infinite if it is the only one."""
    return weight_of(groups[0]) - weight_of(groups[1]) if len(groups) > 1 else math.inf


def _weights(groups: list[list[Sighting]]) -> str:
    return " against ".join(f"{weight_of(group):.1f}" for group in groups)
