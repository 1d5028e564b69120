"""Features of an answer: the numbers that tell how likely it is right."""

import math
from collections.abc import Sequence

import numpy as np

from molmo_point.points.answer import ParsedAnswer
from molmo_point.points.digit_confidence import coordinate_tokens
from molmo_point.results import Completion, ImagePoint
from molmo_point.trust.answer_model import AnswerFeatures, log_odds
from molmo_point.trust.label_rule import missing_share
from molmo_point.trust.training_description import TrainingDescription
from molmo_point.trust.word_readout import evidence_for


def answer_features(
    completion: Completion, answer: ParsedAnswer, points: Sequence[ImagePoint], words: str, training: TrainingDescription
) -> AnswerFeatures:
    """Collect the features of an answer.

    Args:
        completion: The answer with its tokens' probabilities and the vision features of the image.
        answer: The same, read.
        points: Its wanted points with their digit probabilities, in pixels of the image that the model saw.
        words: Words for the object, as the model was asked.
        training: Description of the training, for what vision tells.
    """
    features, familiarity = completion.features, training.familiarity
    evidence = evidence_for(words, training.read_outs, features, [(point.u, point.v) for point in points])
    entropy, margin = _leading_digits(completion, answer)
    known = [point.digit_probability for point in points if math.isfinite(point.digit_probability)]
    labels = [missing_share(words, point.label) for point in points if point.label]
    return AnswerFeatures(
        digit=log_odds(max(known)) if known else math.nan,
        absent=log_odds(completion.absent_probability),
        entropy=entropy,
        margin=margin,
        label_differs=max(labels, default=math.nan),
        weakest=log_odds(_weakest(completion)),
        points=math.log(len(points)) if points else math.nan,
        distance=math.nan if familiarity is None or features is None else familiarity.distance(features.summary),
        at=evidence.at,
        around=evidence.around,
        elsewhere=evidence.elsewhere,
        anywhere=evidence.anywhere,
    )


def _weakest(completion: Completion) -> float:
    """Return the smallest probability of a token, or the stated one of all points together; NaN where neither is known."""
    stated = math.nan if completion.stated is None else completion.stated.count_probability
    return min(completion.token_probabilities, default=stated)


def _leading_digits(completion: Completion, answer: ParsedAnswer) -> tuple[float, float]:
    """Return the largest entropy and the smallest margin of the first digits of all coordinates; NaN where unknown."""
    digits, located = completion.digit_probabilities, coordinate_tokens(completion, answer)
    if located is None or len(digits) != len(completion.tokens):
        return math.nan, math.nan
    places = [tokens.start for pair in located for tokens in pair]
    leading = np.array([digits[place] for place in places if len(digits[place]) == 10])
    if not len(leading):
        return math.nan, math.nan
    shares = leading / np.maximum(leading.sum(1, keepdims=True), 1e-12)
    ordered = np.sort(shares, 1)
    entropies = -(shares * np.log(np.maximum(shares, 1e-12))).sum(1)
    return float(entropies.max()), float((ordered[:, -1] - ordered[:, -2]).min())
