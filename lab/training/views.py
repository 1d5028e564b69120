"""Where training pictures come from: views with what is known of every thing in them, and questions about them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from lab.household.scene_set import THINGS
from lab.training.dataset import Sample as SimpleSample
from lab.training.dataset import SceneShards
from lab.training.describing import describe, short_answers
from lab.training.household import HouseholdScenes, Sample
from lab.training.questions import draw_questions
from lab.training.referring import SeenThing
from molmo_point.finetuning.queries import Example, SeenObject, draw_examples
from molmo_point.finetuning.wordings import CATEGORY_WORDS
from molmo_point.sim.colors import PAINTS
from molmo_point.sim.tabletop.objects import COLORS, SHAPES

UNKNOWN = -100
"""Class of a thing of which this is not known, or where people could disagree."""
_KEPT_EVERY = 25  # of that many shards one is for validation


@dataclass(frozen=True)
class View:
    """One picture and what stands where.

    Attributes:
        color: (h, w, 3) uint8.
        mask: (h, w) int8, index of the thing seen, −1 for none.
        classes: (things, read-outs) int64: class of every thing in every read-out of the source, or `UNKNOWN`.
        xy: (things, 2) float32: where to point, 0…1 of the picture.
        things: What questions are asked of; its type is the source's own.
    """

    color: np.ndarray
    mask: np.ndarray
    classes: np.ndarray
    xy: np.ndarray
    things: list[SeenThing] | list[object]


class Source(Protocol):
    """What the trainer takes its pictures and questions from.

    Attributes:
        classes: Read-outs that auxiliary losses teach, and how many classes each has.
    """

    classes: dict[str, int]

    def draw(self, rng: np.random.Generator, augment: bool = True) -> View:
        """A random view, cropped and mirrored at random where ``augment``."""
        ...

    def ask(self, view: View, count: int, rng: np.random.Generator) -> list[Example]:
        """Up to ``count`` different questions about a view."""
        ...

    def describe(self, view: View, rng: np.random.Generator) -> str:
        """A description of a view."""
        ...

    def ask_short(self, view: View, count: int, rng: np.random.Generator) -> list[Example]:
        """Up to ``count`` different questions that are answered in a word or a number."""
        ...

    def refresh(self) -> None:
        """Takes in what was rendered since."""
        ...

    def __len__(self) -> int: ...


def open_source(folder: Path, validation: bool = False) -> Source:
    """The scenes of a folder: household scenes where it says what things are called, plain ones otherwise.

    Args:
        folder: Rendered shards.
        validation: Whether to take the shards that training leaves out, instead of the others. Plain
            scenes have none: their views as rendered, uncropped, stand in.

    Raises:
        InputError: The folder holds no complete shard.
    """
    return HouseholdSource(folder, validation) if (folder / THINGS).exists() else SimpleSource(folder)


def is_kept_out(name: str) -> bool:
    """Whether training leaves this shard out for validation; by the number at the end of its name."""
    number = re.search(r"\d+$", name)
    return number is not None and int(number.group()) % _KEPT_EVERY == 0


class HouseholdSource:
    """Household scenes: colour, noun and category of every thing.

    Args:
        folder: Rendered shards.
        validation: Whether to take the shards that training leaves out.

    Raises:
        InputError: The folder holds no complete shard.
    """

    def __init__(self, folder: Path, validation: bool = False) -> None:
        self.scenes = HouseholdScenes(folder, lambda name: is_kept_out(name) == validation)
        self.nouns = self.scenes.nouns()
        shown = [row for row in self.scenes.words.values() if not row["held_out"]]
        tables = {
            "color": sorted(PAINTS),
            "noun": sorted({row["noun"] for row in shown}),
            "category": sorted({row["category"] for row in shown} | CATEGORY_WORDS.keys()),
        }
        self._index = {name: {word: k for k, word in enumerate(words)} for name, words in tables.items()}
        self.classes = {name: len(words) for name, words in tables.items()}

    def __len__(self) -> int:
        return len(self.scenes)

    def refresh(self) -> None:
        """Opens shards that were completed since."""
        self.scenes.refresh()

    def draw(self, rng: np.random.Generator, augment: bool = True) -> View:
        """A random view, cropped and mirrored at random where ``augment``."""
        return self.view(self.scenes.draw(rng, augment))

    def view(self, sample: Sample) -> View:
        """A view of a sample of household scenes."""
        classes = np.array([self._classes(thing) for thing in sample.things], np.int64).reshape(-1, len(self.classes))
        xy = np.array([thing.percent for thing in sample.things], np.float32).reshape(-1, 2) / 100
        return View(sample.color, sample.mask, classes, xy, sample.things)

    def ask(self, view: View, count: int, rng: np.random.Generator) -> list[Example]:
        """Up to ``count`` different questions in the nouns of the training objects."""
        return list(draw_questions(_seen(view), count, rng, self.nouns))

    def describe(self, view: View, rng: np.random.Generator) -> str:
        """A description of a view."""
        return describe(_seen(view), rng)

    def ask_short(self, view: View, count: int, rng: np.random.Generator) -> list[Example]:
        """Up to ``count`` different questions that are answered in a word or a number."""
        return short_answers(_seen(view), count, rng, self.nouns)

    def classes_of_shape(self, color: str, shape: str) -> tuple[int, int, int]:
        """Class in each read-out of a plain shape of `molmo_point.sim.tabletop.objects`."""
        row, index = self.scenes.words[f"formula:{shape}"], self._index
        return (
            index["color"].get(color, UNKNOWN),
            index["noun"].get(row["noun"], UNKNOWN),
            index["category"].get(row["category"], UNKNOWN),
        )

    def _classes(self, thing: SeenThing) -> tuple[int, int, int]:
        colors = [color for color in thing.colors if color in self._index["color"]]
        color = self._index["color"][colors[0]] if len(colors) == 1 else UNKNOWN
        return (
            color,
            self._index["noun"].get(thing.noun, UNKNOWN),
            self._index["category"].get(thing.category, UNKNOWN),
        )


class SimpleSource:
    """Plain coloured shapes: colour and shape of every thing.

    Args:
        folder: Shards of `lab.training.scenes`.

    Raises:
        InputError: The folder holds no complete shard.
    """

    def __init__(self, folder: Path) -> None:
        self.shards = SceneShards(folder)
        self.classes = {"color": len(COLORS), "shape": len(SHAPES)}
        self._index = [{word: k for k, word in enumerate(words)} for words in (COLORS, SHAPES)]

    def __len__(self) -> int:
        return len(self.shards)

    def refresh(self) -> None:
        """Opens shards that were completed since."""
        self.shards.refresh()

    def draw(self, rng: np.random.Generator, augment: bool = True) -> View:
        """A random view, cropped and mirrored at random where ``augment``."""
        return self.view(self.shards.draw(rng, augment))

    def view(self, sample: SimpleSample) -> View:
        """A view of a sample of plain scenes."""
        colors, shapes = self._index
        rows = [(colors.get(o.color, UNKNOWN), shapes.get(o.shape, UNKNOWN)) for o in sample.objects]
        xy = np.array([(o.x_percent, o.y_percent) for o in sample.objects], np.float32).reshape(-1, 2) / 100
        return View(sample.color, sample.mask, np.array(rows, np.int64).reshape(-1, 2), xy, list(sample.objects))

    def ask(self, view: View, count: int, rng: np.random.Generator) -> list[Example]:
        """Up to ``count`` different questions by colour and shape."""
        return draw_examples(view.things, count, rng)  # type: ignore[arg-type]

    def made(self, view: View) -> bool:
        """Whether a view is one of plain scenes."""
        return all(isinstance(thing, SeenObject) for thing in view.things)

    def describe(self, view: View, rng: np.random.Generator) -> str:
        """A description of a view."""
        return describe([_as_thing(o) for o in view.things], rng)  # type: ignore[arg-type]

    def ask_short(self, view: View, count: int, rng: np.random.Generator) -> list[Example]:
        """Up to ``count`` different questions that are answered in a word or a number."""
        return short_answers([_as_thing(o) for o in view.things], count, rng, list(SHAPES))  # type: ignore[arg-type]


def _seen(view: View) -> list[SeenThing]:
    return [thing for thing in view.things if isinstance(thing, SeenThing)]


def _as_thing(shape: SeenObject) -> SeenThing:
    """A plain shape as a thing: what is not known of it is equal for all, so that nothing is said about it."""
    nowhere = (0.0, 0.0, 0.0)
    return SeenThing(
        shape.shape, frozenset((shape.shape,)), frozenset(), "shapes", frozenset(("shapes",)), frozenset((shape.color,)),
        frozenset(), shape.x_percent, shape.y_percent, shape.x_percent, shape.x_percent, 1.0, nowhere, (0.1, 0.1, 0.1), 0.0,
        seen=bool(shape.color), usable=shape.usable,
    )  # fmt: skip
