"""A recording that librealsense wrote replays its frames; what is none is refused."""

import time
from pathlib import Path

import numpy as np
import pytest

from molmo_point import open_camera
from molmo_point.camera.bag_magic import is_realsense_bag, is_ros1_bag
from molmo_point.camera.replay import ReplayEnded
from molmo_point.errors import InputError

rs = pytest.importorskip("pyrealsense2", exc_type=ImportError)
COUNT = 8


def stream(kind, uid: int, form, bpp: int):
    found = rs.video_stream()
    found.type, found.index, found.uid, found.width, found.height, found.fps = kind, 0, uid, 64, 48, 30
    found.bpp, found.fmt = bpp, form
    lens = rs.intrinsics()
    lens.width, lens.height, lens.ppx, lens.ppy, lens.fx, lens.fy = 64, 48, 31.5, 23.5, 60.0, 60.0
    lens.model, lens.coeffs = rs.distortion.brown_conrady, [0.0] * 5
    found.intrinsics = lens
    return found


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of a software device, by the recorder of librealsense itself."""
    folder = tmp_path_factory.mktemp("realsense")
    device = rs.software_device()
    device.register_info(rs.camera_info.name, "software device")
    sensors = [device.add_sensor(name) for name in ("Depth", "Color")]
    kinds = ((rs.stream.depth, rs.format.z16, 2), (rs.stream.color, rs.format.rgb8, 3))
    profiles = [
        sensor.add_video_stream(stream(kind, uid, form, bpp))
        for uid, (sensor, (kind, form, bpp)) in enumerate(zip(sensors, kinds, strict=True))
    ]
    here = rs.extrinsics()
    here.rotation, here.translation = np.eye(3).ravel().tolist(), [0.0] * 3
    profiles[0].register_extrinsics_to(profiles[1], here)
    profiles[1].register_extrinsics_to(profiles[0], here)
    sensors[0].add_read_only_option(rs.option.depth_units, 0.001)
    for name in ("run.bag", "run.db3"):
        try:
            recorder = rs.recorder(str(folder / name), device)
            break
        except RuntimeError:
            continue
    queue = rs.frame_queue(50)
    for sensor in recorder.query_sensors():
        sensor.open(sensor.get_stream_profiles()[0])
        sensor.start(queue)
    for number in range(COUNT):
        depth = np.full((48, 64), 700 + number, np.uint16)
        color = np.full((48, 64, 3), (200, 10 + number, 30), np.uint8)
        for sensor, profile, pixels in zip(sensors, profiles, (depth, color), strict=True):
            frame = rs.software_video_frame()
            frame.stride, frame.bpp = pixels.strides[0], pixels.strides[1]
            frame.timestamp, frame.domain, frame.frame_number = 1000.0 + 33 * number, rs.timestamp_domain.system_time, number
            frame.profile, frame.pixels = profile.as_video_stream_profile(), pixels
            if pixels is depth:
                frame.depth_units = 0.001
            sensor.on_video_frame(frame)
        time.sleep(0.05)
    for sensor in recorder.query_sensors():
        sensor.stop()
        sensor.close()
    # The recorder writes in a thread of its own.
    time.sleep(0.3)
    del recorder
    return next(folder.iterdir())


def test_frames_are_those_that_were_recorded(recorded: Path) -> None:
    with open_camera(f"realsense_bag:{recorded}?rotate=90") as camera:
        frames = [camera.read()]
        with pytest.raises(ReplayEnded):
            while len(frames) < 20:
                frames.append(camera.read(timeout_s=1.0))
        assert camera.replays
    assert [frame.depth_stamp_ns for frame in frames] == [frame.stamp_ns for frame in frames]
    assert {frame.stamp_ns for frame in frames} <= {(1000 + 33 * number) * 1_000_000 for number in range(COUNT)}
    first = frames[-1]
    number = int(first.color[0, 0, 1]) - 10
    known = first.depth_m[np.isfinite(first.depth_m)]
    assert known.size > 0.9 * first.depth_m.size
    np.testing.assert_allclose(known, 0.7 + number * 0.001, rtol=1e-6)
    assert (first.color == (200, 10 + number, 30)).all() and first.rotate_deg == 90
    assert (first.intrinsics.fx, first.intrinsics.cx) == (60.0, 31.5)
    assert first.stamp_ns == (1000 + 33 * number) * 1_000_000


def test_a_recording_is_told_by_its_content(recorded: Path, tmp_path: Path) -> None:
    assert is_realsense_bag(recorded)
    rosbag1 = pytest.importorskip("rosbags.rosbag1")
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    with rosbag1.Writer(tmp_path / "ros.bag") as bag:
        topic = bag.add_connection("/chatter", "std_msgs/msg/String", typestore=store)
        bag.write(topic, 5, store.serialize_ros1(store.types["std_msgs/msg/String"]("x"), "std_msgs/msg/String"))
    assert is_ros1_bag(tmp_path / "ros.bag") and not is_realsense_bag(tmp_path / "ros.bag")
    with rosbag1.Writer(tmp_path / "device.bag") as bag:
        topic = bag.add_connection("/device_0/sensor_0/Depth_0/image/data", "std_msgs/msg/String", typestore=store)
        bag.write(topic, 5, store.serialize_ros1(store.types["std_msgs/msg/String"]("x"), "std_msgs/msg/String"))
    assert is_realsense_bag(tmp_path / "device.bag")
    for path in (tmp_path / "ros.bag", tmp_path / "missing.bag"):
        with pytest.raises(InputError, match="recording of librealsense"):
            open_camera(path)
