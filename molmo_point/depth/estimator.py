"""Depth at a point: the nearest significant surface around it, or the reason why there is none.

A pixel's own depth is often a hole, a mixture of two surfaces, or the wall behind a thin object; a median over a window
takes the larger surface. Here a window around the point is cut into surfaces at gaps in its sorted depths, without the
pixels that mix two. The nearest surface with enough probability of the true point is fitted locally.
"""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arrays import BoolArray, DepthArray, FloatArray
from molmo_point.depth.surroundings import EXPLAINED_AMBIGUOUS, HIDDEN_AMBIGUOUS, HIDDEN_MISSING, doubt_background
from molmo_point.depth.uncertainty import checked_covariance_px2
from molmo_point.depth.window import Window, cut_window, local_depth, smoothing_error, snap, spread_over_error
from molmo_point.errors import InputError
from molmo_point.geometry.depth_noise import D435, DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics, within_image
from molmo_point.request import Surface
from molmo_point.results import DepthStatus

FLYING_M, FLYING_SIGMAS = 0.008, 5.0
GAP_M, GAP_SIGMAS = 0.010, 4.0
SIGNIFICANT_SHARE = 0.15
PLAUSIBLE = 0.05
MIN_VALID_SHARE, MIN_SHARE_AROUND_HOLE = 0.15, 0.20
MIN_PIXELS = 4
SAME_OBJECT_M = 0.06
"""Depths this near to the answer may be other parts of the same hand-sized object; the covariance spans them."""
SAME_PLACE_M = 0.20
"""The covariance of an ambiguous answer spans another plausible surface that is this near."""
SMOOTHED_AGAIN, SMOOTHING_VARIANCE = 2.0, 1.0
"""Radius of a second smoothing over that of the camera, and variance of the camera's error over its squared change."""
HOLE_VARIANCE, HOLE_RADIUS_PX = 3.0, 8.0
"""Error that a hole of this radius adds, as a share of the variance of single pixels."""
HIDDEN_M, LEAST_HIDDEN = 0.04, 0.25
"""Height of an object that a hole may hide, and the least probability of it where the answer is ambiguous for that."""
MIN_SIGMA_M = 0.0003
"""Error that no averaging removes, in meters: depth is quantized (1 mm / sqrt(12))."""


@dataclass(frozen=True, eq=False)
class DepthEstimate:
    """Estimated depth of the surface at a point.

    Attributes:
        status: OK, AMBIGUOUS (another surface is plausible too), MISSING or OUT_OF_RANGE.
        depth_m: Depth along z at `uv`, in meters; NaN if MISSING or OUT_OF_RANGE.
        sigma_m: Standard deviation of `depth_m` by sensor noise, in meters; NaN without a depth.
        uv: Pixel (2,) of the depth: the requested pixel, or the nearest pixel on the kept surface.
        shift_px: Distance from the requested pixel to `uv`, in pixels; NaN without a depth.
        alternate_depth_m: Depth of the other plausible surface, in meters; NaN if there is none.
        valid_ratio: Share of the window, weighted by nearness, with a depth in range.
        covariance_uvz: Covariance (3, 3) of u, v in pixels and depth in meters: the point's own error and the shift of
            depth against color, spread over the surface, everything within `SAME_OBJECT_M` of it, and another plausible
            surface within `SAME_PLACE_M`, plus `sigma_m`, the camera's smoothing, and holes; NaN without a depth.
        hidden: Probability of the true point in a wide hole of the background, which may hide a transparent object;
            0 where no surface or several were found.
    """

    status: DepthStatus
    depth_m: float
    sigma_m: float
    uv: FloatArray
    shift_px: float
    alternate_depth_m: float
    valid_ratio: float
    covariance_uvz: FloatArray
    hidden: float = 0.0


@dataclass(frozen=True, eq=False)
class _Surface:
    """One cluster of depth: its samples, the probability of the true point on it, its typical depth."""

    mask: BoolArray
    probability: float
    depth_m: float


def estimate_depth(
    depth_m: DepthArray,
    uv: ArrayLike,
    intrinsics: Intrinsics,
    noise: DepthNoise = D435,
    *,
    sigma_px: float = 3.0,
    covariance_px2: ArrayLike | None = None,
    prefer: str | Surface = Surface.NEAR,
    min_m: float = 0.1,
    max_m: float = 10.0,
) -> DepthEstimate:
    """Estimate the depth of the nearest significant surface at a pixel.

    Args:
        depth_m: Depth (h, w) along z in meters, aligned to the image; NaN where missing.
        uv: Pixel (2,); (0, 0) is the center of the top-left pixel.
        intrinsics: Intrinsics of the image that the depth is aligned to.
        noise: Noise of the depth camera.
        sigma_px: Standard deviation of u and of v, in pixels.
        covariance_px2: Covariance (2, 2) of u and v in square pixels, instead of `sigma_px`.
        prefer: Significant surface to keep: "near", "far", or "center" (the one at the pixel itself).
        min_m, max_m: Smallest and largest valid depth, in meters.

    Raises:
        InputError: If the pixel is outside the image, the sizes differ, or a setting is invalid.
    """
    point, prefer = _checked(depth_m, uv, intrinsics, min_m, max_m), Surface(prefer)
    error_px2 = checked_covariance_px2(sigma_px, covariance_px2)
    window = cut_window(depth_m, point, error_px2, intrinsics.focal_px, min_m, max_m)
    valid = np.isfinite(window.z)
    valid_ratio = float(window.near[valid].sum())
    row, column = window.center
    known = valid[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].any()
    least = MIN_VALID_SHARE if known else MIN_SHARE_AROUND_HOLE
    if valid_ratio < least or np.count_nonzero(valid) < MIN_PIXELS:
        seen = float(window.near[window.measured].sum())
        out = seen >= least and seen > 2.0 * valid_ratio
        return _nothing(DepthStatus.OUT_OF_RANGE if out else DepthStatus.MISSING, point, valid_ratio)
    sigma_z = float(noise.sigma_z(float(np.median(window.z[valid])), intrinsics.focal_px))
    surfaces = _surfaces(window, sigma_z)
    # A surface that only samples beyond the window show has no depth at the point, but makes it ambiguous.
    nearby = [surface for surface in surfaces if np.count_nonzero(window.block(surface.mask)) >= MIN_PIXELS]
    if not nearby:
        return _nothing(DepthStatus.MISSING, point, valid_ratio)
    kept = _choose(nearby, window, prefer)
    others = (surface for surface in surfaces if surface is not kept and surface.probability >= PLAUSIBLE)
    alternate = max(others, key=lambda surface: surface.probability, default=None)
    estimate = _measured(window, kept, alternate, point, error_px2, valid_ratio, intrinsics, noise)
    return _doubted(estimate, depth_m, point, error_px2, intrinsics.focal_px, noise, (min_m, max_m))


def _doubted(
    estimate: DepthEstimate,
    depth_m: DepthArray,
    point: FloatArray,
    error_px2: FloatArray,
    focal_px: float,
    noise: DepthNoise,
    range_m: tuple[float, float],
) -> DepthEstimate:
    """Refuse an answer, or call it ambiguous, if it is a background and a wide hole may hide the true surface."""
    if estimate.status is not DepthStatus.OK:
        return estimate
    doubt = doubt_background(depth_m, point, error_px2, estimate.depth_m, focal_px, noise, range_m)
    if doubt.hidden >= HIDDEN_MISSING:
        return replace(_nothing(DepthStatus.MISSING, point, estimate.valid_ratio), hidden=doubt.hidden)
    if doubt.explained >= EXPLAINED_AMBIGUOUS:
        away_m = abs(doubt.near_m - estimate.depth_m)
        told = _wider(estimate, doubt.explained * away_m**2) if away_m <= SAME_PLACE_M else estimate
        return replace(told, status=DepthStatus.AMBIGUOUS, alternate_depth_m=doubt.near_m)
    if doubt.hidden >= HIDDEN_AMBIGUOUS or doubt.surrounded:
        wider = _wider(estimate, max(doubt.hidden, LEAST_HIDDEN) * HIDDEN_M**2)
        return replace(wider, status=DepthStatus.AMBIGUOUS, hidden=doubt.hidden)
    return estimate


def _wider(estimate: DepthEstimate, variance_m2: float) -> DepthEstimate:
    """Add a variance along z to the covariance."""
    return replace(estimate, covariance_uvz=estimate.covariance_uvz + np.diag([0.0, 0.0, variance_m2]))


def _surfaces(window: Window, sigma_z: float) -> list[_Surface]:
    """Find the significant surfaces from near to far: solid pixels cut at gaps in their sorted depths."""
    samples = window.samples
    valid = np.isfinite(samples.z)
    z, span = samples.z, samples.span
    if z.size > window.z.size:
        # Over a large error, a slope grows as z^2, and so do its steps between pixels and between sparse samples.
        steeper = np.maximum(1.0, (z / np.nanmedian(window.z)) ** 2)
        span = span / steeper
    solid = valid & (span <= max(FLYING_M, FLYING_SIGMAS * sigma_z))
    if np.count_nonzero(solid) < MIN_PIXELS:
        solid = valid
    depths = np.sort(z[solid])
    gaps = np.diff(depths)
    if z.size > window.z.size:
        gaps = gaps / np.maximum(1.0, (depths[1:] / np.nanmedian(window.z)) ** 2)
    cuts = np.flatnonzero(gaps > max(GAP_M, GAP_SIGMAS * sigma_z)) + 1
    groups = [group for group in np.split(depths, cuts) if group.size >= MIN_PIXELS]
    if not groups:
        return []
    # Dropped pixels that agree with a surface are its edge, and belong to it. For the shares, every
    # other pixel counts for the surface nearer in depth: a mixed pixel shows both surfaces, and
    # without it an object a few pixels wide would lose most of its weight.
    margin = 2.0 * sigma_z
    masks = [valid & (samples.z >= group[0] - margin) & (samples.z <= group[-1] + margin) for group in groups]
    borders = [(near[-1] + far[0]) / 2.0 for near, far in itertools.pairwise(groups)]
    owner = np.searchsorted(np.array(borders), samples.z[valid])
    shares = [
        np.bincount(owner, weights=weight[valid], minlength=len(groups)) / weight[valid].sum()
        for weight in (samples.weight, samples.likely)
    ]
    return [
        _Surface(mask, float(probability), float(np.median(group)))
        for mask, share, probability, group in zip(masks, *shares, groups, strict=True)
        if share >= SIGNIFICANT_SHARE
    ]


def _choose(surfaces: list[_Surface], window: Window, prefer: Surface) -> _Surface:
    if prefer is Surface.NEAR:
        return surfaces[0]
    if prefer is Surface.FAR:
        return surfaces[-1]
    distance = window.du**2 + window.dv**2
    return min(surfaces, key=lambda surface: float(distance[window.block(surface.mask)].min()))


def _measured(
    window: Window,
    kept: _Surface,
    alternate: _Surface | None,
    point: FloatArray,
    error_px2: FloatArray,
    valid_ratio: float,
    intrinsics: Intrinsics,
    noise: DepthNoise,
) -> DepthEstimate:
    """Compute depth and covariance of the kept surface at the point, snapped onto it if needed."""
    seen = window.block(kept.mask)
    offset = snap(window, seen)
    expected = float(noise.sigma_z(kept.depth_m, intrinsics.focal_px))
    depth, residual, averaged = local_depth(window, seen, offset, expected, intrinsics.focal_px)
    pixel_sigma = max(float(noise.sigma_z(depth, intrinsics.focal_px)), residual)
    sigma = math.hypot(pixel_sigma / math.sqrt(noise.independent(averaged, intrinsics.focal_px)), MIN_SIGMA_M)
    around = kept.mask | (np.abs(window.samples.z - depth) <= SAME_OBJECT_M)
    if alternate is not None and abs(alternate.depth_m - depth) <= SAME_PLACE_M:
        around |= alternate.mask
    covariance = spread_over_error(window, around, error_px2, offset, depth, pixel_sigma, noise.alignment_px)
    radius_px = SMOOTHED_AGAIN * noise.smoothing_px * noise.pixel_ratio(intrinsics.focal_px)
    smoothed = smoothing_error(window, offset, depth, radius_px, SAME_OBJECT_M) if radius_px else 0.0
    close = (window.du - offset[0]) ** 2 + (window.dv - offset[1]) ** 2 <= HOLE_RADIUS_PX**2
    lost = float(np.mean(np.isnan(window.z[close])))
    # Noise changes both, the depth and the smoothed depth, by about sigma.
    covariance[2, 2] += sigma**2 + SMOOTHING_VARIANCE * max(0.0, smoothed**2 - sigma**2)
    covariance[2, 2] += HOLE_VARIANCE * lost * pixel_sigma**2
    return DepthEstimate(
        status=DepthStatus.OK if alternate is None else DepthStatus.AMBIGUOUS,
        depth_m=depth,
        sigma_m=sigma,
        uv=point + offset,
        shift_px=float(np.hypot(*offset)),
        alternate_depth_m=math.nan if alternate is None else alternate.depth_m,
        valid_ratio=valid_ratio,
        covariance_uvz=covariance,
    )


def _nothing(status: DepthStatus, point: FloatArray, valid_ratio: float) -> DepthEstimate:
    return DepthEstimate(status, math.nan, math.nan, point, math.nan, math.nan, valid_ratio, np.full((3, 3), np.nan))


def _checked(depth_m: DepthArray, uv: ArrayLike, intrinsics: Intrinsics, min_m: float, max_m: float) -> FloatArray:
    depth_m = np.asarray(depth_m)
    if depth_m.shape != intrinsics.size_wh[::-1] or not np.issubdtype(depth_m.dtype, np.floating):
        raise InputError(
            "depth_m must be float meters of the intrinsics' size",
            f"shape {depth_m.shape} {depth_m.dtype}, intrinsics {intrinsics.size_wh} (width, height)",
            "align the depth to the image and convert it with frame.decode_depth",
        )
    point = np.array(uv, dtype=np.float64)
    if point.shape != (2,) or not within_image(point, intrinsics.size_wh):
        raise InputError(
            "uv must be inside the image",
            f"uv={point.tolist()}, image {intrinsics.size_wh} (width, height)",
            "give u from -0.5 to width - 0.5 and v from -0.5 to height - 0.5",
        )
    if not 0 < min_m < max_m:
        raise InputError("The range of depths must be 0 < min_m < max_m", f"min_m={min_m}, max_m={max_m}", "give meters")
    return point
