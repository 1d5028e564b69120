"""Collision check of a gripper's boxes against the point cloud, the support plane and unseen space."""

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.grasp.candidates import Rejection
from molmo_point.grasp.gripper import Gripper, corners_of
from molmo_point.grasp.patch import Patch
from molmo_point.grasp.slab_search import MAX_HITS
from molmo_point.grasp.support import SupportPlane

MAX_FOREIGN = 0.25
"""Largest share of points between the fingers that may be of another object, such as its blurred outline."""

MAX_CLOUD = 3000
"""Largest number of points of the thinned cloud."""

_SURFACE_M = 0.006


def obstacles(patch: Patch, inside: BoolArray, support: SupportPlane | None) -> tuple[FloatArray, BoolArray]:
    """Return the points (n, 3) that the gripper must not touch, and a mask (n,) of those on the object.

    Points of the support plane are left out: the plane is checked as a plane, without holes and noise.
    """
    keep = patch.solid | inside
    if support is not None:
        height = support.height_m(patch.points_m)
        with np.errstate(invalid="ignore"):
            keep = keep & (inside | (height > np.maximum(0.006, 4.0 * support.sigma_m)))
    flat = np.flatnonzero(keep)
    if flat.size > MAX_CLOUD:
        flat = flat[:: -(-flat.size // MAX_CLOUD)]
    return patch.points_m.reshape(-1, 3)[flat], inside.reshape(-1)[flat]


def find_collisions(
    axes: FloatArray,
    positions_m: FloatArray,
    widths_m: FloatArray,
    openings_m: FloatArray,
    gripper: Gripper,
    cloud_m: FloatArray,
    own: BoolArray,
    support: SupportPlane | None,
    margin_m: float = 0.0,
) -> list[Rejection | None]:
    """Return the collision of each of n grasps; None without one.

    Args:
        axes: Axes of the tool frames as columns (n, 3, 3), in the optical frame.
        positions_m: Origins of the tool frames (n, 3), in meters.
        widths_m: Widths of the object between the fingers (n,), in meters.
        openings_m: Distances between the fingers (n,), in meters.
        gripper: Gripper sizes; the hand is lengthened by the approach distance.
        cloud_m: Obstacle points (m, 3), in meters.
        own: True (m,) for points of the object.
        support: Support plane; None if there is none.
        margin_m: Distance to keep from neighbors, in meters, for noise and unseen edges; the fingers' clearance does
            this for the object.
    """
    lows, highs = gripper.boxes(openings_m, gripper.approach_distance_m)
    low_m = np.full(len(axes), np.inf)
    if support is not None:
        corners = np.einsum("nij,nbcj->nbci", axes, corners_of(*gripper.boxes(openings_m))) + positions_m[:, None, None]
        low_m = support.height_m(corners).min(axis=(1, 2))
    # The object may come as near to the palm as the palm's clearance; that room counts as hand here.
    highs[:, 2, 2] += 0.5 * gripper.palm_clearance_m
    reasons: list[Rejection | None] = []
    cloud = cloud_m.astype(np.float32)
    reach = float(np.linalg.norm([gripper.palm_span_m, gripper.palm_depth_m + gripper.approach_distance_m]) + 0.05)
    for turn, position, width, low, high, lowest in zip(axes, positions_m, widths_m, lows, highs, low_m, strict=True):
        if lowest < 0.5 * gripper.support_clearance_m:
            reasons.append(Rejection.HITS_SUPPORT)
            continue
        offset = cloud - position.astype(np.float32)
        close = np.abs(offset).max(axis=1) < reach
        local = offset[close] @ turn.astype(np.float32)
        reason = _hit(local, own[close], low, high, margin_m)
        reasons.append(reason or _between(local, own[close], width, low[0], high[0]))
    return reasons


def _between(local: NDArray[np.float32], own: BoolArray, width: float, low: FloatArray, high: FloatArray) -> Rejection | None:
    """Refuse to close on another object; `low` and `high` are the corners of a finger."""
    near = (np.abs(local[:, 0]) < high[0]) & (np.abs(local[:, 1]) < 0.5 * width)
    near &= (local[:, 2] > low[2]) & (local[:, 2] < high[2])
    foreign = int(np.count_nonzero(near & ~own))
    limit = max(MAX_HITS, MAX_FOREIGN * np.count_nonzero(near))
    return Rejection.NEIGHBOR_BETWEEN if foreign > limit else None


def _hit(local: NDArray[np.float32], own: BoolArray, lows: FloatArray, highs: FloatArray, margin_m: float) -> Rejection | None:
    room = np.where(own, 0.0, margin_m)[:, None]
    finger = (Rejection.FINGER_HITS_OBJECT, Rejection.FINGER_HITS_NEIGHBOR)
    palm = (Rejection.PALM_HITS_OBJECT, Rejection.PALM_HITS_NEIGHBOR)
    for box, (on_object, on_neighbor) in enumerate((finger, finger, palm)):
        inside = np.all((local > lows[box] - room) & (local < highs[box] + room), axis=1)
        count = int(np.count_nonzero(inside))
        if count > MAX_HITS:
            return on_object if 2 * np.count_nonzero(own[inside]) > count else on_neighbor
    return None


def seen_free(
    axes: FloatArray, positions_m: FloatArray, openings_m: FloatArray, gripper: Gripper, patch: Patch, intrinsics: Intrinsics
) -> FloatArray:
    """Return the share (n,) of the less visible finger's space that the camera saw free, 0 to 1.

    Space behind a measured surface, in a hole of the depth or outside the patch was not seen.
    """
    lows, highs = gripper.boxes(openings_m)
    steps = np.stack(np.meshgrid([0.15, 0.85], [0.15, 0.85], [0.0, 0.25, 0.5, 0.75, 1.0], indexing="ij"), -1).reshape(-1, 3)
    low, high = lows[:, :2, None], highs[:, :2, None]
    points = np.einsum("nij,nbcj->nbci", axes, low + steps * (high - low)) + positions_m[:, None, None]
    pixels = intrinsics.project(points)
    height, width = patch.depth_m.shape
    with np.errstate(invalid="ignore"):
        cells = np.rint((pixels - [patch.columns[0], patch.rows[0]]) / patch.stride)
        within = np.all((cells >= 0) & (cells < [width, height]), axis=-1)
        column, row = np.moveaxis(np.where(within[..., None], cells, 0).astype(np.int64), -1, 0)
        free = points[..., 2] < np.where(within, patch.depth_m[row, column], np.nan) + _SURFACE_M
    return free.mean(axis=2).min(axis=1)
