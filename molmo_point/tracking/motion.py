"""The motion that a cluster of features agrees on."""

import math
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray

MIN_FEATURES = 3
MIN_SHARE = 0.4
OUTLIER_PX = 1.5
PULL_PX2 = 15.0
MAX_STEP = 0.25
"""Largest change of scale or turn from one frame to the next that is believed (a ratio, radians)."""


@dataclass(frozen=True, eq=False)
class Motion:
    """A similarity: pixel x goes to end + linear @ (x - start).

    Attributes:
        linear: (2, 2) scale and turn.
        start: (2,) pixel.
        end: (2,) where it goes.
        inliers: (n,) which of the features agree.
        variance_px2: Of `end`, along each axis, from how far the features disagree.
    """

    linear: FloatArray
    start: FloatArray
    end: FloatArray
    inliers: BoolArray
    variance_px2: float

    def apply(self, uv: FloatArray) -> FloatArray:
        """Where pixels (..., 2) go."""
        return self.end + (uv - self.start) @ self.linear.T


def fit_motion(start: FloatArray, end: FloatArray, at: FloatArray, return_px: FloatArray, reach_px: float) -> Motion | None:
    """The motion of features near a pixel.

    Args:
        start: (n, 2) features before.
        end: (n, 2) features after.
        at: (2,) the pixel whose motion is wanted; features near it count more.
        return_px: (n,) error of the way back, which is part of the variance.
        reach_px: Distance at which a feature counts exp(-1/2).

    Returns:
        None where fewer than three features, or fewer than 40 %, agree.
    """
    if len(start) < MIN_FEATURES:
        return None
    nearness = np.exp(-0.5 * np.sum((start - at) ** 2, axis=1) / reach_px**2) + 0.05
    linear, moved = np.eye(2), at + np.median(end - start, axis=0)
    agree = np.ones(len(start), bool)
    residual = np.zeros(len(start))
    for round_ in range(4):
        residual = np.linalg.norm(moved + (start - at) @ linear.T - end, axis=1)
        limit = max(OUTLIER_PX, 3.0 * float(np.median(residual))) if round_ == 0 else OUTLIER_PX
        agree = residual <= limit
        if agree.sum() < MIN_FEATURES or agree.sum() < MIN_SHARE * len(start):
            return None
        linear, moved = _similarity(start[agree] - at, end[agree], nearness[agree] / (1.0 + residual[agree] ** 2))
    agree = residual <= OUTLIER_PX
    count = int(agree.sum())
    if count < MIN_FEATURES or not _believable(linear):
        return None
    noise = float(np.mean(residual[agree] ** 2) + np.mean(return_px[agree] ** 2)) / 2.0
    return Motion(linear, at, moved, agree, noise / max(count - 2, 1))


def _similarity(offset: FloatArray, end: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted least squares: linear part (2, 2) and where offset 0 goes (2,)."""
    weight = weight / weight.sum()
    middle, goal = weight @ offset, weight @ end
    a, b = offset - middle, end - goal
    spread = float(weight @ np.sum(a**2, axis=1))
    if len(offset) < 4 or spread < 4.0:
        return np.eye(2), goal - middle
    # A light pull towards no change keeps a small cluster from turning with its noise.
    spread += PULL_PX2
    cosine = (float(weight @ np.sum(a * b, axis=1)) + PULL_PX2) / spread
    sine = float(weight @ (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])) / spread
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return linear, goal - linear @ middle


def _believable(linear: FloatArray) -> bool:
    scale = math.hypot(linear[0, 0], linear[1, 0])
    turn = math.atan2(linear[1, 0], linear[0, 0])
    return abs(math.log(max(scale, 1e-6))) <= MAX_STEP and abs(turn) <= MAX_STEP
