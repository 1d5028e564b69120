"""Recordings of ROS 2: written as MCAP, replayed as a camera, and told apart from what is none."""

import array
import dataclasses
import re
import signal
import sys

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)
rosbag2 = pytest.importorskip("rosbags.rosbag2", reason="rosbags is not installed: pip install 'molmo-point[bag]'")

from box_scene import FRAME, INTRINSICS, box_scene  # noqa: E402
from dds_robot import START_S, until  # noqa: E402
from molmo_point_msgs.msg import PointTarget, PointTargetArray  # noqa: E402
from molmo_point_ros.conversions import frame_to_messages, stamp_to_ns, transform_to_message  # noqa: E402
from molmo_point_ros.inputs.bag_camera import BagCamera  # noqa: E402
from molmo_point_ros.outputs.topic_recorder import BagWriter, typestore  # noqa: E402
from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402
from sensor_msgs.msg import CameraInfo  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from molmo_point.camera.registry import open_camera  # noqa: E402
from molmo_point.errors import CameraError, DependencyError, InputError  # noqa: E402
from molmo_point.frame import RgbdFrame  # noqa: E402
from molmo_point.geometry.transforms import Transform  # noqa: E402

pytestmark = [pytest.mark.ros, pytest.mark.timeout(240)]

START_NS, STEP_NS, COUNT = 1_700_000_000_000_000_000, 50_000_000, 5
TOPICS = ("/cam/color/image_raw", "/cam/aligned_depth_to_color/image_raw", "/cam/color/camera_info")


def scene_frame(number):
    color, depth = box_scene()
    color[0, 0] = number
    return RgbdFrame(color, depth, INTRINSICS, START_NS + number * STEP_NS, FRAME)


def stream(count=COUNT):
    """Topic, type, time of recording and serialized message of everything in a recording."""
    pose = Transform("base", FRAME, np.eye(3), np.array([0.1, 0.2, 0.3]))
    kinds = ("sensor_msgs/msg/Image", "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo")
    yield "/tf_static", "tf2_msgs/msg/TFMessage", START_NS, TFMessage(transforms=[transform_to_message(pose, START_NS)])
    for number in range(count):
        frame = scene_frame(number)
        log_ns = frame.stamp_ns + 3_000_000
        tf = TFMessage(transforms=[transform_to_message(pose, frame.stamp_ns)])
        yield "/tf", "tf2_msgs/msg/TFMessage", log_ns, tf
        for topic, kind, message in zip(TOPICS, kinds, frame_to_messages(frame), strict=True):
            yield topic, kind, log_ns, message


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp("bags") / "run"
    writer = BagWriter(path)
    for topic, kind, log_ns, message in stream():
        writer.write(topic, kind, log_ns, serialize_message(message))
    array = PointTargetArray(query="mug", targets=[PointTarget(label="mug", gate=PointTarget.GATE_AGE, reason="old")])
    writer.write("/molmo_point/targets", "molmo_point_msgs/msg/PointTargetArray", START_NS, serialize_message(array))
    writer.close()
    assert (writer.written, writer.dropped) == (4 * COUNT + 2, 0)
    return path


def check_frames(camera):
    for number in range(COUNT):
        frame, expected = camera.read(), scene_frame(number)
        np.testing.assert_array_equal(frame.color, expected.color)
        np.testing.assert_allclose(frame.depth_m, expected.depth_m, atol=5e-4)
        assert (frame.stamp_ns, frame.frame, frame.intrinsics) == (expected.stamp_ns, FRAME, INTRINSICS)


def test_what_was_written_comes_back_as_frames(bag):
    assert {path.name for path in bag.iterdir()} == {"metadata.yaml", "run.mcap"}
    assert [path.name for path in bag.parent.iterdir()] == ["run"], "nothing half-written stays"
    with BagCamera(bag, loop=False, realtime=False) as camera:
        check_frames(camera)
        with pytest.raises(CameraError, match="at its end"):
            camera.read()
    with pytest.raises(CameraError, match="closed"):
        camera.read()


def test_a_single_mcap_file_will_do(bag):
    (file,) = bag.glob("*.mcap")
    with BagCamera(file, loop=False, realtime=False) as camera:
        check_frames(camera)


def test_sqlite_will_do(tmp_path):
    store, connections = typestore(), {}
    with rosbag2.Writer(tmp_path / "old", version=8, storage_plugin=rosbag2.StoragePlugin.SQLITE3) as writer:
        for topic, kind, log_ns, message in stream():
            connections[topic] = connections.get(topic) or writer.add_connection(topic, kind, typestore=store)
            writer.write(connections[topic], log_ns, serialize_message(message))
    with BagCamera(tmp_path / "old", loop=False, realtime=False) as camera:
        check_frames(camera)


def test_our_messages_are_in_it_with_their_definition(bag):
    with rosbag2.Reader(bag) as reader:
        (connection,) = [each for each in reader.connections if each.topic == "/molmo_point/targets"]
        assert "uint8 GATE_AGE=4" in connection.msgdef.data
        ((_, _, raw),) = list(reader.messages([connection]))
    array = deserialize_message(raw, PointTargetArray)
    assert array.query == "mug" and array.targets[0].reason == "old"


def test_transforms_are_handed_on_with_the_time_of_the_frames(bag):
    heard = []
    now_ns = 2_000_000_000_000_000_000
    take = lambda message, static: heard.append((stamp_to_ns(message.transforms[0].header.stamp), static))  # noqa: E731
    with BagCamera(bag, loop=False, realtime=False, on_transforms=take).stamped_by(lambda: now_ns) as camera:
        stamps = [camera.read().stamp_ns for _ in range(COUNT)]
    assert np.diff(stamps).tolist() == [STEP_NS] * (COUNT - 1)
    assert abs(stamps[0] - now_ns) < 10_000_000
    assert [stamp for stamp, static in heard if not static] == stamps
    assert [static for _, static in heard].count(True) == 1


def test_the_registry_opens_a_bag_by_its_path(bag):
    (file,) = bag.glob("*.mcap")
    for text in (f"bag:{bag}?realtime=false", f"{file}?loop=false&realtime=no"):
        with open_camera(text) as camera:
            assert isinstance(camera, BagCamera) and camera.read().stamp_ns == START_NS


def test_rounds_go_on_in_time(bag):
    with BagCamera(bag, realtime=False) as camera:
        stamps = [camera.read().stamp_ns for _ in range(2 * COUNT)]
    assert stamps == sorted(set(stamps)) and stamps[COUNT] > stamps[COUNT - 1]


def test_frames_come_when_they_are_due(bag):
    with BagCamera(bag, loop=False) as camera:
        camera.read()
        with pytest.raises(CameraError, match="in time"):
            camera.read(timeout_s=0.001)
        assert camera.read().stamp_ns == START_NS + STEP_NS, "what was not due is not lost"


def test_topics_that_are_not_clear_or_not_there_are_said(bag):
    with pytest.raises(InputError, match=r"color_topic must be.*'/nowhere'.*camera_info.*bag_color_topic"):
        BagCamera(bag, color_topic="/nowhere")
    with BagCamera(bag, color_topic=TOPICS[0], depth_topic=TOPICS[1], info_topic=TOPICS[2], realtime=False) as camera:
        assert camera.read().depth_m is not None


def test_what_is_no_recording_is_refused(tmp_path):
    (tmp_path / "noise.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(range(256)) * 10)
    for path in (tmp_path / "nowhere", tmp_path / "noise.mcap", tmp_path):
        with pytest.raises(InputError, match="must hold a recording of ROS 2"):
            BagCamera(path)


def test_nothing_is_overwritten(bag):
    with pytest.raises(InputError, match="overwrite"):
        BagWriter(bag)


def test_without_rosbags_it_says_what_to_install(bag, monkeypatch):
    monkeypatch.setitem(sys.modules, "rosbags.rosbag2", None)
    with pytest.raises(DependencyError, match=r"molmo-point\[bag\]"):
        BagCamera(bag)


def test_the_recorder_and_the_camera_node_over_dds(processes, record_scene, tmp_path):
    """A recording of our camera node's images, replayed by another camera node, with the pose of the camera."""
    processes.start("camera_node", parameters={"camera": "recording", "recording": str(record_scene())})
    recorder, output = processes.start("bag_recorder", parameters={"output": str(tmp_path / "run")})
    rclpy.init()
    node = rclpy.create_node("watcher")
    infos, transforms = [], []
    node.create_subscription(CameraInfo, "replayed/color/camera_info", infos.append, 10)
    node.create_subscription(TFMessage, "/tf", transforms.append, 10)
    mcap = tmp_path / ".run.partial" / "run" / "run.mcap"

    def spinning(condition):
        def check():
            rclpy.spin_once(node, timeout_sec=0.02)
            return condition()

        return check

    try:
        until(mcap.exists, START_S, processes)
        until(spinning(lambda: mcap.stat().st_size > 1_000_000), START_S, processes)
        recorder.send_signal(signal.SIGINT)
        assert recorder.wait(30) == 0, processes.output()
        assert "messages, 0 dropped" in output.read_text()
        with BagCamera(tmp_path / "run", loop=False, realtime=False) as camera:
            frame = camera.read()
        np.testing.assert_array_equal(frame.color, box_scene()[0])
        processes.start("camera_node", parameters={"camera": "bag", "bag": str(tmp_path / "run")}, namespace="/replayed")
        until(spinning(lambda: len(infos) > 5), START_S, processes)
        assert infos[0].k[0] == INTRINSICS.fx and infos[0].header.frame_id == FRAME
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


C, D, K = TOPICS


def recording(path, *, infos=None, units=1.0, depth_late_ns=0, topics=TOPICS, change=lambda info: None):
    """A bag of five frames.

    `infos`: numbers of the frames with a camera info; `units`: factor of the 16-bit depth; `change` edits every info.
    """
    writer = BagWriter(path)
    for number in range(COUNT):
        frame = scene_frame(number)
        frame = dataclasses.replace(frame, depth_stamp_ns=frame.stamp_ns + depth_late_ns)
        for topic, message in zip(topics, frame_to_messages(frame), strict=True):
            if isinstance(message, CameraInfo):
                if infos is not None and number not in infos:
                    continue
                change(message)
            elif message.encoding == "16UC1" and units != 1.0:
                pixels = (np.frombuffer(message.data, np.uint16) * units).astype(np.uint16)
                message.data = array.array("B", pixels.tobytes())
            kind = "sensor_msgs/msg/" + type(message).__name__
            writer.write(topic, kind, frame.stamp_ns + 3_000_000, serialize_message(message))
    writer.close()
    return path


def read_all(path, **options):
    with BagCamera(path, loop=False, realtime=False, **options) as camera:
        return [camera.read() for _ in range(COUNT)]


def no_stamp(info):
    info.header.stamp.sec = info.header.stamp.nanosec = 0


@pytest.mark.parametrize(
    "made",
    [
        {"infos": [0]},
        {"infos": [4]},
        {"infos": [1, 3]},
        {"change": no_stamp},
        {"infos": [2], "change": no_stamp},
        {"topics": (C, D, "/elsewhere/info")},
        {"topics": ("/device_0/Color_0/image/data", "/device_0/Depth_0/image/data", "/device_0/Color_0/info/camera_info")},
    ],
)
def test_camera_info_that_comes_once_rarely_without_stamp_or_elsewhere_holds_for_every_image(tmp_path, made):
    frames = read_all(recording(tmp_path / "run", **made))
    assert [frame.stamp_ns for frame in frames] == [scene_frame(number).stamp_ns for number in range(COUNT)]
    assert all(frame.intrinsics == INTRINSICS and frame.depth_m is not None for frame in frames)


def test_the_unit_of_depth_and_the_skew_are_options(tmp_path):
    thin = recording(tmp_path / "thin", units=10.0)
    np.testing.assert_allclose(read_all(thin, depth_unit_m=1e-4)[0].depth_m, scene_frame(0).depth_m, atol=5e-4)
    late = recording(tmp_path / "late", depth_late_ns=20_000_000)
    assert read_all(late, max_skew_s=0.03)[0].skew_s == pytest.approx(0.02)


def test_rectified_images_of_a_recording_use_p(tmp_path):
    def lens(info):
        info.d = [-0.3, 0.1, 0.0, 0.0, 0.0]
        info.p[0] = info.p[5] = 120.0

    frames = read_all(recording(tmp_path / "run", change=lens), rectified=True)
    assert (frames[0].intrinsics.fx, frames[0].intrinsics.distortion_model) == (120.0, "none")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"depth_late_ns": 20_000_000}, r"aligned_depth_to_color/image_raw \+20.0 ms .*max_skew_s"),
        ({"depth_late_ns": -START_NS}, "aligned_depth_to_color/image_raw: . without a stamp"),
    ],
)
@pytest.mark.parametrize("loop", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_depth_of_another_moment_ends_the_wait_with_the_topic(tmp_path, made, words, loop):
    path = recording(tmp_path / "run", **made)
    with BagCamera(path, loop=loop, realtime=False) as camera, pytest.raises(CameraError, match=words):
        camera.read(timeout_s=30.0)
    with BagCamera(path, loop=loop) as camera:
        told = []
        for _ in range(4):
            with pytest.raises(CameraError) as caught:
                camera.read(timeout_s=0.2)
            told.append(str(caught.value))
    assert re.search(words, told[-1]), told


def test_depth_without_camera_info_is_refused_and_can_be_declined(tmp_path):
    path = recording(tmp_path / "run", infos=[])
    with pytest.raises(InputError, match=f"camera info of its color images.*{C}, depth {D}.*depth_topic to none"):
        BagCamera(path)
    assert all(frame.depth_m is None for frame in read_all(path, depth_topic="none"))


def test_a_bag_of_ros_1_is_read(tmp_path):
    """Color, 16-bit depth and camera info of ROS 1 are those of ROS 2 in another form."""
    rosbag1, typesys = pytest.importorskip("rosbags.rosbag1"), pytest.importorskip("rosbags.typesys")
    store = typesys.get_typestore(typesys.Stores.ROS1_NOETIC)
    types = store.types
    color = np.random.default_rng(1).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    depth = np.full((48, 64), 900, np.uint16)
    with rosbag1.Writer(tmp_path / "run.bag") as bag:
        topics = {"/c/image_raw": "Image", "/aligned_depth_to_color/image_raw": "Image", "/c/camera_info": "CameraInfo"}
        kinds = {topic: f"sensor_msgs/msg/{kind}" for topic, kind in topics.items()}
        connections = {topic: bag.add_connection(topic, kind, typestore=store) for topic, kind in kinds.items()}
        for number in range(3):
            stamp = types["builtin_interfaces/msg/Time"](sec=5, nanosec=number * 30_000_000)
            header = types["std_msgs/msg/Header"](seq=number, stamp=stamp, frame_id="c")
            sides = {"header": header, "height": 48, "width": 64}
            region = types["sensor_msgs/msg/RegionOfInterest"](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
            k, p = [60.0, 0, 31.5, 0, 60, 23.5, 0, 0, 1], [60.0, 0, 31.5, 0, 0, 60, 23.5, 0, 0, 0, 1, 0]
            image, info = types[kinds["/c/image_raw"]], types[kinds["/c/camera_info"]]
            messages = (
                image(**sides, encoding="rgb8", is_bigendian=0, step=192, data=color.ravel()),
                image(**sides, encoding="mono16", is_bigendian=0, step=128, data=depth.view(np.uint8).ravel()),
                info(**sides, distortion_model="plumb_bob", D=np.zeros(5), K=np.array(k), R=np.eye(3).ravel(), P=np.array(p),
                     binning_x=0, binning_y=0, roi=region),
            )  # fmt: skip
            for (topic, kind), message in zip(kinds.items(), messages, strict=True):
                bag.write(connections[topic], 5_000_000_000 + number * 30_000_000, store.serialize_ros1(message, kind))
    with BagCamera(tmp_path / "run.bag", realtime=False, loop=False) as camera:
        frames = [camera.read() for _ in range(3)]
    np.testing.assert_array_equal(frames[0].color, color)
    np.testing.assert_allclose(frames[2].depth_m, 0.9)
    assert (frames[1].stamp_ns, frames[1].intrinsics.fx, frames[1].frame) == (5_030_000_000, 60.0, "c")


def test_depth_with_the_camera_info_of_another_camera_is_doubted(tmp_path):
    writer = BagWriter(tmp_path / "own")
    for topic, kind, log_ns, message in stream(2):
        writer.write(topic, kind, log_ns, serialize_message(message))
        if topic == TOPICS[2]:
            message.k[0] *= 0.7
            writer.write("/cam/aligned_depth_to_color/camera_info", kind, log_ns, serialize_message(message))
    writer.close()
    with BagCamera(tmp_path / "own", loop=False, realtime=False) as camera:
        assert "its own camera info" in camera.read().depth_doubt
