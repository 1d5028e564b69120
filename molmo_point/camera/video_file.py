"""A video file as a camera without depth: its frames in order, each with its time in the video."""

import contextlib
import struct
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.camera.replay import Replay, ReplayEnded
from molmo_point.dependencies import require
from molmo_point.errors import InputError
from molmo_point.files import MAX_IMAGE_PIXELS, open_file
from molmo_point.frame import OPTICAL_FRAME, RgbdFrame

# Playlists and scripts of FFmpeg would open further files and addresses.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,flv,mpeg,mpegts,mpegvideo,ogg,h264,hevc,m4v,mjpeg,gif,ivf,obu,dv"
_PROTOCOLS = "none"
_NOT_A_VIDEO = "The file must be a video that FFmpeg reads"


class VideoFile(Replay):
    """Frames of a video file, color only; points in them have no position in space.

    A frame's `stamp_ns` is its time in the video: the file's own time stamp, counted from the first frame, which has
    `start_ns`. Frames of a phone held sideways are turned upright, as the file says. `len` is the number of frames that the
    file states, an estimate for some formats; reading ends after the last frame. Iteration is over the rest of the frames.

    Args:
        video: Path of a file that FFmpeg reads: .mp4, .avi, .mkv, .webm, ...
        every: Hand out only every n-th frame.
        realtime: Hand frames out at the rate of the video; otherwise as fast as they are read.
        loop: Start again at the end; stamps keep growing.
        start_ns: Time of the first frame, nanoseconds; above 0.
        frame: Name of the camera's optical frame.

    Attributes:
        fps: Mean frames per second of the file.
        size_wh: Width and height of its frames, in pixels.

    Raises:
        InputError: The file does not exist or is no video, or `every` or `start_ns` is below 1.
        DependencyError: PyAV is not installed.
    """

    def __init__(
        self,
        video: str | Path,
        *,
        every: int = 1,
        realtime: bool = False,
        loop: bool = False,
        start_ns: int = 1,
        frame: str = OPTICAL_FRAME,
    ) -> None:
        super().__init__(str(video), realtime=realtime, loop=loop)
        self._av: Any = require("av", "Reading videos", "video")
        if every < 1 or start_ns < 1:
            raise InputError("every and start_ns must be at least 1", f"every={every}, start_ns={start_ns}", "give 1 or more")
        self._every, self._start_ns, self._frame = every, start_ns, frame
        self._file: Any = None
        self._container: Any = None
        self._open()
        stream = self._container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate
        self.fps = float(rate) if rate else 0.0
        seconds = float(stream.duration * stream.time_base) if stream.duration else (self._container.duration or 0) * 1e-6
        self._stated_count = stream.frames or round(seconds * self.fps)
        first = next(self._frames, None)
        if first is None or not self.fps > 0:
            self.release()
            raise InputError(_NOT_A_VIDEO, f"{video} (no frame can be decoded)", "give a complete file, e.g. an .mp4")
        height, width = _upright(first[0]).shape[:2]
        self.size_wh = (width, height)
        self.rewind()

    def _open(self) -> None:
        try:
            self._file = open_file(self.name)
            options = {"format_whitelist": _FORMATS, "protocol_whitelist": _PROTOCOLS}
            self._container = self._av.open(self._file, options=options)
            stream = self._container.streams.video[0]
            if stream.codec_context is None:
                raise ValueError("no decoder for its format")
        except (self._av.FFmpegError, IndexError, ValueError, OSError) as error:
            self.release()
            if isinstance(error, InputError):
                raise
            raise InputError(_NOT_A_VIDEO, f"{self.name} ({error})", "give e.g. an .mp4") from error
        stream.thread_type = "AUTO"
        if stream.codec_context.width * stream.codec_context.height > MAX_IMAGE_PIXELS:
            given = f"{self.name}, {stream.codec_context.width} x {stream.codec_context.height}"
            self.release()
            raise InputError(f"A video must have at most {MAX_IMAGE_PIXELS / 1e6:.0f} million pixels", given, "scale it down")
        self._frames = self._decoded()
        self._first_s: float | None = None
        self._time_s = 0.0

    def _decoded(self) -> Iterator[tuple[Any, float | None]]:
        """Yield the frames that can be decoded, with their times in seconds; damaged ones are left out, as players do."""
        by_place = self._container.format.name == "avi"
        places: deque[float] = deque()
        with contextlib.suppress(self._av.FFmpegError):
            for packet in self._container.demux(self._container.streams.video[0]):
                if by_place and packet.dts is not None:
                    places.append(float(packet.dts * packet.time_base))
                try:
                    frames = packet.decode()
                except self._av.FFmpegError:
                    continue
                # An AVI file stores no order of display, only places in time; what FFmpeg guesses may go backwards.
                yield from ((frame, places.popleft() if places else frame.time) for frame in frames)

    def __len__(self) -> int:
        return max(-(-self._stated_count // self._every), 0)

    def __iter__(self) -> Iterator[RgbdFrame]:
        with contextlib.suppress(ReplayEnded):
            while True:
                yield self.read()

    def frame_at(self, number: int) -> RgbdFrame | None:
        frame = None
        for _ in range(self._every if number else 1):
            frame, stated_s = next(self._frames, (None, None))
            if frame is None:
                return None
            self._time_s = self._time_after_first(stated_s)
        return RgbdFrame(_upright(frame), None, None, self._start_ns + round(self._time_s * 1e9), self._frame)

    def _time_after_first(self, stated_s: float | None) -> float:
        """Return the time of the next frame; one without a time, or with one before the last, follows at the mean rate."""
        if self._first_s is None:
            self._first_s = stated_s or 0.0
            return 0.0
        time_s = self._time_s if stated_s is None else stated_s - self._first_s
        return time_s if time_s > self._time_s else self._time_s + 1 / self.fps

    def rewind(self) -> None:
        self.release()
        self._open()

    def release(self) -> None:
        if self._container is not None:
            self._container.close()
        if self._file is not None:
            self._file.close()


def _upright(frame: Any) -> np.ndarray:
    """Return the pixels (h, w, 3) of a frame, turned as its display matrix says.

    Raises:
        InputError: The matrix does more than quarter turns and mirroring.
    """
    pixels = frame.to_ndarray(format="rgb24")
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return pixels
    a, b, _, c, d = (round(value / 65536, 3) for value in struct.unpack_from("=5i", bytes(data)))
    if sorted(map(abs, (a, b, c, d))) != [0, 0, 1, 1] or abs(a) != abs(d):
        given = f"a turn by another angle: ({a}, {b}; {c}, {d})"
        raise InputError("A video must be turned by quarter turns only", given, "convert the video")
    if not a:
        pixels = pixels.transpose(1, 0, 2)
    if a + c < 0:
        pixels = pixels[:, ::-1]
    if b + d < 0:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
