"""The estimators of depth at a point that other projects use, in their own form.

Each takes a depth image (h, w) in meters with NaN where nothing was measured, and the column and row of the pixel
nearest to the point; it answers in meters, NaN where it has nothing.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import DepthArray

Estimator = Callable[[NDArray[np.float32], int, int], float]


def single_pixel(depth_m: DepthArray, column: int, row: int) -> float:
    """The pixel's own depth."""
    return float(depth_m[row, column])


def pixel_else_median(depth_m: DepthArray, column: int, row: int) -> float:
    """The pixel's own depth, else the median of the 5x5 around it."""
    own = single_pixel(depth_m, column, row)
    return own if math.isfinite(own) else _quantile(depth_m, column, row, 2, 0.5)


def median_11(depth_m: DepthArray, column: int, row: int) -> float:
    """The median of the 11x11 around the pixel."""
    return _quantile(depth_m, column, row, 5, 0.5)


def median_21(depth_m: DepthArray, column: int, row: int) -> float:
    """The median of the 21x21 around the pixel."""
    return _quantile(depth_m, column, row, 10, 0.5)


def lower_quartile_11(depth_m: DepthArray, column: int, row: int) -> float:
    """The 25th percentile of the 11x11 around the pixel."""
    return _quantile(depth_m, column, row, 5, 0.25)


def _quantile(depth_m: DepthArray, column: int, row: int, radius: int, share: float) -> float:
    window = depth_m[max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1]
    measured = window[np.isfinite(window)]
    return float(np.quantile(measured, share)) if measured.size else math.nan


PEERS: dict[str, Estimator] = {
    "single pixel": single_pixel,
    "pixel, else median 5x5": pixel_else_median,
    "median 11x11": median_11,
    "median 21x21": median_21,
    "25th percentile 11x11": lower_quartile_11,
}
"""Name of each estimator; librealsense's hole filling, which works on whole images, is in `librealsense.py`."""
