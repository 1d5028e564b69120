"""Frames from a camera that the node opens itself."""

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Any

from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.text_checks import printable
from molmo_point_ros.inputs.cameras import camera_reader
from molmo_point_ros.inputs.frame_sources import FrameSource
from molmo_point_ros.inputs.frame_wait import FrameWait, too_old
from molmo_point_ros.inputs.synchronizer import SET_BACK_NS
from molmo_point_ros.nodes.parameters import PointingNodeParameters

KEPT = 12
"""Number of frames kept, to be asked for by their stamp."""


class CameraSource(FrameSource):
    """Frames from a camera that the node opens itself; the newest ones are kept.

    Raises:
        MolmoPointError: The camera cannot be opened.
    """

    def __init__(self, node: Any, settings: PointingNodeParameters) -> None:
        self._settings = settings
        self._waiting = FrameWait()
        self._newest: RgbdFrame | None = None
        self._kept: deque[RgbdFrame] = deque(maxlen=KEPT)
        self._failures = self._received = 0
        self._error = "none"
        self._logger = node.get_logger()
        self._reader = camera_reader(node, settings, self._take, self._failed)
        self._reader.start()
        self.pose = self._reader.pose

    def _take(self, frame: RgbdFrame) -> None:
        width, height = frame.size_wh
        if width * height > self._settings.max_image_px:
            limit = self._settings.max_image_px
            self._failed(InputError(f"An image must have at most {limit} pixels", f"{width}x{height}", "raise max_image_px"))
            return
        if not self._settings.use_depth:
            frame = dataclasses.replace(frame, depth_m=None, depth_stamp_ns=None)
        if self._settings.rotate:
            frame = dataclasses.replace(frame, rotate_deg=self._settings.rotate)
        self._received += 1
        self._newest = frame
        self._kept.append(frame)
        self._waiting.wake()

    def _failed(self, error: Exception) -> None:
        self._error = str(error)
        self._failures += 1
        self._logger.warning(f"camera: {printable(self._error)}", throttle_duration_sec=5.0)

    def frame(self, after_ns: int, timeout_s: float, should_stop: Callable[[], bool]) -> RgbdFrame | None:
        """See `FrameSource.frame`."""

        def found() -> RgbdFrame | None:
            frame = self._newest
            return frame if frame is not None and frame.stamp_ns >= after_ns else None

        frame = self._waiting.until(found, timeout_s, should_stop)
        if frame is None and not should_stop():
            newest = None if self._newest is None else self._newest.stamp_ns
            raise too_old(newest, after_ns, f"within {timeout_s:g} s; last error of the camera: {self._error}")
        return frame

    def newer(self, than_ns: int, timeout_s: float, should_stop: Callable[[], bool]) -> RgbdFrame | None:
        """See `FrameSource.newer`."""

        def found() -> RgbdFrame | None:
            frame = self._newest
            if frame is None or than_ns - SET_BACK_NS <= frame.stamp_ns <= than_ns:
                return None
            return frame

        return self._waiting.until(found, timeout_s, should_stop)

    def at(self, stamp_ns: int) -> RgbdFrame | None:
        """See `FrameSource.at`."""
        return next((frame for frame in tuple(self._kept) if frame.stamp_ns == stamp_ns), None)

    def received(self) -> int:
        """See `FrameSource.received`."""
        return self._received

    def dropped(self) -> dict[str, int]:
        """See `FrameSource.dropped`."""
        return {"frames that the camera failed to deliver": self._failures}

    def close(self) -> None:
        """See `FrameSource.close`."""
        self._reader.close()
