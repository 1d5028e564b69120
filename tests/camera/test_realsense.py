"""The RealSense driver against librealsense itself: a software device, its alignment and its deprojection."""

import builtins
import sys
import types

import numpy as np
import pytest

from molmo_point.camera.realsense import RealSense, _HostClock, list_devices, report_devices, to_intrinsics
from molmo_point.errors import CameraError, DependencyError
from molmo_point.geometry.depth_noise import NoiseSource

try:
    import pyrealsense2 as rs
except ImportError:
    rs = None
needs_librealsense = pytest.mark.skipif(rs is None, reason="pyrealsense2 or libusb-1.0-0 is not installed")

DEPTH_SIZE, COLOR_SIZE = (320, 240), (424, 240)
DEPTH_FX, COLOR_FX = 200.0, 300.0
COEFFICIENTS = (0.12, -0.25, 0.0015, -0.0008, 0.06)
UNIT_M = 0.0005
BASELINE_MM = 95.0
MILLISECONDS = 1_700_000_000_000.0


def rs_intrinsics(size, fx, fy, cx, cy, model=None, coefficients=(0.0,) * 5):
    given = rs.intrinsics()
    given.width, given.height = size
    given.fx, given.fy, given.ppx, given.ppy = fx, fy, cx, cy
    given.model = rs.distortion.none if model is None else model
    given.coeffs = list(coefficients)
    return given


def rs_stream(kind, uid, size, pixel_format, bytes_per_pixel, intrinsics):
    stream = rs.video_stream()
    stream.type, stream.index, stream.uid, stream.fps = kind, 0, uid, 30
    stream.width, stream.height = size
    stream.bpp, stream.fmt, stream.intrinsics = bytes_per_pixel, pixel_format, intrinsics
    return stream


class SoftwareCamera:
    """librealsense's software device with the geometry of a D400: colour 15 mm beside depth, other lenses."""

    def __init__(self, model=None, coefficients=(0.0,) * 5, domain=None, pixel_format=None):
        self.domain = rs.timestamp_domain.global_time if domain is None else domain
        self.device = rs.software_device()
        depth_sensor, color_sensor = self.device.add_sensor("Depth"), self.device.add_sensor("Color")
        depth_intrinsics = rs_intrinsics(DEPTH_SIZE, DEPTH_FX, DEPTH_FX, 158.2, 121.3)
        color_intrinsics = rs_intrinsics(COLOR_SIZE, COLOR_FX, 301.0, 213.7, 117.4, model, coefficients)
        pixel_format = rs.format.rgb8 if pixel_format is None else pixel_format
        depth_profile = depth_sensor.add_video_stream(
            rs_stream(rs.stream.depth, 0, DEPTH_SIZE, rs.format.z16, 2, depth_intrinsics)
        )
        color_profile = color_sensor.add_video_stream(
            rs_stream(rs.stream.color, 1, COLOR_SIZE, pixel_format, 3, color_intrinsics)
        )
        depth_sensor.add_read_only_option(rs.option.depth_units, UNIT_M)
        depth_sensor.add_read_only_option(rs.option.stereo_baseline, BASELINE_MM)
        extrinsics = rs.extrinsics()
        angle = 0.01
        extrinsics.rotation = [np.cos(angle), np.sin(angle), 0, -np.sin(angle), np.cos(angle), 0, 0, 0, 1]
        extrinsics.translation = [0.015, 0.0004, -0.0002]
        depth_profile.register_extrinsics_to(color_profile, extrinsics)
        self.device.create_matcher(rs.matchers.default)
        self.syncer = rs.syncer()
        for sensor, profile in ((depth_sensor, depth_profile), (color_sensor, color_profile)):
            sensor.open(profile)
            sensor.start(self.syncer)
        self.depth = (depth_sensor, depth_profile)
        self.color = (color_sensor, color_profile)
        self.number = 0

    def _push(self, stream, pixels, stamp_ms, depth_units):
        sensor, profile = stream
        frame = rs.software_video_frame()
        frame.pixels, frame.profile = np.ascontiguousarray(pixels), profile.as_video_stream_profile()
        frame.bpp = pixels.itemsize * (pixels.shape[2] if pixels.ndim == 3 else 1)
        frame.stride = frame.bpp * pixels.shape[1]
        frame.timestamp, frame.domain, frame.frame_number = stamp_ms, self.domain, self.number
        frame.depth_units = depth_units
        sensor.on_video_frame(frame)

    def push(self, depth, color, stamp_ms, skew_ms=2.25):
        self.number += 1
        self._push(self.depth, depth, stamp_ms, UNIT_M)
        self._push(self.color, color, stamp_ms + skew_ms, 0.0)

    def fill(self, depth, color):
        """Pushes until the syncer has matched pairs ready: it releases the first frames one stream at a time."""
        for _ in range(4):
            self.push(depth, color, MILLISECONDS + 33.0 * self.number)


def scene(seed=0):
    """Depth units (240, 320) uint16 with two surfaces, a slope and holes; a random colour image."""
    rng = np.random.default_rng(seed)
    depth = np.full((240, 320), 2400, np.uint16)
    depth[60:140, 90:170] = 1100
    depth[160:220] += np.linspace(0, 600, 320).astype(np.uint16)
    depth[rng.random(depth.shape) < 0.02] = 0
    return depth, rng.integers(0, 255, (240, 424, 3), dtype=np.uint8)


class Tee:
    """A frame source that remembers the frame sets it passes on."""

    def __init__(self, source):
        self.source, self.last = source, None

    def try_wait_for_frames(self, timeout_ms):
        came, frames = self.source.try_wait_for_frames(timeout_ms)
        self.last = frames
        if came:
            frames.keep()
        return came, frames


def read_frame(**options):
    software = SoftwareCamera(**options)
    depth, color = scene()
    software.fill(depth, color)
    tee = Tee(software.syncer)
    frame = RealSense.from_source(tee, software.device.query_sensors()).read(timeout_s=2.0)
    return frame, tee.last, depth, color


@needs_librealsense
def test_depth_is_aligned_as_librealsense_aligns_it_and_scaled_by_the_device_s_unit():
    frame, frames, _, color = read_frame(model=rs.distortion.inverse_brown_conrady, coefficients=COEFFICIENTS)
    aligned = np.asanyarray(rs.align(rs.stream.color).process(frames).get_depth_frame().get_data())
    expected = np.where(aligned == 0, np.nan, aligned.astype(np.float64) * 0.0005)
    assert frame.depth_m.shape == (240, 424) and frame.depth_m.dtype == np.float32
    np.testing.assert_allclose(frame.depth_m, expected, rtol=1e-6)
    assert 0.5 < np.isfinite(frame.depth_m).mean() < 1.0
    assert np.array_equal(frame.color, color)


@needs_librealsense
def test_alignment_moves_the_near_box_to_where_the_geometry_says():
    frame, *_ = read_frame()
    near = np.abs(frame.depth_m - 0.55) < 0.01
    near[155:] = False
    u = np.nonzero(near)[1]
    # Left edge of the box: depth pixel 89.5 at 0.55 m, through the extrinsics into the colour image (v near 100).
    x, y = (89.5 - 158.2) / DEPTH_FX * 0.55, (100.0 - 121.3) / DEPTH_FX * 0.55
    expected_left = COLOR_FX * (np.cos(0.01) * x - np.sin(0.01) * y + 0.015) / (0.55 - 0.0002) + 213.7
    row = np.flatnonzero(near[92])
    assert abs(row.min() - expected_left) < 2.5, (row.min(), expected_left, u.min())


@needs_librealsense
@pytest.mark.parametrize("name", ["none", "inverse_brown_conrady", "brown_conrady"])
def test_deprojection_and_projection_agree_with_librealsense(name):
    model = getattr(rs.distortion, name)
    coefficients = (0.0,) * 5 if name == "none" else COEFFICIENTS
    frame, frames, *_ = read_frame(model=model, coefficients=coefficients)
    reference = frames.get_color_frame().profile.as_video_stream_profile().intrinsics
    assert frame.intrinsics.distortion_model == name
    for uv in [(0.0, 0.0), (213.7, 117.4), (40.25, 200.5), (400.0, 30.0), (423.0, 239.0)]:
        expected = np.array(rs.rs2_deproject_pixel_to_point(reference, list(uv), 0.8))
        found = frame.intrinsics.deproject(np.array(uv), np.array(0.8))
        # librealsense iterates in single precision, ten rounds.
        np.testing.assert_allclose(found, expected, atol=2e-5)
        projected = rs.rs2_project_point_to_pixel(reference, [float(value) for value in found])
        np.testing.assert_allclose(frame.intrinsics.project(found), projected, atol=2e-3)
        np.testing.assert_allclose(projected, uv, atol=2e-2)


@needs_librealsense
def test_stamps_are_capture_times_of_each_stream_in_nanoseconds():
    frame, frames, *_ = read_frame()
    assert frame.stamp_ns == round(frames.get_color_frame().get_timestamp() * 1e6)
    assert frame.depth_stamp_ns == round(frames.get_depth_frame().get_timestamp() * 1e6)
    assert frame.skew_s == pytest.approx(-0.00225, abs=1e-6)
    assert 1_700_000_000_000_000_000 < frame.stamp_ns < 1_700_000_001_000_000_000


@needs_librealsense
def test_noise_takes_the_device_s_baseline_and_the_depth_camera_s_focal_length():
    frame, *_ = read_frame()
    sigma = frame.depth_noise.sigma_z(1.0, frame.intrinsics.fx)
    assert frame.depth_noise.baseline_m == pytest.approx(0.095)
    # 0.062 px at the 424 px of a D435 at 848x480 are an angle, which no mode changes.
    assert sigma == pytest.approx(0.062 / 424.0 / 0.095, rel=1e-6)
    assert frame.depth_noise.focal_px == pytest.approx(DEPTH_FX)
    assert frame.depth_noise.source is NoiseSource.DEVICE and frame.depth_noise.camera == ""


@needs_librealsense
def test_noise_is_that_of_the_device_s_model():
    software = SoftwareCamera()
    camera = RealSense.from_source(software.syncer, software.device.query_sensors())
    camera.name = "Intel RealSense D415"
    noise = camera._noise(DEPTH_FX)
    assert noise.sigma_z(1.0, 600.0) == pytest.approx(0.062 / 610.0 / 0.095, rel=1e-6) and noise.camera == "D415"
    assert camera._noise(float("nan")) is None


@needs_librealsense
def test_a_bgr_stream_comes_out_as_rgb():
    frame, _, _, color = read_frame(pixel_format=rs.format.bgr8)
    assert np.array_equal(frame.color, color[:, :, ::-1])


@needs_librealsense
def test_frames_can_be_kept_without_starving_librealsense_of_buffers():
    software = SoftwareCamera()
    camera = RealSense.from_source(software.syncer, software.device.query_sensors())
    depth, color = scene(1)
    kept = []
    for _ in range(40):
        software.push(depth, color, MILLISECONDS + 33.0 * software.number)
        if software.number > 2:
            kept.append(camera.read(timeout_s=2.0))
    assert all(frame.color.base is None and frame.depth_m.base is None for frame in kept)
    assert len({frame.stamp_ns for frame in kept}) == len(kept) == 38
    assert all(np.array_equal(frame.color, color) for frame in kept)


@needs_librealsense
def test_no_frames_is_a_timeout_and_a_closed_camera_refuses():
    software = SoftwareCamera()
    with RealSense.from_source(software.syncer) as camera, pytest.raises(CameraError, match=r"timeout_s=0\.05"):
        camera.read(timeout_s=0.05)
    with pytest.raises(CameraError, match="closed"):
        camera.read()


@needs_librealsense
def test_colour_alone_is_never_a_frame():
    software = SoftwareCamera()
    for number in range(5):
        software.number += 1
        software._push(software.color, scene()[1], MILLISECONDS + 33.0 * number, 0.0)
    with pytest.raises(CameraError, match="both color and depth"):
        RealSense.from_source(software.syncer).read(timeout_s=0.2)


@needs_librealsense
def test_hardware_clock_is_mapped_to_host_time_by_the_fastest_frame():
    class Frame:
        def __init__(self, stamp_ms):
            self.stamp_ms = stamp_ms

        def get_timestamp(self):
            return self.stamp_ms

        def get_frame_timestamp_domain(self):
            return rs.timestamp_domain.hardware_clock

    clock = _HostClock()
    host_ns = 1_700_000_000_000_000_000
    stamps = [
        clock.stamp_ns(Frame(1000.0 + 33.0 * i), host_ns + int((33.0 * i + delay_ms) * 1e6))
        for i, delay_ms in enumerate([9.0, 4.0, 30.0, 6.0])
    ]
    found_ms = [(stamp - host_ns) * 1e-6 for stamp in stamps]
    assert found_ms == pytest.approx([9.0, 33.0 + 4.0, 66.0 + 4.0, 99.0 + 4.0], abs=1e-3)


@needs_librealsense
@pytest.mark.parametrize(("fx", "size"), [(0.0, (64, 48)), (float("nan"), (64, 48)), (100.0, (0, 48))])
def test_impossible_intrinsics_are_refused(fx, size):
    with pytest.raises(CameraError, match="must be valid"):
        to_intrinsics(rs_intrinsics(size, fx, 100.0, 10.0, 10.0))


@needs_librealsense
def test_lens_models_by_name_and_unknown_ones_refused_unless_they_do_nothing():
    with pytest.raises(CameraError, match="lens model"):
        to_intrinsics(rs_intrinsics((64, 48), 100.0, 100.0, 32.0, 24.0, rs.distortion.ftheta, COEFFICIENTS))
    fisheye = to_intrinsics(rs_intrinsics((64, 48), 100.0, 100.0, 32.0, 24.0, rs.distortion.kannala_brandt4, COEFFICIENTS))
    assert fisheye.distortion_model == "equidistant" and fisheye.distortion == pytest.approx(COEFFICIENTS[:4])
    ideal = to_intrinsics(rs_intrinsics((64, 48), 100.0, 100.0, 32.0, 24.0, rs.distortion.kannala_brandt4))
    assert ideal.distortion_model == "equidistant" and ideal.distortion == (0.0,) * 4
    plain = to_intrinsics(rs_intrinsics((64, 48), 100.0, 100.0, 32.0, 24.0, rs.distortion.ftheta))
    assert plain.distortion_model == "none" and plain.distortion == ()


@needs_librealsense
@pytest.mark.skipif(rs is not None and len(rs.context().query_devices()) > 0, reason="a real camera is connected")
@pytest.mark.parametrize("serial", [None, "012345678901"])
def test_without_a_camera_the_error_says_so(serial):
    assert list_devices() == ()
    with pytest.raises(CameraError, match="No RealSense camera is connected") as caught:
        RealSense(serial)
    assert caught.value.given and caught.value.fix


def test_the_doctor_hears_of_slow_ports_and_of_no_camera(monkeypatch):
    device = {"name": "D435", "serial": "1", "firmware": "5", "usb": "2.1"}
    monkeypatch.setattr("molmo_point.camera.realsense.list_devices", lambda: (device, {**device, "usb": "3.2"}))
    slow, fast = report_devices()
    assert "USB 3" in slow.fix and not fast.fix and "serial 1" in fast.found
    monkeypatch.setattr("molmo_point.camera.realsense.list_devices", tuple)
    (none,) = report_devices()
    assert not none.connected and "udev" in none.fix


@needs_librealsense
def test_another_serial_than_the_connected_one_is_named(monkeypatch):
    connected = ({"name": "D435", "serial": "999"},)
    monkeypatch.setattr("molmo_point.camera.realsense.list_devices", lambda: connected)
    with pytest.raises(CameraError, match="D435 999"):
        RealSense("123")


@needs_librealsense
@pytest.mark.skipif(rs is not None and len(rs.context().query_devices()) > 0, reason="a real camera is connected")
def test_a_camera_that_does_not_start_is_an_error_with_what_was_asked(monkeypatch):
    class Pipeline:
        def start(self, config):
            raise RuntimeError("Couldn't resolve requests")

    monkeypatch.setattr("molmo_point.camera.realsense.list_devices", lambda: ({"name": "D435", "serial": "999"},))
    monkeypatch.setattr(rs, "pipeline", Pipeline)
    with pytest.raises(CameraError, match=r"1920x1080, 90 fps.*resolve requests"):
        RealSense("999", 1920, 1080, 90)


@needs_librealsense
def test_a_connected_camera_is_opened_warmed_up_read_and_stopped(monkeypatch):
    software, calls = SoftwareCamera(), []
    depth, color = scene(2)

    class Device:
        def query_sensors(self):
            return software.device.query_sensors()

        def get_info(self, field):
            return {rs.camera_info.serial_number: "999", rs.camera_info.name: "D455"}[field]

    class Profile:
        def get_device(self):
            return Device()

    class Pipeline:
        def start(self, config):
            calls.append("start")
            return Profile()

        def try_wait_for_frames(self, timeout_ms):
            software.push(depth, color, MILLISECONDS + 33.0 * software.number)
            return software.syncer.try_wait_for_frames(timeout_ms)

        def stop(self):
            calls.append("stop")

    monkeypatch.setattr("molmo_point.camera.realsense.list_devices", lambda: ({"name": "D455", "serial": "999"},))
    monkeypatch.setattr(rs, "pipeline", Pipeline)
    with RealSense("999") as camera:
        assert (camera.serial, camera.name, calls) == ("999", "D455", ["start"])
        pushed = software.number
        assert pushed >= 10, "automatic exposure has had time to settle"
        first, second = camera.read(timeout_s=2.0), camera.read(timeout_s=2.0)
    assert calls == ["start", "stop"]
    assert second.stamp_ns > first.stamp_ns and first.depth_noise.baseline_m == pytest.approx(0.095)
    assert np.array_equal(first.color, color)


class StoppedPipeline:
    def stop(self):
        raise RuntimeError("stop() cannot be called before start()")


@needs_librealsense
def test_an_unplugged_camera_is_told_from_a_slow_one(monkeypatch):
    software = SoftwareCamera()
    camera = RealSense.from_source(software.syncer)
    camera._pipeline, camera.serial = StoppedPipeline(), "123"
    monkeypatch.setattr("molmo_point.camera.realsense.list_devices", lambda: ({"serial": "999"},))
    with pytest.raises(CameraError, match="unplugged"):
        camera.read(timeout_s=0.05)
    monkeypatch.setattr("molmo_point.camera.realsense.list_devices", lambda: ({"serial": "123"},))
    with pytest.raises(CameraError, match="in time"):
        camera.read(timeout_s=0.05)
    camera.close()
    camera.close()


@needs_librealsense
def test_an_error_while_waiting_is_a_camera_error():
    class Failing:
        def try_wait_for_frames(self, timeout_ms):
            raise RuntimeError("Device disconnected")

    with pytest.raises(CameraError, match="Device disconnected"):
        RealSense.from_source(Failing()).read()


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (ModuleNotFoundError("No module named 'pyrealsense2'"), "pip install 'molmo-point[realsense]'"),
        (ImportError("libusb-1.0.so.0: cannot open"), "libusb-1.0-0"),
    ],
)
def test_a_missing_library_is_named_with_its_cure(monkeypatch, error, fix):
    real_import = builtins.__import__

    def refuse(name, *rest, **options):
        if name == "pyrealsense2":
            raise error
        return real_import(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DependencyError) as caught:
        RealSense()
    assert fix in caught.value.fix


def test_an_empty_installation_is_noticed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrealsense2", types.ModuleType("pyrealsense2"))
    with pytest.raises(DependencyError, match="empty"):
        RealSense()
