"""Over real DDS: transforms that contradict the camera's, and camera info that is only latched. No position is wrong."""

import json
import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from box_scene import BOX_UV, FRAME, INTRINSICS, box_truth_m, point_text  # noqa: E402
from dds_robot import ANSWER_S, base_T_camera, position_of, scripted_robot, until  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from molmo_point_ros.conversions import intrinsics_to_message, stamp_to_ns, transform_to_message  # noqa: E402
from molmo_point_ros.inputs.image_qos import LATCHED  # noqa: E402
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import CameraInfo  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from molmo_point.geometry.transforms import Transform  # noqa: E402

pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.timeout(400)]

MAX_AGE_S = 3.0
AWAY_M = np.array([9.0, 9.0, 9.0])
STATIC = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope="module")
def robot(processes, tmp_path_factory):
    file = tmp_path_factory.mktemp("script") / "answers.json"
    file.write_text(json.dumps({"the box": {"text": point_text(BOX_UV, "the box")}}), encoding="utf-8")
    with scripted_robot(processes, file, image_timeout_s=5.0, tf_timeout_s=1.0, tf_max_age_s=MAX_AGE_S) as robot:
        yield robot


def asked(robot):
    """True for the true position, the error for none; any other position fails the test."""
    try:
        (array,) = robot.client.point_at(["the box"], timeout_s=ANSWER_S, target_frame="base").results
    except GoalError as error:
        return error
    truth = base_T_camera(stamp_to_ns(array.header.stamp), robot.moving.start_ns).apply(box_truth_m(), FRAME)
    np.testing.assert_allclose(position_of(array.targets[0]), truth, atol=3e-3)
    return True


@pytest.fixture
def send(robot):
    """Sends transforms as a foreign node does, which has gone after the test."""
    publishers = {}

    def send(parent, child, static=False):
        topic, qos = ("/tf_static", STATIC) if static else ("/tf", 10)
        if topic not in publishers:
            publishers[topic] = robot.node.create_publisher(TFMessage, topic, qos)
            until(lambda: publishers[topic].get_subscription_count() > 0, ANSWER_S, robot.processes)
            time.sleep(0.5)
        pose = Transform(parent, child, np.eye(3), AWAY_M)
        publishers[topic].publish(TFMessage(transforms=[transform_to_message(pose, time.time_ns())]))

    until(lambda: asked(robot) is True, ANSWER_S, robot.processes)
    yield send
    for publisher in publishers.values():
        robot.node.destroy_publisher(publisher)
    until(lambda: asked(robot) is True, ANSWER_S, robot.processes)


@pytest.mark.parametrize(
    ("parent", "child"), [("other", FRAME), ("base", FRAME), (FRAME, "base")], ids=["second parent", "other pose", "inverse"]
)
@pytest.mark.parametrize("static", [False, True], ids=["moving", "static"])
def test_a_foreign_transform_is_never_used_and_blocks_nothing_for_ever(robot, send, parent, child, static):
    for _ in range(6):
        send(parent, child, static)
        outcome = asked(robot)
        assert outcome is True or outcome.code == ErrorCode.TF_ERROR, outcome
    # `send` waits for the true position once its node has gone.


def test_camera_info_that_was_latched_before_the_node_came_up_is_used(robot):
    class Silent:
        def publish(self, message):
            pass

    robot.transition(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
    spoken = robot.camera._publishers[2]
    robot.camera._publishers[2] = Silent()
    latched = robot.node.create_publisher(CameraInfo, "color/camera_info", LATCHED)
    latched.publish(intrinsics_to_message(INTRINSICS, FRAME, time.time_ns()))
    try:
        robot.transition(Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
        until(lambda: asked(robot) is True, ANSWER_S, robot.processes)
    finally:
        robot.node.destroy_publisher(latched)
        robot.camera._publishers[2] = spoken
