"""One goal at a time; a newer one preempts. No ROS in here."""

import threading
from typing import Protocol

PREEMPTED = "preempted"


class Run(Protocol):
    """A goal as the queue sees it."""

    def start(self) -> None:
        """Begin in another thread; the queue's `done` is called at the end of a run that was not dropped."""
        ...

    def stop(self, reason: str) -> None:
        """Ask for the end, before or after the start. Only the first reason counts."""
        ...


class GoalQueue:
    """Keeps the running goal and the newest one that waits for it to end; what waited before that ends at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Run | None = None
        self._waiting: Run | None = None

    def submit(self, run: Run) -> None:
        """Start the run, now if nothing runs, otherwise when the running one, told to stop, has ended."""
        with self._lock:
            running, dropped = self._running, None
            if running is None:
                self._running = run
            else:
                dropped, self._waiting = self._waiting, run
        if running is None:
            run.start()
            return
        running.stop(PREEMPTED)
        if dropped is not None:
            dropped.stop(PREEMPTED)
            dropped.start()

    def done(self, run: Run) -> None:
        """A run has ended."""
        with self._lock:
            if self._running is not run:
                return
            self._running, self._waiting = self._waiting, None
            following = self._running
        if following is not None:
            following.start()

    def running(self) -> Run | None:
        """The goal that runs."""
        return self._running

    def stop_all(self, reason: str) -> None:
        """Ask the running and the waiting goal to end."""
        with self._lock:
            runs = [run for run in (self._running, self._waiting) if run is not None]
        for run in runs:
            run.stop(reason)
