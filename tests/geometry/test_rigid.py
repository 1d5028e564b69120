"""Rotations and motions on arrays: against SciPy, at zero, at half a turn, and there and back."""

import numpy as np
from scipy.spatial.transform import Rotation

from molmo_point.geometry.rigid import difference, hat, inverse, motion, moved, nearest_rotation, rotation_exp, rotation_log

RNG = np.random.default_rng(0)
VECTORS = np.concatenate([RNG.normal(size=(50, 3)), np.zeros((1, 3)), 1e-9 * np.eye(3), np.pi * (1 - 1e-9) * np.eye(3)])


def test_exp_and_log_agree_with_scipy():
    turns = rotation_exp(VECTORS)
    assert np.allclose(turns, Rotation.from_rotvec(VECTORS).as_matrix(), atol=1e-12)
    assert np.allclose(rotation_log(turns), Rotation.from_matrix(turns).as_rotvec(), atol=1e-6)


def test_hat_is_the_cross_product():
    a, b = RNG.normal(size=(2, 5, 3))
    assert np.allclose((hat(a) @ b[..., None])[..., 0], np.cross(a, b))


def test_inverse_and_change_undo_themselves():
    poses = motion(rotation_exp(RNG.normal(size=(6, 3))), RNG.normal(size=(6, 3)))
    assert np.allclose(inverse(poses) @ poses, np.eye(4))
    changes = RNG.normal(size=(6, 6)) * 0.3
    assert np.allclose(difference(moved(poses, changes), poses), changes)


def test_the_nearest_rotation_is_never_a_mirror():
    found = nearest_rotation(np.diag([1.0, 1.0, -1.0])[None])
    assert np.isclose(np.linalg.det(found[0]), 1.0)
