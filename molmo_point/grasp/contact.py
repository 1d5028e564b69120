"""Measurement of a closing: width, center and contact angles from the points between the fingers."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from molmo_point.arrays import FloatArray, IntArray
from molmo_point.grasp.candidates import Rejection
from molmo_point.grasp.completion import SAME_M, CompletedShape
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.slab_search import Proposal, outermost
from molmo_point.grasp.support import SupportPlane

MIN_STEPS = 4
"""Smallest width that is resolved, in distances between neighboring points."""

_BINS, _WINDOWS = 5, 3
_PAD = _BINS * (_WINDOWS // 2) + np.arange(_BINS)
_MIN_POINTS = 8
_OUTLINE_M, _SHOULDER_M = 0.0015, 0.005


@dataclass(frozen=True, eq=False)
class Contact:
    """A proposal measured on the points between the fingers.

    Attributes:
        position_m: Origin of the tool frame (3,), centered between the two sides, in meters.
        width_m: Distance between the two sides, in meters.
        width_sigma_m: Standard deviation of the width, in meters; an unseen side makes it large.
        seen_share: Share of the largest plausible width that was measured, 0 to 1.
        angle_rad: Larger of the two angles between closing direction and surface normal, in radians.
        engaged_m: Overlap of fingers and block along the approach, in meters.
        reason: Reason for the rejection; None otherwise.
    """

    position_m: FloatArray
    width_m: float
    width_sigma_m: float
    seen_share: float
    angle_rad: float
    engaged_m: float
    reason: Rejection | None


def measure_contact(
    local_m: FloatArray,
    shape: CompletedShape,
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
        local_m: Surface of the completed object (n, 3) in the axes of the proposal, in meters.
        shape: The same object in the optical frame.
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
    measured = (np.flatnonzero(slab) < shape.measured_count)[between]
    if np.count_nonzero(measured) < _MIN_POINTS:
        return Contact(proposal.position_m, *(math.nan,) * 4, 0.0, Rejection.FEW_POINTS)
    x, y, z = x[between], y[between], z[between]
    # The outline is known to the spacing of the points only.
    blur_m = noise_m + spacing_m
    across = [x, *_level(x, z - middle[2], proposal.axes, support)]
    ends, slopes, unseen = np.zeros(2), np.zeros(2), np.zeros(2)
    for side, sign in enumerate((-1.0, 1.0)):
        outward = sign * y
        end, seen = outermost(outward), outermost(outward[measured])
        # The completed side is less exact than the measured one, and counts only well beyond it.
        end = seen if end - seen < SAME_M else end
        ends[side], unseen[side] = sign * (end + 0.5 * spacing_m), end - seen
        turn = max(_turn(flat, outward, end, gripper, hull=flat is not x) for flat in across)
        falls = _widening(outward, z, end, proposal, gripper, blur_m) if below else 0.0
        slopes[side] = math.hypot(turn, max(falls, _shoulder(outward, z, end, blur_m)))
    position = proposal.position_m + (ends.mean() - middle[1]) * proposal.axes[:, 1]
    slack = shape.slack_m * abs(float(shape.away @ proposal.axes[:, 1]))
    return _contact(proposal, position, float(np.ptp(ends)), math.atan(slopes.max()), unseen, slack, gripper, spacing_m, noise_m)


def _contact(
    proposal: Proposal,
    position_m: FloatArray,
    width_m: float,
    angle_rad: float,
    unseen_m: FloatArray,
    slack_m: float,
    gripper: Gripper,
    spacing_m: float,
    noise_m: float,
) -> Contact:
    """Judge the measured closing."""
    reason = None
    if width_m < MIN_STEPS * spacing_m:
        reason = Rejection.FEW_POINTS
    elif width_m > gripper.max_opening_m - gripper.clearance_m:
        reason = Rejection.TOO_WIDE
    elif angle_rad > math.atan(gripper.friction):
        reason = Rejection.NOT_ANTIPODAL
    sigma_m = math.sqrt(2.0 * noise_m**2 + spacing_m**2 / 6.0 + 0.25 * (float(unseen_m @ unseen_m) + slack_m**2))
    seen = max(0.0, width_m - float(unseen_m.sum())) / (width_m + slack_m)
    return Contact(position_m, width_m, sigma_m, seen, angle_rad, proposal.tip_m - proposal.top_m, reason)


def _level(x: FloatArray, z: FloatArray, axes: FloatArray, support: SupportPlane | None) -> list[FloatArray]:
    """Return the level coordinate square to the closing direction, if that is level."""
    if support is None:
        return []
    up = support.normal @ axes
    # A tilted gripper sees the upright edge of a box at an angle; the edge is a corner only as seen from above.
    return [x * up[2] - z * up[0]] if math.hypot(up[0], up[2]) > 0.9 else []


def _turn(flat: FloatArray, outward: FloatArray, end: float, gripper: Gripper, hull: bool) -> float:
    """Measure the slope between one side's outline, or its convex hull, and the pad; `flat` runs across the finger."""
    position = (flat / gripper.finger_width_m + 0.5 * _WINDOWS) * _BINS
    wide = (position >= 0) & (position < _WINDOWS * _BINS)
    outline = np.full(_WINDOWS * _BINS, -np.inf)
    np.maximum.at(outline, position[wide].astype(np.int64), outward[wide])
    # Points far behind the outermost point belong to another side of the object.
    known = np.flatnonzero(outline > end - 2.0 * gripper.finger_width_m)
    # The pad bridges a gap in the outline; beyond its ends nothing is known.
    inner = _PAD[(known[0] <= _PAD) & (known[-1] >= _PAD)] if known.size else known
    if inner.size < 2:
        return 0.0
    if hull:
        known = _convex(known, outline[known])
    values = np.interp(inner, known, outline[known])
    bend, slope = (_fits(tuple(inner.tolist())) @ values) / [gripper.finger_width_m**2, gripper.finger_width_m]
    # Within 3 mm to either side a round outline is flat, a corner is not.
    return max(abs(slope), 0.006 * abs(bend))


def _convex(known: IntArray, outline: FloatArray) -> IntArray:
    """Return the bins on the convex hull of an outline."""
    kept: list[tuple[int, float]] = []
    for at, value in zip(known.tolist(), outline.tolist(), strict=True):
        while len(kept) > 1 and (value - kept[-2][1]) * (kept[-1][0] - kept[-2][0]) >= (kept[-1][1] - kept[-2][1]) * (
            at - kept[-2][0]
        ):
            kept.pop()
        kept.append((at, value))
    return np.array([at for at, _ in kept])


@lru_cache
def _fits(inner: tuple[int, ...]) -> FloatArray:
    """Return the matrix (2, k) from k bins of an outline to bend and slope; three bins and fewer give no bend."""
    across = (np.array(inner) - _PAD.mean()) / _BINS
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
