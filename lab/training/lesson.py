"""Subject of a training step: pointing, descriptions or short answers; on all scenes or on those with few objects."""

from dataclasses import dataclass

import numpy as np

from lab.training.describing import describe, short_answers
from lab.training.questions import draw_questions
from lab.training.views import View, ViewSource
from molmo_point.finetuning.labels.formats import Caption
from molmo_point.finetuning.labels.wording import caption_examples, example_of
from molmo_point.finetuning.sample import TrainingExample

_TRIES = 40
_HINTED_SHARE = 0.5  # of descriptions asked for as in Molmo's caption stage; the others are asked for in words


@dataclass(frozen=True)
class Lesson:
    """One kind of step.

    Attributes:
        captions: True describes the picture instead of pointing.
        short_share: Share of the questions that want a word or a number.
        most_objects: Largest number of objects in view; None takes all scenes.
    """

    captions: bool = False
    short_share: float = 0.0
    most_objects: int | None = None

    def draw(self, source: ViewSource, rng: np.random.Generator, augment: bool = True) -> View:
        """Draw a random view; after many tries without few objects, the last one."""
        view = source.draw(rng, augment)
        for _ in range(_TRIES if self.most_objects is not None else 0):
            if objects_in_view(view) <= (self.most_objects or 0):
                break
            view = source.draw(rng, augment)
        return view

    def ask(self, view: View, count: int, rng: np.random.Generator) -> list[TrainingExample]:
        """Draw up to ``count`` questions about a view."""
        if self.captions:
            caption = Caption(describe(view.objects, rng))
            return caption_examples(caption, rng) if rng.random() < _HINTED_SHARE else [example_of(caption, rng)]
        short = int(rng.binomial(count, self.short_share)) if self.short_share else 0
        questions = draw_questions(view.objects, count - short, rng, view.vocabulary)
        return [*questions, *short_answers(view.objects, short, rng, view.vocabulary)]


POINTING = Lesson()
"""Pointing and counting, on all scenes."""


def objects_in_view(view: View) -> int:
    """Return the number of objects with a visible pixel."""
    return len(np.unique(view.mask[view.mask >= 0]))
