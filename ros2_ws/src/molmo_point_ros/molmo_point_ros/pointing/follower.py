"""A tracker that keeps up with the camera while it takes in late answers. No ROS, no camera.

Taking in an answer may take longer than ten frames. The thread with the answer does it on a fork of the tracker. The
thread of the camera continues with the original until the fork has caught up.
"""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from molmo_point.frame import RgbdFrame
from molmo_point.results import Pointing
from molmo_point.tracking import PointTracker, Tracks

CATCH_UP_S = 0.12
"""Longest step in which a fork catches up; the frames between are skipped."""
_CHECK_S = 0.05
_ROUNDS = 3


@dataclass(eq=False)
class _Fork:
    """A tracker that takes in answers, its newest frame, and the frames missed since."""

    tracker: PointTracker
    known_ns: int
    missed: list[RgbdFrame] = field(default_factory=list)
    is_ready: bool = False

    def catch_up(self, missed: Sequence[RgbdFrame]) -> Tracks:
        """Return the tracks in the newest of the missed frames."""
        behind_s = (missed[-1].stamp_ns - self.known_ns) * 1e-9
        steps = min(max(math.ceil(behind_s / CATCH_UP_S), 1), len(missed))
        for step in range(1, steps):
            self.tracker.update(missed[round(step * len(missed) / steps) - 1])
        self.known_ns = missed[-1].stamp_ns
        return self.tracker.update(missed[-1])


class Follower:
    """Tracks points with frames from one thread and answers from another.

    Args:
        tracker: The tracker; no other code may use it.
    """

    def __init__(self, tracker: PointTracker) -> None:
        self._tracker = tracker
        self._changed = threading.Condition()
        self._fork: _Fork | None = None
        self._newest: RgbdFrame | None = None

    def update(self, frame: RgbdFrame) -> Tracks:
        """Return the tracks in the next frame. A frame that is not later, or of another size or optical frame, restarts."""
        with self._changed:
            last, fork = self._newest, self._fork
            if last is not None and not _follows(last, frame):
                self._tracker.reset()
                fork = self._fork = None
            if fork is not None:
                fork.missed.append(frame)
            if fork is not None and fork.is_ready:
                tracks = fork.catch_up(fork.missed)
                self._tracker, self._fork = fork.tracker, None
            else:
                tracks = self._tracker.update(frame)
            self._newest = frame
            self._changed.notify_all()
        return tracks

    @property
    def newest_ns(self) -> int:
        """Capture time of the newest frame of the tracker, in nanoseconds; 0 before the first."""
        newest = self._newest
        return 0 if newest is None else newest.stamp_ns

    def newest(self, than_ns: int, timeout_s: float) -> RgbdFrame | None:
        """Wait for a frame of the tracker with another stamp than this, and return the newest; None after the timeout."""

        def found() -> RgbdFrame | None:
            return self._newest if self._newest is not None and self._newest.stamp_ns != than_ns else None

        with self._changed:
            self._changed.wait_for(lambda: found() is not None, timeout_s)
            return found()

    def take_in(self, pointings: Sequence[Pointing], should_stop: Callable[[], bool]) -> tuple[RgbdFrame, Tracks] | None:
        """Correct the tracks with answers about one frame.

        Returns:
            The newest frame with the corrected tracks. None if the camera's thread has them already, or if the stream
            restarted.

        Raises:
            InputError: If the frame is older than the tracker's history, or the stream restarted since.
        """
        with self._changed:
            fork = self._fork = _Fork(self._tracker.fork(), self.newest_ns)
        try:
            tracks = [fork.tracker.correct(pointing) for pointing in pointings][-1:]
            for _ in range(_ROUNDS):
                with self._changed:
                    if self._fork is not fork:
                        return None
                    missed, fork.missed = fork.missed, []
                    if not missed:
                        self._tracker, self._fork = fork.tracker, None
                        return (self._newest, tracks[0]) if self._newest is not None and tracks else None
                tracks = [fork.catch_up(missed)]
        except BaseException:
            with self._changed:
                self._fork = None
            raise
        self._hand_over(fork, should_stop)
        return None

    def _hand_over(self, fork: _Fork, should_stop: Callable[[], bool]) -> None:
        """Leave the last step to the camera's thread: frames come faster than the fork catches up."""
        with self._changed:
            fork.is_ready = True
            while self._fork is fork and not should_stop():
                self._changed.wait(_CHECK_S)


def _follows(last: RgbdFrame, frame: RgbdFrame) -> bool:
    return frame.stamp_ns > last.stamp_ns and frame.size_wh == last.size_wh and frame.frame == last.frame
