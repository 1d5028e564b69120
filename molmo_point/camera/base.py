"""What every camera offers: read one RGB-D frame at a time, and close."""

from types import TracebackType
from typing import Protocol, TypeVar, runtime_checkable

from molmo_point.frame import RgbdFrame

_C = TypeVar("_C")


@runtime_checkable
class Camera(Protocol):
    """A source of RGB-D frames whose depth is aligned to its colour image.

    `RealSense`, `Recording` and `SimulatedCamera` are cameras; so is any object with these methods.
    """

    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        """Waits for the next frame.

        Args:
            timeout_s: how long to wait, in seconds.

        Returns:
            One frame: colour, depth (NaN = not measured), intrinsics, and the capture time `stamp_ns`.

        Raises:
            CameraError: no frame came in time, the camera is closed or gone, or a recording is at its end.
        """
        ...

    def close(self) -> None:
        """Frees the device or file. Closing twice is allowed."""
        ...

    def __enter__(self: _C) -> _C: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
