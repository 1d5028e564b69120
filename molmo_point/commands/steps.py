"""The steps that a command consists of."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

MOST_REPEATS = 20
"""How often a thing is picked at most, when a number of them is said and when "all" is said."""


class Relation(str, Enum):
    """Where a thing is put.

    IN, ON and NEXT_TO need another thing, named in words; HAND_OVER is the place where somebody takes it, ASIDE the
    place that is kept free for what is cleared away.
    """

    IN = "in"
    ON = "on"
    NEXT_TO = "next to"
    HAND_OVER = "hand over"
    ASIDE = "aside"

    @property
    def needs_place(self) -> bool:
        """Whether another thing has to be named."""
        return self in (Relation.IN, Relation.ON, Relation.NEXT_TO)


@dataclass(frozen=True)
class PickStep:
    """Pick a thing up.

    Attributes:
        what: The thing in the speaker's words, without article: a query for `Pointer.point`.
        every: Not one but all that fit: this step and the `PlaceStep` after it are repeated until none is left.
    """

    what: str
    every: bool = False


@dataclass(frozen=True)
class PlaceStep:
    """Put down what is held.

    Attributes:
        relation: Where, seen from `where`.
        where: Another thing in words; "" where the relation needs none.
    """

    relation: Relation
    where: str = ""


@dataclass(frozen=True)
class CountStep:
    """Say how many there are of `what`."""

    what: str


@dataclass(frozen=True)
class PointStep:
    """Say where `what` is, and move nothing."""

    what: str


@dataclass(frozen=True)
class StopStep:
    """Stop moving, now; always alone in its command."""


Step: TypeAlias = PickStep | PlaceStep | CountStep | PointStep | StopStep


@dataclass(frozen=True)
class Command:
    """What was said, understood.

    Attributes:
        text: As it was said.
        steps: What to do, in this order; at least one.
        corrections: Misspelt verbs with what they were taken for, such as ("pikc", "pick").
    """

    text: str
    steps: tuple[Step, ...]
    corrections: tuple[tuple[str, str], ...] = ()

    @property
    def is_stop(self) -> bool:
        """Whether it says to stop."""
        return isinstance(self.steps[0], StopStep)

    def paired(self) -> Iterator[tuple[Step, PlaceStep | None]]:
        """The steps in order, each `PickStep` with the `PlaceStep` right after it, which does not come again; else with None."""
        for before, step, after in zip((None, *self.steps), self.steps, (*self.steps[1:], None), strict=False):
            if isinstance(step, PickStep) and isinstance(after, PlaceStep):
                yield step, after
            elif not (isinstance(before, PickStep) and isinstance(step, PlaceStep)):
                yield step, None

    def describe(self) -> str:
        """The steps in words, for a log or a caption: "pick the red mug, then put it in the bowl"."""
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
    """A step in words."""
    if isinstance(step, PickStep):
        return f"pick {'all' if step.every else 'the'} {step.what}"
    if isinstance(step, CountStep):
        return f"count {step.what}"
    if isinstance(step, PointStep):
        return f"point at {step.what}"
    if isinstance(step, StopStep):
        return "stop"
    if step.relation is Relation.HAND_OVER:
        return "hand it over"
    return "put it aside" if step.relation is Relation.ASIDE else f"put it {step.relation.value} the {step.where}"
