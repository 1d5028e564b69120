"""Send commands in plain English over ROS 2.

Picking and placing goes to the picking node, counting and pointing to the pointing node.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from molmo_point_msgs.action import CountObjects, PickObject
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from molmo_point.commands import Command, CountStep, PickStep, PlaceStep, PointStep, parse_command
from molmo_point.commands.steps import MOST_REPEATS, describe_step
from molmo_point.errors import MolmoPointError
from molmo_point_ros.clients.action_caller import ActionCaller, duration_message
from molmo_point_ros.clients.pick_client import PickClient
from molmo_point_ros.clients.point_client import PointAtClient
from molmo_point_ros.outputs.message_text import targets_to_dict
from molmo_point_ros.picking.pick_goal import state_name

Say = Callable[[str], None]


class CommandRunner:
    """Carries out commands with the nodes that are there.

    Args:
        node: A node that nobody spins; the clients do.
        say: Told what is happening, line by line.
        picking: Name of the picking node.
        pointing: Name of the pointing node.
        timeout_s: For each step.
        dry_run: Plan picks only.
    """

    def __init__(
        self,
        say: Say,
        *,
        picking: str = "molmo_pick",
        pointing: str = "molmo_point",
        timeout_s: float = 180.0,
        dry_run: bool = False,
        node: Node | None = None,
    ) -> None:
        self._say, self._picking, self._pointing = say, picking, pointing
        self._timeout_s, self._dry_run, self._node = timeout_s, dry_run, node

    def run(self, command: Command) -> list[dict[str, Any]]:
        """Do what was said, step by step, until one fails.

        Returns:
            For each step that was begun what became of it: "do", "success", and what belongs to it.

        Raises:
            GoalError: If a node is not there, or gives no result in time.
        """
        for wrong, right in command.corrections:
            self._say(f"{wrong!r} is taken for {right!r}")
        if command.is_stop:
            return [self.stop()]
        outcomes: list[dict[str, Any]] = []
        for step, place in command.paired():
            self._say(describe_step(step) + (f", then {describe_step(place)}" if place else ""))
            if isinstance(step, PickStep):
                outcomes += self._pick_all(step, place) if step.every else [self._pick(step.what, place)]
            elif isinstance(step, PlaceStep):
                outcomes.append(self._pick("", step))
            elif isinstance(step, CountStep):
                outcomes.append(self._count(step.what))
            elif isinstance(step, PointStep):
                outcomes.append(self._point(step.what))
            if not outcomes[-1]["success"]:
                break
        return outcomes

    def stop(self) -> dict[str, Any]:
        """Stop the arm, whoever moves it."""
        with PickClient(self._node, self._picking) as client:
            message = client.stop()
        self._say(f"stop: {message}")
        return {"do": "stop", "success": True, "message": message}

    def _pick_all(self, step: PickStep, place: PlaceStep | None) -> list[dict[str, Any]]:
        """One after the other until none is found; what could not be had in between ends it, too."""
        done: list[dict[str, Any]] = []
        while len(done) < MOST_REPEATS:
            outcome = self._pick(step.what, place)
            if outcome["failure"] == "NOT_FOUND" and done:
                self._say(f"no more {step.what}: {len(done)} done")
                break
            done.append(outcome)
            if not outcome["success"] or self._dry_run:
                break
        return done

    def _pick(self, what: str, place: PlaceStep | None) -> dict[str, Any]:
        with PickClient(self._node, self._picking) as client:
            result = client.pick(what, place, dry_run=self._dry_run, timeout_s=self._timeout_s, on_feedback=self._tell_feedback)
        outcome = {
            "do": "pick" if what else "place",
            "what": what,
            "success": result.error_code == PickObject.Result.NONE,
            "failure": result.failure,
            "message": result.error_msg,
            "attempts": result.attempts,
            "picked": result.picked,
            "placed": result.placed,
            "holding": result.holding,
            "duration_s": round(float(result.duration), 3),
        }
        said = "done" if outcome["success"] else f"failed ({result.failure or result.error_code}): {result.error_msg}"
        self._say(f"  {said}, {result.duration:.1f} s by the arm's clock")
        return outcome

    def _tell_feedback(self, feedback: PickObject.Feedback) -> None:
        self._say(f"  {feedback.elapsed:5.1f} s  {state_name(feedback.state):<12}  {feedback.message}")

    def _count(self, what: str) -> dict[str, Any]:
        with ActionCaller(CountObjects, f"{self._pointing}/count_objects", self._node) as client:
            result = client.call(lambda left_s: CountObjects.Goal(query=what, timeout=duration_message(left_s)), self._timeout_s)
        success = result.error_code == CountObjects.Result.NONE
        self._say(f"  {result.count} {what}" if success else f"  failed: {result.error_msg}")
        return {"do": "count", "what": what, "success": success, "count": result.count, "message": result.error_msg}

    def _point(self, what: str) -> dict[str, Any]:
        with PointAtClient(self._node, self._pointing) as client:
            answer = targets_to_dict(client.point_at([what], timeout_s=self._timeout_s).results[0])
        for target in answer["targets"]:
            self._say(f"  {target['label']} at {target['position_m']} m in {answer['frame']}")
        if not answer["targets"]:
            self._say(f"  there is no {what}")
        return {"do": "point", "what": what, "success": bool(answer["targets"]), "answer": answer}


def main(args: Sequence[str] | None = None) -> int:
    """Carry out one command, or with none those typed on standard input. Returns 0 if all of it was done."""
    parser = argparse.ArgumentParser(description="Tell an arm what to do, in plain English.")
    parser.add_argument("command", nargs="*", help="what to do; without it commands are read line by line")
    parser.add_argument("--picking", default="molmo_pick", help="name of the picking node")
    parser.add_argument("--pointing", default="molmo_point", help="name of the pointing node")
    parser.add_argument("--timeout", type=float, default=180.0, help="seconds for each step")
    parser.add_argument("--dry-run", action="store_true", help="plan picks, and move nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object per command on standard output")
    arguments = list(sys.argv if args is None else ["command", *args])
    options = parser.parse_args(remove_ros_args(arguments)[1:])

    def say(line: str) -> None:
        print(line, file=sys.stderr if options.json else sys.stdout, flush=True)

    rclpy.init(args=arguments)
    runner = CommandRunner(
        say, picking=options.picking, pointing=options.pointing, timeout_s=options.timeout, dry_run=options.dry_run
    )
    good = True
    try:
        for text in [" ".join(options.command)] if options.command else map(str.strip, sys.stdin):
            good = (not text or _one(runner, text, options.json)) and good
    except KeyboardInterrupt:
        runner.stop()
        return 130
    finally:
        rclpy.try_shutdown()
    return 0 if good else 1


def _one(runner: CommandRunner, text: str, as_json: bool) -> bool:
    outcomes: list[dict[str, Any]] = []
    try:
        command = parse_command(text)
        outcomes = runner.run(command)
    except MolmoPointError as error:
        print(error, file=sys.stderr)
        return False
    if as_json:
        print(json.dumps({**command.to_dict(), "outcomes": outcomes}), flush=True)
    return all(outcome["success"] for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main())
