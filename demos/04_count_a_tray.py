"""Count a tray repeatedly and report changes, by the action CountObjects with three images each.

This program is the camera over the tray; halfway, a ball is taken. The pointing node counts. The demo prints each
count with the share of images that agree, its confidence, its cautions and the truth. A line reports a new count
only if most images agree, without cautions, with enough confidence.

    ros2_ws/run python demos/04_count_a_tray.py
"""

import argparse
import dataclasses
import math
import sys
import threading
from pathlib import Path

import numpy as np

from molmo_point import SimulatedCamera
from molmo_point.errors import MolmoPointError
from molmo_point.sim import TabletopScene
from molmo_point.sim.tabletop.layout import random_layout
from molmo_point.viz.text import percent

SEED, COUNT, SHAPE = 5, 6, "ball"
ROUNDS, SAMPLES, LEAST_AGREEMENT, LEAST_CONFIDENCE = 4, 3, 0.6, 0.5


def main() -> int:
    """Run the demo; return 1 if nothing could be counted."""
    parser = argparse.ArgumentParser(description="Count a tray and watch it change, over ROS 2.")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder of the node's log")
    options = parser.parse_args()
    try:
        import rclpy
        from molmo_point_ros.nodes.background import running
    except ImportError as error:
        print(f"this needs ROS 2 ({error}). What to do: make setup", file=sys.stderr)
        return 1
    rclpy.init()
    tray = Tray(rclpy.create_node("tray_camera"), random_layout(np.random.default_rng(SEED), COUNT))
    try:
        with running("node", options.out / "count_node.log", {"reliable": True, "image_timeout_s": 60.0}) as node:
            node.wait_for_action("molmo_point/count_objects", 300.0)
            return watch(tray)
    except MolmoPointError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        tray.close()
        rclpy.try_shutdown()


def watch(tray: "Tray") -> int:
    """Count four times; take a ball after two."""
    from molmo_point_msgs.action import CountObjects
    from molmo_point_ros.clients.action_caller import ActionCaller, duration_message

    believed = None
    with ActionCaller(CountObjects, "molmo_point/count_objects") as caller:
        for number in range(ROUNDS):
            if number == ROUNDS // 2:
                tray.take_one()
            goal = CountObjects.Goal(query=f"{SHAPE}s", samples=SAMPLES, timeout=duration_message(120.0))
            result = caller.call(lambda _, goal=goal: goal, 150.0)
            if result.error_code != CountObjects.Result.NONE:
                raise MolmoPointError(result.error_msg)
            sure = "confidence unknown" if math.isnan(result.confidence) else f"{percent(result.confidence)} sure"
            seen = f"{result.count_min} to {result.count_max} in {len(result.counts)} images, {result.agreement:.0%} alike"
            truth = sum(each.shape == SHAPE for each in tray.layout.objects)
            told = f"{result.count} {SHAPE}s ({seen}, {sure}); there are {truth}"
            print("\n  caution ".join([told, *result.points.caution_texts]), flush=True)
            if is_believed(result):
                if believed not in (None, result.count):
                    print(f"  the count changed: {believed} -> {result.count}")
                believed = result.count
    return 0


def is_believed(result) -> bool:
    """Decide whether a count may change what the program believes."""
    doubted = result.points.cautions or not result.points_agree or not result.confidence >= LEAST_CONFIDENCE
    return not doubted and result.agreement >= LEAST_AGREEMENT


class Tray:
    """Camera over a tray, published at about two frames per second by its own thread."""

    def __init__(self, node, layout) -> None:
        from molmo_point_ros.conversions import frame_to_messages
        from molmo_point_ros.inputs.image_qos import image_qos
        from sensor_msgs.msg import CameraInfo, Image

        kinds = (("color/camera_info", CameraInfo), ("depth/image_raw", Image), ("color/image_raw", Image))
        self._topics = [node.create_publisher(kind, name, image_qos(True)) for name, kind in kinds]
        self._to_messages, self.layout, self._end = frame_to_messages, layout, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def take_one(self) -> None:
        """Take one ball."""
        gone = next(thing for thing in self.layout.objects if thing.shape == SHAPE)
        self.layout = dataclasses.replace(self.layout, objects=tuple(o for o in self.layout.objects if o is not gone))

    def close(self) -> None:
        """Stop the camera."""
        self._end.set()
        self._thread.join(20)

    def _run(self) -> None:
        while not self._end.is_set():
            with TabletopScene(layout := self.layout) as scene, SimulatedCamera(scene, fps=2) as camera:
                while self.layout is layout and not self._end.is_set():
                    for topic, message in zip(self._topics, reversed(self._to_messages(camera.read())), strict=True):
                        topic.publish(message)


if __name__ == "__main__":
    sys.exit(main())
