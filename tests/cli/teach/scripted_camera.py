"""A camera that hands out drawn photographs, and then fails as it is told."""

from molmo_point.camera.base import Camera
from molmo_point.camera.registry import CameraDriver, Option
from molmo_point.errors import CameraError
from molmo_point.frame import RgbdFrame
from tests.cli.teach.shown_photos import BLUE, photo

SCRIPTED = CameraDriver(
    "scripted",
    "tests.cli.teach.scripted_camera:ScriptedCamera",
    "drawn photographs",
    Option("end", "what happens after the frames: stops, interrupt or repeats"),
    options=(Option("frames", "number of different frames", 3),),
)


class ScriptedCamera(Camera):
    """Different frames, and then the end: CameraError, Ctrl-C, or the last frame again and again."""

    name = "scripted camera"

    def __init__(self, end: str = "repeats", frames: int = 3) -> None:
        self._end, self._frames, self._count = end, frames, 0

    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        self.check_open()
        self._count += 1
        if self._count > self._frames:
            if self._end == "stops":
                raise CameraError("The camera was lost", "scripted", "plug it in again")
            if self._end == "interrupt":
                raise KeyboardInterrupt
        return RgbdFrame(photo(BLUE, 40 + min(self._count, self._frames))[0], None, None, stamp_ns=self._count)
