"""Mask of an object alone in a picture: what cannot be reached from the border without crossing its outline."""

import math

import numpy as np

from molmo_point.arrays import BoolArray, ColorArray, FloatArray
from molmo_point.teaching.masks.color_mask import rimmed
from molmo_point.teaching.masks.outline import contrast_lab, import_cv2, largest_piece, separated, widened, without_holes
from molmo_point.teaching.masks.piece import place_in
from molmo_point.teaching.object_mask import MaskDoubt, MaskSource, NoMask, ObjectMask, ViewRefusal

_SIDE_PX, _ROUNDS = 112, 140
_LEAST_SHARE, _MOST_SHARE, _RIVAL_SHARE = 0.003, 0.5, 0.3
_STABLE, _LEAST_LAB, _CLEAR_LAB = 0.7, 10.0, 18.0
_LEVELS = (0.75, 1.0, 1.25)
_LEAST_SALIENCE = 14.0
_SHOW = "click the object, draw a box around it, or show it alone on a plain background."


def mask_of_photograph(color: ColorArray) -> ObjectMask | NoMask:
    """Find the object that is alone in a picture. A mask is not guessed: a picture with a doubt is refused.

    Args:
        color: RGB image (h, w, 3).

    Raises:
        DependencyError: OpenCV is not installed.
    """
    cv2 = import_cv2()
    salience = barrier_distance(color)
    level = _level(salience)
    masks = [salience > share * level for share in _LEVELS]
    if level < _LEAST_SALIENCE or not masks[1].any():
        return NoMask(ViewRefusal.NO_OBJECT, f"Nothing stands out in the picture: {_SHOW}")
    pieces = _pieces(masks[1])
    areas = [np.count_nonzero(piece) for piece in pieces]
    if not areas or areas[0] < _LEAST_SHARE * salience.size:
        return NoMask(ViewRefusal.NO_OBJECT, f"Nothing large enough stands out in the picture: {_SHOW}")
    shape = color.shape[:2]
    full = cv2.resize(salience.astype(np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR)
    scale = math.sqrt(full.size / salience.size)
    count = int(sum(area > _RIVAL_SHARE * areas[0] for area in areas))
    if count > 1:
        places = tuple(place_in(piece, scale) for piece in pieces[:count])
        return NoMask(ViewRefusal.SEVERAL_OBJECTS, f"{count} regions stand out in the picture: {_SHOW}", places)
    place = place_in(pieces[0], scale)
    if areas[0] > _MOST_SHARE * salience.size:
        return NoMask(ViewRefusal.TOO_LARGE, f"The object fills the picture, or does not stand out: {_SHOW}", (place,))
    if _overlap(_at(masks[0], pieces[0]), _at(masks[2], pieces[0])) < _STABLE:
        return NoMask(ViewRefusal.UNCLEAR, f"The object hardly stands out in the picture: {_SHOW}", (place,))
    return _fitted(color, full, level, pieces[0], place)


def _fitted(
    color: ColorArray, salience: FloatArray, level: float, piece: BoolArray, place: tuple[float, float]
) -> ObjectMask | NoMask:
    cv2 = import_cv2()
    near = cv2.resize(piece.astype(np.float32), color.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.1
    size_px = math.sqrt(np.count_nonzero(near))
    possible = widened(near, 0.15 * size_px)
    likely = near & (salience > level)
    sure = near & (salience > 1.6 * level) & widened(likely, -0.05 * size_px)
    mask = without_holes(largest_piece(separated(color, sure, likely, possible)))
    contrast = contrast_lab(color, mask, 6.0)
    if contrast < _LEAST_LAB or _overlap(mask, likely) < _STABLE:
        return NoMask(ViewRefusal.UNCLEAR, f"The object hardly differs from its background: {_SHOW}", (place,))
    doubts = () if contrast > _CLEAR_LAB else (MaskDoubt.LOW_CONTRAST,)
    return ObjectMask(*rimmed(mask), MaskSource.ALONE, doubts)


def barrier_distance(color: ColorArray) -> FloatArray:
    """Return for each cell of a small image the least change of color on any way to the border of the picture.

    This is the minimum barrier distance: along a way only the range of the values counts, so that soft light and fine
    texture add nothing. It is computed in each channel of CIE Lab.
    """
    cv2 = import_cv2()
    scale = _SIDE_PX / max(color.shape[:2])
    size = (max(round(color.shape[1] * scale), 8), max(round(color.shape[0] * scale), 8))
    small = cv2.resize(color, size, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(cv2.medianBlur(small, 3).astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    values = np.moveaxis(lab, 2, 0)
    cost = np.full(values.shape, np.inf, np.float32)
    high, low = values.copy(), values.copy()
    for part in ((slice(None), 0), (slice(None), -1), (slice(None), slice(None), 0), (slice(None), slice(None), -1)):
        cost[part] = 0.0
    for _ in range(_ROUNDS):
        before = cost.copy()
        for axis, step in ((1, 1), (1, -1), (2, 1), (2, -1)):
            _relaxed(values, cost, high, low, axis, step)
        if np.array_equal(before, cost):
            break
    return np.sqrt(np.sum(cost.astype(np.float64) ** 2, axis=0))


def _relaxed(values: FloatArray, cost: FloatArray, high: FloatArray, low: FloatArray, axis: int, step: int) -> None:
    """Sweep once along an axis: each line takes the way of the line before it, where that is shorter."""
    arrays = [np.moveaxis(each, axis, 0)[::step] for each in (values, cost, high, low)]
    values, cost, high, low = arrays
    for line in range(1, len(values)):
        top, bottom = np.maximum(high[line - 1], values[line]), np.minimum(low[line - 1], values[line])
        shorter = top - bottom < cost[line]
        cost[line][shorter] = (top - bottom)[shorter]
        high[line][shorter] = top[shorter]
        low[line][shorter] = bottom[shorter]


def _level(salience: FloatArray) -> float:
    """Return the threshold that divides the values best (Otsu)."""
    cv2 = import_cv2()
    top = max(float(salience.max()), 1e-6)
    level, _ = cv2.threshold((255.0 * salience / top).astype(np.uint8), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(level) * top / 255.0


def _pieces(mask: BoolArray) -> list[BoolArray]:
    count, labels, stats, _ = import_cv2().connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    order = np.argsort(-stats[1:, 4]) + 1 if count > 1 else []
    return [labels == number for number in order]


def _at(mask: BoolArray, piece: BoolArray) -> BoolArray:
    """Return the pieces of a mask that touch another piece."""
    _, labels = import_cv2().connectedComponents(mask.astype(np.uint8), connectivity=8)
    touched = np.unique(labels[piece])
    return np.isin(labels, touched[touched > 0])


def _overlap(one: BoolArray, other: BoolArray) -> float:
    either = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / either if either else 0.0
