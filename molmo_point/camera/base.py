"""The interface of a camera: read one RGB-D frame at a time, and close."""

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from molmo_point.errors import CameraError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_cameras import depth_camera
from molmo_point.geometry.transforms import Transform

_C = TypeVar("_C", bound="Closing")


@dataclasses.dataclass(frozen=True)
class DeviceReport:
    """One device, as a driver reports it to `molmo-point doctor`.

    Attributes:
        found: Name, serial number and connection, in words; or a sentence that none is connected.
        fix: Remedy for a device that works badly or is not connected; empty if nothing is wrong.
        connected: False if there is no device.
    """

    found: str
    fix: str = ""
    connected: bool = True


class Closing(ABC):
    """A context manager that closes itself."""

    @abstractmethod
    def close(self) -> None:
        """Free what it holds."""

    def __enter__(self: _C) -> _C:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Camera(Closing):
    """A source of RGB-D frames whose depth is aligned to the color image; a context manager that closes itself.

    A driver implements `read`, which calls `check_open` first, and `release`. Everything else has a default.

    Attributes:
        name: Model of the device or path of the file, for messages.
        replays: True if the frames were captured before and are handed out again.
        base_T_camera: Pose of the optical frame in the frame that the camera is mounted in; None if not known.
        understood: Layout, unit and format of the last frame's files, as plain JSON; empty for a device.
    """

    name: str = "camera"
    replays: bool = False
    base_T_camera: Transform | None = None
    understood: Mapping[str, Any] = MappingProxyType({})
    _closed: bool = False

    @abstractmethod
    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        """Wait for the next frame.

        Args:
            timeout_s: Longest wait, in seconds.

        Returns:
            Color, depth (NaN: not measured), intrinsics, and the capture time `stamp_ns`.

        Raises:
            CameraError: No frame came in time, the camera is closed or unplugged, or a recording is at its end.
        """

    def close(self) -> None:
        """Free the device or file. Closing twice is allowed."""
        if not self._closed:
            self._closed = True
            self.release()

    def release(self) -> None:
        """Free the resources of the driver; `close` calls it once. The default holds none."""

    def stamped_by(self, clock_ns: Callable[[], int]) -> "Camera":
        """Return a camera whose frames carry the time of a clock, if their own times are not of now.

        Args:
            clock_ns: Current time in nanoseconds.

        Returns:
            This camera if it is a live device, which measures its capture times. For replayed frames, a camera that
            moves each stamp to the time at which the frame is handed out.
        """
        return Restamped(self, clock_ns) if self.replays else self

    def check_open(self) -> None:
        """Refuse to read a closed camera.

        Raises:
            CameraError: The camera is closed.
        """
        if self._closed:
            given = f"read() of {self.name} after close()"
            raise CameraError("The camera is closed", given, "read before close(), or open it again")


class Restamped(Camera):
    """A camera whose frames carry the time at which they are handed out.

    Args:
        camera: The camera to read; it is closed with this one.
        clock_ns: Current time in nanoseconds.
    """

    def __init__(self, camera: Camera, clock_ns: Callable[[], int]) -> None:
        self.name, self.base_T_camera = camera.name, camera.base_T_camera
        self._camera, self._clock_ns = camera, clock_ns

    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        """Read the next frame and move its stamps to now; the skew of depth to color stays. See `Camera.read`."""
        frame = self._camera.read(timeout_s)
        return shift_stamps(frame, self._clock_ns() - frame.stamp_ns)

    def release(self) -> None:
        self._camera.close()


class ChangedFrames(Camera):
    """A camera whose frames are changed before they are handed out.

    Args:
        camera: The camera to read; it is closed with this one.
        change: Returns the frame to hand out.
    """

    def __init__(self, camera: Camera, change: Callable[[RgbdFrame], RgbdFrame]) -> None:
        self.name, self.base_T_camera = camera.name, camera.base_T_camera
        self.replays = camera.replays
        self._camera, self._change = camera, change

    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        """Read the next frame and change it; see `Camera.read`."""
        frame = self._change(self._camera.read(timeout_s))
        self.understood = self._camera.understood
        return frame

    def stamped_by(self, clock_ns: Callable[[], int]) -> Camera:
        """See `Camera.stamped_by`."""
        return ChangedFrames(self._camera.stamped_by(clock_ns), self._change)

    def release(self) -> None:
        self._camera.close()


def with_noise(camera: Camera, camera_model: str) -> Camera:
    """Return a camera whose frames have the noise of a camera model; the camera itself for "auto".

    Args:
        camera: The camera.
        camera_model: A name as `depth_camera` takes it.

    Raises:
        InputError: The name is unknown.
    """
    noise = depth_camera(camera_model)
    return camera if noise is None else ChangedFrames(camera, lambda frame: dataclasses.replace(frame, depth_noise=noise))


def turned(camera: Camera, rotate_deg: int) -> Camera:
    """Return a camera whose frames tell the turn that makes their picture upright, in degrees clockwise: 0, 90, 180 or 270."""
    return ChangedFrames(camera, lambda frame: dataclasses.replace(frame, rotate_deg=rotate_deg))


def shift_stamps(frame: RgbdFrame, shift_ns: int) -> RgbdFrame:
    """Return the frame with both of its stamps moved by `shift_ns` nanoseconds."""
    if shift_ns == 0:
        return frame
    depth_stamp_ns = None if frame.depth_stamp_ns is None else frame.depth_stamp_ns + shift_ns
    return dataclasses.replace(frame, stamp_ns=frame.stamp_ns + shift_ns, depth_stamp_ns=depth_stamp_ns)


def wait_until_due(due_s: float, timeout_s: float) -> None:
    """Sleep until a frame is due.

    Args:
        due_s: Due time on the clock of `time.monotonic`, in seconds.
        timeout_s: Longest wait, in seconds.

    Raises:
        CameraError: The frame is due later; nothing was waited for.
    """
    wait_s = due_s - time.monotonic()
    if wait_s > timeout_s:
        given = f"timeout_s={timeout_s:g}, next frame in {wait_s:.3f} s"
        raise CameraError("No frame came in time", given, "raise timeout_s, or the frame rate")
    time.sleep(max(wait_s, 0.0))
