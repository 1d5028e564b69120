"""Depth at a point."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


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
        status: OK, AMBIGUOUS (two surfaces are plausible), MISSING or OUT_OF_RANGE.
        depth_m: Depth along z in metres at `uv`; NaN when missing or out of range.
        sigma_m: Standard deviation of `depth_m`, in metres; NaN likewise.
        uv: The pixel (2,) that the depth belongs to: the one asked for, or the nearest on the kept surface.
        shift_px: Distance from the pixel asked for to `uv`, in pixels.
        alternate_depth_m: Depth of the other plausible surface; NaN when there is none.
        valid_ratio: Share of the window's pixels that had a usable depth, 0 to 1.
        scatter_m2: Covariance (3, 3) of the surface's roughness in the window, optical frame; NaN likewise.
    """

    status: DepthStatus
    depth_m: float
    sigma_m: float
    uv: FloatArray
    shift_px: float
    alternate_depth_m: float
    valid_ratio: float
    scatter_m2: FloatArray
