"""A typed command moves an arm: "pick up the green cube and put it next to the orange ball".

The demo has two processes. The picking node runs a simulated Panda with a wrist camera, a fixed depth
camera and the embedded Molmo. This program parses the command and sends PickObject goals. It prints
every state (point, plan, second view, grasp, lift, verify, place). At the end it prints the paths of a
video, with target, grasp, questions and phases, and of a picture of the plan.

    make demo            or            ros2_ws/run python demos/02_pick_and_place.py "give me the red brick"
"""

import argparse
import importlib.util
import sys
import time
from pathlib import Path

from molmo_point.commands import parse_command
from molmo_point.errors import MolmoPointError
from molmo_point.picking.command_executor import MoveOutcome, StepOutcome

PARAMETERS = ("scene_seed", "object_count", "containers", "model", "pace")
COMMAND = "pick up the green cube and put it next to the orange ball"
START_S = 300.0


def main() -> int:
    """Run the demo; return 1 if the command fails."""
    parser = argparse.ArgumentParser(description="A typed command moves a simulated arm, over ROS 2.")
    parser.add_argument("command", nargs="*", help=f"command in words (default: {COMMAND!r})")
    parser.add_argument("--seed", dest="scene_seed", type=int, default=1, help="seed of the table")
    parser.add_argument("--objects", dest="object_count", type=int, default=5, help="number of objects on it")
    parser.add_argument("--containers", default="", help="containers on it: bowl, plate, tray, box, separated by commas")
    parser.add_argument("--model", default="tabletop", help="checkpoint; household knows bowls and plates")
    parser.add_argument("--pace", type=float, default=0.0, help="largest number of simulated seconds per second; 0 for no limit")
    parser.add_argument("--no-video", action="store_true", help="do not draw the video")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder of the video, the picture and the node's log")
    options = parser.parse_args()
    started_s = time.monotonic()
    try:
        command = parse_command(" ".join(options.command) or COMMAND)
        print(f"“{command.text}” means: {command.describe()}\n")
        has_ros = importlib.util.find_spec("rclpy") is not None
        outcomes = carry_out(command, options) if has_ros else without_ros(command, options)
    except MolmoPointError as error:
        print(error, file=sys.stderr)
        return 1
    good = all(outcome.success for outcome in outcomes)
    print(f"\n{'done' if good else 'not done'} in {time.monotonic() - started_s:.0f} s")
    return 0 if good else 1


def carry_out(command, options) -> list[StepOutcome]:
    """Start the picking node, send it the command, and wait for its videos."""
    import rclpy
    from molmo_point_ros.clients.command_client import NodeExecutor
    from molmo_point_ros.nodes.background import running

    options.out.mkdir(parents=True, exist_ok=True)
    for old in options.out.glob("pick-*.*"):
        old.unlink()
    parameters = {name: getattr(options, name) for name in PARAMETERS}
    if not options.no_video:
        parameters["video_folder"] = str(options.out)
    rclpy.init()
    try:
        with running("pick_node", options.out / "pick_node.log", parameters) as node:
            node.wait_for_action("molmo_pick/pick_object", START_S)
            outcomes = NodeExecutor(print, timeout_s=600.0).run(command)
            if not options.no_video:
                print("\ndrawing the video ...")
                wait_for_records(options.out, sum(isinstance(outcome, MoveOutcome) for outcome in outcomes))
    finally:
        rclpy.try_shutdown()
    for path in sorted(options.out.glob("pick-*.*")):
        print(f"wrote {path}")
    return outcomes


def without_ros(command, options) -> list[StepOutcome]:
    """Do the same in this process, without ROS 2."""
    print("ROS 2 is not installed (make setup says why); the arm moves without it\n")
    import numpy as np

    from molmo_point import Pointer
    from molmo_point.picking.command_executor import PickerExecutor
    from molmo_point.picking.command_executor import carry_out as carry_out_here
    from molmo_point.picking.pick import Picker
    from molmo_point.sim.arm import SimulatedArm, random_arm_layout
    from molmo_point.sim.arm.containers import kinds_in
    from molmo_point.viz.goal_video import GoalVideo

    ticked: list = []
    layout = random_arm_layout(np.random.default_rng(options.scene_seed), options.object_count, kinds_in(options.containers))
    with SimulatedArm(layout, on_tick=lambda arm: ticked[0](arm) if ticked else None) as arm:
        video = GoalVideo(options.out, 8.0, print, arm, ticked)
        pointer = video.watch(Pointer.from_pretrained(options.model))
        picker = Picker(pointer, arm, arm.open_camera("fixed"), arm.open_camera("wrist"))

        def tell(event) -> None:
            video.take(event)
            print(f"  {event.state.name:<12}  {event.message}")

        video.begin(command.text)
        outcomes = carry_out_here(command, PickerExecutor(picker, on_state=tell))
        video.end(all(outcome.success for outcome in outcomes), outcomes[-1].message)
    return outcomes


def wait_for_records(folder: Path, count: int, timeout_s: float = 600.0) -> None:
    """Wait for the records of so many goals: the node writes each after its video."""
    deadline = time.monotonic() + timeout_s
    while len(list(folder.glob("pick-*.json"))) < count and time.monotonic() < deadline:
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
