"""States of a pick, reasons for its failure, and outcomes of picking and placing."""

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from molmo_point.grasp.candidates import GraspCandidate
from molmo_point.plain_json import plain_json
from molmo_point.results import Target


class PickState(enum.IntEnum):
    """Steps of a pick and of placing; the numbers are those of PickObject.action."""

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
    """Reason for picking or placing nothing."""

    NOT_FOUND = "NOT_FOUND"
    """The model points at nothing."""
    WRONG_OBJECT = "WRONG_OBJECT"
    """Views do not agree on one object, or the object has no inside to put something in."""
    UNTRUSTED = "UNTRUSTED"
    """The model's answer bears a caution that the caller did not accept, or its confidence is too low."""
    NO_DEPTH = "NO_DEPTH"
    """The model points at a pixel without usable depth, or a camera does not measure the table."""
    NO_GRASP = "NO_GRASP"
    """The gripper cannot take the object, or the place has no room for it."""
    UNREACHABLE = "UNREACHABLE"
    """The arm cannot reach the object or the place."""
    SLIPPED = "SLIPPED"
    """The fingers closed on nothing or lost the object, or it is not where it was released."""
    COLLISION = "COLLISION"
    """Every path would touch something, or something blocked the arm."""
    CANCELLED = "CANCELLED"
    """The caller or a stop ended it."""
    STALE_FRAME = "STALE_FRAME"
    """A camera gives no frame of after the last motion: it is frozen, repeats frames, or is too late."""
    CAMERA_FAILED = "CAMERA_FAILED"
    """A camera raised an error, or gives no frames."""
    MODEL_FAILED = "MODEL_FAILED"
    """The model raised an error, or gave an answer that is no answer."""
    ARM_FAILED = "ARM_FAILED"
    """The arm or its gripper raised an error, reports NaN, or does not get where it was sent."""
    NO_TRANSFORM = "NO_TRANSFORM"
    """The pose of a camera is unknown, or jumped."""
    GRIPPER_NOT_EMPTY = "GRIPPER_NOT_EMPTY"
    """An unknown object is between the fingers; `Picker.release` lets it go."""
    UNEXPECTED = "UNEXPECTED"
    """Any other error."""


@dataclass(frozen=True)
class PickEvent:
    """An action or a decision during a pick.

    Attributes:
        state: The step that it belongs to.
        attempt: Number of the attempt, from 1.
        stamp_ns: Time by the arm's clock, nanoseconds.
        message: The next action, or the decision with its reason, for people.
        target: Target, base frame; None without one.
        grasp: Chosen grasp, base frame; None without one.
        candidates: All grasps found, base frame, best first.
    """

    state: PickState
    attempt: int
    stamp_ns: int
    message: str
    target: Target | None = None
    grasp: GraspCandidate | None = None
    candidates: tuple[GraspCandidate, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, without the grasps."""
        return {name: _plain(value) for name, value in vars(self).items() if name not in ("grasp", "candidates")}


OnState = Callable[[PickEvent], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """Outcome of picking or placing.

    Attributes:
        failure: Reason for the failure; None is success.
        message: The result, or the problem and its fix, for people.
        holding: Query of the object in the gripper at the end; "" is an empty gripper.
        events: All events, in order.
        arm_s: Duration of each state by the arm's clock, seconds, all attempts together.
        wall_s: Duration of each state by the computer's clock, seconds, all attempts together.
    """

    failure: PickFailure | None
    message: str
    holding: str = ""
    events: tuple[PickEvent, ...] = ()
    arm_s: Mapping[PickState, float] = field(default_factory=dict)
    wall_s: Mapping[PickState, float] = field(default_factory=dict)

    @property
    def success(self) -> bool:
        """True without a failure."""
        return self.failure is None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"success": self.success, **{name: _plain(value) for name, value in vars(self).items()}}


@dataclass(frozen=True, eq=False, kw_only=True)
class PickResult(Outcome):
    """Outcome of a pick; a dry run succeeds if the object could have been lifted.

    Attributes:
        query: Words for the object.
        attempts: Number of attempts.
        dry_run: True if nothing was to move.
        target: Target of the last attempt, base frame; None if nothing was found.
        grasp: Executed or, in a dry run, planned grasp, base frame; None without one.
        width_m: Distance between the fingers at the end, meters; NaN is unknown.
    """

    query: str
    attempts: int
    dry_run: bool = False
    target: Target | None = None
    grasp: GraspCandidate | None = None
    width_m: float = math.nan


@dataclass(frozen=True, eq=False, kw_only=True)
class PlaceResult(Outcome):
    """Outcome of placing the object in the gripper.

    Attributes:
        where: Words for the place.
        position_m: (x, y, z) of the grasp frame at the release, meters, base frame; None before the release.
        found_container: True if the place was measured as a container.
        seen: True if the fixed camera sees the object at its place, False if it sees that nothing is there; None if it
            does not see the place, or nothing was released.
    """

    where: str
    position_m: tuple[float, float, float] | None = None
    found_container: bool = False
    seen: bool | None = None


def _plain(value: Any) -> Any:
    """JSON-able form of a value of an event or an outcome; enums by their names."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, PickEvent | Target | GraspCandidate):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {state.name: seconds for state, seconds in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple) else plain_json(value)
