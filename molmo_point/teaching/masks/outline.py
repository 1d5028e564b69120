"""Outline of an object in the color image, from a coarse mask whose rim may be some pixels off."""

import math
from typing import Any

import numpy as np

from molmo_point.arrays import BoolArray, ColorArray
from molmo_point.dependencies import require

_SIDE_PX = 220
"""Longer side of the crop in which colors are separated."""
_ROUNDS = 3
_LEAST_AGREEMENT = 0.6
_LEAST_CONTRAST_LAB = 6.0


def import_cv2() -> Any:
    """Import OpenCV.

    Raises:
        DependencyError: It is not installed.
    """
    return require("cv2", "Teaching by showing", "tracking")


def disc(cv2: Any, radius: float) -> Any:
    """Return a round structuring element."""
    side = 2 * max(round(radius), 0) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def widened(mask: BoolArray, radius: float) -> BoolArray:
    """Dilate a mask by a radius in pixels; erode it by a negative one. The border of the image is no edge."""
    cv2 = import_cv2()
    if round(abs(radius)) < 1:
        return mask.copy()
    change = cv2.dilate if radius > 0 else cv2.erode
    return change(mask.astype(np.uint8), disc(cv2, abs(radius))).astype(bool)


def largest_piece(mask: BoolArray) -> BoolArray:
    """Return the largest connected piece of a mask."""
    count, labels, stats, _ = import_cv2().connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return labels == 1 + int(np.argmax(stats[1:, 4])) if count > 1 else mask.copy()


def without_holes(mask: BoolArray, share: float = 0.1) -> BoolArray:
    """Fill the holes of a mask that are smaller than a share of it: a handle keeps its hole, a highlight does not."""
    cv2 = import_cv2()
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~np.pad(mask, 1)).astype(np.uint8), connectivity=4)
    small = np.flatnonzero(stats[:, 4] < share * np.count_nonzero(mask))
    small = small[(small != 0) & (small != labels[0, 0])]
    return mask | np.isin(labels, small)[1:-1, 1:-1] if count > 1 else mask.copy()


def crop_around(mask: BoolArray, margin: float) -> tuple[slice, slice]:
    """Return rows and columns of the box of a mask, with a margin in pixels."""
    rows, columns = np.nonzero(mask)
    margin = math.ceil(margin)
    return (
        slice(max(int(rows.min()) - margin, 0), int(rows.max()) + margin + 1),
        slice(max(int(columns.min()) - margin, 0), int(columns.max()) + margin + 1),
    )


def separated(color: ColorArray, sure: BoolArray, likely: BoolArray, possible: BoolArray) -> BoolArray:
    """Separate an object from its surroundings by color, with GrabCut on a crop of limited size.

    Args:
        color: RGB image (h, w, 3).
        sure: Pixels (h, w) of the object.
        likely: Pixels that probably belong to it.
        possible: Pixels that may belong to it; all others are background.
    """
    cv2 = import_cv2()
    box = crop_around(possible, 0.25 * math.sqrt(np.count_nonzero(possible)) + 8)
    part, size = color[box], color[box].shape[:2]
    labels = np.full(size, cv2.GC_BGD, np.uint8)
    labels[possible[box]] = cv2.GC_PR_BGD
    labels[likely[box]] = cv2.GC_PR_FGD
    labels[sure[box]] = cv2.GC_FGD
    scale = min(1.0, _SIDE_PX / max(size))
    small_wh = (max(round(size[1] * scale), 8), max(round(size[0] * scale), 8))
    small = cv2.resize(part, small_wh, interpolation=cv2.INTER_AREA)
    small_labels = cv2.resize(labels, small_wh, interpolation=cv2.INTER_NEAREST)
    inside = np.isin(small_labels, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if inside.all() or not inside.any():
        return likely | sure
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(small[..., ::-1]), small_labels, None, *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = np.isin(small_labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    mask = np.zeros(sure.shape, bool)
    mask[box] = cv2.resize(found, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) > 0.5
    return (mask & possible) | sure


def fitted_to_color(color: ColorArray, coarse: BoolArray, off_px: float) -> tuple[BoolArray, BoolArray, bool]:
    """Move the outline of a coarse mask to the object's outline in the color image.

    Args:
        color: RGB image (h, w, 3).
        coarse: Mask (h, w) whose outline may be off.
        off_px: Largest distance by which it may be off, in pixels.

    Returns:
        The mask; its uncertain rim, disjoint from it; and False if the color shows no outline, so that the rim is wide.
    """
    core = widened(coarse, -off_px)
    if np.count_nonzero(core) < 0.15 * np.count_nonzero(coarse):
        core = widened(coarse, -0.3 * off_px)
    reach = widened(coarse, off_px)
    mask = separated(color, core, coarse, reach)
    mask = largest_piece(without_holes(mask))
    both, either = np.count_nonzero(mask & coarse), np.count_nonzero(mask | coarse)
    if either and both / either >= _LEAST_AGREEMENT and contrast_lab(color, mask, off_px) > _LEAST_CONTRAST_LAB:
        rim = (mask ^ coarse) & widened(mask, 0.5 * off_px)
        return *with_rim(mask, max(1.0, 0.1 * off_px), rim & ~mask), True
    return *with_rim(coarse, off_px, reach & ~core), False


def with_rim(mask: BoolArray, rim_px: float, also: BoolArray | None = None) -> tuple[BoolArray, BoolArray]:
    """Return a mask without its rim, and the rim: pixels near the outline, and `also`; thin objects keep all their pixels."""
    inner = widened(mask, -rim_px)
    rim = widened(mask, rim_px) & ~inner
    if also is not None:
        rim |= also
    kept = mask & ~rim
    if np.count_nonzero(kept) < 0.4 * np.count_nonzero(mask):
        kept = mask
    return kept, rim & ~kept


def contrast_lab(color: ColorArray, mask: BoolArray, reach_px: float) -> float:
    """Return the difference in CIE Lab across the outline of a mask: the median over its parts."""
    cv2 = import_cv2()
    box = crop_around(mask, reach_px + 3)
    lab = cv2.cvtColor(np.ascontiguousarray(color[box]), cv2.COLOR_RGB2LAB).astype(np.float32)
    part = mask[box]
    radius = max(2, round(0.5 * reach_px))
    side = (2 * radius + 1, 2 * radius + 1)
    means = []
    for layer in (part, ~part):
        weight = cv2.boxFilter(layer.astype(np.float32), -1, side, normalize=False)
        means.append(cv2.boxFilter(lab * layer[..., None], -1, side, normalize=False) / np.maximum(weight, 1.0)[..., None])
    edge = part & ~widened(part, -1.0)
    return float(np.median(np.linalg.norm(means[0] - means[1], axis=-1)[edge])) if edge.any() else 0.0
