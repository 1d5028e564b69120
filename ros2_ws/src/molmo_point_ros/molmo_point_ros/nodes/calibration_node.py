"""Guided recording of hand-eye samples: ~/advice names the next move, and a still view becomes a sample.

Every image is paired with the arm's pose at its own stamp, from tf; an image waits for a late pose.
"""

import sys
from collections import deque
from collections.abc import Sequence
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from molmo_point.calibration.boards import DEFAULT, load_board
from molmo_point.calibration.capture import Advice, GuidedCapture
from molmo_point.errors import FrameError, InputError, MolmoPointError
from molmo_point.geometry.transforms import Transform
from molmo_point.hand_eye.samples import Setup
from molmo_point_ros.conversions import frame_from_messages, same_camera, stamp_to_ns
from molmo_point_ros.inputs.image_qos import LATCHED, image_qos
from molmo_point_ros.inputs.input_node import InputNode
from molmo_point_ros.inputs.qos_events import no_events
from molmo_point_ros.inputs.tf_buffer import NotYetKnownError, TransformLimits
from molmo_point_ros.inputs.tf_listener import TransformListener
from molmo_point_ros.nodes.goal_error import brief
from molmo_point_ros.nodes.node_run import RunnableNode, run_node
from molmo_point_ros.nodes.parameters import CaptureParameters
from molmo_point_ros.parameter_declaration import declare, read

_WAITING = 5
_PERIOD_S = 0.1


class CaptureNode(Node, RunnableNode):
    """Takes hand-eye samples from `color/image_raw`, `color/camera_info` and tf.

    Raises:
        MolmoPointError: If the board's file cannot be used.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("hand_eye_capture", **options)
        declare(self, CaptureParameters)
        self._parameters = read(self, CaptureParameters)
        self._board = load_board(self._parameters.board) if self._parameters.board else DEFAULT
        self._base, self._gripper = self._parameters.base_frame, self._parameters.gripper_frame
        self._guide: GuidedCapture | None = None
        self._info: CameraInfo | None = None
        self._used_info: CameraInfo | None = None
        self._camera = ""
        self._waiting: deque[Image] = deque(maxlen=_WAITING)
        self._inputs = InputNode(self)
        now_ns = lambda: self.get_clock().now().nanoseconds  # noqa: E731
        self._tf = TransformListener(self._inputs, now_ns, TransformLimits(), self._parameters.optical_frame)
        qos = image_qos(self._parameters.reliable)
        self.create_subscription(CameraInfo, "color/camera_info", self._take_info, qos)
        # A camera info may have been latched before this node came up.
        self.create_subscription(CameraInfo, "color/camera_info", self._take_info, LATCHED, event_callbacks=no_events())
        self.create_subscription(Image, "color/image_raw", self._take_image, qos)
        self._advice = self.create_publisher(String, "~/advice", 10)
        self.create_timer(_PERIOD_S, self._look)

    @property
    def is_done(self) -> bool:
        """True if the requested number of samples is taken."""
        return self._guide is not None and len(self._guide) >= self._parameters.count

    def close(self) -> None:
        """End the subscriptions to tf."""
        self._tf.close()
        self._inputs.close()

    def _take_info(self, message: CameraInfo) -> None:
        self._info = message

    def _take_image(self, message: Image) -> None:
        self._waiting.append(message)

    def _look(self) -> None:
        if self.is_done:
            return
        if self._info is None or not self._waiting:
            self._say("waiting for color/image_raw and color/camera_info")
            return
        message = self._waiting[0]
        try:
            pose = self._tf.lookup(self._base, self._gripper, stamp_to_ns(message.header.stamp))
        except NotYetKnownError as error:
            if len(self._waiting) == _WAITING:
                self._waiting.popleft()
                self._say(f"no arm pose for the images: {error}")
            return
        except FrameError as error:
            self._waiting.popleft()
            self._say(f"no arm pose: {error}")
            return
        self._waiting.popleft()
        try:
            advice = self._look_at(message, pose)
        except MolmoPointError as error:
            self._say(f"this image cannot be used: {error}")
            return
        assert self._guide is not None
        self._say(f"{advice.words}  |  {self._guide.coverage()}")
        if self.is_done:
            self._say(f"done: {len(self._guide)} samples in {self._guide.folder}; now run molmo-point calibrate hand-eye")

    def _look_at(self, message: Image, base_T_gripper: Transform) -> Advice:
        """Look at one image of the camera of the first one.

        Raises:
            MolmoPointError: If image or camera info cannot be used, or are those of another camera.
        """
        info = self._info
        assert info is not None
        frame = frame_from_messages(message, info=info)
        assert frame.intrinsics is not None
        camera = self._tf.optical_frame(frame.frame)
        if self._guide is None:
            folder, setup = self._parameters.folder, Setup(self._parameters.setup)
            frames = (self._base, self._gripper, camera)
            self._guide = GuidedCapture(folder, self._board, frame.intrinsics, setup, frames=frames)
            self._used_info, self._camera = info, camera
        assert self._used_info is not None
        if camera != self._camera or not same_camera(info, self._used_info):
            given = f"frame {camera!r}, {frame.intrinsics}; the first one has {self._camera!r}"
            raise InputError(
                "All images must be of one camera with one camera info", given, "let one camera publish, fix its zoom"
            )
        return self._guide.look(frame.color, base_T_gripper.matrix)

    def _say(self, words: str) -> None:
        words = brief(words)
        self._advice.publish(String(data=words))
        self.get_logger().info(words, throttle_duration_sec=1.0)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until enough samples are taken. Returns 1 if it cannot start."""
    return run_node("hand_eye_capture", args, CaptureNode)


if __name__ == "__main__":
    sys.exit(main())
