"""Color, depth and camera info of one moment, joined by their capture stamps. No node.

Depth of another moment gives wrong positions on a moving camera. A color image is complete only with depth within a small
time of it; otherwise the measured time is known. Camera info holds for every image while it does not change: it may come
rarely, once, or without a stamp. Camera info that has just changed belongs to its own moment only.
"""

import math
import operator
import threading
from collections import deque
from collections.abc import Callable
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
_SETTLED_NS = 2_000_000_000
"""Camera info that changed this long ago holds for later images too."""


class Synchronizer:
    """Joins three streams by stamp. Safe to use from several threads; nothing blocks.

    Args:
        max_skew_s: Largest time between a partner and the color image, in seconds: half a frame period.
        needed: Streams that a bundle must have besides color.
        keep: Number of messages kept of each stream.
        same_info: Compares two camera infos, apart from their stamps.

    Raises:
        InputError: If `max_skew_s` is negative.
    """

    def __init__(
        self,
        max_skew_s: float,
        needed: tuple[Stream, ...] = (DEPTH, INFO),
        keep: int = 12,
        same_info: Callable[[Any, Any], bool] = operator.eq,
    ) -> None:
        if not max_skew_s >= 0:
            raise InputError("max_skew_s must not be negative", str(max_skew_s), "give half a frame period, e.g. 0.017")
        self._max_skew_ns = round(max_skew_s * 1e9)
        self._needed = needed
        self._kept: dict[Stream, deque[tuple[int, Any]]] = {name: deque(maxlen=keep) for name in Stream}
        self._unstamped: dict[Stream, int] = {}
        self._lonely = 0
        self._same_info = same_info
        self._newest_info: Any = None
        self._info_changed_ns: int | None = None
        self._lock = threading.Lock()

    def add(self, stream: Stream, stamp_ns: int, message: Any) -> bool:
        """Take a message. A large step back in time forgets the older messages.

        An image without a stamp is counted and dropped; a camera info without one is used.

        Returns:
            True if the color image that it belongs to is complete now.
        """
        with self._lock:
            if stream == INFO:
                if self._newest_info is not None and not self._same_info(self._newest_info, message):
                    # An unstamped one belongs to the newest image.
                    self._info_changed_ns = stamp_ns or max((kept[0] for kept in self._kept[COLOR]), default=0)
                self._newest_info = message
                if stamp_ns <= 0:
                    return self._newest() is not None
            if stamp_ns <= 0:
                self._unstamped[stream] = self._unstamped.get(stream, 0) + 1
                return False
            kept = self._kept[stream]
            if kept and stamp_ns < kept[-1][0]:
                # Best-effort transport may swap neighbors; a larger step is a new recording or a clock set back.
                if kept[-1][0] - stamp_ns > SET_BACK_NS:
                    kept.clear()
                    self._info_changed_ns = None
                else:
                    return False
            if stream == COLOR and len(kept) == kept.maxlen and self._bundle(*kept[0]) is None:
                self._lonely += 1
            if kept and kept[-1][0] == stamp_ns:
                kept.pop()  # sent twice, or heard by two subscriptions
            kept.append((stamp_ns, message))
            color = self._nearest(COLOR, stamp_ns)
            return color is not None and self._bundle(*color) is not None

    def newest(self, after_ns: int = 0) -> MessageBundle | None:
        """Return the newest complete bundle captured at `after_ns` or later; None without one."""
        with self._lock:
            return self._newest(after_ns)

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
            return tuple(
                name
                for name in (COLOR, *self._needed)
                if not self._kept[name] and not (name == INFO and self._newest_info is not None)
            )

    def unstamped(self) -> dict[Stream, int]:
        """Return the number of messages of each stream that were dropped for a stamp of 0."""
        with self._lock:
            return dict(self._unstamped)

    def lonely(self) -> int:
        """Return the number of color images that were forgotten without partners."""
        with self._lock:
            return self._lonely

    def skew_s(self) -> dict[Stream, float]:
        """Return the smallest signed time over the kept images, partner minus color in seconds, for each needed stream.

        It is infinite for camera info that changes and has no stamp; camera info that holds for an image is left out.
        """
        with self._lock:
            smallest = {}
            for name in self._needed:
                pairs = [(self._nearest(name, stamp_ns), stamp_ns) for stamp_ns, _ in self._kept[COLOR]]
                distances = [partner[0] - stamp_ns for partner, stamp_ns in pairs if partner]
                settled = name == INFO and any(self._partner(INFO, stamp_ns) is not None for _, stamp_ns in pairs)
                if distances and not settled:
                    smallest[name] = min(distances, key=abs) * 1e-9
                elif pairs and name == INFO and self._newest_info is not None and not settled:
                    smallest[name] = math.inf
            return smallest

    def _newest(self, after_ns: int = 0) -> MessageBundle | None:
        for stamp_ns, color in reversed(self._kept[COLOR]):
            if stamp_ns < after_ns:
                return None
            bundle = self._bundle(stamp_ns, color)
            if bundle is not None:
                return bundle
        return None

    def _bundle(self, stamp_ns: int, color: Any) -> MessageBundle | None:
        found = {name: self._partner(name, stamp_ns) for name in self._needed}
        if any(partner is None for partner in found.values()):
            return None
        return MessageBundle(stamp_ns, color, found.get(DEPTH), found.get(INFO))

    def _partner(self, stream: Stream, stamp_ns: int) -> Any:
        """Return the message of a stream that belongs to a color image of this time; None without one."""
        nearest = self._nearest(stream, stamp_ns)
        if nearest is not None and abs(nearest[0] - stamp_ns) <= self._max_skew_ns:
            return nearest[1]
        changed_ns = self._info_changed_ns
        settled = changed_ns is None or stamp_ns > changed_ns + _SETTLED_NS
        return self._newest_info if stream == INFO and settled else None

    def _nearest(self, stream: Stream, stamp_ns: int) -> tuple[int, Any] | None:
        return min(self._kept[stream], key=lambda kept: abs(kept[0] - stamp_ns), default=None)
