"""Rotations and rigid motions on whole arrays, for estimation: no frame names, no checks, any leading axes.

A small change of a motion (R, t) is (tau, omega): R' = exp(omega) R and t' = t + tau, which is the convention of
`Transform.covariance` (x, y, z, rotation about x, y, z, about the fixed axes of the target frame).
"""

import numpy as np

from molmo_point.arrays import FloatArray

_SMALL_RAD = 1e-7


def hat(vectors: FloatArray) -> FloatArray:
    """Return the cross-product matrices (..., 3, 3) of vectors (..., 3): hat(a) @ b = a x b."""
    x, y, z = np.moveaxis(np.asarray(vectors, dtype=np.float64), -1, 0)
    zero = np.zeros_like(x)
    rows = [np.stack(row, axis=-1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    return np.stack(rows, axis=-2)


def rotation_exp(vectors: FloatArray) -> FloatArray:
    """Convert rotation vectors (..., 3) in radians to rotation matrices (..., 3, 3) (Rodrigues)."""
    vectors = np.asarray(vectors, dtype=np.float64)
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    safe = np.where(angle > _SMALL_RAD, angle, 1.0)
    sine = np.where(angle > _SMALL_RAD, np.sin(angle) / safe, 1.0 - angle**2 / 6.0)
    cosine = np.where(angle > _SMALL_RAD, (1.0 - np.cos(angle)) / safe**2, 0.5 - angle**2 / 24.0)
    cross = hat(vectors)
    return np.eye(3) + sine * cross + cosine * (cross @ cross)


def rotation_log(rotations: FloatArray) -> FloatArray:
    """Convert rotation matrices (..., 3, 3) to rotation vectors (..., 3) of at most pi radians."""
    rotations = np.asarray(rotations, dtype=np.float64)
    quaternion = quaternions_of(rotations)
    vector, w = quaternion[..., :3], quaternion[..., 3]
    sine = np.linalg.norm(vector, axis=-1)
    angle = 2.0 * np.arctan2(sine, w)
    factor = np.where(sine > _SMALL_RAD, angle / np.where(sine > _SMALL_RAD, sine, 1.0), 2.0)
    return vector * factor[..., None]


def quaternions_of(rotations: FloatArray) -> FloatArray:
    """Convert rotation matrices (..., 3, 3) to unit quaternions (..., 4), x y z w with w >= 0 (Shepperd's pivot)."""
    m = rotations
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    squares = np.stack([m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]], axis=-1) * 2.0 - trace[..., None]
    squares = np.concatenate([squares, trace[..., None]], axis=-1) + 1.0  # 4 q_i^2
    skew = np.stack([m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]], axis=-1)
    products = np.zeros((*m.shape[:-2], 4, 4))  # 4 q_i q_j
    products[..., :3, :3] = m + np.swapaxes(m, -1, -2)
    products[..., :3, 3] = products[..., 3, :3] = skew
    for i in range(4):
        products[..., i, i] = squares[..., i]
    pivot = np.argmax(squares, axis=-1)
    rows = np.take_along_axis(products, pivot[..., None, None], axis=-2)[..., 0, :]
    rows = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.where(rows[..., 3:] < 0, -rows, rows)


def nearest_rotation(matrices: FloatArray) -> FloatArray:
    """Return the rotations (..., 3, 3) nearest to matrices in the sense of least squares."""
    left, _, right = np.linalg.svd(matrices)
    sign = np.sign(np.linalg.det(left @ right))
    left[..., :, 2] *= sign[..., None]
    return left @ right


def motion(rotations: FloatArray, translations: FloatArray) -> FloatArray:
    """Compose homogeneous matrices (..., 4, 4) from rotations (..., 3, 3) and translations (..., 3)."""
    shape = np.broadcast_shapes(rotations.shape[:-2], translations.shape[:-1])
    matrix = np.zeros((*shape, 4, 4))
    matrix[..., :3, :3] = rotations
    matrix[..., :3, 3] = translations
    matrix[..., 3, 3] = 1.0
    return matrix


def inverse(motions: FloatArray) -> FloatArray:
    """Invert rigid motions (..., 4, 4)."""
    back = np.swapaxes(motions[..., :3, :3], -1, -2)
    return motion(back, -(back @ motions[..., :3, 3:])[..., 0])


def applied(motions: FloatArray, points: FloatArray) -> FloatArray:
    """Move points (m, 3) by each of the motions (..., 4, 4); the result is (..., m, 3)."""
    return points @ np.swapaxes(motions[..., :3, :3], -1, -2) + motions[..., None, :3, 3]


def mean_motion(motions: FloatArray) -> FloatArray:
    """Return the motion (4, 4) with the mean translation and the mean rotation of motions (n, 4, 4)."""
    return motion(nearest_rotation(motions[:, :3, :3].mean(axis=0)), motions[:, :3, 3].mean(axis=0))


def rigid_error(matrices: FloatArray) -> FloatArray:
    """Return the largest deviation (n,) of matrices (n, 4, 4) from rigid motions; infinite if mirrored or not finite."""
    rotations = matrices[:, :3, :3]
    error = np.abs(np.swapaxes(rotations, 1, 2) @ rotations - np.eye(3)).max(axis=(1, 2))
    error = np.maximum(error, np.abs(matrices[:, 3] - [0.0, 0.0, 0.0, 1.0]).max(axis=1))
    return np.where(np.isfinite(error) & (np.linalg.det(rotations) > 0), error, np.inf)


def moved(motions: FloatArray, changes: FloatArray) -> FloatArray:
    """Apply changes (tau, omega) (..., 6) to motions (..., 4, 4)."""
    return motion(rotation_exp(changes[..., 3:]) @ motions[..., :3, :3], motions[..., :3, 3] + changes[..., :3])


def difference(to: FloatArray, start: FloatArray) -> FloatArray:
    """Return the changes (..., 6) with `moved(start, change) = to`."""
    turn = rotation_log(to[..., :3, :3] @ np.swapaxes(start[..., :3, :3], -1, -2))
    return np.concatenate([to[..., :3, 3] - start[..., :3, 3], turn], axis=-1)


def angle_between(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the angles (...) in radians between rotations (..., 3, 3)."""
    return np.linalg.norm(rotation_log(first @ np.swapaxes(second, -1, -2)), axis=-1)
