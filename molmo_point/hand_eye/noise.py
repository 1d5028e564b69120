"""Robot noise, estimated from the samples, and the covariance that follows.

Around a solution the problem is linear. The pose from image i alone differs from the predicted pose by a twist
e_i = K_i theta + D_i delta_i + noise of the image. Its covariance is S_i + D_i V D_i^T, with unknown V = diag(robot_m^2,
robot_rad^2). V maximizes the restricted likelihood (REML), which counts the fitted unknowns, so that few samples do not
look better than they are. A weak prior around an ordinary arm is added.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.geometry.rigid import inverse, rotation_log
from molmo_point.hand_eye.joint import Model, Noise, camera_poses, motion_chains
from molmo_point.hand_eye.samples import HandEyeSet

USUAL_ROBOT_M, USUAL_ROBOT_RAD = 0.0003, float(np.deg2rad(0.06))
_PRIOR_SPREAD = 1.2  # of the logarithm: a factor of 3.3 either way
_ROUNDS = 25
_NOISY = 2.0  # times the usual variance: more than chance does with 40 numbers


@dataclass(frozen=True, eq=False)
class Linearized:
    """Samples linearized around a solution.

    Attributes:
        error: Twists (n, 6) from the predicted board pose to the pose from the image, in meters and radians.
        shared: Jacobian (n, 6, k) of the prediction by the shared unknowns.
        robot: Jacobian (n, 6, 6) of the prediction by the robot pose.
        image: Covariance (n, 6, 6) of the pose from the image.
    """

    error: FloatArray
    shared: FloatArray
    robot: FloatArray
    image: FloatArray

    def subset(self, keep: NDArray[Any]) -> "Linearized":
        """Select samples by a mask or by indices."""
        return Linearized(self.error[keep], self.shared[keep], self.robot[keep], self.image[keep])

    def covariances(self, noise: Noise) -> FloatArray:
        """Return the covariance (n, 6, 6) of each `error` at the true shared unknowns."""
        variance = 1.0 / noise.robot_precision
        return self.image + np.einsum("nij,j,nkj->nik", self.robot, variance, self.robot)


def linearize(data: HandEyeSet, model: Model, sigma_px: float) -> Linearized:
    """Linearize the samples around a model, with the reported robot poses."""
    model = replace(model, robot=data.base_T_gripper)
    predicted = camera_poses(data.setup, model)
    shared, robot = motion_chains(data.setup, model, predicted)
    seen = data.poses.camera_T_board.copy()
    seen[:, :3, 3] *= model.scale
    relative = seen @ inverse(predicted)
    turn = rotation_log(relative[:, :3, :3])
    shift = relative[:, :3, 3]
    # An image noisier than the others counts less.
    freedom = np.maximum(2 * data.poses.count - 6, 1)
    own = data.poses.rms_px**2 * data.poses.count / freedom
    variance = np.where(own > _NOISY * sigma_px**2, own, sigma_px**2)
    information = data.poses.information / variance[:, None, None]
    image = np.linalg.inv(information + 1e-9 * np.einsum("nii->n", information)[:, None, None] * np.eye(6) * 1e-3)
    if model.free_scale:
        # The detected pose moves with the scale; the predicted pose does not.
        shared = shared[:, :6].copy()
        robot = robot[:, :6]
        shared[:, :3, -1] -= seen[:, :3, 3] / model.scale
    return Linearized(np.concatenate([shift, turn], axis=1), shared, robot, image)


def estimate_noise(linear: Linearized, start: Noise) -> Noise:
    """Estimate the robot noise by restricted maximum likelihood (Fisher scoring on the two logarithms)."""
    prior = np.log([USUAL_ROBOT_M, USUAL_ROBOT_RAD])
    value: FloatArray = np.log([start.robot_m, start.robot_rad])
    best = _score(linear, start, value)
    damping = 0.0
    for _ in range(_ROUNDS):
        gradient = best[1] - (value - prior) / _PRIOR_SPREAD**2
        curvature = best[2] + np.eye(2) / _PRIOR_SPREAD**2
        step = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), gradient)
        step = np.clip(step, -1.5, 1.5)
        tried = value + step
        new = _score(linear, start, tried)
        if new[0] - _penalty(tried, prior) >= best[0] - _penalty(value, prior) - 1e-9:
            value, best, damping = tried, new, damping * 0.3
            if np.abs(step).max() < 1e-3:
                break
        else:
            damping = max(damping * 10.0, 0.1)
    robot_m, robot_rad = np.exp(value)
    return replace(start, robot_m=float(robot_m), robot_rad=float(robot_rad))


def noise_spread(linear: Linearized, noise: Noise) -> FloatArray:
    """Return the covariance (2, 2) of the logarithms of the two deviations, at their estimate."""
    _, _, fisher = _score(linear, noise, np.log([noise.robot_m, noise.robot_rad]))
    return np.linalg.inv(fisher + np.eye(2) / _PRIOR_SPREAD**2)


def _penalty(value: FloatArray, prior: FloatArray) -> float:
    return float(((value - prior) ** 2).sum() / (2.0 * _PRIOR_SPREAD**2))


def _score(linear: Linearized, noise: Noise, logs: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Compute the restricted log likelihood, its gradient (2,) and Fisher information (2, 2) by the logs of the deviations."""
    noise = replace(noise, robot_m=float(np.exp(logs[0])), robot_rad=float(np.exp(logs[1])))
    n, k = len(linear.error), linear.shared.shape[2]
    covariance = linear.covariances(noise)
    precision = np.linalg.inv(covariance)
    design = linear.shared.reshape(6 * n, k)
    weighted = (precision @ linear.shared).reshape(6 * n, k)
    normal = design.T @ weighted + 1e-12 * np.eye(k)
    big = np.zeros((n, 6, n, 6))
    big[np.arange(n), :, np.arange(n), :] = precision
    projection = big.reshape(6 * n, 6 * n) - weighted @ np.linalg.solve(normal, weighted.T)
    error = linear.error.ravel()
    pulled = projection @ error
    value = -0.5 * (np.linalg.slogdet(covariance)[1].sum() + np.linalg.slogdet(normal)[1] + error @ pulled)
    # d C_i / d log sigma = 2 sigma^2 D D^T, for the position half and the orientation half of D.
    halves = [linear.robot[:, :, :3] * np.sqrt(2.0) * noise.robot_m, linear.robot[:, :, 3:] * np.sqrt(2.0) * noise.robot_rad]
    columns = []
    for half in halves:
        wide = np.zeros((n, 6, n, 3))
        wide[np.arange(n), :, np.arange(n), :] = half
        columns.append(wide.reshape(6 * n, 3 * n))
    inner = [[a.T @ projection @ b for b in columns] for a in columns]
    gradient = np.array([0.5 * (((c.T @ pulled) ** 2).sum() - np.trace(inner[i][i])) for i, c in enumerate(columns)])
    fisher = np.array([[0.5 * (inner[i][j] ** 2).sum() for j in range(2)] for i in range(2)])
    return float(value), gradient, fisher


def solve_linear(linear: Linearized, noise: Noise, weights: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Solve for the change (k,) of the shared unknowns, with its formal covariance (k, k).

    Args:
        linear: Linearized samples.
        noise: Noise of points and robot.
        weights: Weights (n,), or (b, n) for b problems at once; the results then have a leading axis b.
    """
    precision = np.linalg.inv(linear.covariances(noise))
    transposed = np.swapaxes(linear.shared, 1, 2) @ precision
    normals = transposed @ linear.shared
    pulls = (transposed @ linear.error[..., None])[..., 0]
    weights = np.ones(len(normals)) if weights is None else weights
    normal = np.einsum("...n,nij->...ij", weights, normals)
    k = normal.shape[-1]
    covariance = np.linalg.inv(normal + 1e-12 * np.einsum("...ii->...", normal)[..., None, None] / k * np.eye(k))
    change = covariance @ np.einsum("...n,ni->...i", weights, pulls)[..., None]
    return change[..., 0], covariance


def leave_one_out_distance(linear: Linearized, noise: Noise, kept: BoolArray) -> FloatArray:
    """Return the squared Mahalanobis distance (n,) of each sample from the prediction of the other kept samples.

    Without faults it is distributed as chi-square with 6 degrees of freedom.
    """
    distances = np.empty(len(linear.error))
    covariances = linear.covariances(noise)
    n = len(kept)
    weights = np.broadcast_to(kept.astype(float), (n, n)).copy()
    np.fill_diagonal(weights, 0.0)
    change, spread = solve_linear(linear, noise, weights)
    for i in range(n):
        left = linear.error[i] - linear.shared[i] @ change[i]
        total = covariances[i] + linear.shared[i] @ spread[i] @ linear.shared[i].T
        distances[i] = left @ np.linalg.solve(total, left)
    return distances
