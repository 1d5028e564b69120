"""The motion that features agree on, against motions that are known."""

import math

import numpy as np
import pytest

from molmo_point.tracking.motion import fit_motion

AT = np.array([100.0, 50.0])


def cluster(seed=0, count=40, spread=30.0):
    return AT + np.random.default_rng(seed).uniform(-spread, spread, (count, 2))


def moved(points, shift, turn=0.0, scale=1.0):
    c, s = scale * math.cos(turn), scale * math.sin(turn)
    return AT + np.array(shift) + (points - AT) @ np.array([[c, -s], [s, c]]).T


def fit(start, end):
    return fit_motion(start, end, AT, np.zeros(len(start)), 12.0)


@pytest.mark.parametrize(("shift", "turn", "scale"), [((3.0, -7.0), 0.0, 1.0), ((0.0, 2.0), 0.06, 1.0), ((1.0, 0.0), 0.0, 1.04)])
def test_similarities_are_found(shift, turn, scale):
    start = cluster()
    motion = fit(start, moved(start, shift, turn, scale))
    assert motion is not None
    np.testing.assert_allclose(motion.end, AT + shift, atol=0.05)
    assert math.atan2(motion.linear[1, 0], motion.linear[0, 0]) == pytest.approx(turn, abs=0.012)
    assert math.hypot(*motion.linear[:, 0]) == pytest.approx(scale, abs=0.008)
    np.testing.assert_allclose(motion.apply(AT), motion.end)
    assert motion.variance_px2 < 0.01


def test_a_third_of_wrong_features_changes_nothing():
    start = cluster(count=30)
    end = moved(start, (4.0, 1.0))
    end[:10] += [15.0, -9.0]
    motion = fit(start, end)
    assert motion is not None and np.linalg.norm(motion.end - AT - [4.0, 1.0]) < 0.05
    np.testing.assert_array_equal(motion.inliers, [False] * 10 + [True] * 20)


def test_what_does_not_agree_is_refused():
    start = cluster(count=12)
    assert fit(start, start + np.random.default_rng(1).uniform(-40, 40, start.shape)) is None
    assert fit(start[:2], start[:2]) is None
    assert fit(start, moved(start, (0.0, 0.0), scale=1.9)) is None


def test_variance_grows_with_disagreement_and_with_the_way_back():
    start = cluster(count=20)
    noise = np.random.default_rng(2).normal(0.0, 0.2, start.shape)
    clean, rough = fit(start, moved(start, (1.0, 1.0))), fit(start, moved(start, (1.0, 1.0)) + noise)
    back = fit_motion(start, moved(start, (1.0, 1.0)), AT, np.full(20, 0.6), 12.0)
    assert clean is not None and rough is not None and back is not None
    assert clean.variance_px2 < 1e-6 < rough.variance_px2
    assert back.variance_px2 == pytest.approx(0.6**2 / 2 / 18, rel=0.01)
