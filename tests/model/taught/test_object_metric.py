"""The ratio of the object metric against the densities that it comes from, and its calibration."""

import numpy as np
import pytest

from lab.read_out.metric import calibrated, fit_metric
from molmo_point.model.taught.object_metric import load_object_metric


def log_normal(values: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    return -0.5 * ((values - mean) ** 2 / variance + np.log(2 * np.pi * variance)).sum(-1)


def test_the_ratio_is_that_of_two_densities() -> None:
    metric, rng = load_object_metric(), np.random.default_rng(0)
    seen, shown = rng.normal(size=(3, metric.size)), rng.normal(size=metric.size)
    # Of four views, the mean of the object has the prior N(0, between) and noise 1/4.
    gain = metric.between / (metric.between + 0.25)
    own = log_normal(seen, gain * shown, metric.between * 0.25 / (metric.between + 0.25) + 1)
    other = log_normal(seen, np.zeros(metric.size), metric.between + 1)
    assert metric.log_ratio(seen, shown, 4.0) == pytest.approx(own - other, abs=1e-3)


def test_more_views_make_the_same_likeness_surer() -> None:
    metric = load_object_metric()
    shown = 2 * np.sqrt(metric.between)
    ratios = [metric.log_ratio(shown[None], shown, views)[0] for views in (1.0, 3.0, 12.0)]
    assert ratios == sorted(ratios) and metric.log_ratio(-shown[None], shown, 3.0)[0] < -ratios[0]


def test_fewer_false_alarms_take_a_higher_score() -> None:
    metric = load_object_metric()
    limits = [metric.limit(rate) for rate in (0.3, 0.1, 0.05, 0.01)]
    assert limits == sorted(limits) and metric.probability(limits[0]) < metric.probability(limits[-1])


def test_a_fit_finds_the_dimension_in_which_objects_differ() -> None:
    rng = np.random.default_rng(1)
    objects = rng.normal(0, [3.0, 0.0, 0.0, 0.0], (40, 4))
    label = np.repeat(np.arange(40), 12)
    metric = fit_metric(objects[label] + rng.normal(0, 1, (480, 4)), [str(each) for each in label], 2)
    along = np.abs(metric.projection[:, 0]) / metric.scale
    assert along.argmax() == 0 and metric.between[0] == pytest.approx(9.0, rel=0.35) and metric.between[1] < 0.3


def test_a_calibration_states_frequencies_and_false_alarms() -> None:
    rng = np.random.default_rng(2)
    present = rng.random(4000) < 0.5
    score = rng.normal(np.where(present, 4.0, -4.0), 3.0)
    right = (rng.random(4000) < 1 / (1 + np.exp(-score))) & present
    metric = calibrated(load_object_metric(), np.stack([present, score, right], 1).astype(float))
    near = np.abs(score - 2.0) < 0.7
    assert metric.probability(2.0) == pytest.approx(right[near].mean(), abs=0.08)
    assert (score[~present] > metric.limit(0.05)).mean() == pytest.approx(0.05, abs=0.01)
