"""A blocking client of teaching: `TeachClient().teach("my mug")`, and the list of taught objects."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from molmo_point_msgs.action import Teach
from molmo_point_msgs.msg import TaughtObject
from molmo_point_msgs.srv import ForgetTaught, ListTaught
from rclpy.node import Node

from molmo_point.errors import InputError
from molmo_point.text_checks import printable
from molmo_point_ros.clients.action_caller import ActionCaller, duration_message
from molmo_point_ros.clients.client_run import node_name, parse_options, run_client, seconds, tell
from molmo_point_ros.conversions.field_checks import checked_timeout_s
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError, answered
from molmo_point_ros.teaching.teach_request import FIT_S, MASKS

_SERVICE_S = 10.0


class TeachClient(ActionCaller):
    """Teaches objects to a pointing node, lists and forgets them.

    Args:
        node: Your node; see `ActionCaller`.
        server: Name of the pointing node, relative to the node's namespace, or absolute.
    """

    def __init__(self, node: Node | None = None, server: str = "molmo_point") -> None:
        super().__init__(Teach, f"{server}/teach", node)
        self._list = self.node.create_client(ListTaught, f"{server}/list_taught")
        self._forget = self.node.create_client(ForgetTaught, f"{server}/forget_taught")

    def teach(
        self,
        name: str,
        *,
        mask_from: str = "region",
        at: tuple[float, float] | None = None,
        query: str = "",
        aliases: Sequence[str] = (),
        categories: Sequence[str] = (),
        views: int = 0,
        add: bool = False,
        timeout_s: float = 60.0,
        on_feedback: Callable[[Teach.Feedback], None] | None = None,
    ) -> TaughtObject:
        """Teach an object that is shown to the camera, and wait until it is learnt.

        Args:
            name: Its name, e.g. "my mug".
            mask_from: "region": the object on its support, by depth; "difference": whatever differs from the scene at the
                start; "words": the object that `query` points at.
            at: Pixel (u, v) of the object in the image of the camera, with "region"; None is the only object.
            query: Words for the model below, with "words".
            aliases: Other names of this object.
            categories: Words that it shares with others, e.g. "mug".
            views: Good views to take; 0 = 5.
            add: True adds views to an object of this name.
            timeout_s: Timeout in seconds for all views, including the wait for the node; the fit comes after it.
            on_feedback: Called with every feedback message, in the thread that spins the node.

        Raises:
            GoalError: Nothing was learnt; `code` is one of `ErrorCode`.
            InputError: `mask_from` is not one of these, or a list is one string.
        """
        if mask_from not in MASKS:
            raise InputError(f"mask_from must be one of: {', '.join(MASKS)}", repr(mask_from)[:50], "name one")
        for field, words in (("aliases", aliases), ("categories", categories)):
            if isinstance(words, str):
                raise InputError(f"{field} must be a list of words", repr(words)[:80], "give e.g. ['mug']")
        u, v = (float("nan"), float("nan")) if at is None else at
        goal = Teach.Goal(name=name, mask_from=MASKS[mask_from], u=float(u), v=float(v), query=query, views=views, add=add)
        goal.aliases, goal.categories = list(aliases), list(categories)

        def in_time(left_s: float) -> Teach.Goal:
            goal.timeout = duration_message(max(left_s - FIT_S, 0.05))
            return goal

        checked_timeout_s(timeout_s)
        return answered(self.call(in_time, timeout_s + FIT_S, on_feedback)).object

    def taught(self, *, thumbnails: bool = False, timeout_s: float = _SERVICE_S) -> list[TaughtObject]:
        """List the taught objects of the node.

        Args:
            thumbnails: True also asks for a picture of each.
            timeout_s: Timeout in seconds.

        Raises:
            GoalError: LIBRARY_ERROR if the node has no library that can be read; TIMEOUT without an answer.
        """
        return list(self._asked(self._list, ListTaught.Request(thumbnails=thumbnails), timeout_s).objects)

    def forget(self, name: str, *, timeout_s: float = _SERVICE_S) -> None:
        """Forget a taught object.

        Raises:
            GoalError: LIBRARY_ERROR if it is not known, or cannot be forgotten; TIMEOUT without an answer.
        """
        self._asked(self._forget, ForgetTaught.Request(name=name), timeout_s)

    def _asked(self, client: Any, request: Any, timeout_s: float) -> Any:
        checked_timeout_s(timeout_s)
        if not client.wait_for_service(timeout_sec=timeout_s):
            raise GoalError(ErrorCode.TIMEOUT, "No node serves this service", client.srv_name, "start it, or name it")
        response = client.call(request, timeout_sec=timeout_s)
        if response is None:
            raise GoalError(ErrorCode.TIMEOUT, "The node did not answer in time", f"{timeout_s:g} s", "see its log")
        if not response.success:
            raise GoalError(ErrorCode.LIBRARY_ERROR, response.message)
        return response


def main(args: Sequence[str] | None = None) -> int:
    """Teach, list or forget on the command line. Returns 0, or the action's error code (at most 125)."""
    parser = argparse.ArgumentParser(description="Teach an object to the pointing node by showing it, and tell what is learnt.")
    parser.add_argument("name", nargs="?", help="name of the object; without it, the taught objects are listed")
    parser.add_argument("--forget", action="store_true", help="forget the object instead")
    parser.add_argument("--from", dest="mask_from", choices=tuple(MASKS), default="region", help="how the object is found")
    parser.add_argument("--at", nargs=2, type=float, metavar=("U", "V"), help="pixel of the object, with --from region")
    parser.add_argument("--query", default="", help="words for the model below, with --from words")
    parser.add_argument("--alias", action="append", default=[], help="another name; may be repeated")
    parser.add_argument("--category", action="append", default=[], help="a word that it shares with others; may be repeated")
    parser.add_argument("--views", type=int, default=0, help="good views to take (default 5)")
    parser.add_argument("--add", action="store_true", help="add views to an object of this name")
    parser.add_argument("--timeout", type=seconds, default=60.0, help="seconds")
    parser.add_argument("--server", type=node_name, default="molmo_point", help="name of the pointing node")
    arguments, options = parse_options(parser, "teach", args)
    if options.forget and not options.name:
        parser.error("--forget needs the name of an object")
    if options.views < 0:
        parser.error("--views must not be negative")
    return run_client(arguments, lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    with TeachClient(server=options.server) as client:
        if options.forget:
            client.forget(options.name, timeout_s=options.timeout)
            print(printable(f"forgotten: {options.name}"))
            return 0
        if not options.name:
            for each in client.taught(timeout_s=options.timeout):
                print(printable(described(each)))
            return 0
        learnt = client.teach(
            options.name,
            mask_from=options.mask_from,
            at=options.at,
            query=options.query,
            aliases=options.alias,
            categories=options.category,
            views=options.views,
            add=options.add,
            timeout_s=options.timeout,
            on_feedback=_Progress(),
        )
    print(printable(described(learnt)))
    return 0


class _Progress:
    """Prints a line for every change of the feedback."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, feedback: Teach.Feedback) -> None:
        words = [f"{feedback.views} good views", feedback.refusal and f"refused: {feedback.refusal}", feedback.advice]
        line = "; ".join(filter(None, words))
        if line != self._last:
            self._last = line
            tell(printable(line), sys.stderr)


def described(taught: TaughtObject) -> str:
    """Return one line about a taught object."""
    words = [f"{taught.name}: {taught.views} views"]
    words += [f"also {', '.join(taught.aliases)}"] if taught.aliases else []
    words += [f"a {', a '.join(taught.categories)}"] if taught.categories else []
    words += [f"found again in {taught.found_rate:.0%} of left-out views"] if taught.found_rate == taught.found_rate else []
    words += [f"looks like {', '.join(taught.looks_like)}"] if taught.looks_like else []
    return "; ".join(words)


if __name__ == "__main__":
    sys.exit(main())
