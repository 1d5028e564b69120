"""Questions about rendered household objects, on tables, in lights and from cameras that no training had.

The checkpoint `tabletop` knows none of these objects. `household` was trained on all but the held-out ones. Each object
belongs to one half by its key; the four plain shapes belong to both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.trust.photograph_questions import half_of
from lab.household.arrangement import MAX_OBJECTS
from lab.household.arranging import random_arrangement
from lab.household.asset_pack import ALWAYS_SEEN, Asset
from lab.household.scene_set import household_assets
from lab.household.stage import Stage
from lab.household.truth import scene_truth, thing_words
from lab.training.referring import Description, SeenObject, matches
from lab.training.shards import seen_objects
from lab.training.wordings import MASS_NOUNS, plural
from molmo_point.evaluation.trust_questions import TrustQuestion
from molmo_point.evaluation.trust_words import Half
from molmo_point.frame import RgbdFrame
from molmo_point.sim.tabletop.objects import COLORS, SHAPES

HOUSEHOLD, HELD_OUT = "household objects", "held-out household objects"
"""Kinds of these questions."""
DEVELOP_SEED, JUDGE_SEED = 960_000, 980_000
"""Seeds of the scenes that develop, and of those that judge."""
LOOKALIKES: dict[str, frozenset[str]] = {
    "cube": frozenset((
        "block", "box", "brick", "butter", "calendar", "candle", "cards", "carton", "cup", "dice", "gift", "jar",
        "lantern", "milk", "puzzle", "radio", "sponge", "toaster",
    )),
    "brick": frozenset((
        "block", "board", "book", "box", "bread", "briefcase", "butter", "cake", "calendar", "camera", "cards",
        "carton", "chessboard", "cube", "frame", "gift", "laptop", "loaf", "milk", "newspaper", "phone", "puzzle",
        "radio", "remote", "scale", "sponge", "stapler", "steak", "tablet", "toaster", "towel",
    )),
    "cylinder": frozenset((
        "bamboo", "basket", "bin", "bottle", "bowl", "brush", "cactus", "cake", "can", "candle", "cap", "cone",
        "creamer", "cup", "dustbin", "flashlight", "glass", "hammer", "hat", "highlighter", "holder", "jar", "jug",
        "kettle", "lamp", "lantern", "lipstick", "maker", "marker", "mug", "pan", "penbox", "pencil", "plant", "plate",
        "pot", "press", "ring", "roll", "salt", "scale", "screwdriver", "shaker", "sugar", "tape", "teapot",
        "thermometer", "tin", "torch", "towels", "tray", "vase",
    )),
    "ball": frozenset((
        "apple", "apples", "basketball", "bonsai", "bowl", "cactus", "cake", "cupcake", "egg", "football", "fruit",
        "jar", "lemon", "lime", "orange", "pear", "plant", "plum", "pot", "ring", "succulent", "sugar", "teapot",
        "tomato", "tree", "vase",
    )),
}  # fmt: skip
"""For a shape the last words of the names of objects that some people would call so."""


@dataclass(frozen=True, eq=False)
class _View:
    """One rendered view."""

    kind: str
    scene: int
    frame: RgbdFrame
    instances: np.ndarray
    objects: list[SeenObject]
    rng: np.random.Generator

    def ask(self, words: str, numbers: list[int], detail: str) -> TrustQuestion:
        """Make a question about the objects of these numbers."""
        mask = np.isin(self.instances, numbers)
        return TrustQuestion(self.kind, self.frame, words, mask, self.scene, detail, "", self.instances)

    @cached_property
    def usable(self) -> list[SeenObject]:
        """Objects of which enough is seen, in random order."""
        items = [item for item in self.objects if item.seen and item.usable]
        return [items[int(k)] for k in self.rng.permutation(len(items))]

    def draw(self, words: list[str]) -> str:
        """Draw one of the words."""
        return words[int(self.rng.integers(len(words)))]


def household_questions(
    kind: str, scenes: int, half: Half = Half.BOTH, seed: int | None = None, pack: Path | None = None
) -> Iterator[TrustQuestion]:
    """Render scenes one by one and ask about each, as often for absent objects as for present ones.

    Args:
        kind: `HOUSEHOLD` or `HELD_OUT`, the objects that are shown.
        scenes: Number of scenes.
        half: Half of the objects.
        seed: Seed of all scenes; None takes that of the half. Scene k does not depend on their number.
        pack: Asset pack; None takes the default one.

    Raises:
        DependencyError: MuJoCo is not installed or cannot render.
    """
    everything = household_assets(pack)
    assets = [asset for asset in everything if _shown(asset, kind, half)]
    words = {asset.key: thing_words(asset) for asset in assets}
    nouns = sorted({noun for asset in everything if asset.key not in ALWAYS_SEEN for noun in thing_words(asset)["nouns"]})
    first = (JUDGE_SEED if half is Half.JUDGE else DEVELOP_SEED) if seed is None else seed
    with Stage(assets) as stage:
        for scene in range(first, first + scenes):
            rng = np.random.default_rng([scene, *kind.encode()])
            arrangement = random_arrangement(rng, assets, True, int(rng.integers(2, MAX_OBJECTS)))
            stage.show(arrangement)
            masks = stage.render_masks()
            objects = seen_objects(masks, scene_truth(arrangement, stage, masks), words)
            view = _View(kind, scene, RgbdFrame.of(stage.render_color()), masks, objects, rng)
            yield from _own_words(view, nouns)
            yield from _shape_words(view)


def _shown(asset: Asset, kind: str, half: Half) -> bool:
    if asset.key in ALWAYS_SEEN:
        return True
    return asset.held_out == (kind == HELD_OUT) and half in (Half.BOTH, half_of(asset.key))


def _own_words(view: _View, nouns: list[str]) -> Iterator[TrustQuestion]:
    """Ask for objects by name and by color, and for other names and colors."""
    asked: dict[str, TrustQuestion] = {}
    for item in view.usable:
        colors = sorted(item.colors)
        options = [("name", Description(noun=item.noun))]
        options += [("color and name", Description(noun=item.noun, color=view.draw(colors)))] if colors else []
        options += [("color", Description(color=view.draw(colors)))] if colors else []
        detail, wanted = options[int(view.rng.integers(len(options)))]
        hits = matches(view.objects, wanted)
        if hits and len(asked) < 2 and not _plain(item):
            question = view.ask(_phrase(wanted, len(hits) > 1), hits, f"own words, {detail}, there")
            asked[question.words] = question
    yield from asked.values()
    here = [item.noun for item in view.usable if not _plain(item)]
    for number in range(len(asked)):
        wanted = Description(noun=view.draw(here), color=view.draw(sorted(COLORS))) if number else Description(view.draw(nouns))
        if matches(view.objects, wanted) == []:
            yield view.ask(_phrase(wanted, False), [], "own words, absent")


def _shape_words(view: _View) -> Iterator[TrustQuestion]:
    """Ask in the words of `tabletop`: for the plain shapes that are there, and for shapes in the colors of other objects."""
    plain = [item for item in view.usable if _plain(item) and item.colors & set(COLORS)]
    for item in plain[:1]:
        color = sorted(item.colors & set(COLORS))[0]
        hits = matches(view.objects, Description(noun=item.noun, color=color))
        if hits and not _alike(view, item.noun, color):
            yield view.ask(_phrase(Description(noun=item.noun, color=color), len(hits) > 1), hits, "shape words, there")
    seen = sorted({color for item in view.usable for color in item.colors & set(COLORS)})
    turns = [(color, str(view.rng.choice(SHAPES)), "of a color that is there") for color in seen]
    rest = sorted(set(COLORS) - {color for item in view.objects for color in item.colors | item.maybe_colors})
    turns = [turns[int(k)] for k in view.rng.permutation(len(turns))[:2]]
    turns += [(view.draw(rest), str(view.rng.choice(SHAPES)), "of another color")] if rest else []
    for color, shape, detail in turns:
        wanted = Description(noun=shape, color=color)
        if matches(view.objects, wanted) == [] and not _alike(view, shape, color):
            yield view.ask(_phrase(wanted, False), [], f"shape words {detail}, absent")


def _plain(item: SeenObject) -> bool:
    return item.noun in SHAPES


def _alike(view: _View, shape: str, color: str) -> bool:
    """Return True if some people would call an object of another name so."""
    for item in view.objects:
        names = {noun.split()[-1] for noun in item.nouns | item.doubtful}
        if item.seen and item.noun != shape and color in item.colors | item.maybe_colors and names & LOOKALIKES[shape]:
            return True
    return False


def _phrase(wanted: Description, many: bool) -> str:
    noun = wanted.noun or "object"
    word = plural(noun) if many and noun not in MASS_NOUNS else noun
    return f"the {wanted.color} {word}" if wanted.color else f"the {word}"
