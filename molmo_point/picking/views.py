"""Looks at the table from several places, and which thing they agree on."""

import math
from dataclasses import dataclass

import numpy as np

from molmo_point.arm.arm import Arm, Cancelled
from molmo_point.errors import CancelledError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.event_log import PickStopped
from molmo_point.picking.settings import PickSettings
from molmo_point.picking.states import PickFailure
from molmo_point.pointer import Pointer
from molmo_point.results import ImagePoint, Target, Unreachable

_SIGMAS = 11.3
"""Squared Mahalanobis distance that holds 99 % in three dimensions."""
_WIDEST_M = 0.045
_UNKNOWN = 0.5


@dataclass(frozen=True, eq=False)
class Sighting:
    """One answer of the model about one frame.

    Attributes:
        place: Where it was seen from, in words.
        frame: What was looked at.
        base_T_camera: Taken for that frame.
        in_camera: The target in the frame's optical frame.
        target: The same in the base frame.
        counts: Share of its weight that counts: a look that shows little but the thing itself says less about which
            thing is meant.
    """

    place: str
    frame: RgbdFrame
    base_T_camera: Transform
    in_camera: Target
    target: Target
    counts: float = 1.0

    @property
    def weight(self) -> float:
        """Log-odds of its confidence, plus 1, between 0.1 and 3; times what it counts."""
        confidence = self.target.confidence
        share = min(max(confidence if math.isfinite(confidence) else _UNKNOWN, 0.02), 0.98)
        return self.counts * min(3.0, max(0.1, math.log(share / (1.0 - share)) + 1.0))


@dataclass(frozen=True, eq=False)
class Blank:
    """A look that gave no target: why not."""

    place: str
    failure: PickFailure
    message: str


class Looker:
    """Asks the model what a camera sees, and where that is.

    Args:
        pointer: The model.
        arm: Tells where the cameras are.
        settings: Of the pick.
    """

    def __init__(self, pointer: Pointer, arm: Arm, settings: PickSettings) -> None:
        self._pointer, self._arm, self._settings = pointer, arm, settings
        self._spread = pointer.backend.tells_spread

    def answer(self, frame: RgbdFrame, query: str, place: str, cancelled: Cancelled | None) -> Sighting | Blank:
        """What the model says about a frame.

        Raises:
            PickStopped: When it was cancelled.
        """
        try:
            pointing = self._pointer.point(frame, query, max_points=1, labels=False, spread=self._spread, should_stop=cancelled)
        except CancelledError as error:
            raise PickStopped(PickFailure.CANCELLED, "cancelled while the model was asked", again=False) from error
        self._arm.wait(self._settings.answer_s)
        if not pointing.points:
            return Blank(place, PickFailure.NOT_FOUND, f"the model sees no {query!r} from {place}")
        return self._lifted(pointing.points[0], frame, place)

    def moved(self, sighting: Sighting, onto_m: np.ndarray) -> Sighting | None:
        """The sighting with its point moved to where a place (3,), base frame, is in its image; None outside of it."""
        frame = sighting.frame
        assert frame.intrinsics is not None
        camera_T_base = sighting.base_T_camera.inverse()
        uv = frame.intrinsics.project_inside(camera_T_base.apply(onto_m, camera_T_base.source))
        if np.isnan(uv[0]):
            return None
        seen = sighting.in_camera
        found = self._lifted(ImagePoint(float(uv[0]), float(uv[1]), seen.label, seen.confidence, 3.0), frame, sighting.place)
        return found if isinstance(found, Sighting) else None

    def _lifted(self, point: ImagePoint, frame: RgbdFrame, place: str) -> Sighting | Blank:
        found = self._settings.lift(point, frame)
        if isinstance(found, Unreachable):
            return Blank(place, PickFailure.NO_DEPTH, f"{point.label!r} at ({point.u:.0f}, {point.v:.0f}): {found.message}")
        stamp = frame.stamp_ns if self._settings.transform_at == "capture" else None
        pose = self._arm.base_T_camera(frame.frame, stamp)
        return Sighting(place, frame, pose, found, found.transformed(pose))


def same_thing(one: Target, other: Target, same_m: float) -> bool:
    """Whether two targets in one frame may be the same thing, by their distance and their covariances.

    However uncertain they are, things farther apart than a large hand are two.
    """
    away = other.position_m - one.position_m
    distance = float(np.linalg.norm(away))
    if distance <= same_m:
        return True
    together = one.covariance_m2 + other.covariance_m2 + np.eye(3) * 1e-8
    return distance <= _WIDEST_M and float(away @ np.linalg.solve(together, away)) <= _SIGMAS


def grouped(sightings: list[Sighting], same_m: float) -> list[list[Sighting]]:
    """Sightings by the thing they are of, the one with the most weight first."""
    groups: list[list[Sighting]] = []
    for sighting in sightings:
        for group in groups:
            if any(same_thing(sighting.target, other.target, same_m) for other in group):
                group.append(sighting)
                break
        else:
            groups.append([sighting])
    return sorted(groups, key=lambda group: -weight_of(group))


def weight_of(group: list[Sighting]) -> float:
    """The weights of all sightings of one thing."""
    return sum(sighting.weight for sighting in group)
