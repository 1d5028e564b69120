"""The processes that `benchmarks.ros` starts: a camera that costs next to nothing, a pointing node whose model answers
at once, and a program that times each output.

python -m benchmarks.ros.parts camera|node|outputs ... --ros-args ...
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import rclpy
from molmo_point_ros.conversions import frame_to_messages, stamp_from_ns
from molmo_point_ros.inputs.image_qos import image_qos
from molmo_point_ros.inputs.large_images import enlarge_shared_memory
from molmo_point_ros.outputs.publisher import TOPICS, TargetPublisher
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from molmo_point.backend import Limits, Prompt, WholeAnswerBackend
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.pointer import Pointer
from molmo_point.results import Completion

FRAME = "camera_color_optical_frame"
LISTENER_WAIT_S = 60.0
WARM_UP = 20


def flat_scene(width: int, height: int, stamp_ns: int) -> RgbdFrame:
    """A textured wall 0.8 m away, seen by a camera of 65 degrees."""
    rng = np.random.default_rng(0)
    color = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    depth_m = np.full((height, width), 0.8, np.float32)
    focal_px = 0.78 * width
    return RgbdFrame(color, depth_m, Intrinsics(width, height, focal_px, focal_px, width / 2, height / 2), stamp_ns, FRAME)


class ConstantCamera(Node):
    """Publishes the same images again and again, with new stamps: what it costs is DDS alone."""

    def __init__(self, width: int, height: int, rate_hz: float, reliable: bool) -> None:
        super().__init__("camera")
        messages = frame_to_messages(flat_scene(width, height, 1))
        qos, kinds = image_qos(reliable), (Image, Image, CameraInfo)
        topics = ("color/image_raw", "depth/image_raw", "color/camera_info")
        made = [self.create_publisher(kind, topic, qos) for kind, topic in zip(kinds, topics, strict=True)]
        # Color last, as the camera node does.
        self._outputs: list[tuple[Any, Any]] = list(reversed(list(zip(made, messages, strict=True))))
        self.create_timer(1.0 / rate_hz, self._publish)

    def _publish(self) -> None:
        if not self.context.ok():
            return
        stamp = stamp_from_ns(time.time_ns())
        for publisher, message in self._outputs:
            message.header.stamp = stamp
            publisher.publish(message)


class InstantModel(WholeAnswerBackend):
    """Points at the middle of the image, at once."""

    name = "instant"
    sigma_px = 4.0

    def answer(self, image: Any, prompt: Prompt, limits: Limits) -> Completion:
        """Answer with one point."""
        return Completion('<point x="50.0" y="50.0" alt="it">it</point>', 12, "stop")


def outputs_cost(answers: int, width: int, height: int) -> dict[str, float]:
    """Milliseconds that making and publishing each output takes the node, for one target, with a subscriber connected."""
    node = rclpy.create_node("outputs")
    frame = flat_scene(width, height, time.time_ns())
    pointing = Pointer(InstantModel()).point(frame, "it")
    cost_ms = {}
    for name in TOPICS:
        publisher = TargetPublisher(node, 30.0, outputs=(name,), annotated_rate_hz=1000.0)
        deadline_s = time.monotonic() + LISTENER_WAIT_S
        while not all(publisher.subscription_counts().values()) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        took_s = []
        for number in range(WARM_UP + answers if publisher.subscription_counts() else 0):
            started_s = time.perf_counter()
            publisher.publish(pointing, frame)
            if number >= WARM_UP:
                took_s.append(time.perf_counter() - started_s)
            time.sleep(0.002)
        if took_s:
            cost_ms[name] = float(np.median(took_s) * 1e3)
        publisher.close()
    node.destroy_node()
    return cost_ms


def main(args: Sequence[str]) -> int:
    """Run one of the parts until it is told to end."""
    part, *rest = args
    if part == "node":
        from molmo_point_ros.nodes.pointing_node import main as node_main

        return node_main([sys.argv[0], *rest], load_pointer=lambda *_, **__: Pointer(InstantModel()))
    enlarge_shared_memory(os.environ)
    rclpy.init(args=[sys.argv[0], *rest])
    try:
        if part == "outputs":
            print(json.dumps(outputs_cost(int(rest[0]), int(rest[1]), int(rest[2]))), flush=True)
        else:
            width, height, rate_hz, reliable = rest[:4]
            rclpy.spin(ConstantCamera(int(width), int(height), float(rate_hz), reliable == "reliable"))
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
