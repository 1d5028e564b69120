"""Grasp proposals at a target: object region, antipodal grasps of a parallel gripper, scores."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arrays import BoolArray, ColorArray, FloatArray
from molmo_point.depth.frame_noise import noise_of
from molmo_point.errors import FrameError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GRASP_FRAME, GraspCandidate, Grasps, RejectedGrasp, Rejection
from molmo_point.grasp.collision import find_collisions, obstacles, seen_free
from molmo_point.grasp.color_outline import fit_to_color
from molmo_point.grasp.completion import CompletedShape, complete_shape
from molmo_point.grasp.contact import Contact, measure_contact
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.object_region import MAX_SIZE_M, ObjectRegion, grow_region
from molmo_point.grasp.quality import MIN_QUALITY, grasp_quality, grasp_scores, target_distance_m
from molmo_point.grasp.shape import oriented_box, surface_normal
from molmo_point.grasp.slab_search import Proposal, closings, search_slabs
from molmo_point.results import Target

MAX_POINTS = 1500
"""Largest number of points of the object's thinned surface."""

REACH_M = 0.13
"""Points of the object farther from the target are out of the gripper's reach, in meters."""

MIN_SEEN = 0.2
"""Smallest share of each finger's space that the camera must have seen free."""

SPARE_M = 0.006
"""Further gap between each finger and the object where there is room, in meters: outlines are shifted and blurred."""

MAX_DISTANCE_M = 0.06
"""Largest distance of the target from the space between the fingers, in meters."""

_SAME_M, _SAME_RAD = 0.012, math.radians(25.0)


def find_object(
    frame: RgbdFrame,
    target: Target,
    *,
    base_T_camera: Transform | None = None,
    max_size_m: float = MAX_SIZE_M,
    noise: DepthNoise | None = None,
    others: ArrayLike = (),
) -> ObjectRegion:
    """Segment the object at a target; arguments and errors as `propose_grasps`."""
    depth_m, intrinsics = frame.depth_m, frame.intrinsics
    if depth_m is None or intrinsics is None:
        lacking = "depth" if depth_m is None else "intrinsics"
        raise InputError("frame must have depth and intrinsics", f"a frame without {lacking}", "give both to the frame")
    if target.frame != frame.frame:
        raise FrameError(
            "target must be in the frame of the image",
            f"target in {target.frame!r}, image in {frame.frame!r}",
            "pass the target as the Pointer returned it, and transform the grasps",
        )
    if target.stamp_ns != frame.stamp_ns:
        raise InputError(
            "target must be of the image's capture time",
            f"target {target.stamp_ns} ns, image {frame.stamp_ns} ns",
            "find grasps in the frame that the target was found in",
        )
    up = None
    if base_T_camera is not None:
        if base_T_camera.source != frame.frame:
            raise FrameError(
                "base_T_camera must start in the frame of the image",
                f"{base_T_camera.target}_T_{base_T_camera.source}, image in {frame.frame!r}",
                f"give a transform from {frame.frame!r} to one whose z axis points up",
            )
        up = base_T_camera.rotation[2]
    noise = noise or noise_of(frame)
    at_m = float(target.position_m[2])
    pixel = (target.u, target.v)
    return grow_region(
        depth_m, pixel, intrinsics, noise, at_m=at_m, up=up, max_size_m=max_size_m, color=frame.color, others=others
    )


def propose_grasps(
    frame: RgbdFrame,
    target: Target,
    *,
    gripper: Gripper | None = None,
    base_T_camera: Transform | None = None,
    max_size_m: float = MAX_SIZE_M,
    max_candidates: int = 8,
    noise: DepthNoise | None = None,
    others: ArrayLike = (),
) -> Grasps:
    """Grow the object at a target and find grasps on it.

    Args:
        frame: The frame that the target was found in.
        target: Target in the frame's optical frame.
        gripper: Gripper sizes; default `Gripper()`.
        base_T_camera: Transform to a frame whose z axis points up; only a level plane then counts as support. The grasps
            stay in the optical frame; `candidate.transformed(base_T_camera)` converts them.
        max_size_m: Largest distance of the object's points from the target, in meters.
        max_candidates: Largest number of candidates.
        noise: Noise of the depth camera; default that of the frame, else an estimate; see `noise_of`.
        others: Pixels (k, 2) of other objects in the image, e.g. the other points of the same answer.

    Raises:
        InputError: Without depth or intrinsics, for a target of another capture time, or an invalid setting.
        FrameError: If the target or the transform is in another frame.
    """
    region = find_object(frame, target, base_T_camera=base_T_camera, max_size_m=max_size_m, noise=noise, others=others)
    assert frame.intrinsics is not None
    sigma_m = target.sigma_m if math.isfinite(target.sigma_m) else 0.0
    return find_grasps(
        region, frame.intrinsics, frame.frame, gripper, sigma_m=sigma_m, max_candidates=max_candidates, color=frame.color
    )


def find_grasps(
    region: ObjectRegion,
    intrinsics: Intrinsics,
    frame: str,
    gripper: Gripper | None = None,
    *,
    sigma_m: float = 0.0,
    max_candidates: int = 8,
    color: ColorArray | None = None,
) -> Grasps:
    """Find grasps of the object in a region, best first.

    For each approach, slabs of the object between the fingers are measured. The two ends of a slab along the closing
    direction give the width and the contact normals, so an unseen side counts as far as its outline was seen. Fingers and
    hand are checked against the point cloud and the support plane.

    Args:
        region: Object region from `grow_region`.
        intrinsics: Intrinsics of the region's image.
        frame: Name of the optical frame.
        gripper: Gripper sizes; default `Gripper()`.
        sigma_m: Standard deviation of the target's position, in meters; it widens the score "near".
        max_candidates: Largest number of candidates.
        color: RGB image that the depth is aligned to; the object's color then tells its outline where depth is missing.

    Raises:
        InputError: If `max_candidates` is below one, or `sigma_m` is negative or not finite.
    """
    _check_settings(max_candidates, sigma_m)
    gripper = gripper or Gripper()
    normal = surface_normal(region)
    if region.patch is None or region.inside is None:
        return Grasps((), (), region, normal, None, gripper)
    found, region = region, region if color is None else fit_to_color(region, color)
    assert region.patch is not None and region.inside is not None
    points = region.points_m[np.sum((region.points_m - region.target_m) ** 2, axis=1) <= REACH_M**2]
    points = points[:: max(1, -(-len(points) // MAX_POINTS))]
    spacing_m = region.patch.stride * float(region.target_m[2]) / intrinsics.focal_px
    noise_m = float(np.median(region.patch.sigma_m[region.inside]))
    box = oriented_box(points, region.support)
    shape = complete_shape(points, box, region.support, region.patch, intrinsics)
    turns = closings(region.target_m, normal.direction, box.axes, region.support, gripper)
    cloud, own = obstacles(region.patch, region.inside, region.support)
    unseen = shape.points_m[shape.measured_count :]
    cloud, own = np.concatenate([cloud, unseen]), np.concatenate([own, np.ones(len(unseen), dtype=bool)])
    good, rejected = _measured(shape, cloud, turns, region, gripper, spacing_m, noise_m)
    candidates, more = _checked(good, region, shape, cloud, own, intrinsics, frame, gripper, sigma_m, noise_m + 0.5 * spacing_m)
    kept, doubles = _distinct(candidates, max_candidates)
    return Grasps(kept, tuple(rejected + more + doubles), found, normal, box, gripper)


def _check_settings(max_candidates: int, sigma_m: float) -> None:
    if max_candidates < 1 or not (math.isfinite(sigma_m) and sigma_m >= 0):
        raise InputError(
            "max_candidates must be at least 1, and sigma_m finite and not negative",
            f"max_candidates={max_candidates}, sigma_m={sigma_m}",
            "give a count and meters",
        )


def _measured(
    shape: CompletedShape,
    cloud_m: FloatArray,
    turns: list[FloatArray],
    region: ObjectRegion,
    gripper: Gripper,
    spacing_m: float,
    noise_m: float,
) -> tuple[list[tuple[Proposal, Contact]], list[RejectedGrasp]]:
    """Search and measure the closings of all rotations of the gripper."""
    good, rejected = [], []
    for axes in turns:
        local = shape.points_m @ axes
        for proposal in search_slabs(local, cloud_m @ axes, region.target_m @ axes, axes, region.support, gripper):
            if proposal.reason is not None:
                rejected.append(RejectedGrasp(axes, proposal.position_m, proposal.reason))
                continue
            contact = measure_contact(local[: shape.surface_count], shape, proposal, gripper, spacing_m, noise_m, region.support)
            if contact.reason is not None:
                rejected.append(RejectedGrasp(axes, contact.position_m, contact.reason))
            else:
                good.append((proposal, contact))
    return good, rejected


def _checked(
    alive: list[tuple[Proposal, Contact]],
    region: ObjectRegion,
    shape: CompletedShape,
    cloud_m: FloatArray,
    own: BoolArray,
    intrinsics: Intrinsics,
    frame: str,
    gripper: Gripper,
    sigma_m: float,
    margin_m: float,
) -> tuple[list[GraspCandidate], list[RejectedGrasp]]:
    """Score the measured proposals without a collision; reject the others."""
    assert region.patch is not None and region.inside is not None
    if not alive:
        return [], []
    axes = np.stack([proposal.axes for proposal, _ in alive])
    positions = np.stack([contact.position_m for _, contact in alive])
    widths = np.array([contact.width_m for _, contact in alive])
    slacks = shape.slack_m * np.abs(axes[:, :, 1] @ shape.away)
    least = np.minimum(widths + 2 * (gripper.clearance_m + slacks), gripper.max_opening_m)

    def collisions(of: BoolArray, openings_m: FloatArray) -> list[Rejection | None]:
        return find_collisions(
            axes[of], positions[of], widths[of], openings_m[of], gripper, cloud_m, own, region.support, margin_m
        )

    openings, reasons = _widest(least, gripper, collisions)
    seen = seen_free(axes, positions, openings, gripper, region.patch, intrinsics)
    middle, candidates, rejected = np.median(shape.points_m, axis=0), [], []
    for i, ((proposal, contact), reason) in enumerate(zip(alive, reasons, strict=True)):
        distance_m = target_distance_m(proposal.axes, contact, region.target_m, gripper)
        scores = grasp_scores(proposal.axes, contact, float(seen[i]), region, middle, gripper, distance_m, sigma_m)
        quality = grasp_quality(scores)
        reason = reason or _doubt(float(seen[i]), distance_m, quality)
        if reason is not None:
            rejected.append(RejectedGrasp(proposal.axes, contact.position_m, reason))
            continue
        candidates.append(
            GraspCandidate(
                camera_T_grasp=Transform(frame, GRASP_FRAME, _canonical(proposal.axes), contact.position_m),
                width_m=contact.width_m,
                width_sigma_m=contact.width_sigma_m,
                opening_m=float(openings[i]),
                quality=quality,
                scores=scores,
                approach_distance_m=gripper.approach_distance_m,
            )
        )
    return sorted(candidates, key=lambda candidate: -candidate.quality), rejected


def _widest(
    least_m: FloatArray, gripper: Gripper, collisions: Callable[[BoolArray, FloatArray], list[Rejection | None]]
) -> tuple[FloatArray, list[Rejection | None]]:
    """Return the openings (n,), wider than the least where there is room, and the collisions."""
    openings = np.minimum(least_m + 2 * SPARE_M, gripper.max_opening_m)
    reasons = collisions(np.ones(len(least_m), dtype=bool), openings)
    tight = np.array([reason is not None for reason in reasons])
    openings[tight] = least_m[tight]
    for i, reason in zip(np.flatnonzero(tight), collisions(tight, least_m), strict=True):
        reasons[i] = reason
    return openings, reasons


def _doubt(seen: float, distance_m: float, quality: float) -> Rejection | None:
    """Return the reason to refuse a grasp without a collision, if there is one."""
    if seen < MIN_SEEN:
        return Rejection.UNSEEN
    if distance_m > MAX_DISTANCE_M:
        return Rejection.FAR_FROM_TARGET
    return Rejection.UNLIKELY if quality < MIN_QUALITY else None


def _canonical(axes: FloatArray) -> FloatArray:
    """Choose, of the two equal grasps, the one whose closing direction points to the right of the image."""
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
