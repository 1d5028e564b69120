"""What a surface in a window is at the point: its depth, the noise of that, and its spread over the point's error."""

import math

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.depth.window import Window, mahalanobis2

_LEAST_SIGMA_PX = 0.3
STEEPEST = 1.0
"""Slope dz/dx of a face up to which its neighbouring pixels belong together in the fit."""


def snap(window: Window, mask: BoolArray) -> FloatArray:
    """Offset (2,) in pixels from the point to a surface; zero where the point is on it.

    A hole inside the surface counts as on it: interpolating over it is better than moving off it.
    """
    row, column = window.centre
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
    """Depth of a surface at an offset from the point.

    Fits 1/z = a + b u + c v, which is exact for a plane, to what can be one face with the nearest pixels, and again
    without the pixels that the first fit leaves far off.

    Args:
        window: The pixels around the point.
        mask: The pixels (n, m) of the surface.
        offset: From the point, (2,) in pixels.
        pixel_sigma_m: Noise of single pixels by the camera's figures.
        focal_px: Focal length of the image.

    Returns:
        The depth in metres; the robust spread of single pixels around the fit, in metres; and the number of pixels
        that the fit averages over.
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
        # A light pull of the slopes towards zero keeps a one-pixel-wide surface well-posed.
        normal = scaled.T @ scaled + np.diag([0.0, 1e-3, 1e-3]) * np.sum(weight**2)
        gain = np.linalg.solve(normal, (scaled * weight[:, None]).T)
        fit = gain @ inverse
        variance = float(np.sum(gain[0] ** 2))
        deviation = np.abs(inverse - design @ fit)
        weight = weight * (deviation <= 3.0 * max(noise, 1.4826 * float(np.median(deviation[close]))) + 1e-9)
    inverse_depth = float(np.clip(fit[0], inverse.min(), inverse.max()))
    return 1.0 / inverse_depth, 1.4826 * float(np.median(deviation[close])) / inverse_depth**2, 1.0 / variance


def spread_over_error(
    window: Window,
    mask: BoolArray,
    covariance_px2: FloatArray,
    offset: FloatArray,
    depth_m: float,
    pixel_sigma_m: float,
) -> FloatArray:
    """Covariance (3, 3) of u, v (pixels) and depth (metres) of where the true point may be on a surface.

    The true point is distributed as the point's error says, but on this surface only; its distance from the reported
    pixel and depth goes with the surface, so the covariance follows slopes and ends where the surface ends. The noise
    of single pixels is taken out again.
    """
    if math.sqrt(max(covariance_px2[0, 0], covariance_px2[1, 1])) < _LEAST_SIGMA_PX:
        spread = np.zeros((3, 3))
        spread[:2, :2] = covariance_px2
        return spread
    floor = covariance_px2 + np.eye(2) * 1e-6 * np.trace(covariance_px2)
    u, v = window.du[mask], window.dv[mask]
    squared = mahalanobis2(u, v, floor)
    weight = np.exp(-0.5 * (squared - squared.min()))
    weight /= weight.sum()
    away = np.stack([u - offset[0], v - offset[1], window.z[mask] - depth_m])
    spread = (away * weight) @ away.T
    by_pixel = spread[:2, :2] + np.eye(2) * 1e-9
    slope = np.linalg.solve(by_pixel, spread[:2, 2])
    relief = max(0.0, float(spread[2, 2] - slope @ spread[:2, 2]) - pixel_sigma_m**2)
    # Holes may be part of the surface: as far as there are any, the point's error is not cut at the surface's end.
    hidden = float(window.likely[np.isnan(window.z)].sum() / window.likely.sum())
    by_pixel = (1.0 - hidden) * by_pixel + hidden * (covariance_px2 + np.outer(offset, offset))
    lean = np.vstack([np.eye(2), slope])
    spread = lean @ by_pixel @ lean.T
    spread[2, 2] += relief
    return spread
