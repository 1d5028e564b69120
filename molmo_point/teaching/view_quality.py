"""Quality of a view of an object: blur, size, border, light, and likeness to earlier views.

A poor view teaches the wrong features, so it is refused with a typed reason and one sentence. A hand that holds the object
is not recognized.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import BoolArray, ColorArray, FloatArray
from molmo_point.teaching.masks.outline import crop_around, import_cv2, widened
from molmo_point.teaching.object_mask import ViewRefusal

_SCALE_PX = 640
"""Longer side of an image at which sizes are judged; the feature network sees images at this size."""
_LEAST_SIZE_PX = 18.0
_MOST_SHARE, _BORDER_SHARE = 0.5, 0.15
_DARK_LEVEL, _BRIGHT_LEVEL, _MOST_SHARE_LOST = 40, 250, 0.6
_JUDGED_PX = 72.0
"""Size of the object at which blur is judged."""
_REACH_PX, _LEAST_CONTRAST, _LEAST_SHARPNESS = 8, 20.0, 0.2
_MOVED_RATIO = 2.2
_SAME_SIDE_PX, _SAME_LIKENESS, _SAME_SHAPE, _SAME_SCALE = 32, 0.92, 0.88, 1.12
_SAME_RING_LAB = 8.0


@dataclass(frozen=True)
class ViewFault:
    """Reason against a view.

    Attributes:
        refusal: The kind of the reason.
        message: One plain sentence for people.
    """

    refusal: ViewRefusal
    message: str


@dataclass(frozen=True, eq=False)
class ViewLook:
    """Look of one view, to compare views by.

    Attributes:
        picture: The object in gray (n, n), upright as in the image, NaN outside of it.
        shape: Its mask at the same size (n, n).
        size_px: Square root of its area, at an image of 640 pixels.
        ring_lab: Mean color (3,) of its surroundings in CIE Lab.
        object_lab: Mean color (3,) of the object in CIE Lab.
    """

    picture: FloatArray
    shape: BoolArray
    size_px: float
    ring_lab: FloatArray
    object_lab: FloatArray


def judge_view(color: ColorArray, mask: BoolArray) -> ViewFault | None:
    """Judge one view by itself; None if it is good.

    Args:
        color: RGB image (h, w, 3).
        mask: Pixels of the object (h, w).
    """
    height, width = mask.shape
    area = int(np.count_nonzero(mask))
    size_px = math.sqrt(area)
    if area > _MOST_SHARE * mask.size:
        said = f"The object fills {100 * area / mask.size:.0f} % of the picture: move the camera away."
        return ViewFault(ViewRefusal.TOO_LARGE, said)
    scaled_px = size_px * _SCALE_PX / max(height, width)
    if scaled_px < _LEAST_SIZE_PX:
        said = f"The object is too small, {size_px:.0f} pixels in a picture of {width}×{height}: move the camera nearer."
        return ViewFault(ViewRefusal.TOO_SMALL, said)
    touched = sum(int(np.count_nonzero(line)) for line in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    if touched > max(4.0, _BORDER_SHARE * size_px):
        return ViewFault(ViewRefusal.CUT_OFF, "The border of the picture cuts the object: move it to the middle.")
    return _light_fault(color, mask) or _blur_fault(color, mask, size_px)


def _light_fault(color: ColorArray, mask: BoolArray) -> ViewFault | None:
    inside = color[mask]
    around = color[widened(mask, 0.3 * math.sqrt(len(inside)) + 4) & ~mask]
    dark = float(np.mean(inside.max(axis=1) < _DARK_LEVEL))
    # A black object in good light has brighter surroundings.
    if dark > _MOST_SHARE_LOST and float(np.median(around.max(axis=1) if len(around) else 0)) < 1.5 * _DARK_LEVEL:
        return ViewFault(ViewRefusal.TOO_DARK, "The object is too dark to see: give it more light.")
    bright = float(np.mean(inside.min(axis=1) >= _BRIGHT_LEVEL))
    if bright > _MOST_SHARE_LOST:
        said = f"{100 * bright:.0f} % of the object is overexposed: give it less light, or lower the exposure."
        return ViewFault(ViewRefusal.OVER_EXPOSED, said)
    return None


def _blur_fault(color: ColorArray, mask: BoolArray, size_px: float) -> ViewFault | None:
    sharpness = sharpness_of(color, mask, size_px)
    known = sharpness[np.isfinite(sharpness)]
    if not known.size:
        return None
    if known.max() < _LEAST_SHARPNESS:
        said = "The object is blurred: hold still, focus the camera, or give more light."
        return ViewFault(ViewRefusal.BLURRED, said)
    if known.min() < _LEAST_SHARPNESS and known.max() > _MOVED_RATIO * known.min():
        said = "The object or the camera moved while the picture was taken: hold still."
        return ViewFault(ViewRefusal.MOVED, said)
    return None


def sharpness_of(color: ColorArray, mask: BoolArray, size_px: float) -> FloatArray:
    """Measure the sharpness of the object in four directions (4,): the steepest slope over the largest difference nearby.

    A sharp edge gives nearly 1, and a slope as wide as a ninth of the object 0.125. NaN without contrast in a direction.
    """
    cv2 = import_cv2()
    box = crop_around(mask, 0.12 * size_px + 4)
    scale = min(1.0, _JUDGED_PX / size_px)
    gray = cv2.cvtColor(np.ascontiguousarray(color[box]), cv2.COLOR_RGB2GRAY)
    near = widened(mask[box], 0.1 * size_px + 2).astype(np.uint8)
    if scale < 1.0:
        size = (max(round(gray.shape[1] * scale), 1), max(round(gray.shape[0] * scale), 1))
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        near = cv2.resize(near, size, interpolation=cv2.INTER_NEAREST)
    values = cv2.GaussianBlur(gray, (3, 3), 0.6).astype(np.float32)
    found = [_sharpness(values, near.astype(bool), step) for step in ((0, 1), (1, 0), (1, 1), (1, -1))]
    return np.array(found, np.float64)


def _sharpness(values: NDArray[np.float32], near: BoolArray, step: tuple[int, int]) -> float:
    reach = max(round(_REACH_PX / math.hypot(*step)), 2)
    if min(values.shape) <= reach + 1:
        return math.nan
    slopes, changes = (_differences(values, near, step, count) for count in (1, reach))
    if changes.size < 30:
        return math.nan
    contrast = float(np.quantile(changes, 0.99))
    length = math.hypot(*step)
    return float(np.quantile(slopes, 0.995)) / length / contrast if contrast > _LEAST_CONTRAST else math.nan


def _differences(values: NDArray[np.float32], near: BoolArray, step: tuple[int, int], count: int) -> NDArray[np.float32]:
    down, across = step[0] * count, step[1] * count
    rows, columns = values.shape
    first = slice(0, rows - down), slice(max(-across, 0), columns - max(across, 0))
    second = slice(down, rows), slice(max(across, 0), columns + min(across, 0))
    return np.abs(values[first] - values[second])[near[first] & near[second]]


def look_of(color: ColorArray, mask: BoolArray) -> ViewLook:
    """Return the look of a view, to compare it with others."""
    cv2 = import_cv2()
    size_px = math.sqrt(np.count_nonzero(mask))
    box = crop_around(mask, 0)
    side = (_SAME_SIDE_PX, _SAME_SIDE_PX)
    gray = cv2.cvtColor(np.ascontiguousarray(color[box]), cv2.COLOR_RGB2GRAY)
    shape = cv2.resize(mask[box].astype(np.float32), side, interpolation=cv2.INTER_AREA) > 0.5
    small = cv2.resize(gray, side, interpolation=cv2.INTER_AREA).astype(np.float64)
    wide = crop_around(mask, 0.3 * size_px + 5)
    lab = cv2.cvtColor(np.ascontiguousarray(color[wide]), cv2.COLOR_RGB2LAB).astype(np.float64)
    near = mask[wide]
    around = lab[widened(near, 0.25 * size_px + 4) & ~widened(near, 0.05 * size_px + 1)]
    ring = np.median(around, axis=0) if len(around) else np.zeros(3)
    scaled_px = size_px * _SCALE_PX / max(mask.shape)
    return ViewLook(np.where(shape, small, np.nan), shape, scaled_px, ring, np.mean(lab[near], axis=0))


def same_view(look: ViewLook, earlier: Iterable[ViewLook]) -> ViewFault | None:
    """Compare a view with the earlier ones; None if it shows another side, size or background."""
    for number, other in enumerate(earlier, start=1):
        if likeness(look, other) > _SAME_LIKENESS and _alike(look, other):
            return ViewFault(ViewRefusal.SAME_VIEW, f"This shows the same as view {number}: turn the object, or move the camera.")
    return None


def likeness(one: ViewLook, other: ViewLook) -> float:
    """Return the correlation of two pictures of an object where both show it; 0 if their shapes differ."""
    both, either = one.shape & other.shape, one.shape | other.shape
    if np.count_nonzero(both) < _SAME_SHAPE * np.count_nonzero(either):
        return 0.0
    a, b = (each.picture[both] - np.mean(each.picture[both]) for each in (one, other))
    spread = float(np.sqrt(np.sum(a**2) * np.sum(b**2)))
    # Plain objects have no structure to correlate: their difference counts.
    plain = min(float(np.std(a)), float(np.std(b))) < 4.0
    return 1.0 - float(np.std(a - b)) / 40.0 if plain else float(np.sum(a * b)) / spread


def _alike(one: ViewLook, other: ViewLook) -> bool:
    ratio = max(one.size_px, other.size_px) / max(min(one.size_px, other.size_px), 1e-6)
    apart = (np.linalg.norm(one.ring_lab - other.ring_lab), np.linalg.norm(one.object_lab - other.object_lab))
    return bool(ratio < _SAME_SCALE and max(apart) < _SAME_RING_LAB)
