"""Noise of a frame's depth: that of its camera, else an estimate from the planes in the frame itself.

Small square windows that are planar show the noise as residuals of a plane. Objects, edges and curved surfaces only ever
add to residuals, so the most frequent residual is the noise, not the mean one. A window spans a 31st of the image's
width: errors that are alike over more than that do not show in it, nor in the window of a lift.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from weakref import WeakKeyDictionary

import numpy as np

from molmo_point.arrays import DepthArray, FloatArray
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import D435, DepthNoise, NoiseSource

WINDOW_SHARE = 1 / 31
"""Side of a window, in widths of the image, or heights of one that is upright."""
_SIDE = 11
"""Samples along a side of a window."""
_GRID_WH = (26, 18)
"""Windows along the width and the height of the image."""
_MIN_VALID, _MIN_WINDOWS = 0.9, 8
_MAX_CURVED = 0.36
"""Share of the residual's energy that a quadratic surface may explain."""
_MAX_PEAK = 4.5
"""Largest residual, in standard deviations."""
_BAND = 0.2
"""Spread of the logarithm of residuals of one noise level."""
_GROWTHS = np.linspace(0.0, 2.0, 9)
_USUAL_GROWTH, _GROWTH_WEIGHT = 1.8, 0.1
_EXACT_M, _MIN_SIGMA_M, _MAX_SHARE = 1e-6, 5e-5, 0.03
"""Residual of exact depth, and limits of an estimate: in meters, and as a share of the depth."""

_known: "WeakKeyDictionary[RgbdFrame, DepthNoise]" = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class PlaneWindows:
    """Planar windows of a depth image.

    Attributes:
        depth_m: Mean depth (n,), in meters.
        residual_m: Standard deviation (n,) of the depth about a plane, in meters.
        likeness: Correlation (n,) of the residuals of samples that are `step_px` apart.
        step_px: Distance between neighboring samples, in pixels.
        exact_count: Number of further windows that are planar without any noise.
    """

    depth_m: FloatArray
    residual_m: FloatArray
    likeness: FloatArray
    step_px: int
    exact_count: int = 0


def noise_of(frame: RgbdFrame) -> DepthNoise:
    """Return the noise of a frame's depth: that of its camera if known, else an estimate; see `estimate_noise`.

    The estimate is made once for each frame.
    """
    if frame.depth_noise is not None:
        return frame.depth_noise
    if frame.depth_m is None:
        return _ASSUMED
    found = _known.get(frame)
    if found is None:
        whole = frame.intrinsics.cropped_from if frame.intrinsics is not None else None
        found = _known[frame] = estimate_noise(frame.depth_m, max(whole[2:]) if whole else None)
    return found


def estimate_noise(depth_m: DepthArray, width_px: float | None = None) -> DepthNoise:
    """Estimate the noise of a depth image from its planes.

    Args:
        depth_m: Depth (h, w) in meters; NaN where missing.
        width_px: Longer side of the whole image, for one that was cut from it.

    Returns:
        A model with the source ESTIMATED; that of a usual camera, with the source ASSUMED, if too few windows are planar,
        or most of them have no noise: in exact depth, only edges have residuals.
    """
    windows = plane_windows(depth_m, width_px)
    if windows.depth_m.size < max(_MIN_WINDOWS, windows.exact_count):
        return _ASSUMED
    middle_m = float(np.median(windows.depth_m))
    level, growth = _most_frequent(np.log(windows.residual_m), np.log(windows.depth_m / middle_m))
    sigma_m = max(math.exp(level), _MIN_SIGMA_M)
    if sigma_m > _MAX_SHARE * middle_m:
        return _ASSUMED
    likeness = float(np.clip(np.median(windows.likeness), 0.02, 0.98))
    correlation_px = windows.step_px / (2.0 * math.sqrt(-math.log(likeness)))
    return DepthNoise(
        correlation_px=correlation_px,
        polynomial_m=_polynomial(sigma_m, middle_m, growth),
        source=NoiseSource.ESTIMATED,
    )


def _polynomial(sigma_m: float, at_m: float, growth: float) -> tuple[float, float, float]:
    """Return a + b z + c z^2 with `sigma_m` at the depth `at_m`, growing there as a power of the depth."""
    low = min(int(growth), 1)
    shares = [0.0, 0.0, 0.0]
    shares[low], shares[low + 1] = low + 1 - growth, growth - low
    a, b, c = (sigma_m * share / at_m**power for power, share in enumerate(shares))
    return a, b, c


def _most_frequent(log_residual: FloatArray, log_depth: FloatArray) -> tuple[float, float]:
    """Return the most frequent level of log residuals at log depth 0, and the power by which they grow with depth."""
    best = (-math.inf, 0.0, 0.0)
    for growth in _GROWTHS:
        levels = log_residual - growth * log_depth
        start = float(levels.min())
        counts = np.bincount(((levels - start) / (0.25 * _BAND)).astype(np.int64)).astype(np.float64)
        dense = np.convolve(counts, _KERNEL, mode="same") if counts.size >= _KERNEL.size else np.convolve(counts, _KERNEL)[8:-8]
        at = int(np.argmax(dense))
        level = start + (at + 0.5) * 0.25 * _BAND
        near = np.abs(levels - level) < 1.5 * _BAND
        score = float(dense[at]) * (1.0 - _GROWTH_WEIGHT * (growth - _USUAL_GROWTH) ** 2)
        if score > best[0]:
            best = (score, float(np.mean(levels[near])), float(growth))
    return best[1], best[2]


def plane_windows(depth_m: DepthArray, width_px: float | None = None) -> PlaneWindows:
    """Find the windows of a depth image that are planar apart from noise.

    Args:
        depth_m: Depth (h, w) in meters; NaN where missing.
        width_px: Longer side of the whole image, for one that was cut from it.
    """
    height, width = depth_m.shape
    step = max(1, round((width_px or max(width, height)) * WINDOW_SHARE / (_SIDE - 1)))
    side = step * (_SIDE - 1) + 1
    rows, columns = (
        np.unique(np.linspace(0, max(size - side, 0), count).astype(np.int64))
        for size, count in ((height, _GRID_WH[1]), (width, _GRID_WH[0]))
    )
    empty = np.zeros(0)
    if side > min(height, width):
        return PlaneWindows(empty, empty, empty, step)
    offset = (np.arange(_SIDE) * step)[:, None] * width + (np.arange(_SIDE) * step)
    corners = (rows[:, None] * width + columns).ravel()
    z = depth_m.ravel()[corners[:, None] + offset.ravel()].astype(np.float64)
    seen = np.isfinite(z)
    z, seen = (values[seen.mean(axis=1) >= _MIN_VALID] for values in (z, seen))
    if not len(z):
        return PlaneWindows(empty, empty, empty, step)
    middle_m = np.nanmean(z, axis=1)
    # In inverse depth a plane is linear. Missing samples take the value of the surface that fits the others.
    inverse = np.where(seen, 1.0 / np.where(seen, z, 1.0), 0.0)
    basis = _quadratics()
    fit = np.full_like(inverse, 0.0) + (1.0 / middle_m)[:, None]
    for _ in range(3):
        filled = np.where(seen, inverse, fit)
        weights = filled @ basis
        fit = weights[:, :3] @ basis[:, :3].T
    residual = np.where(seen, inverse - fit, 0.0)
    energy = np.sum(residual**2, axis=1)
    count = seen.sum(axis=1) - 3
    sigma = np.sqrt(energy / count)
    curved = np.sum(weights[:, 3:] ** 2, axis=1)
    residual_m = sigma * middle_m**2
    # Depth without any noise was computed or filled in.
    exact = residual_m <= _EXACT_M
    planar = ~exact & (curved <= _MAX_CURVED * energy) & (np.abs(residual).max(axis=1) <= _MAX_PEAK * sigma)
    grid = residual.reshape(-1, _SIDE, _SIDE)
    shifted = np.sum(grid[:, 1:] * grid[:, :-1], axis=(1, 2)) + np.sum(grid[:, :, 1:] * grid[:, :, :-1], axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        likeness = shifted / (2.0 * energy) * (_SIDE / (_SIDE - 1))
    alike = np.nan_to_num(likeness[planar])
    return PlaneWindows(middle_m[planar], residual_m[planar], alike, step, int(np.count_nonzero(exact)))


@lru_cache(maxsize=1)
def _quadratics() -> FloatArray:
    """Return orthonormal polynomials (samples, 6) of a window: constant, two slopes, three curvatures."""
    v, u = (part.ravel() for part in np.mgrid[-1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j])
    return np.linalg.qr(np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=1))[0]


_ASSUMED = replace(D435, camera="", source=NoiseSource.ASSUMED)
_KERNEL = np.exp(-0.5 * (np.arange(-8, 9) * 0.25) ** 2)
