"""A camera process: a reddish textured square moves before a wall, seen by a camera that moves too. Truth follows from the stamp.

`python square_camera.py --ros-args -p rate_hz:=20.0` publishes images, and the camera's pose on /tf.
"""

import importlib.util
import math
import sys
import time
from pathlib import Path

import numpy as np
import rclpy
from molmo_point_ros.conversions import frame_to_messages, transform_to_message
from molmo_point_ros.inputs.image_qos import image_qos
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform

_spec = importlib.util.spec_from_file_location("tracking_world", Path(__file__).parents[1] / "tracking" / "world.py")
world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(world)

FRAME = "camera_color_optical_frame"
ROTATION = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def square_uv(stamp_ns):
    """Pixel of the square's middle at a capture time."""
    angle = 2 * math.pi * (stamp_ns % 8_000_000_000) * 1e-9 / 8.0
    return 160.0 + 60.0 * math.sin(angle), 120.0 + 15.0 * math.cos(angle)


def base_T_camera(stamp_ns):
    """Where the camera is at a time: it swings 5 cm to and fro every 4 s."""
    angle = 2 * math.pi * (stamp_ns % 4_000_000_000) * 1e-9 / 4.0
    return Transform("base", FRAME, ROTATION, np.array([0.3, 0.05 * math.sin(angle), 0.4]))


def truth_m(stamp_ns):
    """Position (3,) of the square's middle in the base frame."""
    return base_T_camera(stamp_ns).apply(world.CAMERA.deproject(square_uv(stamp_ns), world.SQUARE_M), FRAME)


def see_square(color, beside=False):
    """Pixel of the middle of what is reddish in an RGB image (h, w, 3), or just beside it; None where nothing is."""
    rows, columns = np.nonzero(color[..., 0].astype(int) - color[..., 1] > 20)
    if len(rows) <= 100:
        return None
    return float(columns.max() + 2 if beside else columns.mean()), float(rows.mean())


def draw(stamp_ns, number):
    """The frame of a moment."""
    frame = world.draw(square_uv(stamp_ns), number, stamp_ns=stamp_ns)
    color = frame.color.copy()
    color[frame.depth_m < 0.5 * (world.SQUARE_M + world.WALL_M), 0] = 255
    return RgbdFrame(color, frame.depth_m, frame.intrinsics, stamp_ns, FRAME)


def main():
    """Publish until ROS ends."""
    rclpy.init(args=sys.argv)
    node = rclpy.create_node("camera")
    rate_hz = node.declare_parameter("rate_hz", 20.0).value
    qos = image_qos(reliable=True)
    color = node.create_publisher(Image, "color/image_raw", qos)
    depth = node.create_publisher(Image, "depth/image_raw", qos)
    info = node.create_publisher(CameraInfo, "color/camera_info", qos)
    tf = node.create_publisher(TFMessage, "/tf", 100)
    number, due_s = 0, time.monotonic()
    try:
        while rclpy.ok():
            due_s = max(due_s + 1.0 / rate_hz, time.monotonic() - 1.0 / rate_hz)
            time.sleep(max(due_s - time.monotonic(), 0.0))
            stamp_ns = time.time_ns()
            messages = frame_to_messages(draw(stamp_ns, number))
            for publisher, message in zip((info, depth, color), reversed(messages), strict=True):
                publisher.publish(message)
            # Later than the image, as from a real arm.
            poses = [transform_to_message(base_T_camera(at_ns), at_ns) for at_ns in (stamp_ns, time.time_ns())]
            tf.publish(TFMessage(transforms=poses))
            number += 1
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
