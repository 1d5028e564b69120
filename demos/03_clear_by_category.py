"""Clear the table by category: square objects go aside, round objects are handed over.

The demo prints one sentence per category ("put the red brick, the white brick and the green cube
aside"), its parsed form, and every pick with its outcome. Without --things it clears the table of
`make demo`. The embedded model knows single objects by color and shape. A released Molmo understands
categories as well: --things aside="all the bricks" hand_over="all the balls".

    ros2_ws/run python demos/03_clear_by_category.py
"""

import argparse
import sys
from pathlib import Path

from molmo_point.commands import parse_command
from molmo_point.errors import MolmoPointError
from molmo_point.picking.command_executor import MoveOutcome

THINGS = ["aside=the red brick, the white brick and the green cube", "hand_over=the orange ball"]
SENTENCES = {"aside": "put {} aside", "hand_over": "give me {}"}


def main() -> int:
    """Run the demo; return 1 if an object is left."""
    parser = argparse.ArgumentParser(description="A simulated arm clears its table by category, over ROS 2.")
    parser.add_argument("--things", nargs="+", default=THINGS, metavar="PLACE=OBJECTS", help="aside=... and hand_over=...")
    parser.add_argument("--seed", type=int, default=1, help="seed of the table")
    parser.add_argument("--objects", type=int, default=5, help="number of objects on it")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder of the node's log")
    options = parser.parse_args()
    try:
        commands = [parse_command(sentence(text)) for text in options.things]
        outcomes = clear(commands, options)
    except ImportError as error:
        print(f"this needs ROS 2 ({error}). What to do: make setup", file=sys.stderr)
        return 1
    except MolmoPointError as error:
        print(error, file=sys.stderr)
        return 1
    cleared = [outcome.step.what for outcome in outcomes if outcome.success]
    left = [f"{outcome.step.what} ({outcome.message})" for outcome in outcomes if not outcome.success]
    print(f"\ncleared {len(cleared)} of {len(outcomes)}: {', '.join(cleared) or 'nothing'}")
    if left:
        print(f"left: {', '.join(left)}")
    return 1 if left else 0


def sentence(text: str) -> str:
    """Convert `aside=the cube` to "put the cube aside"."""
    place, _, things = text.partition("=")
    if place not in SENTENCES or not things:
        raise MolmoPointError("A category must be aside=OBJECTS or hand_over=OBJECTS", text, "use one of the two")
    return SENTENCES[place].format(things)


def clear(commands, options) -> list[MoveOutcome]:
    """Execute the commands object by object; after a failure the others are still tried, after a stop none."""
    import rclpy
    from molmo_point_ros.clients.command_client import NodeExecutor
    from molmo_point_ros.nodes.background import running

    from molmo_point.commands import Command

    outcomes: list[MoveOutcome] = []
    parameters = {"scene_seed": options.seed, "object_count": options.objects, "pace": 0.0}
    rclpy.init()
    try:
        with running("pick_node", options.out / "clear_node.log", parameters) as node:
            node.wait_for_action("molmo_pick/pick_object", 300.0)
            with NodeExecutor(print, timeout_s=600.0) as executor:
                stops = executor.stops
                for command in commands:
                    print(f"\n“{command.text}”")
                    for pick, place in zip(command.steps[::2], command.steps[1::2], strict=True):
                        outcomes += executor.run(Command(command.text, (pick, place)), stops)
    finally:
        rclpy.try_shutdown()
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
