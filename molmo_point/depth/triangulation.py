"""Positions of points seen in several views of cameras without depth: association, parallax check, robust least squares."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.planar_pose import projection_jacobian
from molmo_point.geometry.transforms import Transform
from molmo_point.results import DepthStatus

MAX_CHI2 = 9.21
"""Squared Mahalanobis distance that 99 % of the right points in two dimensions have at most."""
AMBIGUOUS_CHI2 = 6.0
"""A second solution whose cost is at most this much larger is as plausible as the best one."""
SAME_M = 0.02
"""Solutions nearer than this are one object, in meters."""
MIN_PARALLAX_RAD = math.radians(3.0)
"""Smallest angle between two rays of one point."""
MIN_BASELINE_M = 0.02
"""Cameras nearer to one another than this count as one."""
MAX_SHARE = 0.1
"""Largest standard deviation, as a share of the distance from the nearest camera."""
EXTENT_M = 0.0025
"""Default spread of the pointed-at places on one object between views, in meters: a model points at what each view shows.

Measured by `python -m benchmarks.without_depth`.
"""
MAX_POINTS = 100
_STEPS, _MIN_DEPTH_M, _MAX_DEPTH_M = 8, 0.05, 20.0


@dataclass(frozen=True, eq=False)
class SeenPoint:
    """One point in one view.

    Attributes:
        uv: Pixel (2,).
        covariance_px2: Its covariance (2, 2), in square pixels.
    """

    uv: FloatArray
    covariance_px2: FloatArray


@dataclass(frozen=True, eq=False)
class CameraView:
    """Points of one image, with the pose of its camera.

    Attributes:
        intrinsics: Intrinsics of the image.
        world_T_camera: Pose of the optical frame; the target frame is the same in all views. Its covariance counts.
        points: The points that may be the object.
    """

    intrinsics: Intrinsics
    world_T_camera: Transform
    points: tuple[SeenPoint, ...]


@dataclass(frozen=True, eq=False)
class Triangulated:
    """Position of one point of the first view.

    Attributes:
        status: TRIANGULATED; or NO_PARALLAX or NO_MATCH, the reason why there is no position.
        message: The reason in words; empty with a position.
        position_m: (3,) in the world frame, in meters; NaN without.
        covariance_m2: (3, 3), in square meters; NaN without.
        matches: For every view the index of the point that belongs to it; None where none does.
        parallax_rad: Largest angle between two rays; NaN without a position.
    """

    status: DepthStatus
    message: str
    position_m: FloatArray
    covariance_m2: FloatArray
    matches: tuple[int | None, ...]
    parallax_rad: float


def triangulate(views: Sequence[CameraView], *, extent_m: float = EXTENT_M) -> tuple[Triangulated, ...]:
    """Triangulate every point of the first view with the points of the other views.

    A pair of points of two views gives a hypothesis; every other view may confirm it with the point that agrees best. The
    hypothesis that most views confirm wins, then the one with the least squared error. It needs parallax, and no second
    object may explain the point as well.

    Args:
        views: Two views or more of a scene that stands still.
        extent_m: Spread of the pointed-at places on one object between views, in meters.

    Returns:
        One result for each point of the first view, in its order.

    Raises:
        InputError: With fewer than two views, too many points, or an extent that is negative or not finite.
        FrameError: The poses of the views end in different frames.
    """
    _check(views, extent_m)
    first = views[0]
    ranked = []
    for index in range(len(first.points)):
        found = sorted(_hypotheses(views, index, extent_m), key=lambda each: (-each.count, each.chi2))
        ranked.append(found)
    results: list[Triangulated | None] = [None] * len(first.points)
    used: set[tuple[int, int]] = set()
    # The surest hypotheses choose first: a point of another view belongs to one object.
    order = sorted(range(len(ranked)), key=lambda i: (-ranked[i][0].count, ranked[i][0].chi2) if ranked[i] else (1, 0.0))
    for index in order:
        free = [each for each in ranked[index] if not used & set(each.taken)]
        results[index] = _decided(views, index, free, bool(ranked[index]))
        if results[index].status is DepthStatus.TRIANGULATED:  # type: ignore[union-attr]
            used |= set(free[0].taken)
    return tuple(result for result in results if result is not None)


@dataclass(frozen=True, eq=False)
class _Hypothesis:
    """A position with the points that agree with it: index for every view, squared error, covariance."""

    matches: tuple[int | None, ...]
    position_m: FloatArray
    covariance_m2: FloatArray
    chi2: float

    @property
    def count(self) -> int:
        return sum(match is not None for match in self.matches)

    @property
    def taken(self) -> list[tuple[int, int]]:
        return [(view, match) for view, match in enumerate(self.matches) if view and match is not None]


def _check(views: Sequence[CameraView], extent_m: float) -> None:
    if len(views) < 2:
        raise InputError("views must be two or more", f"{len(views)}", "look from a second place")
    if not (math.isfinite(extent_m) and extent_m >= 0):
        raise InputError("extent_m must be finite and not negative", f"{extent_m}", "give meters, e.g. 0.0025")
    frames = {view.world_T_camera.target for view in views}
    if len(frames) > 1:
        raise FrameError("The poses of all views must end in one frame", ", ".join(sorted(frames)), "give them in the base frame")
    most = max(len(view.points) for view in views)
    if most > MAX_POINTS:
        raise InputError(f"A view must have at most {MAX_POINTS} points", f"{most}", "ask for fewer points")


def _decided(views: Sequence[CameraView], index: int, free: list[_Hypothesis], had_any: bool) -> Triangulated:
    if not free:
        origin = views[0].world_T_camera.translation_m
        baseline_m = max(float(np.linalg.norm(view.world_T_camera.translation_m - origin)) for view in views[1:])
        if baseline_m < MIN_BASELINE_M:
            message = f"the cameras are only {baseline_m * 1e3:.0f} mm apart; look from farther aside"
            return _none(views, DepthStatus.NO_PARALLAX, message)
        message = "another point takes its match" if had_any else "no other view confirms it"
        return _none(views, DepthStatus.NO_MATCH, message)
    best = free[0]
    for other in free[1:]:
        apart_m = float(np.linalg.norm(other.position_m - best.position_m))
        rivals = other.count == best.count and other.chi2 <= best.chi2 + AMBIGUOUS_CHI2
        if rivals and apart_m > SAME_M and other.matches != best.matches:
            message = f"two places, {apart_m * 1e3:.0f} mm apart, explain it equally well; look from a third place"
            return _none(views, DepthStatus.NO_MATCH, message)
    rays = [_ray(view, view.points[match]) for view, match in zip(views, best.matches) if match is not None]
    cosine = min(float(one @ other) for one, other in itertools.combinations(rays, 2))
    parallax = math.acos(min(1.0, max(-1.0, cosine)))
    sigma_m = math.sqrt(max(0.0, float(np.linalg.eigvalsh(best.covariance_m2)[-1])))
    near_m = min(float(np.linalg.norm(best.position_m - view.world_T_camera.translation_m)) for view in views)
    if parallax < MIN_PARALLAX_RAD or not sigma_m <= MAX_SHARE * near_m:
        told = f"the views differ by {math.degrees(parallax):.1f} degrees only, an error of {sigma_m * 1e3:.0f} mm"
        return _none(views, DepthStatus.NO_PARALLAX, f"{told}; look from farther aside")
    return Triangulated(DepthStatus.TRIANGULATED, "", best.position_m, best.covariance_m2, best.matches, parallax)


def _none(views: Sequence[CameraView], status: DepthStatus, message: str) -> Triangulated:
    return Triangulated(status, message, np.full(3, np.nan), np.full((3, 3), np.nan), (None,) * len(views), math.nan)


def _hypotheses(views: Sequence[CameraView], index: int, extent_m: float) -> Iterator[_Hypothesis]:
    """Yield the positions that a point of the first view and one of another view agree on, refined with all views."""
    seen: set[tuple[int | None, ...]] = set()
    for number, view in enumerate(views[1:], start=1):
        for match in range(len(view.points)):
            pair: list[int | None] = [None] * len(views)
            pair[0], pair[number] = index, match
            found = _solved(views, pair, extent_m)
            if found is None:
                continue
            joined = _joined(views, found, extent_m)
            again = found if joined == found.matches else _solved(views, joined, extent_m)
            best = again or found
            if best.matches not in seen:
                seen.add(best.matches)
                yield best


def _joined(views: Sequence[CameraView], found: _Hypothesis, extent_m: float) -> tuple[int | None, ...]:
    """Return the matches with those of the views that confirm the position, too."""
    matches = list(found.matches)
    for number, view in enumerate(views):
        if matches[number] is None and view.points:
            chi2 = [_chi2(view, point, found.position_m, found.covariance_m2, extent_m) for point in view.points]
            best = int(np.argmin(chi2))
            matches[number] = best if chi2[best] <= MAX_CHI2 else None
    return tuple(matches)


def _solved(views: Sequence[CameraView], matches: Sequence[int | None], extent_m: float) -> _Hypothesis | None:
    """Solve for the position of matched points by Gauss-Newton; None if they do not agree."""
    used = [(view, view.points[match]) for view, match in zip(views, matches) if match is not None]
    position = _nearest_to_rays(used)
    if position is None:
        return None
    normal, chi2 = np.eye(3), 0.0
    for _ in range(_STEPS):
        normal, gradient, chi2 = np.zeros((3, 3)), np.zeros(3), 0.0
        for view, point in used:
            linear = _linearized(view, point, position, extent_m)
            if linear is None:
                return None
            away, jacobian, weight = linear
            normal += jacobian.T @ weight @ jacobian
            gradient += jacobian.T @ weight @ away
            chi2 += float(away @ weight @ away)
        if np.linalg.cond(normal) > 1e12:
            return None
        step = np.linalg.solve(normal, gradient)
        position = position + step
        if float(np.linalg.norm(step)) < 1e-6:
            break
    # Each point gives two equations, and three unknowns are solved for.
    free = 2 * len(used) - 3
    if chi2 > MAX_CHI2 * max(1.0, 0.6 * free):
        return None
    return _Hypothesis(tuple(matches), position, np.linalg.inv(normal), chi2)


def _nearest_to_rays(used: Sequence[tuple[CameraView, SeenPoint]]) -> FloatArray | None:
    """Return the position nearest to all rays; None if they are parallel or it lies behind a camera."""
    normal, right = np.zeros((3, 3)), np.zeros(3)
    for view, point in used:
        ray = _ray(view, point)
        if not np.all(np.isfinite(ray)):
            return None
        across = np.eye(3) - np.outer(ray, ray)
        normal += across
        right += across @ view.world_T_camera.translation_m
    if np.linalg.eigvalsh(normal)[0] < 1e-6:
        return None
    return np.linalg.solve(normal, right)


def _ray(view: CameraView, point: SeenPoint) -> FloatArray:
    ray = view.world_T_camera.rotation @ view.intrinsics.deproject(point.uv, 1.0)
    return ray / np.linalg.norm(ray)


def _linearized(
    view: CameraView, point: SeenPoint, position: FloatArray, extent_m: float
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Return the error (2,) of a projection in pixels, its Jacobian (2, 3) by the position, and its weight (2, 2)."""
    pose = view.world_T_camera
    local = pose.rotation.T @ (position - pose.translation_m)
    if not _MIN_DEPTH_M < local[2] < _MAX_DEPTH_M:
        return None
    # Beyond the fold of a lens, `projection_jacobian` follows the polynomial, and `project` is NaN.
    if not np.all(np.isfinite(view.intrinsics.project(local))):
        return None
    uv, by_local = projection_jacobian(local, view.intrinsics)
    jacobian = by_local @ pose.rotation.T
    spread = point.covariance_px2 + extent_m**2 * jacobian @ jacobian.T
    if pose.covariance is not None:
        # The error of the pose moves the position in the world as the transform of a point does.
        spread = spread + jacobian @ pose.apply_covariance(np.zeros((3, 3)), local) @ jacobian.T
    return point.uv - uv, jacobian, np.linalg.inv(spread + 1e-9 * np.eye(2))


def _chi2(view: CameraView, point: SeenPoint, position: FloatArray, covariance_m2: FloatArray, extent_m: float) -> float:
    """Return the squared Mahalanobis distance of a point from the projection of an uncertain position; inf behind it."""
    linear = _linearized(view, point, position, extent_m)
    if linear is None:
        return math.inf
    away, jacobian, weight = linear
    return float(away @ np.linalg.solve(np.linalg.inv(weight) + jacobian @ covariance_m2 @ jacobian.T, away))
