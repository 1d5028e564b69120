"""What happens during one pick or placing: events as they come, the time of every state, and the way out."""

import time
from collections.abc import Callable

from molmo_point.arm.joint_path import NoPath, NoPathReason
from molmo_point.grasp.candidates import GraspCandidate
from molmo_point.picking.states import OnState, PickEvent, PickFailure, PickState
from molmo_point.results import Target


class PickStopped(Exception):
    """Ends an attempt; never leaves this package.

    Args:
        failure: Why.
        message: In words.
        again: Whether another attempt may end otherwise.
    """

    def __init__(self, failure: PickFailure, message: str, again: bool = True) -> None:
        super().__init__(message)
        self.failure, self.message, self.again = failure, message, again


def no_path(*reasons: NoPath) -> PickStopped:
    """What ends an attempt for want of a path.

    Args:
        reasons: One for every path that was tried, at least one; what is in the way says more than what is out of reach.
    """
    best = min(reasons, key=lambda each: each.reason is NoPathReason.UNREACHABLE)
    failure = PickFailure.UNREACHABLE if best.reason is NoPathReason.UNREACHABLE else PickFailure.COLLISION
    return PickStopped(failure, best.message)


class Diary:
    """Keeps what happened.

    Args:
        now_ns: The arm's clock.
        on_state: Told every event.

    Attributes:
        events: So far.
        attempt: The present one, from 1.
        simulated_s: Seconds by the arm's clock in each state.
        wall_s: Seconds of the computer's clock in each state.
    """

    def __init__(self, now_ns: Callable[[], int], on_state: OnState | None) -> None:
        self._now_ns, self._on_state = now_ns, on_state
        self.events: list[PickEvent] = []
        self.attempt = 1
        self.simulated_s: dict[PickState, float] = {}
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
        """Something happened; a new state begins with its first note."""
        if state is not self._state:
            self.close()
            self._state = state
        event = PickEvent(state, self.attempt, self._now_ns(), message, target, grasp, candidates)
        self.events.append(event)
        if self._on_state is not None:
            self._on_state(event)

    def close(self) -> None:
        """Books the time of the present state."""
        now = (self._now_ns(), time.perf_counter())
        if self._state is not None:
            past_s = (now[0] - self._since[0]) * 1e-9
            self.simulated_s[self._state] = self.simulated_s.get(self._state, 0.0) + past_s
            self.wall_s[self._state] = self.wall_s.get(self._state, 0.0) + now[1] - self._since[1]
        self._since = now
