"""Masks that are given: a mask image, a polygon, or a box."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arrays import BoolArray, ColorArray
from molmo_point.errors import InputError
from molmo_point.teaching.masks.outline import (
    contrast_lab,
    import_cv2,
    largest_piece,
    separated,
    widened,
    with_rim,
    without_holes,
)
from molmo_point.teaching.object_mask import MaskDoubt, MaskSource, NoMask, ObjectMask, ViewRefusal

_LEAST_SHARE, _LEAST_CONTRAST_LAB = 0.1, 7.0
_MOST_LEVELS_SHARE = 0.9


def mask_given(color: ColorArray, mask: ArrayLike) -> ObjectMask | NoMask:
    """Take a mask image: pixels that are not zero are the object.

    Args:
        color: RGB image (h, w, 3).
        mask: (h, w), (h, w, 1), or a picture (h, w, 3 or 4): of four channels the last one counts if it is not full.

    Raises:
        InputError: The sizes differ, or the values are not finite numbers.
    """
    array = np.asarray(mask)
    if array.ndim == 3 and array.shape[2] in (1, 2, 3, 4):
        alpha = array[..., -1] if array.shape[2] in (2, 4) else None
        array = alpha if alpha is not None and alpha.min() < alpha.max() else array[..., : min(array.shape[2], 3)].max(axis=2)
    if array.shape != color.shape[:2] or array.dtype.kind not in "biuf" or not np.all(np.isfinite(array)):
        given = f"{array.dtype} of shape {np.shape(mask)}, image {color.shape[:2]}"
        raise InputError("mask must be an image of the picture's height and width", given, "save the mask in the picture's size")
    chosen = array > (0.5 * float(array.max()) if array.dtype.kind != "b" and array.max() > 0 else 0)
    if not chosen.any():
        return NoMask(ViewRefusal.NO_OBJECT, "The given mask is empty: mark the pixels of the object.")
    if chosen.all():
        return NoMask(ViewRefusal.TOO_LARGE, "The given mask covers the whole picture: mark only the pixels of the object.")
    return ObjectMask(chosen, np.zeros_like(chosen), MaskSource.GIVEN)


def mask_of_polygon(color: ColorArray, corners: ArrayLike) -> ObjectMask | NoMask:
    """Take the inside of a polygon around the object.

    Args:
        color: RGB image (h, w, 3).
        corners: Pixels (n, 2) of three corners or more, in order.

    Raises:
        InputError: There are fewer than three corners, or one is not finite.
    """
    points = np.asarray(corners, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.all(np.isfinite(points)):
        raise InputError("polygon must be three or more pixels (u, v)", repr(corners)[:120], "give the corners in order")
    filled = np.zeros(color.shape[:2], np.uint8)
    import_cv2().fillPoly(filled, [np.round(points).astype(np.int32)], 1)
    if filled.sum() < 4:
        return NoMask(ViewRefusal.NO_OBJECT, "The polygon lies outside of the picture: give pixels of this picture.")
    return ObjectMask(*with_rim(filled.astype(bool), 1.5), MaskSource.GIVEN)


def mask_in_box(color: ColorArray, box: ArrayLike) -> ObjectMask | NoMask:
    """Separate the object in a box from its background by color.

    Args:
        color: RGB image (h, w, 3).
        box: (left, top, right, bottom) in pixels.

    Raises:
        InputError: It is not four finite numbers, or has no area inside the image.
    """
    place, inside = _inside_box(color, box)
    if np.count_nonzero(inside) > _MOST_LEVELS_SHARE * inside.size:
        return NoMask(ViewRefusal.TOO_LARGE, "The box covers the whole picture: draw it close around the object.")
    left, top, right, bottom = place
    middle = np.zeros_like(inside)
    half = 0.12 * (right - left), 0.12 * (bottom - top)
    center = 0.5 * (left + right), 0.5 * (top + bottom)
    middle[_span(center[1], half[1]), _span(center[0], half[0])] = True
    likely = widened(inside, -0.06 * min(right - left, bottom - top))
    nothing = np.zeros_like(inside)
    mask = largest_piece(without_holes(separated(color, nothing, likely, inside)))
    share = np.count_nonzero(mask) / np.count_nonzero(inside)
    if share < _LEAST_SHARE or contrast_lab(color, mask, 6.0) < _LEAST_CONTRAST_LAB:
        said = "The object in the box cannot be told from its background: give a polygon, or show it on another background."
        return NoMask(ViewRefusal.UNCLEAR, said, (center,))
    return ObjectMask(*with_rim(mask, 2.0), MaskSource.GIVEN, (MaskDoubt.BOX,))


def _span(middle: float, half: float) -> slice:
    return slice(max(round(middle - half), 0), max(round(middle + half), 0) + 1)


def _inside_box(color: ColorArray, box: ArrayLike) -> tuple[tuple[float, float, float, float], BoolArray]:
    edges: Any = np.asarray(box, np.float64)
    height, width = color.shape[:2]
    fix = "give left, top, right and bottom in pixels"
    if edges.shape != (4,) or not np.all(np.isfinite(edges)):
        raise InputError("box must be four finite numbers", repr(box)[:120], fix)
    left, right = (float(np.clip(value, 0, width)) for value in edges[[0, 2]])
    top, bottom = (float(np.clip(value, 0, height)) for value in edges[[1, 3]])
    if right - left < 4 or bottom - top < 4:
        raise InputError("box must have an area inside the image", f"{edges.tolist()}, image {width}×{height}", fix)
    inside = np.zeros(color.shape[:2], bool)
    inside[round(top) : round(bottom), round(left) : round(right)] = True
    return (left, top, right, bottom), inside
