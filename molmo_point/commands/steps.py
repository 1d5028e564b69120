"""The steps that a command consists of."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

MOST_REPEATS = 20
"""Largest number of repetitions of a pick, for a number of objects and for "all"."""


class Relation(str, Enum):
    """Place of an object.

    IN, ON and NEXT_TO need another object, named in words. HAND_OVER is the zone where a person takes the object, ASIDE the
    zone for cleared objects.
    """

    IN = "in"
    ON = "on"
    NEXT_TO = "next to"
    HAND_OVER = "hand over"
    ASIDE = "aside"

    @property
    def needs_place(self) -> bool:
        """True if the relation needs another object."""
        return self in (Relation.IN, Relation.ON, Relation.NEXT_TO)


@dataclass(frozen=True)
class PickStep:
    """Pick up an object.

    Attributes:
        what: The object in the speaker's words, without article: a query for `Pointer.point`.
        every: True repeats this step and the `PlaceStep` after it until no object is left.
    """

    what: str
    every: bool = False


@dataclass(frozen=True)
class PlaceStep:
    """Place the object in the gripper.

    Attributes:
        relation: Place relative to `where`.
        where: Another object in words; "" if the relation needs none.
    """

    relation: Relation
    where: str = ""


@dataclass(frozen=True)
class CountStep:
    """Count the objects `what`."""

    what: str


@dataclass(frozen=True)
class PointStep:
    """Point at the objects `what`, and move nothing."""

    what: str


@dataclass(frozen=True)
class StopStep:
    """Stop moving, now; always alone in its command."""


Step: TypeAlias = PickStep | PlaceStep | CountStep | PointStep | StopStep


@dataclass(frozen=True)
class Command:
    """An understood command.

    Attributes:
        text: Text of the command.
        steps: Steps in order; at least one.
        corrections: Misspelled verbs with their corrections, such as ("pikc", "pick").
    """

    text: str
    steps: tuple[Step, ...]
    corrections: tuple[tuple[str, str], ...] = ()

    @property
    def is_stop(self) -> bool:
        """True if the command is a stop."""
        return isinstance(self.steps[0], StopStep)

    @property
    def moves(self) -> bool:
        """True if a step moves the arm."""
        return any(isinstance(step, (PickStep, PlaceStep)) for step in self.steps)

    def paired(self) -> Iterator[tuple[Step, PlaceStep | None]]:
        """Yield the steps in order, each `PickStep` together with the `PlaceStep` right after it; other steps with None."""
        for before, step, after in zip((None, *self.steps), self.steps, (*self.steps[1:], None), strict=False):
            if isinstance(step, PickStep) and isinstance(after, PlaceStep):
                yield step, after
            elif not (isinstance(before, PickStep) and isinstance(step, PlaceStep)):
                yield step, None

    def describe(self) -> str:
        """Steps in words, for a log or a caption: "pick the red mug, then put it in the bowl"."""
        return ", then ".join(describe_step(step) for step in self.steps)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form: text, steps (each with its "do"), corrections."""
        return {
            "text": self.text,
            "steps": [step_to_dict(step) for step in self.steps],
            "corrections": [list(pair) for pair in self.corrections],
        }


_NAMES = {PickStep: "pick", PlaceStep: "place", CountStep: "count", PointStep: "point", StopStep: "stop"}


def step_to_dict(step: Step) -> dict[str, Any]:
    """JSON-able form of a step: its kind as "do", and its attributes."""
    values = {name: value.value if isinstance(value, Relation) else value for name, value in vars(step).items()}
    return {"do": _NAMES[type(step)], **values}


def describe_step(step: Step) -> str:
    """Describe a step in words."""
    if isinstance(step, PickStep):
        return f"pick {'all ' + step.what if step.every else _the(step.what)}"
    if isinstance(step, CountStep):
        return f"count {step.what}"
    if isinstance(step, PointStep):
        return f"point at {step.what}"
    if isinstance(step, StopStep):
        return "stop"
    if step.relation is Relation.HAND_OVER:
        return "hand it over"
    return "put it aside" if step.relation is Relation.ASIDE else f"put it {step.relation.value} {_the(step.where)}"


def _the(name: str) -> str:
    return name if name.lower().startswith(("the ", "a ", "an ", "all ", "my ", "your ", "our ")) else f"the {name}"
