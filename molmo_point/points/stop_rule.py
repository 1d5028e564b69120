"""Looks at an answer as it grows, and says when enough of it is there."""

import re
import time
from collections.abc import Callable
from types import MappingProxyType

from molmo_point.points.incremental_parser import PointStream
from molmo_point.results import ImagePoint

# Behind its coordinates a tag of Molmo v1 has labels only; a single point has but one pair.
_COORDINATES_OUT = re.compile(r'<points[^<>]* alt|<points[^<>]*>|<point [^<>]*?y="\d{1,3}\.\d', re.IGNORECASE)
REASONS = MappingProxyType({"cancelled": "the caller", "time": "the time budget", "points": "all points that were wanted"})


class AnswerWatch:
    """Tells points as they come and when to stop; goes to a backend as two callbacks.

    Args:
        size_wh: Width and height of the image in pixels.
        family: The dialect of the answer.
        max_points: The answer need not go on beyond this many points.
        labels: Whether the words behind the coordinates are wanted.
        deadline_s: `time.perf_counter` value at which the time is up.
        on_points: Called with all points so far whenever there is a new one.
        should_stop: The caller's own wish to stop.

    Attributes:
        reason: Why the answer was stopped: ``"cancelled"``, ``"time"`` or ``"points"``; empty
            while it may go on.
    """

    def __init__(
        self,
        size_wh: tuple[int, int],
        family: str,
        *,
        max_points: int,
        labels: bool = True,
        deadline_s: float = float("inf"),
        on_points: Callable[[tuple[ImagePoint, ...]], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        self.reason = ""
        self._stream = PointStream(size_wh, family, eager=True)
        self._family = family
        self._max_points = max_points
        self._labels = labels
        self._deadline_s = deadline_s
        self._on_points = on_points
        self._asked_to_stop = should_stop
        self._enough = False

    def on_text(self, text: str) -> None:
        """Takes the whole text so far."""
        told = len(self._stream.points)
        fresh = self._stream.follow(text)
        if fresh and told < self._max_points and self._on_points is not None:
            self._on_points(self._stream.points[: self._max_points])
        count = len(self._stream.points)
        if self._labels:
            # The tag of the last wanted point is complete only when another follows or it ends.
            self._enough = count > self._max_points
        else:
            self._enough = count >= self._max_points or self._coordinates_out(text)

    def should_stop(self) -> bool:
        """Whether the model should write no further; `reason` says why."""
        if not self.reason:
            if self._asked_to_stop is not None and self._asked_to_stop():
                self.reason = "cancelled"
            elif self._enough:
                self.reason = "points"
            elif time.perf_counter() >= self._deadline_s:
                self.reason = "time"
        return bool(self.reason)

    def _coordinates_out(self, text: str) -> bool:
        if not self._stream.points or self._family != "molmo":
            return False
        return _COORDINATES_OUT.search(text, max(0, text.rfind("<point"))) is not None
