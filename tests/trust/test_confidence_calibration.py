"""Calibrated probabilities: what they are, what stays as it is, and what of a file is refused."""

import math
from typing import Any

import pytest

from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration, LogitLine

SETTINGS = Calibration(LogitLine(1.2, 0.5), LogitLine(0.7, -0.25), 0.8).to_settings()


def test_a_line_in_log_odds() -> None:
    # Odds of 1 to 3, squared, times e: e / 9.
    assert LogitLine(2.0, 1.0)(0.25) == pytest.approx((math.e / 9) / (1 + math.e / 9))
    assert LogitLine(1.0, 0.0)(0.123) == 0.123
    assert math.isnan(LogitLine(2.0, 1.0)(math.nan))


@pytest.mark.parametrize("line", [LogitLine(3.0, -2.0), LogitLine(0.1, 5.0), LogitLine(500.0, 0.0)])
def test_the_order_is_kept_and_the_ends_are_probabilities(line: LogitLine) -> None:
    values = [line(p) for p in (0.0, 0.1, 0.4, 0.6, 0.9, 1.0)]
    assert values == sorted(values) and all(0 <= value <= 1 for value in values)


def test_settings_go_round() -> None:
    assert Calibration.from_settings(SETTINGS | {"measured": {}}) == Calibration(LogitLine(1.2, 0.5), LogitLine(0.7, -0.25), 0.8)
    assert Calibration.from_settings(SETTINGS).is_fitted and Calibration().is_fitted and not UNCALIBRATED.is_fitted


@pytest.mark.parametrize(
    "changed",
    [
        {"confidence": {"slope": 1.0}},
        {"confidence": 3},
        {"absent_probability": {"slope": 0.0, "offset": 1.0}},
        {"absent_probability": {"slope": 1.0, "offset": math.inf}},
        {"spread_scale": 0},
        {"spread_scale": "wide"},
        {"spread_scale": None},
    ],
)
def test_what_is_no_calibration_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="calibration"):
        Calibration.from_settings(SETTINGS | changed)
