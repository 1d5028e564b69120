"""Upright boxes around the objects on a table: enough for an arm to keep clear of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.arrays import DepthArray, FloatArray
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform

CELL_M = 0.01
"""Objects with a smaller gap than about this share a box."""
LEAST_HEIGHT_M = 0.012
"""Points lower above the table than this belong to the table."""
REACH_M = 0.45
"""Half side of the workspace, a square around the origin of the base frame."""
_STRIDE, _LEAST_IN_CELL, _LEAST_CELLS = 3, 2, 3
_COARSE = 8
_TOP_QUANTILE, _TALLEST_M, _DEEPEST_M = 0.98, 0.5, 0.05
"""Quantile of the top; greatest height above and depth below the table of points in the workspace, meters."""


@dataclass(frozen=True)
class ObstacleBox:
    """An upright box to keep clear of.

    Attributes:
        center_m: (3,) center, meters, base frame.
        half_m: (3,) half extents along the box's own axes, meters.
        yaw_rad: Rotation about the vertical, radians.
    """

    center_m: tuple[float, float, float]
    half_m: tuple[float, float, float]
    yaw_rad: float = 0.0

    @property
    def axes(self) -> FloatArray:
        """The box's own horizontal axes as rows (2, 2), base frame."""
        return _axes(self.yaw_rad)

    @property
    def top_m(self) -> float:
        """Height of the top, meters, base frame."""
        return self.center_m[2] + self.half_m[2]


def boxes_on_table(
    depth_m: DepthArray,
    intrinsics: Intrinsics,
    base_T_camera: Transform,
    *,
    table_z_m: float = 0.0,
    reach_m: float = REACH_M,
) -> tuple[ObstacleBox, ...]:
    """Put boxes, from the table up, around all objects in a depth image.

    Args:
        depth_m: (h, w) depth, meters; NaN is missing.
        intrinsics: Intrinsics of the depth image.
        base_T_camera: Pose of the camera in a frame whose z axis points up.
        table_z_m: Height of the table top in that frame.
        reach_m: Half side of the part of the table to look at, around the origin, in x and in y.

    Returns:
        Boxes, the largest first. Parts that the camera does not see are in none.
    """
    points = depth_points(depth_m, intrinsics, base_T_camera)
    height = points[:, 2] - table_z_m
    near = np.all(np.abs(points[:, :2]) < reach_m, axis=1)
    points = points[near & (height > LEAST_HEIGHT_M) & (height < _TALLEST_M)]
    boxes = [_box(piece, table_z_m) for piece in _pieces(points)]
    return tuple(sorted(boxes, key=lambda box: -box.half_m[0] * box.half_m[1]))


def share_with_depth(
    depth_m: DepthArray,
    intrinsics: Intrinsics,
    base_T_camera: Transform,
    *,
    table_z_m: float = 0.0,
) -> float:
    """Share of the pixels on the workspace that measure it; arguments as `boxes_on_table`.

    Depth of a point below the table, or above the tallest object, does not count.

    Returns:
        0 to 1; 0 if the camera does not look at the workspace.
    """
    height, width = depth_m.shape
    rows, columns = (grid.ravel() for grid in np.mgrid[0:height:_COARSE, 0:width:_COARSE])
    uv = np.stack([columns, rows], axis=1).astype(np.float64)
    rays = intrinsics.deproject(uv, np.ones(len(uv))) @ base_T_camera.rotation.T
    eye = base_T_camera.translation_m
    with np.errstate(divide="ignore", invalid="ignore"):
        away = (table_z_m - eye[2]) / rays[:, 2]
        on_table = (away > 0) & np.all(np.abs(eye[:2] + away[:, None] * rays[:, :2]) < REACH_M, axis=1)
    if not on_table.any():
        return 0.0
    height_m = eye[2] + depth_m[rows[on_table], columns[on_table]] * rays[on_table, 2] - table_z_m
    return float(np.mean((height_m > -_DEEPEST_M) & (height_m < _TALLEST_M)))


def depth_points(depth_m: DepthArray, intrinsics: Intrinsics, base_T_camera: Transform, stride: int = _STRIDE) -> FloatArray:
    """Points (n, 3) of every `stride`-th row and column of a depth image (h, w), in the transform's target frame."""
    thin = depth_m[::stride, ::stride]
    rows, columns = np.nonzero(np.isfinite(thin))
    uv = np.stack([columns, rows], axis=1).astype(np.float64) * stride
    return base_T_camera.apply(intrinsics.deproject(uv, thin[rows, columns].astype(np.float64)), base_T_camera.source)


def _pieces(points: FloatArray) -> list[FloatArray]:
    """Points (n, 3), divided into objects that are apart seen from above."""
    from scipy.ndimage import label

    if not len(points):
        return []
    cells = np.floor(points[:, :2] / CELL_M).astype(np.int64)
    cells -= cells.min(axis=0)
    counts = np.zeros(cells.max(axis=0) + 1, dtype=np.int64)
    np.add.at(counts, (cells[:, 0], cells[:, 1]), 1)
    labeled: Any = label(counts >= _LEAST_IN_CELL, structure=np.ones((3, 3)))
    numbers, last = labeled
    sizes = np.bincount(numbers.ravel(), minlength=last + 1)
    of_point = numbers[cells[:, 0], cells[:, 1]]
    return [points[of_point == number] for number in range(1, last + 1) if sizes[number] >= _LEAST_CELLS]


def _box(points: FloatArray, table_z_m: float) -> ObstacleBox:
    """The upright box of the least area around points, of 18 rotations."""
    best: tuple[float, float, FloatArray, FloatArray] | None = None
    for yaw in np.arange(18) * np.pi / 36:
        axes = _axes(yaw)
        low, high = np.quantile(points[:, :2] @ axes.T, [0.01, 0.99], axis=0)
        area = float(np.prod(high - low))
        if best is None or area < best[0]:
            best = (area, float(yaw), axes.T @ (0.5 * (low + high)), 0.5 * (high - low))
    assert best is not None
    _, yaw, middle, half = best
    top = float(np.quantile(points[:, 2], _TOP_QUANTILE))
    height = 0.5 * (top - table_z_m)
    half = np.maximum(half, 0.002)
    return ObstacleBox((float(middle[0]), float(middle[1]), table_z_m + height), (float(half[0]), float(half[1]), height), yaw)


def _axes(yaw_rad: float) -> FloatArray:
    return np.array([[np.cos(yaw_rad), np.sin(yaw_rad)], [-np.sin(yaw_rad), np.cos(yaw_rad)]])
