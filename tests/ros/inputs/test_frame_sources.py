"""Images in, frames out, without DDS: what is joined, what is kept, what is refused, and the clock that steps back."""

import types

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from box_scene import FRAME, INTRINSICS, box_scene  # noqa: E402
from molmo_point_ros.conversions import frame_to_messages, stamp_from_ns  # noqa: E402
from molmo_point_ros.inputs import camera_source, topic_source  # noqa: E402
from molmo_point_ros.inputs.qos_events import input_events  # noqa: E402
from molmo_point_ros.nodes import parameters  # noqa: E402
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSPolicyKind  # noqa: E402

from molmo_point.errors import DependencyError  # noqa: E402
from molmo_point.frame import RgbdFrame  # noqa: E402

pytestmark = pytest.mark.ros

SECOND_NS = 1_000_000_000
TOPICS = ("color/image_raw", "depth/image_raw", "color/camera_info")


class FakeNode:
    """Keeps the callbacks of subscriptions, and what is logged."""

    def __init__(self):
        self.takers, self.logged, self.durable, self.ended = {}, [], [], 0

    def create_subscription(self, kind, topic, taker, qos, **options):
        self.takers[topic] = taker
        self.durable += [topic] if qos.durability == DurabilityPolicy.TRANSIENT_LOCAL else []
        return types.SimpleNamespace(topic_name=f"/{topic}", kind=kind)

    def destroy_subscription(self, subscription):
        self.ended += 1

    def count_publishers(self, topic):
        return 0

    def topics_like(self, topic):
        return [f"/other{topic}"]

    def get_logger(self):
        return types.SimpleNamespace(warning=lambda text, **_: self.logged.append(text))


def messages(stamp_ns, skew_s=0.0):
    color, depth = box_scene()
    return frame_to_messages(RgbdFrame(color, depth, INTRINSICS, stamp_ns, FRAME, stamp_ns + round(skew_s * 1e9)))


def source_of(**values):
    node = FakeNode()
    return node, topic_source.TopicSource(node, parameters.PointingNodeParameters(**values))


def give(node, stamp_ns, skew_s=0.0):
    color, depth, info = messages(stamp_ns, skew_s)
    node.takers["color/camera_info"](info)
    node.takers["depth/image_raw"](depth)
    node.takers["color/image_raw"](color)


def never():
    return False


def test_the_newest_of_several_wins_and_each_is_given_once():
    node, source = source_of()
    for number in (1, 2, 3):
        give(node, number * SECOND_NS)
    frame = source.newer(0, 0.0, never)
    assert frame.stamp_ns == 3 * SECOND_NS and source.received() == 3
    assert source.newer(frame.stamp_ns, 0.0, never) is None
    give(node, 4 * SECOND_NS)
    assert source.newer(frame.stamp_ns, 0.0, never).stamp_ns == 4 * SECOND_NS


def test_frames_come_back_by_their_stamp():
    node, source = source_of()
    for number in (1, 2, 3):
        give(node, number * SECOND_NS)
    assert source.at(2 * SECOND_NS).stamp_ns == 2 * SECOND_NS
    assert source.at(2 * SECOND_NS + 1) is None


def test_a_clock_that_steps_back_goes_on_and_one_swapped_image_does_not_count():
    node, source = source_of()
    give(node, 100 * SECOND_NS)
    give(node, 100 * SECOND_NS - 30_000_000)
    assert source.newer(100 * SECOND_NS, 0.0, never) is None
    give(node, 40 * SECOND_NS)
    assert source.newer(100 * SECOND_NS, 0.0, never).stamp_ns == 40 * SECOND_NS


def test_depth_of_another_moment_is_no_frame_and_is_counted():
    node, source = source_of()
    for number in range(20):
        give(node, number * SECOND_NS + 1, skew_s=0.2)
    assert source.newer(0, 0.0, never) is None
    assert source.dropped()["color images without partners"] == 8
    with pytest.raises(GoalError, match=r"200\.0 ms") as caught:
        source.frame(0, 0.0, never)
    assert caught.value.code == ErrorCode.SYNC_ERROR


def test_an_image_that_is_too_large_is_refused_undecoded():
    node, source = source_of(max_image_px=160 * 120 - 1)
    give(node, SECOND_NS)
    with pytest.raises(GoalError, match="at most 19199 pixels"):
        source.newer(0, 0.0, never)


def test_rgbd_is_one_message_of_one_capture(monkeypatch):
    monkeypatch.setattr(topic_source, "import_rgbd", lambda: "RGBD")
    node, source = source_of(rgbd=True)
    assert set(node.takers) == {"rgbd"}
    color, depth, info = messages(SECOND_NS)
    node.takers["rgbd"](types.SimpleNamespace(rgb=color, depth=depth, rgb_camera_info=info, depth_camera_info=info))
    frame = source.newer(0, 0.0, never)
    np.testing.assert_array_equal(frame.color, box_scene()[0])
    assert frame.intrinsics == INTRINSICS and source.received() == 1
    assert np.isnan(frame.depth_m).mean() == np.isnan(box_scene()[1]).mean()


def test_rgbd_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "realsense2_camera_msgs", None)
    monkeypatch.setitem(__import__("sys").modules, "realsense2_camera_msgs.msg", None)
    with pytest.raises(DependencyError, match="realsense2-camera-msgs"):
        source_of(rgbd=True)


def test_incompatible_qos_is_said_with_what_to_do():
    node, counted = FakeNode(), []
    events = input_events(node, "color/image_raw", lambda: counted.append(1))
    events.incompatible_qos(types.SimpleNamespace(last_policy_kind=QoSPolicyKind.RELIABILITY))
    (text,) = node.logged
    assert "color/image_raw" in text and "RELIABILITY" in text and "set the parameter reliable to false" in text
    assert counted == [1]


@pytest.mark.parametrize(
    ("left_out", "code", "name"),
    [("color/camera_info", ErrorCode.NO_DEPTH, "camera info"), ("depth/image_raw", ErrorCode.NO_DEPTH, "depth image")],
)
def test_a_topic_that_stays_silent_is_named_with_those_seen_instead(left_out, code, name):
    node, source = source_of()
    for topic, message in zip(TOPICS, messages(SECOND_NS), strict=True):
        if topic != left_out:
            node.takers[topic](message)
    with pytest.raises(GoalError, match=f"No {name}.*/{left_out} with 0 publishers.*seen instead: /other/{left_out}") as caught:
        source.frame(0, 0.0, never)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("left_out", "transport", "fix"),
    [
        ("color/image_raw", "compressed", "parameter compressed"),
        ("depth/image_raw", "compressedDepth", "republish compressedDepth raw"),
    ],
)
def test_images_that_are_only_compressed_are_named_with_the_remedy(left_out, transport, fix):
    node, source = source_of()
    node.topics_like = lambda topic: [f"{topic}/{transport}"]
    for topic, message in zip(TOPICS, messages(SECOND_NS), strict=True):
        if topic != left_out:
            node.takers[topic](message)
    with pytest.raises(GoalError, match=f"seen instead: .*{left_out}/{transport}.*{fix}"):
        source.frame(0, 0.0, never)


@pytest.mark.parametrize("stamp_ns", [0, 1, 50 * SECOND_NS])
def test_camera_info_once_is_enough(stamp_ns):
    node, source = source_of()
    info = messages(SECOND_NS)[2]
    info.header.stamp = stamp_from_ns(stamp_ns)
    node.takers["color/camera_info"](info)
    for number in (20, 21, 22):
        color, depth, _ = messages(number * SECOND_NS)
        node.takers["depth/image_raw"](depth)
        node.takers["color/image_raw"](color)
        assert source.newer((number - 1) * SECOND_NS, 0.0, never).intrinsics == INTRINSICS


def test_camera_info_is_also_heard_from_a_publisher_that_latches_it():
    node, source = source_of()
    assert node.durable == ["color/camera_info"]
    source.close()
    assert node.ended == 5


def test_camera_infos_of_a_zooming_camera_that_have_no_stamp_are_an_error():
    node, source = source_of()
    for number in (1, 2, 3):
        color, depth, info = messages(number * SECOND_NS)
        info.header.stamp, info.k[0] = stamp_from_ns(0), 100.0 + number
        for topic, message in zip(TOPICS, (color, depth, info), strict=True):
            node.takers[topic](message)
    with pytest.raises(GoalError, match=r"camera info .inf ms") as caught:
        source.frame(0, 0.0, never)
    assert caught.value.code == ErrorCode.SYNC_ERROR


def test_a_camera_of_the_node_gives_no_depth_without_use_depth(monkeypatch):
    monkeypatch.setattr(camera_source, "camera_reader", lambda *_: types.SimpleNamespace(start=lambda: None, pose=None))
    for use_depth in (True, False):
        source = camera_source.CameraSource(
            FakeNode(), parameters.PointingNodeParameters(camera="simulated", use_depth=use_depth)
        )
        color, depth = box_scene()
        source._take(RgbdFrame(color, depth, INTRINSICS, SECOND_NS, FRAME))
        assert (source.frame(0, 0.0, never).depth_m is not None) == use_depth


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_the_turn_of_the_parameter_changes_only_what_the_model_sees(rotate, monkeypatch):
    node, source = source_of(rotate=rotate)
    give(node, SECOND_NS)
    monkeypatch.setattr(camera_source, "camera_reader", lambda *_: types.SimpleNamespace(start=lambda: None, pose=None))
    own = camera_source.CameraSource(FakeNode(), parameters.PointingNodeParameters(camera="simulated", rotate=rotate))
    color, depth = box_scene()
    own._take(RgbdFrame(color, depth, INTRINSICS, SECOND_NS, FRAME))
    for frame in (source.newer(0, 0.0, never), own.frame(0, 0.0, never)):
        np.testing.assert_array_equal(frame.upright_color, np.rot90(color, -rotate // 90))
        np.testing.assert_array_equal(frame.color, color)
        assert frame.intrinsics == INTRINSICS and frame.depth_m.shape == depth.shape


@pytest.mark.parametrize(("encoding", "factor"), [("16UC1", 10), ("32FC1", 1000)])
def test_depth_of_an_implausible_scale_is_questioned_once(encoding, factor):
    node, source = source_of()
    for number in (1, 2):
        color, depth = box_scene()
        frame = RgbdFrame(color, depth * np.float32(factor), INTRINSICS, number * SECOND_NS, FRAME)
        color, depth, info = frame_to_messages(frame, depth_encoding=encoding)
        for topic, message in zip(TOPICS, (color, depth, info), strict=True):
            node.takers[topic](message)
        source.newer(0, 0.0, never)
    (question,) = node.logged
    assert "depth in the right unit" in question and "depth_unit_m" in question


def test_depth_as_it_should_be_is_not_questioned():
    node, source = source_of()
    give(node, SECOND_NS)
    source.newer(0, 0.0, never)
    assert not node.logged


def test_the_camera_info_next_to_the_depth_images_is_compared():
    node, source = source_of()
    give(node, SECOND_NS)
    assert source.newer(0, 0.0, never).depth_doubt is None
    info = messages(SECOND_NS)[2]
    node.takers["/depth/camera_info"](info)
    give(node, 2 * SECOND_NS)
    assert source.newer(SECOND_NS, 0.0, never).depth_doubt is None
    info.k[0] *= 1.2
    node.takers["/depth/camera_info"](info)
    give(node, 3 * SECOND_NS)
    assert "its own camera info has fx" in source.newer(2 * SECOND_NS, 0.0, never).depth_doubt
    source.close()
    assert node.ended == len(node.takers) + 1


def test_without_depth_no_camera_info_is_compared():
    node, _ = source_of(use_depth=False)
    assert list(node.takers) == ["color/image_raw"]
