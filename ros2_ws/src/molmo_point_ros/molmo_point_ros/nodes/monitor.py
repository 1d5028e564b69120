"""Counts and figures of a running node, for the diagnostics. Safe to use from several threads."""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from molmo_point_msgs.msg import PointTarget

from molmo_point.cautions import Caution
from molmo_point.frame import RgbdFrame
from molmo_point_ros.pointing.gates import NAMES

_KEPT = 200
_DEPTH_STEP = 8


@dataclass
class MonitorReadings:
    """A copy of the figures of a node.

    Attributes:
        counts: Number of events since configure, by the words that the diagnostics show.
        errors: Number of errors since configure.
        inference_s: Durations of the model's last answers, in seconds.
        latency_s: From the capture to the publication of the last answers, in seconds.
        skew_s: Time between depth and color of the newest used frame, in seconds; None without depth.
        depth_fill: Share of pixels with depth in the newest used frame, 0 to 1; None without depth.
        last_error: Message of the last error; "" for none.
        last_cautions: Cautions of the last answer that bore any; "" for none.
        frame: Optical frame of the newest used frame; "" before the first.
        depth_doubt: Reason for doubting the depth of the newest used frame; "" for none.
    """

    counts: Counter[str] = field(default_factory=Counter)
    errors: int = 0
    inference_s: tuple[float, ...] = ()
    latency_s: tuple[float, ...] = ()
    skew_s: float | None = None
    depth_fill: float | None = None
    last_error: str = ""
    last_cautions: str = ""
    frame: str = ""
    depth_doubt: str = ""


class NodeMonitor:
    """Collects the counts and last figures of a configured node."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._inference_s: deque[float] = deque(maxlen=_KEPT)
        self._latency_s: deque[float] = deque(maxlen=_KEPT)
        self._frame: RgbdFrame | None = None
        self._errors, self._last_error, self._last_cautions = 0, "", ""

    def count(self, name: str, number: int = 1) -> None:
        """Count events of a name."""
        with self._lock:
            self._counts[name] += number

    def used(self, frame: RgbdFrame) -> None:
        """Note that a frame is used."""
        with self._lock:
            self._frame = frame
            self._counts["frames used"] += 1

    def answered(self, inference_s: float, *cautions: Sequence[Caution]) -> None:
        """Note a turn of the model, and the cautions of each of its answers."""
        doubted = [each for each in cautions if each]
        with self._lock:
            self._counts["answers"] += 1
            self._inference_s.append(inference_s)
            if doubted:
                self._counts["untrusted answers"] += len(doubted)
                self._last_cautions = "; ".join(map(str, doubted[-1]))

    def published(self, latency_s: float, stopped: Iterable[PointTarget] = ()) -> None:
        """Note a published answer, the time since its capture, and the targets that gates stopped."""
        with self._lock:
            self._latency_s.append(latency_s)
            for target in stopped:
                self._counts[f"stopped by {NAMES[target.gate]}"] += 1

    def failed(self, reason: str) -> None:
        """Note an error."""
        with self._lock:
            self._errors += 1
            self._last_error = reason

    def readings(self) -> MonitorReadings:
        """Return the current figures."""
        with self._lock:
            readings = MonitorReadings(
                counts=Counter(self._counts), inference_s=tuple(self._inference_s), latency_s=tuple(self._latency_s)
            )
            readings.errors, readings.last_error, frame = self._errors, self._last_error, self._frame
            readings.last_cautions = self._last_cautions
        readings.frame = "" if frame is None else frame.frame
        if frame is not None and frame.depth_m is not None:
            readings.depth_doubt = frame.depth_doubt or ""
            readings.skew_s = frame.skew_s
            # A sample of the pixels gives the share to a percent; all of them would cost more than the rest.
            readings.depth_fill = float(np.mean(np.isfinite(frame.depth_m[::_DEPTH_STEP, ::_DEPTH_STEP])))
        return readings
