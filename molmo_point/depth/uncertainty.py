"""Spread of lifted points: covariances in pixels and in the optical frame."""

import math

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics


def checked_covariance_px2(sigma_px: float, covariance_px2: ArrayLike | None = None) -> FloatArray:
    """Return the covariance (2, 2) of a pixel in square pixels: as given, or sigma_px^2 along both axes.

    Raises:
        InputError: If a sigma is negative or not finite, or the matrix is not symmetric and positive semi-definite.
    """
    if covariance_px2 is None:
        if not (math.isfinite(sigma_px) and sigma_px >= 0):
            raise InputError("sigma_px must be finite and not negative", f"{sigma_px}", "give pixels")
        return np.eye(2) * float(sigma_px) ** 2
    given = np.asarray(covariance_px2, dtype=np.float64)
    good = given.shape == (2, 2) and bool(np.all(np.isfinite(given)))
    if not good or abs(given[0, 1] - given[1, 0]) > 1e-6 * np.trace(given) or np.linalg.eigvalsh(given)[0] < -1e-9:
        raise InputError(
            "covariance_px2 must be a symmetric, positive semi-definite 2x2 matrix",
            f"{given.tolist()}",
            "give the variances of u and v on the diagonal, in square pixels",
        )
    return (given + given.T) / 2.0


def lifted_covariance(uv: ArrayLike, depth_m: float, covariance_uvz: ArrayLike, intrinsics: Intrinsics) -> FloatArray:
    """Return the covariance (3, 3), in square meters, of a pixel lifted to the optical frame: J C J^T.

    Args:
        uv: Pixel (2,).
        depth_m: Depth along z in meters.
        covariance_uvz: C, covariance (3, 3) of u and v in pixels and of the depth in meters.
        intrinsics: Camera; its distortion is part of the Jacobian J.
    """
    jacobian = deprojection_jacobian(np.asarray(uv, dtype=np.float64), depth_m, intrinsics)
    covariance = jacobian @ np.asarray(covariance_uvz, dtype=np.float64) @ jacobian.T
    return (covariance + covariance.T) / 2.0


def deprojection_jacobian(uv: FloatArray, depth_m: float, intrinsics: Intrinsics) -> FloatArray:
    """Differentiate `Intrinsics.deproject` by u, v (meters per pixel) and depth; (3, 3)."""
    step_px = 0.25
    steps = step_px * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [0.0, 0.0]])
    rays = intrinsics.deproject(uv + steps, 1.0)
    by_u = (rays[0] - rays[1]) / (2.0 * step_px) * depth_m
    by_v = (rays[2] - rays[3]) / (2.0 * step_px) * depth_m
    return np.stack([by_u, by_v, rays[4]], axis=1)
