"""Answers about taught objects next to their truth, and the questions that give them."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.evaluation.tabletop import at_point
from molmo_point.model.taught.library import Library
from molmo_point.model.taught.places import find_places
from molmo_point.model.taught.seen_image import SeenImage
from molmo_point.plain_json import plain_json
from molmo_point.pointer import Pointer
from molmo_point.results import Pointing


class Asked(str, Enum):
    """Kind of a question.

    PRESENT: the object is in view.
    ABSENT: it is not, and nothing like it.
    BOTH: the object and its twin, both taught, are in view.
    TWIN: its twin alone is in view, and both are taught.
    """

    PRESENT = "present"
    ABSENT = "absent"
    BOTH = "both of a pair"
    TWIN = "only the twin"


@dataclass(frozen=True)
class TaughtAnswer:
    """One answer.

    Attributes:
        asked: Kind of the question.
        name: Name of the object.
        table: Number of the picture.
        kind: Arrangement of its table, or folder of a photograph.
        found: True if the answer has a point.
        right: True if the likeliest point lies on the object.
        likeliest_right: True if the likeliest place lies on the object, also where the answer denies it.
        confidence: Stated probability of the likeliest point; NaN without one.
        absent_probability: Stated probability that the object is not there; NaN if unknown.
        cautions: Kinds of the cautions.
        answer_ms: Duration of the answer, milliseconds.
        uv: Likeliest point, pixels; None without one.
    """

    asked: Asked
    name: str
    table: int
    kind: str
    found: bool
    right: bool
    likeliest_right: bool
    confidence: float
    absent_probability: float
    cautions: tuple[str, ...]
    answer_ms: float
    uv: tuple[float, float] | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return plain_json(vars(self))


@dataclass(frozen=True, eq=False)
class AskedPicture:
    """A picture with what is asked about it.

    Attributes:
        frame: Frame or RGB image.
        questions: Kind, name, and mask (h, w) of the object, for each question.
        number: Number of the picture.
        kind: Arrangement of its table, or folder of a photograph.
    """

    frame: Any
    questions: tuple[tuple[Asked, str, NDArray[np.bool_]], ...]
    number: int
    kind: str


def answers_of(pointer: Pointer, library: Library, picture: AskedPicture, seen: SeenImage) -> list[TaughtAnswer]:
    """Ask all questions about a picture.

    Args:
        pointer: The library as a model.
        library: The same library.
        picture: The picture and its questions.
        seen: Features of the picture, for the likeliest place of a denied object.
    """
    answers = []
    for asked, name, mask in picture.questions:
        start = time.perf_counter()
        pointing = pointer.point(picture.frame, name)
        answer_ms = (time.perf_counter() - start) * 1e3
        best = max(pointing.points, key=lambda point: point.confidence, default=None)
        place = find_places(seen, library.heads, name).places[0]
        answers.append(
            TaughtAnswer(
                asked=asked,
                name=name,
                table=picture.number,
                kind=picture.kind,
                found=best is not None,
                right=best is not None and bool(at_point(mask, best)),
                likeliest_right=_inside(mask, place.u, place.v),
                confidence=math.nan if best is None else best.confidence,
                absent_probability=pointing.absent_probability,
                cautions=_kinds(pointing),
                answer_ms=answer_ms,
                uv=None if best is None else (best.u, best.v),
            )
        )
    return answers


def _kinds(pointing: Pointing) -> tuple[str, ...]:
    return tuple(caution.kind.value for caution in pointing.cautions)


def _inside(mask: NDArray[np.bool_], u: float, v: float) -> bool:
    row, column = (int(np.clip(round(a), 0, n - 1)) for a, n in zip((v, u), mask.shape, strict=True))
    return bool(mask[row, column])


def of_kind(answers: Sequence[TaughtAnswer], asked: Asked) -> list[TaughtAnswer]:
    """Return the answers to one kind of question."""
    return [answer for answer in answers if answer.asked is asked]
