"""Subscribers that print the targets of the pointing node: one of PointStamped alone, and one of whole answers.

`PointPrinter` is an example for the program of an arm; it imports none of our messages.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from geometry_msgs.msg import PointStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from molmo_point.text_checks import printable
from molmo_point_ros.clients.client_run import node_name, parse_options, run_client, seconds

Emit = Callable[[dict[str, Any]], None]


class PointPrinter(Node):
    """Prints positions with frame and capture time; an example for an arm."""

    def __init__(self, server: str, emit: Emit) -> None:
        super().__init__("point_printer")
        self._emit = emit
        self.create_subscription(PointStamped, f"{server}/target_point", self._on_point, 10)

    def _on_point(self, message: PointStamped) -> None:
        stamp_ns = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
        position_m = [message.point.x, message.point.y, message.point.z]
        self._emit({"type": "point", "stamp_ns": stamp_ns, "frame": message.header.frame_id, "position_m": position_m})


class TargetPrinter(Node):
    """Prints whole answers: every target with its covariance, or the reason for a missing position."""

    def __init__(self, server: str, emit: Emit) -> None:
        super().__init__("target_printer")
        from molmo_point_msgs.msg import PointTargetArray

        from molmo_point_ros.outputs.message_text import targets_to_dict

        self.create_subscription(PointTargetArray, f"{server}/targets", lambda message: emit(targets_to_dict(message)), 10)


def main(args: Sequence[str] | None = None) -> int:
    """Print messages until `--count` of each kind have arrived. Returns 1 if they do not arrive in time."""
    parser = argparse.ArgumentParser(description="Print what the pointing node publishes.")
    parser.add_argument("--server", type=node_name, default="molmo_point", help="name of the pointing node")
    parser.add_argument("--only", choices=("point", "targets"), help="subscribe to ~/target_point or ~/targets alone")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--count", type=int, default=0, help="end after so many messages of each kind; 0: never")
    parser.add_argument("--timeout", type=seconds, default=0.0, help="end after so many seconds, with 1; 0: never")
    arguments, options = parse_options(parser, "subscriber", args)
    counts = dict.fromkeys((options.only,) if options.only else ("point", "targets"), 0)

    def emit(message: dict[str, Any]) -> None:
        counts[message["type"]] += 1
        print(json.dumps(message) if options.json else printable(_sentence(message), keep="\n"), flush=True)

    return run_client(arguments, lambda: _listen(options, counts, emit))


def _listen(options: argparse.Namespace, counts: dict[str, int], emit: Emit) -> int:
    kinds = {"point": PointPrinter, "targets": TargetPrinter}
    executor = SingleThreadedExecutor()
    nodes = [kinds[kind](options.server, emit) for kind in counts]
    for node in nodes:
        executor.add_node(node)
    print(f"listening to {options.server}", file=sys.stderr, flush=True)
    deadline_s = time.monotonic() + options.timeout if options.timeout > 0 else float("inf")
    try:
        while not options.count or min(counts.values()) < options.count:
            if time.monotonic() > deadline_s:
                print(f"received {counts} in {options.timeout:g} s", file=sys.stderr)
                return 1
            executor.spin_once(timeout_sec=0.1)
    finally:
        executor.shutdown(timeout_sec=1.0)
        for node in nodes:
            node.destroy_node()
    return 0


def _sentence(message: dict[str, Any]) -> str:
    where = f"in {message['frame']}, captured at {message['stamp_ns'] * 1e-9:.3f} s"
    if message["type"] == "point":
        return f"point {_text(message['position_m'])} {where}"
    from molmo_point_ros.outputs.message_text import not_trusted

    lines = [f"targets for {message['query']!r} {where}: {'not in the image' if message['absent'] else len(message['targets'])}"]
    lines += [f"  {doubt}"] if (doubt := not_trusted(message)) else []
    for target in message["targets"]:
        lines.append(f"  {target['label']}: {_text(target['position_m'])}, depth {target['depth_status']}")
    return "\n".join(lines)


def _text(position_m: list[float | None]) -> str:
    if None in position_m:
        return "no position"
    return "(" + ", ".join(f"{value:+.4f}" for value in position_m) + ") m"


if __name__ == "__main__":
    sys.exit(main())
