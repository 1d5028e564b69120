"""Our tracker and three simpler ways to update a point between two answers."""

import itertools
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from benchmarks.tracking.moving_points import Step
from molmo_point.depth.lift import lift_point
from molmo_point.results import ImagePoint, Pointing, Target
from molmo_point.tracking.point_tracker import PointTracker
from molmo_point.tracking.track import Tracks
from molmo_point.tracking.tracked_view import import_cv2


@dataclass(frozen=True, eq=False)
class Claim:
    """Claimed place of an object: pixel (2,), optical frame (3,), covariance (3, 3) or None."""

    uv: np.ndarray
    position_m: np.ndarray
    covariance_m2: np.ndarray | None = None


class Contestant(Protocol):
    """A method that claims places of the objects in every frame."""

    def see(self, step: Step) -> None:
        """A new frame."""
        ...

    def hear(self, pointing: Pointing, asked: Step) -> None:
        """An answer about an older frame has come."""
        ...

    def claims(self, step: Step) -> dict[str, Claim]:
        """Places of the objects by their labels; unknown ones are left out."""
        ...


@dataclass
class Tracker:
    """`PointTracker`."""

    tracker: PointTracker = field(default_factory=PointTracker)
    tracks: Tracks | None = None
    frame_ms: list[float] = field(default_factory=list)
    answer_ms: list[float] = field(default_factory=list)

    def see(self, step: Step) -> None:
        """A new frame."""
        self.tracks = self.tracker.update(step.frame)
        if self.tracks.tracks:
            self.frame_ms.append(self.tracks.timing_ms["total"])

    def hear(self, pointing: Pointing, asked: Step) -> None:
        """An answer has come."""
        self.tracks = self.tracker.correct(pointing)
        self.answer_ms.append(self.tracks.timing_ms["total"])

    def claims(self, step: Step) -> dict[str, Claim]:
        """Targets of the tracks."""
        found = {}
        for track in self.tracks.tracks if self.tracks else ():
            if track.target is not None:
                target = track.target
                found[track.label] = Claim(track.point.uv, target.position_m, target.covariance_m2)
        return found


@dataclass
class OnePointFlow:
    """Lucas-Kanade of the one pixel, with nothing but its own status; answers are carried forward for free."""

    frames: list[Step] = field(default_factory=list)
    places: dict[str, np.ndarray] = field(default_factory=dict)

    def see(self, step: Step) -> None:
        """A new frame."""
        if self.frames:
            self.places = _flow(self.places, self.frames[-1], step)
        self.frames.append(step)

    def hear(self, pointing: Pointing, asked: Step) -> None:
        """An answer has come."""
        places = {point.label: point.uv for point in pointing.points}
        steps = [step for step in self.frames if step.time_s >= asked.time_s]
        for before, after in itertools.pairwise(steps):
            places = _flow(places, before, after)
        self.places = {**self.places, **places}

    def claims(self, step: Step) -> dict[str, Claim]:
        """Lifted pixels."""
        found = {}
        width, height = step.frame.size_wh
        for label, uv in self.places.items():
            if not (0 <= uv[0] <= width - 1 and 0 <= uv[1] <= height - 1):
                continue
            lifted = lift_point(ImagePoint(float(uv[0]), float(uv[1]), label, sigma_px=2.0), step.frame)
            if isinstance(lifted, Target):
                found[label] = Claim(uv, lifted.position_m)
        return found


def _flow(places: dict[str, np.ndarray], before: Step, after: Step) -> dict[str, np.ndarray]:
    if not places:
        return {}
    cv2: Any = import_cv2()
    old, new = (cv2.cvtColor(step.frame.color, cv2.COLOR_RGB2GRAY) for step in (before, after))
    start = np.array(list(places.values()), np.float32)
    end, status, _ = cv2.calcOpticalFlowPyrLK(old, new, start, None)
    return {
        label: uv.astype(float)
        for label, uv, found in zip(places, end, status.ravel(), strict=True)
        if found and np.isfinite(uv).all()
    }


@dataclass
class Fixed:
    """The last answer's position, held still in the base frame; the camera's pose is known without error.

    Attributes:
        again: Whether later answers replace the first.
    """

    again: bool
    places: dict[str, np.ndarray] = field(default_factory=dict)

    def see(self, step: Step) -> None:
        """A new frame changes nothing."""

    def hear(self, pointing: Pointing, asked: Step) -> None:
        """An answer has come."""
        for target in pointing.targets:
            if self.again or target.label not in self.places:
                self.places[target.label] = asked.base_T_camera.apply(target.position_m, asked.frame.frame)

    def claims(self, step: Step) -> dict[str, Claim]:
        """The held positions, seen from where the camera is now."""
        found = {}
        for label, p_base in self.places.items():
            p_camera = step.base_T_camera.inverse().apply(p_base, "base")
            found[label] = Claim(step.intrinsics.project(p_camera), p_camera)
        return found


CONTESTANTS = {
    "molmo_point": Tracker,
    "one point, LK": OnePointFlow,
    "held in 3D": lambda: Fixed(again=False),
    "asked again": lambda: Fixed(again=True),
}
"""Constructors by the name in the table."""
