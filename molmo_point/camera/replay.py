"""The base of cameras that hand out frames captured before: recordings, videos, image files."""

import logging
import time
from abc import abstractmethod
from typing import ClassVar

from molmo_point.camera.base import Camera, shift_stamps, wait_until_due
from molmo_point.camera.questions import SourceQuestions
from molmo_point.errors import CameraError
from molmo_point.frame import RgbdFrame

_LOG = logging.getLogger(__name__)
_PERIOD_OF_ONE_NS = 100_000_000
"""Time between two copies of a single frame in a loop; several frames tell their own period."""


class ReplayEnded(CameraError):
    """All frames of a replay were read."""


class Replay(Camera):
    """Frames captured before, in order.

    A driver implements `frame_at`, and `rewind` if it cannot jump to a frame.

    Args:
        name: Path of the file, for messages.
        realtime: Hand frames out at the rate at which they were captured; otherwise as fast as they are read.
        loop: Start again at the end. Stamps then keep growing, by the length of the replay for each round.
    """

    replays = True
    unit_option: ClassVar[str] = "its depth unit"
    """Setting of the depth unit of the frames, for questions to the user."""

    def __init__(self, name: str, *, realtime: bool = False, loop: bool = False) -> None:
        self.name = name
        self._realtime, self._loop = realtime, loop
        self._first_ns: int | None = None
        self._last_ns = self._shift_ns = self._count = 0
        self._started_s: float | None = None
        self._held: RgbdFrame | None = None
        self._questions = SourceQuestions(_LOG.warning, name, self.unit_option)

    @abstractmethod
    def frame_at(self, number: int) -> RgbdFrame | None:
        """Return the frame of a number as captured; None after the last. Numbers rise by 1, and fall to 0 after `rewind`.

        Raises:
            InputError: The frame's files are missing or broken.
        """

    def rewind(self) -> None:
        """Go back to the first frame; the default holds no position."""

    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        """Read the next frame. In real time, a frame that is not due in time is not lost.

        Raises:
            CameraError: The camera is closed, or the next frame is not due in time.
            ReplayEnded: The last frame was read, and `loop` is false.
            InputError: A file of the frame is missing or broken.
        """
        self.check_open()
        frame = self._held = self._held or self.questioned(self._advance())
        if self._realtime:
            wait_until_due(self._due_s(frame.stamp_ns), timeout_s)
        self._held = None
        return frame

    def questioned(self, frame: RgbdFrame) -> RgbdFrame:
        """Warn once if depth or intrinsics are implausible; return the frame."""
        return self._questions.ask(frame)

    def _advance(self) -> RgbdFrame:
        frame = self._following()
        if frame is None and self._loop and self._first_ns is not None:
            span_ns = self._last_ns - self._first_ns
            self._shift_ns += span_ns + (max(span_ns // (self._count - 1), 1) if self._count > 1 else _PERIOD_OF_ONE_NS)
            self._count = 0
            self.rewind()
            frame = self._following()
        if frame is None:
            given = f"{self.name}, {self._count} frames"
            raise ReplayEnded("The replay is at its end", given, "open it again, or with loop=true")
        if self._first_ns is None:
            self._first_ns = frame.stamp_ns
        self._last_ns = frame.stamp_ns
        return shift_stamps(frame, self._shift_ns)

    def _following(self) -> RgbdFrame | None:
        number = self._count
        # A broken frame counts, so that the next read goes past it.
        self._count += 1
        frame = self.frame_at(number)
        if frame is None:
            self._count = number
        return frame

    def _due_s(self, stamp_ns: int) -> float:
        """Return when a frame is due, on the clock of `time.monotonic`; the first one is due at once."""
        if self._started_s is None:
            self._started_s = time.monotonic()
        return self._started_s + (stamp_ns - (self._first_ns or 0)) * 1e-9
