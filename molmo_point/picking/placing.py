"""Placing the object in the gripper: in, on or next to another object, or at a pose."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from molmo_point.arm.joint_path import JointPath, NoPath
from molmo_point.arm.obstacle_boxes import ObstacleBox
from molmo_point.arrays import FloatArray
from molmo_point.commands.steps import Relation
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.propose import find_object
from molmo_point.picking.approach import plan_visit, shifted, tool_pose
from molmo_point.picking.container import Hollow
from molmo_point.picking.container_placing import LETTING_GO_M, fits, seen_hollow, ways_in
from molmo_point.picking.event_log import EventLog, PickStopped, no_path
from molmo_point.picking.grip import Grip
from molmo_point.picking.guarded_arm import GuardedArm
from molmo_point.picking.held_object import TURNS_RAD, Held
from molmo_point.picking.object_search import Finder, Search
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.picking.states import PickFailure, PickState, PlaceResult
from molmo_point.picking.verification import seen_put

_ABOVE_M, _BESIDE_M = 0.10, 0.025
_OPEN_M, _RIM_CLEAR_M = 0.03, 0.04
"""Extra opening of the fingers for the release, and clearance of the object above a rim."""
_LEAST_SEEN = 0.25
"""Least share to be seen at the place, of the area of an object as wide as the grip."""


@dataclass(frozen=True, eq=False)
class _Spot:
    """A place for the release.

    Attributes:
        pose: `base_T_grasp`.
        support_m: Height of the support, meters, base frame.
        reach_m: Largest distance of the object at rest, meters.
        keep_clear: Boxes to keep clear of on the way down.
        above_m: Height of the start of the way down above the pose, meters.
        open_m: Extra opening of the fingers, meters.
    """

    pose: Transform
    support_m: float
    reach_m: float
    keep_clear: tuple[ObstacleBox, ...] = ()
    above_m: float = _ABOVE_M
    open_m: float = _OPEN_M


class Placer:
    """Places one object.

    Args:
        arm: Holds the object.
        grip: Its fingers.
        finder: Finds the place.
        settings: Thresholds and speed.
        held: The object in the gripper.
        log: Collects the events.

    Attributes:
        held: The object given.
    """

    def __init__(self, arm: GuardedArm, grip: Grip, finder: Finder, settings: PickSettings, held: Held, log: EventLog) -> None:
        self._arm, self._grip, self._finder, self._settings, self.held, self._log = arm, grip, finder, settings, held, log
        self._found_container = False
        self._seen: bool | None = None
        self._released_m: tuple[float, float, float] | None = None

    def place(self, where: str | Transform, relation: Relation) -> None:
        """Place as `Picker.place`; a relation other than in, on and next to needs a pose.

        Raises:
            PickStopped: If the object is not placed, or not seen at its place.
        """
        self._grip.require_held()
        spots, obstacles, before = self._spots(where, relation)
        self._verify(self._put_down(spots, obstacles), before)

    def result(self, stopped: PickStopped | None, where: str | Transform, relation: Relation, holding: str) -> PlaceResult:
        """Make the result.

        Args:
            stopped: What ended it too early; None is success.
            where: As in `place`.
            relation: As in `place`.
            holding: Query of the object in the gripper now; "" is an empty gripper.
        """
        if stopped is not None:
            self._log.note_end(PickState.PLACE, stopped)
            message = stopped.told(holding)
        else:
            place = f"put {relation.value} {where!r}" if isinstance(where, str) and where else "put down"
            sight = "sees it there" if self._seen else "does not see the place"
            message = f"{self.held.query!r} {place}; the fixed camera {sight}"
        return PlaceResult(
            failure=None if stopped is None else stopped.failure,
            message=message,
            holding=holding,
            where=where if isinstance(where, str) and where else "a given pose",
            position_m=self._released_m,
            found_container=self._found_container,
            seen=self._seen,
            **self._log.record(),
        )

    def _note(self, message: str) -> None:
        self._log.note(PickState.PLACE, message)

    def _go(self, path: JointPath) -> None:
        self._finder.go(path, self._settings.holding_speed)

    def _spots(self, where: str | Transform, relation: Relation) -> tuple[list[_Spot], tuple[ObstacleBox, ...], RgbdFrame]:
        """Places for the release, the best first; boxes on the table; and the fixed camera's frame from before."""
        if isinstance(where, str) and self._settings.without_depth:
            said = f"without depth the room at {where!r} is not known; put the object aside, or give a pose"
            raise PickStopped(PickFailure.NO_DEPTH, said, again=False)
        if isinstance(where, str) and not self._finder.is_home:
            self._finder.require_trusted(where, self._log, PickState.PLACE)
        self._note("going to where the cameras see the table")
        self._finder.go_home(self._settings.holding_speed)
        if isinstance(where, Transform):
            support_m = float(where.translation_m[2]) - self.held.below_m
            return [_Spot(where, support_m, self.held.radius_m)], (), self._finder.read_fixed()
        search = self._finder.search(where, self._log, PickState.PLACE)
        hollow = seen_hollow(search, self._arm, prefer=relation is Relation.IN)
        if relation is Relation.NEXT_TO:
            spots = self._next_to(search, hollow)
        elif hollow is not None:
            spots = self._inside(where, hollow, search)
        elif relation is Relation.IN:
            said = f"the object taken for {where!r} has no measurable rim and inside"
            raise PickStopped(PickFailure.WRONG_OBJECT, said)
        else:
            middle, top_m, _ = self._extent(search)
            spots = self._turned([middle], top_m, search)
        return spots, search.obstacles, search.overview

    def _next_to(self, search: Search, hollow: Hollow | None) -> list[_Spot]:
        if hollow is None:
            middle, _, radius_m = self._extent(search)
            others = search.obstacles
        else:
            middle, radius_m = hollow.middle_m, hollow.radius_m
            others = tuple(box for box in search.obstacles if box is not hollow.box)
        places = list(self._beside(middle, radius_m, others))
        if not places:
            raise PickStopped(PickFailure.NO_GRASP, f"no place next to {search.query!r} is free")
        return self._turned(places, self._arm.table_z_m, search)

    def _inside(self, where: str, hollow: Hollow, search: Search) -> list[_Spot]:
        """Places inside a container; its own box is no obstacle."""
        self._found_container = True
        size = f"its opening is {hollow.opening_m * 1e3:.0f} mm wide, {(hollow.rim_m - hollow.floor_m) * 1e3:.0f} mm deep"
        self._note(f"{where!r} is a container: {size}")
        ways = ways_in(self.held, self._arm.gripper, hollow, self._arm.base_frame)
        if not ways:
            too_large = "the object is too large, or the container is full"
            what = "the fingers have no room in it" if fits(self.held, hollow) else too_large
            long_mm = 2e3 * min(self.held.along_m, self.held.radius_m)
            held = f"{self.held.query!r} ({self.held.width_m * 1e3:.0f} x {long_mm:.0f} mm)"
            raise PickStopped(PickFailure.NO_GRASP, f"{held} does not go into {where!r}, {size}: {what}")
        others = tuple(box for box in search.obstacles if box is not hollow.box and not hollow.covers(box.center_m[:2]))
        reach_m, clear_m = 0.5 * hollow.opening_m, hollow.rim_m + _RIM_CLEAR_M
        above_m = [max(_ABOVE_M, clear_m - way.support_m - way.fall_m) for way in ways]
        return [
            _Spot(way.pose, way.support_m, reach_m, others, up_m, LETTING_GO_M) for way, up_m in zip(ways, above_m, strict=True)
        ]

    def _extent(self, search: Search) -> tuple[FloatArray, float, float]:
        """Middle (2,), height and radius of the object found, meters, base frame."""
        sighting = search.chosen
        region = find_object(sighting.frame, sighting.in_camera, base_T_camera=sighting.base_T_camera)
        if len(region.points_m) < 10:
            raise PickStopped(PickFailure.NO_DEPTH, f"no object at the point: {region.message}")
        points = sighting.base_T_camera.apply(region.points_m, sighting.frame.frame)
        low, high = np.quantile(points[:, :2], [0.03, 0.97], axis=0)
        middle = 0.5 * (low + high)
        near = np.linalg.norm(points[:, :2] - middle, axis=1) < 0.015
        # The middle of a container is lower than its rim; the middle of a solid object is its top.
        top_m = float(np.median(points[near, 2])) if np.count_nonzero(near) >= 5 else float(np.quantile(points[:, 2], 0.9))
        return middle, top_m, 0.5 * float(np.linalg.norm(high - low))

    def _beside(self, middle: FloatArray, radius_m: float, obstacles: Sequence[ObstacleBox]) -> Iterator[FloatArray]:
        """Free spots (2,) around an object, toward the arm first."""
        for away_m in (0.0, 0.03, 0.06):
            for angle in np.pi + np.pi / 6 * np.array([0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6]):
                reach = radius_m + self.held.radius_m + _BESIDE_M + away_m
                spot = middle + reach * np.array([math.cos(angle), math.sin(angle)])
                gaps = (np.hypot(*(spot - np.array(b.center_m[:2]))) - math.hypot(*b.half_m[:2]) for b in obstacles)
                if all(gap > self.held.radius_m + 0.01 for gap in gaps):
                    yield spot

    def _turned(self, places: Sequence[FloatArray], support_m: float, search: Search) -> list[_Spot]:
        """Spots over places (2,), in all rotations about the vertical."""
        poses = (self.held.standing(self._arm.base_frame, at, support_m, float(turn)) for at in places for turn in TURNS_RAD)
        return [_Spot(pose, support_m, self.held.radius_m, search.obstacles) for pose in poses]

    def _put_down(self, spots: Sequence[_Spot], obstacles: Sequence[ObstacleBox]) -> _Spot:
        reasons: list[NoPath] = []
        for spot in spots:
            at = tool_pose(self._arm, spot.pose, self.held.width_m)
            above = shifted(at, np.array([0.0, 0.0, spot.above_m]))
            ways = plan_visit(self._arm, (above, obstacles), (at, spot.keep_clear), (above, ()))
            if isinstance(ways, NoPath):
                reasons.append(ways)
                continue
            self._note(f"putting it down at {np.round(spot.pose.translation_m, 3).tolist()} m")
            self._go(ways[0])
            self._go(ways[1])
            self._grip.require_held()
            self._grip.release(min(self.held.width_m + spot.open_m, self._arm.gripper.max_opening_m))
            x, y, z = (float(value) for value in spot.pose.translation_m)
            self._released_m = (x, y, z)
            self._finder.go(ways[2])
            return spot
        raise no_path(*reasons)

    def _verify(self, spot: _Spot, before: RgbdFrame) -> None:
        """Look for the object at its place with the fixed camera.

        Raises:
            PickStopped: SLIPPED if the place is in sight and nothing is there.
        """
        if not self._is_in_view(spot, before):
            return
        share = self._share_seen(spot, before)
        # The arm may hide the place; with the arm at home the fixed camera sees the whole table.
        if math.isnan(share) and not isinstance(home := self._arm.plan_home(), NoPath):
            self._finder.go(home)
            share = self._share_seen(spot, before)
        if math.isnan(share):
            return
        # Noise raises single pixels; the object raises an area as wide as itself.
        self._seen = share > _LEAST_SEEN * (0.5 * self.held.width_m / spot.reach_m) ** 2
        if not self._seen:
            said = f"{self.held.query!r} was released, but the fixed camera sees nothing new at its place"
            raise PickStopped(PickFailure.SLIPPED, said)
        self._note(f"the fixed camera sees something new on {share:.0%} of the place")

    def _is_in_view(self, spot: _Spot, before: RgbdFrame) -> bool:
        return not math.isnan(self._share_new(spot, before, before))

    def _share_seen(self, spot: _Spot, before: RgbdFrame) -> float:
        return self._share_new(spot, before, self._finder.read_fixed())

    def _share_new(self, spot: _Spot, before: RgbdFrame, after: RgbdFrame) -> float:
        at_m = np.array([*spot.pose.translation_m[:2], spot.support_m])
        return seen_put(before, after, at_m, spot.reach_m, self._arm.base_T_camera(before.frame, before.stamp_ns))
