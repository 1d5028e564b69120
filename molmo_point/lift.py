"""Image points to targets in space, or the reason why not."""

import math
from collections.abc import Iterable

import numpy as np

from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth import DepthEstimate, DepthStatus, estimate_depth
from molmo_point.geometry.uncertainty import D435, DepthNoise, point_covariance
from molmo_point.results import ImagePoint, Target, Unreachable

MAX_SKEW_S = 1 / 60
"""Half a frame at 30 Hz: the largest distance in time between colour and depth by default."""

DEFAULT_SIGMA_SHARE = 0.01
"""Standard deviation of a point whose own is not known, as a share of the image width."""


def lift_points(
    points: Iterable[ImagePoint],
    frame: RgbdFrame,
    *,
    noise: DepthNoise | None = None,
    max_skew_s: float = MAX_SKEW_S,
    prefer: str = "near",
) -> tuple[tuple[Target, ...], tuple[Unreachable, ...]]:
    """Lift several points; arguments as `lift_point`. Returns the targets, then the others."""
    lifted = [lift_point(point, frame, noise=noise, max_skew_s=max_skew_s, prefer=prefer) for point in points]
    targets = tuple(result for result in lifted if isinstance(result, Target))
    return targets, tuple(result for result in lifted if isinstance(result, Unreachable))


def lift_point(
    point: ImagePoint,
    frame: RgbdFrame,
    *,
    noise: DepthNoise | None = None,
    max_skew_s: float = MAX_SKEW_S,
    prefer: str = "near",
) -> Target | Unreachable:
    """Lift a point of the image with the depth of the same frame.

    Args:
        point: In pixels of the colour image. Without a `sigma_px` of its own, 1 % of the image
            width is used.
        frame: The frame that the point was found in.
        noise: Of the depth camera; default that of the frame, else a D435's.
        max_skew_s: Largest distance in time between depth and colour, in seconds.
        prefer: Which surface to keep where several are plausible: "near", "far", "centre".

    Returns:
        A `Target` in the frame's optical frame, always finite; or `Unreachable` with the reason:
        NO_INPUT (no depth or no intrinsics), STALE (depth of another moment), MISSING (a hole),
        OUT_OF_RANGE.

    Raises:
        InputError: If the point is outside the image or `prefer` is unknown.
    """
    if not (math.isfinite(point.u) and math.isfinite(point.v)):
        raise InputError("An image point must be finite", f"u={point.u}, v={point.v}", "drop points that were not found")
    if frame.depth_m is None or frame.intrinsics is None:
        lacking = "depth" if frame.depth_m is None else "intrinsics"
        return _unreachable(point, DepthStatus.NO_INPUT, f"the frame has no {lacking}")
    if abs(frame.skew_s) > max_skew_s:
        message = f"depth is {frame.skew_s * 1e3:+.1f} ms off the colour image, allowed {max_skew_s * 1e3:.1f} ms"
        return _unreachable(point, DepthStatus.STALE, message)
    noise = noise or frame.depth_noise or D435
    sigma_px = _sigma_px(point, frame)
    estimate = estimate_depth(frame.depth_m, (point.u, point.v), frame.intrinsics, noise, sigma_px=sigma_px, prefer=prefer)
    if estimate.status not in (DepthStatus.OK, DepthStatus.AMBIGUOUS):
        return _unreachable(point, estimate.status, _reason(estimate))
    return _target(point, frame, estimate, sigma_px)


def _target(point: ImagePoint, frame: RgbdFrame, estimate: DepthEstimate, sigma_px: float) -> Target | Unreachable:
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
        covariance_m2=point_covariance(
            estimate.uv, estimate.depth_m, sigma_px, estimate.sigma_m, frame.intrinsics, estimate.scatter_m2
        ),
        frame=frame.frame,
        stamp_ns=frame.stamp_ns,
        depth_status=estimate.status,
        alternate_depth_m=estimate.alternate_depth_m,
        valid_ratio=estimate.valid_ratio,
    )


def _sigma_px(point: ImagePoint, frame: RgbdFrame) -> float:
    if math.isfinite(point.sigma_px) and point.sigma_px >= 0:
        return point.sigma_px
    return DEFAULT_SIGMA_SHARE * frame.size_wh[0]


def _reason(estimate: DepthEstimate) -> str:
    if estimate.status is DepthStatus.OUT_OF_RANGE:
        return "the depth around the point is outside the range to believe"
    return f"only {estimate.valid_ratio:.0%} of the pixels around the point have usable depth"


def _unreachable(point: ImagePoint, reason: DepthStatus, message: str) -> Unreachable:
    return Unreachable(point.u, point.v, point.label, reason, message)
