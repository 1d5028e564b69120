"""Calibration against claims whose truth is known, and the measurement with a scripted model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molmo_point.cli import main
from molmo_point.cli.evaluate import confidence as evaluate_claims
from molmo_point.errors import InputError
from molmo_point.evaluation import calibration_fit as fitting
from molmo_point.evaluation.calibration_fit import Claims, bootstrapped, brier_score, expected_calibration_error, fit_line
from molmo_point.evaluation.observations import Observations
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration, LogitLine


def claims(line: LogitLine, count: int = 20000, seed: int = 0) -> Claims:
    """Claims that come true as often as the line says."""
    rng = np.random.default_rng(seed)
    stated = rng.uniform(0.02, 0.98, count)
    true = rng.random(count) < [line(p) for p in stated]
    return Claims(stated, true.astype(float), np.ones(count), rng.integers(0, 300, count))


def test_the_line_that_made_the_truth_is_found() -> None:
    found = fit_line(claims(LogitLine(1.5, -0.8)))
    assert (found.slope, found.offset) == pytest.approx((1.5, -0.8), abs=0.08)


def test_errors_before_and_after_on_other_claims() -> None:
    truth = LogitLine(0.6, 1.0)
    line, other = fit_line(claims(truth)), claims(truth, seed=1)
    assert expected_calibration_error(other) > 0.1
    assert expected_calibration_error(other.mapped(line)) < 0.02
    assert brier_score(other.mapped(line)) < brier_score(other)


def test_the_error_is_the_mean_gap_by_hand() -> None:
    few = Claims(np.array([0.1, 0.15, 0.9]), np.array([0.0, 1.0, 1.0]), np.array([1.0, 1.0, 2.0]), np.arange(3))
    # Stated 0.25 of two in one bin, one came true; stated 1.8 of two in the other, two came true.
    assert expected_calibration_error(few) == pytest.approx((0.75 + 0.2) / 4)
    assert brier_score(few) == pytest.approx((0.01 + 0.7225 + 2 * 0.01) / 4)
    rows = fitting.reliability(few)
    assert [row[0] for row in rows] == pytest.approx([0.125, 0.9]) and [row[4] for row in rows] == [2, 1]


def test_nothing_to_fit_changes_nothing() -> None:
    one = Claims(np.array([0.5, 0.7]), np.array([1.0, 1.0]), np.ones(2), np.arange(2))
    assert fit_line(one) == LogitLine()
    assert fit_line(Claims(*np.zeros((4, 0)))) == LogitLine()
    assert np.isnan(expected_calibration_error(Claims(*np.zeros((4, 0)))))


def test_perfect_separation_has_a_finite_line() -> None:
    stated = np.array([0.1, 0.2, 0.8, 0.9])
    line = fit_line(Claims(stated, (stated > 0.5).astype(float), np.ones(4), np.arange(4)))
    assert 0 < line.slope < 10


def test_intervals_hold_the_value_and_shrink_with_scenes() -> None:
    widths = []
    for count in (300, 5000):
        figure = bootstrapped(brier_score, claims(LogitLine(), count))
        assert figure["low"] < figure["value"] < figure["high"] and figure["trials"] == count
        widths.append(figure["high"] - figure["low"])
    assert widths[1] < widths[0] / 2


def test_absent_and_present_things_count_half_each() -> None:
    seen = Observations(questions=[(0.9, True, 1), (0.2, False, 1), (0.1, False, 2), (0.1, False, 2)])
    said = fitting.absence_claims(seen)
    assert said.weight[0] == pytest.approx(said.weight[1:].sum())


def test_ellipses_that_are_too_wide_are_scaled_to_hold_95_percent() -> None:
    rng = np.random.default_rng(0)
    distance2 = (rng.normal(0, 0.5, (4000, 2)) ** 2).sum(1).tolist()
    seen = Observations(distance2=distance2)
    calibration = fitting.fit_calibration(seen)
    assert calibration.spread_scale == pytest.approx(0.5, rel=0.05)
    shares = fitting.coverage(distance2, calibration.spread_scale)
    assert shares["inside_95"]["value"] == pytest.approx(0.95, abs=0.001)
    assert shares["inside_68"]["value"] == pytest.approx(0.68, abs=0.03)
    figures = fitting.measure_calibration(seen, UNCALIBRATED)
    assert figures["spread"]["inside_95_raw"]["value"] > 0.99
    assert "| spread | inside 95 raw |" in fitting.table(figures)


def test_what_is_stored_keeps_what_is_there(tmp_path: Path) -> None:
    settings: dict[str, Any] = Calibration().to_settings()
    evaluate_claims.store(tmp_path, settings, 3.21987)
    assert json.loads((tmp_path / "pointing.json").read_text()) == {"sigma_px_at_640": 3.22, "calibration": settings}
    (tmp_path / "pointing.json").write_text('{"sigma_px_at_640": 9.5, "measured": {"a": 1}, "calibration": {}}')
    evaluate_claims.store(tmp_path, settings, 3.0)
    held = json.loads((tmp_path / "pointing.json").read_text())
    assert held == {"sigma_px_at_640": 9.5, "measured": {"a": 1}, "calibration": settings}
    (tmp_path / "pointing.json").write_text("{")
    with pytest.raises(InputError, match="must be a JSON file"):
        evaluate_claims.store(tmp_path, settings, 3.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["calibration", "--seed", "940010", "--scenes", "20"], "fitted on"),
        (["calibration", "--plot", "/no/such/folder/a.png"], "--plot must be a file in a folder"),
        (["calibration", "--write", "--model", "allenai/Molmo-7B-D-0924"], "--write must go with the folder"),
        (["tabletop", "--write"], "belongs to eval calibration"),
        (["tabletop", "--scenes", "0"], "--scenes: it must be a whole number from 1"),
        (["tabletop", "--plot", "a.png"], "belongs to eval calibration"),
        (["nonsense"], "must be one of tabletop, calibration, pick, place"),
        (["lift", "--plot", "a.png"], "python -m benchmarks.lift"),
        (["photographs", "--photos", "folder"], "python -m benchmarks.photographs"),
        (["household"], "python -m lab.evaluation.household"),
        (["calibration", "--household", "--write"], "python -m lab.evaluation.household_confidence"),
    ],
)
def test_what_could_not_be_done_is_said_first(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", *arguments]) == 1
    told = capsys.readouterr().err
    assert words in told and len(told.strip().splitlines()) == 1
