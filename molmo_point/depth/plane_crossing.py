"""Targets of a camera without depth, on a known plane: the ray of the point meets the plane."""

import math

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.depth.uncertainty import deprojection_jacobian
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.known_plane import KnownPlane
from molmo_point.results import DepthStatus, ImagePoint, Target, Unreachable

MAX_RANGE_M = 10.0
"""Farthest crossing, along z of the optical frame, in meters."""
MAX_SHARE = 0.1
"""Largest standard deviation of a target, as a share of its distance: a flatter ray tells too little."""


def cross_plane(
    point: ImagePoint, covariance_px2: FloatArray, intrinsics: Intrinsics, plane: KnownPlane, stamp_ns: int
) -> Target | Unreachable:
    """Place a point where its ray meets a known plane.

    The surface that is pointed at lies `plane.height_m` above the plane, with the error `plane.height_sigma_m`. With
    p = c r / (n r) for the ray r and c = offset + height, the covariance is that of r by the pixel's error, plus that of c.

    Args:
        point: In pixels of the image.
        covariance_px2: Covariance (2, 2) of u and v in square pixels.
        intrinsics: Intrinsics of the image.
        plane: In the optical frame of the image.
        stamp_ns: Capture time of the image.

    Returns:
        A `Target` with the status ON_PLANE in the plane's frame; or `Unreachable` with the reason NO_CROSSING.
    """
    ray = intrinsics.deproject(point.uv, 1.0)
    if not np.all(np.isfinite(ray)):
        return _none(point, "the lens distortion cannot be undone at this pixel")
    toward, distance_m = float(plane.normal @ ray), plane.offset_m + plane.height_m
    # The camera is above the plane, on the side of its normal: both are negative.
    if not (distance_m < 0 and toward < 0):
        return _none(point, "the camera is below the plane" if distance_m >= 0 else "the ray leads away from the plane")
    depth_m = distance_m / toward
    if depth_m > MAX_RANGE_M:
        return _none(point, f"the ray meets the plane at {depth_m:.1f} m, allowed {MAX_RANGE_M:g} m")
    position, covariance = ray * depth_m, _covariance(point.uv, depth_m, covariance_px2, intrinsics, plane)
    sigma_m = math.sqrt(max(0.0, float(np.linalg.eigvalsh(covariance)[-1])))
    if not sigma_m <= MAX_SHARE * float(np.linalg.norm(position)):
        return _none(point, f"the ray meets the plane too flatly: the error would be {sigma_m * 1e3:.0f} mm")
    return Target(
        u=point.u,
        v=point.v,
        label=point.label,
        confidence=point.confidence,
        position_m=position,
        covariance_m2=covariance,
        frame=plane.frame,
        stamp_ns=stamp_ns,
        depth_status=DepthStatus.ON_PLANE,
        alternate_depth_m=math.nan,
        valid_ratio=0.0,
    )


def _covariance(
    uv: FloatArray, depth_m: float, covariance_px2: FloatArray, intrinsics: Intrinsics, plane: KnownPlane
) -> FloatArray:
    jacobian = deprojection_jacobian(uv, depth_m, intrinsics)
    by_pixel, ray = jacobian[:, :2], jacobian[:, 2]
    rise = ray / float(plane.normal @ ray)
    # A pixel's step moves p off the plane; it is taken back along the ray.
    moved = (np.eye(3) - np.outer(rise, plane.normal)) @ by_pixel
    covariance = moved @ covariance_px2 @ moved.T + np.outer(rise, rise) * (plane.sigma_m**2 + plane.height_sigma_m**2)
    return (covariance + covariance.T) / 2.0


def _none(point: ImagePoint, message: str) -> Unreachable:
    return Unreachable(point.u, point.v, point.label, DepthStatus.NO_CROSSING, message)
