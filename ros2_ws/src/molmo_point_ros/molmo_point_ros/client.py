"""A blocking client of the pointing node, for programs that want an answer and not a state machine.

`PointAtClient().point_at(["the red cube"]).results[0].targets` is all there is to it.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import rclpy
from builtin_interfaces.msg import Duration
from molmo_point_msgs.action import PointAt
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from molmo_point.errors import InputError, MolmoPointError
from molmo_point_ros.goal_error import CODES, GoalError, code_name
from molmo_point_ros.message_text import targets_to_dict

_CANCEL_GRACE_S = 5.0
_RESEND_S = 4.0


class PointAtCall:
    """A goal on its way.

    Attributes:
        feedback: Every feedback message so far.
    """

    def __init__(self, on_feedback: Callable[[PointAt.Feedback], None] | None) -> None:
        self.feedback: list[PointAt.Feedback] = []
        self._on_feedback = on_feedback
        self._handle: Any = None
        self._accepted = threading.Event()
        self._ended = threading.Event()
        self._result: PointAt.Result | None = None
        self._cancel_wanted = False

    def result(self, timeout_s: float | None = None) -> PointAt.Result:
        """Wait for the result, whatever its error code.

        Raises:
            GoalError: GOAL_REJECTED if the node did not take the goal, TIMEOUT if no result came in time.
        """
        if not self._ended.wait(timeout_s):
            raise GoalError(CODES.TIMEOUT, "No result came in time", f"{timeout_s:g} s", "see the pointing node's log")
        if self._result is None:
            raise GoalError(CODES.GOAL_REJECTED, "The node did not take the goal", "", "activate the pointing node")
        return self._result

    def wait_answered(self, timeout_s: float) -> bool:
        """Wait until the node has taken or rejected the goal. Returns whether it has."""
        return self._accepted.wait(timeout_s)

    def cancel(self) -> None:
        """Ask for the end; the result then comes soon, with the code CANCELED."""
        self._cancel_wanted = True
        if self._handle is not None:
            self._handle.cancel_goal_async()

    def _take_feedback(self, message: Any) -> None:
        self.feedback.append(message.feedback)
        if self._on_feedback is not None:
            self._on_feedback(message.feedback)

    def _take_handle(self, future: Any) -> None:
        handle = future.result()
        self._accepted.set()
        if handle is None or not handle.accepted:
            self._ended.set()
            return
        self._handle = handle
        if self._cancel_wanted:
            handle.cancel_goal_async()
        handle.get_result_async().add_done_callback(self._take_result)

    def _take_result(self, future: Any) -> None:
        response = future.result()
        self._result = None if response is None else response.result
        self._ended.set()


class PointAtClient:
    """Sends PointAt goals and waits for the answers.

    Args:
        node: A node of yours. If nothing spins it, the client does, in a thread of its own; None makes a node.
        server: Name of the pointing node, relative to the node's namespace, or absolute.
    """

    def __init__(self, node: Node | None = None, server: str = "molmo_point") -> None:
        self._own_node = node is None
        self.node = node or rclpy.create_node("molmo_point_client")
        self._client = ActionClient(self.node, PointAt, f"{server}/point_at")
        self._executor: SingleThreadedExecutor | None = None
        self._closed = False
        if self.node.executor is None:
            self._executor = SingleThreadedExecutor()
            self._executor.add_node(self.node)
            self._thread = threading.Thread(target=self._spin, name="point_at_client", daemon=True)
            self._thread.start()

    def _spin(self) -> None:
        # An entity that its owner destroys while the executor waits on it makes one wait fail, and only that one.
        while not self._closed and self.node.context.ok():
            try:
                self._executor.spin_once(timeout_sec=0.5)
            except Exception as error:
                if not self._closed and self.node.context.ok():
                    self.node.get_logger().warning(f"the client goes on after: {error!r}")

    def wait_for_server(self, timeout_s: float = 10.0) -> bool:
        """Wait until the pointing node is there. Returns whether it is."""
        return self._client.wait_for_server(timeout_sec=timeout_s)

    def send(
        self,
        queries: Sequence[str],
        *,
        target_frame: str = "",
        max_points: int = 0,
        use_next_image: bool = True,
        timeout_s: float = 0.0,
        on_feedback: Callable[[PointAt.Feedback], None] | None = None,
    ) -> PointAtCall:
        """Send a goal without waiting for it.

        Args:
            queries: What to point at, one or several phrases, answered on one image.
            target_frame: Frame of the positions; "" takes the node's parameter, else the optical frame.
            max_points: Per query; 0 takes the node's parameter.
            use_next_image: Wait for an image captured after the goal; otherwise take the newest.
            timeout_s: Time that the node may take; 0 takes its parameter.
            on_feedback: Called with every feedback message, in the thread that spins the node.

        Raises:
            InputError: If `queries` is one string, or empty.
        """
        if isinstance(queries, str) or not queries:
            raise InputError("The queries must be a list of phrases", repr(queries), "give e.g. ['the red cube']")
        goal = PointAt.Goal(queries=list(queries), target_frame=target_frame, use_next_image=use_next_image)
        goal.max_points = max_points
        goal.timeout = Duration(sec=int(timeout_s), nanosec=int((timeout_s % 1) * 1e9))
        call = PointAtCall(on_feedback)
        # In the executor's thread: rclpy loses a goal's response that another thread takes while the goal is being sent.
        self.node.executor.create_task(self._send, goal, call)
        return call

    def _send(self, goal: PointAt.Goal, call: PointAtCall) -> None:
        self._client.send_goal_async(goal, feedback_callback=call._take_feedback).add_done_callback(call._take_handle)

    def point_at(self, queries: Sequence[str], *, timeout_s: float = 60.0, **options: Any) -> PointAt.Result:
        """Point at things and wait for the answer.

        Args:
            queries: What to point at, one or several phrases, answered on one image.
            timeout_s: For the whole goal, waiting for the node included.
            **options: target_frame, max_points, use_next_image, on_feedback; see `send`.

        Returns:
            The result; `results` has one PointTargetArray per query.

        Raises:
            GoalError: If there is no answer; `code` is one of PointAt.Result's constants.
            InputError: As `send`.
        """
        started_s = time.monotonic()
        if not self.wait_for_server(timeout_s):
            name = self._client._action_name
            raise GoalError(CODES.TIMEOUT, "There is no pointing node", f"action {name}, {timeout_s:g} s", "start it, or name it")
        while True:
            left_s = max(timeout_s - (time.monotonic() - started_s), 0.05)
            call = self.send(queries, timeout_s=left_s, **options)
            # A server that has just been found may not have found this client: then its response goes nowhere.
            if call.wait_answered(min(left_s, _RESEND_S)) or left_s <= _RESEND_S:
                break
            call.cancel()
        try:
            result = call.result(left_s + _CANCEL_GRACE_S)
        except GoalError:
            call.cancel()
            raise
        if result.error_code != CODES.NONE:
            raise GoalError(result.error_code, result.error_msg or code_name(result.error_code))
        return result

    def close(self) -> None:
        """End the client; a node that was given stays, spun by nobody."""
        self._closed = True
        if self._executor is not None:
            self._executor.wake()
            self._thread.join(timeout=5.0)
            self._executor.remove_node(self.node)
            self._executor.shutdown(timeout_sec=2.0)
            self._client.destroy()
        else:
            # In the executor's thread: rclpy cannot destroy an action client that another thread waits on.
            self.node.executor.create_task(self._client.destroy)
        if self._own_node:
            self.node.destroy_node()

    def __enter__(self) -> "PointAtClient":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def main(args: Sequence[str] | None = None) -> int:
    """Ask the pointing node on the command line. Returns 0, or the action's error code (at most 125)."""
    parser = argparse.ArgumentParser(description="Ask the pointing node, and print the answer.")
    parser.add_argument("queries", nargs="+", help="what to point at")
    parser.add_argument("--server", default="molmo_point", help="name of the pointing node")
    parser.add_argument("--frame", default="", help="frame of the positions; the optical frame without it")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds")
    parser.add_argument("--json", action="store_true", help="one JSON object per query")
    arguments = list(sys.argv if args is None else ["point_at", *args])
    options = parser.parse_args(remove_ros_args(arguments)[1:])
    rclpy.init(args=arguments)
    try:
        with PointAtClient(server=options.server) as client:
            result = client.point_at(options.queries, timeout_s=options.timeout, target_frame=options.frame)
    except MolmoPointError as error:
        print(error, file=sys.stderr)
        return min(getattr(error, "code", 1), 125)
    finally:
        rclpy.try_shutdown()
    for array in result.results:
        answer = targets_to_dict(array)
        if options.json:
            print(json.dumps(answer))
            continue
        print(f"{array.query}: {'not there' if array.absent else f'{len(array.targets)} found'}")
        for target in answer["targets"]:
            print(f"  {target['label']} at {target['position_m']} m in {answer['frame']} ({target['depth_status']})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
