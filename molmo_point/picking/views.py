"""Views of the table from several places, and the object that they agree on."""

import math
from dataclasses import dataclass

import numpy as np

from molmo_point.arm.arm import Cancelled
from molmo_point.cautions import Caution, CautionKind
from molmo_point.depth.lift import lift_point
from molmo_point.errors import CancelledError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.event_log import PickStopped
from molmo_point.picking.guarded_arm import GuardedArm, errors_as
from molmo_point.picking.states import PickFailure
from molmo_point.pointer import Pointer
from molmo_point.request import PointRequest
from molmo_point.results import ImagePoint, Target, Unreachable

_SIGMAS = 11.3
"""Squared Mahalanobis distance of 99 % in three dimensions."""
_WIDEST_M = 0.045
_UNKNOWN = 0.5
"""Stands for an unknown confidence: an even chance."""
_CLOSE = 0.5
"""Factor on the weight of a close view."""


@dataclass(frozen=True, eq=False)
class Sighting:
    """One answer of the model about one frame.

    Attributes:
        place: Viewpoint in words.
        frame: The frame that the model answered about.
        base_T_camera: Pose of the camera at the capture.
        in_camera: Target in the optical frame.
        target: Target in the base frame.
        is_wide: True if the view shows the object among others. A close view says less about which object is meant.
    """

    place: str
    frame: RgbdFrame
    base_T_camera: Transform
    in_camera: Target
    target: Target
    is_wide: bool = True

    @property
    def weight(self) -> float:
        """Log-odds of the confidence, plus 1, between 0.1 and 3; half of that for a close view."""
        confidence = self.target.confidence
        share = min(max(confidence if math.isfinite(confidence) else _UNKNOWN, 0.02), 0.98)
        return (1.0 if self.is_wide else _CLOSE) * min(3.0, max(0.1, math.log(share / (1.0 - share)) + 1.0))

    def reaches(self, least_confidence: float) -> bool:
        """True if the confidence is at least this, or unknown because the caller accepted a caution."""
        return not self.target.confidence < least_confidence


@dataclass(frozen=True, eq=False)
class Blank:
    """A view without a target: the model sees no object, it has no depth, or the answer is not trusted.

    Attributes:
        place: Viewpoint in words.
        failure: Reason.
        message: Reason in words, for people.
    """

    place: str
    failure: PickFailure
    message: str


class Looker:
    """Asks the model for an object in a camera's frame, and lifts the point to a target in the base frame.

    Args:
        pointer: The model.
        arm: Knows the cameras' poses.
        accepted: Kinds of cautions that leave an answer trusted.
    """

    def __init__(self, pointer: Pointer, arm: GuardedArm, accepted: frozenset[CautionKind] = frozenset()) -> None:
        self._pointer, self._arm, self._accepted = pointer, arm, accepted

    def answer(self, frame: RgbdFrame, query: str, place: str, cancelled: Cancelled | None) -> Sighting | Blank:
        """Ask the model about a frame.

        Raises:
            PickStopped: UNTRUSTED if the answer bears a caution about the words or the model; CANCELLED; MODEL_FAILED if
                the model raises an error or points outside the image.
        """
        with errors_as(PickFailure.MODEL_FAILED, f"the model, asked for {query!r}"):
            try:
                spread = self._pointer.backend.for_words(query).tells_spread
                request = PointRequest(query, max_points=1, labels=False, spread=spread)
                answer = self._pointer.point(frame, request, should_stop=cancelled)
            except CancelledError as error:
                raise PickStopped(PickFailure.CANCELLED, "cancelled during the question to the model", again=False) from error
            self._arm.spend_answer_time()
            self._arm.check()
            doubts = [caution for caution in answer.cautions if caution.kind not in self._accepted]
            if doubts:
                blank = Blank(place, PickFailure.UNTRUSTED, _refusal(query, place, doubts))
                if any(caution.kind.holds_for_any_image for caution in doubts):
                    raise PickStopped(blank.failure, blank.message, again=False)
                return blank
            if not answer.points:
                return Blank(place, PickFailure.NOT_FOUND, f"the model sees no {query!r} from {place}")
            return self._lifted(answer.points[0], frame, place)

    def moved(self, sighting: Sighting, onto_m: np.ndarray) -> Sighting | None:
        """Move the point of a sighting to a position (3,), base frame; None outside the image."""
        frame = sighting.frame
        assert frame.intrinsics is not None
        camera_T_base = sighting.base_T_camera.inverse()
        uv = frame.intrinsics.project_inside(camera_T_base.apply(onto_m, camera_T_base.source))
        if np.isnan(uv[0]):
            return None
        seen = sighting.in_camera
        found = self._lifted(ImagePoint(float(uv[0]), float(uv[1]), seen.label, seen.confidence, 3.0), frame, sighting.place)
        return found if isinstance(found, Sighting) else None

    def lift(self, point: ImagePoint, frame: RgbdFrame) -> Target | Unreachable:
        """Lift an image point to a target in the optical frame."""
        return lift_point(point, frame)

    def camera_pose(self, frame: RgbdFrame) -> Transform:
        """`base_T_camera` at the capture of a frame."""
        return self._arm.base_T_camera(frame.frame, frame.stamp_ns)

    def _lifted(self, point: ImagePoint, frame: RgbdFrame, place: str) -> Sighting | Blank:
        found = self.lift(point, frame)
        if isinstance(found, Unreachable):
            return Blank(place, PickFailure.NO_DEPTH, f"{point.label!r} at ({point.u:.0f}, {point.v:.0f}): {found.message}")
        pose = self.camera_pose(frame)
        target = found.transformed(pose)
        if not (np.all(np.isfinite(target.position_m)) and np.all(np.isfinite(target.covariance_m2))):
            return Blank(place, PickFailure.NO_DEPTH, f"{point.label!r} at ({point.u:.0f}, {point.v:.0f}) has no finite position")
        return Sighting(place, frame, pose, found, target)


def _refusal(query: str, place: str, doubts: list[Caution]) -> str:
    """Say why an answer moves nothing, and what to do."""
    said = "; ".join(map(str, doubts))
    names = ", ".join(doubt.kind.value for doubt in doubts)
    return f"the answer about {query!r} from {place} is not trusted: {said}; to move all the same, accept_cautions: {names}"


def same_object(one: Target, other: Target, same_m: float) -> bool:
    """True if two targets in one frame may be one object, by distance and covariances.

    Targets more than 45 mm apart are two objects, whatever their covariances.
    """
    away = other.position_m - one.position_m
    distance = float(np.linalg.norm(away))
    if distance <= same_m:
        return True
    together = one.covariance_m2 + other.covariance_m2 + np.eye(3) * 1e-8
    return distance <= _WIDEST_M and float(away @ np.linalg.solve(together, away)) <= _SIGMAS


def grouped(sightings: list[Sighting], same_m: float) -> list[list[Sighting]]:
    """Group sightings by object, the object with the most weight first."""
    groups: list[list[Sighting]] = []
    for sighting in sightings:
        for group in groups:
            if any(same_object(sighting.target, other.target, same_m) for other in group):
                group.append(sighting)
                break
        else:
            groups.append([sighting])
    return sorted(groups, key=lambda group: -weight_of(group))


def weight_of(group: list[Sighting]) -> float:
    """Sum of the weights of all sightings of an object."""
    return sum(sighting.weight for sighting in group)
