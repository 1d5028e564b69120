"""Completion of an object's unseen side by symmetry about its upright axis."""

import math
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.grasp.patch import Patch
from molmo_point.grasp.shape import OrientedBox
from molmo_point.grasp.support import SupportPlane

MIN_HIDDEN = 0.6
"""Smallest share of completed points that the camera could not have seen; fewer contradict the symmetry."""

SAME_M = 0.005
"""Error of a completed point, in meters: nearer to a measured point it tells nothing."""

_LEVEL_VIEW = 0.3
_MIN_POINTS = 30
_RIM_SHARE, _RIM_QUANTILE = 0.05, 0.75
_FRONT = 0.1
_SLICE_M, _MIN_SLICE, _MIN_SLICES = 0.01, 8, 4
_UPRIGHT_SLOPE, _STEEPEST_SLOPE = 0.12, 1.0
_FREE_M, _FREE_SIGMAS = 0.004, 2.0
_FILL = (0.3, 0.5, 0.7)
_MIRROR_GAIN = 0.15
_COMPACT, _DEEPER, _TOP_DEPTH = 0.75, 0.25, 0.18
_LAYER_M, _LAYER_SHARE, _TOP_SHARE = 0.006, 0.05, 0.8


@dataclass(frozen=True, eq=False)
class CompletedShape:
    """Measured surface of an object and its unseen side.

    Attributes:
        points_m: Points (n, 3) in the optical frame, in meters: the measured surface, the completed surface, and the
            unseen space between them, in this order.
        measured_count: Number of points of the measured surface.
        surface_count: Number of points of the measured and the completed surface.
        away: Level direction (3,) away from the camera, in which the unseen side lies; zero without completion.
        slack_m: Distance by which the unseen side may lie farther than completed, in meters.
    """

    points_m: FloatArray
    measured_count: int
    surface_count: int
    away: FloatArray
    slack_m: float


def complete_shape(
    points_m: FloatArray, box: OrientedBox, support: SupportPlane | None, patch: Patch, intrinsics: Intrinsics
) -> CompletedShape:
    """Complete the unseen side of an object on a support plane.

    Most objects look the same after half a turn about their upright axis. The axis passes through the middle between
    the two sides of the outline, or through the middle of what was seen from above, whichever is farther. Points that the
    camera would have seen are left out. Without a plane, or seen from straight above, nothing is completed.

    Args:
        points_m: Measured surface (n, 3) in the optical frame, in meters.
        box: Box around the points.
        support: Support plane; None if there is none.
        patch: Surroundings, which tell seen space from unseen.
        intrinsics: Intrinsics of the patch's image.
    """
    alone = CompletedShape(points_m, len(points_m), len(points_m), np.zeros(3), 0.0)
    away = None if support is None or len(points_m) < _MIN_POINTS else _level_view(points_m, support)
    if support is None or away is None:
        return alone
    frame = np.stack([away, np.cross(support.normal, away), support.normal], axis=1)
    local = points_m @ frame
    shear = _lean(local)
    local[:, :2] -= local[:, 2:] * shear
    near, width, depth, center = _middle(local, box.axes[:2] @ frame[:, :2], _height(local, support))

    def turned(at: float, sign: float) -> tuple[FloatArray, BoolArray]:
        other = np.stack([2 * at - local[:, 0], (1 - sign) * center[1] + sign * local[:, 1], local[:, 2]], axis=1)
        other[:, :2] += other[:, 2:] * shear
        ghosts = other @ frame.T
        return ghosts, _hidden(ghosts, patch, intrinsics)

    choices = {sign: turned(center[0], sign) for sign in (-1.0, 1.0)}
    share = {sign: float(hidden.mean()) for sign, (_, hidden) in choices.items()}
    sign = -1.0 if share[-1.0] >= share[1.0] - _MIRROR_GAIN else 1.0
    if share[sign] < MIN_HIDDEN:
        return alone
    slack = 0.0
    for part in () if _top_seen(local, width) else (1.0, 0.5):
        farther = part * (near + 0.5 * depth - center[0])
        if farther > 0 and turned(center[0] + farther, sign)[1].mean() >= MIN_HIDDEN:
            # Where the top shows much of the depth, the rest of the object is little deeper.
            seen = center[0] - near
            shift = min(_COMPACT * farther, _DEEPER * seen) if seen > _TOP_DEPTH * width else 0.5 * farther
            slack = min(2 * (farther - shift), 2 * shift)
            choices[sign] = turned(center[0] + shift, sign)
            break
    ghosts, hidden = choices[sign]
    return _filled(points_m, ghosts, hidden & ~_near(ghosts, points_m), away, slack, patch, intrinsics)


def _level_view(points_m: FloatArray, support: SupportPlane) -> FloatArray | None:
    """Return the level direction (3,) of the view; None from nearly straight above."""
    view = points_m.mean(axis=0)
    view = view / np.linalg.norm(view)
    level = view - (view @ support.normal) * support.normal
    length = float(np.linalg.norm(level))
    return level / length if length >= _LEVEL_VIEW else None


def _middle(local: FloatArray, axes: FloatArray, height: float) -> tuple[float, float, float, FloatArray]:
    """Return front, width across the view, largest likely depth, and axis (2,), from the rows of the box's axes.

    An object wider than high lies, and is hardly deeper than high.
    """
    # The top is seen at a slant: its far edge is a small share of all points.
    ends = [np.quantile(part[:, :2] @ axes.T, [0.01, 0.99], axis=0) for part in (local, _top(local))]
    low, high = np.minimum(ends[0][0], ends[1][0]), np.maximum(ends[0][1], ends[1][1])
    center = np.asarray(0.5 * (low + high) @ axes, dtype=np.float64)
    near, far = np.quantile(local[:, 0], [0.01, 0.99])
    center[0] = max(center[0], 0.5 * (near + far))
    left, right = np.quantile(local[:, 1], [0.01, 0.99])
    depth = float(min(right - left, height))
    rim = _RIM_SHARE * (right - left)
    rims = [np.quantile(local[side, 0], _RIM_QUANTILE) for side in (local[:, 1] <= left + rim, local[:, 1] >= right - rim)]
    if 0.5 * (rims[0] + rims[1]) > center[0] + SAME_M:
        center = np.array([min(0.5 * (rims[0] + rims[1]), max(center[0], near + 0.5 * depth)), 0.5 * (left + right)])
    return float(near), float(right - left), depth, center


def _top_seen(local: FloatArray, width: float) -> bool:
    """Tell if the top is as wide as the object; then its far edge, which was seen, is that of the object."""
    return bool(np.ptp(np.quantile(_top(local)[:, 1], [0.01, 0.99])) > _TOP_SHARE * width)


def _top(local: FloatArray) -> FloatArray:
    """Return the uppermost points (n, 3) of an object."""
    low, high = np.quantile(local[:, 2], [0.01, 0.99])
    return local[local[:, 2] >= high - max(_LAYER_M, _LAYER_SHARE * (high - low))]


def _height(local: FloatArray, support: SupportPlane) -> float:
    """Return the usual height of an object above the plane, without a part that stands up from it."""
    number = np.floor(local[:, 1] / _SLICE_M).astype(np.int64)
    tops = [np.quantile(local[number == each, 2], 0.95) for each in np.unique(number)]
    return float(np.median(tops)) - support.offset_m


def _near(ghosts: FloatArray, points_m: FloatArray) -> BoolArray:
    """Tell the completed points (n, 3) that lie next to a measured one, which counts alone there."""
    low = np.minimum(ghosts.min(axis=0), points_m.min(axis=0)) - 2 * SAME_M
    cells, others = (((points - low) / SAME_M).astype(np.int64) for points in (ghosts, points_m))
    taken = np.zeros(np.maximum(cells.max(axis=0), others.max(axis=0)) + 3, dtype=bool)
    taken[tuple(others.T)] = True
    for axis in range(3):
        taken |= np.roll(taken, 1, axis) | np.roll(taken, -1, axis)
    return taken[tuple(cells.T)]


def _filled(
    points_m: FloatArray,
    ghosts: FloatArray,
    hidden: BoolArray,
    away: FloatArray,
    slack: float,
    patch: Patch,
    intrinsics: Intrinsics,
) -> CompletedShape:
    """Join the two sides and the hidden space between them."""
    some = np.flatnonzero(hidden)[::3]
    between = np.concatenate([(1 - share) * points_m[some] + share * ghosts[some] for share in _FILL])
    between = between[_hidden(between, patch, intrinsics)]
    surface = np.concatenate([points_m, ghosts[hidden]])
    return CompletedShape(np.concatenate([surface, between]), len(points_m), len(surface), away, slack)


def _lean(local: FloatArray) -> FloatArray:
    """Measure the slope (2,) of the object's axis against the upright, from the outlines of level slices."""
    number = np.floor(local[:, 2] / _SLICE_M).astype(np.int64)
    rows = []
    for each in np.unique(number):
        part = local[number == each]
        if len(part) >= _MIN_SLICE:
            left, low, high, right = np.quantile(part[:, 1], [0.05, 0.2, 0.8, 0.95])
            sides = [part[part[:, 1] <= low, 0].mean(), part[part[:, 1] >= high, 0].mean()]
            front = np.quantile(part[:, 0], _FRONT)
            rows.append((0.5 * (sides[0] + sides[1]), 0.5 * (left + right), front, part[:, 2].mean()))
    if len(rows) < _MIN_SLICES:
        return np.zeros(2)
    table = np.array(rows)
    first, second = np.triu_indices(len(table), k=len(table) // 2)
    slope = np.median((table[second, :3] - table[first, :3]) / (table[second, 3] - table[first, 3])[:, None], axis=0)
    # More of the top is seen than of what is below: the front must lean with the flanks.
    slope[0] = math.copysign(min(abs(slope[0]), abs(slope[2])), slope[0]) if slope[0] * slope[2] > 0 else 0.0
    slope = slope[:2]
    return np.where(np.abs(slope) < _UPRIGHT_SLOPE, 0.0, np.clip(slope, -_STEEPEST_SLOPE, _STEEPEST_SLOPE))


def _hidden(points_m: FloatArray, patch: Patch, intrinsics: Intrinsics) -> BoolArray:
    """Tell the points (n, 3) that lie behind a measured surface, or where nothing was measured."""
    height, width = patch.depth_m.shape
    with np.errstate(invalid="ignore", divide="ignore"):
        cells = np.rint((intrinsics.project(points_m) - [patch.columns[0], patch.rows[0]]) / patch.stride)
        within = np.all((cells >= 0) & (cells < [width, height]), axis=1)
        column, row = np.where(within[:, None], cells, 0).astype(np.int64).T
        limit = patch.depth_m[row, column] - np.maximum(_FREE_M, _FREE_SIGMAS * patch.sigma_m[row, column])
        return within & ~(points_m[:, 2] < limit)
