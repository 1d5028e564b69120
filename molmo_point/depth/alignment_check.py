"""Test whether the depth of a frame belongs to its color image, from the edges of both.

Where an object stands in front of another, depth has a step and the color image mostly an edge. Real depth images have
objects that are grown or eaten at their outlines, so the two edges differ by a few pixels, but outward on both sides. A
shift moves left and right outlines to the same side; depth that was never aligned moves near objects more than far ones,
and another field of view moves outlines away from the center.
"""

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from molmo_point.arrays import ColorArray, DepthArray, FloatArray, IntArray
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame

_REFERENCE_PX = 640.0
"""Width of the image that the lengths below are for."""
_TOLERANCE_PX = 4.0
"""Shift that real cameras have after alignment."""
_LARGEST_PX, _LARGEST_M = 64.0, 0.09
_GROWTHS_PX = np.arange(-8.0, 9.0, 4.0)
_SCALES = np.concatenate([np.arange(0.6, 0.94, 0.0125), np.arange(1.07, 1.7, 0.02)])
_STEP_M, _STEP_SHARE = 0.02, 0.035
_PLATEAU = 5
_MOST_STEPS = 2500
_CELL_PX = 20
_LEAST_IN_CELL, LEAST_CELLS = 4, 12
_LEAST_SIGMAS, _LEAST_GAIN, _LEAST_SHARE = 3.0, 0.04, 0.8
_FOLDS, _DRAWS = 6, 60


class Misfit(str, Enum):
    """Kind of the displacement that fits the edges better than none."""

    SHIFT = "shift"
    """All edges are displaced alike."""
    BASELINE = "baseline"
    """Near edges are displaced more than far ones: depth is in the view of its own imager."""
    SCALE = "scale"
    """Edges are displaced away from the center, or toward it: depth has another field of view."""


@dataclass(frozen=True)
class AlignmentCheck:
    """Displacement of the edges of color from those of depth.

    Attributes:
        shift_px: Shift (u, v) of color edges from depth edges in pixels, at the median depth of the edges; NaN where
            the edges cannot tell.
        sigma_px: Standard deviation (u, v) of the shift, in pixels.
        significance: Advantage (u, v) of the displacement over none, in standard deviations, on edges that did not
            choose it; NaN where the edges cannot tell.
        kinds: Kind of the displacement along u and v.
        cells: Number of parts (u, v) of the image with edges.
        misaligned: True if a displacement along u or v is significant.
    """

    shift_px: tuple[float, float]
    sigma_px: tuple[float, float]
    significance: tuple[float, float]
    kinds: tuple[Misfit, Misfit]
    cells: tuple[int, int]
    misaligned: bool


@dataclass(frozen=True, eq=False)
class _Steps:
    """Outlines of near objects: row and column of the last near pixel, side of the far surface (-1, 1), near depth."""

    rows: IntArray
    columns: IntArray
    sides: IntArray
    depth_m: FloatArray


@dataclass(frozen=True, eq=False)
class _Along:
    """Result along one axis."""

    shift_px: float = math.nan
    sigma_px: float = math.nan
    significance: float = math.nan
    kind: Misfit = Misfit.SHIFT
    cells: int = 0
    misaligned: bool = False


def check_alignment(frame: RgbdFrame) -> AlignmentCheck:
    """Compare the edges of depth with those of color.

    Args:
        frame: A frame with depth and intrinsics.

    Raises:
        InputError: The frame has no depth or no intrinsics.
    """
    if frame.depth_m is None or frame.intrinsics is None:
        raise InputError("frame must have depth and intrinsics", "a frame without", "give depth and intrinsics")
    lens = frame.intrinsics
    unit = max(frame.size_wh) / _REFERENCE_PX
    gray = _gray(frame.color)
    along_u = _along(frame.depth_m, gray, lens.fx, lens.cx, unit)
    along_v = _along(frame.depth_m.T, gray.T, lens.fy, lens.cy, unit)
    both = (along_u, along_v)
    return AlignmentCheck(
        shift_px=(along_u.shift_px, along_v.shift_px),
        sigma_px=(along_u.sigma_px, along_v.sigma_px),
        significance=(along_u.significance, along_v.significance),
        kinds=(along_u.kind, along_v.kind),
        cells=(along_u.cells, along_v.cells),
        misaligned=any(each.misaligned for each in both),
    )


def _along(depth_m: DepthArray, gray: FloatArray, focal_px: float, center_px: float, unit: float) -> _Along:
    """Check along the columns of images (h, w)."""
    steps = _find_steps(depth_m, unit)
    side = round(_CELL_PX * unit)
    if not steps.rows.size:
        return _Along()
    cells, where = np.unique(steps.rows // side * 10_000 + steps.columns // side, return_inverse=True)
    counts = np.bincount(where, minlength=cells.size)
    kept = counts >= _LEAST_IN_CELL
    if np.count_nonzero(kept) < LEAST_CELLS or min(np.mean(steps.sides > 0), np.mean(steps.sides < 0)) < 0.1:
        return _Along(cells=int(np.count_nonzero(kept)))
    strength = _edge_strength(gray, unit)
    moves, kinds, grows = _hypotheses(steps, focal_px, center_px, unit)
    scores = _scores(strength, steps, moves, grows * unit, where, counts)[:, :, kept]
    at = int(np.argmin(np.abs(steps.depth_m - np.median(steps.depth_m))))
    return _judged(scores * np.sqrt(counts[kept]), moves, kinds, at, unit)


def _hypotheses(steps: _Steps, focal_px: float, center_px: float, unit: float) -> tuple[FloatArray, list[Misfit], FloatArray]:
    """Return displacements (n, steps) in pixels, their kinds, and growths (m,) in reference pixels."""
    ones = np.ones(steps.rows.size)
    shifts = np.arange(-_LARGEST_PX, _LARGEST_PX + 1.0) * unit
    baselines = np.arange(-_LARGEST_M, _LARGEST_M + 1e-9, 0.003)
    moves = [shift * ones for shift in shifts]
    kinds = [Misfit.SHIFT] * shifts.size
    for baseline_m in baselines[np.abs(baselines) > 0.006]:
        moves.append(focal_px * baseline_m / steps.depth_m)
        kinds.append(Misfit.BASELINE)
    for scale in _SCALES:
        for shift in (-10.0 * unit, 0.0, 10.0 * unit):
            moves.append((scale - 1.0) * (steps.columns - center_px) + shift)
            kinds.append(Misfit.SCALE)
    return np.array(moves), kinds, _GROWTHS_PX


def _scores(
    strength: FloatArray, steps: _Steps, moves: FloatArray, grows_px: FloatArray, where: IntArray, counts: IntArray
) -> FloatArray:
    """Return the mean edge strength (moves, growths, cells) at the displaced outlines."""
    width = strength.shape[1]
    member = np.zeros((steps.rows.size, counts.size), np.float32)
    member[np.arange(steps.rows.size), where] = 1.0 / counts[where]
    found = []
    for grow_px in grows_px:
        columns = np.rint(steps.columns + moves + steps.sides * grow_px).astype(np.int64)
        outside = (columns < 0) | (columns >= width)
        values = strength[steps.rows, np.clip(columns, 0, width - 1)]
        values[outside] = 0.0
        found.append(values @ member)
    return np.stack(found, axis=1)


def _judged(scores: FloatArray, moves: FloatArray, kinds: list[Misfit], at: int, unit: float) -> _Along:
    """Compare the best displacement with the best of none, each chosen by the other cells."""
    none = np.array([kind is Misfit.SHIFT for kind in kinds]) & (np.abs(moves[:, 0]) <= _TOLERANCE_PX * unit)
    flat, still = scores.reshape(-1, scores.shape[2]), np.repeat(none, scores.shape[1])
    count = flat.shape[1]
    total, gains = flat.sum(axis=1), np.zeros(count)
    for part in range(_FOLDS):
        judge = np.arange(count) % _FOLDS == part
        chosen_by = total - flat[:, judge].sum(axis=1)
        best, usual = int(np.argmax(chosen_by)), int(np.argmax(np.where(still, chosen_by, -np.inf)))
        gains[judge] = flat[best, judge] - flat[usual, judge]
    error = float(np.std(gains)) / math.sqrt(count)
    significance = float(np.mean(gains)) / error if error > 0 else 0.0
    best = int(np.argmax(flat.mean(axis=1)))
    rng = np.random.default_rng(0)
    weights = rng.multinomial(count, np.full(count, 1.0 / count), _DRAWS) / count
    picked = np.argmax(flat @ weights.T, axis=0)
    drawn = picked // scores.shape[1]
    away = not still[best] and float(np.mean(~still[picked])) >= _LEAST_SHARE
    return _Along(
        shift_px=float(moves[best // scores.shape[1], at]),
        sigma_px=max(float(np.std(moves[drawn, at])), 0.5 * unit),
        significance=significance,
        kind=kinds[best // scores.shape[1]],
        cells=count,
        misaligned=away and significance > _LEAST_SIGMAS and float(np.mean(gains)) > _LEAST_GAIN,
    )


def _find_steps(depth_m: DepthArray, unit: float) -> _Steps:
    """Find steps between two smooth surfaces along every row, also across a hole."""
    longest = round(40 * unit)
    rows, columns, sides, depths = [], [], [], []
    for row in range(0, depth_m.shape[0], max(1, round(2 * unit))):
        known = np.flatnonzero(np.isfinite(depth_m[row]))
        if known.size < 4 * _PLATEAU:
            continue
        z = depth_m[row, known].astype(np.float64)
        change, near = np.diff(z), np.minimum(z[1:], z[:-1])
        for i in np.flatnonzero((np.abs(change) > np.maximum(_STEP_M, _STEP_SHARE * near)) & (np.diff(known) <= longest)):
            before, after = z[max(i - _PLATEAU, 0) : i + 1], z[i + 1 : i + 2 + _PLATEAU]
            if max(np.ptp(before), np.ptp(after)) > 0.02 + 0.025 * near[i] or min(before.size, after.size) <= _PLATEAU:
                continue
            rows.append(row)
            columns.append(known[i] if change[i] > 0 else known[i + 1])
            sides.append(1 if change[i] > 0 else -1)
            depths.append(near[i])
    chosen = np.arange(len(rows))[:: max(1, math.ceil(len(rows) / _MOST_STEPS))]
    rows, columns, sides = (np.array(values, np.int64)[chosen] for values in (rows, columns, sides))
    return _Steps(rows, columns, sides, np.array(depths, np.float64)[chosen])


def _gray(color: ColorArray) -> FloatArray:
    return color.astype(np.float32) @ np.array([0.3, 0.6, 0.1], np.float32)


def _edge_strength(gray: FloatArray, unit: float) -> FloatArray:
    """Return the strength (h, w) of edges across rows, 0 to 1, less its mean around."""
    smooth = _box(_box(gray, unit), unit)
    slope = np.zeros_like(smooth)
    slope[:, 1:-1] = np.abs(smooth[:, 2:] - smooth[:, :-2])
    strength = np.minimum(slope / max(float(np.quantile(slope[::4, ::4], 0.97)), 1e-3), 1.0)
    return _box(strength, unit) - _box(strength, 16 * unit)


def _box(image: FloatArray, radius: float) -> FloatArray:
    """Return the mean (h, w) over squares of a radius."""
    reach = max(1, round(radius))
    for axis in (0, 1):
        pad = [(reach + 1, reach) if k == axis else (0, 0) for k in range(2)]
        total = np.cumsum(np.pad(image, pad, mode="edge"), axis=axis, dtype=np.float64)
        size = image.shape[axis]
        upto, before = (np.take(total, range(start, start + size), axis) for start in (2 * reach + 1, 0))
        image = (upto - before) / (2 * reach + 1)
    return image
