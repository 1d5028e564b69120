"""Color, depth and camera info of one moment, joined by their capture stamps. No node.

Depth of another moment gives wrong positions on a moving camera. A color image is complete only with partners within a
small time of it; otherwise the measured time is known.
"""

import threading
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Any

from molmo_point.errors import InputError


class Stream(Enum):
    """A stream of messages; the value is its name in messages to users."""

    COLOR = "color image"
    DEPTH = "depth image"
    INFO = "camera info"


COLOR, DEPTH, INFO = Stream


@dataclass(frozen=True)
class MessageBundle:
    """Messages of one moment.

    Attributes:
        stamp_ns: Capture time of the color image, in nanoseconds.
        color: The color image.
        depth: The depth image; None if not needed.
        info: The camera info; None if not needed.
    """

    stamp_ns: int
    color: Any
    depth: Any
    info: Any


SET_BACK_NS = 1_000_000_000
"""A stamp this much earlier than the one before belongs to a clock that was set back, or to a restarted recording."""


class Synchronizer:
    """Joins three streams by stamp. Safe to use from several threads; nothing blocks.

    Args:
        max_skew_s: Largest time between a partner and the color image, in seconds: half a frame period.
        needed: Streams that a bundle must have besides color.
        keep: Number of messages kept of each stream.

    Raises:
        InputError: If `max_skew_s` is negative.
    """

    def __init__(self, max_skew_s: float, needed: tuple[Stream, ...] = (DEPTH, INFO), keep: int = 12) -> None:
        if not max_skew_s >= 0:
            raise InputError("max_skew_s must not be negative", str(max_skew_s), "give half a frame period, e.g. 0.017")
        self._max_skew_ns = round(max_skew_s * 1e9)
        self._needed = needed
        self._kept: dict[Stream, deque[tuple[int, Any]]] = {name: deque(maxlen=keep) for name in Stream}
        self._unstamped: dict[Stream, int] = {}
        self._lonely = 0
        self._lock = threading.Lock()

    def add(self, stream: Stream, stamp_ns: int, message: Any) -> bool:
        """Take a message. One without a stamp is counted and dropped. A large step back in time forgets the older messages.

        Returns:
            True if the color image that it belongs to is complete now.
        """
        with self._lock:
            if stamp_ns <= 0:
                self._unstamped[stream] = self._unstamped.get(stream, 0) + 1
                return False
            kept = self._kept[stream]
            if kept and stamp_ns < kept[-1][0]:
                # Best-effort transport may swap neighbors; a larger step is a new recording or a clock set back.
                if kept[-1][0] - stamp_ns > SET_BACK_NS:
                    kept.clear()
                else:
                    return False
            if stream == COLOR and len(kept) == kept.maxlen and self._bundle(*kept[0]) is None:
                self._lonely += 1
            kept.append((stamp_ns, message))
            color = self._nearest(COLOR, stamp_ns)
            return color is not None and self._bundle(*color) is not None

    def newest(self, after_ns: int = 0) -> MessageBundle | None:
        """Return the newest complete bundle captured at `after_ns` or later; None without one."""
        with self._lock:
            for stamp_ns, color in reversed(self._kept[COLOR]):
                if stamp_ns < after_ns:
                    return None
                bundle = self._bundle(stamp_ns, color)
                if bundle is not None:
                    return bundle
            return None

    def at(self, stamp_ns: int) -> MessageBundle | None:
        """Return the complete bundle with this color stamp if it is still kept; otherwise None."""
        with self._lock:
            color = next((message for stamp, message in self._kept[COLOR] if stamp == stamp_ns), None)
            return None if color is None else self._bundle(stamp_ns, color)

    def newest_stamp_ns(self) -> int | None:
        """Return the capture time of the newest color image in nanoseconds, complete or not; None before the first."""
        with self._lock:
            return self._kept[COLOR][-1][0] if self._kept[COLOR] else None

    def missing(self) -> tuple[Stream, ...]:
        """Return the needed streams without any message."""
        with self._lock:
            return tuple(name for name in (COLOR, *self._needed) if not self._kept[name])

    def unstamped(self) -> dict[Stream, int]:
        """Return the number of messages of each stream that were dropped for a stamp of 0."""
        with self._lock:
            return dict(self._unstamped)

    def lonely(self) -> int:
        """Return the number of color images that were forgotten without partners."""
        with self._lock:
            return self._lonely

    def skew_s(self) -> dict[Stream, float]:
        """Return the smallest signed time (partner minus color, in seconds) over the kept images, for each needed stream."""
        with self._lock:
            smallest = {}
            for name in self._needed:
                pairs = [(self._nearest(name, stamp_ns), stamp_ns) for stamp_ns, _ in self._kept[COLOR]]
                distances = [partner[0] - stamp_ns for partner, stamp_ns in pairs if partner]
                if distances:
                    smallest[name] = min(distances, key=abs) * 1e-9
            return smallest

    def _bundle(self, stamp_ns: int, color: Any) -> MessageBundle | None:
        partners = {name: self._nearest(name, stamp_ns) for name in self._needed}
        if not all(partner and abs(partner[0] - stamp_ns) <= self._max_skew_ns for partner in partners.values()):
            return None
        found = {name: partner[1] for name, partner in partners.items() if partner}
        return MessageBundle(stamp_ns, color, found.get(DEPTH), found.get(INFO))

    def _nearest(self, stream: Stream, stamp_ns: int) -> tuple[int, Any] | None:
        return min(self._kept[stream], key=lambda kept: abs(kept[0] - stamp_ns), default=None)
