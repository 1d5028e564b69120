"""Household scenes with a share of plain ones among them, so that a model learns both and confuses neither."""

import numpy as np

from lab.training.sources import UNKNOWN, HouseholdSource, SimpleSource, Source, View
from molmo_point.errors import InputError
from molmo_point.finetuning.queries import Example
from molmo_point.sim.tabletop.objects import COLORS, SHAPES


class MixedSource:
    """Two sources as one, with the read-outs of the first.

    Args:
        household: Household scenes, which know the plain shapes as things among others.
        plain: Plain scenes.
        share: Of the pictures, how many are plain.

    Raises:
        InputError: The share is not between 0 and 1, or the first are not household scenes.
    """

    def __init__(self, household: Source, plain: SimpleSource, share: float) -> None:
        if not isinstance(household, HouseholdSource):
            raise InputError("Plain scenes are mixed into household scenes only", "plain scenes", "leave --also out")
        if not 0 <= share <= 1:
            raise InputError("The share of plain scenes is no share", f"{share}", "choose a number from 0 to 1")
        self.household, self.plain, self.share = household, plain, share
        self.classes = household.classes
        self._classes = {
            (c, s): household.classes_of_shape(color, shape) for c, color in enumerate(COLORS) for s, shape in enumerate(SHAPES)
        }

    def __len__(self) -> int:
        return len(self.household) + len(self.plain)

    def refresh(self) -> None:
        """Opens shards that were completed since."""
        self.household.refresh()
        self.plain.refresh()

    def draw(self, rng: np.random.Generator, augment: bool = True) -> View:
        """A random view of either kind."""
        if rng.random() >= self.share:
            return self.household.draw(rng, augment)
        view = self.plain.draw(rng, augment)
        unknown = (UNKNOWN,) * len(self.classes)
        rows = [self._classes.get((int(color), int(shape)), unknown) for color, shape in view.classes]
        return View(view.color, view.mask, np.array(rows, np.int64).reshape(-1, len(self.classes)), view.xy, view.things)

    def ask(self, view: View, count: int, rng: np.random.Generator) -> list[Example]:
        """Up to ``count`` different questions, as the view's own source asks them."""
        return self._of(view).ask(view, count, rng)

    def describe(self, view: View, rng: np.random.Generator) -> str:
        """A description of a view."""
        return self._of(view).describe(view, rng)

    def ask_short(self, view: View, count: int, rng: np.random.Generator) -> list[Example]:
        """Up to ``count`` different questions that are answered in a word or a number."""
        return self._of(view).ask_short(view, count, rng)

    def _of(self, view: View) -> Source:
        plain = view.things and self.plain.made(view)
        return self.plain if plain else self.household
