"""Which sightings are of one thing."""

import math

import numpy as np
import pytest

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth import DepthStatus
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.looking import Sighting, grouped, same_thing
from molmo_point.results import Target

FRAME = RgbdFrame(np.zeros((4, 4, 3), np.uint8), None, None, 0)


def target(x, sigma_m=0.003, confidence=0.8):
    covariance = np.eye(3) * sigma_m**2
    return Target(0, 0, "cube", confidence, np.array([x, 0.0, 0.0]), covariance, "base", 0, DepthStatus.OK, math.nan, 1.0)


def sighting(x, confidence=0.8, place="here"):
    seen = target(x, confidence=confidence)
    return Sighting(place, FRAME, Transform.identity("base", FRAME.frame), seen, seen)


@pytest.mark.parametrize(
    ("away_m", "sigma_m", "same"),
    [(0.01, 0.001, True), (0.04, 0.001, False), (0.04, 0.02, True), (0.1, 0.2, False)],
)
def test_same_by_distance_or_covariance_but_never_far_apart(away_m, sigma_m, same):
    assert same_thing(target(0.0, sigma_m), target(away_m, sigma_m), 0.02) is same


def test_the_group_with_the_most_weight_is_first():
    groups = grouped([sighting(0.0, 0.9), sighting(0.2, 0.8), sighting(0.21, 0.8)], 0.025)
    assert [len(group) for group in groups] == [2, 1]
    assert grouped([sighting(0.0, 0.95), sighting(0.2, 0.3)], 0.025)[0][0].target.position_m[0] == 0.0


def test_a_confidence_that_nobody_knows_counts_like_a_half():
    assert sighting(0.0, math.nan).weight == pytest.approx(sighting(0.0, 0.5).weight)
    assert sighting(0.0, 0.9).weight > sighting(0.0, 0.6).weight > 0
