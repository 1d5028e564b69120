"""A target to grasps: the object at it, and how a parallel gripper can take it."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.depth.uncertainty import D435, DepthNoise
from molmo_point.errors import FrameError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import Grasps, find_grasps
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.object_region import MAX_SIZE_M, ObjectRegion, grow_region
from molmo_point.grasp.ranking import RankedGrasp, rank_grasps
from molmo_point.results import Target


def find_object(
    frame: RgbdFrame,
    target: Target,
    *,
    base_T_camera: Transform | None = None,
    max_size_m: float = MAX_SIZE_M,
    noise: DepthNoise | None = None,
) -> ObjectRegion:
    """The object that a target is on; arguments and errors as `propose_grasps`."""
    depth_m, intrinsics = frame.depth_m, frame.intrinsics
    if depth_m is None or intrinsics is None:
        lacking = "depth" if depth_m is None else "intrinsics"
        raise InputError("A grasp needs depth and intrinsics", f"a frame without {lacking}", "give both to the frame")
    if target.frame != frame.frame:
        raise FrameError(
            "The target is not in the frame of the image",
            f"target in {target.frame!r}, image in {frame.frame!r}",
            "pass the target as the Pointer returned it, and transform the grasps",
        )
    if target.stamp_ns != frame.stamp_ns:
        raise InputError(
            "The target is from another moment than the image",
            f"target {target.stamp_ns} ns, image {frame.stamp_ns} ns",
            "find grasps in the frame that the target was found in",
        )
    up = None
    if base_T_camera is not None:
        if base_T_camera.source != frame.frame:
            raise FrameError(
                "The transform does not start in the frame of the image",
                f"{base_T_camera.target}_T_{base_T_camera.source}, image in {frame.frame!r}",
                f"give a transform from {frame.frame!r} to one whose z axis points up",
            )
        up = base_T_camera.rotation[2]
    noise = noise or frame.depth_noise or D435
    at_m = float(target.position_m[2])
    return grow_region(depth_m, (target.u, target.v), intrinsics, noise, at_m=at_m, up=up, max_size_m=max_size_m)


def propose_grasps(
    frame: RgbdFrame,
    target: Target,
    *,
    gripper: Gripper | None = None,
    base_T_camera: Transform | None = None,
    max_size_m: float = MAX_SIZE_M,
    max_candidates: int = 8,
    noise: DepthNoise | None = None,
) -> Grasps:
    """Grow the object at a target and find grasps on it.

    Args:
        frame: The frame that the target was found in.
        target: In the frame's optical frame.
        gripper: Default `Gripper()`.
        base_T_camera: To a frame whose z axis points up; then only a level plane counts as support. The grasps stay
            in the optical frame: `candidate.transformed(base_T_camera)` takes them along.
        max_size_m: The farthest that the object may reach from the target, in metres.
        max_candidates: Keep at most this many.
        noise: Of the depth camera; default that of the frame, else a D435's.

    Raises:
        InputError: Without depth or intrinsics, for a target of another moment, or an unusable setting.
        FrameError: For a target or a transform of another frame.
    """
    region = find_object(frame, target, base_T_camera=base_T_camera, max_size_m=max_size_m, noise=noise)
    assert frame.intrinsics is not None
    sigma_m = target.sigma_m if math.isfinite(target.sigma_m) else 0.0
    return find_grasps(region, frame.intrinsics, frame.frame, gripper, sigma_m=sigma_m, max_candidates=max_candidates)


def rank_for_target(
    poses: ArrayLike, target: Target, *, scores: ArrayLike | None = None, options: Mapping[str, Any] | None = None
) -> tuple[RankedGrasp, ...]:
    """Rank grasps of another generator (n, 4, 4), in the target's frame, for a target; see `rank_grasps`.

    Args:
        poses: Homogeneous matrices in the target's frame.
        target: What is to be grasped; its covariance widens what counts as near.
        scores: The generator's own (n,), higher is better.
        options: Further arguments of `rank_grasps`.

    Raises:
        InputError: As `rank_grasps`.
    """
    sigma_m = float(np.sqrt(np.trace(target.covariance_m2) / 3.0))
    return rank_grasps(poses, target.position_m, target.frame, scores=scores, sigma_m=sigma_m, **(options or {}))
