"""The ellipsoid of a covariance: a rotation and three deviations that give the covariance back."""

import numpy as np
import pytest

from molmo_point.geometry.error_ellipsoid import error_ellipsoid


@pytest.mark.parametrize("seed", range(5))
def test_axes_and_deviations_give_the_covariance_back(seed):
    half = np.random.default_rng(seed).normal(0.0, 0.01, (3, 3))
    rotation, sigmas_m = error_ellipsoid(half @ half.T)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    assert (np.diff(sigmas_m) >= 0).all()
    np.testing.assert_allclose(rotation @ np.diag(sigmas_m**2) @ rotation.T, half @ half.T, atol=1e-15)


def test_a_flat_covariance_has_no_negative_deviation():
    _, sigmas_m = error_ellipsoid(np.diag([1e-6, -1e-18, 0.0]))
    assert sigmas_m.min() == 0.0
