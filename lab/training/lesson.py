"""What a training step is about: pointing, descriptions, short answers; on all scenes or on those with few things."""

from dataclasses import dataclass

import numpy as np

from lab.training.sources import Source, View
from molmo_point.finetuning.labels.formats import Caption
from molmo_point.finetuning.labels.wording import caption_examples, example_of
from molmo_point.finetuning.queries import Example

_TRIES = 40
_HINTED_SHARE = 0.5  # of descriptions asked for as Molmo's caption stage does; the others are asked for in words


@dataclass(frozen=True)
class Lesson:
    """One kind of step.

    Attributes:
        captions: Whether to describe the picture instead of pointing.
        short_share: Share of the questions that want a word or a number.
        most_things: Scenes with more things in view are passed over; None takes all.
    """

    captions: bool = False
    short_share: float = 0.0
    most_things: int | None = None

    def draw(self, source: Source, rng: np.random.Generator, augment: bool = True) -> View:
        """A random view; where many tries find none with few things, the last one."""
        view = source.draw(rng, augment)
        for _ in range(_TRIES if self.most_things is not None else 0):
            if things_in_view(view) <= (self.most_things or 0):
                break
            view = source.draw(rng, augment)
        return view

    def ask(self, source: Source, view: View, count: int, rng: np.random.Generator) -> list[Example]:
        """Up to ``count`` questions about a view."""
        if self.captions:
            caption = Caption(source.describe(view, rng))
            return list(caption_examples(caption, rng)) if rng.random() < _HINTED_SHARE else [example_of(caption, rng)]
        if not self.short_share:
            return source.ask(view, count, rng)
        short = int(rng.binomial(count, self.short_share))
        return [*source.ask(view, count - short, rng), *source.ask_short(view, short, rng)]


POINTING = Lesson()
"""Pointing and counting, on all scenes."""


def things_in_view(view: View) -> int:
    """How many things show at least a pixel."""
    return len(np.unique(view.mask[view.mask >= 0]))
