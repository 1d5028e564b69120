"""Quality of the points of an answer: digit probability, error, and the places where they may be."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from molmo_point.backend import PointSpread
from molmo_point.points.answer import ParsedAnswer
from molmo_point.points.digit_confidence import answer_confidences
from molmo_point.results import Completion, ImagePoint, PointMode
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration

DEFAULT_SIGMA_SHARE = 0.01
"""Standard deviation of a model that nobody has measured, as a share of the image's width."""


def rate_points(
    completion: Completion,
    answer: ParsedAnswer,
    size_wh: tuple[int, int],
    sigma_640_px: float = math.nan,
    spreads: Sequence[PointSpread] = (),
    calibration: Calibration = UNCALIBRATED,
) -> tuple[ImagePoint, ...]:
    """Add the digit probability, error, and modes to the points of an answer; their confidence stays unknown.

    Args:
        completion: The answer with its tokens' probabilities.
        answer: The same, read.
        size_wh: Width and height of the image in pixels.
        sigma_640_px: Measured standard deviation of the model's points, in pixels of an image 640
            pixels wide; NaN where nobody measured it.
        spreads: Distributions of any of the points. Their points state the standard deviation of
            their own spread instead of the measured one.
        calibration: Calibration of the model; its `spread_scale` counts.
    """
    share = sigma_640_px / 640 if math.isfinite(sigma_640_px) else DEFAULT_SIGMA_SHARE
    by_place = {tuple(spread.written): spread for spread in spreads}
    stated = {} if completion.stated is None else {point.written: point for point in completion.stated.points}
    probabilities = answer_confidences(completion, answer)
    rated = []
    for point, probability, spans in zip(answer.points, probabilities, answer.spans, strict=True):
        x, y = (completion.text[slice(*span)] for span in spans)
        spread, own = by_place.get((x, y)), stated.get((x, y))
        modes = tuple(
            replace(mode, covariance_px2=mode.covariance_px2 * calibration.spread_scale**2)
            for mode in (() if spread is None else spread.modes)
        )
        sigma_px = _sigma_px(point, modes) if modes else share * size_wh[0]
        if own is not None:
            probability, sigma_px = own.probability, sigma_px if modes else own.sigma_px
        rated.append(replace(point, digit_probability=probability, sigma_px=sigma_px, modes=modes))
    return tuple(rated)


def _sigma_px(point: ImagePoint, modes: Sequence[PointMode]) -> float:
    """Return the root mean square distance along one axis between a point and its nearest mode.

    The likeliest digits need not be the mean of the mode; that offset counts as well.
    """
    nearest = min(modes, key=lambda mode: math.hypot(mode.u - point.u, mode.v - point.v))
    off_px2 = (nearest.u - point.u) ** 2 + (nearest.v - point.v) ** 2
    return math.sqrt((float(np.trace(nearest.covariance_px2)) + off_px2) / 2)
