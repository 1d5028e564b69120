"""Search for the object that several views agree on, and grasps on it."""

from dataclasses import dataclass, field, replace
from operator import itemgetter

import numpy as np

from molmo_point.arm.arm import Arm, Cancelled
from molmo_point.arm.joint_path import FollowEnd, JointPath, NoPath
from molmo_point.arm.obstacle_boxes import ObstacleBox, boxes_on_table
from molmo_point.camera.base import Camera
from molmo_point.frame import RgbdFrame
from molmo_point.grasp.candidates import GraspCandidate, Grasps
from molmo_point.grasp.propose import propose_grasps
from molmo_point.picking.approach import gap, plan_look
from molmo_point.picking.event_log import EventLog, PickStopped
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.picking.states import PickFailure, PickState
from molmo_point.picking.views import Blank, Looker, Sighting, grouped, same_object, weight_of

_FRAME_S = 1 / 30
_BARE_M, _MISSED_M = 0.008, 0.03
"""A target lower than the first above the table is on the bare table. It is moved to an object within the second."""
_WIDE, _COMPARE_M, _AROUND_M = 1.6, (0.38, 0.62), 0.15
"""Stand-off as a factor of the distance of two objects, its bounds, and the distance for one object and its surroundings."""


@dataclass(eq=False)
class Search:
    """Views of one search.

    Attributes:
        query: Words for the object.
        overview: Frame of the fixed camera with a free view of the table.
        obstacles: Boxes around all objects on the table.
        sightings: Views with a target.
        blanks: Views without a target.
        chosen: The sighting believed so far; None before the first.
    """

    query: str
    overview: RgbdFrame
    obstacles: tuple[ObstacleBox, ...]
    sightings: list[Sighting] = field(default_factory=list)
    blanks: list[Blank] = field(default_factory=list)
    chosen: Sighting | None = None

    def add(self, answer: Sighting | Blank) -> None:
        """Add a view."""
        if isinstance(answer, Sighting):
            self.sightings.append(answer)
        else:
            self.blanks.append(answer)


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
        self, arm: Arm, looker: Looker, fixed_camera: Camera, wrist_camera: Camera | None, settings: PickSettings
    ) -> None:
        self._arm, self._looker, self._settings = arm, looker, settings
        self._fixed, self._wrist = fixed_camera, wrist_camera
        self._wrist_frame = ""

    def search(self, query: str, log: EventLog, state: PickState, cancelled: Cancelled | None) -> Search:
        """Ask the model about both cameras, without moving.

        Raises:
            PickStopped: NOT_FOUND or NO_DEPTH if no camera gives a target; CANCELLED.
        """
        log.note(state, f"looking for {query!r} with the fixed camera")
        overview = self._read(self._fixed)
        pose = self._arm.base_T_camera(overview.frame, overview.stamp_ns)
        assert overview.depth_m is not None and overview.intrinsics is not None
        boxes = boxes_on_table(overview.depth_m, overview.intrinsics, pose, table_z_m=self._arm.table_z_m)
        search = Search(query, overview, boxes)
        search.add(self._answer(search, overview, "the fixed camera", cancelled))
        if self._wrist is not None:
            frame = self._read(self._wrist)
            self._wrist_frame = frame.frame
            search.add(self._answer(search, frame, "the wrist camera, from above", cancelled))
        if not search.sightings:
            blank = search.blanks[0]
            raise PickStopped(blank.failure, blank.message)
        self._choose(search, log, state)
        return search

    def look_again(self, search: Search, log: EventLog, first: int, cancelled: Cancelled | None) -> None:
        """Look again from a stand-off until the views agree on `search.chosen`.

        Raises:
            PickStopped: WRONG_OBJECT if they do not agree, CANCELLED, or COLLISION if something blocks the arm.
        """
        if self._wrist is None or not self._settings.max_looks:
            return
        for asked in range(self._settings.max_looks):
            assert search.chosen is not None
            groups = grouped(search.sightings, self._settings.same_m)
            last = asked == self._settings.max_looks - 1
            if not last and self._undecided(groups) and self._compare(search, groups, log, first + asked, cancelled):
                continue
            at_m, stand_off_m = search.chosen.target.position_m, self._settings.stand_off_m
            answer = self._look(search, at_m, stand_off_m, "the stand-off", log, first + asked, cancelled)
            if answer is None:
                self._require_lead(search)
                return
            if isinstance(answer, Sighting) and same_object(answer.target, search.chosen.target, self._settings.same_m):
                answer = replace(answer, is_wide=False)
                search.add(answer)
                self._require_lead(search)
                log.note(PickState.VERIFY_POINT, f"seen again from the stand-off, {_apart_mm(answer, search.chosen)} mm off")
                search.chosen = answer
                return
            self._disagree(search, answer, log)
        raise PickStopped(PickFailure.WRONG_OBJECT, f"close views do not agree on {search.query!r}")

    def _require_lead(self, search: Search) -> None:
        groups = grouped(search.sightings, self._settings.same_m)
        if _wide_views(groups[0]) < 2:
            raise PickStopped(PickFailure.WRONG_OBJECT, f"only one distant view takes this for {search.query!r}")
        if len(groups) > 1 and weight_of(groups[0]) - weight_of(groups[1]) < self._settings.least_lead:
            said = " against ".join(f"{weight_of(group):.1f}" for group in groups)
            raise PickStopped(PickFailure.WRONG_OBJECT, f"{search.query!r} may be one object or another: weights {said}")

    def _undecided(self, groups: list[list[Sighting]]) -> bool:
        if _wide_views(groups[0]) < 2:
            return True
        return len(groups) > 1 and weight_of(groups[0]) - weight_of(groups[1]) < self._settings.clear_lead

    def _compare(
        self, search: Search, groups: list[list[Sighting]], log: EventLog, first: int, cancelled: Cancelled | None
    ) -> bool:
        """Look at the two likeliest objects together, or around the only one; False if the camera cannot get there."""
        one, other = (groups[index][0].target.position_m for index in (0, min(1, len(groups) - 1)))
        apart_m = float(np.linalg.norm(other - one)) if len(groups) > 1 else _AROUND_M
        stand_off_m = float(np.clip(_WIDE * apart_m + self._settings.stand_off_m - 0.05, *_COMPARE_M))
        place = "between the two" if len(groups) > 1 else "farther away"
        answer = self._look(search, 0.5 * (one + other), stand_off_m, place, log, first, cancelled)
        if answer is None:
            return False
        search.add(answer)
        self._choose(search, log, PickState.VERIFY_POINT)
        return True

    def _look(
        self,
        search: Search,
        at_m: np.ndarray,
        stand_off_m: float,
        place: str,
        log: EventLog,
        first: int,
        cancelled: Cancelled | None,
    ) -> Sighting | Blank | None:
        """Look at a position with the wrist camera; None if it cannot get to any viewpoint."""
        assert self._wrist is not None and search.chosen is not None
        path = plan_look(self._arm, self._wrist_frame, at_m, stand_off_m, search.obstacles, first)
        target = search.chosen.target
        if isinstance(path, NoPath):
            log.note(PickState.VERIFY_POINT, f"no way to look from {place}: {path.message}", target=target)
            return None
        log.note(PickState.APPROACH, f"going to look from {place}", target=target)
        frame = self.read_after(path, self._wrist, cancelled)
        log.note(PickState.VERIFY_POINT, "looking again with the wrist camera", target=target)
        return self._answer(search, frame, place, cancelled)

    def _answer(self, search: Search, frame: RgbdFrame, place: str, cancelled: Cancelled | None) -> Sighting | Blank:
        """The model's answer, moved onto an object that it just misses; a point on the bare table is blank."""
        answer = self._looker.answer(frame, search.query, place, cancelled)
        table_m = self._arm.table_z_m
        if isinstance(answer, Blank) or answer.target.position_m[2] > table_m + _BARE_M:
            return answer
        gap_m, box = min(
            ((gap(box, answer.target.position_m), box) for box in search.obstacles), key=itemgetter(0), default=(1.0, None)
        )
        moved = None if box is None or gap_m > _MISSED_M else self._looker.moved(answer, np.array([*box.center_m[:2], box.top_m]))
        # A low point inside an obstacle is a container floor, not the table.
        low = moved is not None and moved.target.position_m[2] <= table_m + _BARE_M
        if moved is None or (low and (box is None or gap(box, moved.target.position_m) > 0.0)):
            return Blank(place, PickFailure.NOT_FOUND, f"the model points at the bare table from {place}")
        return moved

    def _disagree(self, search: Search, answer: Sighting | Blank, log: EventLog) -> None:
        """Weigh a view from the stand-off that contradicts the chosen one."""
        assert search.chosen is not None
        if isinstance(answer, Blank):
            search.blanks.append(answer)
            search.sightings = [each for each in search.sightings if each is not search.chosen] or search.sightings
            self._choose(search, log, PickState.VERIFY_POINT)
            return
        search.add(answer)
        before = search.chosen
        self._choose(search, log, PickState.VERIFY_POINT)
        if search.chosen is before:
            return
        log.note(PickState.VERIFY_POINT, f"more likely: the object seen from {search.chosen.place}", target=search.chosen.target)

    def _choose(self, search: Search, log: EventLog, state: PickState) -> None:
        groups = grouped(search.sightings, self._settings.same_m)
        search.chosen = max(groups[0], key=lambda sighting: sighting.weight)
        if len(search.sightings) < 2:
            return
        agreed = ", ".join(sorted({sighting.place for sighting in groups[0]}))
        weights = " against ".join(f"{weight_of(group):.1f}" for group in groups)
        doubt = "" if len(groups) == 1 else f"; weights of the objects: {weights}"
        log.note(state, f"chosen: the object seen from {agreed}{doubt}", target=search.chosen.target)

    def grasps(self, sighting: Sighting) -> tuple[Grasps, tuple[GraspCandidate, ...]]:
        """Propose grasps on a sighting: as found, and in the base frame."""
        found = propose_grasps(
            sighting.frame, sighting.in_camera, gripper=self._arm.gripper, base_T_camera=sighting.base_T_camera
        )
        return found, tuple(candidate.transformed(sighting.base_T_camera) for candidate in found.candidates)

    def go(self, path: JointPath, cancelled: Cancelled | None, speed: float = 1.0) -> None:
        """Follow a path.

        Raises:
            PickStopped: CANCELLED, or COLLISION if something blocks the arm.
        """
        end = self._arm.follow(path, cancelled=cancelled, speed=speed)
        if end is FollowEnd.CANCELLED:
            raise PickStopped(PickFailure.CANCELLED, "the arm was stopped on its way", again=False)
        if end is FollowEnd.BLOCKED:
            raise PickStopped(PickFailure.COLLISION, "something blocked the arm on its way")

    def read_after(self, path: JointPath, camera: Camera, cancelled: Cancelled | None) -> RgbdFrame:
        """Follow a path, and read a camera at its end."""
        self.go(path, cancelled)
        return self._read(camera)

    def read_fixed(self) -> RgbdFrame:
        """Read the next frame of the fixed camera."""
        return self._read(self._fixed)

    def _read(self, camera: Camera) -> RgbdFrame:
        # The exposure of the next frame begins after everything stands still.
        self._arm.wait(_FRAME_S)
        return camera.read()


def _wide_views(group: list[Sighting]) -> int:
    return sum(sighting.is_wide for sighting in group)


def _apart_mm(one: Sighting, other: Sighting) -> int:
    return round(1e3 * float(np.linalg.norm(one.target.position_m - other.target.position_m)))
