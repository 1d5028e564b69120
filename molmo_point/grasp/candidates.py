"""Antipodal grasps of a parallel gripper on the object at a point, scored, and why the others are out."""

import enum
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.collision import find_collisions, obstacles, seen_free
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.object_region import ObjectRegion
from molmo_point.grasp.search import Contact, Proposal, closings, measure_contact, search_slabs
from molmo_point.grasp.shape import OrientedBox, SurfaceNormal, oriented_box, surface_normal

GRASP_FRAME = "grasp"
MAX_POINTS = 2000
"""The object's surface is thinned to this many points."""

WEIGHTS = {
    "antipodal": 1.0,
    "seen": 2.0,
    "outlined": 1.0,
    "near": 1.0,
    "centred": 1.0,
    "upright": 0.7,
    "engaged": 0.7,
    "room": 0.5,
}
"""How much each part of a score counts in the quality, their weighted geometric mean."""

MIN_SEEN = 0.2
"""So much of the room of each finger must have been seen to be free."""

_NEAR_M, _CENTRED_M = 0.025, 0.03
_SAME_M, _SAME_RAD = 0.012, math.radians(25.0)


class Rejection(enum.Enum):
    """Why a candidate is out."""

    TOO_WIDE = "TOO_WIDE"
    """The object is wider there than the gripper opens."""
    TOO_FLAT = "TOO_FLAT"
    """Above the support plane there is too little for the fingers to hold."""
    FEW_POINTS = "FEW_POINTS"
    """Too little of the object was measured between the fingers."""
    NOT_ANTIPODAL = "NOT_ANTIPODAL"
    """A side is not square enough to the closing direction for the friction: it would slip off."""
    HITS_SUPPORT = "HITS_SUPPORT"
    """A finger or the hand would touch the support plane."""
    FINGER_HITS_OBJECT = "FINGER_HITS_OBJECT"
    FINGER_HITS_NEIGHBOUR = "FINGER_HITS_NEIGHBOUR"
    PALM_HITS_OBJECT = "PALM_HITS_OBJECT"
    PALM_HITS_NEIGHBOUR = "PALM_HITS_NEIGHBOUR"
    UNSEEN = "UNSEEN"
    """A finger would go where the camera could not look."""
    OUTSCORED = "OUTSCORED"
    """Others with the same closing direction were better placed; it was not checked further."""
    DUPLICATE = "DUPLICATE"
    """A better one is nearly the same."""


@dataclass(frozen=True, eq=False)
class GraspCandidate:
    """A way to grasp the object.

    Attributes:
        camera_T_grasp: Pose of the tool frame: z approaches the object, y is the closing direction, and the origin is
            in the middle between the pads (see `Gripper`). Turned by half a turn about z it is the same grasp.
        width_m: Width of the object between the pads.
        opening_m: How wide to open before.
        quality: 0 to 1, the weighted geometric mean of `scores`.
        scores: Its parts, each 0 to 1: antipodal, seen, outlined, near, centred, upright, engaged, room.
        approach_distance_m: How far before the pose the straight approach begins.
    """

    camera_T_grasp: Transform
    width_m: float
    opening_m: float
    quality: float
    scores: Mapping[str, float]
    approach_distance_m: float

    @property
    def center_m(self) -> FloatArray:
        """(3,) middle between the pads."""
        return self.camera_T_grasp.translation_m

    @property
    def closing(self) -> FloatArray:
        """(3,) unit vector from one finger to the other."""
        return self.camera_T_grasp.rotation[:, 1]

    @property
    def approach(self) -> FloatArray:
        """(3,) unit vector of the approach."""
        return self.camera_T_grasp.rotation[:, 2]

    def transformed(self, transform: Transform) -> "GraspCandidate":
        """The same grasp in the transform's target frame.

        Raises:
            FrameError: If the transform does not take points of this frame.
        """
        return replace(self, camera_T_grasp=transform @ self.camera_T_grasp)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        pose = self.camera_T_grasp
        return {
            "frame": pose.target,
            "position_m": [float(value) for value in pose.translation_m],
            "quaternion_xyzw": [float(value) for value in pose.quaternion_xyzw],
            "approach": [float(value) for value in self.approach],
            "closing": [float(value) for value in self.closing],
            "width_m": self.width_m,
            "opening_m": self.opening_m,
            "quality": self.quality,
            "scores": dict(self.scores),
            "approach_distance_m": self.approach_distance_m,
        }


@dataclass(frozen=True, eq=False)
class RejectedGrasp:
    """A candidate that is out.

    Attributes:
        axes: (3, 3), columns are the axes of the tool frame in the optical frame.
        position_m: (3,) its origin.
        reason: Why.
    """

    axes: FloatArray
    position_m: FloatArray
    reason: Rejection


@dataclass(frozen=True, eq=False)
class Grasps:
    """What a gripper can do about the object at a point.

    Attributes:
        candidates: Best first; empty when there is none.
        rejected: Every other one that was looked at, with its reason.
        region: The object; its status says whether it can be trusted.
        normal: Of the surface at the point.
        box: Around what was seen of the object; None without a region.
        gripper: That it was made for.
    """

    candidates: tuple[GraspCandidate, ...]
    rejected: tuple[RejectedGrasp, ...]
    region: ObjectRegion
    normal: SurfaceNormal
    box: OrientedBox | None
    gripper: Gripper

    @property
    def best(self) -> GraspCandidate | None:
        """The best candidate, or None."""
        return self.candidates[0] if self.candidates else None

    @property
    def reasons(self) -> dict[str, int]:
        """How many candidates are out for each reason, most frequent first."""
        return {reason.value: count for reason, count in Counter(each.reason for each in self.rejected).most_common()}

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; rejected candidates are counted by reason."""
        return {
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "rejected": self.reasons,
            "region": self.region.to_dict(),
            "normal": self.normal.to_dict(),
            "box": None if self.box is None else self.box.to_dict(),
        }


def find_grasps(
    region: ObjectRegion,
    intrinsics: Intrinsics,
    frame: str,
    gripper: Gripper | None = None,
    *,
    sigma_m: float = 0.0,
    max_candidates: int = 8,
) -> Grasps:
    """Grasps of the object in a region, best first.

    The object is looked at along each approach. Between the fingers lies a slab of it; its two ends along the closing
    direction give width and contact normals, so that the side that the camera cannot see counts as far as its outline
    was seen. Fingers and hand are checked against everything measured and against the support plane.

    Args:
        region: From `grow_region`.
        intrinsics: Of the image that it was grown in.
        frame: Name of the optical frame.
        gripper: Default `Gripper()`.
        sigma_m: Standard deviation of the target's position; blurs what counts as near it.
        max_candidates: Keep at most this many.

    Raises:
        InputError: If max_candidates is below one or sigma_m is negative or not finite.
    """
    if max_candidates < 1 or not (math.isfinite(sigma_m) and sigma_m >= 0):
        raise InputError(
            "The settings of the grasp search cannot be used",
            f"max_candidates={max_candidates}, sigma_m={sigma_m}",
            "ask for one or more, with a sigma in metres that is not negative",
        )
    gripper = gripper or Gripper()
    normal = surface_normal(region)
    if region.patch is None or region.inside is None:
        return Grasps((), (), region, normal, None, gripper)
    points = region.points_m
    points = points[:: max(1, -(-len(points) // MAX_POINTS))]
    spacing_m = region.patch.stride * float(region.target_m[2]) / intrinsics.focal_px
    noise_m = float(np.median(region.patch.sigma_m[region.inside]))
    box = oriented_box(points, region.support)
    turns = closings(region.target_m, normal.direction, box.axes, region.support, gripper)
    proposals = [p for axes in turns for p in search_slabs(points, region.target_m, axes, region.support, gripper)]
    rejected = [RejectedGrasp(p.axes, p.position_m, Rejection(p.reason)) for p in proposals if p.reason]
    alive: list[tuple[Proposal, Contact]] = []
    for proposal in (p for p in proposals if not p.reason):
        contact = measure_contact(points, proposal, gripper, spacing_m, noise_m, region.support)
        if contact.reason:
            rejected.append(RejectedGrasp(proposal.axes, contact.position_m, Rejection(contact.reason)))
        else:
            alive.append((proposal, contact))
    candidates, more = _checked(alive, region, points, intrinsics, frame, gripper, sigma_m, spacing_m)
    kept, doubles = _distinct(candidates, max_candidates)
    return Grasps(kept, tuple(rejected + more + doubles), region, normal, box, gripper)


def _checked(
    alive: list[tuple[Proposal, Contact]],
    region: ObjectRegion,
    points: FloatArray,
    intrinsics: Intrinsics,
    frame: str,
    gripper: Gripper,
    sigma_m: float,
    spacing_m: float,
) -> tuple[list[GraspCandidate], list[RejectedGrasp]]:
    """The measured ones that collide with nothing, scored; and the others."""
    assert region.patch is not None and region.inside is not None
    if not alive:
        return [], []
    axes = np.stack([proposal.axes for proposal, _ in alive])
    positions = np.stack([contact.position_m for _, contact in alive])
    widths = np.array([contact.width_m for _, contact in alive])
    openings = np.minimum(widths + 2 * gripper.clearance_m, gripper.max_opening_m)
    cloud, own = obstacles(region.patch, region.inside, region.support)
    margin_m = float(np.median(region.patch.sigma_m[region.inside])) + 0.5 * spacing_m
    reasons = find_collisions(axes, positions, openings, gripper, cloud, own, region.support, margin_m)
    seen = seen_free(axes, positions, openings, gripper, region.patch, intrinsics)
    middle = np.median(points, axis=0)
    candidates, rejected = [], []
    for i, ((proposal, contact), reason) in enumerate(zip(alive, reasons, strict=True)):
        if not reason and seen[i] < MIN_SEEN:
            reason = "UNSEEN"
        if reason:
            rejected.append(RejectedGrasp(proposal.axes, contact.position_m, Rejection(reason)))
            continue
        scores = _scores(proposal.axes, contact, float(seen[i]), region, middle, gripper, sigma_m)
        total = sum(WEIGHTS[name] * math.log(max(value, 0.02)) for name, value in scores.items())
        candidates.append(
            GraspCandidate(
                camera_T_grasp=Transform(frame, GRASP_FRAME, _canonical(proposal.axes), contact.position_m),
                width_m=contact.width_m,
                opening_m=float(openings[i]),
                quality=math.exp(total / sum(WEIGHTS.values())),
                scores=scores,
                approach_distance_m=gripper.approach_distance_m,
            )
        )
    return sorted(candidates, key=lambda candidate: -candidate.quality), rejected


def _scores(
    axes: FloatArray, contact: Contact, seen: float, region: ObjectRegion, middle: FloatArray, gripper: Gripper, sigma_m: float
) -> dict[str, float]:
    away = (region.target_m - contact.position_m) @ axes
    # The target is on the surface: anywhere between palm and finger ends is as near as can be.
    deep = max(0.0, away[2] - gripper.tip_offset_m, gripper.tip_offset_m - gripper.finger_depth_m - away[2])
    off = max(0.0, abs(away[1]) - 0.5 * contact.width_m)
    distance = math.sqrt(away[0] ** 2 + off**2 + deep**2)
    aside = float((middle - contact.position_m) @ axes[:, 0])
    tilt = 0.0 if region.support is None else math.acos(float(np.clip(-region.support.normal @ axes[:, 2], -1.0, 1.0)))
    return {
        "antipodal": max(0.0, 1.0 - 0.8 * contact.angle_rad / math.atan(gripper.friction)),
        "seen": seen,
        "outlined": math.sqrt(
            max(0.0, 1.0 - float(region.target_m @ axes[:, 1]) ** 2 / float(region.target_m @ region.target_m))
        ),
        "near": math.exp(-0.5 * distance**2 / (_NEAR_M**2 + sigma_m**2)),
        "centred": math.exp(-0.5 * (aside / _CENTRED_M) ** 2),
        "upright": max(0.0, 1.0 - tilt / (0.75 * math.pi)),
        "engaged": float(min(1.0, contact.engaged_m / (2 * gripper.tip_offset_m))),
        "room": min(1.0, (gripper.max_opening_m - contact.width_m) / (0.25 * gripper.max_opening_m)),
    }


def _canonical(axes: FloatArray) -> FloatArray:
    """Of the two equal grasps the one whose closing direction points to the right of the image."""
    closing = axes[:, 1]
    first = closing[np.argmax(np.abs(closing) > 1e-6)]
    return axes if first > 0 else axes * np.array([-1.0, -1.0, 1.0])


def _distinct(candidates: list[GraspCandidate], count: int) -> tuple[tuple[GraspCandidate, ...], list[RejectedGrasp]]:
    kept: list[GraspCandidate] = []
    dropped = []
    for candidate in candidates:
        reason = Rejection.DUPLICATE if any(_alike(candidate, other) for other in kept) else Rejection.OUTSCORED
        if reason is Rejection.DUPLICATE or len(kept) >= count:
            dropped.append(RejectedGrasp(candidate.camera_T_grasp.rotation, candidate.center_m, reason))
        else:
            kept.append(candidate)
    return tuple(kept), dropped


def _alike(one: GraspCandidate, other: GraspCandidate) -> bool:
    if np.linalg.norm(one.center_m - other.center_m) > _SAME_M:
        return False
    limit = math.cos(_SAME_RAD)
    return bool(abs(one.closing @ other.closing) > limit and one.approach @ other.approach > limit)
