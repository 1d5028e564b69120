"""RealSense cameras, through librealsense: aligned depth, meters, intrinsics and capture time in one frame.

`pyrealsense2` is imported when a camera is opened, never when this module is imported.
"""

import logging
import time
from dataclasses import replace
from typing import Any

import numpy as np

from molmo_point.camera.base import Camera, DeviceReport
from molmo_point.camera.questions import SourceQuestions
from molmo_point.errors import CameraError, DependencyError, InputError
from molmo_point.frame import OPTICAL_FRAME, RgbdFrame, decode_depth
from molmo_point.geometry.depth_cameras import DEPTH_CAMERAS, at_focal_length, camera_of_words
from molmo_point.geometry.depth_noise import DepthNoise, NoiseSource
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.lens_models import COEFFICIENTS

_LOG = logging.getLogger(__name__)
_WARM_UP_FRAMES = 10


class RealSense(Camera):
    """A RealSense camera that delivers color with aligned depth.

    Args:
        serial: Serial number; None takes the first camera found.
        width: Width of both streams, in pixels. 848 x 480 is the best depth mode of the D435.
        height: Height of both streams, in pixels.
        fps: Frames per second.
        frame: Name of the color camera's optical frame, put into every frame.

    Raises:
        DependencyError: pyrealsense2 or the libusb that it needs is missing.
        CameraError: The camera is not connected, is in use, or lacks this mode.
    """

    def __init__(
        self, serial: str | None = None, width: int = 848, height: int = 480, fps: int = 30, *, frame: str = OPTICAL_FRAME
    ) -> None:
        rs = load_pyrealsense2()
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
            asked = f"serial {serial or 'any'} at {width}x{height}, {fps} fps; connected: {_listed(list_devices())} ({error})"
            fix = "close other programs that use it, and choose a resolution and rate that it has"
            raise CameraError("The RealSense camera cannot be started", asked, fix) from error
        device = profile.get_device()
        self._setup(self._pipeline, device.query_sensors(), frame)
        self.serial = str(device.get_info(rs.camera_info.serial_number))
        self.name = str(device.get_info(rs.camera_info.name))
        self._warm_up()

    @classmethod
    def from_source(cls, source: Any, sensors: Any = (), *, frame: str = OPTICAL_FRAME) -> "RealSense":
        """Make a camera that reads frame sets of a software device or a played-back file.

        Args:
            source: Source of frame sets with a depth and a color frame, such as `rs.syncer()`.
            sensors: Sensors of the device (`device.query_sensors()`), for its stereo baseline and clock.
            frame: Name of the color camera's optical frame.
        """
        camera = cls.__new__(cls)
        camera._pipeline, camera.serial, camera.name = None, "", "frame source"
        camera._setup(source, sensors, frame)
        return camera

    def _setup(self, source: Any, sensors: Any, frame: str) -> None:
        rs = load_pyrealsense2()
        self._source = source
        self._align = rs.align(rs.stream.color)
        self._frame = frame
        self._clock: Any = _HostClock()
        self._baseline_m: float | None = None
        self._questions = SourceQuestions(_LOG.warning, "RealSense", "the depth unit of the device")
        for sensor in sensors:
            if sensor.supports(rs.option.global_time_enabled):
                sensor.set_option(rs.option.global_time_enabled, 1.0)
            if sensor.supports(rs.option.stereo_baseline):
                self._baseline_m = sensor.get_option(rs.option.stereo_baseline) * 1e-3

    def _warm_up(self) -> None:
        """Let automatic exposure settle; a camera that delivers no frame fails here rather than at `read`."""
        try:
            for _ in range(_WARM_UP_FRAMES):
                self._wait(timeout_s=5.0)
        except CameraError:
            self.close()
            raise

    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        self.check_open()
        return self._questions.ask(self._convert(self._wait(timeout_s)))

    def _wait(self, timeout_s: float) -> Any:
        """Wait for the next frame set that holds both color and depth."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_ms = max(int((deadline_s - time.monotonic()) * 1e3), 1)
            try:
                came, frames = self._source.try_wait_for_frames(left_ms)
            except RuntimeError as error:
                fix = "plug it in and open it again"
                raise CameraError("The RealSense camera stopped delivering frames", str(error), fix) from error
            if came and frames.get_depth_frame() and frames.get_color_frame():
                return frames
            if time.monotonic() >= deadline_s:
                raise self._timed_out(timeout_s)

    def _timed_out(self, timeout_s: float) -> CameraError:
        connected = [device["serial"] for device in list_devices()] if self._pipeline is not None else [self.serial]
        if self.serial not in connected:
            given = f"serial {self.serial}, connected: {', '.join(connected) or 'none'}"
            return CameraError("The RealSense camera was unplugged", given, "plug it into a USB 3 port and open it again")
        fix = "use a USB 3 port and cable, a lower rate or resolution, or a longer timeout_s"
        return CameraError("No frame with both color and depth came in time", f"timeout_s={timeout_s:g}", fix)

    def _convert(self, frames: Any) -> RgbdFrame:
        raw_depth = frames.get_depth_frame()
        aligned = self._align.process(frames)
        color, depth = aligned.get_color_frame(), aligned.get_depth_frame()
        if not color or not depth:
            given = "a frame set without a color or depth image after alignment"
            raise CameraError("Depth must be aligned to color", given, "check that both streams are calibrated")
        pixels = np.asanyarray(color.get_data())
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            given = f"{color.profile.format()}, {pixels.dtype}, shape {pixels.shape}"
            raise CameraError("The color stream must be 8-bit RGB", given, "enable the color stream with rs.format.rgb8")
        if color.profile.format() == load_pyrealsense2().format.bgr8:
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
        """Return the noise of the depth camera, whose focal length does not change by alignment to color.

        A device of an unknown name with a stereo baseline has the noise of a D435 with that baseline.
        """
        model = camera_of_words(self.name)
        if not depth_focal_px > 0 or not (model or self._baseline_m):
            return None
        noise = at_focal_length(DEPTH_CAMERAS[model or "D435"].noise, float(depth_focal_px))
        baseline_m = abs(self._baseline_m) if self._baseline_m and noise.baseline_m else noise.baseline_m
        return replace(noise, baseline_m=baseline_m, camera=model, source=NoiseSource.DEVICE)

    def release(self) -> None:
        if self._pipeline is not None:
            try:
                self._pipeline.stop()
            except RuntimeError as error:
                _LOG.warning("the RealSense camera did not stop cleanly: %s", error)


class _HostClock:
    """Converts librealsense's timestamps (milliseconds) to nanoseconds of the host's clock.

    Global and system time already are host time. A hardware clock has an arbitrary zero; its offset is the smallest
    difference to the arrival time seen so far, because transport can only delay a frame.
    """

    def __init__(self) -> None:
        self._offset_ms: float | None = None

    def stamp_ns(self, frame: Any, arrival_ns: int | None = None) -> int:
        rs = load_pyrealsense2()
        stamp_ms = float(frame.get_timestamp())
        if frame.get_frame_timestamp_domain() == rs.timestamp_domain.hardware_clock:
            arrival_ms = (time.time_ns() if arrival_ns is None else arrival_ns) * 1e-6
            offset_ms = arrival_ms - stamp_ms
            self._offset_ms = offset_ms if self._offset_ms is None else min(self._offset_ms, offset_ms)
            stamp_ms += self._offset_ms
        return round(stamp_ms * 1e6)


def to_intrinsics(given: Any) -> Intrinsics:
    """Convert librealsense's intrinsics (`rs.intrinsics`), lens distortion included.

    Raises:
        CameraError: The camera reports impossible values, or a lens model that this package does not support.
    """
    rs = load_pyrealsense2()
    model = {
        rs.distortion.none: "none",
        rs.distortion.brown_conrady: "brown_conrady",
        rs.distortion.inverse_brown_conrady: "inverse_brown_conrady",
        rs.distortion.modified_brown_conrady: "inverse_brown_conrady",
        rs.distortion.kannala_brandt4: "equidistant",
    }.get(given.model)
    coefficients = tuple(float(value) for value in given.coeffs)
    # A model without coefficients is no distortion, whatever its name (aligned depth, many color cameras); a fisheye's is one.
    if not any(coefficients) and model != "equidistant":
        model = "none"
    if model is None:
        fix = "use a stream with a Brown-Conrady or Kannala-Brandt model, or undistort the images"
        given_model = f"{given.model} with coefficients {coefficients}"
        raise CameraError("The lens model of the stream must be a supported one", given_model, fix)
    count = len(COEFFICIENTS[model])
    try:
        lens = (given.width, given.height, given.fx, given.fy, given.ppx, given.ppy)
        return Intrinsics(*lens, distortion_model=model, distortion=coefficients[:count])
    except InputError as error:
        fix = "calibrate the camera, or restore its factory calibration with the RealSense Viewer"
        raise CameraError("The intrinsics of the camera must be valid", f"{given}: {error}", fix) from error


def list_devices() -> tuple[dict[str, str], ...]:
    """List the connected RealSense cameras: name, serial, firmware, usb.

    Raises:
        DependencyError: pyrealsense2 or the libusb that it needs is missing.
    """
    rs = load_pyrealsense2()
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


def report_devices() -> tuple[DeviceReport, ...]:
    """Report the connected cameras, or that there is none, to the doctor; a camera on a USB 2 port is slow.

    Raises:
        DependencyError: pyrealsense2 or the libusb that it needs is missing.
    """
    reports = [
        DeviceReport(
            "{name}, serial {serial}, firmware {firmware}, USB {usb}".format(**device),
            "use a USB 3 port and cable" if device["usb"].startswith("2") else "",
        )
        for device in list_devices()
    ]
    fix = "plug it into a USB 3 port; on Linux install librealsense's udev rules"
    return tuple(reports) or (DeviceReport("no camera connected", fix, connected=False),)


def _unit_m(depth: Any) -> float:
    """Return the meters per unit of a depth frame, as the device states it."""
    unit_m = float(depth.as_depth_frame().get_units())
    if not (np.isfinite(unit_m) and unit_m > 0):
        raise CameraError("The depth unit of the camera must be positive", f"{unit_m} m", "update its firmware")
    # librealsense keeps the unit in single precision; 0.001 is meant where 0.0010000000475 is stored.
    return float(f"{unit_m:.7g}")


def _check_connected(serial: str | None) -> None:
    """Refuse at once a camera that librealsense would refuse after fifteen seconds of waiting."""
    devices = list_devices()
    given = f"serial {serial or 'any'}; connected: {_listed(devices)}"
    if not devices:
        fix = "plug it into a USB 3 port; on Linux install librealsense's udev rules; `molmo-point doctor` lists cameras"
        raise CameraError("No RealSense camera is connected", given, fix)
    if serial is not None and serial not in [device["serial"] for device in devices]:
        raise CameraError("serial must be that of a connected RealSense camera", given, "use the serial of a connected camera")


def _listed(devices: tuple[dict[str, str], ...]) -> str:
    return ", ".join(f"{device['name']} {device['serial']}" for device in devices) or "none"


def load_pyrealsense2() -> Any:
    """Import pyrealsense2.

    Raises:
        DependencyError: It is missing or broken, or the libusb that it needs is.
    """
    try:
        import pyrealsense2 as rs
    except ImportError as error:
        # Installed, but a shared library that it needs is not: libusb is the only one outside the wheel.
        libusb = not isinstance(error, ModuleNotFoundError)
        raise DependencyError(
            "Libusb, which pyrealsense2 needs, is missing" if libusb else "A RealSense needs pyrealsense2",
            str(error),
            "sudo apt install libusb-1.0-0" if libusb else "pip install 'molmo-point[realsense]'",
        ) from error
    if "pipeline" not in dir(rs):
        # A broken wheel leaves an empty namespace package behind, which imports without an error.
        raise DependencyError("pyrealsense2 is installed but empty", repr(rs), "pip install --force-reinstall pyrealsense2")
    return rs
