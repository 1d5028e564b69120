"""Over real DDS, camera and arm in this process and the pointing node in another: the right position of the right moment,
or none. The published messages are looked at, not only the action's result."""

import json
import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from box_scene import BOX_UV, FRAME, INTRINSICS, box_scene, box_truth_m, point_text  # noqa: E402
from dds_robot import (  # noqa: E402
    ANSWER_S,
    SPEED_M_S,
    base_T_camera,
    position_of,
    scripted_robot,
    until,
)
from molmo_point_msgs.msg import PointTarget  # noqa: E402
from molmo_point_ros.conversions import stamp_to_ns  # noqa: E402
from molmo_point_ros.nodes.goal_error import ErrorCode  # noqa: E402
from rclpy.serialization import serialize_message  # noqa: E402

from molmo_point.geometry.intrinsics import Intrinsics  # noqa: E402

pytestmark = [pytest.mark.ros, pytest.mark.timeout(240)]

LATE_S = 0.6
ROD_INTRINSICS = Intrinsics(320, 240, 300.0, 300.0, 159.5, 119.5)
ROD_M, ROD_WIDTH_M, BACKGROUND_M = 0.5, 0.015, 0.8
ROD_LEFT, ROD_PIXELS = 150, round(ROD_WIDTH_M * 300.0 / ROD_M)
BESIDE_ROD_UV = (ROD_LEFT + ROD_PIXELS + 1.0, 120.0)


def rod_scene():
    """A vertical rod, 1.5 cm thick, half a metre away, before a wall."""
    color = np.full((240, 320, 3), 120, np.uint8)
    depth = np.full((240, 320), BACKGROUND_M, np.float32)
    depth[:, ROD_LEFT : ROD_LEFT + ROD_PIXELS] = ROD_M
    return color, depth


@pytest.fixture(scope="module")
def robot(processes, tmp_path_factory):
    answers = {
        "the box": {"text": point_text(BOX_UV, "the box")},
        "the late box": {"text": point_text(BOX_UV, "the late box"), "seconds": LATE_S},
        "the rod": {"text": point_text(BESIDE_ROD_UV, "the rod", ROD_INTRINSICS)},
    }
    file = tmp_path_factory.mktemp("script") / "answers.json"
    file.write_text(json.dumps(answers), encoding="utf-8")
    with scripted_robot(processes, file) as robot:
        yield robot


@pytest.fixture
def usual_scene(robot):
    """Whatever a test changes at the camera is as before after it."""
    yield
    camera = robot.camera
    camera.change, camera.encoding, camera.intrinsics = None, "16UC1", INTRINSICS
    camera.color, camera.depth_m = box_scene()


def published(robot, array):
    """The point and the pose with the stamp of an answer."""
    heard = robot.heard
    until(lambda: heard.of(heard.points, array.header.stamp), ANSWER_S, robot.processes)
    until(lambda: heard.of(heard.poses, array.header.stamp), ANSWER_S, robot.processes)
    return heard.of(heard.points, array.header.stamp)[-1], heard.of(heard.poses, array.header.stamp)[-1]


def test_the_published_point_is_where_the_thing_was_at_the_capture_time(robot):
    """The camera slides at 0.2 m/s while the model thinks."""
    array = robot.ask("the late box", target_frame="base").results[0]
    ended_ns = time.time_ns()
    point, pose = published(robot, array)
    stamp_ns = stamp_to_ns(point.header.stamp)
    assert stamp_ns in robot.camera.stamps
    truth = base_T_camera(stamp_ns, robot.moving.start_ns).apply(box_truth_m(), FRAME)
    for header, position in ((point.header, point.point), (pose.header, pose.pose.pose.position)):
        assert header.frame_id == "base"
        assert np.linalg.norm([position.x, position.y, position.z] - truth) < 1e-3
    late = base_T_camera(ended_ns, robot.moving.start_ns).apply(box_truth_m(), FRAME)
    assert np.linalg.norm(late - truth) > 0.8 * SPEED_M_S * LATE_S, "the camera did not move enough for this to mean anything"


def test_camera_moved_is_refused_where_a_limit_is_set_and_nothing_is_published(robot):
    robot.set(max_camera_motion_m=0.05)
    known = len(robot.heard.points)
    error = robot.refusal("the late box", target_frame="base")
    assert error.code == ErrorCode.CAMERA_MOVED and "allowed 50.0 mm" in str(error)
    robot.set(max_camera_motion_m=5.0)
    published(robot, robot.ask("the late box", target_frame="base").results[0])
    robot.set(max_camera_motion_m=0.0)
    assert len(robot.heard.points) == known + 1, "a refused answer was published"


@pytest.mark.parametrize("nothing", [0.0, np.nan, np.inf, -np.inf])
def test_a_point_without_depth_is_never_published(robot, usual_scene, nothing):
    """Whatever the camera writes where it knows nothing: 0, NaN or infinities."""

    def spoil(color, depth, info):
        depth.data = np.full(depth.height * depth.width, nothing, np.float32).tobytes()

    robot.camera.encoding, robot.camera.change = "32FC1", spoil
    until_new_images(robot)
    array = robot.ask("the box").results[0]
    assert array.targets[0].depth_status == PointTarget.DEPTH_MISSING
    assert np.all(np.isnan(position_of(array.targets[0])))
    robot.camera.change = None
    until_new_images(robot)
    published(robot, robot.ask("the box").results[0])
    heard = robot.heard
    assert not heard.of(heard.points, array.header.stamp) and not heard.of(heard.poses, array.header.stamp)
    assert all(np.isfinite([m.point.x, m.point.y, m.point.z]).all() and m.point.z > 0.1 for m in heard.points)


def until_new_images(robot):
    """Wait until what the camera publishes has changed for certain."""
    count = len(robot.camera.stamps)
    until(lambda: len(robot.camera.stamps) >= count + 2, ANSWER_S, robot.processes)


def test_two_pixels_beside_a_thin_rod_is_the_rod_and_ambiguous(robot, usual_scene):
    robot.camera.intrinsics, (robot.camera.color, robot.camera.depth_m) = ROD_INTRINSICS, rod_scene()
    until_new_images(robot)
    array = robot.ask("the rod").results[0]
    (target,) = array.targets
    assert target.depth_status == PointTarget.DEPTH_AMBIGUOUS
    assert position_of(target)[2] == pytest.approx(ROD_M, abs=1e-3)
    assert target.alternate_depth == pytest.approx(BACKGROUND_M, abs=5e-3)
    point, _ = published(robot, array)
    assert point.point.z == pytest.approx(ROD_M, abs=1e-3), "the near surface is what is published"


def test_every_output_of_an_answer_says_the_same(robot):
    """Array, point and pose: stamp, frame, position and covariance to the last bit."""
    array = robot.ask("the box", target_frame="base").results[0]
    point, pose = published(robot, array)
    (target,) = array.targets
    (heard,) = robot.heard.of(robot.heard.arrays, array.header.stamp)
    # As bytes: NaN is not equal to itself.
    assert serialize_message(heard) == serialize_message(array), "the action's result is the array that is published"
    assert point.header == pose.header == array.header
    assert point.point == pose.pose.pose.position == target.position
    covariance = np.array(pose.pose.covariance).reshape(6, 6)
    np.testing.assert_array_equal(covariance[:3, :3].ravel(), target.position_covariance)
    assert np.all(np.linalg.eigvalsh(covariance[:3, :3]) > 0)
    np.testing.assert_array_equal(covariance[3:, 3:], np.eye(3) * np.pi**2)
    assert not covariance[:3, 3:].any() and not covariance[3:, :3].any()


def test_the_covariance_turns_with_the_frame(robot):
    """Along the camera's z in its own frame is along x in base: the same numbers in other places."""
    own = robot.ask("the box").results[0].targets[0]
    base = robot.ask("the box", target_frame="base").results[0].targets[0]
    turn = base_T_camera(0, 0).rotation
    expected = turn @ np.array(own.position_covariance).reshape(3, 3) @ turn.T
    np.testing.assert_allclose(np.array(base.position_covariance).reshape(3, 3), expected, rtol=1e-6, atol=1e-12)


def test_detections_mirror_the_array_where_vision_msgs_is_installed(robot):
    kinds = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed (no wheel of it)", exc_type=ImportError)
    received = []
    robot.node.create_subscription(kinds.Detection3DArray, "molmo_point/detections_3d", received.append, 10)
    until(lambda: robot.ask("the box") and received, ANSWER_S, robot.processes)
    detections = received[-1]
    (array,) = robot.heard.of(robot.heard.arrays, detections.header.stamp)
    assert detections.header == array.header
    for detection, target in zip(detections.detections, array.targets, strict=True):
        assert detection.results[0].pose.pose.position == target.position
        covariance = np.array(detection.results[0].pose.covariance).reshape(6, 6)[:3, :3]
        np.testing.assert_array_equal(covariance.ravel(), target.position_covariance)
