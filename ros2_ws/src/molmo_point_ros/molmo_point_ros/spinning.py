"""Spins an executor that outlives single failures, as a node that a robot relies on must."""

import time
import traceback
from typing import Any

from rclpy.executors import Executor, ExternalShutdownException

MOST_FAILURES, WITHIN_S = 50, 5.0


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
