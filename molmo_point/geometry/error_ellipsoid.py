"""The ellipsoid of a position's covariance."""

import numpy as np

from molmo_point.arrays import FloatArray


def error_ellipsoid(covariance_m2: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the axes of the ellipsoid at one standard deviation.

    Args:
        covariance_m2: (3, 3) symmetric, in square meters.

    Returns:
        Rotation (3, 3), right-handed, whose columns are the axes in the frame of the covariance; and the standard
        deviations (3,) along them in meters, ascending.
    """
    variances, axes = np.linalg.eigh(covariance_m2)
    if np.linalg.det(axes) < 0:
        axes[:, 0] = -axes[:, 0]
    return axes, np.sqrt(np.maximum(variances, 0.0))
