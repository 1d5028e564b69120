"""From words to 3D points to ROS 2, on a simulated table.

A noisy depth camera views a rendered scene. The embedded Molmo points at objects named in words, depth
lifts the points, and a subscriber in another process receives the targets.

    make demo            or            ros2_ws/run python demos/01_point_and_publish.py --seed 7
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point import Pointer, Pointing, RgbdFrame, SimulatedCamera, Transform
from molmo_point.cli.demo import compare, draw, lines, unique_objects
from molmo_point.sim import TabletopScene

NODE = "molmo_point_demo"
DISCOVERY_S = 20.0


def main() -> int:
    """Run the demo; return 1 if an object was not found or not received."""
    parser = argparse.ArgumentParser(description="Point at objects on a simulated table and publish them over ROS 2.")
    parser.add_argument("--seed", type=int, default=7, help="seed of the table; the embedded model errs on some, see its card")
    parser.add_argument("--queries", type=int, default=3, help="number of objects to ask for")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder of the pictures")
    options = parser.parse_args()

    pointer = Pointer.from_pretrained("tabletop")
    with TabletopScene.random(options.seed) as scene, SimulatedCamera(scene, seed=options.seed) as camera:
        frame = camera.read()
        things = unique_objects(scene.visible_objects())[: options.queries]
        pointer.point(frame, things[0].item.name)  # the first call also warms up the libraries
        pointings = [pointer.point(frame, thing.item.name) for thing in things]
        answers = [compare(thing, pointing, scene) for thing, pointing in zip(things, pointings, strict=True)]
        base_T_camera = scene.base_T_camera

    print("\n".join(lines(answers)))
    errors_mm = [answer["error_mm"] for answer in answers if answer["error_mm"] is not None]
    if errors_mm:
        print(f"median 3D error {np.median(errors_mm):.1f} mm over {len(errors_mm)} of {len(answers)} queries")
    for path in draw(options.out, frame, pointings, base_T_camera):
        print(f"wrote {path}")
    received = publish(pointings, frame, base_T_camera)
    return 0 if len(errors_mm) == len(answers) and received else 1


def publish(pointings: list[Pointing], frame: RgbdFrame, base_T_camera: Transform) -> bool:
    """Send the answers to a subscriber in another process; True if it has printed them all."""
    try:
        import rclpy
        from molmo_point_ros.outputs.publisher import TargetPublisher
    except ImportError as error:
        print(f"not published: this Python has no ROS 2 ({error}). What to do: make setup, then make demo", file=sys.stderr)
        return False
    found = [pointing for pointing in pointings if pointing.targets]
    print(f"\npublishing {len(found)} answers over ROS 2; another process receives:")
    command = [sys.executable, "-m", "molmo_point_ros.subscriber", "--server", NODE]
    listener = subprocess.Popen([*command, "--count", str(len(found)), "--timeout", "60"], stderr=subprocess.DEVNULL)
    rclpy.init()
    node = rclpy.create_node(NODE)
    try:
        # A slow machine may take seconds to connect. A demo may show an old answer, an arm must not use one.
        publisher = TargetPublisher(node, lifespan_s=30.0)
        if not wait_for_listener(publisher, listener):
            print("no subscriber connected; is UDP multicast on the loopback interface allowed?", file=sys.stderr)
            return False
        for pointing in found:
            publisher.publish(pointing, frame, base_T_camera)
        return listener.wait(timeout=70) == 0
    finally:
        listener.kill()
        node.destroy_node()
        rclpy.try_shutdown()


def wait_for_listener(publisher: Any, listener: subprocess.Popen) -> bool:
    """Wait until both topics have a subscriber; False if none connects."""
    deadline_s = time.monotonic() + DISCOVERY_S
    while time.monotonic() < deadline_s and listener.poll() is None:
        counts = publisher.subscription_counts()
        if all(counts[topic] for topic in counts if topic.endswith(("/targets", "/target_point"))):
            return True
        time.sleep(0.05)
    return False


if __name__ == "__main__":
    sys.exit(main())
