"""Closed-form solutions of G_i X B_i = W: Park & Martin (1994) from motions, Shah (2013) from poses.

They need no start values; the joint optimization starts from them. The report shows their disagreement.
"""

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.geometry.rigid import angle_between, motion, nearest_rotation, rotation_log
from molmo_point.hand_eye.samples import HandEyeSet

_ROUNDS = 12
_REACH_M = 0.3


def park(outer: FloatArray, boards: FloatArray, weights: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Solve for X and W by Park & Martin: rotation from the rotation vectors of all pairs of motions, then translation.

    The singular value decomposition equals Park's matrix square root where the root exists. It also works when all
    rotation axes lie in one plane.

    Args:
        outer: G_i (n, 4, 4).
        boards: camera_T_board (n, 4, 4).
        weights: Weights of the samples (n,); default 1.

    Returns:
        X (4, 4) and W (4, 4).
    """
    weights = np.ones(len(outer)) if weights is None else weights
    first, second = np.triu_indices(len(outer), 1)
    alpha = rotation_log(np.swapaxes(outer[second, :3, :3], 1, 2) @ outer[first, :3, :3])
    beta = rotation_log(boards[second, :3, :3] @ np.swapaxes(boards[first, :3, :3], 1, 2))
    # Half a turn has two logarithms; pairs near it would pull toward the wrong one.
    use = weights[first] * weights[second] * (np.linalg.norm(alpha, axis=1) < np.deg2rad(170.0))
    left, _, right = np.linalg.svd(np.einsum("p,pi,pj->ij", use, alpha, beta))
    rotation = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    return _with_translations(rotation, None, outer, boards, weights)[:2]


def shah(outer: FloatArray, boards: FloatArray, weights: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Solve for X and W by Shah: both rotations from one singular value decomposition of the sum of Kronecker products.

    Arguments and results as of `park`.
    """
    weights = np.ones(len(outer)) if weights is None else weights
    kronecker = np.einsum("n,nji,nkl->ikjl", weights, boards[:, :3, :3], outer[:, :3, :3]).reshape(9, 9)
    left, _, right = np.linalg.svd(kronecker)
    # vec() stacks columns, hence the transposes.
    first = right[0].reshape(3, 3).T
    second = left[:, 0].reshape(3, 3).T
    if np.linalg.det(first) < 0:
        first, second = -first, -second
    return _with_translations(nearest_rotation(first), nearest_rotation(second), outer, boards, weights)[:2]


def shah_with_scale(outer: FloatArray, boards: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Solve for X, W and the scale of the board's distances relative to the robot's; NaN if unobservable."""
    x, w = shah(outer, boards)
    return _with_translations(x[:3, :3], w[:3, :3], outer, boards, np.ones(len(outer)), scale=True)


def _with_translations(
    rotation_x: FloatArray,
    rotation_w: FloatArray | None,
    outer: FloatArray,
    boards: FloatArray,
    weights: FloatArray,
    scale: bool = False,
) -> tuple[FloatArray, FloatArray, float]:
    """Solve for the translations by linear least squares: R_g t_x - t_w + s R_g R_x t_b = -t_g, with s = 1 or unknown."""
    if rotation_w is None:
        rotation_w = nearest_rotation(np.einsum("n,nij->ij", weights, outer[:, :3, :3] @ rotation_x @ boards[:, :3, :3]))
    known = (outer[:, :3, :3] @ rotation_x @ boards[:, :3, 3:])[..., 0]
    columns = [outer[:, :3, :3], np.broadcast_to(-np.eye(3), (len(outer), 3, 3))]
    target = -outer[:, :3, 3]
    if scale:
        columns.append(known[..., None])
    else:
        target = target - known
    root = np.sqrt(weights)[:, None]
    matrix = (np.concatenate(columns, axis=2) * root[..., None]).reshape(3 * len(outer), -1)
    solution, *_ = np.linalg.lstsq(matrix, (target * root).ravel(), rcond=None)
    factor = float(solution[6]) if scale else 1.0
    return motion(rotation_x, solution[:3]), motion(rotation_w, solution[3:6]), factor


def robust_start(data: HandEyeSet, method: str = "shah") -> tuple[FloatArray, FloatArray]:
    """Repeat a closed form ("shah" or "park") with weights that fall with the residual; results as of `park`."""
    solve = {"shah": shah, "park": park}[method]
    outer, boards = data.outer, data.poses.camera_T_board
    x, w = solve(outer, boards)
    for _ in range(_ROUNDS):
        residual = _closure_m(x, w, outer, boards)
        scale = max(float(np.median(residual)), 1e-9)
        weights = 1.0 / (1.0 + (residual / (2.0 * scale)) ** 2)
        x, w = solve(outer, boards, weights)
    return x, w


def _closure_m(x: FloatArray, w: FloatArray, outer: FloatArray, boards: FloatArray) -> FloatArray:
    """Return the distance (n,) of G_i X B_i from W, in meters; rotation counts over a reach of 0.3 m."""
    closed = outer @ x @ boards
    turn = angle_between(closed[:, :3, :3], w[:3, :3])
    return np.hypot(np.linalg.norm(closed[:, :3, 3] - w[:3, 3], axis=1), _REACH_M * turn)
