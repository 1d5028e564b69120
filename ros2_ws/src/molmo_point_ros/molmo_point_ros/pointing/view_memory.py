"""Answers about earlier views of a scene that stands still: cameras without depth are triangulated over time."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.results import Pointing
from molmo_point.several_views import PosedFrame, join_views

MOST_VIEWS, MOST_QUERIES = 6, 32
NEW_VIEW_M = 0.02
"""A camera that moved less than this shows the same view."""


@dataclass
class ViewMemory:
    """Remembers the last answers to each query, with the poses of their cameras. Used from any thread."""

    _views: dict[str, list[tuple[Pointing, PosedFrame]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def join(self, pointing: Pointing, frame: RgbdFrame, world_T_camera: Transform, age_s: float) -> Pointing:
        """Return an answer with the targets that it and earlier views give together, and remember it.

        Args:
            pointing: The answer.
            frame: Its frame, with intrinsics.
            world_T_camera: Pose of the camera at the capture.
            age_s: Largest time between the captures, in seconds: for so long the scene must stand still.
        """
        posed = PosedFrame(replace(frame, depth_m=None, depth_stamp_ns=None), world_T_camera)
        with self._lock:
            others = [each for each in self._views.get(pointing.query, []) if _fits(each[1], posed, age_s)]
            kept = [each for each in others if _apart_m(each[1], posed) > NEW_VIEW_M]
            self._views.pop(pointing.query, None)
            self._views[pointing.query] = [*kept, (pointing, posed)][-MOST_VIEWS:]
            while len(self._views) > MOST_QUERIES:
                del self._views[next(iter(self._views))]
        views = [(pointing, posed), *kept[::-1]]
        return _joined(views) if kept and pointing.points else pointing


def _joined(views: Sequence[tuple[Pointing, PosedFrame]]) -> Pointing:
    """Join the views; a place on a known plane is better than none."""
    pointing = views[0][0]
    joined = join_views([each for each, _ in views], [posed for _, posed in views])
    found = tuple(
        was if now.target is None and was.target is not None else now for was, now in zip(pointing, joined, strict=True)
    )
    is_seen_again = any(each.target is not None for each in joined)
    return replace(joined if is_seen_again else pointing, found=found)


def _fits(view: PosedFrame, posed: PosedFrame, age_s: float) -> bool:
    age_ns = posed.frame.stamp_ns - view.frame.stamp_ns
    return 0 <= age_ns <= age_s * 1e9 and view.world_T_camera.target == posed.world_T_camera.target


def _apart_m(one: PosedFrame, other: PosedFrame) -> float:
    return float(np.linalg.norm(one.world_T_camera.translation_m - other.world_T_camera.translation_m))
