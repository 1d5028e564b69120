"""What the node knows about itself: counted where it happens, told by the diagnostics. Safe to use from several threads."""

import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from molmo_point_msgs.msg import PointTarget

from molmo_point.frame import RgbdFrame
from molmo_point_ros.pointing.gates import NAMES

_KEPT = 200
_DEPTH_STEP = 8


@dataclass
class Readings:
    """A copy of the figures.

    Attributes:
        counts: How often each thing happened since configure, by name.
        inference_s: Of the last answers of the model.
        latency_s: From the capture to the publishing, of the last answers that were published.
        skew_s: Of depth from colour in the newest frame used; None without.
        depth_fill: Share of pixels with depth in the newest frame used, 0 to 1; None without depth.
        last_error: The last thing that went wrong; "" for none.
        frame: Name of the optical frame of the newest frame used; "" before the first.
    """

    counts: Counter[str] = field(default_factory=Counter)
    inference_s: tuple[float, ...] = ()
    latency_s: tuple[float, ...] = ()
    skew_s: float | None = None
    depth_fill: float | None = None
    last_error: str = ""
    frame: str = ""


class Monitor:
    """Counts and the last figures of a configured node."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._inference_s: deque[float] = deque(maxlen=_KEPT)
        self._latency_s: deque[float] = deque(maxlen=_KEPT)
        self._frame: RgbdFrame | None = None
        self._last_error = ""

    def count(self, name: str, number: int = 1) -> None:
        """Something happened."""
        with self._lock:
            self._counts[name] += number

    def used(self, frame: RgbdFrame) -> None:
        """A frame is looked at."""
        with self._lock:
            self._frame = frame
            self._counts["frames used"] += 1

    def answered(self, inference_s: float) -> None:
        """The model has answered."""
        with self._lock:
            self._counts["answers"] += 1
            self._inference_s.append(inference_s)

    def published(self, latency_s: float, stopped: Iterable[PointTarget] = ()) -> None:
        """An answer went out so long after its capture; gates stopped these targets."""
        with self._lock:
            self._latency_s.append(latency_s)
            for target in stopped:
                self._counts[f"stopped by {NAMES[target.gate]}"] += 1

    def failed(self, reason: str) -> None:
        """Something went wrong."""
        with self._lock:
            self._counts["errors"] += 1
            self._last_error = reason

    def readings(self) -> Readings:
        """The figures now."""
        with self._lock:
            readings = Readings(Counter(self._counts), tuple(self._inference_s), tuple(self._latency_s))
            readings.last_error, frame = self._last_error, self._frame
        readings.frame = "" if frame is None else frame.frame
        if frame is not None and frame.depth_m is not None:
            readings.skew_s = frame.skew_s
            # Every pixel would cost more than all the rest; this is the share to a percent.
            readings.depth_fill = float(np.mean(np.isfinite(frame.depth_m[::_DEPTH_STEP, ::_DEPTH_STEP])))
        return readings
