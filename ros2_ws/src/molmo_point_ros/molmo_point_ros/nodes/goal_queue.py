"""Order of the goals of a node: one at a time. No ROS in here."""

import threading
from abc import ABC, abstractmethod
from enum import Enum


class StopReason(Enum):
    """Reason for the end of a goal before its work is done; the value completes "The goal was stopped: ..."."""

    CANCELED = "canceled by the client"
    PREEMPTED = "preempted by a newer goal"
    TIMED_OUT = "its time is over"
    BUSY = "another goal is at work"
    STOP_SERVICE = "stopped by ~/stop"
    CLIENT_GONE = "its client is gone"
    DEACTIVATED = "the node was deactivated"
    SHUTDOWN = "the node shuts down"


class QueuedGoal(ABC):
    """A goal as the queue sees it."""

    @abstractmethod
    def start(self) -> None:
        """Begin in another thread. A goal that was not dropped ends with the queue's `done`."""

    @abstractmethod
    def stop(self, reason: StopReason) -> None:
        """Ask for the end, before or after the start. Only the first reason counts."""


class GoalQueue:
    """The running goal, and the newest one that waits for its end.

    A dropped goal is told the reason and started, so that it can end with a result.

    Args:
        preempts: True stops the running goal for a newer one; false drops the newer one while one runs.
    """

    def __init__(self, preempts: bool = True) -> None:
        self._preempts = preempts
        self._lock = threading.Lock()
        self._running: QueuedGoal | None = None
        self._waiting: QueuedGoal | None = None
        self._closed: StopReason | None = None

    def submit(self, goal: QueuedGoal) -> None:
        """Start the goal now if none runs; otherwise let it wait or drop it, see `preempts`."""
        reason = StopReason.PREEMPTED if self._preempts else StopReason.BUSY
        with self._lock:
            if self._closed is not None:
                goal.stop(self._closed)
            running, dropped = self._running, None
            if running is None:
                self._running = goal
            elif self._preempts:
                dropped, self._waiting = self._waiting, goal
            else:
                dropped = goal
        if running is None:
            goal.start()
            return
        if self._preempts:
            running.stop(reason)
        if dropped is not None:
            dropped.stop(reason)
            dropped.start()

    def done(self, goal: QueuedGoal) -> None:
        """Take note of the end of a goal, and start the waiting one."""
        with self._lock:
            if self._running is not goal:
                return
            self._running, self._waiting = self._waiting, None
            following = self._running
        if following is not None:
            following.start()

    def running(self) -> QueuedGoal | None:
        """Return the goal that runs."""
        return self._running

    def close(self, reason: StopReason) -> None:
        """As `stop_all`, for goals that are submitted later, too: a goal may be on its way here."""
        self._closed = reason
        self.stop_all(reason)

    def stop_all(self, reason: StopReason) -> None:
        """Ask the running and the waiting goal to end."""
        with self._lock:
            goals = [goal for goal in (self._running, self._waiting) if goal is not None]
        for goal in goals:
            goal.stop(reason)
