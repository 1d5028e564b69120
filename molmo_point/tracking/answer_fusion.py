"""What an answer of the model says, ready to be matched with tracks; and how the two are fused."""

import math
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.depth.lift import DEFAULT_SIGMA_SHARE
from molmo_point.results import Pointing

CORRELATION = 0.5
"""Between the errors of a model's answers about one thing: asking twice does not halve the variance."""
MIN_SIGMA_PX = 0.5


@dataclass(frozen=True, eq=False)
class Seed:
    """One point of an answer: pixel (2,), covariance (2, 2), depth (NaN if unknown), label, confidence."""

    uv: FloatArray
    covariance_px2: FloatArray
    depth_m: float
    label: str
    confidence: float


def seeds_of(pointing: Pointing, width: int) -> list[Seed]:
    """The points of an answer, each with the depth that it was lifted with."""
    unreachable = {(point.u, point.v, point.label) for point in pointing.unreachable}
    targets = iter(pointing.targets)
    seeds = []
    for point in pointing.points:
        known = math.isfinite(point.sigma_px) and point.sigma_px >= 0
        sigma_px = max(point.sigma_px if known else DEFAULT_SIGMA_SHARE * width, MIN_SIGMA_PX)
        target = None if (point.u, point.v, point.label) in unreachable else next(targets, None)
        uv = point.uv if target is None else np.array([target.u, target.v])
        depth_m = math.nan if target is None else float(target.position_m[2])
        seeds.append(Seed(uv, sigma_px**2 * np.eye(2), depth_m, point.label, point.confidence))
    return seeds


def fuse(
    uv: FloatArray, covariance_px2: FloatArray, answer_uv: FloatArray, answer_px2: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """A track's pixel corrected by an answer about the same moment, and its covariance.

    The errors of both are taken to be correlated: both stem from the same model's view of one thing.
    """
    gain = covariance_px2 @ np.linalg.inv(covariance_px2 + answer_px2)
    rest = np.eye(2) - gain
    cross = CORRELATION * rest @ _root(covariance_px2) @ _root(answer_px2).T @ gain.T
    covariance = rest @ covariance_px2 @ rest.T + gain @ answer_px2 @ gain.T + cross + cross.T
    return uv + gain @ (answer_uv - uv), (covariance + covariance.T) / 2.0


def _root(covariance: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(covariance)
    return vectors @ np.diag(np.sqrt(np.maximum(values, 0.0))) @ vectors.T
