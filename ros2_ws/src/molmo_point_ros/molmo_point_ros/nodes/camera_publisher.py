"""The camera node: any camera of the registry as ROS 2 images.

Topics have the names of realsense-ros under the name of a camera: `color/image_raw`, `depth/image_raw` (aligned to color),
`color/camera_info`. The pose of the camera, if known, goes to /tf_static.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from molmo_point.frame import RgbdFrame
from molmo_point_ros.conversions import frame_to_messages
from molmo_point_ros.inputs.cameras import camera_reader
from molmo_point_ros.inputs.image_qos import image_qos
from molmo_point_ros.inputs.large_images import enlarge_shared_memory
from molmo_point_ros.inputs.tf_listener import StaticTransformSender
from molmo_point_ros.nodes.goal_error import brief
from molmo_point_ros.nodes.node_run import RunnableNode, run_node
from molmo_point_ros.nodes.parameters import CameraNodeParameters
from molmo_point_ros.parameter_declaration import declare, read


class CameraNode(Node, RunnableNode):
    """Publishes every frame of a camera, stamped with its capture time.

    Raises:
        MolmoPointError: The camera cannot be opened.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("camera", **options)
        declare(self, CameraNodeParameters)
        self._settings: CameraNodeParameters = read(self, CameraNodeParameters)
        qos = image_qos(self._settings.reliable)
        self._color = self.create_publisher(Image, "color/image_raw", qos)
        self._depth = self.create_publisher(Image, "depth/image_raw", qos)
        self._info = self.create_publisher(CameraInfo, "color/camera_info", qos)
        self._is_ending = False
        self._reader = camera_reader(self, self._settings, self._publish, self._failed)

    def start(self) -> bool:
        """Open the camera, publish its pose, and keep publishing frames.

        Raises:
            MolmoPointError: The camera cannot be opened.
        """
        self._reader.start()
        if self._reader.pose is not None:
            self._static_sender = StaticTransformSender(self)
            self._static_sender.send(self._reader.pose)
        self.get_logger().info(f"publishing {self._settings.camera} on {self._color.topic_name}")
        return True

    def end_work(self) -> None:
        """Publish nothing more."""
        self._is_ending = True

    def close(self) -> None:
        """Close the camera."""
        self._reader.close()

    def _publish(self, frame: RgbdFrame) -> None:
        if self._is_ending or not self.context.ok():
            return
        color, depth, info = frame_to_messages(frame, depth_encoding=self._settings.depth_encoding)
        # Color last: a subscriber that joins by stamp then has the other two already.
        for publisher, message in ((self._info, info), (self._depth, depth), (self._color, color)):
            if message is not None:
                publisher.publish(message)

    def _failed(self, error: Exception) -> None:
        if self.context.ok():
            self.get_logger().warning(f"no frame: {brief(str(error))}", throttle_duration_sec=5.0)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to end. Returns 1 if the camera cannot be opened."""
    enlarge_shared_memory(os.environ)
    return run_node("camera", args, CameraNode)


if __name__ == "__main__":
    sys.exit(main())
