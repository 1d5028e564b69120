"""Scores of a grasp, and its quality: the probability that it holds."""

import math

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.grasp.contact import Contact
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.object_region import ObjectRegion, RegionStatus

WEIGHTS = {
    "antipodal": 0.44,
    "seen": 1.10,
    "outlined": 0.91,
    "both_seen": 0.73,
    "near": 0.31,
    "centered": 0.76,
    "upright": 0.93,
    "engaged": 0.38,
    "room": 0.00,
    "region": 0.57,
}
"""Weight of the logarithm of each score; `python -m benchmarks.grasps.quality_fit` makes these and the bias."""

BIAS = 3.13
"""Logit of the quality of a grasp whose scores are all 1."""

MIN_QUALITY = 0.1
"""Grasps less likely to hold are refused."""

REGION_SCORES = {
    RegionStatus.CUT_OFF: 0.8,
    RegionStatus.NO_SUPPORT: 0.7,
    RegionStatus.MERGED: 0.7,
    RegionStatus.TOO_LARGE: 0.5,
}
"""Score of a region with this status; an OK region has 1."""

LEAST_SCORE = 0.02
"""Smaller scores count as this."""

_NEAR_M, _CENTERED_M = 0.02, 0.03


def grasp_quality(scores: dict[str, float]) -> float:
    """Return the probability that a grasp with these scores holds."""
    total = sum(WEIGHTS[name] * math.log(max(value, LEAST_SCORE)) for name, value in scores.items())
    return 1.0 / (1.0 + math.exp(-BIAS - total))


def target_distance_m(axes: FloatArray, contact: Contact, target_m: FloatArray, gripper: Gripper) -> float:
    """Return the distance of the target from the space between the fingers, in meters.

    The target is on the surface: everywhere between palm and finger ends counts as distance zero.
    """
    away = (target_m - contact.position_m) @ axes
    deep = max(0.0, away[2] - gripper.tip_offset_m, gripper.tip_offset_m - gripper.finger_depth_m - away[2])
    off = max(0.0, abs(away[1]) - 0.5 * contact.width_m)
    return math.sqrt(away[0] ** 2 + off**2 + deep**2)


def grasp_scores(
    axes: FloatArray,
    contact: Contact,
    seen: float,
    region: ObjectRegion,
    middle_m: FloatArray,
    gripper: Gripper,
    distance_m: float,
    sigma_m: float,
) -> dict[str, float]:
    """Return the scores of a grasp by name, each 0 to 1.

    Args:
        axes: Axes of the tool frame as columns (3, 3).
        contact: Measured closing.
        seen: Share of the fingers' space that was seen free.
        region: Object region.
        middle_m: Middle of the object (3,), in meters.
        gripper: Gripper sizes.
        distance_m: Distance of the target from the space between the fingers, in meters.
        sigma_m: Standard deviation of the target, in meters.
    """
    aside = float((middle_m - contact.position_m) @ axes[:, 0])
    tilt = 0.0 if region.support is None else math.acos(float(np.clip(-region.support.normal @ axes[:, 2], -1.0, 1.0)))
    along_view = float(region.target_m @ axes[:, 1]) ** 2 / float(region.target_m @ region.target_m)
    return {
        "antipodal": max(0.0, 1.0 - 0.8 * contact.angle_rad / math.atan(gripper.friction)),
        "seen": seen,
        "outlined": math.sqrt(max(0.0, 1.0 - along_view)),
        "both_seen": contact.seen_share,
        "near": math.exp(-0.5 * distance_m**2 / (_NEAR_M**2 + sigma_m**2)),
        "centered": math.exp(-0.5 * (aside / _CENTERED_M) ** 2),
        "upright": max(0.0, 1.0 - tilt / (0.75 * math.pi)),
        "engaged": float(min(1.0, contact.engaged_m / (2 * gripper.tip_offset_m))),
        "room": min(1.0, (gripper.max_opening_m - contact.width_m) / (0.25 * gripper.max_opening_m)),
        "region": REGION_SCORES.get(region.status, 1.0),
    }
