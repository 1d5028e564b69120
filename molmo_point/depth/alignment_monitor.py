"""A watch over the depth of one camera: a few of its frames are compared with color, in the background."""

import logging
import threading
import time
from collections.abc import Callable

from molmo_point.depth.alignment_check import AlignmentCheck, AlignmentEvidence, with_check
from molmo_point.depth.lift import MAX_SKEW_S
from molmo_point.frame import RgbdFrame

PERIOD_S = 5.0
"""Least time between two frames that are compared, in seconds."""
_FIRST, _SLOWER = 8, 6
_LOG = logging.getLogger(__name__)


class AlignmentMonitor:
    """Gathers evidence on one camera. Safe to use from several threads; no call waits for a comparison.

    After eight frames, the time between two frames is six times as long.

    Args:
        period_s: Least time between two frames, in seconds; 0 compares none.
        delay_s: Time from the first frame that is offered to the first comparison, in seconds.
        clock_s: Returns a growing time in seconds.
    """

    def __init__(self, period_s: float = PERIOD_S, delay_s: float = 0.0, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._period_s, self._delay_s, self._clock_s = period_s, delay_s, clock_s
        self._lock = threading.Lock()
        self._evidence = AlignmentEvidence()
        self._due_s: float | None = None
        self._offered = 0
        self._worker: threading.Thread | None = None
        self._check: AlignmentCheck | None = None

    @property
    def check(self) -> AlignmentCheck | None:
        """Result of all frames so far; None before the first."""
        return self._check

    def offer(self, frame: RgbdFrame) -> None:
        """Compare a frame in the background if one is due; a frame without depth of its moment is never compared."""
        if self._period_s <= 0 or frame.depth_m is None or frame.intrinsics is None or abs(frame.skew_s) > MAX_SKEW_S:
            return
        with self._lock:
            now_s = self._clock_s()
            self._due_s = now_s + self._delay_s if self._due_s is None else self._due_s
            if now_s < self._due_s or (self._worker is not None and self._worker.is_alive()):
                return
            self._offered += 1
            self._due_s = now_s + self._period_s * (1 if self._offered < _FIRST else _SLOWER)
            self._worker = threading.Thread(target=self._compare, args=(frame,), daemon=True)
            self._worker.start()

    def watched(self, frame: RgbdFrame) -> RgbdFrame:
        """Offer a frame, and return it marked."""
        self.offer(frame)
        return self.marked(frame)

    def marked(self, frame: RgbdFrame) -> RgbdFrame:
        """Return the frame, its depth doubted if the evidence says so."""
        return with_check(frame, self._check)

    def wait(self) -> None:
        """Wait for the comparison at work."""
        worker = self._worker
        if worker is not None:
            worker.join()

    def _compare(self, frame: RgbdFrame) -> None:
        try:
            self._evidence.add(frame)
            self._check = self._evidence.check()
        except Exception:
            _LOG.exception("the depth of a frame could not be compared with color")
