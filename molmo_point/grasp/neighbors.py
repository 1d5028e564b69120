"""Where a grown region is joined to a neighbour: necks and inner creases."""

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.grasp.patch import Patch, grown, label_pieces

NECK_M = 0.006
"""Two parts joined by less than twice this width are taken apart, in metres."""

PART_SHARE = 0.15
"""Smaller parts than this share of the region, such as handles, stay with it."""

CREASE_COSINE = 0.25
"""Inner creases sharper than this, as sine of the angle between the two sides' directions, divide."""

_MIN_PART = 30


def split_neighbours(inside: BoolArray, patch: Patch, at: tuple[np.intp, ...]) -> tuple[BoolArray, bool]:
    """The part of a region (n, m) that holds the pixel `at`, and whether another large part was cut off."""
    rows, columns = np.nonzero(inside)
    low_row, low_column = max(rows.min() - 1, 0), max(columns.min() - 1, 0)
    window = np.s_[low_row : rows.max() + 2, low_column : columns.max() + 2]
    region = inside[window]
    spacing = float(np.nanmedian(patch.depth_m[inside])) * float(patch.rays[0, 1, 0] - patch.rays[0, 0, 0])
    steps = max(1, round(NECK_M / max(spacing, 1e-6)))
    noise_m = float(np.nanmedian(patch.sigma_m[inside]))
    creases = _creases(np.where(region, patch.depth_m[window], np.nan), patch.rays[window], spacing, noise_m)
    # Holes in the depth are no necks: they are closed before the region is thinned.
    closed = ~grown(~grown(region, 1), 1) | region | (np.isnan(patch.depth_m[window]) & grown(region, steps))
    core = ~grown(~np.pad(closed, steps), steps)[steps:-steps, steps:-steps] & ~creases
    pieces = label_pieces(core)
    numbers, counts = np.unique(pieces[core], return_counts=True)
    large = numbers[counts >= max(_MIN_PART, PART_SHARE * counts.sum())] if len(numbers) else numbers
    if len(large) < 2:
        return inside, False
    owner = _shared_out(region, np.where(np.isin(pieces, large), pieces, -1))
    mine = owner[at[0] - low_row, at[1] - low_column]
    kept = inside.copy()
    kept[window] = region & (owner == mine)
    return kept, True


def _shared_out(region: BoolArray, pieces: np.ndarray) -> np.ndarray:
    """Every pixel of the region gets the number of the piece that reaches it first; -1 where none does."""
    owner = pieces.copy()
    for _ in range(max(region.shape)):
        wide = np.pad(owner, 1, constant_values=-1)
        open_ = region & (owner < 0)
        if not open_.any():
            break
        around = np.stack([wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:]])
        best = around.max(axis=0)
        new = open_ & (best >= 0)
        if not new.any():
            break
        owner[new] = best[new]
    return owner


def _creases(z: FloatArray, rays: FloatArray, spacing: float, noise_m: float) -> BoolArray:
    """Pixels where the surface folds towards the camera, like the line where two boxes touch."""
    reach = max(2, round(0.008 / max(spacing, 1e-6)))
    points = _smoothed(rays * z[..., None], 1)
    found = np.zeros(z.shape, dtype=bool)
    for axis in (0, 1):
        length = z.shape[axis]
        if length <= 2 * reach:
            continue
        before, middle, after = (
            np.take(points, np.arange(start, start + length - 2 * reach), axis=axis) for start in (0, reach, 2 * reach)
        )
        one, other = before - middle, after - middle
        sag = 0.5 * (one + other)
        size = np.linalg.norm(one, axis=-1) + np.linalg.norm(other, axis=-1)
        # Both sides come towards the camera from the fold, by more than the noise could.
        with np.errstate(invalid="ignore", divide="ignore"):
            depth = -np.sum(sag * middle, axis=-1) / np.linalg.norm(middle, axis=-1)
            folds = (2.0 * depth / size > CREASE_COSINE) & (depth > max(0.004, 3.0 * noise_m))
        inner = [slice(None)] * 2
        inner[axis] = slice(reach, reach + length - 2 * reach)
        found[tuple(inner)] |= folds
    return found


def _smoothed(values: FloatArray, steps: int) -> FloatArray:
    """Mean over a square of neighbours (n, m, 3), holes left out; NaN stays NaN."""
    known = np.isfinite(values[..., :1])
    total, weight = np.where(known, values, 0.0), known.astype(np.float64)
    for axis in (0, 1):
        pad = [(0, 0)] * 3
        pad[axis] = (steps, steps)
        wide, heavy = np.pad(total, pad), np.pad(weight, pad)
        length = values.shape[axis]
        total = sum(np.take(wide, np.arange(i, i + length), axis=axis) for i in range(2 * steps + 1))
        weight = sum(np.take(heavy, np.arange(i, i + length), axis=axis) for i in range(2 * steps + 1))
    return np.where(known, total / np.maximum(weight, 1.0), np.nan)
