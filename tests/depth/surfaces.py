"""Depth images of simple surfaces, as a camera of 640 x 480 sees them."""

from dataclasses import replace

import numpy as np

from molmo_point.geometry.depth_noise import D435
from molmo_point.geometry.intrinsics import Intrinsics

CAMERA = Intrinsics(640, 480, 610.0, 610.0, 319.5, 239.5)
SHARP = replace(D435, smoothing_px=0.0, alignment_px=0.0)
"""Noise of a camera that smooths no shapes and whose depth fits the color image exactly."""
COLUMNS, ROWS = np.meshgrid(np.arange(640.0), np.arange(480.0))


def plane(depth_m: float, slope_u: float = 0.0, slope_v: float = 0.0) -> np.ndarray:
    """A plane that crosses the optical axis at depth_m; slopes are dz/dx and dz/dy in meters per meter."""
    x, y = (COLUMNS - 319.5) / 610, (ROWS - 239.5) / 610
    return (depth_m / (1 - slope_u * x - slope_v * y)).astype(np.float32)


def with_rod(left: int, right: int, near_m: float = 0.6, far_m: float = 0.85) -> np.ndarray:
    depth = plane(far_m)
    depth[:, left : right + 1] = near_m
    return depth


def noisy(depth: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (depth + rng.normal(0, 1, depth.shape) * D435.sigma_z(depth, 610.0)).astype(np.float32)
