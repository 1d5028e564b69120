"""From words to one thing on the table that several looks agree on, and to grasps on it."""

from dataclasses import dataclass, field, replace
from operator import itemgetter

import numpy as np

from molmo_point.arm.arm import Arm, Cancelled
from molmo_point.arm.joint_path import FollowEnd, JointPath, NoPath
from molmo_point.arm.obstacle_boxes import ObstacleBox
from molmo_point.arm.obstacle_boxes import boxes_on_table
from molmo_point.camera.base import Camera
from molmo_point.frame import RgbdFrame
from molmo_point.grasp.candidates import GraspCandidate, Grasps
from molmo_point.grasp.propose import propose_grasps
from molmo_point.picking.approach import gap, plan_look
from molmo_point.picking.event_log import Diary, PickStopped
from molmo_point.picking.settings import PickSettings
from molmo_point.picking.states import PickFailure, PickState
from molmo_point.picking.views import Blank, Looker, Sighting, grouped, same_thing, weight_of

_FRAME_S = 1 / 30
_BARE_M, _MISSED_M = 0.008, 0.03
"""A target lower above the table than the first is on the bare table; a thing not farther from it than the second was meant."""
_NEARBY = 0.5
"""Share of the weight of a look that shows little but the thing that it was to confirm."""
_WIDE, _COMPARE_M, _AROUND_M = 1.6, (0.38, 0.62), 0.15
"""Stand-off by the distance of two things, so that both are well in the picture, its bounds, and the distance for a single
one with its surroundings."""


@dataclass(eq=False)
class Search:
    """What has been seen while looking for one thing.

    Attributes:
        query: What is looked for.
        overview: Frame of the fixed camera, with nothing in its way.
        obstacles: Everything on the table.
        sightings: Answers with a target.
        blanks: Answers without.
        chosen: The sighting that is gone by now.
    """

    query: str
    overview: RgbdFrame
    obstacles: tuple[ObstacleBox, ...]
    sightings: list[Sighting] = field(default_factory=list)
    blanks: list[Blank] = field(default_factory=list)
    chosen: Sighting | None = None

    def add(self, answer: Sighting | Blank) -> None:
        """Takes in an answer."""
        if isinstance(answer, Sighting):
            self.sightings.append(answer)
        else:
            self.blanks.append(answer)


class Finder:
    """Finds things with two cameras.

    Args:
        arm: Carries the wrist camera.
        looker: Asks the model.
        fixed_camera: Sees the table whole.
        wrist_camera: On the hand, or None.
        settings: Of the pick.
    """

    def __init__(
        self, arm: Arm, looker: Looker, fixed_camera: Camera, wrist_camera: Camera | None, settings: PickSettings
    ) -> None:
        self._arm, self._looker, self._settings = arm, looker, settings
        self._fixed, self._wrist = fixed_camera, wrist_camera
        self._wrist_frame = ""

    def search(self, query: str, diary: Diary, state: PickState, cancelled: Cancelled | None) -> Search:
        """Asks the cameras from where they are.

        Raises:
            PickStopped: NOT_FOUND or NO_DEPTH when no camera gives a target; CANCELLED.
        """
        diary.note(state, f"looking for {query!r} with the fixed camera")
        overview = self._read(self._fixed)
        pose = self._arm.base_T_camera(overview.frame, overview.stamp_ns)
        assert overview.depth_m is not None and overview.intrinsics is not None
        boxes = boxes_on_table(overview.depth_m, overview.intrinsics, pose, table_z_m=self._arm.table_z_m)
        search = Search(query, overview, boxes)
        search.add(self._answer(search, overview, "the fixed camera", cancelled))
        if self._wrist is not None:
            frame = self._read(self._wrist)
            self._wrist_frame = frame.frame
            if self._settings.second_view:
                search.add(self._answer(search, frame, "the wrist camera, from above", cancelled))
        if not search.sightings:
            blank = search.blanks[0]
            raise PickStopped(blank.failure, blank.message)
        self._choose(search, diary, state)
        return search

    def look_again(self, search: Search, diary: Diary, first: int, cancelled: Cancelled | None) -> None:
        """Goes to a stand-off and asks again, until the looks agree; `search.chosen` is what they agree on.

        Raises:
            PickStopped: WRONG_OBJECT when they do not agree, CANCELLED, or COLLISION when something is in the way.
        """
        if self._wrist is None or not self._settings.look_again:
            return
        for asked in range(self._settings.max_looks):
            assert search.chosen is not None
            groups = grouped(search.sightings, self._settings.same_m)
            last = asked == self._settings.max_looks - 1
            if not last and self._undecided(groups) and self._compare(search, groups, diary, first + asked, cancelled):
                continue
            answer = self._look_at(search, search.chosen, diary, first + asked, cancelled)
            if answer is None:
                self._require_lead(search)
                return
            if isinstance(answer, Sighting) and same_thing(answer.target, search.chosen.target, self._settings.same_m):
                answer = replace(answer, counts=_NEARBY)
                search.add(answer)
                self._require_lead(search)
                diary.note(PickState.VERIFY_POINT, f"seen again from the stand-off, {_apart_mm(answer, search.chosen)} mm off")
                search.chosen = answer
                return
            self._disagree(search, answer, diary)
        raise PickStopped(PickFailure.WRONG_OBJECT, f"looks from nearby do not agree on what {search.query!r} is")

    def _require_lead(self, search: Search) -> None:
        groups = grouped(search.sightings, self._settings.same_m)
        if self._settings.second_view and _wide_looks(groups[0]) < 2:
            raise PickStopped(PickFailure.WRONG_OBJECT, f"only one look from afar takes this for {search.query!r}")
        if len(groups) > 1 and weight_of(groups[0]) - weight_of(groups[1]) < self._settings.least_lead:
            said = " against ".join(f"{weight_of(group):.1f}" for group in groups)
            raise PickStopped(PickFailure.WRONG_OBJECT, f"{search.query!r} may be one thing as well as another: {said}")

    def _undecided(self, groups: list[list[Sighting]]) -> bool:
        if self._settings.second_view and _wide_looks(groups[0]) < 2:
            return True
        return len(groups) > 1 and weight_of(groups[0]) - weight_of(groups[1]) < self._settings.clear_lead

    def _compare(
        self, search: Search, groups: list[list[Sighting]], diary: Diary, first: int, cancelled: Cancelled | None
    ) -> bool:
        """Looks at the two likeliest things together, or around the only one; False where the camera cannot get there."""
        one, other = (groups[index][0].target.position_m for index in (0, min(1, len(groups) - 1)))
        apart_m = float(np.linalg.norm(other - one)) if len(groups) > 1 else _AROUND_M
        stand_off_m = float(np.clip(_WIDE * apart_m + self._settings.stand_off_m - 0.05, *_COMPARE_M))
        place = "between the two" if len(groups) > 1 else "farther away"
        answer = self._look(search, 0.5 * (one + other), stand_off_m, place, diary, first, cancelled)
        if answer is None:
            return False
        search.add(answer)
        self._choose(search, diary, PickState.VERIFY_POINT)
        return True

    def _look_at(
        self, search: Search, at: Sighting, diary: Diary, first: int, cancelled: Cancelled | None
    ) -> Sighting | Blank | None:
        """One look from nearby; None where the camera cannot get to any place to look from."""
        stand_off_m = self._settings.stand_off_m
        return self._look(search, at.target.position_m, stand_off_m, "the stand-off", diary, first, cancelled)

    def _look(
        self,
        search: Search,
        at_m: np.ndarray,
        stand_off_m: float,
        place: str,
        diary: Diary,
        first: int,
        cancelled: Cancelled | None,
    ) -> Sighting | Blank | None:
        assert self._wrist is not None and search.chosen is not None
        path = plan_look(self._arm, self._wrist_frame, at_m, stand_off_m, search.obstacles, first)
        target = search.chosen.target
        if isinstance(path, NoPath):
            diary.note(PickState.VERIFY_POINT, f"no way to look from {place}: {path.message}", target=target)
            return None
        diary.note(PickState.APPROACH, f"going to look from {place}", target=target)
        if self._settings.look_in_passing:
            frame = self._read_in_passing(path, cancelled)
        else:
            self.go(path, cancelled)
            frame = self._read(self._wrist)
        diary.note(PickState.VERIFY_POINT, "looking again with the wrist camera", target=target)
        return self._answer(search, frame, place, cancelled)

    def _answer(self, search: Search, frame: RgbdFrame, place: str, cancelled: Cancelled | None) -> Sighting | Blank:
        """The model's answer, moved onto the thing that it just misses; a point on the bare table is none."""
        answer = self._looker.answer(frame, search.query, place, cancelled)
        table_m = self._arm.table_z_m
        if isinstance(answer, Blank) or answer.target.position_m[2] > table_m + _BARE_M:
            return answer
        gap_m, box = min(
            ((gap(box, answer.target.position_m), box) for box in search.obstacles), key=itemgetter(0), default=(1.0, None)
        )
        moved = None if box is None or gap_m > _MISSED_M else self._looker.moved(answer, np.array([*box.center_m[:2], box.top_m]))
        # What is as low in the middle of what stands there is the floor of a plate or a box.
        low = moved is not None and moved.target.position_m[2] <= table_m + _BARE_M
        if moved is None or (low and (box is None or gap(box, moved.target.position_m) > 0.0)):
            return Blank(place, PickFailure.NOT_FOUND, f"the model points at the bare table from {place}")
        return moved

    def _disagree(self, search: Search, answer: Sighting | Blank, diary: Diary) -> None:
        """What to believe when the stand-off shows something else."""
        assert search.chosen is not None
        if isinstance(answer, Blank):
            search.blanks.append(answer)
            search.sightings = [each for each in search.sightings if each is not search.chosen] or search.sightings
            self._choose(search, diary, PickState.VERIFY_POINT)
            return
        search.add(answer)
        before = search.chosen
        self._choose(search, diary, PickState.VERIFY_POINT)
        if search.chosen is before:
            return
        diary.note(PickState.VERIFY_POINT, f"it is rather what was seen from {search.chosen.place}", target=search.chosen.target)

    def _choose(self, search: Search, diary: Diary, state: PickState) -> None:
        groups = grouped(search.sightings, self._settings.same_m)
        search.chosen = max(groups[0], key=lambda sighting: sighting.weight)
        if len(search.sightings) < 2:
            return
        agreed = ", ".join(sorted({sighting.place for sighting in groups[0]}))
        weights = " against ".join(f"{weight_of(group):.1f}" for group in groups)
        doubt = "" if len(groups) == 1 else f"; weights of the places pointed at: {weights}"
        diary.note(state, f"chosen: what was seen from {agreed}{doubt}", target=search.chosen.target)

    def grasps(self, sighting: Sighting) -> tuple[Grasps, tuple[GraspCandidate, ...]]:
        """Grasps on what a sighting shows: as found, and in the base frame."""
        found = propose_grasps(
            sighting.frame, sighting.in_camera, gripper=self._arm.gripper, base_T_camera=sighting.base_T_camera
        )
        return found, tuple(candidate.transformed(sighting.base_T_camera) for candidate in found.candidates)

    def go(self, path: JointPath, cancelled: Cancelled | None, speed: float = 1.0) -> None:
        """Follows a path.

        Raises:
            PickStopped: CANCELLED, or COLLISION when the arm was held up.
        """
        end = self._arm.follow(path, cancelled=cancelled, speed=speed)
        if end is FollowEnd.CANCELLED:
            raise PickStopped(PickFailure.CANCELLED, "the arm was stopped on its way", again=False)
        if end is FollowEnd.BLOCKED:
            raise PickStopped(PickFailure.COLLISION, "the arm was held up by something on its way")

    def read_fixed(self) -> RgbdFrame:
        """The next frame of the fixed camera."""
        return self._read(self._fixed)

    def _read(self, camera: Camera) -> RgbdFrame:
        # The next frame is one that was begun after everything stood still.
        self._arm.wait(_FRAME_S)
        return camera.read()

    def _read_in_passing(self, path: JointPath, cancelled: Cancelled | None) -> RgbdFrame:
        """A frame from the last part of a path, taken while the arm moves."""
        assert self._wrist is not None
        frames: list[RgbdFrame] = []
        due_ns = self._arm.now_ns() + round(0.8 * path.duration_s * 1e9)

        def watch() -> bool:
            if not frames and self._arm.now_ns() >= due_ns and self._wrist is not None:
                frames.append(self._wrist.read())
            return cancelled is not None and cancelled()

        self.go(path, watch)
        return frames[0] if frames else self._read(self._wrist)


def _wide_looks(group: list[Sighting]) -> int:
    """Looks that showed more than the thing itself."""
    return sum(sighting.counts == 1.0 for sighting in group)


def _apart_mm(one: Sighting, other: Sighting) -> int:
    return round(1e3 * float(np.linalg.norm(one.target.position_m - other.target.position_m)))
