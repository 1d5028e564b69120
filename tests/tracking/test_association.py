"""The Hungarian method against SciPy's, and the gate."""

import numpy as np
import pytest

from molmo_point.tracking.association import GATE, assign, associate

I2 = np.eye(2)


@pytest.mark.parametrize("seed", range(40))
def test_least_cost_is_that_of_scipy(seed):
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(1, 9))
    cost = rng.uniform(0, 20, (rows, rows + int(rng.integers(0, 4))))
    pairs = assign(cost)
    assert sorted(row for row, _ in pairs) == list(range(rows))
    assert len({column for _, column in pairs}) == rows
    expected = cost[optimize.linear_sum_assignment(cost)].sum()
    assert sum(cost[pair] for pair in pairs) == pytest.approx(expected)


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
