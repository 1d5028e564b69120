"""How far the points of an answer can be trusted: confidence, error, and the places where they may be."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

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
    spreads: Sequence[Any] = (),
    calibration: Calibration = UNCALIBRATED,
) -> tuple[ImagePoint, ...]:
    """The points of an answer with what is known of their quality.

    Args:
        completion: The answer with its tokens' probabilities.
        answer: The same, read.
        size_wh: Width and height of the image in pixels.
        sigma_640_px: Measured standard deviation of the model's points, in pixels of an image 640
            pixels wide; NaN where nobody measured it.
        spreads: Distributions in per cent of the image, of any of the points. Their points state
            the standard deviation of their own spread instead of the measured one.
        calibration: What the model's statements turned out to mean.
    """
    share = sigma_640_px / 640 if math.isfinite(sigma_640_px) else DEFAULT_SIGMA_SHARE
    by_place = {tuple(spread.written): spread for spread in spreads}
    confidences = answer_confidences(completion, answer)
    rated = []
    for point, confidence, spans in zip(answer.points, confidences, answer.spans, strict=True):
        spread = by_place.get(tuple(completion.text[slice(*span)] for span in spans))
        modes = () if spread is None else tuple(_mode(mode, size_wh, calibration.spread_scale) for mode in spread.modes)
        sigma_px = _sigma_px(point, modes) if modes else share * size_wh[0]
        rated.append(replace(point, confidence=calibration.confidence(confidence), sigma_px=sigma_px, modes=modes))
    return tuple(rated)


def _mode(mode: Any, size_wh: tuple[int, int], spread_scale: float) -> PointMode:
    """Per cent of the image, measured from its edges, to pixels, measured from the first one's centre."""
    scale = np.array(size_wh, float) / 100
    u, v = mode.mean * scale - 0.5
    return PointMode(mode.weight, float(u), float(v), mode.covariance * np.outer(scale, scale) * spread_scale**2)


def _sigma_px(point: ImagePoint, modes: Sequence[PointMode]) -> float:
    """Root mean square distance along one axis between the point and the place it belongs to.

    The likeliest digits are not the middle of the place: how far they are off counts as well.
    """
    nearest = min(modes, key=lambda mode: math.hypot(mode.u - point.u, mode.v - point.v))
    off_px2 = (nearest.u - point.u) ** 2 + (nearest.v - point.v) ** 2
    return math.sqrt((float(np.trace(nearest.covariance_px2)) + off_px2) / 2)
