"""Waiting for a frame without holding up a callback, and what to say where none came."""

import threading
import time
from collections.abc import Callable
from typing import Any

from molmo_point_ros.nodes.goal_error import CODES, GoalError

_CHECK_S = 0.05


class Waiting:
    """Wakes whoever waits for something when something may have come."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def wake(self) -> None:
        """Something has come."""
        with self._condition:
            self._condition.notify_all()

    def until(self, found: Callable[[], Any], timeout_s: float, should_stop: Callable[[], bool]) -> Any:
        """What `found` returns as soon as it is not None; None after the time, or when told to stop."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._condition:
                value = found()
                left = deadline - time.monotonic()
                if value is not None or left <= 0 or should_stop():
                    return value
                self._condition.wait(min(left, _CHECK_S))


def too_old(newest_ns: int | None, after_ns: int, waited: str) -> GoalError:
    """The error where the newest image, if there is any, was captured before the one that is wanted."""
    if newest_ns is None:
        return GoalError(CODES.NO_IMAGE, "The camera has delivered no image", waited, "look at the camera")
    age = f"newest image {(after_ns - newest_ns) * 1e-9:.3f} s too old, {waited}"
    fix = "start the camera, synchronise its clock with this node's, or send the goal with use_next_image false"
    return GoalError(CODES.NO_IMAGE, "No image was captured late enough", age, fix)
