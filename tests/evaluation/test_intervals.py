"""Wilson intervals against values computed by hand."""

import math

import pytest

from molmo_point.evaluation.intervals import share, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962)],
)
def test_known_values(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-4)


def test_nothing_tried_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_share_has_its_interval_and_its_trials() -> None:
    told = share([True, False, True, True])
    assert (told["share"], told["trials"]) == (0.75, 4)
    assert (told["low"], told["high"]) == wilson(3, 4)
    assert math.isnan(share([])["share"]) and share([])["trials"] == 0
