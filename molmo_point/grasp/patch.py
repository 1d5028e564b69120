"""Part of a depth image around a point, thinned to an even spacing in meters, with its noise."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from molmo_point.arrays import BoolArray, DepthArray, FloatArray, IntArray
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics

SPACING_M = 0.0015
"""Nominal distance between neighboring pixels of a patch at the depth of its point, in meters."""

UNEVEN_M = 0.001
"""Error of stereo depth that the noise model does not cover (waviness, rounding), in meters."""

LINK_M, LINK_SIGMAS = 0.006, 4.0
"""Neighbors farther apart in depth than the larger of these limits are joined on steep surfaces only."""

MIN_M, MAX_M = 0.1, 10.0
"""Smallest and largest valid depth, in meters."""

STEEPEST_M = 0.03
"""Largest depth step between neighbors on a steep surface, in meters."""


@dataclass(frozen=True, eq=False)
class Patch:
    """Organized point cloud: a grid (n, m) of every `stride`-th pixel of the image.

    Attributes:
        rows: Image rows of the grid (n,).
        columns: Image columns of the grid (m,).
        stride: Distance between neighbors, in pixels of the image.
        rays: Points at depth 1 (n, m, 3), in the optical frame.
        depth_m: Depth (n, m) in meters, NaN where missing.
        sigma_m: Standard deviation of the depth (n, m), in meters, NaN where missing.
        right: True (n, m - 1) for pixels on one surface with their right neighbor.
        down: True (n - 1, m) for pixels on one surface with the neighbor below.
        solid: True (n, m) for pixels joined to two neighbors at least; false for pixels that mix two surfaces.
        firm: True (n, m) for pixels joined to all four neighbors.
        image_wh: Width and height of the whole image, in pixels.
    """

    rows: IntArray
    columns: IntArray
    stride: int
    rays: FloatArray
    depth_m: FloatArray
    sigma_m: FloatArray
    right: BoolArray
    down: BoolArray
    solid: BoolArray
    firm: BoolArray
    image_wh: tuple[int, int]

    @cached_property
    def points_m(self) -> FloatArray:
        """Points (n, m, 3) in the optical frame, in meters, NaN where missing."""
        return self.rays * self.depth_m[..., None]

    def spacing_m(self, at_m: float) -> float:
        """Return the distance of neighboring pixels at a depth, in meters."""
        return float(self.rays[0, 1, 0] - self.rays[0, 0, 0]) * at_m


def cut_patch(
    depth_m: DepthArray,
    uv: FloatArray,
    at_m: float,
    intrinsics: Intrinsics,
    noise: DepthNoise,
    *,
    reach_m: float,
) -> Patch:
    """Cut the patch that holds everything within `reach_m` of a pixel at depth `at_m`.

    Args:
        depth_m: Depth (h, w) in meters, NaN where missing.
        uv: Pixel (2,) inside the image.
        at_m: Depth of the point, in meters.
        intrinsics: Intrinsics of the image that the depth is aligned to.
        noise: Noise of the depth camera.
        reach_m: Half the side of the patch, in meters at that depth.
    """
    height, width = depth_m.shape
    focal_px = intrinsics.focal_px
    stride = max(1, round(SPACING_M * focal_px / at_m))
    radius = math.ceil(reach_m * focal_px / at_m)
    rows, columns = (_grid(center, radius, stride, size) for center, size in ((uv[1], height), (uv[0], width)))
    z = depth_m[rows[0] : rows[-1] + 1 : stride, columns[0] : columns[-1] + 1 : stride].astype(np.float64)
    with np.errstate(invalid="ignore"):
        z[~((z >= MIN_M) & (z <= MAX_M))] = np.nan
    pixels = np.stack(np.broadcast_arrays(columns[None, :], rows[:, None]), axis=-1).astype(np.float64)
    rays = intrinsics.deproject(pixels, 1.0)
    z[~np.isfinite(rays[..., 0])] = np.nan
    sigma = np.hypot(noise.sigma_z(z, focal_px), UNEVEN_M)
    limit = np.maximum(LINK_M, LINK_SIGMAS * sigma)
    right, down = _links(z, limit), _links(z.T, limit.T).T
    count = np.zeros(z.shape, dtype=np.int8)
    count[:, 1:] += right
    count[:, :-1] += right
    count[1:] += down
    count[:-1] += down
    return Patch(rows, columns, stride, rays, z, sigma, right, down, count >= 2, count == 4, (width, height))


def _grid(center: float, radius: int, stride: int, size: int) -> IntArray:
    middle = min(max(round(float(center)), 0), size - 1)
    before = min(radius, middle) // stride
    after = min(radius, size - 1 - middle) // stride
    return middle + stride * np.arange(-before, after + 1)


def _links(z: FloatArray, limit_m: FloatArray) -> BoolArray:
    """Mark the pixels (n, m - 1) on one surface with their right neighbor.

    A steep surface has several equal steps in a row; an edge has one, or two with a mixed pixel on it.
    """
    step = np.diff(z, axis=1)
    wide = np.pad(step, ((0, 0), (2, 2)), constant_values=np.nan)
    count, limit = step.shape[1], limit_m[:, 1:]
    size = np.abs(step)
    alike = np.zeros(step.shape, dtype=np.int8)
    with np.errstate(invalid="ignore"):
        for i in (0, 1, 3, 4):
            alike += np.abs(wide[:, i : i + count] - step) <= 0.5 * limit + 0.25 * size
        return (size <= limit) | ((alike >= 2) & (size <= STEEPEST_M))


def label_pieces(mask: BoolArray, links_right: BoolArray | None = None, links_down: BoolArray | None = None) -> IntArray:
    """Label the connected pieces of a mask (n, m): one number per piece, -1 outside.

    Args:
        mask: Pixels to join.
        links_right: True (n, m - 1) where a pixel may join its right neighbor; default everywhere.
        links_down: True (n - 1, m) where a pixel may join the neighbor below; default everywhere.
    """
    index = np.full(mask.shape, -1, dtype=np.int64)
    count = int(np.count_nonzero(mask))
    index[mask] = np.arange(count)
    right, down = mask[:, :-1] & mask[:, 1:], mask[:-1] & mask[1:]
    if links_right is not None:
        right &= links_right
    if links_down is not None:
        down &= links_down
    first = np.concatenate([index[:, :-1][right], index[:-1][down]])
    second = np.concatenate([index[:, 1:][right], index[1:][down]])
    label = np.arange(count)
    while True:
        a, b = label[first], label[second]
        apart = a != b
        if not apart.any():
            break
        # Roots attach to smaller roots; then every pixel looks up its root.
        first, second, a, b = first[apart], second[apart], a[apart], b[apart]
        np.minimum.at(label, np.maximum(a, b), np.minimum(a, b))
        while True:
            further = label[label]
            if np.array_equal(further, label):
                break
            label = further
    pieces = np.full(mask.shape, -1, dtype=np.int64)
    pieces[mask] = label
    return pieces


def grown(mask: BoolArray, steps: int) -> BoolArray:
    """Dilate a mask (n, m) by `steps` pixels, in a square."""
    wide = np.pad(mask, steps)
    rows = np.logical_or.reduce([wide[i : i + mask.shape[0]] for i in range(2 * steps + 1)])
    return np.logical_or.reduce([rows[:, i : i + mask.shape[1]] for i in range(2 * steps + 1)])
