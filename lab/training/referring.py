"""What can be said of the things in a picture: names, relations, superlatives, and what they single out.

Every function here answers from the scene's truth and returns None where a person could disagree with the answer.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_SIDE_MARGIN = 4.0  # per cent of the image width between two things that stand beside one another
_DEPTH_MARGIN_M = 0.05
_EDGE_MARGIN_M = 0.03
_SIZE_RATIO = 1.25
_NEAREST_RATIO = 1.35

DOUBTFUL_CATEGORIES: dict[str, tuple[str, ...]] = {
    "food": ("containers",),
    "dishes": ("containers", "kitchenware", "cutlery"),
    "cutlery": ("kitchenware",),
    "toys": ("blocks", "decorations"),
    "tools": ("kitchenware", "cutlery", "stationery", "lamps"),
    "stationery": ("tools", "electronics", "bags"),
    "toiletries": ("containers", "clothes"),
    "clothes": ("bags",),
    "plants": ("decorations", "vegetables"),
    "electronics": ("lamps", "kitchenware", "tools", "toys"),
}
"""For a category the others whose things some people would count in."""


@dataclass(frozen=True)
class SeenThing:
    """One thing in an (augmented) picture.

    Attributes:
        noun: What most people would call it.
        nouns: All words that certainly fit, ``noun`` among them.
        doubtful: Words that some would use.
        category: ``"fruit"``, ``"tools"``, ...
        categories: All that it certainly belongs to, ``category`` among them.
        colors: Words that certainly name its colour.
        maybe_colors: Words that somebody might use for it.
        x_percent: Where to point, per cent of the image width, on a visible pixel.
        y_percent: The same, per cent of the image height.
        left_percent: Left end of its visible part.
        right_percent: Right end of its visible part.
        depth_m: Of its middle, along the optical axis.
        position_m: Its middle (3,), base frame, metres.
        size_m: Width, depth, height (3,), metres.
        edge_m: Distance to the nearest edge of the table, metres.
        seen: Whether anything of it is in the picture.
        usable: Whether enough of it is in the picture to be asked about.
        held_out: Whether it is one of the objects that training does not show.
    """

    noun: str
    nouns: frozenset[str]
    doubtful: frozenset[str]
    category: str
    categories: frozenset[str]
    colors: frozenset[str]
    maybe_colors: frozenset[str]
    x_percent: float
    y_percent: float
    left_percent: float
    right_percent: float
    depth_m: float
    position_m: tuple[float, float, float]
    size_m: tuple[float, float, float]
    edge_m: float
    seen: bool = True
    usable: bool = True
    held_out: bool = False

    @property
    def percent(self) -> tuple[float, float]:
        """Where to point, per cent of width and height."""
        return (self.x_percent, self.y_percent)


@dataclass(frozen=True)
class Description:
    """What is asked for: a noun, a category or anything; of a colour or of any.

    Attributes:
        noun: A noun, or None.
        category: A category, or None.
        color: A colour word, or None.
    """

    noun: str | None = None
    category: str | None = None
    color: str | None = None


def matches(things: list[SeenThing], wanted: Description) -> list[int] | None:
    """Indices of the things in the picture that fit.

    Returns:
        The indices, or None where it would turn on a thing of which too little is seen, or on a word about which
        people differ.
    """
    hits = []
    for index, thing in enumerate(things):
        if not thing.seen:
            continue
        verdict = _fits(thing, wanted)
        if verdict is None or (verdict and not thing.usable):
            return None
        if verdict:
            hits.append(index)
    return hits


def _fits(thing: SeenThing, wanted: Description) -> bool | None:
    noun = color = True
    if wanted.noun is not None:
        noun = True if wanted.noun in thing.nouns else None if wanted.noun in thing.doubtful else False
    if wanted.category is not None and wanted.category not in thing.categories:
        arguable = thing.category in DOUBTFUL_CATEGORIES.get(wanted.category, ()) or wanted.category in thing.doubtful
        noun = None if arguable else False
    if wanted.color is not None:
        color = True if wanted.color in thing.colors else None if wanted.color in thing.maybe_colors else False
    if noun is False or color is False:
        return False
    return None if noun is None or color is None else True


def related(things: list[SeenThing], among: list[int], relation: str, anchors: list[int]) -> list[int] | None:
    """Those of ``among`` that stand in a relation to the anchor, ``"left of"``, ``"right of"``, ``"in front of"``,
    ``"behind"``, ``"nearest to"``, or, with two anchors, ``"between"``.

    Returns:
        Indices, perhaps none; None where it is a close call for one of them.
    """
    candidates = [index for index in among if index not in anchors]
    if relation == "nearest to":
        return _nearest(things, candidates, anchors[0])
    hits = []
    for index in candidates:
        verdict = _stands(things[index], relation, [things[a] for a in anchors])
        if verdict is None:
            return None
        if verdict:
            hits.append(index)
    return hits


def _stands(thing: SeenThing, relation: str, anchors: list[SeenThing]) -> bool | None:
    anchor = anchors[0]
    if relation in ("left of", "right of"):
        gap = anchor.x_percent - thing.x_percent
        gap = gap if relation == "left of" else -gap
        # Beside means beside: what overlaps it is a close call unless it is clearly on the other side.
        clear = (
            (anchor.left_percent - thing.right_percent) if relation == "left of" else (thing.left_percent - anchor.right_percent)
        )
        if gap > _SIDE_MARGIN and clear > -0.25 * (thing.right_percent - thing.left_percent):
            return True
        return False if gap < -_SIDE_MARGIN else None
    if relation in ("in front of", "behind"):
        gap = anchor.depth_m - thing.depth_m
        gap = gap if relation == "in front of" else -gap
        if gap > _DEPTH_MARGIN_M and abs(anchor.x_percent - thing.x_percent) < 25:
            return True
        return False if gap < -_DEPTH_MARGIN_M else None
    a, b, p = (np.array(t.position_m[:2]) for t in (anchors[0], anchors[1], thing))
    length = float(np.linalg.norm(b - a))
    along = float((p - a) @ (b - a)) / max(length, 1e-6)
    off = float(np.linalg.norm(p - a - (b - a) / max(length, 1e-6) * along))
    if 0.2 * length < along < 0.8 * length and off < 0.3 * length:
        return True
    return False if off > 0.6 * length or along < 0 or along > length else None


def _nearest(things: list[SeenThing], candidates: list[int], anchor: int) -> list[int] | None:
    if not candidates:
        return []
    here = np.array(things[anchor].position_m[:2])
    gaps = [float(np.linalg.norm(np.array(things[i].position_m[:2]) - here)) for i in candidates]
    return _outstanding(candidates, [1 / max(gap, 1e-6) for gap in gaps], _NEAREST_RATIO)


SUPERLATIVES: dict[str, tuple[str, Callable[[SeenThing], float], float, bool]] = {
    "largest": ("size", lambda t: float(np.prod(np.maximum(t.size_m, 0.01)) ** (1 / 3)), _SIZE_RATIO, True),
    "biggest": ("size", lambda t: float(np.prod(np.maximum(t.size_m, 0.01)) ** (1 / 3)), _SIZE_RATIO, True),
    "smallest": ("size", lambda t: 1 / float(np.prod(np.maximum(t.size_m, 0.01)) ** (1 / 3)), _SIZE_RATIO, True),
    "tallest": ("height", lambda t: t.size_m[2], _SIZE_RATIO, True),
    "leftmost": ("place", lambda t: -t.x_percent, _SIDE_MARGIN, False),
    "rightmost": ("place", lambda t: t.x_percent, _SIDE_MARGIN, False),
    "closest": ("depth", lambda t: -t.depth_m, _DEPTH_MARGIN_M, False),
    "farthest": ("depth", lambda t: t.depth_m, _DEPTH_MARGIN_M, False),
    "nearest the edge of the table": ("edge", lambda t: -t.edge_m, _EDGE_MARGIN_M, False),
}
"""Word to (what it compares, a value that is largest for the one meant, the margin, whether that is a ratio)."""


def superlative(things: list[SeenThing], among: list[int], word: str) -> list[int] | None:
    """The one of ``among`` that the word of `SUPERLATIVES` singles out.

    Returns:
        Its index in a list; None where there are fewer than two, or the runner-up is a close call.
    """
    if len(among) < 2:
        return None
    _, value, margin, ratio = SUPERLATIVES[word]
    return _outstanding(among, [value(things[i]) for i in among], margin, ratio)


def _outstanding(candidates: list[int], values: list[float], margin: float, ratio: bool = True) -> list[int] | None:
    order = np.argsort(values)[::-1]
    if len(order) > 1:
        best, second = values[order[0]], values[order[1]]
        if (best < margin * second) if ratio else (best - second < margin):
            return None
    return [candidates[int(order[0])]]
