"""How far the points of an answer can be trusted: confidence, error, and the places where they may be."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from molmo_point.points.answer import ParsedAnswer
from molmo_point.points.confidence import answer_confidences
from molmo_point.results import Completion, ImagePoint, PointMode

DEFAULT_SIGMA_SHARE = 0.01
"""Standard deviation of a model that nobody has measured, as a share of the image's width."""


def rate_points(
    completion: Completion,
    answer: ParsedAnswer,
    size_wh: tuple[int, int],
    sigma_640_px: float = math.nan,
    spreads: Sequence[Any] = (),
) -> tuple[ImagePoint, ...]:
    """The points of an answer with what is known of their quality.

    Args:
        completion: The answer with its tokens' probabilities.
        answer: The same, read.
        size_wh: Width and height of the image in pixels.
        sigma_640_px: Measured standard deviation of the model's points, in pixels of an image 640
            pixels wide; NaN where nobody measured it.
        spreads: Distributions in per cent of the image, of any of the points.
    """
    share = sigma_640_px / 640 if math.isfinite(sigma_640_px) else DEFAULT_SIGMA_SHARE
    by_place = {tuple(spread.written): spread for spread in spreads}
    confidences = answer_confidences(completion, answer)
    rated = []
    for point, confidence, spans in zip(answer.points, confidences, answer.spans, strict=True):
        spread = by_place.get(tuple(completion.text[slice(*span)] for span in spans))
        modes = () if spread is None else tuple(_mode(mode, size_wh) for mode in spread.modes)
        rated.append(replace(point, confidence=confidence, sigma_px=share * size_wh[0], modes=modes))
    return tuple(rated)


def _mode(mode: Any, size_wh: tuple[int, int]) -> PointMode:
    """Per cent of the image, measured from its edges, to pixels, measured from the first one's centre."""
    scale = np.array(size_wh, float) / 100
    u, v = mode.mean * scale - 0.5
    return PointMode(mode.weight, float(u), float(v), mode.covariance * np.outer(scale, scale))
