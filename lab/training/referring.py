"""References to objects in a picture by name, relation and superlative.

Every function here answers from the scene's truth and returns None if a person could disagree with the answer.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_SIDE_MARGIN = 4.0  # percent of the image width between neighbors
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
"""For a category the others whose objects some people would include."""


@dataclass(frozen=True)
class SeenObject:
    """One object in an (augmented) picture.

    Attributes:
        noun: The word that most people would use.
        nouns: All words that certainly fit, ``noun`` among them.
        doubtful: Words that some people would use.
        category: Category: ``"fruit"``, ``"tools"``, ...
        categories: All categories that certainly fit, ``category`` among them.
        colors: Words that certainly name its color.
        maybe_colors: Words that somebody might use for its color.
        x_percent: Place to point at, on a visible pixel, percent of the image width.
        y_percent: Place to point at, percent of the image height.
        left_percent: Left end of its visible part, percent of the image width.
        right_percent: Right end of its visible part, percent of the image width.
        depth_m: Depth of its middle along the optical axis, meters.
        position_m: Its middle (3,), base frame, meters.
        size_m: Width, depth, height (3,), meters.
        edge_m: Distance to the nearest edge of the table, meters.
        seen: True if any of it is in the picture.
        usable: True if enough of it is in the picture to ask about it.
        held_out: True if training does not show objects of its kind.
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
        """Place to point at, percent of width and height."""
        return (self.x_percent, self.y_percent)


@dataclass(frozen=True)
class Description:
    """Words of a request: a noun, a category or any object; of one color or of any.

    Attributes:
        noun: A noun; None for any.
        category: A category; None for any.
        color: A color word; None for any.
    """

    noun: str | None = None
    category: str | None = None
    color: str | None = None


def matches(objects: list[SeenObject], wanted: Description) -> list[int] | None:
    """Find the objects in the picture that fit.

    Returns:
        Their indices; None if the answer depends on an object of which too little is seen, or on a word about which
        people differ.
    """
    hits = []
    for index, item in enumerate(objects):
        if not item.seen:
            continue
        verdict = _fits(item, wanted)
        if verdict is None or (verdict and not item.usable):
            return None
        if verdict:
            hits.append(index)
    return hits


def _fits(item: SeenObject, wanted: Description) -> bool | None:
    noun = color = True
    if wanted.noun is not None:
        noun = True if wanted.noun in item.nouns else None if wanted.noun in item.doubtful else False
    if wanted.category is not None and wanted.category not in item.categories:
        arguable = item.category in DOUBTFUL_CATEGORIES.get(wanted.category, ()) or wanted.category in item.doubtful
        noun = None if arguable else False
    if wanted.color is not None:
        color = True if wanted.color in item.colors else None if wanted.color in item.maybe_colors else False
    if noun is False or color is False:
        return False
    return None if noun is None or color is None else True


def related(objects: list[SeenObject], among: list[int], relation: str, anchors: list[int]) -> list[int] | None:
    """Find the objects that stand in a relation to an anchor.

    Args:
        objects: All objects of the picture.
        among: Indices of the candidates.
        relation: ``"left of"``, ``"right of"``, ``"in front of"``, ``"behind"``, ``"nearest to"``, or, with two anchors,
            ``"between"``.
        anchors: Indices of the anchors.

    Returns:
        Indices, perhaps none; None if one of them is a close call.
    """
    candidates = [index for index in among if index not in anchors]
    if relation == "nearest to":
        return _nearest(objects, candidates, anchors[0])
    hits = []
    for index in candidates:
        verdict = _stands(objects[index], relation, [objects[a] for a in anchors])
        if verdict is None:
            return None
        if verdict:
            hits.append(index)
    return hits


def _stands(item: SeenObject, relation: str, anchors: list[SeenObject]) -> bool | None:
    anchor = anchors[0]
    if relation in ("left of", "right of"):
        gap = anchor.x_percent - item.x_percent
        gap = gap if relation == "left of" else -gap
        # An object that overlaps the anchor is a close call unless it is clearly on the other side.
        clear = (
            (anchor.left_percent - item.right_percent) if relation == "left of" else (item.left_percent - anchor.right_percent)
        )
        if gap > _SIDE_MARGIN and clear > -0.25 * (item.right_percent - item.left_percent):
            return True
        return False if gap < -_SIDE_MARGIN else None
    if relation in ("in front of", "behind"):
        gap = anchor.depth_m - item.depth_m
        gap = gap if relation == "in front of" else -gap
        if gap > _DEPTH_MARGIN_M and abs(anchor.x_percent - item.x_percent) < 25:
            return True
        return False if gap < -_DEPTH_MARGIN_M else None
    a, b, p = (np.array(t.position_m[:2]) for t in (anchors[0], anchors[1], item))
    length = float(np.linalg.norm(b - a))
    along = float((p - a) @ (b - a)) / max(length, 1e-6)
    off = float(np.linalg.norm(p - a - (b - a) / max(length, 1e-6) * along))
    if 0.2 * length < along < 0.8 * length and off < 0.3 * length:
        return True
    return False if off > 0.6 * length or along < 0 or along > length else None


def _nearest(objects: list[SeenObject], candidates: list[int], anchor: int) -> list[int] | None:
    if not candidates:
        return []
    here = np.array(objects[anchor].position_m[:2])
    gaps = [float(np.linalg.norm(np.array(objects[i].position_m[:2]) - here)) for i in candidates]
    return _outstanding(candidates, [1 / max(gap, 1e-6) for gap in gaps], _NEAREST_RATIO)


SUPERLATIVES: dict[str, tuple[str, Callable[[SeenObject], float], float, bool]] = {
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
"""By word: compared quantity, a value that is largest for the object meant, the margin, and True if that is a ratio."""


def superlative(objects: list[SeenObject], among: list[int], word: str) -> list[int] | None:
    """Find the object of ``among`` that a word of `SUPERLATIVES` singles out.

    Returns:
        Its index in a list; None with fewer than two candidates, or if the runner-up is a close call.
    """
    if len(among) < 2:
        return None
    _, value, margin, ratio = SUPERLATIVES[word]
    return _outstanding(among, [value(objects[i]) for i in among], margin, ratio)


def _outstanding(candidates: list[int], values: list[float], margin: float, ratio: bool = True) -> list[int] | None:
    order = np.argsort(values)[::-1]
    if len(order) > 1:
        best, second = values[order[0]], values[order[1]]
        if (best < margin * second) if ratio else (best - second < margin):
            return None
    return [candidates[int(order[0])]]
