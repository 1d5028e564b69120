"""Depth pixels around a point, with the probability of each, and the fit of one surface among them."""

import itertools
import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import BoolArray, DepthArray, FloatArray
from molmo_point.geometry.intrinsics import within_image

_Value = TypeVar("_Value", bound=np.generic)

WINDOW_RADIUS_M = 0.012
NEIGHBORHOOD_M = 0.006
FIT_RADIUS_M = 0.002
MIN_RADIUS_PX, MAX_RADIUS_PX = 3, 15
WINDOW_SIGMAS, MAX_SIGMA_RADIUS_PX = 3.0, 40
MIN_SIGMA_PX = 1.5
TAIL = 1.5


SAMPLES = 1024
"""Places beyond the window that stand for an error larger than the window. Their number does not grow with the error."""
_R2 = 1.0 / 1.32471795724474602596 ** np.array([1.0, 2.0])
"""Steps of the R2 sequence: its projections on every direction are even, so that no slope falls between two rows."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Places where the true point may be, flat (k,): the pixels of the window row by row, then single pixels beyond it.

    Attributes:
        z: Depth in meters, NaN where missing or out of range.
        span: Range of depth in meters among each pixel and its eight neighbors; large where two surfaces mix.
        du: Offsets from the point along u, in pixels.
        dv: Offsets from the point along v, in pixels.
        area: Square pixels that the sample stands for: 1 within the window.
        likely: Density of the true point times the area, not normalized.
        weight: As `likely`, with longer tails, since objects stand in front; sums to 1.
    """

    z: FloatArray
    span: FloatArray
    du: FloatArray
    dv: FloatArray
    area: FloatArray
    likely: FloatArray
    weight: FloatArray


@dataclass(frozen=True, eq=False)
class Window:
    """Pixels around a point, (n, m), and samples of the rest of its error.

    Attributes:
        samples: The pixels of the window, and samples beyond it if the point's error is larger.
        shape: Rows n and columns m of the window.
        measured: True (n, m) for pixels with any depth, in range or not.
        near: Weight (n, m) by nearness to the point, over at least a few millimeters; sums to 1.
        center: Row and column of the point's own pixel.
        reach_px: Radius of the surface fit around the point, in pixels.
        cut: True if the image's border cuts the point's error.
    """

    samples: Samples
    shape: tuple[int, int]
    measured: BoolArray
    near: FloatArray
    center: tuple[int, int]
    reach_px: float
    cut: bool

    def block(self, values: NDArray[_Value]) -> NDArray[_Value]:
        """Return the part of values (k,) of samples that belongs to the window, as (n, m)."""
        return values[: self.shape[0] * self.shape[1]].reshape(self.shape)

    @property
    def z(self) -> FloatArray:
        """Depth (n, m) in meters, NaN where missing or out of range."""
        return self.block(self.samples.z)

    @property
    def du(self) -> FloatArray:
        """Offsets (n, m) from the point along u, in pixels."""
        return self.block(self.samples.du)

    @property
    def dv(self) -> FloatArray:
        """Offsets (n, m) from the point along v, in pixels."""
        return self.block(self.samples.dv)


def cut_window(
    depth_m: DepthArray, point: FloatArray, covariance_px2: FloatArray, focal_px: float, min_m: float, max_m: float
) -> Window:
    """Cut the window around a point out of a depth image.

    Args:
        depth_m: Depth (h, w) in meters; NaN where missing.
        point: Pixel (2,) inside the image.
        covariance_px2: Covariance (2, 2) of the point, in square pixels.
        focal_px: Focal length of the image, in pixels.
        min_m: Smallest valid depth, in meters.
        max_m: Largest valid depth, in meters.
    """
    height, width = depth_m.shape
    column = min(max(math.floor(point[0] + 0.5), 0), width - 1)
    row = min(max(math.floor(point[1] + 0.5), 0), height - 1)
    near_m = _near_depth(depth_m[_around(row, column, MAX_RADIUS_PX)], min_m, max_m)
    radius = _radius(covariance_px2, focal_px / near_m)
    rows, columns = _around(row, column, radius)
    # One pixel wider than the window, so that the border pixels have all their neighbors.
    wide = depth_m[_around(row, column, radius + 1)].astype(np.float64)
    measured = np.isfinite(wide) & (wide > 0)
    wide[~((wide >= min_m) & (wide <= max_m))] = np.nan
    top, left = rows.start, columns.start
    first_row, first_column = min(top, 1), min(left, 1)
    inner = np.s_[
        first_row : first_row + min(rows.stop, height) - top, first_column : first_column + min(columns.stop, width) - left
    ]
    z, span = wide[inner], _span(wide)[inner]
    du = np.arange(left, left + z.shape[1])[None, :] - point[0]
    dv = np.arange(top, top + z.shape[0])[:, None] - point[1]
    around_px = float(np.clip(focal_px * NEIGHBORHOOD_M / near_m, MIN_RADIUS_PX, MAX_RADIUS_PX / 2))
    near = np.exp(-0.5 * mahalanobis2(du, dv, _at_least(covariance_px2, around_px / 1.5)) / 1.5**2)
    error_px2 = _at_least(covariance_px2, MIN_SIGMA_PX)
    squared = mahalanobis2(du, dv, error_px2)
    du, dv = np.broadcast_arrays(du, dv)
    reach = WINDOW_SIGMAS * np.sqrt(np.diag(covariance_px2))
    parts = [(z, span, du, dv, np.ones_like(z), np.exp(-0.5 * squared), np.exp(-0.5 * squared / TAIL**2))]
    parts += [_beyond(depth_m, point, error_px2, (rows, columns), min_m, max_m)] if reach.max() > radius else []
    z, span, du, dv, area, likely, weight = (np.concatenate([part.ravel() for part in same]) for same in zip(*parts, strict=True))
    return Window(
        samples=Samples(z, span, du, dv, area, likely, weight / weight.sum()),
        shape=near.shape,
        measured=measured[inner],
        near=near / near.sum(),
        center=(row - top, column - left),
        reach_px=float(np.clip(focal_px * FIT_RADIUS_M / near_m, 1.5, MAX_RADIUS_PX / 2)),
        cut=not within_image([point - reach, point + reach], (width, height)).all(),
    )


def _beyond(
    depth_m: DepthArray,
    point: FloatArray,
    error_px2: FloatArray,
    window: tuple[slice, slice],
    min_m: float,
    max_m: float,
) -> tuple[FloatArray, ...]:
    """Sample the point's error beyond the window; returns the attributes of `Samples`, each (k,)."""
    height, width = depth_m.shape
    even = (0.5 + np.arange(1, SAMPLES + 1)[:, None] * _R2) % 1.0
    reach = WINDOW_SIGMAS * np.sqrt(np.diag(error_px2))
    low, high = np.maximum(point - reach, -0.5), np.minimum(point + reach, [width - 0.5, height - 0.5])
    root = np.linalg.cholesky(error_px2) * 2.0 * WINDOW_SIGMAS
    box, slanted = float(np.prod(high - low)), float(np.prod(np.diag(root)))
    # A long and slanted error fills little of its box.
    places = low + even * (high - low) if box <= slanted else point + (even - 0.5) @ root.T
    columns, rows = np.floor(places + 0.5).astype(np.int64).T
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    seen = (rows >= window[0].start) & (rows < window[0].stop) & (columns >= window[1].start) & (columns < window[1].stop)
    rows, columns = rows[inside & ~seen], columns[inside & ~seen]
    z, low, high = np.full(rows.size, np.nan), np.full(rows.size, np.inf), np.full(rows.size, -np.inf)
    for down, right in itertools.product((-1, 1, 0), repeat=2):
        seen = depth_m[np.clip(rows + down, 0, height - 1), np.clip(columns + right, 0, width - 1)].astype(np.float64)
        z = np.where((seen >= min_m) & (seen <= max_m), seen, np.nan)
        low, high = np.fmin(low, z), np.fmax(high, z)
    du, dv = columns - point[0], rows - point[1]
    squared = mahalanobis2(du, dv, error_px2)
    area = np.full_like(squared, min(box, slanted) / SAMPLES)
    return z, high - low, du, dv, area, area * np.exp(-0.5 * squared), area * np.exp(-0.5 * squared / TAIL**2)


def mahalanobis2(du: FloatArray, dv: FloatArray, covariance_px2: FloatArray) -> FloatArray:
    """Return the squared Mahalanobis distances of offsets (broadcast) for a nonsingular covariance (2, 2)."""
    (a, b), (_, d) = covariance_px2
    return (d * du**2 - 2.0 * b * (du * dv) + a * dv**2) / (a * d - b * b)


def _at_least(covariance_px2: FloatArray, sigma_px: float) -> FloatArray:
    """Enlarge a covariance to a standard deviation of at least `sigma_px` in every direction."""
    if covariance_px2[0, 1] == 0.0:
        return np.diag(np.maximum(np.diag(covariance_px2), sigma_px**2))
    values, vectors = np.linalg.eigh(covariance_px2)
    return vectors @ np.diag(np.maximum(values, sigma_px**2)) @ vectors.T


def _radius(covariance_px2: FloatArray, pixels_per_m: float) -> int:
    """Compute the window's radius: fixed in meters, with room for the point's own error."""
    sigma_px = math.sqrt(max(covariance_px2[0, 0], covariance_px2[1, 1]))
    metric = min(max(round(pixels_per_m * WINDOW_RADIUS_M), MIN_RADIUS_PX), MAX_RADIUS_PX)
    return max(metric, min(math.ceil(WINDOW_SIGMAS * sigma_px), MAX_SIGMA_RADIUS_PX))


def _around(row: int, column: int, radius: int) -> tuple[slice, slice]:
    return slice(max(row - radius, 0), row + radius + 1), slice(max(column - radius, 0), column + radius + 1)


def _near_depth(depth_m: DepthArray, min_m: float, max_m: float) -> float:
    """Return the 20th percentile of the depths in range; infinite without any.

    A low percentile keeps the window large enough for a thin object in front.
    """
    usable = depth_m[(depth_m >= min_m) & (depth_m <= max_m)]
    if not usable.size:
        return math.inf
    rank = usable.size // 5
    return float(np.partition(usable, rank)[rank])


def _span(z: FloatArray) -> FloatArray:
    """Compute the range of depth over each pixel's 3x3 neighborhood without holes; -inf with no depth at all."""
    padded = np.pad(z, 1, constant_values=np.nan)
    low, high = np.where(np.isnan(padded), np.inf, padded), np.where(np.isnan(padded), -np.inf, padded)
    low = np.minimum(np.minimum(low[:-2], low[1:-1]), low[2:])
    low = np.minimum(np.minimum(low[:, :-2], low[:, 1:-1]), low[:, 2:])
    high = np.maximum(np.maximum(high[:-2], high[1:-1]), high[2:])
    high = np.maximum(np.maximum(high[:, :-2], high[:, 1:-1]), high[:, 2:])
    return high - low


_LEAST_SIGMA_PX = 0.3
STANDS_UP_M, NEARER_WEIGHT, RELIEF_VARIANCE = 0.004, 8.0, 1.5
"""Height above the slope of the answer from which a sample counts more in the relief, how much more, and the variance of
the true depth over the relief."""
STEEPEST = 1.0
"""Steepest slope dz/dx between neighboring pixels of one face in the fit."""


def snap(window: Window, mask: BoolArray) -> FloatArray:
    """Return the offset (2,) in pixels from the point to a surface; zero if the point is on it.

    A hole inside the surface counts as surface: interpolation over it is better than a move to its edge.
    """
    row, column = window.center
    if mask[row, column]:
        return np.zeros(2)
    if np.isnan(window.z[row, column]):
        sides = mask[:row].any() and mask[row + 1 :].any()
        if sides and mask[:, :column].any() and mask[:, column + 1 :].any():
            return np.zeros(2)
    distance = np.where(mask, window.du**2 + window.dv**2, np.inf)
    nearest = np.unravel_index(int(np.argmin(distance)), mask.shape)
    return np.array([window.du[nearest], window.dv[nearest]])


def local_depth(
    window: Window, mask: BoolArray, offset: FloatArray, pixel_sigma_m: float, focal_px: float
) -> tuple[float, float, float]:
    """Estimate the depth of a surface at an offset from the point.

    The model 1/z = a + b u + c v is exact for a plane. It is fitted to the pixels that can form one face with the nearest
    pixels, and fitted again without the outliers of the first fit.

    Args:
        window: The pixels around the point.
        mask: Pixels (n, m) of the surface.
        offset: Offset (2,) from the point, in pixels.
        pixel_sigma_m: Standard deviation of single pixels by the camera's noise model, in meters.
        focal_px: Focal length of the image, in pixels.

    Returns:
        The depth in meters; the robust spread of single pixels around the fit, in meters; and the effective number of
        pixels in the average.
    """
    u, v, inverse = window.du[mask] - offset[0], window.dv[mask] - offset[1], 1.0 / window.z[mask]
    squared = u**2 + v**2
    # At the edge of a surface that is mostly missing, the reach must grow until it holds enough pixels.
    nearest = np.argpartition(squared, min(8, squared.size - 1))[:9]
    reach2 = max(window.reach_px**2, float(squared[nearest].max()))
    within = squared <= 16.0 * reach2
    nearest = np.cumsum(within)[nearest] - 1
    u, v, inverse, squared = u[within], v[within], inverse[within], squared[within]
    weight = np.exp(-0.25 * squared / reach2)
    typical = float(np.median(inverse[nearest]))
    noise = pixel_sigma_m * typical**2
    weight = weight * (np.abs(inverse - typical) <= 3.0 * noise + STEEPEST * typical / focal_px * np.sqrt(squared))
    design = np.stack([np.ones_like(u), u, v], axis=1)
    fit, deviation, variance = np.array([typical, 0.0, 0.0]), np.zeros_like(inverse), 1.0
    for _ in range(2):
        close = weight > 0.3
        scaled = design * weight[:, None]
        # A light pull of the slopes toward zero keeps a one-pixel-wide surface well-posed.
        normal = scaled.T @ scaled + np.diag([0.0, 1e-3, 1e-3]) * np.sum(weight**2)
        gain = np.linalg.solve(normal, (scaled * weight[:, None]).T)
        fit = gain @ inverse
        variance = float(np.sum(gain[0] ** 2))
        deviation = np.abs(inverse - design @ fit)
        weight = weight * (deviation <= 3.0 * max(noise, 1.4826 * float(np.median(deviation[close]))) + 1e-9)
    inverse_depth = float(np.clip(fit[0], inverse.min(), inverse.max()))
    spread = 1.4826 * float(np.median(deviation[close]))
    return 1.0 / inverse_depth, spread / inverse_depth**2, 1.0 / variance


def smoothing_error(window: Window, offset: FloatArray, depth_m: float, radius_px: float, reach_m: float) -> float:
    """Estimate by how much smoothing has changed the depth at an offset from the point, in meters.

    A camera that matches windows smooths shapes. To smooth once more changes the depth by about as much.

    Args:
        window: The pixels around the point.
        offset: Offset (2,) from the point, in pixels.
        depth_m: Depth there, in meters.
        radius_px: Standard deviation of the smoothing, in pixels.
        reach_m: Largest difference in depth between surfaces that are smoothed together, in meters.
    """
    with np.errstate(invalid="ignore"):
        alike = np.abs(window.z - depth_m) <= reach_m
    squared = (window.du[alike] - offset[0]) ** 2 + (window.dv[alike] - offset[1]) ** 2
    weight = np.exp(-0.5 * squared / radius_px**2)
    total = float(weight.sum())
    return abs(float(weight @ window.z[alike]) / total - depth_m) if total > 1e-9 else 0.0


def spread_over_error(
    window: Window,
    mask: BoolArray,
    covariance_px2: FloatArray,
    offset: FloatArray,
    depth_m: float,
    pixel_sigma_m: float,
    alignment_px: float = 0.0,
) -> FloatArray:
    """Compute the covariance (3, 3) of u, v (pixels) and depth (meters) of the true point on a surface.

    The true point is distributed by the point's error, restricted to this surface. The covariance therefore follows the
    slope of the surface and ends at its edges. The noise of single pixels is subtracted. The surface may be shifted
    by `alignment_px` against the color image, which softens its edges and is an error in depth on slopes.
    """
    shift_px2 = np.eye(2) * alignment_px**2
    seen_px2 = covariance_px2 + shift_px2
    if math.sqrt(max(seen_px2[0, 0], seen_px2[1, 1])) < _LEAST_SIGMA_PX:
        spread = np.zeros((3, 3))
        spread[:2, :2] = covariance_px2
        return spread
    floor = seen_px2 + np.eye(2) * 1e-6 * np.trace(seen_px2)
    samples = window.samples
    seen = np.stack([samples.du[mask], samples.dv[mask]])
    squared = mahalanobis2(seen[0], seen[1], floor)
    weight = np.exp(-0.5 * (squared - squared.min())) * samples.area[mask]
    weight /= weight.sum()
    # A pixel of depth is the true pixel plus the shift. Given the pixel of depth, the true one has the mean `gain @ seen`.
    gain = covariance_px2 @ np.linalg.inv(floor)
    true, away = gain @ seen - offset[:, None], np.vstack([seen - offset[:, None], samples.z[mask] - depth_m])
    by_pixel = (true * weight) @ true.T + gain @ shift_px2 + np.eye(2) * 1e-9
    within = (away[:2] * weight) @ away[:2].T + np.eye(2) * 1e-9
    slope = np.linalg.solve(within, (away[:2] * weight) @ away[2])
    # Objects are pointed at more often than what lies behind them.
    rest = away[2] - slope @ away[:2]
    favored = weight * np.where(rest < -max(STANDS_UP_M, 3.0 * pixel_sigma_m), NEARER_WEIGHT, 1.0)
    relief = RELIEF_VARIANCE * max(0.0, float(favored @ rest**2) / float(favored.sum()) - pixel_sigma_m**2)
    # Holes may be part of the surface: their share of the point's error is not cut at the surface's edge.
    hidden = float(samples.likely[np.isnan(samples.z)].sum() / samples.likely.sum())
    by_pixel = (1.0 - hidden) * by_pixel + hidden * (covariance_px2 + np.outer(offset, offset))
    if window.cut:
        by_pixel = by_pixel + _cut_away(samples, mask, covariance_px2)
        # Seen to one side only, a slope is exact in 1/z, in which a plane is straight.
        inverse = (away[:2] * weight) @ (1.0 / samples.z[mask] - 1.0 / depth_m)
        slope = np.linalg.solve(within, inverse) * -(depth_m**2)
    lean = np.vstack([np.eye(2), slope])
    spread = lean @ by_pixel @ lean.T
    spread[2, 2] += relief + float(slope @ shift_px2 @ slope)
    return spread


def _cut_away(samples: Samples, mask: BoolArray, covariance_px2: FloatArray) -> FloatArray:
    """Return the part (2, 2) of a pixel covariance that the image's border cuts from a surface.

    The surface goes on beyond the border, and so may the error: the whole of it, for a surface that fills the image.
    """
    share = samples.likely / samples.likely.sum()
    away = np.stack([samples.du, samples.dv])
    values, vectors = np.linalg.eigh(covariance_px2 - (away * share) @ away.T)
    return float(share[mask].sum()) * (vectors * np.maximum(values, 0.0)) @ vectors.T
