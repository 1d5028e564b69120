"""A wrist camera circles an object by itself, and offers what it sees as views to be taught.

Every rule of motion of a pick holds: latched stops, permits, paths checked against what stands on the table, and frames that
are younger than the last motion.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from molmo_point.arm.arm import Arm, ArmDriver, Cancelled
from molmo_point.arm.joint_path import JointPath, NoPath, NoPathReason
from molmo_point.arm.obstacle_boxes import REACH_M, ObstacleBox, boxes_on_table
from molmo_point.arm.stop_latch import Permit
from molmo_point.arrays import FloatArray
from molmo_point.camera.base import Camera
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.approach import HOME_S, gap, home_path, look_pose, rise_path
from molmo_point.picking.event_log import EventLog, PickStopped
from molmo_point.picking.fresh_frames import FreshFrames
from molmo_point.picking.guarded_arm import GuardedArm
from molmo_point.picking.states import OnState, Outcome, PickFailure, PickState
from molmo_point.teaching.circled_object import CircledObject, object_at, position_at
from molmo_point.teaching.circling_settings import CirclingSettings
from molmo_point.teaching.view_offer import Offer
from molmo_point.teaching.viewpoints import Viewpoint, rings, spread_out

_ROLLS_DEG = (0.0, 90.0, -90.0, 180.0)
"""Rotations of the camera about its view, upright first: a hand that cannot hold it upright may hold it turned."""
_FILL = 0.6
"""Largest share of the image's shorter side that the object may take."""
_MOST_REFUSED = 4
"""So many views refused one after the other end the motions."""
_HAND_M = 0.06
"""A box that reaches this near to the tool is the hand itself, meters."""
_SAME_CAMERA_RAD = math.radians(12.0)
"""A viewpoint nearer in direction than this to a view that was taken shows nothing new."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Circled(Outcome):
    """Outcome of circling an object; it is a success if at least one view was accepted.

    Attributes:
        accepted: Number of accepted views, the first ones without a motion included.
        refused: (place, reason) of each refused view.
        skipped: (viewpoint, reason) of each viewpoint that the arm cannot get to.
        center_m: (3,) middle of the object, meters, base frame; None if it was not found.
        motions: Number of motions from viewpoint to viewpoint.
    """

    accepted: int = 0
    refused: tuple[tuple[str, str], ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    center_m: tuple[float, float, float] | None = None
    motions: int = 0


class Circler:
    """Moves a wrist camera around an object.

    Args:
        arm: Any arm with a planner; its hand-eye transform is known.
        wrist_camera: Camera on the hand.
        fixed_camera: Sees the whole table with depth; None if there is none, which needs `assumed_height_m`.
        settings: Viewpoints and limits; None takes the defaults.

    Raises:
        InputError: If the arm has no planner.
    """

    def __init__(
        self, arm: Arm, wrist_camera: Camera, fixed_camera: Camera | None = None, settings: CirclingSettings | None = None
    ) -> None:
        if isinstance(arm, ArmDriver) and not isinstance(arm, Arm):
            fix = "give an Arm: a driver with an ArmPlanner, or with plan and plan_home of its own"
            raise InputError("arm must have a planner, which checks each path", f"{type(arm).__name__}, a driver alone", fix)
        self.settings = settings or CirclingSettings()
        self.guarded = GuardedArm(arm)
        self._wrist = FreshFrames(self.guarded, wrist_camera, "the wrist camera")
        self._fixed = None if fixed_camera is None else FreshFrames(self.guarded, fixed_camera, "the fixed camera")

    def circle(
        self,
        offer: Offer,
        at: Sequence[float] | None = None,
        *,
        at_pixel: tuple[float, float] | None = None,
        cancelled: Cancelled | None = None,
        on_state: OnState | None = None,
        permit: Permit | None = None,
    ) -> Circled:
        """Look at an object from around it, and offer every view.

        Without a position the object must be the only one on the table. What is learnt is up to `offer`; a circling that is
        stopped or fails has changed nothing but that.

        Args:
            offer: Takes the views.
            at: (x, y, z) on the object, meters, base frame; None without one.
            at_pixel: Pixel (u, v) on the object in the image of the fixed camera, or of the wrist camera without a fixed one.
            cancelled: Polled all the time; True stops the arm where it is.
            on_state: Called at every decision, from this thread.
            permit: From `arm.resume()`, called when the command was accepted; revoked, it ends the circling as CANCELLED.
                None resumes the arm now.

        Returns:
            A result in every case.

        Raises:
            InputError: If the position is not three finite numbers, or both a position and a pixel are given.
        """
        if at is not None and not (len(at) == 3 and np.all(np.isfinite(at)) and at_pixel is None):
            given = f"at={list(at)}, at_pixel={at_pixel}"
            raise InputError("at must be three finite numbers, without at_pixel", given, "give x, y, z in meters, base frame")
        log = EventLog(self.guarded.clock_ns, on_state, cancelled)
        work = _Circling(self.guarded, self._wrist, self._fixed, self.settings, log, offer)

        def begun() -> None:
            for camera in (self._wrist, self._fixed):
                if camera is not None:
                    camera.begin()
            work.go(None if at is None else np.asarray(at, dtype=np.float64), at_pixel)

        return work.result(self.guarded.carry_out(log, permit, True, begun))


@dataclass(eq=False)
class _Circling:
    """One circling."""

    arm: GuardedArm
    wrist: FreshFrames
    fixed: FreshFrames | None
    settings: CirclingSettings
    log: EventLog
    offer: Offer
    found: CircledObject | None = None
    first_boxes: tuple[ObstacleBox, ...] = ()
    boxes: tuple[ObstacleBox, ...] = ()
    state: PickState = PickState.POINTING
    accepted: int = 0
    refused_in_row: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    seen: list[FloatArray] = field(default_factory=list)
    legs: list[JointPath] = field(default_factory=list)
    motions: int = 0

    @property
    def object(self) -> CircledObject:
        """The object, once the overview has found it."""
        assert self.found is not None
        return self.found

    def go(self, at_m: FloatArray | None, pixel: tuple[float, float] | None) -> None:
        self._make_ready()
        first = self._overview(at_m, pixel)
        wrist = self.wrist.read()
        for frame, place in ((first, "the fixed camera"), (wrist, "the wrist camera, from above")):
            if frame is not None:
                self._offer(frame, place)
        waiting = self._reachable(wrist)
        start = self.arm.base_T_tool()
        while waiting and self.accepted < self.settings.views and self.refused_in_row < _MOST_REFUSED:
            path = self._next(waiting, wrist.frame)
            if path is None and self.legs:
                # From the start, all of them are within reach.
                self._return(start)
                continue
            if path is None:
                break
            viewpoint, leg = path
            waiting = [each for each in waiting if each is not viewpoint]
            self._note(f"going to look from {viewpoint}", PickState.APPROACH)
            self._follow(leg)
            wrist = self.wrist.read()
            if self.object.is_gone(wrist, self._pose(wrist)):
                said = f"the object is not where it stood, as seen from {viewpoint}"
                raise PickStopped(PickFailure.NOT_FOUND, said, again=False)
            # Parts that the overview did not see, and what came since.
            self.boxes = (*self.first_boxes, *self._boxes(wrist))
            self._offer(wrist, str(viewpoint))
        self._return(start)

    def result(self, failure: PickStopped | None) -> Circled:
        """Make the result of a circling that ended with a failure or without."""
        if failure is None and not self.accepted:
            why = self.refused[-1][1] if self.refused else self.skipped[-1][1] if self.skipped else "no viewpoint is left"
            failure = PickStopped(PickFailure.NOT_FOUND, f"no view was accepted; the last reason: {why}")
        if failure is not None:
            self.log.note_end(self.state, failure)
        return Circled(
            failure=None if failure is None else failure.failure,
            message=self._told() if failure is None else failure.message,
            accepted=self.accepted,
            refused=tuple(self.refused),
            skipped=tuple(self.skipped),
            center_m=None if self.found is None else self.found.box.center_m,
            motions=self.motions,
            **self.log.record(),
        )

    def _told(self) -> str:
        said = f"{self.accepted} views accepted, {len(self.refused)} refused, {len(self.skipped)} viewpoints out of reach"
        hidden = self._hidden_side()
        if hidden is None:
            return said
        return f"{said}; the side toward {hidden:.0f} degrees was not seen: turn the object by half a turn and circle again"

    def _hidden_side(self) -> float | None:
        """Middle of the widest gap between the horizontal directions of the views, degrees; None for a gap below 150."""
        level = [direction for direction in self.seen if np.hypot(direction[0], direction[1]) > 0.4]
        if not level:
            return None
        angles = np.sort([math.degrees(math.atan2(direction[1], direction[0])) % 360.0 for direction in level])
        gaps = np.diff(np.append(angles, angles[0] + 360.0))
        widest = int(np.argmax(gaps))
        return float((angles[widest] + gaps[widest] / 2) % 360.0) if gaps[widest] > 150.0 else None

    def _make_ready(self) -> None:
        """Check cameras and fingers before anything moves, then go to where the cameras see the table."""
        if self.arm.is_gripping():
            said = "the fingers hold something: put it down, or call Picker.release() where it may fall"
            raise PickStopped(PickFailure.GRIPPER_NOT_EMPTY, said, again=False)
        frame = self.wrist.read()
        if self.arm.tool_T_camera(frame.frame) is None:
            said = f"the arm knows no hand-eye transform of the wrist camera {frame.frame!r}"
            raise PickStopped(PickFailure.NO_TRANSFORM, said, again=False)
        if frame.intrinsics is None:
            raise PickStopped(PickFailure.CAMERA_FAILED, "the wrist camera gives no intrinsics: calibrate it", again=False)
        if self.fixed is None and math.isnan(self.settings.assumed_height_m):
            said = "without a fixed camera obstacles are not known; give assumed_height_m, the height of all that is on the table"
            raise PickStopped(PickFailure.NO_DEPTH, said, again=False)
        if self.fixed is not None:
            self.fixed.read()
        if home_path(self.arm).duration_s <= HOME_S:
            return
        self._note("going to where the cameras see the table", PickState.APPROACH)
        rise = rise_path(self.arm, self.settings.lift_m)
        for path in [] if rise is None else [rise]:
            self.arm.follow(path, speed=self.settings.speed)
        self.arm.follow(home_path(self.arm), speed=self.settings.speed)

    def _overview(self, at_m: FloatArray | None, pixel: tuple[float, float] | None) -> RgbdFrame | None:
        """Find obstacles and the object; return the frame of the fixed camera."""
        self._note("looking for what stands on the table", PickState.POINTING)
        frame = self.wrist.read(whole_table=True) if self.fixed is None else self.fixed.read(whole_table=True)
        boxes = self._boxes(frame)
        if pixel is not None:
            at_m = position_at(frame, pixel, self._pose(frame))
        self.found = object_at(boxes, at_m, self.arm.table_z_m)
        others = len(boxes) - (self.found.box in boxes)
        if self.fixed is None:
            half_m = 0.5 * self.settings.assumed_height_m
            boxes = (*boxes, ObstacleBox((0.0, 0.0, self.arm.table_z_m + half_m), (REACH_M, REACH_M, half_m)))
        self.first_boxes = self.boxes = boxes
        middle = ", ".join(f"{value:.2f}" for value in self.found.box.center_m)
        self._note(f"the object stands at ({middle}) m, among {others} others", PickState.PLANNING)
        return None if self.fixed is None else frame

    def _boxes(self, frame: RgbdFrame) -> tuple[ObstacleBox, ...]:
        """Boxes around all that a camera sees on the table, without the hand itself."""
        if frame.depth_m is None or frame.intrinsics is None:
            return ()
        boxes = boxes_on_table(frame.depth_m, frame.intrinsics, self._pose(frame), table_z_m=self.arm.table_z_m)
        tool_m = self.arm.base_T_tool().translation_m
        return tuple(box for box in boxes if gap(box, tool_m) > _HAND_M or box.top_m < tool_m[2] - _HAND_M)

    def _pose(self, frame: RgbdFrame) -> Transform:
        return self.arm.base_T_camera(frame.frame, frame.stamp_ns)

    def _reachable(self, wrist: RgbdFrame) -> list[Viewpoint]:
        """Viewpoints that the arm can get to from here, as many as are needed, twice the rest in reserve."""
        settings = self.settings
        candidates = spread_out(rings(settings.elevations_deg, settings.around, self._distances(wrist)), self.seen)
        found: list[Viewpoint] = []
        for viewpoint in candidates:
            if len(found) >= 2 * settings.views:
                break
            path = self._way(viewpoint, wrist.frame)
            if isinstance(path, NoPath):
                self._skip([(viewpoint, path)])
            else:
                found.append(viewpoint)
        return found

    def _distances(self, wrist: RgbdFrame) -> list[float]:
        """Distances of the camera, far enough for the whole object to be seen."""
        assert wrist.intrinsics is not None
        width, height = wrist.intrinsics.size_wh
        least_m = 2.0 * self.object.radius_m * max(wrist.intrinsics.fx, wrist.intrinsics.fy) / (_FILL * min(width, height))
        return [max(distance, least_m) for distance in self.settings.distances_m]

    def _way(self, viewpoint: Viewpoint, camera_frame: str) -> JointPath | NoPath:
        """Plan from the present joint angles to a viewpoint, with the camera as upright as the arm can hold it."""
        at_m = self.object.center_m
        path: JointPath | NoPath = NoPath(NoPathReason.UNREACHABLE, "no pose of the camera")
        for roll_deg in _ROLLS_DEG:
            v = viewpoint
            pose = look_pose(self.arm, camera_frame, at_m, v.distance_m, v.elevation_deg, v.azimuth_deg, roll_deg)
            path = self.arm.plan([pose], obstacles=self.boxes)
            if isinstance(path, JointPath):
                break
        return path

    def _next(self, waiting: list[Viewpoint], camera_frame: str) -> tuple[Viewpoint, JointPath] | None:
        """The quickest of the next few viewpoints that show something new; None if none of them has a path from here.

        At the start, those without a path are skipped.
        """
        waiting[:] = [each for each in waiting if all(each.forward @ seen < math.cos(_SAME_CAMERA_RAD) for seen in self.seen)]
        few = max(1, self.settings.views - self.accepted)
        order = spread_out(waiting, self.seen)
        for first in range(0, len(order), few):
            ways = [(each, self._way(each, camera_frame)) for each in order[first : first + few]]
            paths = [(each, way) for each, way in ways if isinstance(way, JointPath)]
            if paths:
                return min(paths, key=lambda pair: pair[1].duration_s)
            if not self.legs:
                self.skipped += [
                    (str(each), f"{way.reason.value}: {way.message}") for each, way in ways if isinstance(way, NoPath)
                ]
        return None

    def _skip(self, ways: Sequence[tuple[Viewpoint, JointPath | NoPath]]) -> None:
        self.skipped += [(str(each), f"{way.reason.value}: {way.message}") for each, way in ways if isinstance(way, NoPath)]

    def _follow(self, path: JointPath) -> None:
        self.arm.follow(path, speed=self.settings.speed)
        self.legs.append(path)
        self.motions += 1

    def _offer(self, frame: RgbdFrame, place: str) -> None:
        """Offer a view if the object is in it."""
        pose = self._pose(frame)
        pixel = self.object.pixel(frame, pose)
        if pixel is None:
            self.refused.append((place, "the object is outside of the image"))
            return
        answer = self.offer(replace(frame, rotate_deg=_upright_deg(pose)), pixel)
        self.arm.check()
        if answer.accepted:
            self.accepted, self.refused_in_row = self.accepted + 1, 0
        else:
            self.refused_in_row += 1
            self.refused.append((place, answer.message))
        away_m = self.object.center_m - pose.translation_m
        self.seen.append(away_m / np.linalg.norm(away_m))
        said = "accepted" if answer.accepted else f"refused: {answer.message}"
        self._note(f"view from {place} {said}", PickState.VERIFY_POINT)

    def _return(self, start: Transform) -> None:
        """Go back to the first pose of the tool, around the obstacles or by the way that the arm came."""
        if not self.legs:
            return
        self._note("going back", PickState.APPROACH)
        path = self.arm.plan([start], obstacles=self.boxes)
        ways = [path] if isinstance(path, JointPath) else [_reversed(leg) for leg in reversed(self.legs)]
        for way in ways:
            self.arm.follow(way, speed=self.settings.speed)
        self.legs.clear()

    def _note(self, message: str, state: PickState) -> None:
        self.state = state
        self.log.note(state, message)


def _reversed(path: JointPath) -> JointPath:
    return JointPath(path.names, path.positions_rad[::-1], path.duration_s)


def _upright_deg(base_T_camera: Transform) -> int:
    """Turn that makes the picture of a camera upright, degrees clockwise, a multiple of 90."""
    right, down = -base_T_camera.rotation[2, :2]
    return round(math.degrees(math.atan2(right, down)) / 90.0) * 90 % 360
