"""Stated standard deviation of single pixels over the measured residual of flat patches in one frame."""

from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import DepthArray, FloatArray
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import D435, DepthNoise

_SIDE_PX, _STEP_PX = 21, 12
_LEAST_VALID, _LARGEST_STEP_SIGMAS = 0.97, 6.0
_LEAST_PATCHES = 8
_FLATTEST = 0.5


@dataclass(frozen=True)
class PlaneNoise:
    """Noise of the flat patches of a frame.

    Attributes:
        patches: Number of patches.
        ratio: Median of stated standard deviation over measured residual; NaN with too few patches.
        low: 10th percentile of the same.
        high: 90th percentile of the same.
        residual_m: Median residual, one standard deviation, in meters.
        depth_m: Median depth of the patches, in meters.
    """

    patches: int
    ratio: float
    low: float
    high: float
    residual_m: float
    depth_m: float


def plane_noise(frame: RgbdFrame, noise: DepthNoise | None = None) -> PlaneNoise:
    """Measure the residuals of planes in small patches against the stated noise.

    A patch counts if it is complete, without a step, and no more curved than its noise. The flatter half of all patches
    at similar depth is taken, because texture of the surface is no noise.

    Args:
        frame: Frame with depth and intrinsics.
        noise: Noise of the depth camera; default that of the frame, else a D435's.
    """
    assert frame.depth_m is not None and frame.intrinsics is not None
    noise, focal_px = noise or frame.depth_noise or D435, frame.intrinsics.focal_px
    found = np.array([patch for patch in _patches(frame.depth_m) if patch is not None]).reshape(-1, 2)
    if len(found) < _LEAST_PATCHES:
        return PlaneNoise(len(found), *(float("nan"),) * 5)
    depth_m, residual_m = found.T
    relative = residual_m / depth_m**2
    flat = relative <= np.quantile(relative, _FLATTEST)
    depth_m, residual_m = depth_m[flat], residual_m[flat]
    ratios = noise.sigma_z(depth_m, focal_px) / np.maximum(residual_m, 1e-6)
    low, middle, high = np.quantile(ratios, [0.1, 0.5, 0.9])
    return PlaneNoise(
        len(depth_m), float(middle), float(low), float(high), float(np.median(residual_m)), float(np.median(depth_m))
    )


def _patches(depth_m: DepthArray) -> list[tuple[float, float] | None]:
    rows, columns = (range(0, size - _SIDE_PX, _STEP_PX) for size in depth_m.shape)
    return [_patch(depth_m[row : row + _SIDE_PX, column : column + _SIDE_PX]) for row in rows for column in columns]


def _patch(depth_m: DepthArray) -> tuple[float, float] | None:
    """Return depth and residual of a flat patch; None for another."""
    known = np.isfinite(depth_m)
    if np.mean(known) < _LEAST_VALID:
        return None
    v, u = np.nonzero(known)
    inverse = 1.0 / depth_m[known].astype(np.float64)
    plane = _residuals(np.stack([np.ones(len(u)), u, v], axis=1).astype(np.float64), inverse)
    spread = 1.4826 * float(np.median(np.abs(plane)))
    if not spread or np.abs(plane).max() > _LARGEST_STEP_SIGMAS * spread:
        return None
    middle = float(np.median(inverse))
    return 1.0 / middle, float(np.sqrt(np.mean(plane**2))) / middle**2


def _residuals(design: FloatArray, values: FloatArray) -> FloatArray:
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
