"""Shape of an object's measured surface: normal at a point, oriented box."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.grasp.object_region import ObjectRegion
from molmo_point.grasp.support import SupportPlane
from molmo_point.plain_json import plain_json

NORMAL_RADIUS_M = 0.012
"""Radius of the surface around the point whose normal is measured, in meters."""

_MIN_POINTS = 12
_ANGLES = 90
_MATCHING_PX = 5.0


@dataclass(frozen=True, eq=False)
class SurfaceNormal:
    """Normal of a surface at a point.

    Attributes:
        direction: Unit vector (3,) in the optical frame, toward the camera's side; NaN if unknown.
        sigma_rad: Standard deviation of its angle in the least certain direction, in radians; NaN if unknown.
        point_count: Number of measured points in the fit.
    """

    direction: FloatArray
    sigma_rad: float
    point_count: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON; null if unknown."""
        return plain_json(self) | ({} if self.point_count >= _MIN_POINTS else {"direction": None})


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """Box around the measured part of an object, without its unseen part.

    Attributes:
        center_m: Center (3,) in the optical frame, in meters.
        axes: Unit vectors as rows (3, 3), right-handed. On a support plane the last axis points up from it and the first
            lies along the longer side; without a plane they are the principal axes, longest first.
        extents_m: Full lengths (3,) along the axes, in meters; on a support plane the height counts from the plane.
    """

    center_m: FloatArray
    axes: FloatArray
    extents_m: FloatArray

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON; the axes are row-major."""
        return plain_json({"center_m": self.center_m, "axes": self.axes.reshape(-1), "extents_m": self.extents_m})


def surface_normal(region: ObjectRegion) -> SurfaceNormal:
    """Measure the normal of the object's surface at the region's seed point.

    A plane is fitted in inverse depth, where stereo noise is even, and fitted again without the outliers. The uncertainty
    follows from the scatter about the fit and from the correlation of neighboring pixels.
    """
    unknown = SurfaceNormal(np.full(3, np.nan), math.nan, 0)
    if region.patch is None or region.inside is None:
        return unknown
    patch = region.patch
    near = region.inside & (np.sum((patch.points_m - region.target_m) ** 2, axis=-1) < NORMAL_RADIUS_M**2)
    rays, z = patch.rays[near], patch.depth_m[near]
    kept = np.ones(len(z), dtype=bool)
    slope, residual = np.zeros(3), np.zeros(0)
    for _ in range(2):
        if np.count_nonzero(kept) < _MIN_POINTS:
            return unknown
        slope = np.linalg.lstsq(rays[kept], 1.0 / z[kept], rcond=None)[0]
        residual = 1.0 / z - rays @ slope
        kept &= np.abs(residual) <= 3.5 * 1.4826 * np.median(np.abs(residual[kept])) + 1e-9
    if np.count_nonzero(kept) < _MIN_POINTS:
        return unknown
    count = int(np.count_nonzero(kept))
    length = float(np.linalg.norm(slope))
    variance = float(np.sum(residual[kept] ** 2)) / max(count - 3, 1)
    # A stereo camera matches windows: this many pixels of the patch share one independent error.
    alike = max(1.0, (_MATCHING_PX / patch.stride) ** 2)
    covariance = np.linalg.pinv(rays[kept].T @ rays[kept]) * variance * alike
    normal = np.asarray(-slope / length, dtype=np.float64)
    across = (np.eye(3) - np.outer(normal, normal)) / length
    sigma = math.sqrt(max(0.0, float(np.linalg.eigvalsh(across @ covariance @ across.T)[-1])))
    return SurfaceNormal(normal, sigma, count)


def oriented_box(points_m: FloatArray, support: SupportPlane | None) -> OrientedBox:
    """Fit the smallest upright box around points (n, 3) on a support plane, or the box along their principal axes.

    The outermost percent of the points on each side counts as noise.
    """
    if support is None:
        axes = np.linalg.svd(points_m - points_m.mean(axis=0), full_matrices=False)[2]
        axes[2] = np.cross(axes[0], axes[1])
    else:
        axes = _upright_axes(points_m, support.normal)
    low, high = np.quantile(points_m @ axes.T, [0.01, 0.99], axis=0)
    if support is not None:
        low[2] = support.offset_m
    return OrientedBox(0.5 * (low + high) @ axes, axes, high - low)


def _upright_axes(points_m: FloatArray, up: FloatArray) -> FloatArray:
    """Return the rows along, across and up of the smallest rectangle around the footprint."""
    first, second = _plane_axes(up)
    angles = np.arange(_ANGLES) * (math.pi / 2 / _ANGLES)
    turn = np.stack([np.cos(angles), np.sin(angles)])
    flat = points_m @ np.stack([first, second], axis=1)
    spans = []
    for direction in (turn, np.stack([-turn[1], turn[0]])):
        low, high = np.quantile(flat @ direction, [0.01, 0.99], axis=0)
        spans.append(high - low)
    best = int(np.argmin(spans[0] * spans[1]))
    along = math.cos(angles[best]) * first + math.sin(angles[best]) * second
    if spans[1][best] > spans[0][best]:
        along = np.cross(up, along)
    return np.stack([along, np.cross(up, along), up])


def _plane_axes(normal: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return two unit vectors that with `normal` make a right-handed set; the first is near the image's x axis."""
    start = np.array([1.0, 0.0, 0.0]) if abs(normal[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
    first = start - (start @ normal) * normal
    first /= np.linalg.norm(first)
    return first, np.cross(normal, first)
