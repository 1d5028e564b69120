"""Publisher of an arm's joint states, the transforms of its tool and cameras, and its cameras' images."""

from collections.abc import Mapping
from typing import Any

from sensor_msgs.msg import CameraInfo, Image, JointState
from tf2_msgs.msg import TFMessage

from molmo_point.arm.arm import ArmDriver
from molmo_point.camera.base import Camera
from molmo_point_ros.conversions import frame_to_messages, stamp_from_ns, transform_to_message
from molmo_point_ros.inputs.image_qos import image_qos

GRIPPER_JOINT = "gripper_width"
_QUEUE = 50


class ArmPublisher:
    """Publishes /joint_states, /tf, and for every camera the topics of realsense-ros, below the camera's name.

    The cameras capture only for subscribers. Each image has the node's time of its capture, and /tf has the camera's pose at
    that time.

    Args:
        node: The node.
        fps: Images per second of each camera; 0 for none.
    """

    def __init__(self, node: Any, fps: float) -> None:
        self._node, self._fps = node, fps
        self._joints = node.create_publisher(JointState, "/joint_states", _QUEUE)
        self._tf = node.create_publisher(TFMessage, "/tf", _QUEUE)
        self._cameras: dict[str, Camera] = {}
        self._frames: dict[str, str] = {}
        self._topics: dict[str, tuple[Any, Any, Any]] = {}
        self._stamp_ns = 0
        self._next_image_ns = 0
        self._is_taking = False

    def now_ns(self) -> int:
        """Time of the present images, nanoseconds: the clock of the cameras."""
        return self._stamp_ns

    def add_cameras(self, cameras: Mapping[str, Camera], frames: Mapping[str, str]) -> None:
        """Publish cameras from now on.

        Args:
            cameras: Cameras by name; their clock is `now_ns`.
            frames: Optical frames by name of the camera.
        """
        qos = image_qos(True)
        for name in cameras:
            self._topics[name] = (
                self._node.create_publisher(Image, f"{name}/color/image_raw", qos),
                self._node.create_publisher(Image, f"{name}/depth/image_raw", qos),
                self._node.create_publisher(CameraInfo, f"{name}/color/camera_info", qos),
            )
        self._cameras, self._frames = dict(cameras), dict(frames)

    def tick(self, arm: ArmDriver) -> None:
        """Publish the present state; the arm calls it from its thread, many times per second."""
        if self._is_taking or not self._node.context.ok():
            return
        self._stamp_ns = self._node.get_clock().now().nanoseconds
        names = [*arm.joint_names, GRIPPER_JOINT]
        message = JointState(name=names, position=[*arm.joint_positions().tolist(), float(arm.gripper_width())])
        message.header.stamp = stamp_from_ns(self._stamp_ns)
        self._joints.publish(message)
        poses = [arm.base_T_tool(), *(arm.base_T_camera(frame) for frame in self._frames.values())]
        self._tf.publish(TFMessage(transforms=[transform_to_message(pose, self._stamp_ns) for pose in poses]))
        if self._fps > 0 and self._stamp_ns >= self._next_image_ns:
            self._next_image_ns = self._stamp_ns + round(1e9 / self._fps)
            self._publish_images()

    def _publish_images(self) -> None:
        self._is_taking = True
        try:
            for name, camera in self._cameras.items():
                color_topic, depth_topic, info_topic = self._topics[name]
                if not any(topic.get_subscription_count() for topic in self._topics[name]):
                    continue
                color, depth, info = frame_to_messages(camera.read())
                # Color comes last, so that a join by stamp finds its partners.
                for topic, message in ((info_topic, info), (depth_topic, depth), (color_topic, color)):
                    if message is not None:
                        topic.publish(message)
        finally:
            self._is_taking = False
