"""Lift of labeled points with drawn pixel errors: wrong surfaces, refusals, and the stated error against the measured one."""

import time
import zlib
from dataclasses import dataclass, field

import numpy as np

from molmo_point.arrays import DepthArray, FloatArray
from molmo_point.depth.lift import lift_point
from molmo_point.evaluation.real.labeled_frames import LabeledFrame, LabeledPoint, SurfaceKind
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.results import DepthStatus, ImagePoint, Target

PIXEL_ERROR_PX = 3.0
"""Standard deviation of the drawn errors of u and of v, in pixels."""
DRAWS = 40
"""Default number of draws for each point."""
TOLERANCE_M, TOLERANCE_SHARE = 0.010, 0.01
"""A depth is gross if it is off the labeled interval by more than the larger of meters and share of the depth."""
_EDGE_SIGMAS = 3.0


@dataclass(frozen=True)
class LiftTrial:
    """The draws of one point.

    Attributes:
        frame: Name of the frame.
        point: Name of the point.
        kind: Kind of its surface.
        known: True if its depth is labeled.
        draws: Number of draws.
        refused: Number of draws without a position.
        told: Number of gross positions that are AMBIGUOUS.
        silent: Number of gross positions with status OK.
        ambiguous: Number of positions that are AMBIGUOUS, right or wrong.
        off_m: Largest distance of a depth from the labeled interval, in meters.
        mahalanobis2: Squared errors of the positions that are not gross, in units of their covariance; empty where the
            depth camera measured nothing of the labeled surface at the point itself.
        lift_ms: Time of each lift, in milliseconds.
        statuses: Number of draws by status.
    """

    frame: str
    point: str
    kind: SurfaceKind
    known: bool
    draws: int
    refused: int
    told: int
    silent: int
    ambiguous: int
    off_m: float
    mahalanobis2: tuple[float, ...]
    lift_ms: tuple[float, ...]
    statuses: dict[str, int] = field(default_factory=dict)


def drawn_points(labeled: LabeledFrame, point: LabeledPoint, draws: int, seed: int) -> FloatArray:
    """Draw pixels (draws, 2) around a point, within the image; they depend on the seed and both names only."""
    rng = np.random.default_rng([seed, zlib.crc32(labeled.name.encode()), zlib.crc32(point.name.encode())])
    drawn = np.array([point.u, point.v]) + rng.normal(0.0, PIXEL_ERROR_PX, (draws, 2))
    return np.clip(drawn, 0.0, np.array(labeled.frame.size_wh) - 1.0)


def off_interval_m(depth_m: float, point: LabeledPoint) -> float:
    """Return the distance of a depth from the labeled interval, in meters; NaN without an interval."""
    if point.z_m is None:
        return float("nan")
    return max(point.z_m[0] - depth_m, depth_m - point.z_m[1], 0.0)


def tolerance_m(point: LabeledPoint) -> float:
    """Return the largest distance from the labeled interval that is not gross, in meters."""
    return TOLERANCE_M if point.z_m is None else max(TOLERANCE_M, TOLERANCE_SHARE * point.z_m[1])


def try_lift(
    labeled: LabeledFrame, point: LabeledPoint, *, draws: int = DRAWS, seed: int = 0, noise: DepthNoise | None = None
) -> LiftTrial:
    """Lift a labeled point `draws` times, each with another pixel error.

    Args:
        labeled: The frame.
        point: The point.
        draws: Number of draws.
        seed: Seed of the draws.
        noise: Noise of the depth camera; default that of the frame.
    """
    statuses: dict[str, int] = {}
    told = silent = ambiguous = refused = 0
    worst, squared, times_ms = 0.0, [], []
    truth = _position(labeled, point)
    for u, v in drawn_points(labeled, point, draws, seed):
        start = time.perf_counter()
        lifted = lift_point(ImagePoint(float(u), float(v), point.name, sigma_px=PIXEL_ERROR_PX), labeled.frame, noise=noise)
        times_ms.append((time.perf_counter() - start) * 1e3)
        status = lifted.depth_status if isinstance(lifted, Target) else lifted.reason
        statuses[status.value] = statuses.get(status.value, 0) + 1
        if not isinstance(lifted, Target):
            refused += 1
            continue
        doubtful = lifted.depth_status is DepthStatus.AMBIGUOUS
        ambiguous += doubtful
        off_m = off_interval_m(float(lifted.position_m[2]), point)
        if off_m > tolerance_m(point):
            told, silent = told + doubtful, silent + (not doubtful)
        elif truth is not None:
            error = lifted.position_m - truth
            squared.append(float(error @ np.linalg.solve(lifted.covariance_m2, error)))
        worst = float(np.fmax(worst, off_m))
    kind = point.kind or kind_by_depth(labeled, point)
    figures = (draws, refused, told, silent, ambiguous, worst, tuple(squared), tuple(times_ms), statuses)
    return LiftTrial(labeled.name, point.name, kind, point.z_m is not None, *figures)


def kind_by_depth(labeled: LabeledFrame, point: LabeledPoint) -> SurfaceKind:
    """Tell a plain surface from the rest: all pixels within three standard deviations are measured and of its depth."""
    depth_m = labeled.frame.depth_m
    assert depth_m is not None
    around = _around(depth_m, point, round(_EDGE_SIGMAS * PIXEL_ERROR_PX))
    known = np.isfinite(around)
    low, high = point.z_m or (float(np.nanmin(around, initial=np.inf)),) * 2
    margin_m = tolerance_m(point)
    alike = known & (around >= low - margin_m) & (around <= high + margin_m)
    return SurfaceKind.PLAIN if np.mean(alike) > 0.98 else SurfaceKind.EDGE


def _position(labeled: LabeledFrame, point: LabeledPoint) -> FloatArray | None:
    """Return the measured position (3,) of the labeled surface at the point's own pixels; None if they do not show it."""
    depth_m, intrinsics = labeled.frame.depth_m, labeled.frame.intrinsics
    assert depth_m is not None and intrinsics is not None
    around = _around(depth_m, point, 1)
    if point.z_m is None or np.count_nonzero(np.isfinite(around)) < around.size / 2:
        return None
    measured_m = float(np.nanmedian(around))
    if off_interval_m(measured_m, point) > tolerance_m(point):
        return None
    return intrinsics.deproject([point.u, point.v], measured_m)


def _around(depth_m: DepthArray, point: LabeledPoint, radius: int) -> DepthArray:
    row, column = round(point.v), round(point.u)
    return depth_m[max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1]
