"""Answers become seeds, are paired with tracks, and correct them."""

import numpy as np
import pytest

from molmo_point.results import DepthStatus, ImagePoint, Pointing, Target, Unreachable
from molmo_point.tracking.answer_fusion import GATE, associate, fuse, seeds_of
from tests.pairing import paired

I2 = np.eye(2)


def test_seeds_take_pixel_and_depth_of_their_own_target():
    points = tuple(ImagePoint(10.0 * i, 5.0, f"thing {i}", 0.8, sigma) for i, sigma in enumerate((2.0, float("nan"), 0.0)))
    target = Target(21.0, 6.0, "thing 2", 0.8, np.array([0.1, 0.2, 0.7]), np.eye(3), "c", 1, DepthStatus.OK, np.nan, 1.0)
    first = Target(0.0, 5.0, "thing 0", 0.8, np.array([0.1, 0.2, 0.5]), np.eye(3), "c", 1, DepthStatus.OK, np.nan, 1.0)
    hole = Unreachable(10.0, 5.0, "thing 1", DepthStatus.MISSING, "a hole")
    seeds = seeds_of(Pointing("q", "m", "", False, paired(points, (first, target), (hole,)), {}, 1, "c"), 640)
    assert [seed.label for seed in seeds] == ["thing 0", "thing 1", "thing 2"]
    np.testing.assert_allclose([seed.uv for seed in seeds], [[0.0, 5.0], [10.0, 5.0], [21.0, 6.0]])
    np.testing.assert_allclose([seed.depth_m for seed in seeds], [0.5, np.nan, 0.7])
    np.testing.assert_allclose([seed.covariance_px2[1, 1] for seed in seeds], [4.0, 6.4**2, 0.25])


def test_equally_sure_meet_half_way_and_gain_a_quarter_only():
    uv, covariance = fuse(np.zeros(2), 4.0 * I2, np.array([2.0, 4.0]), 4.0 * I2)
    np.testing.assert_allclose(uv, [1.0, 2.0])
    np.testing.assert_allclose(covariance, 3.0 * I2)  # 4 * (1/4 + 1/4 + 2 * 1/2 * 1/4)


def test_the_surer_one_wins():
    uv, covariance = fuse(np.zeros(2), 100.0 * I2, np.array([8.0, 0.0]), I2)
    assert uv[0] == pytest.approx(8.0, abs=0.1) and covariance[0, 0] < 1.2
    uv, _ = fuse(np.zeros(2), I2, np.array([8.0, 0.0]), 100.0 * I2)
    assert uv[0] == pytest.approx(0.0, abs=0.1)


def test_nearest_is_not_always_right():
    tracks, points = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[1.9, 0.0], [4.0, 0.0]])
    spread = np.stack([I2, I2])
    assert associate(tracks, spread, points, spread) == [(0, 0), (1, 1)]


def test_gate_is_in_standard_deviations_of_both():
    far = np.array([[np.sqrt(2 * GATE) + 0.01, 0.0]])
    near = far - [[0.02, 0.0]]
    here, spread = np.zeros((1, 2)), I2[None]
    assert associate(here, spread, near, spread) == [(0, 0)]
    assert associate(here, spread, far, spread) == []
    assert associate(here, 4 * spread, far, spread) == [(0, 0)]


def test_direction_of_the_covariance_counts():
    wide = np.diag([100.0, 0.01])[None]
    here, tiny = np.zeros((1, 2)), 1e-4 * I2[None]
    assert associate(here, wide, np.array([[20.0, 0.0]]), tiny) == [(0, 0)]
    assert associate(here, wide, np.array([[0.0, 20.0]]), tiny) == []


def test_more_tracks_than_points_and_none_at_all():
    tracks = np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]])
    spread = np.stack([I2] * 3)
    assert associate(tracks, spread, np.array([[19.0, 0.0]]), spread[:1]) == [(2, 0)]
    assert associate(tracks, spread, np.zeros((0, 2)), np.zeros((0, 2, 2))) == []
    assert associate(np.zeros((0, 2)), np.zeros((0, 2, 2)), tracks, spread) == []
