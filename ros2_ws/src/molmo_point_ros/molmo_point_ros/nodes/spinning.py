"""Spin a node through single failures."""

import threading
import time
import traceback
from typing import Any

from rclpy.executors import Executor, ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation

MOST_FAILURES, WITHIN_S = 50, 5.0
InvalidHandle = rclpy_implementation.InvalidHandle


def spin(executor: Executor, node: Any, ended: threading.Event | None = None) -> None:
    """Execute callbacks until ROS ends.

    rclpy ends a spin with any error in it. An entity destroyed during cleanup makes one wait fail, and so may a response
    to a client that has vanished. Such a failure is logged, and spinning continues.

    Args:
        executor: The executor, with its nodes added.
        node: Node whose logger and context are used.
        ended: Ends the spinning, too; a task must wake the executor after it was set.

    Raises:
        KeyboardInterrupt: On a signal that ROS does not handle.
        Exception: The last of `MOST_FAILURES` failures in `WITHIN_S` seconds.
    """
    failures_s: list[float] = []
    while node.context.ok() and not (ended is not None and ended.is_set()):
        try:
            if ended is None:
                executor.spin()
                return
            executor.spin_once()
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
