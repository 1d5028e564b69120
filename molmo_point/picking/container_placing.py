"""Container that was found, and poses for the release in it: position, rotation, and depth of the fingers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np

from molmo_point.arm.arm import Arm
from molmo_point.arm.obstacle_boxes import depth_points
from molmo_point.arrays import FloatArray
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.gripper import Gripper
from molmo_point.picking.approach import gap, shifted
from molmo_point.picking.container import Hollow, measure_hollow
from molmo_point.picking.held_object import TURNS_RAD, Held
from molmo_point.picking.object_search import Search

LETTING_GO_M = 0.016
"""Extra opening of the fingers inside a container, meters."""
_CLEAR_M, _LEAST_HITS = 0.003, 4
_STEP_M, _STEPS = 0.004, 11
"""Heights of the fingers above the pose that are tried, up to 44 mm."""
_OUTLIERS = 0.01
_FULL_M = 0.012
"""A support higher above the floor than this is another object, meters."""
_OFFSETS = (0.35, 0.5, 0.6, 0.68)
_DIRECTIONS, _ENOUGH_POINTS = 8, 3000
_RIM_M = 0.008
"""A target this close to a container is on its rim."""


@dataclass(frozen=True, eq=False)
class WayIn:
    """A pose for the release inside a container.

    Attributes:
        pose: `base_T_grasp`.
        fall_m: Drop of the object after the release, because the fingers have no room farther down, meters.
        support_m: Height of the support below the object, meters, base frame.
    """

    pose: Transform
    fall_m: float
    support_m: float


def seen_hollow(search: Search, arm: Arm, *, prefer: bool) -> Hollow | None:
    """Measure the container that was found, with the fixed camera; None if the object found is not a container.

    With `prefer`, a container is preferred to an object with more weight.
    """
    overview = search.overview
    assert overview.depth_m is not None and overview.intrinsics is not None
    pose = arm.base_T_camera(overview.frame, overview.stamp_ns)
    points = depth_points(overview.depth_m, overview.intrinsics, pose, 2)
    others = sorted(search.sightings, key=lambda sighting: -sighting.weight) if prefer else []
    for sighting in (search.chosen, *others):
        at_m = sighting.target.position_m
        for box in search.obstacles:
            found = measure_hollow(points, box) if gap(box, at_m) < _RIM_M else None
            if found is not None and found.covers(at_m[:2]):
                return found
    return None


def ways_in(held: Held, gripper: Gripper, hollow: Hollow, base_frame: str) -> list[WayIn]:
    """Poses with the object inside and the fingers clear of the container, the best first.

    The middle comes first; spots around it only if another object lies there.

    Args:
        held: The object in the gripper.
        gripper: Dimensions of the gripper.
        hollow: The container.
        base_frame: Name of the frame of all positions, z up.

    Returns:
        Poses; empty if the object or the fingers do not fit.
    """
    thin = max(1, len(hollow.surface_m) // _ENOUGH_POINTS)
    hollow = replace(hollow, surface_m=hollow.surface_m[::thin])
    middle = _ways_at(held, gripper, hollow, base_frame, hollow.middle_m)
    if any(way.support_m < hollow.floor_m + _FULL_M for way in middle):
        return middle
    around = [way for spot in _around(hollow) for way in _ways_at(held, gripper, hollow, base_frame, spot)]
    return sorted([*middle, *around], key=attrgetter("support_m", "fall_m"))


def fits(held: Held, hollow: Hollow) -> bool:
    """True if the object, without the fingers, fits into the opening in some rotation about the vertical."""
    return any(_support(held, hollow, hollow.middle_m, float(turn)) is not None for turn in TURNS_RAD)


def _around(hollow: Hollow) -> Iterator[FloatArray]:
    """Spots (2,) around the middle, farther out along the longer side."""
    for share in _OFFSETS:
        for angle in np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS:
            yield hollow.middle_m + hollow.box.axes.T @ (share * np.array(hollow.box.half_m[:2]) * [np.cos(angle), np.sin(angle)])


def _ways_at(held: Held, gripper: Gripper, hollow: Hollow, base_frame: str, spot: FloatArray) -> list[WayIn]:
    ways = []
    for turn in TURNS_RAD:
        support = _support(held, hollow, spot, float(turn))
        if support is None:
            continue
        pose = held.standing(base_frame, spot, support, float(turn))
        lift = _lift(gripper, held.width_m + LETTING_GO_M, pose, hollow)
        if lift is not None and support + lift < hollow.rim_m:
            ways.append(WayIn(shifted(pose, np.array([0.0, 0.0, lift])), lift, support))
    return sorted(ways, key=attrgetter("fall_m"))


def _support(held: Held, hollow: Hollow, spot: FloatArray, turn_rad: float) -> float | None:
    """Height of the support below the object at a spot; None if it is the rim or as high as the rim."""
    axes = held.standing("base", spot, 0.0, turn_rad).rotation
    across = axes[:2, 1] / max(float(np.linalg.norm(axes[:2, 1])), 1e-9)
    away = hollow.surface_m[:, :2] - spot
    wide, long = np.abs(away @ across), np.abs(away @ [-across[1], across[0]])
    below = (wide < 0.5 * held.width_m + _CLEAR_M) & (long < held.along_m + _CLEAR_M)
    below &= np.hypot(wide, long) < held.radius_m + _CLEAR_M
    heights = np.sort(hollow.surface_m[below, 2])
    if len(heights) < _LEAST_HITS:
        return hollow.floor_m
    support = max(float(heights[-max(_LEAST_HITS, round(_OUTLIERS * len(heights)))]), hollow.floor_m)
    return support if support < hollow.floor_m + 0.6 * (hollow.rim_m - hollow.floor_m) else None


def _lift(gripper: Gripper, opening_m: float, pose: Transform, hollow: Hollow) -> float | None:
    """Least height of the fingers above the pose; None if it is too much.

    The fingers come from straight above, so all heights above the one found are free as well.
    """
    lows, highs = gripper.boxes(min(opening_m, gripper.max_opening_m))
    lift = None
    for up in _STEP_M * np.arange(_STEPS, -1, -1):
        local = (hollow.surface_m - pose.translation_m - [0.0, 0.0, up]) @ pose.rotation
        inside = np.all((local[:, None] > lows - _CLEAR_M) & (local[:, None] < highs + _CLEAR_M), axis=2)
        if np.count_nonzero(np.any(inside, axis=1)) >= _LEAST_HITS:
            break
        lift = float(up)
    return lift
