"""Mask of an object by color: around one point, within a box, or alone in a picture."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.arrays import BoolArray, ColorArray, FloatArray
from molmo_point.errors import InputError
from molmo_point.teaching.masks.outline import contrast_lab, import_cv2, largest_piece, separated, with_rim, without_holes
from molmo_point.teaching.object_mask import MaskDoubt, MaskSource, NoMask, ObjectMask, ViewRefusal

_SHARES = (0.05, 0.075, 0.11, 0.16, 0.23, 0.33)
"""Radii in which the object at a point is searched, as shares of the longer side of the image."""
_SAME, _CLEAR_LAB, _WEAK_LAB = 0.75, 14.0, 7.0
_LEAST_PIXELS = 40
_RIM_SHARE = 0.03


@dataclass(frozen=True, eq=False)
class _Try:
    """Object at a point as one radius shows it: mask, contrast across its outline, share of the border of the circle."""

    mask: BoolArray
    contrast_lab: float
    reaches_out: bool


def mask_by_click(color: ColorArray, uv: tuple[float, float]) -> ObjectMask | NoMask:
    """Separate the object at a pixel from its surroundings by color.

    Several radii are tried, since the size of the object is unknown. A mask counts if a larger radius gives the same one.

    Args:
        color: RGB image (h, w, 3).
        uv: Pixel (2,) on the object.

    Raises:
        InputError: The pixel is outside the image.
        DependencyError: OpenCV is not installed.
    """
    check_inside(color, uv)
    tries = [found for share in _SHARES if (found := _tried(color, uv, share * max(color.shape[:2]))) is not None]
    best: tuple[float, _Try] | None = None
    for smaller, larger in itertools.pairwise(tries):
        if smaller.reaches_out:
            continue
        score = smaller.contrast_lab * _overlap(smaller.mask, larger.mask)
        if _overlap(smaller.mask, larger.mask) > _SAME and (best is None or score > best[0]):
            best = score, smaller
    if best is None or best[1].contrast_lab < _WEAK_LAB:
        said = "The object cannot be told from its background: draw a box around it, or show it on another background."
        return NoMask(ViewRefusal.UNCLEAR, said, (uv,))
    found = best[1]
    doubts = () if found.contrast_lab > _CLEAR_LAB else (MaskDoubt.LOW_CONTRAST,)
    return ObjectMask(*rimmed(found.mask), MaskSource.CLICK, doubts)


def check_inside(color: ColorArray, uv: tuple[float, float]) -> None:
    """Check a pixel.

    Raises:
        InputError: It is outside the image, or not finite.
    """
    height, width = color.shape[:2]
    if len(uv) != 2 or not (-0.5 <= uv[0] <= width - 0.5 and -0.5 <= uv[1] <= height - 0.5):
        given = f"({', '.join(f'{value:g}' for value in uv)}), image {width}×{height}"
        raise InputError("the point must be a pixel of the image", given, "give u from the left and v from the top, in pixels")


def rimmed(mask: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Return a mask by color without its rim, and the rim."""
    return with_rim(mask, max(1.0, _RIM_SHARE * math.sqrt(np.count_nonzero(mask))))


def _overlap(one: BoolArray, other: BoolArray) -> float:
    either = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / either if either else 0.0


def _tried(color: ColorArray, uv: tuple[float, float], radius: float) -> _Try | None:
    away = _away(color, uv)
    circle = away < radius
    mask = separated(color, away < max(0.12 * radius, 2.0), away < 0.6 * radius, circle)
    mask = _piece_at(mask, uv)
    if np.count_nonzero(mask) < _LEAST_PIXELS:
        return None
    mask = without_holes(mask)
    ring = circle & (away > 0.93 * radius)
    return _Try(mask, contrast_lab(color, mask, 6.0), bool(np.mean(mask[ring]) > 0.04))


def _away(color: ColorArray, uv: tuple[float, float]) -> FloatArray:
    height, width = color.shape[:2]
    return np.hypot(np.arange(width)[None] - uv[0], np.arange(height)[:, None] - uv[1])


def _piece_at(mask: BoolArray, uv: tuple[float, float]) -> BoolArray:
    cv2: Any = import_cv2()
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    height, width = mask.shape
    label = labels[min(max(round(uv[1]), 0), height - 1), min(max(round(uv[0]), 0), width - 1)]
    return labels == label if label else largest_piece(mask)
