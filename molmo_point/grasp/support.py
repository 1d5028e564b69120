"""Support plane of objects, found in a patch of a depth image."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.grasp.patch import Patch
from molmo_point.plain_json import plain_json

MIN_SHARE = 0.15
"""Smallest share of the surroundings, weighted by nearness, that lies in the plane."""

MIN_SPREAD_M = 0.025
"""Smallest standard deviation of the plane's points in its narrower direction; the side of an object has less."""

_TRIES, _SAMPLES, _INLIER_SIGMAS = 240, 1500, 3.0
_NEARNESS_M = 0.12
_UP_TOLERANCE_RAD = math.radians(20.0)


def direction(name: str, vector: ArrayLike) -> FloatArray:
    """Return the unit vector (3,) along a vector.

    Raises:
        InputError: If it is not three finite numbers, or is zero.
    """
    array = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(array)) if array.shape == (3,) else 0.0
    if not (math.isfinite(length) and length > 1e-9):
        raise InputError(f"{name} must be a direction", repr(vector), "give three finite numbers that are not all zero")
    return array / length


@dataclass(frozen=True, eq=False)
class SupportPlane:
    """Plane `normal . p = offset_m` in the optical frame.

    Attributes:
        normal: Unit vector (3,) toward the camera's side: up from a table.
        offset_m: Signed distance of the plane along the normal, in meters; below zero, since the camera is above it.
        sigma_m: Standard deviation of measured points from the plane, in meters.
        share: Share of the surroundings in the plane, weighted by nearness, 0 to 1.
    """

    normal: FloatArray
    offset_m: float
    sigma_m: float
    share: float

    def height_m(self, points_m: FloatArray) -> FloatArray:
        """Return the heights (...) of points (..., 3) above the plane, in meters; negative below it."""
        return points_m @ self.normal - self.offset_m

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return plain_json(self)


def find_support(patch: Patch, target_m: FloatArray, *, up: FloatArray | None = None) -> SupportPlane | None:
    """Find the plane below a point that holds most of its surroundings, or None.

    In inverse depth a plane is a linear function of the ray, and the noise of a stereo camera is even. Points seen beneath
    a plane count against it, so the top of a box is not mistaken for the table.

    Args:
        patch: Surroundings of the point.
        target_m: Point (3,) in the optical frame, in meters; the plane is below it or through it.
        up: Unit vector (3,) against gravity in the optical frame; if given, the plane is within 20 degrees of level.
    """
    rng = np.random.default_rng(0)  # one frame gives one answer
    flat = np.flatnonzero(patch.solid)
    if flat.size < 50:
        return None
    chosen = rng.choice(flat, min(_SAMPLES, flat.size), replace=False)
    rays = patch.rays.reshape(-1, 3)[chosen]
    z, sigma = patch.depth_m.reshape(-1)[chosen], patch.sigma_m.reshape(-1)[chosen]
    points, inverse, sigma_q = rays * z[:, None], 1.0 / z, sigma / z**2
    nearness = np.exp(-0.5 * np.sum((points - target_m) ** 2, axis=1) / _NEARNESS_M**2) + 0.05
    slopes = _hypotheses(points, target_m, up, rng)
    if not len(slopes):
        return None
    deviation = (inverse - slopes @ rays.T) / sigma_q
    score = ((np.abs(deviation) < _INLIER_SIGMAS) * nearness).sum(axis=1) - ((deviation < -4.0) * nearness).sum(axis=1)
    best = slopes[int(np.argmax(score))]
    return _refined(best, rays, inverse, sigma, sigma_q, nearness)


def _hypotheses(points: FloatArray, target_m: FloatArray, up: FloatArray | None, rng: np.random.Generator) -> FloatArray:
    """Return planes (k, 3) `slope . p = 1` through three points each, with the target not below them."""
    a, b, c = points[rng.integers(0, len(points), (3, _TRIES))]
    normal = np.cross(b - a, c - a)
    offset = np.sum(normal * a, axis=1)
    length = np.linalg.norm(normal, axis=1)
    good = (length > 1e-4) & (np.abs(offset) > 1e-9)
    slopes = normal[good] / offset[good, None]
    length = np.linalg.norm(slopes, axis=1)
    # slope . p = 1 on the plane and 0 at the camera; the target may be at most a centimeter below.
    good = (slopes @ target_m - 1.0) / length < 0.01
    if up is not None:
        good &= -(slopes @ up) / length > math.cos(_UP_TOLERANCE_RAD)
    return slopes[good]


def _refined(
    slope: FloatArray, rays: FloatArray, inverse: FloatArray, sigma: FloatArray, sigma_q: FloatArray, nearness: FloatArray
) -> SupportPlane | None:
    inside = np.abs(inverse - rays @ slope) < _INLIER_SIGMAS * sigma_q
    for _ in range(3):
        if np.count_nonzero(inside) < 30:
            return None
        weight = 1.0 / sigma_q[inside]
        slope = np.asarray(np.linalg.lstsq(rays[inside] * weight[:, None], inverse[inside] * weight, rcond=None)[0], np.float64)
        inside = np.abs(inverse - rays @ slope) < _INLIER_SIGMAS * sigma_q
    share = float(nearness[inside].sum() / nearness.sum())
    if share < MIN_SHARE:
        return None
    length = float(np.linalg.norm(slope))
    points = rays[inside] / inverse[inside, None]
    if np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[1] < MIN_SPREAD_M * math.sqrt(len(points)):
        return None
    distance = (points @ slope - 1.0) / length
    return SupportPlane(-slope / length, -1.0 / length, float(np.sqrt(np.mean(distance**2))), share)
