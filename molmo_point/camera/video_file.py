"""A video file as a camera without depth: its frames in order, each with its time in the video."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.camera.replay import Replay, ReplayEnded
from molmo_point.dependencies import require
from molmo_point.errors import InputError
from molmo_point.frame import OPTICAL_FRAME, RgbdFrame


class VideoFile(Replay):
    """Frames of a video file, color only; points in them have no position in space.

    A frame's `stamp_ns` is its time in the video, counted from `start_ns`. `len` is the number of frames that the file
    states, an estimate for some formats; reading ends after the last frame. Iteration is over the rest of the frames.

    Args:
        video: Path of a file that OpenCV reads: .mp4, .avi, .mkv, .webm, ...
        every: Hand out only every n-th frame.
        realtime: Hand frames out at the rate of the video; otherwise as fast as they are read.
        loop: Start again at the end; stamps keep growing.
        start_ns: Time of the first frame, nanoseconds; above 0.
        frame: Name of the camera's optical frame.

    Attributes:
        fps: Frames per second of the file.
        size_wh: Width and height of its frames, in pixels.

    Raises:
        InputError: The file does not exist or is no video, or `every` or `start_ns` is below 1.
        DependencyError: OpenCV is not installed.
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
        cv2 = require("cv2", "Reading videos", "tracking")
        if every < 1 or start_ns < 1:
            raise InputError("every and start_ns must be at least 1", f"every={every}, start_ns={start_ns}", "give 1 or more")
        if not Path(video).is_file():
            raise InputError("The video must be a file", str(video), "check the path")
        self._video: Any = cv2.VideoCapture(str(video))
        self.fps = float(self._video.get(cv2.CAP_PROP_FPS))
        self.size_wh = (int(self._video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(self._video.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        if not self._video.isOpened() or min(self.size_wh) < 1 or not self.fps > 0:
            self._video.release()
            raise InputError("The file must be a video that OpenCV reads", str(video), "give e.g. an .mp4")
        self._every, self._start_ns, self._frame = every, start_ns, frame
        self._stated_count = int(self._video.get(cv2.CAP_PROP_FRAME_COUNT))

    def __len__(self) -> int:
        return max(-(-self._stated_count // self._every), 0)

    def __iter__(self) -> Iterator[RgbdFrame]:
        with contextlib.suppress(ReplayEnded):
            while True:
                yield self.read()

    def frame_at(self, number: int) -> RgbdFrame | None:
        # `grab` skips a frame without decoding it.
        if number and not all(self._video.grab() for _ in range(self._every - 1)):
            return None
        good, image = self._video.read()
        if not good:
            return None
        stamp_ns = self._start_ns + round(number * self._every / self.fps * 1e9)
        return RgbdFrame(np.ascontiguousarray(image[:, :, ::-1]), None, None, stamp_ns, self._frame)

    def rewind(self) -> None:
        self._video.open(self.name)

    def release(self) -> None:
        self._video.release()
