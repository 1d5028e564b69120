"""Features of an answer: from its digits, its label, its probabilities and the picture."""

import math

import numpy as np
import pytest

from molmo_point.points.answer_features import answer_features
from molmo_point.points.dialects import dialect_of
from molmo_point.points.parse import parse_answer
from molmo_point.points.point_quality import rate_points
from molmo_point.results import Completion
from molmo_point.trust.training_description import UNDESCRIBED

SURE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.96, 0.04, 0.0, 0.0, 0.0)
EVEN = (0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0)


def completion(first_y: tuple[float, ...] = SURE, label: str = "red cube", **known: float) -> Completion:
    tokens = (' <point x="', "5", "0", ".", "0", '" y="', "5", "1", ".", "0", f'" alt="{label}">{label}</point>')
    digits = [SURE if token.isdigit() else () for token in tokens]
    digits[6] = first_y
    text = "".join(tokens)
    return Completion(text, len(tokens), "stop", {}, tokens, (0.9,) * 10 + (0.5,), tuple(digits), **known)


def features(told: Completion, words: str = "red cube"):
    parsed = parse_answer(told.text, (640, 480), dialect_of("molmo"))
    return answer_features(told, parsed, rate_points(told, parsed, (640, 480)), words, UNDESCRIBED)


def test_probabilities_become_log_odds() -> None:
    told = features(completion(absent_probability=0.25))
    assert told.absent == pytest.approx(math.log(1 / 3)) and told.weakest == pytest.approx(0.0)
    assert told.points == 0.0 and told.label_differs == 0.0
    assert math.isnan(told.at) and math.isnan(told.distance), "no picture, no evidence"


def test_the_least_certain_leading_digit_gives_entropy_and_margin() -> None:
    sure, even = features(completion()), features(completion(EVEN))
    assert even.entropy == pytest.approx(math.log(2)) and even.margin == pytest.approx(0.0)
    assert sure.entropy < 0.2 and sure.margin == pytest.approx(0.92)


def test_a_label_of_other_words_shows() -> None:
    assert features(completion(label="blue ball")).label_differs == 1.0
    assert features(completion(label="red ball")).label_differs == 0.5


def test_an_answer_without_probabilities_has_unknown_features() -> None:
    told = features(Completion(completion().text, 5, "stop"))
    assert all(math.isnan(value) for value in (told.digit, told.absent, told.entropy, told.margin, told.weakest))
    assert set(told.known) == {"points", "label_differs"}


def test_a_denial_has_no_features_of_points() -> None:
    told = features(Completion(" There are none.", 4, "stop", {}, (" There", " are", " none", "."), (0.9,) * 4, ((),) * 4))
    assert math.isnan(told.digit) and math.isnan(told.points) and told.weakest == pytest.approx(math.log(9))
    assert np.isfinite(told.weakest)
