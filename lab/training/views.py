"""Training pictures with all that is known of their objects, from one folder of scenes or from two."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.household.colors import PAINTS
from lab.training.questions import PLAIN_VOCABULARY, Vocabulary
from lab.training.referring import SeenObject
from lab.training.shards import SceneSample, SceneShards, is_plain
from lab.training.wordings import CATEGORY_WORDS
from molmo_point.arrays import ColorArray
from molmo_point.errors import InputError
from molmo_point.sim.tabletop.objects import COLORS, SHAPES

UNKNOWN = -100
"""Class of an object of which this is not known, or about which people could disagree."""
_KEPT_EVERY = 25  # of that many shards one is for validation


@dataclass(frozen=True)
class View:
    """One picture with its objects.

    Attributes:
        color: (h, w, 3) RGB.
        mask: (h, w) int8, index into ``objects``, −1 for none.
        classes: (objects, read-outs) int64: class of every object in every read-out, or `UNKNOWN`.
        objects: The objects.
        vocabulary: Words that questions may use.
    """

    color: ColorArray
    mask: np.ndarray
    classes: np.ndarray
    objects: list[SeenObject]
    vocabulary: Vocabulary

    @property
    def xy(self) -> np.ndarray:
        """Places to point at, (objects, 2) float32, 0 to 1 of the picture."""
        return np.array([seen.percent for seen in self.objects], np.float32).reshape(-1, 2) / 100


class ViewSource(ABC):
    """Pictures for training from nothing.

    Attributes:
        classes: Read-outs that auxiliary losses teach, and the number of classes of each.
    """

    classes: dict[str, int]

    @abstractmethod
    def draw(self, rng: np.random.Generator, augment: bool = True) -> View:
        """Draw a random view, cropped and mirrored at random if ``augment``."""

    @abstractmethod
    def refresh(self) -> None:
        """Open shards that were completed since."""

    @abstractmethod
    def __len__(self) -> int: ...


class SceneViews(ViewSource):
    """Views of one folder of scenes.

    Household scenes have the read-outs color, noun and category; plain shapes have color and shape.

    Args:
        folder: Rendered shards.
        validation: True takes the shards that training leaves out. Plain scenes have none: all their views stand in.

    Raises:
        InputError: The folder holds no complete shard.
    """

    def __init__(self, folder: Path, validation: bool = False) -> None:
        self.shards = SceneShards(folder, None if is_plain(folder) else lambda name: is_kept_out(name) == validation)
        self._index = {name: {word: k for k, word in enumerate(words)} for name, words in self._tables().items()}
        self.classes = {name: len(words) for name, words in self._index.items()}
        nouns = tuple(self.shards.nouns())
        self.vocabulary = PLAIN_VOCABULARY if self.shards.plain else Vocabulary(nouns)

    def __len__(self) -> int:
        return len(self.shards)

    def refresh(self) -> None:
        """Open shards that were completed since."""
        self.shards.refresh()

    def draw(self, rng: np.random.Generator, augment: bool = True) -> View:
        """Draw a random view, cropped and mirrored at random if ``augment``."""
        return self.view(self.shards.draw(rng, augment))

    def view(self, sample: SceneSample) -> View:
        """Return the view of a sample."""
        classes = np.array([self.classes_of(seen) for seen in sample.objects], np.int64).reshape(-1, len(self.classes))
        return View(sample.color, sample.mask, classes, sample.objects, self.vocabulary)

    def classes_of(self, seen: SeenObject) -> tuple[int, ...]:
        """Return the class of an object in each read-out."""
        colors = [color for color in seen.colors if color in self._index["color"]]
        words = {"color": colors[0] if len(colors) == 1 else "", "category": seen.category, "noun": seen.noun, "shape": seen.noun}
        return tuple(index.get(words[name], UNKNOWN) for name, index in self._index.items())

    def classes_of_shape(self, seen: SeenObject) -> tuple[int, ...]:
        """Return the class of a plain shape in each read-out of household scenes, which know it by other words."""
        row = self.shards.words[f"formula:{seen.noun}"]
        (color,) = seen.colors
        words = {"color": color, "noun": row["noun"], "category": row["category"]}
        return tuple(index.get(words[name], UNKNOWN) for name, index in self._index.items())

    def _tables(self) -> dict[str, list[str]]:
        if self.shards.plain:
            return {"color": list(COLORS), "shape": list(SHAPES)}
        shown = [row for row in self.shards.words.values() if not row["held_out"]]
        return {
            "color": sorted(PAINTS),
            "noun": sorted({row["noun"] for row in shown}),
            "category": sorted({row["category"] for row in shown} | CATEGORY_WORDS.keys()),
        }


class MixedViews(ViewSource):
    """Household scenes with a share of plain ones, so that a model learns both and confuses neither.

    Args:
        household: Household scenes, which know the plain shapes as objects among others.
        plain: Plain scenes.
        share: Share of plain pictures, 0 to 1.

    Raises:
        InputError: The first are not household scenes.
    """

    def __init__(self, household: SceneViews, plain: SceneViews, share: float) -> None:
        if household.shards.plain or not plain.shards.plain:
            given = f"{plain.shards.folder} in {household.shards.folder}"
            raise InputError("Plain scenes can be mixed into household scenes only", given, "leave --also out")
        self.household, self.plain, self.share = household, plain, share
        self.classes = household.classes

    def __len__(self) -> int:
        return len(self.household) + len(self.plain)

    def refresh(self) -> None:
        """Open shards that were completed since."""
        self.household.refresh()
        self.plain.refresh()

    def draw(self, rng: np.random.Generator, augment: bool = True) -> View:
        """Draw a random view of either kind, with the read-outs of household scenes."""
        if rng.random() >= self.share:
            return self.household.draw(rng, augment)
        view = self.plain.draw(rng, augment)
        rows = [self.household.classes_of_shape(seen) for seen in view.objects]
        return View(view.color, view.mask, np.array(rows, np.int64).reshape(-1, len(self.classes)), view.objects, view.vocabulary)


def is_kept_out(name: str) -> bool:
    """Return True if training leaves a shard out for validation, by the number at the end of its name."""
    number = re.search(r"\d+$", name)
    return number is not None and int(number.group()) % _KEPT_EVERY == 0
