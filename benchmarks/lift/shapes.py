"""Shapes with exact depth and exact distance, which the lifting benchmark makes its scenes of.

Rays start at the camera's center and are scaled so that their z is 1: the hit parameter is the depth.
Every position is in the optical frame, in meters.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import FloatArray


class Shape(Protocol):
    """A surface that can be seen and measured."""

    def depth(self, rays: FloatArray) -> FloatArray:
        """Depth (...) of the first hit along rays (..., 3) of z = 1; infinite where there is none."""
        ...

    def distance(self, points: FloatArray) -> FloatArray:
        """Distance (...) of points (..., 3) from the surface, in meters."""
        ...


@dataclass(frozen=True, eq=False)
class Plane:
    """All points p with normal . p = offset_m; the normal (3,) has length one."""

    normal: FloatArray
    offset_m: float

    def depth(self, rays: FloatArray) -> FloatArray:
        """See `Shape`."""
        along = rays @ self.normal
        with np.errstate(divide="ignore"):
            z = self.offset_m / along
        return np.where(np.isfinite(z) & (z > 0), z, np.inf)

    def distance(self, points: FloatArray) -> FloatArray:
        """See `Shape`."""
        return np.abs(points @ self.normal - self.offset_m)


@dataclass(frozen=True, eq=False)
class Sphere:
    """A ball."""

    center_m: FloatArray
    radius_m: float

    def depth(self, rays: FloatArray) -> FloatArray:
        """See `Shape`."""
        return _nearer_root(np.sum(rays**2, -1), rays @ self.center_m, float(self.center_m @ self.center_m) - self.radius_m**2)

    def distance(self, points: FloatArray) -> FloatArray:
        """See `Shape`."""
        return np.abs(np.linalg.norm(points - self.center_m, axis=-1) - self.radius_m)


@dataclass(frozen=True, eq=False)
class Rod:
    """A round rod of any length whose axis (3,) has length one."""

    center_m: FloatArray
    axis: FloatArray
    radius_m: float
    half_length_m: float

    def depth(self, rays: FloatArray) -> FloatArray:
        """See `Shape`; the ends are open."""
        across = rays - (rays @ self.axis)[..., None] * self.axis
        center = self.center_m - (self.center_m @ self.axis) * self.axis
        z = _nearer_root(np.sum(across**2, -1), across @ center, float(center @ center) - self.radius_m**2)
        reach = np.abs(np.where(np.isfinite(z), z, 0.0) * (rays @ self.axis) - self.center_m @ self.axis)
        return np.where(reach <= self.half_length_m, z, np.inf)

    def distance(self, points: FloatArray) -> FloatArray:
        """See `Shape`."""
        offset = points - self.center_m
        along = offset @ self.axis
        across = np.linalg.norm(offset - along[..., None] * self.axis, axis=-1)
        beyond = np.maximum(np.abs(along) - self.half_length_m, 0.0)
        return np.hypot(across - self.radius_m, beyond)


@dataclass(frozen=True, eq=False)
class Box:
    """A box; rows of `rotation` (3, 3) are its own axes, `half_m` (3,) half its sides along them."""

    center_m: FloatArray
    rotation: FloatArray
    half_m: FloatArray

    def depth(self, rays: FloatArray) -> FloatArray:
        """See `Shape`."""
        start, direction = self.rotation @ -self.center_m, rays @ self.rotation.T
        direction = np.where(np.abs(direction) < 1e-12, 1e-12, direction)
        one, other = (-self.half_m - start) / direction, (self.half_m - start) / direction
        enter, leave = np.minimum(one, other).max(axis=-1), np.maximum(one, other).min(axis=-1)
        return np.where((enter <= leave) & (enter > 0), enter, np.inf)

    def distance(self, points: FloatArray) -> FloatArray:
        """See `Shape`."""
        outside = np.abs((points - self.center_m) @ self.rotation.T) - self.half_m
        away = np.linalg.norm(np.maximum(outside, 0.0), axis=-1)
        return np.abs(away + np.minimum(outside.max(axis=-1), 0.0))


def render(shapes: list[Shape], rays: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
    """Depth (h, w) of the nearest shape along each ray (h, w, 3), and its index (h, w)."""
    depths = np.stack([shape.depth(rays) for shape in shapes])
    index = depths.argmin(axis=0)
    return np.take_along_axis(depths, index[None], 0)[0], index


def _nearer_root(a: FloatArray, half_b: FloatArray, c: float) -> FloatArray:
    """The smaller t > 0 with a t^2 - 2 half_b t + c = 0; infinite where there is none."""
    inside = half_b**2 - a * c
    t = (half_b - np.sqrt(np.maximum(inside, 0.0))) / np.maximum(a, 1e-15)
    return np.where((inside >= 0) & (t > 0), t, np.inf)
