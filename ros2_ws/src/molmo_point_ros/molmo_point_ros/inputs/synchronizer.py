"""Colour, depth and camera info of one moment, joined by their capture stamps: pure Python, no node.

Depth of another moment than the colour image is a wrong position on a moving camera, so a colour image either finds its
partners within a small distance in time, or is refused with the distance that was measured.
"""

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

from molmo_point.errors import InputError

COLOR, DEPTH, INFO = "colour image", "depth image", "camera info"


@dataclass(frozen=True)
class Bundle:
    """Messages of one moment; `stamp_ns` is the colour image's, depth and info are None where none is asked for."""

    stamp_ns: int
    color: Any
    depth: Any
    info: Any


SET_BACK_NS = 1_000_000_000
"""A stamp so much earlier than the one before it is of a clock that was set back, or of a recording that began again."""


class Synchronizer:
    """Joins three streams by stamp. Safe to use from several threads; nothing blocks.

    Args:
        max_skew_s: Largest distance in time of a partner from the colour image: half a frame period.
        needed: The streams that a bundle must have beside colour.
        keep: Messages kept of each stream, the newest.

    Raises:
        InputError: If `max_skew_s` is negative.
    """

    def __init__(self, max_skew_s: float, needed: tuple[str, ...] = (DEPTH, INFO), keep: int = 12) -> None:
        if not max_skew_s >= 0:
            raise InputError("max_skew_s must not be negative", str(max_skew_s), "give half a frame period, e.g. 0.017")
        self._max_skew_ns = round(max_skew_s * 1e9)
        self._needed = needed
        self._kept: dict[str, deque[tuple[int, Any]]] = {name: deque(maxlen=keep) for name in (COLOR, DEPTH, INFO)}
        self._unstamped: dict[str, int] = {}
        self._lonely = 0
        self._lock = threading.Lock()

    def add(self, stream: str, stamp_ns: int, message: Any) -> bool:
        """Take a message. One without a stamp is counted and dropped. A step back in time forgets what came before.

        Returns:
            Whether the colour image that it belongs to is complete now.
        """
        with self._lock:
            if stamp_ns <= 0:
                self._unstamped[stream] = self._unstamped.get(stream, 0) + 1
                return False
            kept = self._kept[stream]
            if kept and stamp_ns < kept[-1][0]:
                # Best-effort transport may swap neighbours; anything more is a new recording or a clock set back.
                if kept[-1][0] - stamp_ns > SET_BACK_NS:
                    kept.clear()
                else:
                    return False
            if stream == COLOR and len(kept) == kept.maxlen and self._bundle(*kept[0]) is None:
                self._lonely += 1
            kept.append((stamp_ns, message))
            color = self._nearest(COLOR, stamp_ns)
            return color is not None and self._bundle(*color) is not None

    def newest(self, after_ns: int = 0) -> Bundle | None:
        """The newest complete bundle whose colour image was captured at `after_ns` or later; None without one."""
        with self._lock:
            for stamp_ns, color in reversed(self._kept[COLOR]):
                if stamp_ns < after_ns:
                    return None
                bundle = self._bundle(stamp_ns, color)
                if bundle is not None:
                    return bundle
            return None

    def at(self, stamp_ns: int) -> Bundle | None:
        """The complete bundle whose colour image has this stamp, if it is still kept; None otherwise."""
        with self._lock:
            color = next((message for stamp, message in self._kept[COLOR] if stamp == stamp_ns), None)
            return None if color is None else self._bundle(stamp_ns, color)

    def newest_stamp_ns(self) -> int | None:
        """Capture time of the newest colour image, complete or not; None before the first."""
        with self._lock:
            return self._kept[COLOR][-1][0] if self._kept[COLOR] else None

    def missing(self) -> tuple[str, ...]:
        """The streams, needed or colour, of which nothing has come."""
        with self._lock:
            return tuple(name for name in (COLOR, *self._needed) if not self._kept[name])

    def unstamped(self) -> dict[str, int]:
        """How many messages of each stream were dropped for a stamp of 0."""
        with self._lock:
            return dict(self._unstamped)

    def lonely(self) -> int:
        """How many colour images were forgotten without ever having had partners that are still kept."""
        with self._lock:
            return self._lonely

    def skew_s(self) -> dict[str, float]:
        """For each needed stream: the smallest signed distance in time (partner minus colour) over the kept images."""
        with self._lock:
            smallest = {}
            for name in self._needed:
                pairs = [(self._nearest(name, stamp_ns), stamp_ns) for stamp_ns, _ in self._kept[COLOR]]
                distances = [partner[0] - stamp_ns for partner, stamp_ns in pairs if partner]
                if distances:
                    smallest[name] = min(distances, key=abs) * 1e-9
            return smallest

    def _bundle(self, stamp_ns: int, color: Any) -> Bundle | None:
        partners = {name: self._nearest(name, stamp_ns) for name in self._needed}
        if not all(partner and abs(partner[0] - stamp_ns) <= self._max_skew_ns for partner in partners.values()):
            return None
        found = {name: partner[1] for name, partner in partners.items() if partner}
        return Bundle(stamp_ns, color, found.get(DEPTH), found.get(INFO))

    def _nearest(self, stream: str, stamp_ns: int) -> tuple[int, Any] | None:
        return min(self._kept[stream], key=lambda kept: abs(kept[0] - stamp_ns), default=None)
