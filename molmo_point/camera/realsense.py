"""RealSense cameras, through librealsense: aligned depth, metres, intrinsics and capture time in one frame.

`pyrealsense2` is imported when a camera is opened, never when this module is.
"""

import logging
import time
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from molmo_point.depth.uncertainty import D435, DepthNoise
from molmo_point.errors import CameraError, DependencyError, InputError
from molmo_point.frame import OPTICAL_FRAME, RgbdFrame, decode_depth
from molmo_point.geometry.intrinsics import Intrinsics

_LOG = logging.getLogger(__name__)
_WARM_UP_FRAMES = 10


class FrameSource(Protocol):
    """Where matched frame sets come from: `rs.pipeline` and `rs.syncer` both have this method."""

    def try_wait_for_frames(self, timeout_ms: int) -> tuple[bool, Any]:
        """Whether a frame set came in time, and the frame set."""
        ...


class RealSense:
    """A RealSense camera that delivers colour with aligned depth.

    Args:
        serial: serial number; None takes the first camera found.
        width: of both streams, in pixels. 848 x 480 is the best depth mode of the D435.
        height: of both streams, in pixels.
        fps: frames per second.
        frame: name of the colour camera's optical frame, put into every frame.

    Raises:
        DependencyError: pyrealsense2 or the libusb that it needs is missing.
        CameraError: no such camera is connected, it is in use, or it has no such mode.
    """

    def __init__(
        self,
        serial: str | None = None,
        width: int = 848,
        height: int = 480,
        fps: int = 30,
        *,
        frame: str = OPTICAL_FRAME,
    ) -> None:
        rs = _pyrealsense2()
        _check_connected(serial)
        self._pipeline = rs.pipeline()
        config = rs.config()
        if serial is not None:
            config.enable_device(serial)
        config.enable_stream(rs.stream.depth, width, height, rs.format.z16, fps)
        config.enable_stream(rs.stream.color, width, height, rs.format.rgb8, fps)
        try:
            profile = self._pipeline.start(config)
        except RuntimeError as error:
            raise _cannot_start(error, serial, (width, height), fps) from error
        device = profile.get_device()
        self._setup(self._pipeline, device.query_sensors(), frame)
        self.serial = str(device.get_info(rs.camera_info.serial_number))
        self.name = str(device.get_info(rs.camera_info.name))
        self._warm_up()

    @classmethod
    def from_source(cls, source: FrameSource, sensors: Any = (), *, frame: str = OPTICAL_FRAME) -> "RealSense":
        """A camera that reads frame sets from elsewhere: a software device, a played-back file.

        Args:
            source: delivers frame sets that hold a depth and a colour frame, for example `rs.syncer()`.
            sensors: of the device (`device.query_sensors()`), for its stereo baseline and clock.
            frame: name of the colour camera's optical frame.
        """
        camera = cls.__new__(cls)
        camera._pipeline = None
        camera.serial = ""
        camera.name = "frame source"
        camera._setup(source, sensors, frame)
        return camera

    def _setup(self, source: FrameSource, sensors: Any, frame: str) -> None:
        rs = _pyrealsense2()
        self._source = source
        self._align = rs.align(rs.stream.color)
        self._frame = frame
        self._clock = _HostClock()
        self._baseline_m: float | None = None
        for sensor in sensors:
            if sensor.supports(rs.option.global_time_enabled):
                sensor.set_option(rs.option.global_time_enabled, 1.0)
            if sensor.supports(rs.option.stereo_baseline):
                self._baseline_m = sensor.get_option(rs.option.stereo_baseline) * 1e-3
        self._closed = False

    def _warm_up(self) -> None:
        """Lets automatic exposure settle, and finds out now rather than at `read` when no frames come."""
        try:
            for _ in range(_WARM_UP_FRAMES):
                self._wait(timeout_s=5.0)
        except CameraError:
            self.close()
            raise

    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        """Waits for the next frame.

        Args:
            timeout_s: how long to wait for a colour image with its depth, in seconds.

        Returns:
            Colour, depth aligned to colour (NaN = no measurement), intrinsics of the colour image; `stamp_ns` and
            `depth_stamp_ns` are capture times on the host's clock.

        Raises:
            CameraError: no complete frame came in time, the camera was unplugged or closed, or its calibration is
                not usable.
        """
        if self._closed:
            raise CameraError("The RealSense camera is closed", "read() after close()", "read before close(), or open it again")
        return self._convert(self._wait(timeout_s))

    def _wait(self, timeout_s: float) -> Any:
        """The next frame set that holds both colour and depth."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_ms = max(int((deadline_s - time.monotonic()) * 1e3), 1)
            try:
                came, frames = self._source.try_wait_for_frames(left_ms)
            except RuntimeError as error:
                raise CameraError(
                    "The RealSense camera stopped delivering frames",
                    given=str(error),
                    fix="plug it in and open it again",
                ) from error
            if came and frames.get_depth_frame() and frames.get_color_frame():
                return frames
            if time.monotonic() >= deadline_s:
                raise self._timed_out(timeout_s)

    def _timed_out(self, timeout_s: float) -> CameraError:
        connected = [device["serial"] for device in list_devices()] if self._pipeline is not None else None
        if connected is not None and self.serial not in connected:
            return CameraError(
                "The RealSense camera was unplugged",
                given=f"serial {self.serial}, connected: {', '.join(connected) or 'none'}",
                fix="plug it into a USB 3 port and open it again",
            )
        return CameraError(
            "No frame with both colour and depth came in time",
            given=f"timeout_s={timeout_s:g}",
            fix="use a USB 3 port and cable, a lower rate or resolution, or a longer timeout_s",
        )

    def _convert(self, frames: Any) -> RgbdFrame:
        raw_depth = frames.get_depth_frame()
        aligned = self._align.process(frames)
        color, depth = aligned.get_color_frame(), aligned.get_depth_frame()
        if not color or not depth:
            raise CameraError(
                "Depth could not be aligned to colour",
                "a frame set without a colour or depth image after alignment",
                "check that both streams are calibrated",
            )
        pixels = np.asanyarray(color.get_data())
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise CameraError(
                "The colour stream is not 8-bit RGB",
                given=f"{color.profile.format()}, {pixels.dtype}, shape {pixels.shape}",
                fix="enable the colour stream with rs.format.rgb8",
            )
        if color.profile.format() == _pyrealsense2().format.bgr8:
            pixels = pixels[:, :, ::-1]
        intrinsics = to_intrinsics(color.profile.as_video_stream_profile().intrinsics)
        depth_focal_px = raw_depth.profile.as_video_stream_profile().intrinsics.fx
        return RgbdFrame(
            # A copy: librealsense has few buffers, and one that is still pointed to cannot take a new frame.
            color=np.array(pixels, order="C"),
            depth_m=decode_depth(np.asanyarray(depth.get_data()), scale_m=_unit_m(depth)),
            intrinsics=intrinsics,
            stamp_ns=self._clock.stamp_ns(color),
            frame=self._frame,
            depth_stamp_ns=self._clock.stamp_ns(raw_depth),
            depth_noise=self._noise(depth_focal_px),
        )

    def _noise(self, depth_focal_px: float) -> DepthNoise | None:
        """Noise of the depth camera; alignment to colour leaves its focal length what it was."""
        if not self._baseline_m or not depth_focal_px > 0:
            return None
        return DepthNoise(abs(self._baseline_m), D435.sigma_disparity_px, float(depth_focal_px))

    def close(self) -> None:
        """Stops the camera; closing twice is allowed."""
        if self._closed:
            return
        self._closed = True
        if self._pipeline is not None:
            try:
                self._pipeline.stop()
            except RuntimeError as error:
                _LOG.warning("the RealSense camera did not stop cleanly: %s", error)

    def __enter__(self) -> "RealSense":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _HostClock:
    """Turns librealsense's timestamps (milliseconds) into nanoseconds of the host's clock.

    Global and system time already are host time. A hardware clock starts anywhere; its offset is the smallest
    difference to the arrival time seen so far, because transport can only delay a frame.
    """

    def __init__(self) -> None:
        self._offset_ms: float | None = None

    def stamp_ns(self, frame: Any, arrival_ns: int | None = None) -> int:
        rs = _pyrealsense2()
        stamp_ms = float(frame.get_timestamp())
        if frame.get_frame_timestamp_domain() == rs.timestamp_domain.hardware_clock:
            arrival_ms = (time.time_ns() if arrival_ns is None else arrival_ns) * 1e-6
            offset_ms = arrival_ms - stamp_ms
            self._offset_ms = offset_ms if self._offset_ms is None else min(self._offset_ms, offset_ms)
            stamp_ms += self._offset_ms
        return round(stamp_ms * 1e6)


def to_intrinsics(given: Any) -> Intrinsics:
    """Intrinsics from librealsense's (`rs.intrinsics`), lens distortion included.

    Raises:
        CameraError: the camera reports values that cannot be, or a lens model that this package does not know.
    """
    rs = _pyrealsense2()
    models = {
        rs.distortion.none: "none",
        rs.distortion.brown_conrady: "brown_conrady",
        rs.distortion.inverse_brown_conrady: "inverse_brown_conrady",
    }
    coefficients = tuple(float(value) for value in given.coeffs)
    # A model without coefficients is no distortion, whatever its name (aligned depth, many colour cameras).
    model = models.get(given.model) if any(coefficients) else "none"
    if model is None:
        raise CameraError(
            "The camera reports a lens model that is not supported",
            given=f"{given.model} with coefficients {coefficients}",
            fix="use a stream with a Brown-Conrady model, or undistort the images",
        )
    try:
        return Intrinsics(
            width=given.width,
            height=given.height,
            fx=given.fx,
            fy=given.fy,
            cx=given.ppx,
            cy=given.ppy,
            distortion_model=model,
            distortion=coefficients if model != "none" else (),
        )
    except InputError as error:
        raise CameraError(
            "The camera reports intrinsics that cannot be right",
            given=f"{given}: {error}",
            fix="calibrate the camera, or restore its factory calibration with the RealSense Viewer",
        ) from error


def list_devices() -> tuple[dict[str, str], ...]:
    """The RealSense cameras that are connected: name, serial, firmware, usb.

    Raises:
        DependencyError: pyrealsense2 or the libusb that it needs is missing.
    """
    rs = _pyrealsense2()
    fields = {
        "name": rs.camera_info.name,
        "serial": rs.camera_info.serial_number,
        "firmware": rs.camera_info.firmware_version,
        "usb": rs.camera_info.usb_type_descriptor,
    }
    return tuple(
        {key: device.get_info(field) if device.supports(field) else "" for key, field in fields.items()}
        for device in rs.context().query_devices()
    )


def _unit_m(depth: Any) -> float:
    """Metres per unit of a depth frame, as the device states it."""
    unit_m = float(depth.as_depth_frame().get_units())
    if not (np.isfinite(unit_m) and unit_m > 0):
        raise CameraError("The camera reports an impossible depth unit", given=f"{unit_m} m", fix="update its firmware")
    # librealsense keeps the unit in single precision; 0.001 is meant where 0.0010000000475 is stored.
    return float(f"{unit_m:.7g}")


def _check_connected(serial: str | None) -> None:
    """Refuses at once what librealsense would refuse after fifteen seconds of waiting."""
    devices = list_devices()
    connected = _listed(devices)
    if not devices:
        raise CameraError(
            "No RealSense camera is connected",
            given=f"serial {serial or 'any'}; connected: {connected}",
            fix="plug it into a USB 3 port; on Linux install librealsense's udev rules; `molmo-point doctor` lists cameras",
        )
    if serial is not None and serial not in [device["serial"] for device in devices]:
        raise CameraError(
            "There is no RealSense camera of that serial",
            given=f"serial {serial}; connected: {connected}",
            fix="use the serial of a connected camera",
        )


def _cannot_start(error: RuntimeError, serial: str | None, size_wh: tuple[int, int], fps: int) -> CameraError:
    asked = f"serial {serial or 'any'} at {size_wh[0]}x{size_wh[1]}, {fps} fps; connected: {_listed(list_devices())}"
    return CameraError(
        "The RealSense camera cannot be started",
        given=f"{asked} ({error})",
        fix="close other programs that use it, and choose a resolution and rate that it has",
    )


def _listed(devices: tuple[dict[str, str], ...]) -> str:
    return ", ".join(f"{device['name']} {device['serial']}" for device in devices) or "none"


def _pyrealsense2() -> Any:
    try:
        import pyrealsense2 as rs
    except ImportError as error:
        libusb = "libusb" in str(error)
        raise DependencyError(
            "Libusb, which pyrealsense2 needs, is missing" if libusb else "pyrealsense2 cannot be imported",
            given=str(error),
            fix="sudo apt install libusb-1.0-0" if libusb else "pip install pyrealsense2",
        ) from error
    if not hasattr(rs, "pipeline"):
        # A broken wheel leaves an empty namespace package behind, which imports without an error.
        raise DependencyError(
            "pyrealsense2 is installed but empty",
            given=str(getattr(rs, "__path__", rs)),
            fix="pip install --force-reinstall pyrealsense2",
        )
    return rs
