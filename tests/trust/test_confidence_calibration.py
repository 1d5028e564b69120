"""Calibrated probabilities: their values, their absence under cautions, and files that are refused."""

import math
from typing import Any

import pytest

from molmo_point.cautions import Caution, CautionKind
from molmo_point.trust.answer_model import AnswerFeatures, log_odds
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration, line

FITTED = Calibration(line("digit", 1.2, 0.5), line("absent", 0.7, -0.25), None, 0.8)
SETTINGS = FITTED.to_settings()
WORDS = (Caution(CautionKind.UNKNOWN_WORDS, "no such word"),)


def test_a_line_in_log_odds() -> None:
    # Odds of 1 to 3, squared, times e: e / 9.
    told = line("digit", 2.0, 1.0).probability(AnswerFeatures(digit=log_odds(0.25)))
    assert told == pytest.approx((math.e / 9) / (1 + math.e / 9))
    assert math.isnan(line("digit", 2.0, 1.0).probability(AnswerFeatures(absent=1.0)))


@pytest.mark.parametrize("slope", [0.1, 3.0, 500.0])
def test_the_order_is_kept_and_the_ends_are_probabilities(slope: float) -> None:
    model = line("digit", slope, -2.0)
    values = [model.probability(AnswerFeatures(digit=log_odds(p))) for p in (0.0, 0.1, 0.4, 0.6, 0.9, 1.0)]
    assert values == sorted(values) and all(0 <= value <= 1 for value in values)


def test_settings_go_round() -> None:
    read = Calibration.from_settings(SETTINGS | {"measured": {}})
    assert read.to_settings() == SETTINGS and read.is_fitted and not UNCALIBRATED.is_fitted
    features = AnswerFeatures(digit=0.3, absent=-1.0)
    assert read.of_point(features, ()) == FITTED.of_point(features, ())
    assert read.of_absence(features, ()) == FITTED.of_absence(features, ())
    assert math.isnan(read.of_count(features, ())) and read.spread_scale == 0.8


def test_the_older_form_with_a_slope_is_read() -> None:
    older = {
        "confidence": {"slope": 1.2, "offset": 0.5},
        "absent_probability": {"slope": 0.7, "offset": -0.25},
        "spread_scale": 0.8,
    }
    features = AnswerFeatures(digit=0.3, absent=-1.0)
    read = Calibration.from_settings(older)
    assert read.of_point(features, ()) == pytest.approx(FITTED.of_point(features, ()))
    assert read.of_absence(features, ()) == pytest.approx(FITTED.of_absence(features, ()))


def test_under_a_caution_nothing_is_stated_unless_it_was_measured_to_hold() -> None:
    features = AnswerFeatures(digit=0.3, absent=-1.0)
    assert math.isnan(FITTED.of_point(features, WORDS)) and math.isnan(FITTED.of_absence(features, WORDS))
    assert math.isnan(UNCALIBRATED.of_point(features, ()))
    held = Calibration(FITTED.confidence, FITTED.absent, stated_under=frozenset({CautionKind.UNKNOWN_WORDS}))
    assert held.of_point(features, WORDS) == FITTED.of_point(features, ())
    assert math.isnan(held.of_point(features, (*WORDS, Caution(CautionKind.POOR_IMAGE, "dark"))))


@pytest.mark.parametrize(
    "changed",
    [
        {"confidence": {"slope": 1.0}},
        {"confidence": 3},
        {"confidence": {"features": {"odd": {"mean": 0.0, "weight": 1.0}}, "offset": 0.0}},
        {"confidence": {"features": {"digit": {"mean": 0.0, "weight": math.nan}}, "offset": 0.0}},
        {"confidence": {"features": {"digit": {"mean": 0.0, "weight": 1.0}}, "offset": 1e9}},
        {"absent_probability": {"slope": 0.0, "offset": 1.0}},
        {"absent_probability": {"slope": 1.0, "offset": math.inf}},
        {"spread_scale": 0},
        {"spread_scale": "wide"},
        {"spread_scale": None},
        {"stated_under": ["ODD"]},
    ],
)
def test_another_form_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Calibration.from_settings(SETTINGS | changed)
