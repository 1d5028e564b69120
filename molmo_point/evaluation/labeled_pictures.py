"""Questions about a user's labeled pictures, half of them about objects that are not there."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.files import open_file
from molmo_point.finetuning.labels.formats import PointLabels
from molmo_point.finetuning.labels.label_set import LabeledImage

MIN_PICTURES, MIN_QUESTIONS = 10, 12
"""Fewest pictures, and fewest questions of each kind, to fit on and to measure on."""
MAX_QUESTIONS = 8
"""Most objects of one picture that are asked for."""
_ARTICLES = frozenset(("a", "an", "the"))


class AbsentNames(str, Enum):
    """Source of names of objects that a picture does not show.

    OTHERS: labels of other pictures that the picture lacks, which needs complete labels; and rows without points.
    ROWS: rows without points alone.
    """

    OTHERS = "others"
    ROWS = "rows"


@dataclass(frozen=True, eq=False)
class LabeledQuestion:
    """One question about a picture with its truth.

    Attributes:
        words: Words for the object.
        percent: (n, 2) points of all objects that are meant, percent of width and height; (0, 2) if there is none.
        boxes: (n, 4) left, top, right and bottom of those objects in percent; None if only points are known.
    """

    words: str
    percent: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))
    boxes: FloatArray | None = None

    @property
    def absent(self) -> bool:
        """Return whether nothing in the picture is meant."""
        return not len(self.percent)

    def is_right(self, uv: FloatArray, size_wh: tuple[int, int], radius_share: float) -> bool:
        """Tell if a point is on an object that is meant: in its box, or else near its labeled point.

        Args:
            uv: The point in pixels.
            size_wh: Width and height of the picture in pixels.
            radius_share: Largest distance from a labeled point, as a share of the diagonal.
        """
        if self.boxes is not None:
            x, y = (uv + 0.5) / size_wh * 100
            left, top, right, bottom = self.boxes.T
            return bool(((left <= x) & (x <= right) & (top <= y) & (y <= bottom)).any())
        offsets = self.middles_px(size_wh) - uv
        return bool((np.hypot(*offsets.T) <= radius_share * np.hypot(*size_wh)).any())

    def middles_px(self, size_wh: tuple[int, int]) -> FloatArray:
        """Return the labeled points (n, 2) in pixels."""
        return self.percent / 100 * size_wh - 0.5


@dataclass(frozen=True, eq=False)
class QuestionedPicture:
    """A picture with the questions about it."""

    image: LabeledImage
    questions: tuple[LabeledQuestion, ...]


def questioned(images: Sequence[LabeledImage], names: AbsentNames, seed: int) -> list[QuestionedPicture]:
    """Ask for the labeled objects of every picture, and for as many that it does not show, as far as there are names.

    A name that shares all its words with a label of the picture is not asked as absent: "cube" may be "the red cube".
    Pictures without labels of objects are left out.
    """
    rng = np.random.default_rng(seed)
    labels = [_merged(image) for image in images]
    everywhere = sorted({name for found in labels for name, label in found.items() if label.count})
    pictures = []
    for image, found in zip(images, labels, strict=True):
        present = [_question(label) for label in found.values() if label.count and label.percent is not None]
        present = [present[k] for k in rng.permutation(len(present))[:MAX_QUESTIONS]]
        stated = [name for name, label in found.items() if not label.count]
        absent = [stated[k] for k in rng.permutation(len(stated))]
        if names is AbsentNames.OTHERS:
            there = [name for name, label in found.items() if label.count]
            lacking = [name for name in everywhere if name not in stated and not any(_alike(name, label) for label in there)]
            absent += [lacking[k] for k in rng.permutation(len(lacking))] if found else []
        # A picture of nothing but rows without points is asked for those.
        questions = (*present, *map(LabeledQuestion, absent[: len(present) or min(len(stated), MAX_QUESTIONS)]))
        if questions:
            pictures.append(QuestionedPicture(image, questions))
    return pictures


def parted(pictures: Sequence[QuestionedPicture], seed: int) -> tuple[list[QuestionedPicture], list[QuestionedPicture]]:
    """Part pictures into those to fit on and those to measure on; files of the same content stay together.

    Raises:
        InputError: A part has too few pictures, or too few questions of a kind.
    """
    by_content: dict[str, list[QuestionedPicture]] = {}
    for picture in pictures:
        by_content.setdefault(content_digest(picture.image), []).append(picture)
    groups = list(by_content.values())
    order = np.random.default_rng(seed).permutation(len(groups))
    halves = (order[::2], order[1::2])
    parts = [[picture for k in half for picture in groups[int(k)]] for half in halves]
    counts = [(len(half), *_kinds(part)) for half, part in zip(halves, parts, strict=True)]
    if any(n < MIN_PICTURES or min(there, absent) < MIN_QUESTIONS for n, there, absent in counts):
        told = "; ".join(
            f"{n} pictures, {there} objects to ask for, {absent} names of absent objects" for n, there, absent in counts
        )
        wanted = f"{MIN_PICTURES} pictures, {MIN_QUESTIONS} objects and {MIN_QUESTIONS} names of absent objects"
        fix = f"label about {_needed(counts)} pictures, with several names in all, or add rows without points"
        raise InputError(f"Each half of the pictures must have at least {wanted}", told, fix)
    return parts[0], parts[1]


def content_digest(image: LabeledImage) -> str:
    """Return the SHA-256 of the image file in hexadecimal."""
    with open_file(image.path) as file:
        return hashlib.sha256(file.read()).hexdigest()


def _needed(counts: Sequence[tuple[int, int, int]]) -> int:
    """Estimate the number of pictures that suffice, from what those here hold."""
    total, there, absent = (max(1, sum(column)) for column in zip(*counts, strict=True))
    shares = [2 * MIN_QUESTIONS * total / number for number in (there, absent)]
    return int(np.ceil(min(1000.0, max(2.0 * MIN_PICTURES, *shares)) * 1.2))


def _kinds(part: Iterable[QuestionedPicture]) -> tuple[int, int]:
    absent = [question.absent for picture in part for question in picture.questions]
    return absent.count(False), absent.count(True)


def _merged(image: LabeledImage) -> dict[str, PointLabels]:
    """Join rows of one label; a label whose objects are only counted, in any row, keeps its number alone."""
    found: dict[str, PointLabels] = {}
    for label in image.annotations:
        if not isinstance(label, PointLabels):
            continue
        before = found.get(label.label)
        if before is None or not before.count:
            found[label.label] = label
        elif label.count:
            percents = (before.percent, label.percent)
            places = None if any(each is None for each in percents) else np.concatenate([p for p in percents if p is not None])
            both = before.boxes is not None and label.boxes is not None
            boxes = np.concatenate([before.boxes, label.boxes]) if both else None  # type: ignore[list-item]
            found[label.label] = PointLabels(label.label, places, before.count + label.count, boxes)
    return found


def _question(label: PointLabels) -> LabeledQuestion:
    assert label.percent is not None
    return LabeledQuestion(label.label, label.percent, label.boxes)


def _alike(name: str, other: str) -> bool:
    """Tell if one of two names has all the words of the other, so that both may mean one object."""
    one, two = (_words(text) for text in (name, other))
    return one <= two or two <= one


def _words(text: str) -> frozenset[str]:
    words = (word.removesuffix("s") for word in re.findall(r"[^\W_]+", text.lower()))
    return frozenset(words) - _ARTICLES
