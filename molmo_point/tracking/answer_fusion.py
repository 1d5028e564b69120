"""Answers of the model matched with tracks, and the fusion of both."""

import math
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.depth.lift import DEFAULT_SIGMA_SHARE
from molmo_point.results import Pointing

CORRELATION = 0.5
"""Correlation of the errors of two answers about one object: asking twice does not halve the variance."""
MIN_SIGMA_PX = 0.5
GATE = 13.8
"""Squared Mahalanobis distance in two dimensions that 1 in 1000 correct pairs exceeds."""


@dataclass(frozen=True, eq=False)
class Seed:
    """One point of an answer: pixel (2,), covariance (2, 2), depth (NaN if unknown), label, confidence."""

    uv: FloatArray
    covariance_px2: FloatArray
    depth_m: float
    label: str
    confidence: float


def seeds_of(pointing: Pointing, width: int) -> list[Seed]:
    """Convert the points of an answer to seeds; the image width sets the standard deviation of points that have none."""
    seeds = []
    for found in pointing:
        point, target = found.point, found.target
        known = math.isfinite(point.sigma_px) and point.sigma_px >= 0
        sigma_px = max(point.sigma_px if known else DEFAULT_SIGMA_SHARE * width, MIN_SIGMA_PX)
        uv = point.uv if target is None else np.array([target.u, target.v])
        depth_m = math.nan if target is None else float(target.position_m[2])
        seeds.append(Seed(uv, sigma_px**2 * np.eye(2), depth_m, point.label, point.confidence))
    return seeds


def associate(
    tracks: FloatArray, track_px2: FloatArray, points: FloatArray, point_px2: FloatArray, gate: float = GATE
) -> list[tuple[int, int]]:
    """Pair tracks (n, 2) with points (m, 2) so that the sum of squared Mahalanobis distances is smallest.

    Covariances are (n, 2, 2) and (m, 2, 2); `gate` is the largest squared distance of a pair.

    Returns:
        Pairs (track index, point index), sorted by track.
    """
    if not len(tracks) or not len(points):
        return []
    from scipy.optimize import linear_sum_assignment

    apart = tracks[:, None] - points[None]
    spread = track_px2[:, None] + point_px2[None]
    distance = np.einsum("nmi,nmij,nmj->nm", apart, np.linalg.inv(spread), apart)
    # A pair beyond the gate costs as much as leaving both alone, so it never displaces a valid pair.
    rows, columns = linear_sum_assignment(np.minimum(distance, gate))
    return [(int(n), int(m)) for n, m in zip(rows, columns, strict=True) if distance[n, m] < gate]


def fuse(
    uv: FloatArray, covariance_px2: FloatArray, answer_uv: FloatArray, answer_px2: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Correct a track's pixel by an answer about the same frame; return pixel (2,) and covariance (2, 2).

    The errors are assumed to be correlated, because both come from one model's view of one object.
    """
    gain = covariance_px2 @ np.linalg.inv(covariance_px2 + answer_px2)
    rest = np.eye(2) - gain
    cross = CORRELATION * rest @ _root(covariance_px2) @ _root(answer_px2).T @ gain.T
    covariance = rest @ covariance_px2 @ rest.T + gain @ answer_px2 @ gain.T + cross + cross.T
    return uv + gain @ (answer_uv - uv), (covariance + covariance.T) / 2.0


def _root(covariance: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(covariance)
    return vectors @ np.diag(np.sqrt(np.maximum(values, 0.0))) @ vectors.T
