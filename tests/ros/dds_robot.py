"""What the tests over DDS share on this process's side: a camera whose every message can be spoilt, a moving arm, a client.

Imports rclpy: test modules import this after their own check that it is there.
"""

import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rclpy
from box_scene import INTRINSICS, box_scene
from geometry_msgs.msg import PointStamped, PoseWithCovarianceStamped
from lifecycle_msgs.srv import ChangeState
from molmo_point_msgs.action import PointAt
from molmo_point_msgs.msg import PointTargetArray
from molmo_point_ros.clients.point_client import PointAtClient
from molmo_point_ros.conversions import frame_to_messages, stamp_to_ns, transform_to_message
from molmo_point_ros.inputs.image_qos import image_qos
from molmo_point_ros.nodes.goal_error import GoalError, code_name
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform

SCRIPTED_NODE = Path(__file__).with_name("scripted_node.py")
START_S = 90.0
ANSWER_S = 40.0
SPEED_M_S = 0.2


def until(condition, timeout_s, processes):
    """Wait for something that another process does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s} s in vain\n{processes.output()}")
        time.sleep(0.02)


def until_generating(call, robot):
    """Wait until the model writes."""
    until(lambda: any(f.state == PointAt.Feedback.GENERATING for f in call.feedback), ANSWER_S, robot.processes)


def position_of(target):
    """Position of a PointTarget (3,), metres."""
    return np.array([target.position.x, target.position.y, target.position.z])


def base_T_camera(stamp_ns, start_ns, frame="camera_color_optical_frame"):
    """A camera that turns towards the floor and slides along x at 0.2 m/s."""
    rotation = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    return Transform("base", frame, rotation, np.array([SPEED_M_S * (stamp_ns - start_ns) * 1e-9, 0.1, 0.4]))


class MovingCamera:
    """Publishes the camera's pose on /tf at 50 Hz, as a robot's state publisher does."""

    def __init__(self, node):
        self.start_ns = time.time_ns()
        self._publisher = node.create_publisher(TFMessage, "/tf", 100)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._end.wait(0.02):
            now_ns = time.time_ns()
            self._publisher.publish(TFMessage(transforms=[transform_to_message(base_T_camera(now_ns, self.start_ns), now_ns)]))

    def close(self):
        self._end.set()
        self._thread.join()


class SceneCamera:
    """Publishes a scene as a driver does, from this process.

    Attributes:
        change: Called with (colour, depth, info) before they are published; may change them in place.
        stamps: The capture time of every image, in nanoseconds.
        now_ns: Where the capture times come from.
    """

    def __init__(self, node, scene, intrinsics, *, namespace="", rate_hz=20.0, reliable=False, encoding="16UC1"):
        self.node = node
        self.color, self.depth_m = scene
        self.intrinsics, self.encoding = intrinsics, encoding
        self.frame = "camera_color_optical_frame"
        self.change: Callable[[Image, Image, CameraInfo], None] | None = None
        self.now_ns: Callable[[], int] = time.time_ns
        self.stamps: set[int] = set()
        qos = image_qos(reliable)
        kinds = ((Image, "color/image_raw"), (Image, "depth/image_raw"), (CameraInfo, "color/camera_info"))
        self._publishers = [node.create_publisher(kind, f"{namespace}/{topic}".lstrip("/"), qos) for kind, topic in kinds]
        self._period_s = 1.0 / rate_hz
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._end.wait(self._period_s):
            stamp_ns = self.now_ns()
            frame = RgbdFrame(self.color, self.depth_m, self.intrinsics, stamp_ns, self.frame)
            messages = frame_to_messages(frame, depth_encoding=self.encoding)
            if self.change is not None:
                self.change(*messages)
            self.stamps.add(stamp_ns)
            for publisher, message in zip(reversed(self._publishers), reversed(messages), strict=True):
                publisher.publish(message)

    def close(self):
        self._end.set()
        self._thread.join()
        for publisher in self._publishers:
            self.node.destroy_publisher(publisher)


class Robot:
    """The client's side: a node of this process, the client, and what came from the camera."""

    def __init__(self, processes, namespace=""):
        self.processes = processes
        self.node = rclpy.create_node("test_client", namespace=namespace)
        self.capture_stamps = set()
        self.node.create_subscription(
            CameraInfo,
            "color/camera_info",
            lambda info: self.capture_stamps.add(stamp_to_ns(info.header.stamp)),
            image_qos(reliable=False),
        )
        self.moving = MovingCamera(self.node)
        self.client = PointAtClient(self.node)

    def wait(self):
        """Wait for the pointing node and for images."""
        if not self.client.wait_for_server(START_S):
            pytest.fail(f"the pointing node did not come up in {START_S} s\n{self.processes.output()}")
        until(lambda: self.capture_stamps, START_S, self.processes)
        return self

    def ask(self, *queries, client=None, **options):
        """Point, and on failure say what the processes wrote."""
        try:
            return (client or self.client).point_at(list(queries), timeout_s=ANSWER_S, **options)
        except GoalError as error:
            pytest.fail(f"{code_name(error.code)}: {error}\n{self.processes.output()}")

    def refusal(self, *queries, client=None, **options):
        """The error of a goal that must fail."""
        with pytest.raises(GoalError) as caught:
            (client or self.client).point_at(list(queries), timeout_s=options.pop("timeout_s", ANSWER_S), **options)
        return caught.value

    def call(self, kind, name, request):
        """The response of a service."""
        client = self.node.create_client(kind, name)
        if not client.wait_for_service(START_S):
            pytest.fail(f"no service {name}\n{self.processes.output()}")
        future = client.call_async(request)
        until(future.done, ANSWER_S, self.processes)
        return future.result()

    def transition(self, *transitions, server="molmo_point"):
        """Take the pointing node through its lifecycle."""
        for transition in transitions:
            request = ChangeState.Request()
            request.transition.id = transition
            assert self.call(ChangeState, f"{server}/change_state", request).success, self.processes.output()

    def set(self, server="molmo_point", **values):
        """Set parameters of the pointing node; each must be accepted."""
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        response = self.call(SetParameters, f"{server}/set_parameters", SetParameters.Request(parameters=parameters))
        assert all(result.successful for result in response.results), response

    def close(self):
        self.moving.close()
        self.client.close()
        self.node.destroy_node()


class Heard:
    """What the node published on its standard topics, received in this process."""

    def __init__(self, node, server="molmo_point"):
        self.points: list[PointStamped] = []
        self.poses: list[PoseWithCovarianceStamped] = []
        self.arrays: list[PointTargetArray] = []
        kinds = (
            (PointStamped, "target_point", self.points),
            (PoseWithCovarianceStamped, "target_pose_with_covariance", self.poses),
            (PointTargetArray, "targets", self.arrays),
        )
        for kind, topic, received in kinds:
            node.create_subscription(kind, f"{server}/{topic}", received.append, 100)

    def of(self, received, stamp):
        """The messages with this stamp."""
        return [message for message in received if message.header.stamp == stamp]


@contextmanager
def scripted_robot(processes, answers_file, *, namespace="", reliable=False, **parameters):
    """A Robot whose pointing node is scripted and whose camera, `robot.camera`, is in this process; `robot.heard` listens."""
    patient = {"image_timeout_s": 15.0, "tf_timeout_s": 5.0, "lifespan_s": 30.0, **parameters}
    process, _ = processes.start(SCRIPTED_NODE, str(answers_file), parameters=patient, namespace=namespace)
    if not rclpy.ok():
        rclpy.init()
    robot = Robot(processes, namespace)
    robot.pointing = process
    robot.camera = SceneCamera(robot.node, box_scene(), INTRINSICS, reliable=reliable)
    robot.heard = Heard(robot.node)
    try:
        robot.wait()
        # Being discovered is not being connected: answers count once one has come through.
        until(lambda: robot.ask("the box") and robot.heard.points and robot.heard.poses, START_S, processes)
        yield robot
    finally:
        robot.camera.close()
        robot.close()
        rclpy.try_shutdown()
