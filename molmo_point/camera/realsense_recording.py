"""Recordings of librealsense (.bag, and .db3 of newer versions), played back by librealsense itself."""

import time
from pathlib import Path
from typing import Any

from molmo_point.camera.bag_magic import is_realsense_bag
from molmo_point.camera.realsense import RealSense, load_pyrealsense2
from molmo_point.camera.replay import ReplayEnded
from molmo_point.errors import CameraError, InputError
from molmo_point.frame import OPTICAL_FRAME, RgbdFrame


class RealSenseRecording(RealSense):
    """A recording of a RealSense as a camera; its frames keep their stamps.

    Args:
        recording: Path of a .bag or .db3 file that librealsense or the RealSense Viewer wrote.
        realtime: Hand frames out at the rate at which they were captured; otherwise as fast as they are read.
        loop: Start again at the end; stamps start again, too.
        frame: Name of the color camera's optical frame.

    Raises:
        DependencyError: pyrealsense2 is not installed.
        InputError: The file is missing, no recording of librealsense, or has no color and depth.
    """

    replays = True

    def __init__(self, recording: str | Path, *, realtime: bool = False, loop: bool = False, frame: str = OPTICAL_FRAME) -> None:
        rs = load_pyrealsense2()
        path = Path(recording)
        if not is_realsense_bag(path):
            fix = "give a file that librealsense recorded; a bag of ROS 1 opens as bag:PATH in the ROS nodes"
            raise InputError("The file must be a recording of librealsense", str(path), fix)
        self._pipeline, config = rs.pipeline(), rs.config()
        rs.config.enable_device_from_file(config, str(path), loop)
        try:
            # Before the start: the first frames would be lost.
            self._playback = config.resolve(rs.pipeline_wrapper(self._pipeline)).get_device().as_playback()
            self._playback.set_real_time(realtime)
            profile = self._pipeline.start(config)
        except RuntimeError as error:
            raise InputError("The recording must be readable", f"{path} ({error})", "record again") from error
        streams = {stream.stream_type() for stream in profile.get_streams()}
        if not {rs.stream.color, rs.stream.depth} <= streams:
            self._pipeline.stop()
            fix = "record the color and the depth stream"
            raise InputError("A recording must have color and depth", f"{path}: {sorted(map(str, streams))}", fix)
        self.name, self.serial = str(path), ""
        self._setup(self._pipeline, profile.get_device().query_sensors(), frame)
        self._clock = _RecordedClock()
        self._most_skew_ms = 500.0 / max(min(stream.fps() for stream in profile.get_streams()), 1)

    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        """Read the next frame.

        Raises:
            ReplayEnded: The last frame was read, and `loop` is false.
            CameraError: The camera is closed, or the next frame is not due in time.
        """
        try:
            return super().read(timeout_s)
        except CameraError as error:
            if not self._closed and self._playback.current_status() != load_pyrealsense2().playback_status.playing:
                raise ReplayEnded("The replay is at its end", self.name, "open it again, or with loop=true") from error
            raise

    def _wait(self, timeout_s: float) -> Any:
        """Wait for color and depth of one moment; librealsense also hands out a new depth with the color before."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            frames = super()._wait(max(deadline_s - time.monotonic(), 0.0))
            skew_ms = frames.get_depth_frame().get_timestamp() - frames.get_color_frame().get_timestamp()
            if abs(skew_ms) <= self._most_skew_ms:
                return frames

    def _timed_out(self, timeout_s: float) -> CameraError:
        return CameraError("No frame with both color and depth came in time", f"timeout_s={timeout_s:g}", "raise timeout_s")


class _RecordedClock:
    """Stamps as they were recorded, in the clock of the recording."""

    def stamp_ns(self, frame: Any) -> int:
        return round(float(frame.get_timestamp()) * 1e6)
