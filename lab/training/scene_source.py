"""Rendered scenes as a source of a tuning run."""

from pathlib import Path

import numpy as np

from lab.training.lesson import Lesson
from lab.training.sources import View, open_source
from molmo_point.finetuning.labels.wording import LabelledExample
from molmo_point.finetuning.queries import Example
from molmo_point.finetuning.sample import Asked
from molmo_point.points.dialects.written import ABSENT_TEXT

_TRIES = 100


class ScenePool:
    """Scenes with questions from their truth.

    Args:
        folder: Rendered shards.
        short_share: Share of the questions that want a word or a number.

    Raises:
        InputError: The folder holds no complete shard.
    """

    def __init__(self, folder: Path, short_share: float) -> None:
        self.train, self._kept_out = open_source(folder), open_source(folder, validation=True)
        self._lessons = {"caption": Lesson(captions=True), "point": Lesson(short_share=short_share)}

    def serves(self, stage: str) -> bool:
        """Whether it has anything for a stage: it has for all."""
        return stage in self._lessons

    def draw(self, stage: str, count: int, rng: np.random.Generator, validation: bool = False) -> Asked | None:
        """A random view, cropped and mirrored for training, with up to ``count`` questions."""
        source, lesson = (self._kept_out if validation else self.train), self._lessons[stage]
        for _ in range(_TRIES):
            view = lesson.draw(source, rng, augment=not validation)
            examples = lesson.ask(source, view, count, rng)
            if examples:
                return Asked(view.color, [_labelled(example, view) for example in examples])
        return None


def _labelled(example: Example, view: View) -> LabelledExample:
    """The example with its points instead of indices of things."""
    if isinstance(example, LabelledExample):
        return example
    if not example.targets and example.answer != ABSENT_TEXT:
        return LabelledExample(example.prompt, example.answer, (), kind="answer")
    percent = tuple((float(x) * 100, float(y) * 100) for x, y in view.xy[list(example.targets)])
    kind = "absent" if not percent else "count" if example.answer.startswith("Counting") else "points"
    return LabelledExample(example.prompt, example.answer, (), kind=kind, percent=percent)
