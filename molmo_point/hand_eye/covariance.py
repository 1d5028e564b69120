"""Covariance of a hand-eye calibration: formal, averaged over the unknown noise, and by bootstrap.

The formal covariance takes the noise as known and the camera as perfect; with few samples it is too small. The stated one

1. averages the formal covariance over the robot noise that fits the samples (its logarithms are about normal, with the
   Fisher information of the restricted likelihood);
2. is widened to the bootstrap's spread in the directions in which the bootstrap over samples finds more.
"""

from dataclasses import replace

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.hand_eye.noise import estimate_noise, noise_spread, solve_linear
from molmo_point.hand_eye.solve import Solution

REPLICATES = 400
_NODES = np.array([-np.sqrt(3.0), 0.0, np.sqrt(3.0)])
_NODE_WEIGHTS = np.array([1.0, 4.0, 1.0]) / 6.0
_WIDEN_FROM = 1.5


def stated_covariance(solution: Solution) -> FloatArray:
    """Compute the covariance (12, 12) of (X, W) in meters and radians, each in the order of `Transform.covariance`."""
    return _widened(_averaged(solution), _bootstrap(solution))


def _averaged(solution: Solution) -> FloatArray:
    """Average the formal covariance over the possible robot noise (Gauss-Hermite nodes)."""
    linear = solution.linear.subset(solution.kept)
    noise = estimate_noise(linear, solution.noise)
    spread = np.linalg.cholesky(noise_spread(linear, noise))
    total = np.zeros((linear.shared.shape[2],) * 2)
    for i, a in enumerate(_NODES):
        for j, b in enumerate(_NODES):
            shift = spread @ [a, b]
            tried = replace(noise, robot_m=noise.robot_m * np.exp(shift[0]), robot_rad=noise.robot_rad * np.exp(shift[1]))
            total += _NODE_WEIGHTS[i] * _NODE_WEIGHTS[j] * solve_linear(linear, tried)[1]
    return total


def _bootstrap(solution: Solution) -> FloatArray:
    """Compute the covariance of estimates from reweighted samples (Rubin's Bayesian bootstrap).

    Reweighting never leaves too few samples. The residual of a sample in its own fit is too small; each is first scaled up
    by its leverage (HC2).
    """
    linear = solution.linear.subset(solution.kept)
    n = len(linear.error)
    change, spread = solve_linear(linear, solution.noise)
    residual = linear.error - linear.shared @ change
    total = linear.covariances(solution.noise)
    lost = linear.shared @ spread @ np.swapaxes(linear.shared, 1, 2)
    residual = _whitened_scale(total, total - lost, residual)
    drawn = np.random.default_rng(0).exponential(1.0, (REPLICATES, n))
    drawn *= n / drawn.sum(axis=1, keepdims=True)
    changes, _ = solve_linear(replace(linear, error=residual), solution.noise, drawn)
    return np.cov(changes.T)


def _whitened_scale(total: FloatArray, left: FloatArray, residual: FloatArray) -> FloatArray:
    """Rescale residuals (n, 6) of covariance `left` to covariance `total`."""
    lower = np.linalg.cholesky(total)
    white = np.linalg.solve(lower, np.swapaxes(np.linalg.solve(lower, left), 1, 2))
    values, vectors = np.linalg.eigh((white + np.swapaxes(white, 1, 2)) / 2.0)
    values = np.clip(values, 0.1, 1.0)
    inner = np.linalg.solve(lower, residual[..., None])
    inner = vectors @ ((np.swapaxes(vectors, 1, 2) @ inner) / np.sqrt(values)[..., None])
    return (lower @ inner)[..., 0]


def _widened(base: FloatArray, drawn: FloatArray) -> FloatArray:
    """Enlarge `base` in the directions in which `drawn` is clearly larger."""
    lower = np.linalg.cholesky(base)
    white = np.linalg.solve(lower, np.linalg.solve(lower, drawn).T)
    values, vectors = np.linalg.eigh((white + white.T) / 2.0)
    values = np.where(values > _WIDEN_FROM**2, values, 1.0)
    root = lower @ vectors
    return (root * values) @ root.T
