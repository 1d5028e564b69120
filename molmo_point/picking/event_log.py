"""Events of one pick or placing, the time of every state, and the exception that ends an attempt."""

import time
from collections.abc import Callable
from typing import Any

from molmo_point.arm.arm import Cancelled
from molmo_point.arm.joint_path import NoPath, NoPathReason
from molmo_point.arm.stop_latch import Permit
from molmo_point.grasp.candidates import GraspCandidate
from molmo_point.picking.states import OnState, PickEvent, PickFailure, PickState
from molmo_point.results import Target


class PickStopped(Exception):
    """Ends an attempt; never leaves this package.

    Args:
        failure: Reason.
        message: Reason in words, for people.
        again: True if another attempt may succeed.
    """

    def __init__(self, failure: PickFailure, message: str, again: bool = True) -> None:
        super().__init__(message)
        self.failure, self.message, self.again = failure, message, again

    def told(self, holding: str) -> str:
        """The reason, with the query of the object that stays in the gripper; "" is none."""
        return self.message + (f"; the gripper holds {holding!r}" if holding else "")


def no_path(*reasons: NoPath) -> PickStopped:
    """Make the exception for an attempt without a path.

    Args:
        reasons: Answers for all paths tried, at least one. A collision outranks a pose out of reach.
    """
    best = min(reasons, key=lambda each: each.reason is NoPathReason.UNREACHABLE)
    failure = PickFailure.UNREACHABLE if best.reason is NoPathReason.UNREACHABLE else PickFailure.COLLISION
    return PickStopped(failure, best.message)


def until(permit: Permit, cancelled: Cancelled | None) -> Cancelled:
    """Make the function that ends a command: True once its permit is revoked, or its caller cancels it."""
    return lambda: permit.revoked or (cancelled is not None and cancelled())


class EventLog:
    """Collects the events and durations of one pick or placing.

    Args:
        now_ns: The arm's clock.
        on_state: Called with every event.
        cancelled: Polled all the time; True ends the pick or placing. None is never cancelled.

    Attributes:
        events: All events so far.
        attempt: Number of the present attempt, from 1.
        arm_s: Duration of each state by the arm's clock, seconds.
        wall_s: Duration of each state by the computer's clock, seconds.
    """

    def __init__(self, now_ns: Callable[[], int], on_state: OnState | None, cancelled: Cancelled | None) -> None:
        self._now_ns, self._on_state, self.cancelled = now_ns, on_state, cancelled
        self.events: list[PickEvent] = []
        self.attempt = 1
        self.arm_s: dict[PickState, float] = {}
        self.wall_s: dict[PickState, float] = {}
        self._state: PickState | None = None
        self._since = (now_ns(), time.perf_counter())

    def note(
        self,
        state: PickState,
        message: str,
        *,
        target: Target | None = None,
        grasp: GraspCandidate | None = None,
        candidates: tuple[GraspCandidate, ...] = (),
    ) -> None:
        """Add an event; a new state begins with its first event."""
        if state is not self._state:
            self._close()
            self._state = state
        event = PickEvent(state, self.attempt, self._now_ns(), message, target, grasp, candidates)
        self.events.append(event)
        if self._on_state is not None:
            self._on_state(event)

    def note_end(self, state: PickState, stopped: PickStopped, target: Target | None = None) -> None:
        """Add the event of what ended it; an error of `on_state` must not hide it."""
        try:
            self.note(state, f"{stopped.failure.value}: {stopped.message}", target=target)
        except Exception:
            return

    def record(self) -> dict[str, Any]:
        """End the present state, and return events and durations by their names in `Outcome`."""
        self._close()
        return {"events": tuple(self.events), "arm_s": dict(self.arm_s), "wall_s": dict(self.wall_s)}

    def _close(self) -> None:
        now = (self._now_ns(), time.perf_counter())
        if self._state is not None:
            past_s = (now[0] - self._since[0]) * 1e-9
            self.arm_s[self._state] = self.arm_s.get(self._state, 0.0) + past_s
            self.wall_s[self._state] = self.wall_s.get(self._state, 0.0) + now[1] - self._since[1]
        self._since = now
