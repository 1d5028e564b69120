"""Measurement of a container on a table, such as a bowl, a plate or an open box: its rim, inside and floor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arm.obstacle_boxes import ObstacleBox
from molmo_point.arrays import BoolArray, FloatArray

LEAST_DEPTH_M = 0.007
"""Least depth of a container, meters."""
_SECTORS, _LEAST_IN_SECTOR = 12, 3
_RIM_ALL_AROUND, _DEEP_AROUND, _DEEP_AROUND_A_HEAP, _LEAST_SHARE = 0.8, 0.55, 0.65, 0.35
"""Least shares of directions with a rim; with a deep inside; with one if the middle is higher than the rim. Least depth as a
share of the rim's height."""
_MIDDLE, _RING, _INSIDE = 0.2, 0.6, 0.75
"""End of the middle, begin of the rim, and end of the inside, as shares of the box's half extents."""
_LEAST_INSIDE = 12
_REACH_M = 0.005


@dataclass(frozen=True, eq=False)
class Hollow:
    """A container, measured; all positions in the frame of the box.

    Attributes:
        box: Box around it.
        middle_m: (2,) middle of the rim's extent, meters.
        rim_m: Height of the rim, meters.
        floor_m: Height of the floor inside, meters.
        radius_m: Largest horizontal distance of the container from its middle, meters.
        opening_m: Narrowest width of the opening, meters.
        surface_m: (n, 3) points of its surface, meters, with hidden walls completed by those opposite of them.
    """

    box: ObstacleBox
    middle_m: FloatArray
    rim_m: float
    floor_m: float
    radius_m: float
    opening_m: float
    surface_m: FloatArray

    def covers(self, xy_m: ArrayLike) -> bool:
        """True if a position (2,) is not farther out than the rim in its direction."""
        away = np.asarray(xy_m, dtype=np.float64) - self.middle_m
        distance = float(np.hypot(*away))
        if distance < _REACH_M:
            return True
        offsets = self.surface_m[self.surface_m[:, 2] > 0.5 * (self.rim_m + self.floor_m), :2] - self.middle_m
        along = offsets @ (away / distance)
        there = np.abs(offsets @ np.array([-away[1], away[0]]) / distance) < 0.012
        return bool(np.any(there & (along > distance - _REACH_M)))


def measure_hollow(points_m: FloatArray, box: ObstacleBox) -> Hollow | None:
    """Measure the container in a box; None if the object in it is not a container.

    Args:
        points_m: (n, 3) points that a camera sees of the table and the objects on it, meters, z up.
        box: Box around the object, from `boxes_on_table`.
    """
    half = np.array(box.half_m[:2])
    axes, middle = box.axes, np.array(box.center_m[:2])
    away = points_m[:, :2] - middle
    # An object in the container may be higher than the box, which is of the rim.
    near = np.all(np.abs(away @ axes.T) < half + _REACH_M, axis=1)
    points, away = points_m[near], away[near]
    share = np.linalg.norm((away @ axes.T) / half, axis=1)
    inside, ring = share < _INSIDE, share > _RING
    if np.count_nonzero(inside) < _LEAST_INSIDE:
        return None
    floor = float(np.quantile(points[inside, 2], 0.15))
    rims, lows = _around(points[:, 2], away, ring, 0.97), _around(points[:, 2], away, inside & (share > _MIDDLE), 0.15)
    # A solid object is low nowhere, or only on the side of the camera, which looks in below a ball.
    table = box.center_m[2] - box.half_m[2]
    deep = rims - lows > np.maximum(LEAST_DEPTH_M, _LEAST_SHARE * (rims - table))
    if np.mean(rims > floor + LEAST_DEPTH_M) < _RIM_ALL_AROUND:
        return None
    rim = float(np.nanmedian(rims))
    middle_high = float(np.median(points[share < _MIDDLE, 2])) > rim if np.any(share < _MIDDLE) else False
    if np.mean(deep) < (_DEEP_AROUND_A_HEAP if middle_high else _DEEP_AROUND):
        return None
    high = ring & (points[:, 2] > floor + 0.3 * (rim - floor))
    # The wall toward the camera hides its own inside, but all of these are the same on both sides.
    opposite = points[high] * [-1.0, -1.0, 1.0] + [*(2 * middle), 0.0]
    surface = np.concatenate([points, opposite])
    upper = np.tile(points[high, 2] > floor + 0.75 * (rim - floor), 2)
    walls = np.linalg.norm(np.concatenate([points[high], opposite])[upper, :2] - middle, axis=1)
    return Hollow(
        box=box,
        middle_m=middle,
        rim_m=rim,
        floor_m=floor,
        radius_m=float(np.quantile(walls, 0.98)),
        opening_m=2.0 * float(np.quantile(walls, 0.02)),
        surface_m=surface,
    )


def _around(heights: FloatArray, away: FloatArray, where: BoolArray, share: float) -> FloatArray:
    """A quantile of the heights in each of `_SECTORS` directions; NaN where too little was seen."""
    sector = np.floor((np.arctan2(away[where, 1], away[where, 0]) / (2 * np.pi) % 1.0) * _SECTORS).astype(int) % _SECTORS
    seen = [heights[where][sector == number] for number in range(_SECTORS)]
    return np.array([float(np.quantile(each, share)) if len(each) >= _LEAST_IN_SECTOR else np.nan for each in seen])
