"""Test whether the depth of a frame belongs to its color image, from the edges of both.

Where an object stands in front of another, depth has a step and the color image mostly an edge. Real depth images have
objects that are grown or eaten at their outlines, so the two edges differ by a few pixels, but outward on both sides. A
shift moves left and right outlines to the same side; depth that was never aligned moves near objects more than far ones,
and another field of view moves outlines away from the center.
"""

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from molmo_point.arrays import ColorArray, DepthArray, FloatArray, IntArray
from molmo_point.cautions import Caution, CautionKind
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.plain_json import plain_json

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
_KEEP = 0.95
"""Share of the evidence that the next frame leaves: about 20 frames count."""


class Misfit(str, Enum):
    """Kind of the displacement that fits the edges better than none."""

    SHIFT = "shift"
    """All edges are displaced alike."""
    BASELINE = "baseline"
    """Near edges are displaced more than far ones: depth is in the view of its own imager."""
    SCALE = "scale"
    """Edges are displaced away from the center, or toward it: depth has another field of view."""


_KIND_WORDS = {
    Misfit.SHIFT: "all edges are displaced alike",
    Misfit.BASELINE: "near objects are displaced more than far ones, as in the view of the depth imager",
    Misfit.SCALE: "edges are displaced away from the center or toward it, as with another field of view",
}
FIX = (
    "align depth to color at the camera (align_depth in realsense-ros, rs.align in librealsense, depth_registration in other "
    "drivers), or with molmo_point.geometry.alignment.align_depth"
)
"""Remedy for depth that does not belong to its color image."""


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
        significant: True along u and v if the displacement is significant.
        frames: Number of frames that were compared.
    """

    shift_px: tuple[float, float]
    sigma_px: tuple[float, float]
    significance: tuple[float, float]
    kinds: tuple[Misfit, Misfit]
    cells: tuple[int, int]
    significant: tuple[bool, bool]
    frames: int = 1

    @property
    def misaligned(self) -> bool:
        """True if a displacement along u or v is significant."""
        return any(self.significant)

    @property
    def can_tell(self) -> bool:
        """True if there are enough edges along u or v."""
        return any(map(math.isfinite, self.significance))

    @property
    def sentence(self) -> str:
        """The shift with its standard deviation, and the kind of a significant one, in one line."""
        of = f"{self.frames} frame{'s' if self.frames > 1 else ''}"
        if not self.can_tell:
            return f"too few outlines of near objects in {of} to compare depth with color"
        axes = [
            f"{name} {shift:+.1f} ± {sigma:.1f} px"
            for name, shift, sigma in zip("uv", self.shift_px, self.sigma_px, strict=True)
            if math.isfinite(shift)
        ]
        told = f"color edges lie {', '.join(axes)} from depth edges, in {of}"
        kinds = [_KIND_WORDS[kind] for kind, told in zip(self.kinds, self.significant, strict=True) if told]
        return f"{told}; {kinds[0]}" if kinds else told

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return plain_json({**vars(self), "misaligned": self.misaligned})


def depth_caution(frame: RgbdFrame) -> Caution | None:
    """Return the caution about the depth of a frame that is doubted; None without one."""
    if frame.depth_m is None or frame.depth_doubt is None:
        return None
    return Caution(CautionKind.MISALIGNED_DEPTH, f"depth does not belong to the color image: {frame.depth_doubt}")


def with_check(frame: RgbdFrame, check: AlignmentCheck | None) -> RgbdFrame:
    """Return the frame, its depth doubted if a check of its camera says so; an earlier doubt stays."""
    if check is None or not check.misaligned or frame.depth_m is None or frame.depth_doubt is not None:
        return frame
    return replace(frame, depth_doubt=f"{check.sentence}; {FIX}")


@dataclass(frozen=True, eq=False)
class _Steps:
    """Outlines of near objects: row and column of the last near pixel, side of the far surface (-1, 1), near depth."""

    rows: IntArray
    columns: IntArray
    sides: IntArray
    depth_m: FloatArray


@dataclass(frozen=True, eq=False)
class _Sums:
    """Evidence along one axis.

    Attributes:
        scores: Sum (moves, growths, cells) of the edge strength at displaced outlines.
        counts: Number (cells,) of outlines.
        seen: Number (cells,) of frames with outlines there.
        sides: Number of outlines with the far surface before and behind.
        moves_px: Sum (moves,) of the displacements at the median depth of each frame.
        weight: Number of frames; faded, as all sums.
        kinds: Kind of each displacement.
    """

    scores: FloatArray
    counts: FloatArray
    seen: FloatArray
    sides: FloatArray
    moves_px: FloatArray
    weight: float
    kinds: list[Misfit]


@dataclass(frozen=True, eq=False)
class _Along:
    """Result along one axis."""

    shift_px: float = math.nan
    sigma_px: float = math.nan
    significance: float = math.nan
    kind: Misfit = Misfit.SHIFT
    cells: int = 0
    misaligned: bool = False


class AlignmentEvidence:
    """Comparisons of edges, added up over the frames of one camera.

    The parts of the image stay the units of the statistics: frames of a camera that stands still repeat one another, and
    count once. Older frames fade, so that a repaired camera recovers.
    """

    def __init__(self) -> None:
        self._frames = 0
        self._camera: tuple[str, Intrinsics] | None = None
        self._axes: tuple[_Sums | None, _Sums | None] = (None, None)

    def add(self, frame: RgbdFrame) -> None:
        """Compare the edges of a frame. A frame of another camera, or with other intrinsics, starts from nothing.

        Args:
            frame: A frame with depth and intrinsics.

        Raises:
            InputError: The frame has no depth or no intrinsics.
        """
        if frame.depth_m is None or frame.intrinsics is None:
            raise InputError("frame must have depth and intrinsics", "a frame without", "give depth and intrinsics")
        camera = (frame.frame, frame.intrinsics)
        if camera != self._camera:
            self._camera, self._frames, self._axes = camera, 0, (None, None)
        lens, gray = frame.intrinsics, _gray(frame.color)
        unit = max(frame.size_wh) / _REFERENCE_PX
        along_u = _compared(frame.depth_m, gray, lens.fx, lens.cx, unit)
        along_v = _compared(frame.depth_m.T, gray.T, lens.fy, lens.cy, unit)
        self._axes = (_added(self._axes[0], along_u), _added(self._axes[1], along_v))
        self._frames += 1

    def check(self) -> AlignmentCheck:
        """Judge all frames so far together."""
        unit = 1.0 if self._camera is None else max(self._camera[1].size_wh) / _REFERENCE_PX
        both = [_Along() if sums is None else _along(sums, unit) for sums in self._axes]
        return AlignmentCheck(
            shift_px=(both[0].shift_px, both[1].shift_px),
            sigma_px=(both[0].sigma_px, both[1].sigma_px),
            significance=(both[0].significance, both[1].significance),
            kinds=(both[0].kind, both[1].kind),
            cells=(both[0].cells, both[1].cells),
            significant=(both[0].misaligned, both[1].misaligned),
            frames=self._frames,
        )


def check_alignment(*frames: RgbdFrame) -> AlignmentCheck:
    """Compare the edges of depth with those of color, in one frame or several of one camera.

    Raises:
        InputError: A frame has no depth or no intrinsics.
    """
    evidence = AlignmentEvidence()
    for frame in frames:
        evidence.add(frame)
    return evidence.check()


def _compared(depth_m: DepthArray, gray: FloatArray, focal_px: float, center_px: float, unit: float) -> _Sums | None:
    """Score all displacements along the columns of images (h, w); None without outlines."""
    steps = _find_steps(depth_m, unit)
    if not steps.rows.size:
        return None
    side = max(round(_CELL_PX * unit), 1)
    grid_w = depth_m.shape[1] // side + 1
    cells, where = np.unique(steps.rows // side * grid_w + steps.columns // side, return_inverse=True)
    moves, kinds, grows = _hypotheses(steps, focal_px, center_px, unit)
    found = _scores(_edge_strength(gray, unit), steps, moves, grows * unit, where, cells.size)
    size = (depth_m.shape[0] // side + 1) * grid_w
    scores = np.zeros((*found.shape[:2], size), np.float32)
    scores[:, :, cells] = found
    counts = np.bincount(cells[where], minlength=size).astype(np.float64)
    at = int(np.argmin(np.abs(steps.depth_m - np.median(steps.depth_m))))
    sides = np.array([np.count_nonzero(steps.sides < 0), np.count_nonzero(steps.sides > 0)], np.float64)
    return _Sums(scores, counts, (counts > 0).astype(np.float64), sides, moves[:, at].copy(), 1.0, kinds)


def _added(old: _Sums | None, new: _Sums | None) -> _Sums | None:
    """Return the sum of old evidence, faded, and new evidence."""
    if old is None or new is None:
        return old if new is None else new
    names = ("scores", "counts", "seen", "sides", "moves_px", "weight")
    return replace(old, **{name: vars(old)[name] * _KEEP + vars(new)[name] for name in names})


def _along(sums: _Sums, unit: float) -> _Along:
    """Judge the evidence along one axis."""
    kept = (sums.seen > 0) & (sums.counts >= _LEAST_IN_CELL * sums.seen)
    count, share = int(np.count_nonzero(kept)), sums.sides / sums.sides.sum()
    if count < LEAST_CELLS or share.min() < 0.1:
        return _Along(cells=count)
    # The mean of a part counts by the root of the outlines in it, in one frame.
    weights = 1.0 / np.sqrt(sums.counts[kept] * sums.seen[kept])
    return _judged(sums.scores[:, :, kept] * weights, sums.moves_px / sums.weight, sums.kinds, unit)


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
    strength: FloatArray, steps: _Steps, moves: FloatArray, grows_px: FloatArray, where: IntArray, cells: int
) -> FloatArray:
    """Return the sum (moves, growths, cells) of the edge strength at the displaced outlines."""
    width = strength.shape[1]
    member = np.zeros((steps.rows.size, cells), np.float32)
    member[np.arange(steps.rows.size), where] = 1.0
    found = []
    for grow_px in grows_px:
        columns = np.rint(steps.columns + moves + steps.sides * grow_px).astype(np.int64)
        outside = (columns < 0) | (columns >= width)
        values = strength[steps.rows, np.clip(columns, 0, width - 1)]
        values[outside] = 0.0
        found.append(values @ member)
    return np.stack(found, axis=1)


def _judged(scores: FloatArray, moves_px: FloatArray, kinds: list[Misfit], unit: float) -> _Along:
    """Compare the best displacement with the best of none, each chosen by the other cells."""
    none = np.array([kind is Misfit.SHIFT for kind in kinds]) & (np.abs(moves_px) <= _TOLERANCE_PX * unit)
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
        shift_px=float(moves_px[best // scores.shape[1]]),
        sigma_px=max(float(np.std(moves_px[drawn])), 0.5 * unit),
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
