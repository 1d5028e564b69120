"""A blocking client of the pointing node: `PointAtClient().point_at(["the red cube"]).results[0].targets`."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from molmo_point_msgs.action import PointAt
from rclpy.node import Node

from molmo_point.errors import InputError
from molmo_point.text_checks import printable
from molmo_point_ros.clients.action_caller import ActionCall, ActionCaller, duration_message
from molmo_point_ros.clients.client_run import node_name, parse_options, run_client, seconds
from molmo_point_ros.conversions.field_checks import checked_number
from molmo_point_ros.nodes.goal_error import answered
from molmo_point_ros.outputs.message_text import grasp_to_dict, not_trusted, targets_to_dict


class PointAtClient(ActionCaller):
    """Sends PointAt goals and waits for the answers.

    Args:
        node: Your node; see `ActionCaller`.
        server: Name of the pointing node, relative to the node's namespace, or absolute.
    """

    def __init__(self, node: Node | None = None, server: str = "molmo_point") -> None:
        super().__init__(PointAt, f"{server}/point_at", node)

    def send(
        self,
        queries: Sequence[str],
        *,
        target_frame: str = "",
        max_points: int = 0,
        use_next_image: bool = True,
        compute_grasp: bool = False,
        max_grasps: int = 3,
        prefer: str = "near",
        reference_depth_m: float = 0.0,
        timeout_s: float = 0.0,
        on_feedback: Callable[[PointAt.Feedback], None] | None = None,
    ) -> ActionCall:
        """Send a goal without waiting for it.

        Args:
            queries: One or several phrases, answered on one image.
            target_frame: Frame of the positions; "" is the node's parameter, else the optical frame.
            max_points: Most points per query; 0 is the node's parameter.
            use_next_image: True waits for an image captured after the goal; false uses the newest.
            compute_grasp: True also returns grasps, best first.
            max_grasps: Most grasps per target.
            prefer: Surface if several are plausible: "near", "far" or "center".
            reference_depth_m: Depth along z of the optical frame in meters, for points in free space; 0 measures it.
            timeout_s: Timeout of the goal in seconds; 0 is the node's parameter.
            on_feedback: Called with every feedback message, in the thread that spins the node.

        Raises:
            InputError: If `queries` is one string, or empty.
        """
        goal = _goal(
            queries,
            timeout_s=timeout_s,
            target_frame=target_frame,
            max_points=max_points,
            use_next_image=use_next_image,
            compute_grasp=compute_grasp,
            max_grasps=max_grasps,
            prefer=prefer,
            reference_depth_m=reference_depth_m,
        )
        return self.dispatch(goal, on_feedback)

    def point_at(self, queries: Sequence[str], *, timeout_s: float = 60.0, **options: Any) -> PointAt.Result:
        """Point at objects and wait for the answer.

        Args:
            queries: One or several phrases, answered on one image.
            timeout_s: Timeout in seconds, including the wait for the node.
            **options: As `send`.

        Returns:
            The result; `results` has one PointTargetArray per query.

        Raises:
            GoalError: Without an answer; `code` is one of `ErrorCode`.
            InputError: As `send`.
        """
        on_feedback = options.pop("on_feedback", None)
        _goal(queries, **options)
        return answered(self.call(lambda left_s: _goal(queries, timeout_s=left_s, **options), timeout_s, on_feedback))


def _goal(
    queries: Sequence[str], *, timeout_s: float = 0.0, max_points: int = 0, reference_depth_m: float = 0.0, **fields: Any
) -> PointAt.Goal:
    if isinstance(queries, str) or not queries:
        raise InputError("queries must be a list of phrases", repr(queries), "give e.g. ['the red cube']")
    checked_number(reference_depth_m, "reference_depth_m")
    return PointAt.Goal(
        queries=list(queries),
        max_points=max_points,
        reference_depth=reference_depth_m,
        timeout=duration_message(timeout_s),
        **fields,
    )


def main(args: Sequence[str] | None = None) -> int:
    """Ask the pointing node on the command line. Returns 0, or the action's error code (at most 125)."""
    parser = argparse.ArgumentParser(description="Ask the pointing node, and print the answer.")
    parser.add_argument("queries", nargs="+", help="phrases to point at")
    parser.add_argument("--server", type=node_name, default="molmo_point", help="name of the pointing node")
    parser.add_argument("--frame", default="", help="frame of the positions; the optical frame without it")
    parser.add_argument("--grasp", action="store_true", help="also print grasps")
    parser.add_argument("--prefer", choices=("near", "far", "center"), default="near", help="surface if several are plausible")
    parser.add_argument("--timeout", type=seconds, default=60.0, help="seconds")
    parser.add_argument("--json", action="store_true", help="one JSON object per query")
    arguments, options = parse_options(parser, "point_at", args)
    return run_client(arguments, lambda: _ask(options))


def _ask(options: argparse.Namespace) -> int:
    with PointAtClient(server=options.server) as client:
        result = client.point_at(
            options.queries,
            timeout_s=options.timeout,
            target_frame=options.frame,
            compute_grasp=options.grasp,
            prefer=options.prefer,
        )
    for array in result.results:
        answer = targets_to_dict(array)
        if options.json:
            print(json.dumps(answer))
            continue
        print(f"{printable(array.query)}: {'not in the image' if array.absent else f'{len(array.targets)} found'}")
        if doubt := not_trusted(answer):
            print(printable(f"  {doubt}"))
        for target in answer["targets"]:
            why = f": {target['reason']}" if target["reason"] else ""
            line = f"  {target['label']} at {target['position_m']} m in {answer['frame']} ({target['depth_status']}){why}"
            print(printable(line))
    for grasp in map(grasp_to_dict, result.grasps):
        print(json.dumps(grasp) if options.json else printable(_grasp_sentence(grasp)))
    return 0


def _grasp_sentence(grasp: dict[str, Any]) -> str:
    where = f"at {grasp['position_m']} m in {grasp['frame']}, turned {grasp['quaternion_xyzw']} (x, y, z, w)"
    return f"  grasp the {grasp['label']} {where}, {grasp['width_m'] * 1e3:.0f} mm wide, quality {grasp['quality']:.2f}"


if __name__ == "__main__":
    sys.exit(main())
