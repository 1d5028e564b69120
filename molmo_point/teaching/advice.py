"""Advice: the view of an object that would help most, from the views so far."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.model.taught.shown_view import ShownView
from molmo_point.patch_features import PatchFeatures
from molmo_point.teaching.masks.outline import import_cv2
from molmo_point.teaching.view_quality import ViewLook, look_of

_SAME_SIDE = 0.93
"""Likeness of features from which two views show one side of an object."""
_SIDES_WANTED, _SCALE_WANTED = 3, 1.5
_RING_LAB, _LIGHT_LAB = 14.0, 7.0
_LARGE_PX = 130.0
_WEAK_RATE = 0.7


class AdviceKind(str, enum.Enum):
    """View that would help most.

    SHOW: any view; there is none so far.
    TURN_QUARTER: another side, a quarter turn on.
    TURN_OVER: the other side, or the bottom.
    FARTHER: the object smaller, from farther away.
    NEARER: the object larger, from nearer.
    OTHER_BACKGROUND: the object on another background.
    OTHER_LIGHT: the object in other light.
    AGAIN: one more view like one that the other views do not explain.
    ENOUGH: no view is missing.
    """

    SHOW = "SHOW"
    TURN_QUARTER = "TURN_QUARTER"
    TURN_OVER = "TURN_OVER"
    FARTHER = "FARTHER"
    NEARER = "NEARER"
    OTHER_BACKGROUND = "OTHER_BACKGROUND"
    OTHER_LIGHT = "OTHER_LIGHT"
    AGAIN = "AGAIN"
    ENOUGH = "ENOUGH"


@dataclass(frozen=True)
class ViewAdvice:
    """The view that would help most.

    Attributes:
        kind: Kind of the view.
        message: One plain sentence for people.
    """

    kind: AdviceKind
    message: str


_SENTENCES = {
    AdviceKind.SHOW: "Show the object alone.",
    AdviceKind.TURN_QUARTER: "Turn it by a quarter.",
    AdviceKind.TURN_OVER: "Turn it over, or show it from the other side.",
    AdviceKind.FARTHER: "Show it smaller, from farther away.",
    AdviceKind.NEARER: "Show it larger, from nearer.",
    AdviceKind.OTHER_BACKGROUND: "Show it on another background.",
    AdviceKind.OTHER_LIGHT: "Show it in other light.",
    AdviceKind.ENOUGH: "These views are enough.",
}


@dataclass(frozen=True, eq=False)
class ViewPatches:
    """One view as advice sees it.

    Attributes:
        look: Its look.
        on: Features (p, n) of the patches on the object, of unit length.
        off: Features (q, n) of the other patches, of unit length.
    """

    look: ViewLook
    on: FloatArray
    off: FloatArray

    @classmethod
    def of(cls, view: ShownView, grid: PatchFeatures) -> "ViewPatches":
        """Take the patches of a view from the features of its image."""
        rows, columns = grid.values.shape[:2]
        height, width = view.mask.shape
        outside = [(0, max(round(count * grid.patch_px) - side, 0)) for count, side in ((rows, height), (columns, width))]
        padded = np.pad(view.mask.astype(np.float32), outside)
        share = import_cv2().resize(padded, (columns, rows), interpolation=import_cv2().INTER_AREA).ravel()
        on = share >= min(0.5, float(share.max()))
        flat = _units(grid.values)
        return cls(look_of(view.color, view.mask), flat[on], flat[share < 0.02])


def advise(views: Sequence[ViewPatches]) -> ViewAdvice:
    """Return the view that would help most, from the views so far.

    Sides come first, then the scale, the background, the light, and last a view that the others do not explain.
    """
    if not views:
        return _advice(AdviceKind.SHOW)
    looks = [view.look for view in views]
    sides = count_sides(views)
    if sides == 1:
        return _advice(AdviceKind.TURN_QUARTER)
    if sides < _SIDES_WANTED:
        return _advice(AdviceKind.TURN_OVER)
    sizes = [look.size_px for look in looks]
    if max(sizes) < _SCALE_WANTED * min(sizes):
        return _advice(AdviceKind.FARTHER if float(np.median(sizes)) > _LARGE_PX / 2 else AdviceKind.NEARER)
    if _spread([look.ring_lab for look in looks]) < _RING_LAB:
        return _advice(AdviceKind.OTHER_BACKGROUND)
    if np.ptp([look.object_lab[0] for look in looks]) < _LIGHT_LAB:
        return _advice(AdviceKind.OTHER_LIGHT)
    rates = left_out_rates(views)
    worst = int(np.argmin(rates))
    if rates[worst] < _WEAK_RATE:
        return ViewAdvice(AdviceKind.AGAIN, f"Show it once more as in view {worst + 1}: the other views do not explain it.")
    return _advice(AdviceKind.ENOUGH)


def count_sides(views: Sequence[ViewPatches]) -> int:
    """Count the sides of the object that the views show, by the likeness of their features."""
    sides: list[FloatArray] = []
    for view in views:
        mean = view.on.mean(axis=0)
        mean = mean / max(float(np.linalg.norm(mean)), 1e-9)
        if all(float(mean @ side) < _SAME_SIDE for side in sides):
            sides.append(mean)
    return len(sides)


def left_out_rates(views: Sequence[ViewPatches]) -> FloatArray:
    """Return for each view (n,) the share of its patches that other views explain better than any background; 0 for one."""
    if len(views) < 2:
        return np.zeros(len(views))
    off = np.concatenate([view.off for view in views])
    rates = []
    for view in views:
        on = np.concatenate([other.on for other in views if other is not view])
        near, far = ((view.on @ each.T).max(axis=1, initial=-1.0) for each in (on, off))
        rates.append(float(np.mean(near > far)))
    return np.array(rates)


def _units(values: FloatArray) -> FloatArray:
    array = values.reshape(-1, values.shape[-1]).astype(np.float32)
    return array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1e-9)


def _spread(colors: Sequence[FloatArray]) -> float:
    array = np.stack(colors)
    return float(np.linalg.norm(array[:, None] - array[None], axis=-1).max())


def _advice(kind: AdviceKind) -> ViewAdvice:
    return ViewAdvice(kind, _SENTENCES[kind])
