"""Outline of an object in the color image, where the depth around it is missing."""

from dataclasses import replace

import numpy as np

from molmo_point.arrays import BoolArray, ColorArray, FloatArray
from molmo_point.grasp.object_region import ObjectRegion
from molmo_point.grasp.patch import grown, label_pieces

HOLE_M = 0.012
"""Largest width of a hole beside the object that its color may fill, in meters."""

SHIFT_M, MAX_SURPLUS = 0.008, 0.25
"""Largest shift of depth against color, in meters, and largest share of a region outside the object's colors."""

_FOREIGN = 2.0
_WINDOW_M, _LEAST_COLORS = 0.02, 12
_CONTRAST_SIGMAS, _LEAST_CONTRAST = 3.0, 12.0


def fit_to_color(region: ObjectRegion, color: ColorArray) -> ObjectRegion:
    """Fit an object region to the outline of the object in the color image.

    Depth is missing at the sides of objects, and is shifted against the color. A pixel without depth next to the region joins
    it if its color is that of the object; it takes the depth of the nearest measured pixels. A pixel at the edge of the
    region leaves it if its color is that of the surroundings. Both colors are those nearby, and must differ clearly.

    Args:
        region: Object region with its patch.
        color: RGB image (h, w, 3) that the region's depth is aligned to.

    Returns:
        The region with other points and another patch; mask and flags stay.
    """
    patch, inside = region.patch, region.inside
    if patch is None or inside is None:
        return region
    spacing_m = float(region.target_m[2]) * float(np.median(np.abs(np.diff(patch.rays[len(patch.rows) // 2, :, 0]))))
    steps, radius = (max(1, round(each / spacing_m)) for each in (HOLE_M, _WINDOW_M))
    part = tuple(
        slice(max(0, int(each.min()) - steps - radius), int(each.max()) + steps + radius + 1) for each in np.nonzero(inside)
    )
    shades = color[np.ix_(patch.rows[part[0]], patch.columns[part[1]])].astype(np.float64)
    own, depth, sigma = inside[part], patch.depth_m[part], patch.sigma_m[part]
    missing = ~np.isfinite(depth)
    alike, foreign = _compare(shades, own, ~missing & ~own, radius)
    filled_m, filled_sigma_m, added = _filled(own, depth, sigma, missing & alike, steps)
    surplus = _peeled(own, missing | ~own, foreign, max(1, round(SHIFT_M / spacing_m)))
    if np.count_nonzero(surplus) > MAX_SURPLUS * np.count_nonzero(own):
        surplus[:] = False
    depth_m, sigma_m, fitted = patch.depth_m.copy(), patch.sigma_m.copy(), inside.copy()
    depth_m[part] = np.where(surplus, np.nan, filled_m)
    sigma_m[part] = np.where(surplus, np.nan, filled_sigma_m)
    fitted[part] = _main_piece((own | added) & ~surplus)
    changed = replace(patch, depth_m=depth_m, sigma_m=sigma_m)
    return replace(region, patch=changed, inside=fitted, points_m=changed.points_m[fitted])


def _compare(shades: FloatArray, own: BoolArray, other: BoolArray, radius: int) -> tuple[BoolArray, BoolArray]:
    """Tell the pixels (n, m) that have the object's color, and those that have the color of the surroundings, if these differ."""
    means, spreads, counts = [], [], []
    for mask in (own, other):
        layers = np.concatenate([shades, np.sum(shades**2, axis=-1, keepdims=True), np.ones((*mask.shape, 1))], axis=-1)
        sums = _box_sums(layers * mask[..., None], radius)
        count = np.maximum(sums[..., 4], 1.0)
        mean = sums[..., :3] / count[..., None]
        spreads.append(np.sqrt(np.maximum(sums[..., 3] / count - np.sum(mean**2, axis=-1), 0.0) / 3.0))
        means.append(mean)
        counts.append(sums[..., 4])
    away = [np.linalg.norm(shades - mean, axis=-1) for mean in means]
    contrast = np.linalg.norm(means[0] - means[1], axis=-1)
    clear = contrast > np.maximum(_CONTRAST_SIGMAS * np.minimum(*spreads), _LEAST_CONTRAST)
    clear &= np.minimum(*counts) >= _LEAST_COLORS
    # Each distance counts in units of that color's own spread.
    ratio = away[0] * (spreads[1] + _LEAST_CONTRAST) / (away[1] * (spreads[0] + _LEAST_CONTRAST) + 1e-9)
    return _agreed(clear & (ratio < 1.0)), _agreed(clear & (ratio > _FOREIGN))


def _agreed(mask: BoolArray) -> BoolArray:
    """Return the majority of every 3 x 3 pixels."""
    return _box_sums(mask[..., None].astype(np.float64), 1)[..., 0] > 4.5


def _box_sums(layers: FloatArray, radius: int) -> FloatArray:
    """Return the sums (n, m, k) over squares of 2 * radius + 1 pixels."""
    for axis in (0, 1):
        wide = [(0, 0)] * 3
        wide[axis] = (radius + 1, radius)
        total = np.cumsum(np.pad(layers, wide), axis=axis)
        size = layers.shape[axis]
        layers = np.take(total, range(2 * radius + 1, 2 * radius + 1 + size), axis) - np.take(total, range(size), axis)
    return layers


def _filled(
    own: BoolArray, depth: FloatArray, sigma: FloatArray, alike: BoolArray, steps: int
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Carry depth and its noise from the object into adjoining pixels of its color, step by step; return both and the mask."""
    layers = np.where(own[..., None], np.stack([depth, sigma, np.ones_like(depth)], axis=-1), 0.0)
    for _ in range(steps):
        sums = _box_sums(layers, 1)
        new = alike & (layers[..., 2] == 0) & (sums[..., 2] >= 2)
        if not new.any():
            break
        layers[new] = sums[new] / sums[new][:, 2:]
    added = (layers[..., 2] > 0) & ~own
    return np.where(added, layers[..., 0], depth), np.where(added, layers[..., 1], sigma), added


def _peeled(own: BoolArray, free: BoolArray, foreign: BoolArray, steps: int) -> BoolArray:
    """Return the pixels of the region that have a foreign color, up to `steps` from its edge."""
    gone = np.zeros_like(own)
    for _ in range(steps):
        gone |= own & foreign & grown(free | gone, 1)
    return gone


def _main_piece(mask: BoolArray) -> BoolArray:
    """Return the largest connected piece of a mask."""
    pieces = label_pieces(mask)
    numbers, counts = np.unique(pieces[mask], return_counts=True)
    return pieces == numbers[np.argmax(counts)] if numbers.size else mask
