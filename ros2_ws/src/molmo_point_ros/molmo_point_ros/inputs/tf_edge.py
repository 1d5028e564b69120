"""The transforms of one parent and child in time. No ROS in here.

Transforms are interpolated between neighbors, never extrapolated, and never over a wide gap or a jump.
"""

import bisect
import math
from dataclasses import dataclass

import numpy as np

from molmo_point.errors import FrameError
from molmo_point.geometry.poses import between, pose_difference
from molmo_point.geometry.transforms import Transform
from molmo_point_ros.inputs.synchronizer import SET_BACK_NS

_SAME_M, _SAME_RAD = 0.01, math.radians(1.0)
_MOST_SPEED_M_S, _MOST_SPEED_RAD_S = 10.0, 50.0
_MOST_ACCELERATION = 10.0
"""Largest change of speed within one step, relative to the largest speed, per second: 100 m/s^2 and 500 rad/s^2."""
_CONTRADICTION_NS = 2_000_000_000
"""Time for which an edge is refused after two publishers have contradicted one another."""


class NotYetKnownError(FrameError):
    """The transform at this stamp is unknown, but waiting may help: its publisher may be late."""


class ContradictionError(FrameError):
    """Several publishers contradict one another about the same frames."""


@dataclass(frozen=True)
class TransformLimits:
    """Limits of the transforms that are used.

    Attributes:
        cache_s: Age behind the newest of the same edge at which moving transforms are forgotten, in seconds.
        max_gap_s: Largest time between two transforms that are interpolated, in seconds.
        max_age_s: Time after which a moving edge that is no longer published is not used, in seconds of the clock.
    """

    cache_s: float = 10.0
    max_gap_s: float = 1.2
    max_age_s: float = 10.0


class TransformEdge:
    """Transforms from one child to one parent.

    Args:
        parent: Frame of the parent.
        child: Frame of the child.
        limits: Ages and gaps.
        static: True for a transform that holds at all times.
        since_ns: Time of the clock at which the edge came up, in nanoseconds.

    Attributes:
        received_ns: Time of the clock at which the last transform came, in nanoseconds.
        confirmed: True if the transform was published repeatedly.
        newest: The transform with the latest stamp.
        questioned_ns: Time of the clock since when a static transform has to come again; None if it does not.
        is_told: True once the user knows that the edge is ignored.
    """

    newest: Transform

    def __init__(self, parent: str, child: str, limits: TransformLimits, static: bool, since_ns: int) -> None:
        self.parent, self.child, self._limits = parent, child, limits
        self.static, self.since_ns, self.received_ns = static, since_ns, since_ns
        self.questioned_ns: int | None = None
        self.confirmed = self.is_told = False
        self._stamps: list[int] = []
        self._transforms: list[Transform] = []
        self._contradicted_ns: int | None = None
        self._difference = ""

    def add(self, parent_T_child: Transform, stamp_ns: int, now_ns: int) -> None:
        """Take a transform. One that is set back in time replaces the transforms after it."""
        self.confirmed = bool(self._stamps) and not self.static
        self.received_ns, self.questioned_ns = now_ns, None
        stamps, transforms = self._stamps, self._transforms
        if self.static or (stamps and stamp_ns < stamps[-1] - SET_BACK_NS):
            # The transforms after a step back belong to another run, or to another clock.
            kept = 0 if self.static else bisect.bisect_left(stamps, stamp_ns)
            del stamps[kept:], transforms[kept:]
        place = bisect.bisect_left(stamps, stamp_ns)
        if place < len(stamps) and stamps[place] == stamp_ns:
            if not same_pose(transforms[place], parent_T_child):
                self._contradict(transforms[place], parent_T_child, now_ns)
            transforms[place] = parent_T_child
        else:
            stamps.insert(place, stamp_ns)
            transforms.insert(place, parent_T_child)
            for middle in {place, len(stamps) - 2}:
                self._check_spike(middle, now_ns)
        old = bisect.bisect_left(stamps, stamps[-1] - round(self._limits.cache_s * 1e9))
        del stamps[:old], transforms[:old]
        self.newest = transforms[-1]

    def is_alive(self, now_ns: int) -> bool:
        """Return true if the edge is static, or was published within `max_age_s`."""
        return self.static or now_ns - self.received_ns <= self._limits.max_age_s * 1e9

    @property
    def newest_ns(self) -> int:
        """Latest stamp, in nanoseconds."""
        return self._stamps[-1]

    def at(self, stamp_ns: int | None, now_ns: int) -> "Transform | FrameError":
        """Return the transform at a capture time, or the newest with None; an error if it is unknown."""
        stamps, transforms, name = self._stamps, self._transforms, f"{self.parent}_T_{self.child}"
        if self.static:
            return self.newest
        if self._contradicted_ns is not None and 0 <= now_ns - self._contradicted_ns < _CONTRADICTION_NS:
            given = f"{name} {self._difference}"
            return ContradictionError(
                "A transform must have one publisher", given, "end the node that publishes the other transform"
            )
        if stamp_ns is None:
            return self.newest
        if not stamps[0] <= stamp_ns <= stamps[-1]:
            return _outside(name, stamps, stamp_ns)
        after = bisect.bisect_left(stamps, stamp_ns)
        if after == 0:
            return transforms[0]
        gap_s = (stamps[after] - stamps[after - 1]) * 1e-9
        if stamps[after] != stamp_ns and gap_s > self._limits.max_gap_s:
            return NotYetKnownError(
                f"The transforms around the capture time must be at most {self._limits.max_gap_s:g} s apart",
                f"{name} is known {(stamp_ns - stamps[after - 1]) * 1e-9:.3f} s before the image and "
                f"{(stamps[after] - stamp_ns) * 1e-9:.3f} s after it",
                "publish it faster, or raise tf_max_gap_s",
            )
        before, at = transforms[after - 1], transforms[after]
        if _is_jump(before, at, gap_s):
            given = f"{name} jumps by {_shown(before, at)} in {gap_s * 1e3:.1f} ms"
            return FrameError("A transform must not jump", given, "end a second publisher of it, or ask again")
        return at if stamps[after] == stamp_ns else between(before, at, (stamp_ns - stamps[after - 1]) * 1e-9 / gap_s)

    def _check_spike(self, middle: int, now_ns: int) -> None:
        """Note a transform that leaves its neighbors in time faster than a robot moves, while they agree."""
        if not 0 < middle < len(self._stamps) - 1:
            return
        before, at, after = self._transforms[middle - 1 : middle + 2]
        if same_pose(before, at) or same_pose(at, after):
            return
        steps = np.diff(self._stamps[middle - 1 : middle + 2]) * 1e-9
        there, back, left = pose_difference(before, at), pose_difference(at, after), pose_difference(before, after)
        for axis, most in enumerate((_MOST_SPEED_M_S, _MOST_SPEED_RAD_S)):
            way = min(there[axis], back[axis])
            fast = way * (1 / steps[0] + 1 / steps[1]) / max(float(steps.sum()) / 2, 1e-9) > _MOST_ACCELERATION * most
            if fast and left[axis] < way / 2:
                self._contradict(before, at, now_ns)

    def _contradict(self, one: Transform, other: Transform, now_ns: int) -> None:
        self._contradicted_ns = now_ns
        self._difference = f"is published with values that differ by {_shown(one, other)}"


def same_pose(one: Transform, other: Transform) -> bool:
    """Return true if two transforms of the same frames agree within 1 cm and 1 degree."""
    distance_m, angle_rad = pose_difference(one, other)
    return distance_m < _SAME_M and angle_rad < _SAME_RAD


def _is_jump(before: Transform, after: Transform, step_s: float) -> bool:
    distance_m, angle_rad = pose_difference(before, after)
    return distance_m > _SAME_M + _MOST_SPEED_M_S * step_s or angle_rad > _SAME_RAD + _MOST_SPEED_RAD_S * step_s


def _shown(one: Transform, other: Transform) -> str:
    distance_m, angle_rad = pose_difference(one, other)
    return f"{distance_m * 1e3:.0f} mm and {math.degrees(angle_rad):.1f} degrees"


def _outside(name: str, stamps: list[int], stamp_ns: int) -> FrameError:
    if stamp_ns > stamps[-1]:
        return NotYetKnownError(
            "The transform at the capture time is not known yet",
            f"newest {name} is {(stamp_ns - stamps[-1]) * 1e-6:.1f} ms older than the image",
            "publish it faster, raise tf_timeout_s, or synchronize the clocks",
        )
    return FrameError(
        "The transform at the capture time is no longer known",
        f"oldest {name} is {(stamps[0] - stamp_ns) * 1e-6:.1f} ms younger than the image",
        "synchronize the clocks of camera and robot, or raise tf_cache_s",
    )
