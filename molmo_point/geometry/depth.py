"""Depth at a point: the nearest significant surface around it, or the reason why there is none.

A pixel's own depth is a hole, a mixture of two surfaces, or the wall behind a thin object often
enough to crash a gripper, and a median over a window takes whichever surface is larger. So:

1. take a window of a fixed size in metres around the point;
2. drop pixels without depth and "flying" pixels, whose neighbourhood spans a depth step;
3. cut the rest into surfaces wherever the sorted depths leave a gap;
4. weight each pixel by how probable it is that the true point lies there (a Gaussian of the
   point's own error, with longer tails since objects stand in front), and take the nearest surface
   that holds enough of that weight;
5. fit the surface locally, and answer with its depth at the point, the spread of its depth over
   the point's error, and the depth of the other surface where one is plausible too.

Depth is along z, in metres, aligned to the image that the point is in; missing is NaN.
"""

import itertools
import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.uncertainty import D435, DepthNoise

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

PREFERENCES = ("near", "far", "centre")

WINDOW_RADIUS_M = 0.012
MIN_RADIUS_PX, MAX_RADIUS_PX = 3, 15
MIN_SIGMA_PX = 1.5
TAIL = 1.5
FLYING_M, FLYING_SIGMAS = 0.008, 5.0
GAP_M, GAP_SIGMAS = 0.010, 4.0
SIGNIFICANT_SHARE = 0.15
MIN_VALID_SHARE = 0.15
MIN_PIXELS = 4


class DepthStatus(str, Enum):
    """What is known about the depth at a point."""

    OK = "OK"
    MISSING = "MISSING"
    AMBIGUOUS = "AMBIGUOUS"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    STALE = "STALE"
    NO_INPUT = "NO_INPUT"


@dataclass(frozen=True, eq=False)
class DepthEstimate:
    """Depth of the surface at a point.

    Attributes:
        status: OK, AMBIGUOUS (another surface is plausible too), MISSING or OUT_OF_RANGE.
        depth_m: Depth along z at `uv`, in metres; NaN when MISSING or OUT_OF_RANGE.
        sigma_m: Standard deviation of `depth_m` by sensor noise, in metres; NaN likewise.
        uv: The pixel (2,) that the depth belongs to: the one asked for, or, where that one shows
            something else, the nearest on the kept surface.
        shift_px: Distance from the pixel asked for to `uv`; NaN likewise.
        alternate_depth_m: Depth of the other plausible surface in metres; NaN when there is none.
        valid_ratio: Share of the window, weighted by nearness, that has depth within the range.
        scatter_m2: Covariance (3, 3) in the optical frame, in square metres, that comes from the
            surface's relief within the point's own error; NaN likewise.
    """

    status: DepthStatus
    depth_m: float
    sigma_m: float
    uv: FloatArray
    shift_px: float
    alternate_depth_m: float
    valid_ratio: float
    scatter_m2: FloatArray


@dataclass(frozen=True, eq=False)
class _Window:
    """The pixels around a point.

    z (n, m) holds depth, NaN where missing or out of range; span the range of depth among each
    pixel and its neighbours, large where two surfaces mix ("flying" pixels); du, dv are offsets from the point in
    pixels; likely is proportional to the probability that the true point lies there; weight is the
    same with longer tails and sums to 1.
    """

    z: FloatArray
    span: FloatArray
    du: FloatArray
    dv: FloatArray
    likely: FloatArray
    weight: FloatArray
    centre: tuple[int, int]


@dataclass(frozen=True, eq=False)
class _Surface:
    """One cluster of depth: its pixels, the probability that it is the one meant, typical depth."""

    mask: BoolArray
    probability: float
    depth_m: float


def estimate_depth(
    depth_m: NDArray[np.float32],
    uv: ArrayLike,
    intrinsics: Intrinsics,
    noise: DepthNoise = D435,
    *,
    sigma_px: float = 3.0,
    prefer: str = "near",
    min_m: float = 0.1,
    max_m: float = 10.0,
) -> DepthEstimate:
    """Depth of the nearest significant surface at a pixel.

    Args:
        depth_m: Depth (h, w) in metres, aligned to the image; NaN where missing.
        uv: Pixel (2,); (0, 0) is the centre of the top-left pixel.
        intrinsics: Of the image that the depth is aligned to.
        noise: Of the depth camera.
        sigma_px: Standard deviation of u and of v, in pixels.
        prefer: Which significant surface to keep: "near", "far", or "centre" (the one at the
            pixel itself).
        min_m: Nearest depth to believe, in metres.
        max_m: Farthest depth to believe, in metres.

    Raises:
        InputError: If the pixel is outside the image, the sizes differ, or a setting is unusable.
    """
    point = _checked(depth_m, uv, intrinsics, sigma_px, prefer, min_m, max_m)
    finite, window = _window(depth_m, point, intrinsics, sigma_px, min_m, max_m)
    valid = np.isfinite(window.z)
    valid_ratio = float(window.weight[valid].sum())
    if valid_ratio < MIN_VALID_SHARE or np.count_nonzero(valid) < MIN_PIXELS:
        seen = float(window.weight[finite].sum())
        out = seen >= MIN_VALID_SHARE and seen > 2.0 * valid_ratio
        return _nothing(DepthStatus.OUT_OF_RANGE if out else DepthStatus.MISSING, point, valid_ratio)
    sigma_z = float(noise.sigma_z(float(np.median(window.z[valid])), intrinsics.focal_px))
    solid = valid & (window.span <= max(FLYING_M, FLYING_SIGMAS * sigma_z))
    if np.count_nonzero(solid) < MIN_PIXELS:
        solid = valid
    surfaces = _surfaces(window, solid, valid, max(GAP_M, GAP_SIGMAS * sigma_z), sigma_z)
    if not surfaces:
        return _nothing(DepthStatus.MISSING, point, valid_ratio)
    kept = _choose(surfaces, window, prefer)
    alternate = _alternate(surfaces, kept)
    return _measured(window, kept, alternate, point, valid_ratio, intrinsics, noise)


def _window(
    depth_m: NDArray[np.float32],
    point: FloatArray,
    intrinsics: Intrinsics,
    sigma_px: float,
    min_m: float,
    max_m: float,
) -> tuple[BoolArray, _Window]:
    """The window around a point, and which of its pixels have any depth at all."""
    height, width = depth_m.shape
    column = min(max(math.floor(point[0] + 0.5), 0), width - 1)
    row = min(max(math.floor(point[1] + 0.5), 0), height - 1)
    near_m = _near_depth(depth_m[_around(row, column, MAX_RADIUS_PX)], min_m, max_m)
    # Scaled by the nearer part of the window, so that a thin object in front is not cut small.
    radius_px = max(intrinsics.focal_px * WINDOW_RADIUS_M / near_m, 2.0 * sigma_px)
    radius = int(min(max(round(radius_px), MIN_RADIUS_PX), MAX_RADIUS_PX))
    rows, columns = _around(row, column, radius)
    wide = depth_m[_around(row, column, radius + 1)].astype(np.float64)
    finite = np.isfinite(wide) & (wide > 0)
    wide[~((wide >= min_m) & (wide <= max_m))] = np.nan
    # One pixel wider than the window, so that its border is judged by its neighbours, too.
    top, left = rows.start, columns.start
    row_end, column_end = min(rows.stop, height), min(columns.stop, width)
    first_row, first_column = min(top, 1), min(left, 1)
    inner = np.s_[first_row : first_row + row_end - top, first_column : first_column + column_end - left]
    z, span, finite = wide[inner], _span(wide)[inner], finite[inner]
    du = np.arange(left, left + z.shape[1])[None, :] - point[0]
    dv = np.arange(top, top + z.shape[0])[:, None] - point[1]
    squared = (du**2 + dv**2) / max(sigma_px, MIN_SIGMA_PX) ** 2
    likely, weight = np.exp(-0.5 * squared), np.exp(-0.5 * squared / TAIL**2)
    du, dv = np.broadcast_arrays(du, dv)
    return finite, _Window(z, span, du, dv, likely, weight / weight.sum(), (row - top, column - left))


def _around(row: int, column: int, radius: int) -> tuple[slice, slice]:
    return slice(max(row - radius, 0), row + radius + 1), slice(max(column - radius, 0), column + radius + 1)


def _near_depth(depth_m: NDArray[np.float32], min_m: float, max_m: float) -> float:
    """The 20th percentile of the depths in range; infinite without any."""
    usable = depth_m[(depth_m >= min_m) & (depth_m <= max_m)]
    if not usable.size:
        return math.inf
    rank = usable.size // 5
    return float(np.partition(usable, rank)[rank])


def _span(z: FloatArray) -> FloatArray:
    """Range of depth over each pixel's 3x3 neighbourhood, holes left out; -inf with no depth at all."""
    padded = np.pad(z, 1, constant_values=np.nan)
    low, high = np.where(np.isnan(padded), np.inf, padded), np.where(np.isnan(padded), -np.inf, padded)
    low = np.minimum(np.minimum(low[:-2], low[1:-1]), low[2:])
    low = np.minimum(np.minimum(low[:, :-2], low[:, 1:-1]), low[:, 2:])
    high = np.maximum(np.maximum(high[:-2], high[1:-1]), high[2:])
    high = np.maximum(np.maximum(high[:, :-2], high[:, 1:-1]), high[:, 2:])
    return high - low


def _surfaces(window: _Window, solid: BoolArray, valid: BoolArray, gap_m: float, sigma_z: float) -> list[_Surface]:
    """Significant surfaces from near to far: solid pixels cut at gaps in their sorted depths."""
    depths = np.sort(window.z[solid])
    cuts = np.flatnonzero(np.diff(depths) > gap_m) + 1
    groups = [group for group in np.split(depths, cuts) if group.size >= MIN_PIXELS]
    if not groups:
        return []
    # Dropped pixels that agree with a surface after all are its edge, and belong to it. For the
    # shares the rest goes to the surface nearer in depth: a mixed pixel shows some of both, and
    # without it an object a few pixels wide would lose most of its weight.
    margin = 2.0 * sigma_z
    masks = [valid & (window.z >= group[0] - margin) & (window.z <= group[-1] + margin) for group in groups]
    borders = [(near[-1] + far[0]) / 2.0 for near, far in itertools.pairwise(groups)]
    owner = np.searchsorted(np.array(borders), window.z[valid])
    shares = [
        np.bincount(owner, weights=weight[valid], minlength=len(groups)) / weight[valid].sum()
        for weight in (window.weight, window.likely)
    ]
    return [
        _Surface(mask, float(probability), float(np.median(group)))
        for mask, share, probability, group in zip(masks, *shares, groups, strict=True)
        if share >= SIGNIFICANT_SHARE
    ]


def _choose(surfaces: list[_Surface], window: _Window, prefer: str) -> _Surface:
    if prefer == "near":
        return surfaces[0]
    if prefer == "far":
        return surfaces[-1]
    distance = window.du**2 + window.dv**2
    return min(surfaces, key=lambda surface: float(distance[surface.mask].min()))


def _alternate(surfaces: list[_Surface], kept: _Surface) -> _Surface | None:
    others = [surface for surface in surfaces if surface is not kept and surface.probability >= SIGNIFICANT_SHARE]
    return max(others, key=lambda surface: surface.probability) if others else None


def _measured(
    window: _Window,
    kept: _Surface,
    alternate: _Surface | None,
    point: FloatArray,
    valid_ratio: float,
    intrinsics: Intrinsics,
    noise: DepthNoise,
) -> DepthEstimate:
    """Depth, sigma and scatter of the kept surface at the point, snapped onto it where needed."""
    offset = _snap(window, kept.mask)
    depth, residual = _local_depth(window, kept.mask, offset)
    sigma_z = float(noise.sigma_z(depth, intrinsics.focal_px))
    sigma = max(sigma_z, residual)
    relief = np.average((window.z[kept.mask] - depth) ** 2, weights=window.likely[kept.mask] + 1e-12)
    uv = point + offset
    ray = intrinsics.deproject(uv, 1.0)
    return DepthEstimate(
        status=DepthStatus.OK if alternate is None else DepthStatus.AMBIGUOUS,
        depth_m=depth,
        sigma_m=sigma,
        uv=uv,
        shift_px=float(np.hypot(*offset)),
        alternate_depth_m=math.nan if alternate is None else alternate.depth_m,
        valid_ratio=valid_ratio,
        scatter_m2=max(0.0, float(relief) - sigma**2) * np.outer(ray, ray),
    )


def _snap(window: _Window, mask: BoolArray) -> FloatArray:
    """Offset (2,) in pixels from the point to the kept surface; zero where the point is on it."""
    row, column = window.centre
    if mask[row, column]:
        return np.zeros(2)
    if np.isnan(window.z[row, column]):
        # A hole inside the surface: interpolating over it is better than moving off it.
        sides = mask[:row].any() and mask[row + 1 :].any()
        if sides and mask[:, :column].any() and mask[:, column + 1 :].any():
            return np.zeros(2)
    distance = np.where(mask, window.du**2 + window.dv**2, np.inf)
    nearest = np.unravel_index(int(np.argmin(distance)), mask.shape)
    return np.array([window.du[nearest], window.dv[nearest]])


def _local_depth(window: _Window, mask: BoolArray, offset: FloatArray) -> tuple[float, float]:
    """Depth of a surface at an offset from the point, and the robust spread around the fit.

    Fits 1/z = a + b u + c v, which is exact for a plane, twice: the second time without the
    pixels that the first fit leaves far off.
    """
    u, v, inverse = window.du[mask] - offset[0], window.dv[mask] - offset[1], 1.0 / window.z[mask]
    design = np.stack([np.ones_like(u), u, v], axis=1)
    spread = 0.25 * (np.ptp(window.du) + 1.0)
    weight = np.exp(-0.25 * (u**2 + v**2) / spread**2)
    fit, deviation = np.array([np.median(inverse), 0.0, 0.0]), np.zeros_like(inverse)
    for _ in range(2):
        # A light pull of the slopes towards zero keeps a one-pixel-wide surface well-posed.
        scaled = design * weight[:, None]
        normal = scaled.T @ scaled + np.diag([0.0, 1e-3, 1e-3]) * np.sum(weight**2)
        fit = np.linalg.solve(normal, scaled.T @ (inverse * weight))
        deviation = np.abs(inverse - design @ fit)
        weight = weight * (deviation <= 3.0 * 1.4826 * np.median(deviation) + 1e-9)
    inverse_depth = float(np.clip(fit[0], inverse.min(), inverse.max()))
    return 1.0 / inverse_depth, 1.4826 * float(np.median(deviation)) / inverse_depth**2


def _nothing(status: DepthStatus, point: FloatArray, valid_ratio: float) -> DepthEstimate:
    return DepthEstimate(
        status=status,
        depth_m=math.nan,
        sigma_m=math.nan,
        uv=point,
        shift_px=math.nan,
        alternate_depth_m=math.nan,
        valid_ratio=valid_ratio,
        scatter_m2=np.full((3, 3), np.nan),
    )


def _checked(
    depth_m: NDArray[np.float32],
    uv: ArrayLike,
    intrinsics: Intrinsics,
    sigma_px: float,
    prefer: str,
    min_m: float,
    max_m: float,
) -> FloatArray:
    depth_m = np.asarray(depth_m)
    if depth_m.shape != intrinsics.size_wh[::-1] or not np.issubdtype(depth_m.dtype, np.floating):
        raise InputError(
            "The depth must be float metres of the intrinsics' size",
            f"shape {depth_m.shape} {depth_m.dtype}, intrinsics {intrinsics.size_wh} (width, height)",
            "align the depth to the image and convert it with frame.decode_depth",
        )
    point = np.array(uv, dtype=np.float64)
    limits = np.array(intrinsics.size_wh) - 0.5
    if point.shape != (2,) or not (np.all(point >= -0.5) and np.all(point <= limits)):
        raise InputError(
            "The pixel is not inside the image",
            f"uv={point.tolist()}, image {intrinsics.size_wh} (width, height)",
            "give u from -0.5 to width - 0.5 and v from -0.5 to height - 0.5",
        )
    if prefer not in PREFERENCES:
        raise InputError("The preference is unknown", repr(prefer), f"use one of {', '.join(PREFERENCES)}")
    if not (math.isfinite(sigma_px) and sigma_px >= 0 and 0 < min_m < max_m):
        raise InputError(
            "The settings of the depth estimate cannot be used",
            f"sigma_px={sigma_px}, min_m={min_m}, max_m={max_m}",
            "give a sigma that is not negative, and 0 < min_m < max_m in metres",
        )
    return point
