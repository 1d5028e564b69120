"""Corrections: "no, this one" teaches a view, and that other places of the image do not show the object."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arrays import BoolArray
from molmo_point.errors import InputError
from molmo_point.frame import FrameOrImage, RgbdFrame
from molmo_point.model.taught.library import Library
from molmo_point.model.taught.shown_view import ShownView
from molmo_point.teaching.masks.color_mask import check_inside
from molmo_point.teaching.masks.given_mask import mask_given
from molmo_point.teaching.masks.mask_sources import find_object_mask
from molmo_point.teaching.object_mask import MaskSource, NoMask, ObjectMask

_ROUND_SHARE = 0.6
_PATCHES, _KEPT_PATCHES = 40, 6
"""Patches along the longer side of an image, and one of how many of them stays as background in a correction."""


def correct(
    library: Library,
    frame: FrameOrImage,
    name: str,
    *,
    uv: tuple[float, float] | None = None,
    mask: "ObjectMask | ArrayLike | None" = None,
    wrong: Sequence[tuple[float, float]] = (),
    origin: str = "correction",
) -> Library:
    """Teach that an object is here and not there, and return the corrected library.

    The view is not judged as in teaching: a small or covered object is what a correction is about.

    Args:
        library: Library that answered wrongly; it stays as it is.
        frame: Frame or image that it answered about.
        name: Name of the object.
        uv: Pixel on the right object; None with a mask.
        mask: Mask of the right object.
        wrong: Pixels that were wrongly answered; they count as background.
        origin: Source of the image.

    Raises:
        InputError: The object is unknown, neither or both of `uv` and `mask` are given, the object cannot be told from its
            background, or a wrong place is on the right object.
    """
    library.find(name)
    shown = RgbdFrame.of(frame)
    if (uv is None) == (mask is None):
        raise InputError("one of uv and mask must be given", "both" if uv is not None else "neither", "click the right object")
    for place in (*wrong, *([uv] if uv is not None else [])):
        check_inside(shown.color, place)
    found = _mask(shown, uv, mask)
    _check_wrong(found.mask, wrong)
    near = _around(found, wrong)
    ignored = (found.ignored | (_thinned(found.mask.shape) & ~found.mask & bool(wrong))) & ~near
    view = ShownView(shown.color, found.mask, ignored, origin, shown.stamp_ns or None)
    return library.taught(name, [view], add=True)


def _mask(frame: RgbdFrame, uv: tuple[float, float] | None, mask: "ObjectMask | ArrayLike | None") -> ObjectMask:
    if isinstance(mask, ObjectMask):
        return mask
    found = find_object_mask(frame, MaskSource.AUTO, uv=uv) if mask is None else mask_given(frame.color, mask)
    if isinstance(found, NoMask):
        raise InputError("the right object must be told from its background", found.message, "give a mask of the object")
    return found


def _check_wrong(mask: BoolArray, wrong: Sequence[tuple[float, float]]) -> None:
    for u, v in wrong:
        if mask[min(round(v), mask.shape[0] - 1), min(round(u), mask.shape[1] - 1)]:
            fix = "click the right object, or leave this place out"
            raise InputError("a wrong place must not be on the right object", f"({u:g}, {v:g})", fix)


def _around(found: ObjectMask, wrong: Sequence[tuple[float, float]]) -> BoolArray:
    """Return the surroundings of the wrong places, of half the size of the object."""
    height, width = found.mask.shape
    near = np.zeros_like(found.mask)
    radius = _ROUND_SHARE * math.sqrt(np.count_nonzero(found.mask))
    for u, v in wrong:
        near |= np.hypot(np.arange(width)[None] - u, np.arange(height)[:, None] - v) < radius
    return near


def _thinned(shape: tuple[int, ...]) -> BoolArray:
    """Return all patches of an image but one of a few, so that the wrong places weigh more than the rest of the background."""
    side = max(shape) / _PATCHES
    rows, columns = ((np.arange(length) / side).astype(np.int64) for length in shape)
    return (_PATCHES * rows[:, None] + 7 * rows[:, None] + columns) % _KEPT_PATCHES != 0
