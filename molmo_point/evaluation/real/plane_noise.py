"""Stated standard deviation of single pixels over the measured residual of the planes in one frame.

Every tile of the image that is planar, and that goes on into a neighboring tile, is measured with all of its pixels. The
measure shares no line with the estimate of `molmo_point.depth.frame_noise`, and finds its planes by itself.
"""

import math
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import DepthArray, FloatArray
from molmo_point.depth.frame_noise import noise_of
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import DepthNoise, NoiseSource

TILE_SHARE = 1 / 31
"""Side of a tile, in longer sides of the image: 21 pixels of 640, 41 of 1280."""
_MIN_VALID, _MIN_INLIERS, _INLIER_SIGMAS = 0.9, 0.98, 4.0
_LEAST_LEFT = 0.64
"""Share of the residual's variance that a quadratic surface must leave."""
_MIN_RESIDUAL_M, _MAX_SHARE = 1e-6, 0.02
"""Limits of a residual: in meters, and as a share of the depth. Depth that was filled in has exact planes."""
_AGREEMENT_SIGMAS, _ALIKE = 3.0, 2.0
MIN_TILES = 8


@dataclass(frozen=True)
class PlaneNoise:
    """Noise of the planar tiles of a frame.

    Attributes:
        patches: Number of tiles.
        ratio: Median of stated standard deviation over measured residual; NaN with too few tiles.
        low: 10th percentile of the same.
        high: 90th percentile of the same.
        residual_m: Median residual, one standard deviation, in meters.
        depth_m: Median depth of the tiles, in meters.
        source: Origin of the stated values.
        camera: Camera model that stated them; empty if none.
    """

    patches: int
    ratio: float
    low: float
    high: float
    residual_m: float
    depth_m: float
    source: NoiseSource = NoiseSource.ASSUMED
    camera: str = ""


def plane_noise(frame: RgbdFrame, noise: DepthNoise | None = None) -> PlaneNoise:
    """Measure the residuals of the planes of a frame against the stated noise.

    Args:
        frame: Frame with depth and intrinsics.
        noise: Noise of the depth camera; default that of the frame, see `noise_of`.
    """
    assert frame.depth_m is not None and frame.intrinsics is not None
    noise = noise or noise_of(frame)
    depth_m, residual_m = plane_residuals(frame.depth_m)
    if len(depth_m) < MIN_TILES:
        return PlaneNoise(len(depth_m), *(math.nan,) * 5, noise.source, noise.camera)
    low, middle, high = np.quantile(noise.sigma_z(depth_m, frame.intrinsics.focal_px) / residual_m, [0.1, 0.5, 0.9])
    typical = float(np.median(residual_m)), float(np.median(depth_m))
    return PlaneNoise(len(depth_m), float(middle), float(low), float(high), *typical, noise.source, noise.camera)


def plane_residuals(depth_m: DepthArray) -> tuple[FloatArray, FloatArray]:
    """Return depth (n,) and residual (n,) of the planar tiles of a depth image (h, w), all in meters."""
    side = max(2 * round(max(depth_m.shape) * TILE_SHARE / 2) + 1, 7)
    tiles = _tiles(depth_m, side)
    kept = [tile for place, tile in tiles.items() if _goes_on(place, tiles)]
    return np.array([tile.depth_m for tile in kept]), np.array([tile.residual_m for tile in kept])


@dataclass(frozen=True, eq=False)
class _Tile:
    """A planar tile: plane of inverse depth (at the center, per tile to the right, per tile down)."""

    depth_m: float
    residual_m: float
    plane: FloatArray


def _tiles(depth_m: DepthArray, side: int) -> dict[tuple[int, int], _Tile]:
    """Return the planar tiles by row and column."""
    height, width = depth_m.shape
    found = {}
    for row in range(height // side):
        for column in range(width // side):
            top, left = row * side, column * side
            tile = _planar(depth_m[top : top + side, left : left + side])
            if tile is not None:
                found[row, column] = tile
    return found


def _planar(z: DepthArray) -> _Tile | None:
    side = z.shape[0]
    seen = np.isfinite(z)
    if seen.mean() < _MIN_VALID:
        return None
    down, right = (part[seen] / side for part in np.mgrid[: z.shape[0], : z.shape[1]] - side // 2)
    depth_m = float(np.median(z[seen]))
    inverse = 1.0 / z[seen].astype(np.float64)
    flat = np.stack([np.ones_like(right), right, down], axis=1)
    plane = np.linalg.lstsq(flat, inverse, rcond=None)[0]
    deviation = np.abs(inverse - flat @ plane)
    inlier = deviation <= _INLIER_SIGMAS * 1.4826 * np.median(deviation) + 1e-9
    if inlier.mean() < _MIN_INLIERS:
        return None
    plane = np.linalg.lstsq(flat[inlier], inverse[inlier], rcond=None)[0]
    residual = inverse - flat @ plane
    curved = np.concatenate([flat, np.stack([right**2, right * down, down**2], axis=1)], axis=1)
    left = inverse - curved @ np.linalg.lstsq(curved, inverse, rcond=None)[0]
    sigma_m = float(np.std(residual)) * depth_m**2
    if np.var(left) < _LEAST_LEFT * np.var(residual) or not _MIN_RESIDUAL_M < sigma_m < _MAX_SHARE * depth_m:
        return None
    return _Tile(depth_m, sigma_m, plane)


def _goes_on(place: tuple[int, int], tiles: dict[tuple[int, int], _Tile]) -> bool:
    """Tell whether the plane of a tile is that of a neighbor as well; a piece of an object seldom is."""
    tile = tiles[place]
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        other = tiles.get((place[0] + down, place[1] + right))
        if other is None or not 1 / _ALIKE < other.residual_m / tile.residual_m < _ALIKE:
            continue
        # Halfway between both centers, both planes should have one depth.
        half = np.array([0.0, right / 2, down / 2])
        apart = abs(tile.plane[0] + tile.plane @ half - other.plane[0] + other.plane @ half) * tile.depth_m**2
        if apart <= _AGREEMENT_SIGMAS * tile.residual_m:
            return True
    return False
