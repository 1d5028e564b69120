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

_CELL_M, _BINS = 0.002, 5
_TURNS = 12
_PER_DIRECTION = 2
_MIN_POINTS = 8
_TILTS_RAD = (math.radians(25.0), math.radians(50.0))
_OUTLINE_M, _SHOULDER_M = 0.0015, 0.005
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
        merit: Rank among proposals for measurement; higher is better.
    """

    axes: FloatArray
    position_m: FloatArray
    low_m: float
    high_m: float
    tip_m: float
    top_m: float
    reason: Rejection | None
    merit: float


@dataclass(frozen=True, eq=False)
class Contact:
    """A proposal measured on the points between the fingers.

    Attributes:
        position_m: Origin of the tool frame (3,), centered between the two sides, in meters.
        width_m: Distance between the two sides, in meters.
        angle_rad: Larger of the two angles between closing direction and surface normal, in radians.
        engaged_m: Overlap of fingers and block along the approach, in meters.
        reason: Reason for the rejection; None otherwise.
    """

    position_m: FloatArray
    width_m: float
    angle_rad: float
    engaged_m: float
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
    for tilt in (tilt for tilt in _TILTS_RAD if tilt <= gripper.max_tilt_rad):
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
    points_m: FloatArray, target_m: FloatArray, axes: FloatArray, support: SupportPlane | None, gripper: Gripper
) -> list[Proposal]:
    """Propose grasps for one rotation of the gripper, over all positions across it and depths.

    Args:
        points_m: Measured surface of the object (n, 3), in meters.
        target_m: Target point (3,); the block of the object nearest to it is grasped.
        axes: Rotation from `closings`.
        support: Support plane below the fingers; None if there is none.
        gripper: Gripper sizes.
    """
    local, target = points_m @ axes, target_m @ axes
    bin_m = gripper.finger_width_m / _BINS
    low = local.min(axis=0)
    column = ((local[:, 0] - low[0]) / bin_m).astype(np.int64) + _BINS // 2
    cell = ((local[:, 1] - low[1]) / _CELL_M).astype(np.int64)
    top = np.full((int(column.max()) + 1 + _BINS // 2, int(cell.max()) + 1), np.inf)
    np.minimum.at(top, (column, cell), local[:, 2])
    slabs = np.lib.stride_tricks.sliding_window_view(top, _BINS, axis=0).min(axis=-1)
    middle, deepest = float(np.median(local[:, 0])), _end(local[:, 2])
    # Slab i is centered on bin i of the object; every third slab and the one at the target are enough.
    here = int(np.clip(round((target[0] - low[0]) / bin_m - 0.5), 0, len(slabs) - 1))
    found = []
    for i in sorted({here, *range(here % 3, len(slabs), 3)}):
        center = low[0] + (i + 0.5) * bin_m
        merit = -abs(center - target[0]) - 0.5 * abs(center - middle)
        if abs(center - target[0]) <= _FAR_M:
            found += _of_slab(slabs[i], center, low[1], target, axes, support, gripper, merit, deepest)
    alive = sorted((p for p in found if not p.reason), key=lambda p: -p.merit)
    rest = [replace(p, reason=Rejection.OUTSCORED) for p in alive[_PER_DIRECTION:]]
    return alive[:_PER_DIRECTION] + rest + [p for p in found if p.reason]


def _of_slab(
    slab: FloatArray,
    center: float,
    low: float,
    target: FloatArray,
    axes: FloatArray,
    support: SupportPlane | None,
    gripper: Gripper,
    merit: float,
    bottom_m: float,
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
        value = merit - 0.3 * (end - begin) + 0.3 * min(tip - top, 2 * gripper.tip_offset_m)
        found.append(Proposal(axes, position, begin, end, tip, top, reason, value))
    return found


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


def measure_contact(
    points_m: FloatArray,
    proposal: Proposal,
    gripper: Gripper,
    spacing_m: float,
    noise_m: float,
    support: SupportPlane | None = None,
) -> Contact:
    """Measure width, center and contact angles from the points (n, 3) between the fingers.

    The outline lies half the spacing of the points beyond the outermost point. A side that widens downward by at most
    `noise_m`, the standard deviation of a point, counts as upright.
    """
    local = points_m @ proposal.axes
    center = float(proposal.position_m @ proposal.axes[:, 0])
    x, y, z = local[:, 0] - center, local[:, 1], local[:, 2]
    between = (np.abs(x) <= 0.5 * gripper.finger_width_m) & (y >= proposal.low_m - 1e-3) & (y <= proposal.high_m + 1e-3)
    below = between & (z > proposal.tip_m + 0.002)
    between &= z <= proposal.tip_m
    if np.count_nonzero(between) < _MIN_POINTS:
        return Contact(proposal.position_m, math.nan, math.nan, 0.0, Rejection.FEW_POINTS)
    x, y, z = x[between], y[between], z[between]
    across = [x]
    if support is not None and np.linalg.norm(level := np.cross(support.normal, proposal.axes[:, 1])) > 0.9:
        # A tilted gripper sees the upright edge of a box at an angle; the edge is a corner only as seen from above.
        across.append((points_m[between] - proposal.position_m) @ level)
    ends, angles = [], []
    for sign in (-1.0, 1.0):
        outward = sign * y
        end = _end(outward)
        ends.append(sign * (end + 0.5 * spacing_m))
        turn = max(_turn(flat, outward, end, gripper) for flat in across)
        falls = max(
            _widening(outward, z, end, bool(below.any()), proposal, gripper, noise_m), _shoulder(outward, z, end, noise_m)
        )
        angles.append(math.atan(math.hypot(turn, falls)))
    width = ends[1] - ends[0]
    shift = 0.5 * (ends[0] + ends[1]) - float(proposal.position_m @ proposal.axes[:, 1])
    position = proposal.position_m + shift * proposal.axes[:, 1]
    angle = max(angles)
    reason = None
    if width > gripper.max_opening_m - gripper.clearance_m:
        reason = Rejection.TOO_WIDE
    elif angle > math.atan(gripper.friction):
        reason = Rejection.NOT_ANTIPODAL
    return Contact(position, width, angle, proposal.tip_m - proposal.top_m, reason)


def _turn(flat: FloatArray, outward: FloatArray, end: float, gripper: Gripper) -> float:
    """Measure the slope between one side's outline and the finger's pad; `flat` runs across the finger."""
    wide = np.abs(flat) <= 0.5 * gripper.finger_width_m
    bins = np.minimum(((flat[wide] / gripper.finger_width_m + 0.5) * _BINS).astype(np.int64), _BINS - 1)
    outline = np.full(_BINS, -np.inf)
    np.maximum.at(outline, bins, outward[wide])
    # Points far behind the outermost point belong to another side of the object.
    used = outline > end - 2.0 * gripper.finger_width_m
    across = ((np.arange(_BINS) + 0.5) / _BINS - 0.5)[used] * gripper.finger_width_m
    if len(across) < 2:
        return 0.0
    if len(across) < 4:
        centered = across - across.mean()
        return abs(float(centered @ outline[used] / (centered @ centered)))
    bend, slope, _ = np.linalg.pinv(np.stack([across**2, across, np.ones_like(across)], axis=1)) @ outline[used]
    # Within 3 mm to either side a round outline is flat, a corner is not.
    return 0.5 * float(abs(slope - 0.006 * bend) + abs(slope + 0.006 * bend))


def _widening(
    outward: FloatArray, z: FloatArray, end: float, goes_on: bool, proposal: Proposal, gripper: Gripper, noise_m: float
) -> float:
    """Measure the slope at which one side widens at the finger ends, if the object goes on below them."""
    level = max(proposal.tip_m - gripper.tip_offset_m, 0.5 * (proposal.tip_m + proposal.top_m))
    shallow = outward[z <= level]
    if not goes_on or shallow.size < _MIN_POINTS:
        return 0.0
    return max(0.0, end - _end(shallow) - noise_m) / (proposal.tip_m - level)


def _shoulder(outward: FloatArray, z: FloatArray, end: float, noise_m: float) -> float:
    """Measure the slope of a side from its outermost point toward the gripper: 0 on a face, 1 at a square edge."""
    contact_m = float(np.quantile(z[outward > end - _OUTLINE_M], 0.9))
    before = outward[(z <= contact_m - _SHOULDER_M) & (outward > end - 2.0 * _SHOULDER_M)]
    if before.size < _MIN_POINTS:
        return 0.0
    return max(0.0, end - _end(before) - noise_m) / _SHOULDER_M


def _end(outward: FloatArray) -> float:
    """Return the outermost value after removal of one percent as noise."""
    rank = len(outward) - 1 - len(outward) // _OUTERMOST
    return float(np.partition(outward, rank)[rank])
