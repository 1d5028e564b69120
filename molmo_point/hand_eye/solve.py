"""Hand-eye solver: observability, closed forms, joint optimization, robot noise, rejection of wrong samples."""

from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.rigid import nearest_rotation, rotation_log
from molmo_point.hand_eye.closed_form import robust_start
from molmo_point.hand_eye.joint import JointFit, Noise, fit_joint, start_model
from molmo_point.hand_eye.noise import (
    USUAL_ROBOT_M,
    USUAL_ROBOT_RAD,
    Linearized,
    estimate_noise,
    leave_one_out_distance,
    linearize,
)
from molmo_point.hand_eye.samples import MIN_SAMPLES, HandEyeSet

WEAK_DEG, BLIND_DEG = 15.0, 3.0


@dataclass(frozen=True, eq=False)
class Observability:
    """Rotations of the arm over the samples.

    Attributes:
        spread_deg: Root mean square rotation (3,) about the three principal axes, largest first, in degrees.
        axes: Principal axes (3, 3) as rows, in the gripper's (eye in hand) or base frame (eye to hand) of the mean pose.
        status: "good", "weak" (less than 15 degrees about the second axis) or "blind" (less than 3 degrees).
        travel_m: Largest distance between two robot positions, in meters.
    """

    spread_deg: FloatArray
    axes: FloatArray
    status: str
    travel_m: float

    def sentence(self) -> str:
        """Describe the consequence for the calibration."""
        first, second, _ = self.spread_deg
        given = f"rotation spread {first:.0f}° and {second:.0f}° about its two main axes"
        if self.status == "good":
            return f"The motion is good: {given}."
        if self.status == "weak":
            low = f"below {WEAK_DEG:.0f}° the translation is poorly known"
            return f"The motion is weak: {given}; {low}. Tilt the view more, in two directions."
        return f"The motion is about a single axis: {given}. The camera's position along it is unknown. Tilt in two directions."


def observability(data: HandEyeSet) -> Observability:
    """Measure the rotations among the robot poses."""
    outer = data.outer
    mean = nearest_rotation(outer[:, :3, :3].mean(axis=0))
    turns = rotation_log(mean.T @ outer[:, :3, :3])
    turns = turns - turns.mean(axis=0)
    values, vectors = np.linalg.eigh(turns.T @ turns / len(turns))
    spread = np.rad2deg(np.sqrt(np.maximum(values[::-1], 0.0)))
    status = "good" if spread[1] >= WEAK_DEG else "weak" if spread[1] >= BLIND_DEG else "blind"
    positions = data.base_T_gripper[:, :3, 3]
    travel = float(np.linalg.norm(positions[:, None] - positions[None], axis=2).max())
    return Observability(spread, vectors[:, ::-1].T, status, travel)


# A correct sample exceeds this limit once in 100,000 cases; the unknown noise of few samples widens it.
_SUSPECT_CHI2 = 33.0
_CHI2_MEDIAN = 5.35
_MAX_BAD_SHARE = 0.3
_NO_TURN_DEG = 0.05


@dataclass(frozen=True, eq=False)
class Solution:
    """Solution of a hand-eye calibration.

    Attributes:
        data: All samples, including the dropped ones.
        fit: Joint optimization over the kept samples.
        noise: Estimated noise of points and robot.
        kept: Mask (n,) of the used samples.
        linear: Samples linearized around the solution.
        distance: Deviation (n,) of each sample from the prediction of the others; 1 is usual for a correct sample.
    """

    data: HandEyeSet
    fit: JointFit
    noise: Noise
    kept: BoolArray
    linear: Linearized
    distance: FloatArray

    @property
    def x(self) -> FloatArray:
        """gripper_T_camera (eye in hand) or base_T_camera (eye to hand), (4, 4)."""
        return self.fit.x

    @property
    def w(self) -> FloatArray:
        """base_T_board (eye in hand) or gripper_T_board (eye to hand), (4, 4)."""
        return self.fit.w


def solve(data: HandEyeSet) -> Solution:
    """Solve a hand-eye calibration, from the better of Park's and Shah's closed forms.

    Raises:
        InputError: If the arm rotated about one axis at most; then there are infinitely many solutions.
    """
    spread = observability(data).spread_deg
    if spread[1] < _NO_TURN_DEG:
        raise InputError(
            "The arm must rotate about two axes, or the calibration is undetermined",
            f"{len(data)} samples, rotation spread {spread[0]:.2f}° and {spread[1]:.2f}° about two axes",
            "tilt the view by 20 to 30 degrees in several directions, and check the unit of the robot's angles",
        )
    noise = Noise(data.sigma_px(), USUAL_ROBOT_M, USUAL_ROBOT_RAD)
    fits = [fit_joint(data, start_model(data, *robust_start(data, method)), noise) for method in ("shah", "park")]
    fit = min(fits, key=lambda fit: fit.cost)
    linear = linearize(data, fit.model, noise.sigma_px)
    noise = _robust_noise(linear, noise)
    kept = _keep(linear, noise)
    for _ in range(3):
        noise = estimate_noise(linear.subset(kept), noise)
        fit = fit_joint(data, fit.model, noise, kept.astype(float))
        linear = linearize(data, fit.model, noise.sigma_px)
        again = _keep(linear, estimate_noise(linear.subset(kept), noise))
        if np.array_equal(again, kept):
            break
        kept = again
    noise = estimate_noise(linear.subset(kept), noise)
    fit = fit_joint(data, fit.model, noise, kept.astype(float))
    linear = linearize(data, fit.model, noise.sigma_px)
    distance = np.sqrt(leave_one_out_distance(linear, noise, kept) / 6.0)
    return Solution(data, fit, noise, kept, linear, distance)


def _robust_noise(linear: Linearized, noise: Noise) -> Noise:
    """Scale the noise so that the median residual is that of a median sample."""
    precision = np.linalg.inv(linear.covariances(noise))
    squares = np.einsum("ni,nij,nj->n", linear.error, precision, linear.error)
    n = len(squares)
    free = max(1.0 - linear.shared.shape[2] / (6.0 * n), 0.2)
    scale = np.sqrt(max(float(np.median(squares)) / (_CHI2_MEDIAN * free), 1e-3))
    calm = squares < 25.0 * max(float(np.median(squares)), 1e-9)
    widened = Noise(noise.sigma_px, noise.robot_m * max(scale, 0.3), noise.robot_rad * max(scale, 0.3))
    return estimate_noise(linear.subset(calm), widened) if calm.sum() >= MIN_SAMPLES else widened


def _keep(linear: Linearized, noise: Noise) -> BoolArray:
    """Drop the worst sample, one at a time, while it contradicts all others."""
    kept = np.ones(len(linear.error), bool)
    for _ in range(int(_MAX_BAD_SHARE * len(kept))):
        # One sample can change the estimated robot noise, so it is estimated without the suspect.
        distance = np.where(kept, leave_one_out_distance(linear, noise, kept), -1.0)
        worst = int(np.argmax(distance))
        without = kept.copy()
        without[worst] = False
        if without.sum() < MIN_SAMPLES - 1:
            break
        calmer = estimate_noise(linear.subset(without), noise)
        alone = leave_one_out_distance(linear, calmer, kept)[worst]
        freedom = 6.0 * without.sum() - linear.shared.shape[2]
        if alone < _SUSPECT_CHI2 * (1.0 + 12.0 / max(freedom, 1.0)):
            break
        kept, noise = without, calmer
    # Each sample is tested again against the final set, so that a sample dropped too early comes back.
    distance = leave_one_out_distance(linear, noise, kept)
    return kept | (distance < _SUSPECT_CHI2)
