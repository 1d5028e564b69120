"""Waiting for a frame without blocking a callback, and the error if none comes."""

import threading
import time
from collections.abc import Callable
from typing import Any

from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError

_CHECK_S = 0.05


class FrameWait:
    """Wakes the threads that wait for a frame."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def wake(self) -> None:
        """Let every waiting thread look for its frame."""
        with self._condition:
            self._condition.notify_all()

    def until(self, found: Callable[[], Any], timeout_s: float, should_stop: Callable[[], bool]) -> Any:
        """Return the value of `found` as soon as it is not None; None after the timeout or when told to stop."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._condition:
                value = found()
                left = deadline - time.monotonic()
                if value is not None or left <= 0 or should_stop():
                    return value
                self._condition.wait(min(left, _CHECK_S))


def too_old(newest_ns: int | None, after_ns: int, waited: str) -> GoalError:
    """Return the error for a newest image that was captured too early, or that never came."""
    if newest_ns is None:
        return GoalError(ErrorCode.NO_IMAGE, "No image has arrived", waited, "check the camera")
    age = f"newest image {(after_ns - newest_ns) * 1e-9:.3f} s too old, {waited}"
    fix = "start the camera, synchronize its clock with this node's, or send the goal with use_next_image false"
    return GoalError(ErrorCode.NO_IMAGE, "No image was captured late enough", age, fix)
