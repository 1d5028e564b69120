"""Places of a packed row that auxiliary losses supervise: coordinates, starts of answers, mentions of objects."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.training.questions import Question
from molmo_point.finetuning.packing import PackedRow
from molmo_point.finetuning.sample import TrainingExample
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.points.dialects.prompts import user_turn

_COORDINATE = re.compile(r'[xy]\d*="([\d.]+)"')


@dataclass(frozen=True)
class SupervisedPlaces:
    """Places of one row.

    Attributes:
        coordinates: (places, 5) int: place that predicts a character of a coordinate; object pointed at; axis (0 = x,
            1 = y); value in tenths of a percent; character index.
        looks: (n, 2) int: place at which an answer begins, and an object that it will point at. The first token tells
            whether any object is there, so the place must have looked.
        mentions: (n, 2) int: place of the last token of words that name an object, and an object that they fit.
    """

    coordinates: np.ndarray
    looks: np.ndarray
    mentions: np.ndarray


def supervised_places(processor: MolmoProcessor, row: PackedRow, examples: Sequence[TrainingExample]) -> SupervisedPlaces:
    """Find the supervised places of a row.

    Args:
        processor: Tokenizer.
        row: The packed examples.
        examples: The questions of the row, in its order.
    """
    coordinates: list[tuple[int, ...]] = []
    looks: list[tuple[int, int]] = []
    mentions: list[tuple[int, int]] = []
    for number, example in enumerate(examples, start=1):
        if not isinstance(example, Question):
            continue
        mine = row.segments == number
        start, first = int(np.argmax(mine)), int(np.argmax(mine & (row.labels >= 0)))
        coordinates += [(first + at, *rest) for at, *rest in _coordinate_characters(processor, example)]
        looks += [(first, target) for target in example.targets]
        mentions += [(start + at, target) for at, target in _mentioned(processor, example)]
    return SupervisedPlaces(
        np.array(coordinates, np.int64).reshape(-1, 5),
        np.array(looks, np.int64).reshape(-1, 2),
        np.array(mentions, np.int64).reshape(-1, 2),
    )


def _coordinate_characters(processor: MolmoProcessor, example: Question) -> list[tuple[int, int, int, int, int]]:
    """Return the characters of coordinates of an answer: token, object, axis, value, character index."""
    text = f" {example.answer}"
    at_character = {start: k for k, (start, _) in enumerate(_offsets(processor, text))}
    found = []
    for order, match in enumerate(_COORDINATE.finditer(text)):
        value = round(float(match.group(1)) * 10)
        for character, place in enumerate(range(match.start(1), match.end(1))):
            found.append((at_character[place], example.targets[order // 2], order % 2, value, character))
    return found


def _mentioned(processor: MolmoProcessor, example: Question) -> list[tuple[int, int]]:
    """Return the number of the prompt token that ends each mention, with each object that it fits."""
    text = user_turn(example.prompt)
    offsets = _offsets(processor, text) if example.mentions else []
    found = []
    for words, indices in example.mentions:
        end = text.rindex(words) + len(words)
        place = next(k for k, (_, stop) in enumerate(offsets) if stop >= end)
        found += [(place, index) for index in indices]
    return found


def _offsets(processor: MolmoProcessor, text: str) -> list[tuple[int, int]]:
    return processor.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
