"""Covariance of a lifted pixel against samples."""

import numpy as np
import pytest

from molmo_point.depth.uncertainty import checked_covariance_px2, deprojection_jacobian, lifted_covariance
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics

PLAIN = Intrinsics(848, 480, 425.0, 420.0, 424.0, 239.0)
LENS = Intrinsics(848, 480, 425.0, 420.0, 424.0, 239.0, "brown_conrady", (0.1, -0.1, 0.002, -0.003, 0.0))


@pytest.mark.parametrize("camera", [PLAIN, LENS])
def test_covariance_against_samples(camera: Intrinsics) -> None:
    rng = np.random.default_rng(0)
    uv, depth, sigma_px, sigma_z = np.array([700.0, 100.0]), 0.8, 2.0, 0.004
    points = camera.deproject(uv + rng.normal(0, sigma_px, (100000, 2)), depth + rng.normal(0, sigma_z, 100000))
    sampled = np.cov(points, rowvar=False)
    ours = lifted_covariance(uv, depth, np.diag([sigma_px**2, sigma_px**2, sigma_z**2]), camera)
    np.testing.assert_allclose(ours, sampled, atol=0.02 * np.abs(sampled).max())


def test_jacobian_is_the_pinhole_one() -> None:
    expected = [[0.8 / 425, 0, (700 - 424) / 425], [0, 0.8 / 420, (100 - 239) / 420], [0, 0, 1]]
    np.testing.assert_allclose(deprojection_jacobian(np.array([700.0, 100.0]), 0.8, PLAIN), expected, atol=1e-12)


def test_rounding_does_not_make_a_covariance_asymmetric() -> None:
    rounded = np.array([[9e4, 3e4], [3e4 + 1e-3, 9e4]])
    np.testing.assert_allclose(checked_covariance_px2(1.0, rounded), [[9e4, 3e4], [3e4, 9e4]])
    with pytest.raises(InputError, match="symmetric"):
        checked_covariance_px2(1.0, rounded / 9e4 + [[0.0, 1e-3], [0.0, 0.0]])
