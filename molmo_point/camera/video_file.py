"""A video file as a camera without depth: its frames in order, each with its time in the video."""

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from molmo_point.errors import CameraError, DependencyError, InputError
from molmo_point.frame import OPTICAL_FRAME, RgbdFrame


class VideoFile:
    """Frames of a video file, colour only; points in them have no position in space.

    A frame's `stamp_ns` is its time in the video, counted from `start_ns`. `len` is what the file says of itself, which
    is an estimate for some formats; reading ends where the frames end.

    Args:
        path: Anything that OpenCV reads: .mp4, .avi, .mkv, .webm, ...
        every: Only every n-th frame.
        start_ns: Time of the first frame, nanoseconds; above 0.
        frame: Name of the camera's optical frame.

    Attributes:
        fps: Frames per second of the file.
        size_wh: Of its frames, pixels.

    Raises:
        InputError: If the file does not exist or is no video, or `every` is below 1.
        DependencyError: If OpenCV is not installed.
    """

    def __init__(self, path: str | Path, *, every: int = 1, start_ns: int = 1, frame: str = OPTICAL_FRAME) -> None:
        cv2 = _import_cv2()
        if every < 1 or start_ns < 1:
            raise InputError("A video cannot be read like that", f"every={every}, start_ns={start_ns}", "give 1 or more")
        if not Path(path).is_file():
            raise InputError("There is no such video", str(path), "give the path of a file")
        self._video: Any = cv2.VideoCapture(str(path))
        self.fps = float(self._video.get(cv2.CAP_PROP_FPS))
        self.size_wh = (int(self._video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(self._video.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        if not self._video.isOpened() or min(self.size_wh) < 1 or not self.fps > 0:
            self._video.release()
            raise InputError("This file is no video that OpenCV reads", str(path), "give e.g. an .mp4")
        self._every, self._start_ns, self._frame = every, start_ns, frame
        self._count = int(self._video.get(cv2.CAP_PROP_FRAME_COUNT))
        self._next = 0
        self._closed = False

    def __len__(self) -> int:
        return max(-(-self._count // self._every), 0)

    def __iter__(self) -> "VideoFile":
        return self

    def __next__(self) -> RgbdFrame:
        image = None if self._closed else self._grab()
        if image is None:
            raise StopIteration
        return image

    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        """The next frame; `timeout_s` is there because every camera has it.

        Raises:
            CameraError: At the end of the video, or after `close`.
        """
        frame = None if self._closed else self._grab()
        if frame is None:
            raise CameraError("The video is at its end", f"{self._next} frames", "open it anew")
        return frame

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._closed = True
        self._video.release()

    def __enter__(self) -> "VideoFile":
        return self

    def __exit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def _grab(self) -> RgbdFrame | None:
        number = self._next
        # `grab` skips a frame without decoding it.
        while number % self._every:
            if not self._video.grab():
                return None
            number += 1
        good, image = self._video.read()
        if not good:
            return None
        self._next = number + 1
        stamp_ns = self._start_ns + round(number / self.fps * 1e9)
        return RgbdFrame(np.ascontiguousarray(image[:, :, ::-1]), None, None, stamp_ns, self._frame)


def _import_cv2() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise DependencyError("Reading videos needs OpenCV", str(error), "pip install 'molmo-point[tracking]'") from error
    return cv2
