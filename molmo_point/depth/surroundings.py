"""Doubt about a background: wide holes that no opaque surface explains may hide a transparent object in front of it.

A stereo camera sees glass as a hole, or sees what lies behind it. A hole in an opaque object, which stands out before its
surroundings, is bridged. A hole in what lies behind is not, unless it is too narrow to hide an object.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import BoolArray, DepthArray, FloatArray
from molmo_point.depth.window import mahalanobis2
from molmo_point.geometry.depth_noise import DepthNoise

WIDE_M, WIDE_PX = 0.008, 8.0
"""Narrowest hole (the larger of both) that can hide an object: dropouts of opaque surfaces are narrower."""
STANDS_OUT_M, STANDS_OUT_SIGMAS = 0.012, 5.0
"""Distance from the background from which a surface belongs to an object."""
HIDDEN_AMBIGUOUS, HIDDEN_MISSING, EXPLAINED_AMBIGUOUS = 0.10, 0.50, 0.30
"""Probability of the true point in a hole from which the background is ambiguous, and from which it is no answer."""

_CELLS, _WIDE_CELLS = 20, 3
_LEAST_HOLES, _DENSE = 9, 7
_THIN, _HYPOTHESES, _LEAST_INLIERS = 3, 24, 10
_LEAST_SHARE, _LEAST_EXTENT = 0.3, 0.2
"""Least share of a background among the measured cells, and among all."""
_OCTANTS = 8
_OBJECT_OCTANTS, _AROUND_OCTANTS = 5, 5
_EDGE_M, _EDGE_PX = 0.006, 6.0
_BASELINE_M = 0.05
"""Distance between imager and projector or color camera that casts the holes of a camera without a baseline, in meters."""


@dataclass(frozen=True)
class Doubt:
    """Doubt about a background as the surface at a point.

    Attributes:
        hidden: Probability of the true point in a wide hole that no opaque surface explains.
        explained: Probability of the true point in a wide hole next to a nearer surface, or of a shape without a plane.
        surrounded: True if unexplained holes lie around the point on all sides.
        near_m: Depth of the nearer surface next to those holes, in meters; NaN without one.
    """

    hidden: float = 0.0
    explained: float = 0.0
    surrounded: bool = False
    near_m: float = math.nan


NO_DOUBT = Doubt()


@dataclass(frozen=True, eq=False)
class _Cells:
    """Depth around a point on a coarse grid.

    Attributes:
        z: Depth (n, m) in meters; NaN where missing or out of range.
        du: Offsets (m,) from the point along u, in pixels.
        dv: Offsets (n,) from the point along v, in pixels.
        step_px: Distance between neighbors, in pixels.
    """

    z: FloatArray
    du: FloatArray
    dv: FloatArray
    step_px: int


def doubt_background(
    depth_m: DepthArray,
    point: FloatArray,
    covariance_px2: FloatArray,
    surface_m: float,
    focal_px: float,
    noise: DepthNoise,
    range_m: tuple[float, float],
) -> Doubt:
    """Tell how likely a wide hole hides the true surface at a point whose answer would be the background.

    Args:
        depth_m: Depth (h, w) in meters; NaN where missing.
        point: Pixel (2,).
        covariance_px2: Covariance (2, 2) of the point, nonsingular, in square pixels.
        surface_m: Depth of the answer, in meters.
        focal_px: Focal length of the image, in pixels.
        noise: Noise of the depth camera.
        range_m: Smallest and largest valid depth, in meters.

    Returns:
        No doubt without wide holes, or if the answer stands out from its surroundings.
    """
    cells = _cut(depth_m, point, surface_m, focal_px, range_m)
    wide = _opened(np.isnan(cells.z))
    if not wide.any():
        return NO_DOUBT
    likely = _likely(cells, covariance_px2)
    if float(likely[wide].sum()) < HIDDEN_AMBIGUOUS and not _surrounded(cells, wide):
        return NO_DOUBT
    return _judged(cells, wide, likely, surface_m, focal_px, noise)


def _judged(cells: _Cells, wide: BoolArray, likely: FloatArray, surface_m: float, focal_px: float, noise: DepthNoise) -> Doubt:
    """Find the causes of the wide holes: an object's own dropout, the shadow of a nearer surface, or none."""
    missed = float(likely[wide].sum())
    sigma_m = float(noise.sigma_z(surface_m, focal_px))
    plane_m, out_m = _background(cells, surface_m, sigma_m), max(STANDS_OUT_M, STANDS_OUT_SIGMAS * sigma_m)
    level_m = surface_m if plane_m is None else plane_m
    missing = np.isnan(cells.z)
    with np.errstate(invalid="ignore"):
        near, far = cells.z < level_m - out_m, cells.z > level_m + out_m
    if _octants(cells, far).sum() >= _OBJECT_OCTANTS:
        return NO_DOUBT
    if plane_m is None or _octants(cells, ~(missing | near | far)).sum() < _AROUND_OCTANTS:
        # The surface may end here, before one that is not measured.
        return Doubt(explained=missed)
    shadow, near_m = np.zeros_like(wide), math.nan
    if near.any():
        near_m, baseline_m = float(np.median(cells.z[near])), noise.baseline_m or _BASELINE_M
        # On an inclined background, what is nearer than it may be farther than the answer; then it casts no shadow there.
        cast_px = max(focal_px * baseline_m * (1.0 / near_m - 1.0 / surface_m), 0.0)
        band_px = cast_px + max(_EDGE_PX, _EDGE_M * focal_px / near_m)
        shadow = wide & _grown(near, math.ceil(band_px / cells.step_px))
    unexplained = wide & ~shadow
    return Doubt(
        hidden=float(likely[unexplained].sum()),
        explained=float(likely[shadow].sum()),
        surrounded=_surrounded(cells, _opened(unexplained & missing)),
        near_m=near_m,
    )


def _cut(depth_m: DepthArray, point: FloatArray, surface_m: float, focal_px: float, range_m: tuple[float, float]) -> _Cells:
    height, width = depth_m.shape
    step = max(1, round(max(WIDE_PX, WIDE_M * focal_px / surface_m) / _WIDE_CELLS))
    column, row = (math.floor(at + 0.5) for at in point)
    rows, columns = (np.arange(at - _CELLS * step, at + _CELLS * step + 1, step) for at in (row, column))
    rows, columns = rows[(rows >= 0) & (rows < height)], columns[(columns >= 0) & (columns < width)]
    z = depth_m[rows[0] : rows[-1] + 1 : step, columns[0] : columns[-1] + 1 : step].astype(np.float64)
    with np.errstate(invalid="ignore"):
        z[~((z >= range_m[0]) & (z <= range_m[1]))] = np.nan
    return _Cells(z, columns - point[0], rows - point[1], step)


def _opened(missing: BoolArray) -> BoolArray:
    """Keep what is missing over a width of `_WIDE_CELLS`, single measured cells in it included."""
    if np.count_nonzero(missing) < _LEAST_HOLES:
        return np.zeros_like(missing)
    # Outside the image nothing is missing.
    return _grown(_sums(missing, 1) >= _DENSE, 1)


def _grown(cells: BoolArray, times: int) -> BoolArray:
    """Dilate by `times` cells in all eight directions."""
    return _sums(cells, times) > 0


def _sums(cells: BoolArray, radius: int) -> NDArray[np.int32]:
    """Sum over the square of `radius` cells around each cell."""
    rows, columns = cells.shape
    total = np.zeros((rows + 2 * radius + 1, columns + 2 * radius + 1), np.int32)
    total[radius + 1 : radius + 1 + rows, radius + 1 : radius + 1 + columns] = cells
    total = total.cumsum(axis=0).cumsum(axis=1)
    across = total[2 * radius + 1 :] - total[: -2 * radius - 1]
    return across[:, 2 * radius + 1 :] - across[:, : -2 * radius - 1]


def _background(cells: _Cells, surface_m: float, sigma_m: float) -> FloatArray | None:
    """Find the plane (n, m) in meters through the answer's surface that most of the surroundings lie on; None without one.

    Planes are straight in 1/z. Hypotheses join a cell near the point, of the answer's depth, with two others.
    """
    # A third of the cells tells planes apart as well as all.
    v, u = (each[::_THIN] for each in np.nonzero(np.isfinite(cells.z)))
    least = max(_LEAST_INLIERS, _LEAST_SHARE * u.size, _LEAST_EXTENT * cells.z.size / _THIN)
    if u.size < least:
        return None
    inverse = 1.0 / cells.z[v, u]
    places = np.stack([np.ones(u.size), cells.du[u], cells.dv[v]], axis=1)
    tolerance = max(0.5 * STANDS_OUT_M, 0.8 * STANDS_OUT_SIGMAS * sigma_m) / surface_m**2
    alike = np.flatnonzero(np.abs(inverse - 1.0 / surface_m) <= 2.0 * tolerance)
    if not alike.size:
        return None
    first = alike[np.argsort(places[alike, 1] ** 2 + places[alike, 2] ** 2, kind="stable")[:4]]
    # The multiples of these irrational numbers fall evenly on the cells.
    number = np.arange(_HYPOTHESES)
    second, third = ((number * step % 1.0 * u.size).astype(np.intp) for step in (0.7548776662466927, 0.5698402909980532))
    corners = np.stack([first[number % first.size], second, third], axis=1)
    # The small term only keeps cells in one line from being singular.
    planes = np.linalg.solve(places[corners] + 1e-6 * np.eye(3), inverse[corners][..., None])[..., 0]
    plane = planes[np.argmax(np.count_nonzero(np.abs(places @ planes.T - inverse[:, None]) <= tolerance, axis=0))]
    for _ in range(2):
        inside = np.abs(places @ plane - inverse) <= tolerance
        if np.count_nonzero(inside) < least:
            return None
        held = places[inside]
        plane = np.linalg.solve(held.T @ held, held.T @ inverse[inside])
    if abs(plane[0] - 1.0 / surface_m) > 2.0 * tolerance:
        return None
    grid = plane[0] + plane[1] * cells.du[None, :] + plane[2] * cells.dv[:, None]
    return 1.0 / np.maximum(grid, 1e-3)


def _octants(cells: _Cells, chosen: BoolArray) -> BoolArray:
    """Tell for each of eight directions from the point, (8,), if at least two chosen cells lie there."""
    v, u = np.nonzero(chosen)
    angle = np.arctan2(cells.dv[v], cells.du[u])
    return np.bincount(np.floor((angle / (2 * math.pi) % 1.0) * _OCTANTS).astype(np.intp) % _OCTANTS, minlength=_OCTANTS) >= 2


def _surrounded(cells: _Cells, holes: BoolArray) -> bool:
    """Tell if no half plane through the point is free of holes."""
    v, u = np.nonzero(holes)
    if not u.size:
        return False
    angles = np.sort(np.arctan2(cells.dv[v], cells.du[u]))
    return bool(np.diff(angles, append=angles[0] + 2 * math.pi).max() < math.pi)


def _likely(cells: _Cells, covariance_px2: FloatArray) -> FloatArray:
    """Probability (n, m) of the true point in each cell; sums to one."""
    du, dv = np.broadcast_arrays(cells.du[None, :], cells.dv[:, None])
    blurred = covariance_px2 + np.eye(2) * cells.step_px**2 / 12.0
    likely = np.exp(-0.5 * mahalanobis2(du, dv, blurred))
    return likely / likely.sum()
