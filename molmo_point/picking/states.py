"""What a pick goes through, how it can fail, and what it hands back."""

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from molmo_point.grasp.candidates import GraspCandidate
from molmo_point.results import Target


class PickState(enum.IntEnum):
    """What is being done; the numbers are those of PickObject.action, and PLACE comes after them."""

    POINTING = 0
    PLANNING = 1
    APPROACH = 2
    VERIFY_POINT = 3
    """Look again from the stand-off."""
    GRASP = 4
    LIFT = 5
    VERIFY_LIFT = 6
    PLACE = 7


class PickFailure(enum.Enum):
    """Why nothing was picked or placed."""

    NOT_FOUND = "NOT_FOUND"
    """The model points at nothing."""
    WRONG_OBJECT = "WRONG_OBJECT"
    """Looks from different places do not agree on which thing is meant, or it has no inside to put something in."""
    NO_DEPTH = "NO_DEPTH"
    """The model points at it, but there is no usable depth there."""
    NO_GRASP = "NO_GRASP"
    """The gripper has no way to take it, or there is no room where it is to be put."""
    UNREACHABLE = "UNREACHABLE"
    """The arm cannot get there."""
    SLIPPED = "SLIPPED"
    """The fingers closed on nothing, lost it on the way, or it is not where it was let go."""
    COLLISION = "COLLISION"
    """Every way there would touch something, or the arm was held up by something."""
    CANCELLED = "CANCELLED"


@dataclass(frozen=True)
class PickEvent:
    """Something that happened on the way.

    Attributes:
        state: What is being done.
        attempt: Counted from 1.
        stamp_ns: By the arm's clock.
        message: In words: what is about to be done, or what was decided and why.
        target: Base frame, where there is one.
        grasp: Base frame, the one that was chosen, where there is one.
        candidates: All grasps that were found, base frame, best first.
    """

    state: PickState
    attempt: int
    stamp_ns: int
    message: str
    target: Target | None = None
    grasp: GraspCandidate | None = None
    candidates: tuple[GraspCandidate, ...] = ()


OnState = Callable[[PickEvent], None]


@dataclass(frozen=True, eq=False)
class PickResult:
    """What became of a pick.

    Attributes:
        query: What was asked for.
        success: It was lifted, or with `dry_run` it could have been.
        failure: Why not; None with success.
        message: In words: what was done, or what is wrong and what to do about it.
        attempts: How many there were.
        dry_run: Whether nothing was to move.
        target: Of the last attempt, base frame; None when nothing was found.
        grasp: Carried out, or planned with `dry_run`, base frame; None when there was none.
        width_m: Between the fingers at the end, metres.
        holding: What the gripper holds, as it was asked for; "" when it holds nothing.
        events: Everything that happened, in order.
        simulated_s: Seconds by the arm's clock that each state took, all attempts together.
        wall_s: Seconds of the computer's clock, likewise.
    """

    query: str
    success: bool
    failure: PickFailure | None
    message: str
    attempts: int
    dry_run: bool = False
    target: Target | None = None
    grasp: GraspCandidate | None = None
    width_m: float = math.nan
    holding: str = ""
    events: tuple[PickEvent, ...] = ()
    simulated_s: Mapping[PickState, float] = field(default_factory=dict)
    wall_s: Mapping[PickState, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "query": self.query,
            "success": self.success,
            "failure": None if self.failure is None else self.failure.value,
            "message": self.message,
            "attempts": self.attempts,
            "dry_run": self.dry_run,
            "target": None if self.target is None else self.target.to_dict(),
            "grasp": None if self.grasp is None else self.grasp.to_dict(),
            "width_m": self.width_m if math.isfinite(self.width_m) else None,
            "holding": self.holding,
            "events": [_event(event) for event in self.events],
            "simulated_s": {state.name: seconds for state, seconds in self.simulated_s.items()},
            "wall_s": {state.name: seconds for state, seconds in self.wall_s.items()},
        }


@dataclass(frozen=True, eq=False)
class PlaceResult:
    """What became of placing what was held.

    Attributes:
        where: What was asked for, in words.
        success: It was let go at the place, and the fixed camera does not say otherwise.
        failure: Why not; None with success.
        message: In words; with success also whether the fixed camera sees it there.
        position_m: (x, y, z) where the grasp frame was when the fingers opened, base frame; None before.
        holding: What the gripper still holds; "" when it holds nothing.
        events: Everything that happened, in order.
        simulated_s: Seconds by the arm's clock.
        wall_s: Seconds of the computer's clock.
    """

    where: str
    success: bool
    failure: PickFailure | None
    message: str
    position_m: tuple[float, float, float] | None = None
    holding: str = ""
    events: tuple[PickEvent, ...] = ()
    simulated_s: float = 0.0
    wall_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "where": self.where,
            "success": self.success,
            "failure": None if self.failure is None else self.failure.value,
            "message": self.message,
            "position_m": None if self.position_m is None else list(self.position_m),
            "holding": self.holding,
            "events": [_event(event) for event in self.events],
            "simulated_s": self.simulated_s,
            "wall_s": self.wall_s,
        }


def _event(event: PickEvent) -> dict[str, Any]:
    return {
        "state": event.state.name,
        "attempt": event.attempt,
        "stamp_ns": event.stamp_ns,
        "message": event.message,
        "target": None if event.target is None else event.target.to_dict(),
    }
