"""Measurement of a closing: width, center and contact angles from the points between the fingers."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.grasp.candidates import Rejection
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.slab_search import Proposal, outermost
from molmo_point.grasp.support import SupportPlane

_BINS = 5
_MIN_POINTS = 8
_OUTLINE_M, _SHOULDER_M = 0.0015, 0.005


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


def measure_contact(
    local_m: FloatArray,
    proposal: Proposal,
    gripper: Gripper,
    spacing_m: float,
    noise_m: float,
    support: SupportPlane | None = None,
) -> Contact:
    """Measure width, center and contact angles from the points between the fingers.

    The outline lies half the spacing of the points beyond the outermost point. A side that widens downward by at most
    `noise_m`, the standard deviation of a point, counts as upright.

    Args:
        local_m: Measured surface of the object (n, 3) in the axes of the proposal, in meters.
        proposal: Closing from `search_slabs`.
        gripper: Gripper sizes.
        spacing_m: Distance between neighboring points, in meters.
        noise_m: Standard deviation of a point, in meters.
        support: Support plane; None if there is none.
    """
    middle = proposal.position_m @ proposal.axes
    x = local_m[:, 0] - middle[0]
    slab = np.abs(x) <= 0.5 * gripper.finger_width_m
    x, y, z = x[slab], local_m[slab, 1], local_m[slab, 2]
    between = (y >= proposal.low_m - 1e-3) & (y <= proposal.high_m + 1e-3)
    below = bool(np.any(between & (z > proposal.tip_m + 0.002)))
    between &= z <= proposal.tip_m
    if np.count_nonzero(between) < _MIN_POINTS:
        return Contact(proposal.position_m, math.nan, math.nan, 0.0, Rejection.FEW_POINTS)
    x, y, z = x[between], y[between], z[between]
    across = [x, *_level(x, z - middle[2], proposal.axes, support)]
    ends, slopes = [], []
    for sign in (-1.0, 1.0):
        outward = sign * y
        end = outermost(outward)
        ends.append(sign * (end + 0.5 * spacing_m))
        turn = max(_turn(flat, outward, end, gripper) for flat in across)
        falls = _widening(outward, z, end, proposal, gripper, noise_m) if below else 0.0
        slopes.append(math.hypot(turn, max(falls, _shoulder(outward, z, end, noise_m))))
    width, angle = ends[1] - ends[0], math.atan(max(slopes))
    position = proposal.position_m + (0.5 * (ends[0] + ends[1]) - middle[1]) * proposal.axes[:, 1]
    reason = None
    if width > gripper.max_opening_m - gripper.clearance_m:
        reason = Rejection.TOO_WIDE
    elif angle > math.atan(gripper.friction):
        reason = Rejection.NOT_ANTIPODAL
    return Contact(position, width, angle, proposal.tip_m - proposal.top_m, reason)


def _level(x: FloatArray, z: FloatArray, axes: FloatArray, support: SupportPlane | None) -> list[FloatArray]:
    """Return the level coordinate square to the closing direction, if that is level."""
    if support is None:
        return []
    up = support.normal @ axes
    # A tilted gripper sees the upright edge of a box at an angle; the edge is a corner only as seen from above.
    return [x * up[2] - z * up[0]] if math.hypot(up[0], up[2]) > 0.9 else []


def _turn(flat: FloatArray, outward: FloatArray, end: float, gripper: Gripper) -> float:
    """Measure the slope between one side's outline and the finger's pad; `flat` runs across the finger."""
    wide = np.abs(flat) <= 0.5 * gripper.finger_width_m
    bins = np.minimum(((flat[wide] / gripper.finger_width_m + 0.5) * _BINS).astype(np.int64), _BINS - 1)
    outline = np.full(_BINS, -np.inf)
    np.maximum.at(outline, bins, outward[wide])
    # Points far behind the outermost point belong to another side of the object.
    used = outline > end - 2.0 * gripper.finger_width_m
    if np.count_nonzero(used) < 2:
        return 0.0
    bend, slope = (_fits(tuple(used.tolist())) @ outline[used]) / [gripper.finger_width_m**2, gripper.finger_width_m]
    # Within 3 mm to either side a round outline is flat, a corner is not.
    return max(abs(slope), 0.006 * abs(bend))


@lru_cache(maxsize=2**_BINS)
def _fits(used: tuple[bool, ...]) -> FloatArray:
    """Return the matrix (2, k) from k used bins of an outline to bend and slope; three bins and fewer give no bend."""
    across = ((np.arange(_BINS) + 0.5) / _BINS - 0.5)[np.array(used)]
    if len(across) < 4:
        centered = across - across.mean()
        return np.stack([np.zeros_like(centered), centered / (centered @ centered)])
    return np.linalg.pinv(np.stack([across**2, across, np.ones_like(across)], axis=1))[:2]


def _widening(outward: FloatArray, z: FloatArray, end: float, proposal: Proposal, gripper: Gripper, noise_m: float) -> float:
    """Measure the slope at which one side widens at the finger ends."""
    level = max(proposal.tip_m - gripper.tip_offset_m, 0.5 * (proposal.tip_m + proposal.top_m))
    shallow = outward[z <= level]
    if shallow.size < _MIN_POINTS:
        return 0.0
    return max(0.0, end - outermost(shallow) - noise_m) / (proposal.tip_m - level)


def _shoulder(outward: FloatArray, z: FloatArray, end: float, noise_m: float) -> float:
    """Measure the slope of a side from its outermost point toward the gripper: 0 on a face, 1 at a square edge."""
    near = z[outward > end - _OUTLINE_M]
    contact_m = float(np.partition(near, (rank := (9 * (len(near) - 1)) // 10))[rank])
    before = outward[(z <= contact_m - _SHOULDER_M) & (outward > end - 2.0 * _SHOULDER_M)]
    if before.size < _MIN_POINTS:
        return 0.0
    return max(0.0, end - outermost(before) - noise_m) / _SHOULDER_M
