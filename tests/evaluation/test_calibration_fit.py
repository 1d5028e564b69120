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
from molmo_point.evaluation.calibration_fit import Claims, bootstrapped, brier_score, expected_calibration_error
from molmo_point.evaluation.observations import AnswerObservation, Observations
from molmo_point.trust.answer_model import AnswerFeatures
from molmo_point.trust.confidence_calibration import Calibration


def claims(slope: float = 1.0, offset: float = 0.0, count: int = 20000, seed: int = 0) -> Claims:
    """Claims that come true as often as the line in log-odds says."""
    rng = np.random.default_rng(seed)
    stated = rng.uniform(0.02, 0.98, count)
    true = rng.random(count) < probabilities(stated, slope, offset)
    return Claims(stated, true.astype(float), np.ones(count), rng.integers(0, 300, count))


def probabilities(stated: np.ndarray, slope: float, offset: float) -> np.ndarray:
    return 1 / (1 + np.exp(-(slope * np.log(stated / (1 - stated)) + offset)))


def answers(slope: float, offset: float, count: int = 4000, seed: int = 0, share_absent: float = 0.3) -> Observations:
    """Answers whose points are right, and whose objects are absent, as often as a line in log-odds says."""
    rng = np.random.default_rng(seed)
    found = Observations()
    for scene, (digit, absent) in enumerate(rng.normal(0, 2, (count, 2))):
        right = rng.random() < 1 / (1 + np.exp(-(slope * digit + offset)))
        away = rng.random() < share_absent
        features = AnswerFeatures(digit=digit, absent=absent + 2 * away, at=rng.normal())
        found.answers.append(AnswerObservation(features, True, bool(right), bool(away), scene // 4))
    return found


def test_the_line_that_made_the_truth_is_found_and_noise_gets_no_weight() -> None:
    model = fitting.fit_calibration(answers(1.5, -0.8)).confidence
    assert model is not None
    weights = dict(zip(model.names, model.weights, strict=True))
    assert weights["digit"] == pytest.approx(1.5, abs=0.12) and abs(weights["at"]) < 0.15
    assert model.probability(AnswerFeatures(digit=0.0, at=0.0)) == pytest.approx(1 / (1 + np.exp(0.8)), abs=0.04)


def test_errors_before_and_after_on_other_answers() -> None:
    fitted, other = fitting.fit_calibration(answers(0.6, 1.0)), answers(0.6, 1.0, seed=1)
    (raw, raw_absent), (stated, absent) = fitting.stated_claims(other, fitting.RAW), fitting.stated_claims(other, fitted)
    assert expected_calibration_error(raw) > 0.1 and expected_calibration_error(stated) < 0.03
    assert brier_score(stated) < brier_score(raw) and brier_score(absent) < brier_score(raw_absent)


def test_few_answers_use_few_features_and_too_few_are_refused() -> None:
    few = fitting.fit_calibration(answers(1.0, 0.0, count=50)).confidence
    assert few is not None and few.names[0] == "digit" and len(few.names) <= 4
    with pytest.raises(InputError, match="must see at least 16 answers"):
        fitting.fit_calibration(answers(1.0, 0.0, count=10))


def test_a_model_without_a_mistake_is_sure_but_not_certain() -> None:
    sure = fitting.fit_calibration(answers(1.0, 30.0, count=200)).confidence
    assert sure is not None and 0.97 < sure.probability(AnswerFeatures(digit=3.0)) < 0.999


def test_an_unknown_feature_counts_as_its_mean() -> None:
    model = fitting.fit_calibration(answers(1.5, -0.8)).confidence
    assert model is not None
    means = dict(zip(model.names, model.mean, strict=True))
    assert model.probability(AnswerFeatures(digit=1.0)) == pytest.approx(
        model.probability(AnswerFeatures(digit=1.0, at=means["at"], absent=means["absent"]))
    )


def test_the_error_is_the_mean_gap_by_hand() -> None:
    few = Claims(np.array([0.1, 0.15, 0.9]), np.array([0.0, 1.0, 1.0]), np.array([1.0, 1.0, 2.0]), np.arange(3))
    # Stated 0.25 of two in one bin, one came true; stated 1.8 of two in the other, two came true.
    assert expected_calibration_error(few) == pytest.approx((0.75 + 0.2) / 4)
    assert brier_score(few) == pytest.approx((0.01 + 0.7225 + 2 * 0.01) / 4)
    rows = fitting.reliability(few)
    assert [row[0] for row in rows] == pytest.approx([0.125, 0.9]) and [row[4] for row in rows] == [2, 1]


def test_intervals_hold_the_value_and_shrink_with_scenes() -> None:
    widths = []
    for count in (300, 5000):
        figure = bootstrapped(brier_score, claims(count=count))
        assert figure["low"] < figure["value"] < figure["high"] and figure["trials"] == count
        widths.append(figure["high"] - figure["low"])
    assert widths[1] < widths[0] / 2


def test_absent_and_present_objects_count_half_each() -> None:
    _, said = fitting.stated_claims(answers(1.0, 0.0, count=400), fitting.RAW)
    assert said.weight[said.true == 1].sum() == pytest.approx(said.weight[said.true == 0].sum())
    assert said.true.mean() < 0.4


def test_ellipses_that_are_too_wide_are_scaled_to_hold_95_percent() -> None:
    rng = np.random.default_rng(0)
    distance2 = (rng.normal(0, 0.5, (4000, 2)) ** 2).sum(1).tolist()
    seen = answers(1.0, 0.0, count=300)
    seen.distance2 = distance2
    calibration = fitting.fit_calibration(seen)
    assert calibration.spread_scale == pytest.approx(0.5, rel=0.05)
    shares = fitting.coverage(distance2, calibration.spread_scale)
    assert shares["inside_95"]["value"] == pytest.approx(0.95, abs=0.001)
    assert shares["inside_68"]["value"] == pytest.approx(0.68, abs=0.03)
    figures = fitting.measure_calibration(seen, calibration)
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
    (tmp_path / "pointing.json").unlink()
    with pytest.raises(InputError, match="must point at some of the objects"):
        evaluate_claims.store(tmp_path, settings, float("nan"))
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
        (["tabletop", "--scenes", "0"], "--scenes/--tables: it must be a whole number from 1"),
        (["tabletop", "--plot", "a.png"], "belongs to eval calibration"),
        (["nonsense"], "must be one of tabletop, calibration, trust, pick, place"),
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
