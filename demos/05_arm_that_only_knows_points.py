"""An arm without any Molmo code picks from `~/target_point`, a geometry_msgs/PointStamped.

The demo has three processes. This one is the arm, with a camera on image topics, its pose on /tf and
one subscription. The others are the pointing node and a client that asks for the given words. The demo
prints the point in the arm's base frame, and the result of the grasp. Apart from the simulated arm,
this program uses no message or type of molmo_point.

    ros2_ws/run python demos/05_arm_that_only_knows_points.py "the orange ball"
"""

import argparse
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

from molmo_point import Transform
from molmo_point.arm.joint_path import NoPath
from molmo_point.sim.arm import SimulatedArm, random_arm_layout

CAMERA = {f"{kind}": f"/fixed_camera/{kind}" for kind in ("color/image_raw", "depth/image_raw", "color/camera_info")}
PATIENCE = {"reliable": True, "target_frame": "base", "image_timeout_s": 60.0, "tf_timeout_s": 10.0, "lifespan_s": 30.0}
# An arm that hears only a point never hears a caution, so the node holds it back.
TRUST = {"require_trusted": True}
BELOW_M, LEAST_M, ABOVE_M, LIFT_M = 0.02, 0.018, 0.12, 0.15


def main() -> int:
    """Run the demo; return 1 if nothing was lifted."""
    parser = argparse.ArgumentParser(description="An arm picks from a PointStamped.")
    parser.add_argument("words", nargs="?", default="orange ball", help="object that the client asks for")
    parser.add_argument("--seed", type=int, default=1, help="seed of the table")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder of the node's log")
    options = parser.parse_args()
    try:
        import rclpy
        from geometry_msgs.msg import PointStamped
        from molmo_point_ros.nodes.background import running
        from molmo_point_ros.outputs.arm_publisher import ArmPublisher
    except ImportError as error:
        print(f"this needs ROS 2 ({error}). What to do: make setup", file=sys.stderr)
        return 1
    rclpy.init()
    node = rclpy.create_node("arm")
    points: list[PointStamped] = []
    node.create_subscription(PointStamped, "/molmo_point/target_point", points.append, 10)
    publisher = ArmPublisher(node, fps=2.0)
    spinning = threading.Thread(target=rclpy.spin, args=(node,), daemon=True)
    spinning.start()
    layout = random_arm_layout(np.random.default_rng(options.seed), 5)
    with SimulatedArm(layout, on_tick=publisher.tick, pace=1.0) as arm:
        camera = arm.open_camera("fixed", clock_ns=publisher.now_ns)
        publisher.add_cameras({"fixed_camera": camera}, {"fixed_camera": arm.camera_frames["fixed"]})
        with running("node", options.out / "pointing_node.log", PATIENCE | TRUST, CAMERA):
            command = [
                sys.executable,
                "-m",
                "molmo_point_ros.client",
                options.words,
                "--frame",
                "base",
                "--timeout",
                "300",
            ]
            client = subprocess.Popen(command)
            while not points and client.poll() in (None, 0):
                arm.wait(0.1)
            client.wait(30)
            if not points:
                print("no point arrived; the client reports the reason above", file=sys.stderr)
        point = points[0].point if points else None
        if point is not None:
            print(f"PointStamped in {points[0].header.frame_id!r}: {point.x:+.3f} {point.y:+.3f} {point.z:+.3f} m; picking there")
        width_m = pick(arm, np.array([point.x, point.y, point.z])) if point is not None else 0.0
    rclpy.try_shutdown()
    spinning.join(5)
    print(f"{width_m * 1e3:.0f} mm between the fingers after lifting: {'held' if width_m > 0.01 else 'nothing held'}")
    return 0 if width_m > 0.01 else 1


def pick(arm: SimulatedArm, point_m: np.ndarray) -> float:
    """Go straight down at the point, close, and lift; the width between the fingers then, 0 without a path."""
    height_m = max(float(point_m[2]) - BELOW_M, LEAST_M)
    arm.move_gripper(arm.gripper.max_opening_m)
    for turn in np.deg2rad([0, 45, -45, 90]):
        at = tool_at(arm, np.array([*point_m[:2], height_m]), turn)
        above, lifted = (tool_at(arm, at.translation_m + np.array([0, 0, rise]), turn) for rise in (ABOVE_M, LIFT_M))
        there = arm.plan([above])
        down = there if isinstance(there, NoPath) else arm.plan([at], start_rad=there.end_rad, straight=True)
        if isinstance(there, NoPath) or isinstance(down, NoPath):
            continue
        arm.follow(there)
        arm.follow(down)
        arm.move_gripper(0.0)
        up = arm.plan([lifted], straight=True)
        if not isinstance(up, NoPath):
            arm.follow(up, speed=0.5)
        return arm.gripper_width()
    return 0.0


def tool_at(arm: SimulatedArm, position_m: np.ndarray, turn_rad: float) -> Transform:
    """Pose of the tool at a position, fingers down, closing along a direction in the plane."""
    closing = np.array([-np.sin(turn_rad), np.cos(turn_rad), 0.0])
    down = np.array([0.0, 0.0, -1.0])
    return Transform(arm.base_frame, arm.tool_frame, np.stack([np.cross(closing, down), closing, down], axis=1), position_m)


if __name__ == "__main__":
    sys.exit(main())
