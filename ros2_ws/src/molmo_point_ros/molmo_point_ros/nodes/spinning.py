"""Starts a node with a reason where it cannot, and spins it so that it outlives single failures."""

import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.logging import get_logger

MOST_FAILURES, WITHIN_S = 50, 5.0


def make_node(name: str, args: Sequence[str] | None, make: Callable[[], Any]) -> Any:
    """Start ROS and make a node. None, with the reason in the log, where the arguments or the machine do not allow it.

    Args:
        name: Of the logger.
        args: ROS's arguments; None takes the program's.
        make: Makes the node. A parameter out of its range, and security without its keys (or without a DDS that has it), are
            the user's to mend and no reason for a traceback.
    """
    try:
        rclpy.init(args=None if args is None else list(args))
        return make()
    except (ParameterException, RuntimeError) as error:
        get_logger(name).fatal(f"cannot start: {' '.join(str(error).split())}")
        rclpy.try_shutdown()
        return None


def spin(executor: Executor, node: Any) -> None:
    """Execute callbacks until ROS ends.

    rclpy ends a spin with whatever goes wrong in it. An entity that is destroyed (in cleanup, say) while the executor
    prepares its next wait makes that one wait fail, and a response to a client that has vanished may fail: both are no
    reason to end. Such a failure is logged, and spinning goes on.

    Args:
        executor: With its nodes added.
        node: Whose logger and context are used.

    Raises:
        KeyboardInterrupt: By a signal, where ROS does not handle it.
        Exception: The last failure, after `MOST_FAILURES` of them in `WITHIN_S` seconds: then something is broken for good.
    """
    failures_s: list[float] = []
    while node.context.ok():
        try:
            executor.spin()
            return
        except ExternalShutdownException:
            return
        except Exception as error:
            if not node.context.ok():
                return
            now_s = time.monotonic()
            failures_s = [at_s for at_s in failures_s if now_s - at_s < WITHIN_S] + [now_s]
            if len(failures_s) >= MOST_FAILURES:
                raise
            if type(error).__name__ == "InvalidHandle":
                node.get_logger().debug(f"spinning goes on after: {error!r}")
            else:
                node.get_logger().error(f"spinning goes on after an unexpected failure:\n{traceback.format_exc()}")
