"""Search for closings of a parallel gripper: slabs of the object between the fingers, seen along the approach."""

import math
from dataclasses import dataclass, replace

import numpy as np

from molmo_point.arrays import FloatArray, IntArray
from molmo_point.grasp.candidates import Rejection
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.support import SupportPlane

MIN_ENGAGED_M = 0.008
"""Smallest overlap of the fingers with the block between them, along the approach, in meters."""

MAX_HITS = 2
"""Largest number of measured points inside a box of the gripper that counts as noise."""

_CELL_M, _BINS = 0.002, 5
_TURNS = 12
_TILTS_RAD = (math.radians(30.0), math.radians(60.0))
_FAR_M = 0.06
_OUTERMOST = 100


@dataclass(frozen=True, eq=False)
class Proposal:
    """One way to close, before its exact measurement.

    Attributes:
        axes: Columns x, y (closing), z (approach) of the tool frame (3, 3), in the optical frame.
        position_m: Origin of the tool frame (3,) in the optical frame, in meters.
        low_m: Lower end of the block between the fingers along y, from the origin of the optical frame, in meters.
        high_m: Upper end of the block along y, in meters.
        tip_m: Depth of the finger ends along z, in meters.
        top_m: Beginning of the block along z, in meters.
        reason: Reason for the rejection; None while it is alive.
    """

    axes: FloatArray
    position_m: FloatArray
    low_m: float
    high_m: float
    tip_m: float
    top_m: float
    reason: Rejection | None


def closings(
    target_m: FloatArray, normal: FloatArray, box_axes: FloatArray, support: SupportPlane | None, gripper: Gripper
) -> list[FloatArray]:
    """Choose the gripper rotations (3, 3) to search: columns x, y (closing), z (approach).

    On a support plane: straight down with every closing direction, and tilted along the view with level closing
    directions, because upright sides are square only to those. Without a plane: along the camera's ray and against the
    surface normal, with every closing direction.

    Args:
        target_m: Target point (3,), in meters.
        normal: Surface normal at the point (3,); NaN if unknown.
        box_axes: Rows along the object, across it, and up (3, 3).
        support: Support plane; None if there is none.
        gripper: Gripper with the largest tilt of the approach.
    """
    view = target_m / np.linalg.norm(target_m)
    if support is None:
        against = [-normal] if np.all(np.isfinite(normal)) else []
        ways = [view, *(way for way in against if way @ view < math.cos(math.radians(15.0)))]
        return [axes for way in ways for axes in _turned(way, box_axes[0], np.arange(_TURNS))]
    down = -support.normal
    found = _turned(down, box_axes[0], np.arange(_TURNS))
    level = view - (view @ down) * down
    if np.linalg.norm(level) < 0.05:
        return found
    for tilt in (tilt for tilt in _TILTS_RAD if tilt <= gripper.max_tilt_rad + 1e-9):
        for flat in (level, box_axes[0], box_axes[1]):
            ahead = flat * (1.0 if flat @ level >= 0.0 else -1.0) / np.linalg.norm(flat)
            way = math.cos(tilt) * down + math.sin(tilt) * ahead
            found += _turned(way, np.cross(down, ahead), np.array([-1, 0, 1]))
    return found


def _turned(approach: FloatArray, along: FloatArray, steps: IntArray) -> list[FloatArray]:
    """Build rotations of one approach, with closing directions rotated from `along` by `steps` steps."""
    start = along - (along @ approach) * approach
    if np.linalg.norm(start) < 1e-3:
        start = np.cross(approach, np.array([0.3, 1.0, 0.2]))
    start /= np.linalg.norm(start)
    side = np.cross(approach, start)
    found = []
    for angle in steps * (math.pi / _TURNS):
        closing = math.cos(angle) * start + math.sin(angle) * side
        found.append(np.stack([np.cross(closing, approach), closing, approach], axis=1))
    return found


def search_slabs(
    local_m: FloatArray,
    cloud_m: FloatArray,
    target_m: FloatArray,
    axes: FloatArray,
    support: SupportPlane | None,
    gripper: Gripper,
) -> list[Proposal]:
    """Propose grasps for one rotation of the gripper, over all positions across it and depths.

    Args:
        local_m: Measured surface of the object (n, 3) in the gripper's axes, in meters.
        cloud_m: Points (m, 3) that the palm must not touch, in the gripper's axes, in meters.
        target_m: Target point (3,) in the gripper's axes; the block of the object nearest to it is grasped.
        axes: Rotation from `closings`.
        support: Support plane below the fingers; None if there is none.
        gripper: Gripper sizes.
    """
    bin_m = gripper.finger_width_m / _BINS
    low = local_m.min(axis=0)
    column = ((local_m[:, 0] - low[0]) / bin_m).astype(np.int64) + _BINS // 2
    cell = ((local_m[:, 1] - low[1]) / _CELL_M).astype(np.int64)
    top = np.full((int(column.max()) + 1 + _BINS // 2, int(cell.max()) + 1), np.inf)
    np.minimum.at(top, (column, cell), local_m[:, 2])
    slabs = np.lib.stride_tricks.sliding_window_view(top, _BINS, axis=0).min(axis=-1)
    deepest = outermost(local_m[:, 2])
    # Slab i is centered on bin i of the object; every third slab and the one at the target are enough.
    here = int(np.clip(round((target_m[0] - low[0]) / bin_m - 0.5), 0, len(slabs) - 1))
    found = []
    for i in sorted({here, *range(here % 3, len(slabs), 3)}):
        center = low[0] + (i + 0.5) * bin_m
        if abs(center - target_m[0]) <= _FAR_M:
            palm = _palm_limit(cloud_m, center, float(target_m[1]), gripper)
            found += _of_slab(slabs[i], center, low[1], target_m, axes, support, gripper, deepest, palm)
    if support is not None:
        height = outermost(local_m @ (support.normal @ axes)) - support.offset_m
        if height < gripper.support_clearance_m + MIN_ENGAGED_M:
            # A leaning finger overlaps a flat object along the approach, but not in height.
            found = [replace(each, reason=each.reason or Rejection.TOO_FLAT) for each in found]
    return found


def _of_slab(
    slab: FloatArray,
    center: float,
    low: float,
    target: FloatArray,
    axes: FloatArray,
    support: SupportPlane | None,
    gripper: Gripper,
    bottom_m: float,
    palm_m: float,
) -> list[Proposal]:
    filled = np.flatnonzero(np.isfinite(slab))
    if not filled.size:
        return []
    at = filled[np.argmin(np.abs(low + (filled + 0.5) * _CELL_M - target[1]))]
    reach = round(0.5 * gripper.max_opening_m / _CELL_M)
    top = float(slab[max(at - reach, 0) : at + reach + 1].min())
    floor = _floor(center, float(low + (at + 0.5) * _CELL_M), axes, support, gripper)
    bottom = min(bottom_m, floor + gripper.tip_offset_m)
    deepest = min(top + gripper.finger_depth_m - gripper.palm_clearance_m, floor + gripper.tip_offset_m)
    # A shallow closing at the front of a thick object holds nothing.
    deepest = min(deepest, palm_m) if palm_m >= top + 2 * gripper.tip_offset_m else deepest
    half = min(deepest, 0.5 * (top + bottom) + gripper.tip_offset_m)
    found = []
    for tip in (deepest, half) if deepest - half > 0.006 else (deepest,):
        occupied = np.flatnonzero(slab <= tip)
        gap = math.ceil((gripper.finger_thickness_m + 2 * gripper.clearance_m) / _CELL_M)
        first, last = _block(occupied, at, gap) if occupied.size else (at, at)
        begin, end = low + first * _CELL_M, low + (last + 1) * _CELL_M
        reason = None
        if tip - top < MIN_ENGAGED_M:
            reason = Rejection.TOO_FLAT
        elif end - begin - 2 * _CELL_M > gripper.max_opening_m - gripper.clearance_m:
            reason = Rejection.TOO_WIDE
        position = axes @ np.array([center, 0.5 * (begin + end), tip - gripper.tip_offset_m])
        found.append(Proposal(axes, position, begin, end, tip, top, reason))
    return found


def _palm_limit(cloud: FloatArray, x: float, y: float, gripper: Gripper) -> float:
    """Compute the largest depth of the finger ends at which the palm touches at most a few points of noise."""
    under = cloud[
        (np.abs(cloud[:, 0] - x) < 0.5 * gripper.palm_width_m) & (np.abs(cloud[:, 1] - y) < 0.5 * gripper.palm_span_m), 2
    ]
    if under.size <= MAX_HITS:
        return math.inf
    return float(np.partition(under, MAX_HITS)[MAX_HITS]) + gripper.finger_depth_m - 0.75 * gripper.palm_clearance_m


def _floor(x: float, y: float, axes: FloatArray, support: SupportPlane | None, gripper: Gripper) -> float:
    """Compute the largest z of the tool frame's origin at which no finger touches the support plane; inf without one."""
    if support is None:
        return math.inf
    lean = axes.T @ support.normal
    if lean[2] > -1e-3:
        return math.inf
    far = 0.5 * gripper.max_opening_m + gripper.finger_thickness_m
    room = gripper.support_clearance_m - gripper.tip_offset_m * lean[2]
    room += far * abs(lean[1]) + 0.5 * gripper.finger_width_m * abs(lean[0])
    height_at_zero = lean[0] * x + lean[1] * y - support.offset_m
    return (height_at_zero - room) / -lean[2]


def _block(occupied: IntArray, at: int, gap: int) -> tuple[int, int]:
    """Return the first and last cell of the run of occupied cells nearest to `at`; `gap` empty cells separate runs."""
    cuts = np.flatnonzero(np.diff(occupied) > gap)
    starts = occupied[np.concatenate([[0], cuts + 1])]
    ends = occupied[np.concatenate([cuts, [len(occupied) - 1]])]
    away = np.maximum(np.maximum(starts - at, at - ends), 0)
    nearest = int(np.argmin(away))
    return int(starts[nearest]), int(ends[nearest])


def outermost(outward: FloatArray) -> float:
    """Return the largest value after removal of one percent as noise."""
    rank = len(outward) - 1 - len(outward) // _OUTERMOST
    return float(np.partition(outward, rank)[rank])
