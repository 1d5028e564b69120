"""What stands on a table, as upright boxes: enough for an arm to keep clear of it."""

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arm.joint_path import ObstacleBox
from molmo_point.arrays import BoolArray, DepthArray, FloatArray, IntArray
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform

CELL_M = 0.01
"""Things nearer to each other than about this are one box."""
LEAST_HEIGHT_M = 0.012
"""What is lower above the table counts as the table."""
_STRIDE, _LEAST_IN_CELL, _LEAST_CELLS = 3, 2, 3
_TOP_QUANTILE, _TALLEST_M = 0.98, 0.5


def boxes_on_table(
    depth_m: DepthArray,
    intrinsics: Intrinsics,
    base_T_camera: Transform,
    *,
    table_z_m: float = 0.0,
    around_m: ArrayLike = (0.0, 0.0),
    reach_m: float = 0.45,
) -> tuple[ObstacleBox, ...]:
    """Boxes from the table up around everything that stands on it.

    Args:
        depth_m: (h, w), NaN where there is none.
        intrinsics: Of that image.
        base_T_camera: To a frame whose z axis points up.
        table_z_m: Height of the table top in that frame.
        around_m: (2,) middle of the part of the table that counts.
        reach_m: How far around it, in x and in y.

    Returns:
        Largest first; what the camera cannot see is in none.
    """
    points = depth_points(depth_m, intrinsics, base_T_camera)
    height = points[:, 2] - table_z_m
    near = np.all(np.abs(points[:, :2] - np.asarray(around_m, dtype=np.float64)) < reach_m, axis=1)
    points = points[near & (height > LEAST_HEIGHT_M) & (height < _TALLEST_M)]
    boxes = [_box(piece, table_z_m) for piece in _pieces(points)]
    return tuple(sorted(boxes, key=lambda box: -box.half_m[0] * box.half_m[1]))


def depth_points(depth_m: DepthArray, intrinsics: Intrinsics, base_T_camera: Transform, stride: int = _STRIDE) -> FloatArray:
    """What a depth image (h, w) shows, (n, 3) in the transform's target frame; every ``stride``-th row and column of it."""
    thin = depth_m[::stride, ::stride]
    rows, columns = np.nonzero(np.isfinite(thin))
    uv = np.stack([columns, rows], axis=1).astype(np.float64) * stride
    return base_T_camera.apply(intrinsics.deproject(uv, thin[rows, columns].astype(np.float64)), base_T_camera.source)


def _pieces(points: FloatArray) -> list[FloatArray]:
    """Points (n, 3) of things that are apart from one another seen from above."""
    if not len(points):
        return []
    cells = np.floor(points[:, :2] / CELL_M).astype(np.int64)
    cells -= cells.min(axis=0)
    counts = np.zeros(cells.max(axis=0) + 1, dtype=np.int64)
    np.add.at(counts, (cells[:, 0], cells[:, 1]), 1)
    label = _labelled(counts >= _LEAST_IN_CELL)
    of_point = label[cells[:, 0], cells[:, 1]]
    numbers = [number for number in range(1, label.max() + 1) if np.count_nonzero(label == number) >= _LEAST_CELLS]
    return [points[of_point == number] for number in numbers]


def _labelled(full: BoolArray) -> IntArray:
    """Numbers from 1 for cells (r, c) that hang together over edges or corners; 0 for empty ones."""
    label = np.zeros(full.shape, dtype=np.int64)
    number = 0
    for row, column in zip(*np.nonzero(full), strict=True):
        if label[row, column]:
            continue
        number += 1
        waiting = [(int(row), int(column))]
        label[row, column] = number
        while waiting:
            r, c = waiting.pop()
            for i in range(max(r - 1, 0), min(r + 2, full.shape[0])):
                for j in range(max(c - 1, 0), min(c + 2, full.shape[1])):
                    if full[i, j] and not label[i, j]:
                        label[i, j] = number
                        waiting.append((i, j))
    return label


def _box(points: FloatArray, table_z_m: float) -> ObstacleBox:
    """The upright box of the least area, of 18 turns, around points."""
    best: tuple[float, float, FloatArray, FloatArray] | None = None
    for yaw in np.arange(18) * np.pi / 36:
        axes = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
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
