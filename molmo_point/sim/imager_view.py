"""Reprojection of depth images between the color camera and a depth imager at its side."""

from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.geometry.intrinsics import Intrinsics

_NEAREST_M = 0.15
"""Objects nearer than this may lose a part at the image border."""


@dataclass(frozen=True)
class PixelGrid:
    """Pinhole pixel grid; unlike that of `Intrinsics`, its optical axis may lie outside.

    Attributes:
        width: Number of columns.
        height: Number of rows.
        fx: Focal length along columns, pixels.
        fy: Focal length along rows, pixels.
        cx: Column of the optical axis.
        cy: Row of the optical axis.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float


def color_grid(intrinsics: Intrinsics, shift_px: tuple[float, float] = (0.0, 0.0)) -> PixelGrid:
    """Return the grid of a color image, whose axis is displaced by a shift in pixels."""
    k = intrinsics
    return PixelGrid(k.width, k.height, k.fx, k.fy, k.cx + shift_px[0], k.cy + shift_px[1])


def imager_grid(color: PixelGrid, focal_px: float, offset_m: float) -> PixelGrid:
    """Return the pixel grid of a depth imager that covers the color image.

    Args:
        color: Grid of the color image.
        focal_px: Focal length of the depth imager, pixels.
        offset_m: Position of the imager along the color camera's x axis, meters.
    """
    ratio = focal_px / color.fx
    margin = int(np.ceil(focal_px * abs(offset_m) / _NEAREST_M)) + 2
    return PixelGrid(
        width=int(np.ceil(color.width * ratio)) + 2 * margin,
        height=int(np.ceil(color.height * ratio)) + 2,
        fx=focal_px,
        fy=color.fy * ratio,
        cx=color.cx * ratio + margin,
        cy=color.cy * ratio + 1,
    )


def nearest_pixels(source: PixelGrid, target: PixelGrid) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns of `source` that show the directions of the rows and columns of `target`."""
    rows = (np.arange(target.height) - target.cy) * (source.fy / target.fy) + source.cy
    columns = (np.arange(target.width) - target.cx) * (source.fx / target.fx) + source.cx
    return (
        np.clip(np.rint(rows).astype(int), 0, source.height - 1),
        np.clip(np.rint(columns).astype(int), 0, source.width - 1),
    )


def seen_from(
    depth_m: FloatArray,
    source: PixelGrid,
    target: PixelGrid,
    offset_m: float,
    *extra: np.ndarray,
    overlap_px: float = 0.01,
) -> list[np.ndarray]:
    """See a depth image from a camera that stands `offset_m` further along the x axis, meters.

    Each pixel covers the columns of its own width, and the nearest surface wins.

    Args:
        depth_m: Depth (h, w) in meters; NaN without a surface.
        source: PixelGrid of `depth_m`.
        target: PixelGrid of the result.
        offset_m: Position of the target camera along the source camera's x axis.
        extra: Images (h, w) that move with their pixels; 0 where nothing is seen.
        overlap_px: Width by which a pixel covers more on either side, pixels of the target.

    Returns:
        The depth (h, w), NaN where nothing is seen, and the extra images.
    """
    rows, _ = nearest_pixels(source, target)
    ratio = target.fx / source.fx
    v, u = np.nonzero(np.isfinite(depth_m))
    z = depth_m[v, u].astype(np.float32)
    order = np.argsort(-z, kind="stable")
    v, u, z = v[order], u[order], z[order]
    middle = (u - source.cx) * ratio + target.cx - np.float32(target.fx * offset_m) / z
    half = 0.5 * ratio + overlap_px
    first, last = (np.ceil(middle + side * half).astype(np.int32) for side in (-1.0, 1.0))
    images = [np.full((source.height, target.width), np.nan, np.float32)]
    images += [np.zeros((source.height, target.width), image.dtype) for image in extra]
    values = [z, *(image[v, u] for image in extra)]
    # From far to near over all columns of a footprint: the last that writes is the nearest.
    reach = int(np.ceil(ratio)) + 1
    columns = first[:, None] + np.arange(reach)
    keep = (columns < last[:, None]) & (columns >= 0) & (columns < target.width)
    flat = (v[:, None] * target.width + columns)[keep]
    for image, value in zip(images, values, strict=True):
        image.ravel()[flat] = np.broadcast_to(value[:, None], keep.shape)[keep]
    return [image[rows] for image in images]


def fill_from_behind(depth_m: np.ndarray, *extra: np.ndarray) -> list[np.ndarray]:
    """Fill missing pixels (h, w) with the farther of the next pixels in their row; `extra` images follow."""
    missing = ~np.isfinite(depth_m)
    columns = np.arange(depth_m.shape[1])
    left = np.maximum.accumulate(np.where(missing, -1, columns), axis=1)
    right = np.minimum.accumulate(np.where(missing, depth_m.shape[1], columns)[:, ::-1], axis=1)[:, ::-1]
    rows, at = np.nonzero(missing)
    before, after = left[rows, at], right[rows, at]
    z_before = np.where(before >= 0, depth_m[rows, np.maximum(before, 0)], -1.0)
    z_after = np.where(after < depth_m.shape[1], depth_m[rows, np.minimum(after, depth_m.shape[1] - 1)], -1.0)
    chosen = np.where(z_after >= z_before, np.minimum(after, depth_m.shape[1] - 1), np.maximum(before, 0))
    filled = []
    for image in (depth_m, *extra):
        copy = image.copy()
        copy[rows, at] = image[rows, chosen]
        filled.append(copy)
    return filled
