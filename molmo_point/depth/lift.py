"""Lift of image points to targets in space, or to the reason why there is none."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.depth.estimator import DepthEstimate, estimate_depth
from molmo_point.depth.frame_noise import noise_of
from molmo_point.depth.plane_crossing import cross_plane
from molmo_point.depth.uncertainty import lifted_covariance
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.request import Surface
from molmo_point.results import DepthStatus, Found, ImagePoint, Target, Unreachable

MAX_SKEW_S = 1 / 60
"""Default for the largest time between color and depth: half a frame at 30 Hz."""

DEFAULT_SIGMA_SHARE = 0.01
"""Default standard deviation of a point, as a share of the image width."""

REFERENCE_SIGMA_M = 0.02
"""Default standard deviation of a reference depth for a point in free space, in meters."""


def lift_points(
    points: Iterable[ImagePoint],
    frame: RgbdFrame,
    *,
    noise: DepthNoise | None = None,
    max_skew_s: float = MAX_SKEW_S,
    prefer: str | Surface = Surface.NEAR,
    reference_depth_m: float | None = None,
) -> tuple[Found, ...]:
    """Lift several points; arguments as `lift_point`. Each keeps its target or the reason why it has none."""
    settings = {"noise": noise, "max_skew_s": max_skew_s, "prefer": prefer, "reference_depth_m": reference_depth_m}
    return tuple(Found.of(point, lift_point(point, frame, **settings)) for point in points)


def lift_point(
    point: ImagePoint,
    frame: RgbdFrame,
    *,
    noise: DepthNoise | None = None,
    max_skew_s: float = MAX_SKEW_S,
    prefer: str | Surface = Surface.NEAR,
    reference_depth_m: float | None = None,
    reference_sigma_m: float = REFERENCE_SIGMA_M,
) -> Target | Unreachable:
    """Lift an image point with the depth of the same frame, or without depth to the frame's known plane.

    Args:
        point: In pixels of the color image. Its error comes from its `modes`, else from its `sigma_px`,
            else it is 1 % of the image width; see `pixel_covariance`.
        frame: The frame that the point was found in.
        noise: Noise of the depth camera; default that of the frame, else an estimate; see `noise_of`.
        max_skew_s: Largest time between depth and color, in seconds.
        prefer: Surface to keep if several are plausible: "near", "far", "center".
        reference_depth_m: Depth along z for a point in free space ("above the mug"), in meters; replaces that measured.
        reference_sigma_m: Standard deviation of the reference depth, in meters.

    Returns:
        A `Target` in the frame's optical frame, always finite; or `Unreachable` with the reason:
        NO_INPUT (no depth and no plane, or no intrinsics), NO_CROSSING (the plane is not met),
        STALE (depth of another capture time), MISSING (a hole),
        OUT_OF_RANGE (also: an obstacle stands in front of the reference depth).

    Raises:
        InputError: If the point is outside the image, `prefer` is unknown, or the reference depth or its
            sigma is not finite and above zero.
    """
    check_lifting(prefer, reference_depth_m, reference_sigma_m)
    if not (math.isfinite(point.u) and math.isfinite(point.v)):
        raise InputError("point must be finite", f"u={point.u}, v={point.v}", "drop points that were not found")
    if frame.depth_m is None or frame.intrinsics is None:
        return _without_depth(point, frame)
    if abs(frame.skew_s) > max_skew_s:
        message = f"depth is {frame.skew_s * 1e3:+.1f} ms off the color image, allowed {max_skew_s * 1e3:.1f} ms"
        return _unreachable(point, DepthStatus.STALE, message)
    noise = noise or noise_of(frame)
    error_px2 = pixel_covariance(point, frame.size_wh)
    estimate = estimate_depth(frame.depth_m, (point.u, point.v), frame.intrinsics, noise, covariance_px2=error_px2, prefer=prefer)
    if reference_depth_m is not None:
        return _in_free_space(point, frame, estimate, error_px2, reference_depth_m, reference_sigma_m)
    if estimate.status not in (DepthStatus.OK, DepthStatus.AMBIGUOUS):
        return _unreachable(point, estimate.status, _why_no_depth(estimate))
    return _target(point, frame, estimate)


def _without_depth(point: ImagePoint, frame: RgbdFrame) -> Target | Unreachable:
    if frame.intrinsics is None or frame.plane is None:
        lacking = "intrinsics" if frame.intrinsics is None else "depth"
        return _unreachable(point, DepthStatus.NO_INPUT, f"the frame has no {lacking}")
    return cross_plane(point, pixel_covariance(point, frame.size_wh), frame.intrinsics, frame.plane, frame.stamp_ns)


def _why_no_depth(estimate: DepthEstimate) -> str:
    if estimate.status is DepthStatus.OUT_OF_RANGE:
        return "the depth around the point is out of the range of 0.1 to 10 m"
    if estimate.hidden > 0:
        return "the point is in a hole of the background that is wide enough to hide a transparent object"
    return f"only {estimate.valid_ratio:.0%} of the pixels around the point have usable depth"


def check_lifting(prefer: str | Surface, reference_depth_m: float | None, reference_sigma_m: float = REFERENCE_SIGMA_M) -> None:
    """Check the settings of `lift_point`.

    Raises:
        InputError: If the preference is unknown, or the reference depth or its sigma is not finite and above zero.
    """
    Surface(prefer)
    depth_m = 1.0 if reference_depth_m is None else reference_depth_m
    if not (math.isfinite(depth_m) and depth_m > 0 and math.isfinite(reference_sigma_m) and reference_sigma_m > 0):
        raise InputError(
            "reference_depth_m and reference_sigma_m must be finite and above zero",
            f"reference_depth_m={reference_depth_m}, reference_sigma_m={reference_sigma_m}",
            "give the depth along z of a target next to the point, in meters",
        )


def _target(point: ImagePoint, frame: RgbdFrame, estimate: DepthEstimate) -> Target | Unreachable:
    assert frame.intrinsics is not None
    position_m = frame.intrinsics.deproject(estimate.uv, estimate.depth_m)
    if not np.all(np.isfinite(position_m)):
        return _unreachable(point, DepthStatus.MISSING, "the lens distortion cannot be undone at this pixel")
    return Target(
        u=float(estimate.uv[0]),
        v=float(estimate.uv[1]),
        label=point.label,
        confidence=point.confidence,
        position_m=position_m,
        covariance_m2=lifted_covariance(estimate.uv, estimate.depth_m, estimate.covariance_uvz, frame.intrinsics),
        frame=frame.frame,
        stamp_ns=frame.stamp_ns,
        depth_status=estimate.status,
        alternate_depth_m=estimate.alternate_depth_m,
        valid_ratio=estimate.valid_ratio,
    )


def pixel_covariance(point: ImagePoint, size_wh: tuple[int, int]) -> FloatArray:
    """Return the covariance (2, 2) of a point's u and v in square pixels.

    The covariance of the nearest of the model's `modes` is taken, about the point: the mean of several
    modes lies on none of them. Without modes the standard deviation is `sigma_px` in both directions,
    or 1 % of the image's width if that is unknown. The rounding of the model's coordinates to 0.1 % is
    the lower limit.

    Args:
        point: The point.
        size_wh: Width and height of the image in pixels.
    """
    rounding = np.diag((0.001 * np.array(size_wh, dtype=np.float64)) ** 2 / 12.0)
    if point.modes:
        mode = min(point.modes, key=lambda mode: math.hypot(mode.u - point.u, mode.v - point.v))
        away = np.array([mode.u - point.u, mode.v - point.v])
        return mode.covariance_px2 + np.outer(away, away) + rounding
    known = math.isfinite(point.sigma_px) and point.sigma_px >= 0
    return np.maximum(np.eye(2) * (point.sigma_px if known else DEFAULT_SIGMA_SHARE * size_wh[0]) ** 2, rounding)


def _in_free_space(
    point: ImagePoint,
    frame: RgbdFrame,
    estimate: DepthEstimate,
    error_px2: FloatArray,
    depth_m: float,
    sigma_m: float,
) -> Target | Unreachable:
    if estimate.depth_m < depth_m - 2.0 * math.hypot(sigma_m, estimate.sigma_m):
        message = f"an obstacle at {estimate.depth_m:.3f} m stands in front of the reference depth of {depth_m:.3f} m"
        return _unreachable(point, DepthStatus.OUT_OF_RANGE, message)
    covariance = np.zeros((3, 3))
    covariance[:2, :2], covariance[2, 2] = error_px2, sigma_m**2
    free = replace(
        estimate,
        status=DepthStatus.OK,
        depth_m=depth_m,
        uv=point.uv,
        alternate_depth_m=estimate.depth_m,
        covariance_uvz=covariance,
    )
    return _target(point, frame, free)


def _unreachable(point: ImagePoint, reason: DepthStatus, message: str) -> Unreachable:
    return Unreachable(point.u, point.v, point.label, reason, message)
