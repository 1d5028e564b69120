"""One model for goals and for continuous mode: goals go first. No ROS in here."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_CHECK_S = 0.05


class ModelShare:
    """Turns at the model. Safe to use from several threads."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._taken = False
        self._goals = 0

    @contextmanager
    def goal_turn(self, should_stop: Callable[[], bool]) -> Iterator[bool]:
        """Give a goal its turn as soon as the model is free; continuous mode must release the model.

        Yields:
            True in the turn; False when told to stop while waiting.
        """
        with self._condition:
            self._goals += 1
        had = False
        try:
            had = self._take(should_stop, lambda: not self._taken)
            yield had
        finally:
            with self._condition:
                self._goals -= 1
            self._release(had)

    @contextmanager
    def spare_turn(self, should_stop: Callable[[], bool]) -> Iterator[bool]:
        """Give continuous mode its turn if no goal wants the model. Yields as `goal_turn`."""
        had = self._take(should_stop, lambda: not self._taken and not self._goals)
        try:
            yield had
        finally:
            self._release(had)

    @property
    def is_wanted(self) -> bool:
        """True if a goal has or waits for its turn: continuous mode must release the model."""
        return self._goals > 0

    def _take(self, should_stop: Callable[[], bool], is_free: Callable[[], bool]) -> bool:
        while not should_stop():
            with self._condition:
                if is_free():
                    self._taken = True
                    return True
                self._condition.wait(_CHECK_S)
        return False

    def _release(self, had: bool) -> None:
        with self._condition:
            if had:
                self._taken = False
            self._condition.notify_all()
