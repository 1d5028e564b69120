"""History of stamped poses of a moving camera, interpolated between poses and never extrapolated."""

import bisect
import math

import numpy as np

from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.transforms import Transform

MAX_GAP_S = 0.2


class PoseHistory:
    """Recent poses `base_T_camera`, sorted by capture time.

    Args:
        target: The fixed frame, e.g. "base".
        source: The moving frame, e.g. the camera's optical frame.
        keep_s: Age, relative to the newest pose, at which poses are dropped; must exceed the model's latency.
        max_gap_s: Largest time between two poses that are interpolated.
    """

    def __init__(self, target: str, source: str, *, keep_s: float = 30.0, max_gap_s: float = MAX_GAP_S) -> None:
        self.target, self.source = target, source
        self._keep_ns, self._max_gap_ns = round(keep_s * 1e9), round(max_gap_s * 1e9)
        self._stamps: list[int] = []
        self._poses: list[Transform] = []

    def add(self, pose: Transform, stamp_ns: int) -> None:
        """Add a pose. A late pose is sorted in; a pose of the same stamp is replaced.

        Raises:
            FrameError: If the pose relates other frames.
        """
        if (pose.target, pose.source) != (self.target, self.source):
            what, fix = f"The pose must be {self.target}_T_{self.source}", "keep one history for each pair of frames"
            raise FrameError(what, f"{pose.target}_T_{pose.source}", fix)
        place = bisect.bisect_left(self._stamps, stamp_ns)
        if place < len(self._stamps) and self._stamps[place] == stamp_ns:
            self._poses[place] = pose
            return
        self._stamps.insert(place, stamp_ns)
        self._poses.insert(place, pose)
        forgotten = bisect.bisect_left(self._stamps, self._stamps[-1] - self._keep_ns)
        del self._stamps[:forgotten], self._poses[:forgotten]

    def at(self, stamp_ns: int) -> Transform:
        """Return `base_T_camera` at a time.

        Raises:
            InputError: If the time is before the first pose, after the last pose, or in too wide a gap.
        """
        place = bisect.bisect_left(self._stamps, stamp_ns)
        if place < len(self._stamps) and self._stamps[place] == stamp_ns:
            return self._poses[place]
        if place in (0, len(self._stamps)):
            raise self._unknown(stamp_ns, "outside the known poses")
        before, after = self._stamps[place - 1], self._stamps[place]
        if after - before > self._max_gap_ns:
            raise self._unknown(stamp_ns, f"in a gap of {(after - before) * 1e-9:.3f} s between poses")
        return between(self._poses[place - 1], self._poses[place], (stamp_ns - before) / (after - before))

    def _unknown(self, stamp_ns: int, why: str) -> InputError:
        known = f"{self._stamps[0]} to {self._stamps[-1]} ns" if self._stamps else "none"
        return InputError(
            f"The pose of {self.source!r} must be known at the time, which is {why}",
            f"stamp {stamp_ns} ns, known {known}",
            "add poses at least every max_gap_s, from before the capture until after it",
        )


def pose_difference(one: Transform, other: Transform) -> tuple[float, float]:
    """Return the distance in meters and the angle in radians between two poses of the same frames."""
    # Transforms of a robot come a thousand times a second, so this does without arrays.
    cosine = (float(np.vdot(one.rotation, other.rotation)) - 1) / 2
    return math.dist(one.translation_m, other.translation_m), math.acos(min(max(cosine, -1.0), 1.0))


def between(before: Transform, after: Transform, share: float) -> Transform:
    """Interpolate between two poses: linear in position, along the shortest rotation in orientation.

    Args:
        before: Pose at share 0.
        after: Pose at share 1, between the same frames.
        share: Position between the poses, 0 to 1.
    """
    one, other = before.quaternion_xyzw, after.quaternion_xyzw
    cosine = float(one @ other)
    if cosine < 0.0:
        other, cosine = -other, -cosine
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:
        mixed = (1.0 - share) * one + share * other
    else:
        mixed = (np.sin((1.0 - share) * angle) * one + np.sin(share * angle) * other) / np.sin(angle)
    translation = (1.0 - share) * before.translation_m + share * after.translation_m
    covariance = after.covariance if share >= 0.5 else before.covariance
    return Transform.from_quaternion(
        before.target, before.source, mixed / np.linalg.norm(mixed), translation, covariance=covariance
    )
