"""Start a node, or log the reason why not, and spin it through single failures."""

import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.logging import get_logger

MOST_FAILURES, WITHIN_S = 50, 5.0
InvalidHandle = rclpy_implementation.InvalidHandle


def make_node(name: str, args: Sequence[str] | None, make: Callable[[], Any]) -> Any:
    """Start ROS and make a node. Returns None, with the reason in the log, if arguments or machine do not allow it.

    Args:
        name: Name of the logger.
        args: Arguments of ROS; None takes those of the program.
        make: Makes the node. A refused parameter, or security without its keys or DDS, is logged without a traceback.
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

    rclpy ends a spin with any error in it. An entity destroyed during cleanup makes one wait fail, and so may a response
    to a client that has vanished. Such a failure is logged, and spinning continues.

    Args:
        executor: The executor, with its nodes added.
        node: Node whose logger and context are used.

    Raises:
        KeyboardInterrupt: On a signal that ROS does not handle.
        Exception: The last of `MOST_FAILURES` failures in `WITHIN_S` seconds.
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
            if isinstance(error, InvalidHandle):
                node.get_logger().debug(f"spinning continues after: {error!r}")
            else:
                node.get_logger().error(f"spinning continues after an unexpected failure:\n{traceback.format_exc()}")
