"""Support plane of objects, found in a patch of a depth image."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arrays import FloatArray, IntArray
from molmo_point.errors import InputError
from molmo_point.grasp.patch import Patch, label_pieces
from molmo_point.plain_json import plain_json

MIN_SHARE = 0.08
"""Smallest share of the surroundings, weighted by nearness, that lies in the plane."""

MIN_SPREAD_M = 0.025
"""Smallest standard deviation of the plane's points in its narrower direction; the side of an object has less."""

LEVEL_M = 0.005
"""Points nearer to a plane than this are on it, in meters."""

TOP_M = 0.28
"""Narrower side of a plane from which it is a table, not the top of an object, in meters."""

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
    a plane count against it, so the top of a box is not mistaken for the table. Without `up`, a plane that faces the top of
    the image is favored. A plane through the point that is no larger than an object is the support only if no lower plane is
    near: it may be a book on a table.

    Args:
        patch: Surroundings of the point.
        target_m: Point (3,) in the optical frame, in meters; the support is below it or through it.
        up: Unit vector (3,) against gravity in the optical frame; if given, the support is within 20 degrees of level.
    """
    rng = np.random.default_rng(0)  # one frame gives one answer
    flat = np.flatnonzero(patch.solid)
    if flat.size < 50:
        return None
    sample = _Sample.of(patch, rng.choice(flat, min(_SAMPLES, flat.size), replace=False), target_m)
    slopes = _hypotheses(sample.points_m, target_m, rng)
    if not len(slopes):
        return None
    length = np.linalg.norm(slopes, axis=1)
    deviation = (sample.inverse - slopes @ sample.rays.T) / sample.sigma_q
    held = np.abs(deviation) < _INLIER_SIGMAS
    score = (held * sample.nearness).sum(axis=1) - ((deviation < -4.0) * sample.nearness).sum(axis=1)
    upness = slopes[:, 1] / length if up is None else -(slopes @ up) / length
    score = score * (1.0 + 0.5 * upness) if up is None else np.where(upness > math.cos(_UP_TOLERANCE_RAD), score, -np.inf)
    support = _best(slopes, score, sample)
    if support is not None and _is_top(patch, support, target_m):
        lower = (slopes @ target_m - 1.0) / length < -LEVEL_M
        support = _best(slopes, np.where(lower, score, -np.inf), sample) or support
    return support


def _best(slopes: FloatArray, score: FloatArray, sample: "_Sample") -> SupportPlane | None:
    best = int(np.argmax(score))
    return _refined(slopes[best], sample) if math.isfinite(score[best]) else None


def _is_top(patch: Patch, plane: SupportPlane, target_m: FloatArray) -> bool:
    """Return True if the point is on the plane, and the plane around it is no larger than an object."""
    if abs(plane.height_m(target_m)) > LEVEL_M + 2.0 * plane.sigma_m:
        return False
    points = _piece_around(patch, plane, target_m)
    return len(points) > 30 and _spread(points)[1] * math.sqrt(12.0) < TOP_M


def _piece_around(patch: Patch, plane: SupportPlane, target_m: FloatArray) -> FloatArray:
    """Return the points (n, 3) of a plane that are connected with a point on it."""
    points = patch.points_m[::2, ::2]
    with np.errstate(invalid="ignore"):
        on = np.abs(plane.height_m(points)) < np.maximum(LEVEL_M, 3.0 * plane.sigma_m)
    distance = np.where(on, np.linalg.norm(points - target_m, axis=-1), np.inf)
    pieces = label_pieces(on)
    return points[on & (pieces == pieces[np.unravel_index(int(np.argmin(distance)), on.shape)])]


def _spread(points_m: FloatArray) -> FloatArray:
    """Return the standard deviations (3,) of points (n, 3) along their principal axes, largest first."""
    return np.linalg.svd(points_m - points_m.mean(axis=0), compute_uv=False) / math.sqrt(len(points_m))


def _hypotheses(points: FloatArray, target_m: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return planes (k, 3) `slope . p = 1` through three points each, with the target not below them."""
    a, b, c = points[rng.integers(0, len(points), (3, _TRIES))]
    normal = np.cross(b - a, c - a)
    offset = np.sum(normal * a, axis=1)
    length = np.linalg.norm(normal, axis=1)
    good = (length > 1e-4) & (np.abs(offset) > 1e-9)
    slopes = normal[good] / offset[good, None]
    length = np.linalg.norm(slopes, axis=1)
    # slope . p = 1 on the plane and 0 at the camera; the target may be at most a centimeter below.
    return slopes[(slopes @ target_m - 1.0) / length < 0.01]


def _refined(slope: FloatArray, sample: "_Sample") -> SupportPlane | None:
    rays, inverse, sigma_q, nearness = sample.rays, sample.inverse, sample.sigma_q, sample.nearness
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
    if _spread(points)[1] < MIN_SPREAD_M:
        return None
    distance = (points @ slope - 1.0) / length
    return SupportPlane(-slope / length, -1.0 / length, float(np.sqrt(np.mean(distance**2))), share)


@dataclass(frozen=True, eq=False)
class _Sample:
    """Thinned points of a patch: rays, points, inverse depths with their standard deviations, nearness to the target."""

    rays: FloatArray
    points_m: FloatArray
    inverse: FloatArray
    sigma_q: FloatArray
    nearness: FloatArray

    @classmethod
    def of(cls, patch: Patch, chosen: IntArray, target_m: FloatArray) -> "_Sample":
        rays = patch.rays.reshape(-1, 3)[chosen]
        z, sigma = patch.depth_m.reshape(-1)[chosen], patch.sigma_m.reshape(-1)[chosen]
        points = rays * z[:, None]
        nearness = np.exp(-0.5 * np.sum((points - target_m) ** 2, axis=1) / _NEARNESS_M**2) + 0.05
        return cls(rays, points, 1.0 / z, sigma / z**2, nearness)
