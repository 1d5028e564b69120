"""From samples to X and W: closed forms, joint optimization, the robot's noise, and the samples that do not belong."""

from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.rigid import nearest_rotation, rotation_log
from molmo_point.hand_eye.closed_form import robust_start
from molmo_point.hand_eye.joint import JointFit, Model, Noise, fit_joint, start_model
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
    """How the arm has turned.

    Attributes:
        spread_deg: (3,) root mean square rotation about the three principal axes, largest first, degrees.
        axes: (3, 3) those axes, as rows, in the gripper's (eye in hand) or base frame (eye to hand) of the mean pose.
        status: "good"; "weak": the second axis has less than 15 degrees; "blind": less than 3 degrees.
        travel_m: largest distance between two robot positions, meters.
    """

    spread_deg: FloatArray
    axes: FloatArray
    status: str
    travel_m: float

    def sentence(self) -> str:
        """What it means, in words."""
        first, second, _ = self.spread_deg
        given = f"rotation spread {first:.0f}° and {second:.0f}° about its two main axes"
        if self.status == "good":
            return f"The motion is good: {given}."
        if self.status == "weak":
            low = f"below {WEAK_DEG:.0f}° the translation is poorly known"
            return f"The motion is weak: {given}; {low}. Tilt the view more, in two directions."
        return (
            f"The motion is about a single axis: {given}. The camera's position along it cannot be known. Tilt in two directions."
        )


def observability(data: HandEyeSet) -> Observability:
    """Measures the rotations among the robot poses."""
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


# A good sample is beyond this once in 100 000 sets of 6 numbers; the unknown noise of few samples widens it.
_SUSPECT_CHI2 = 33.0
_CHI2_MEDIAN = 5.35
_MAX_BAD_SHARE = 0.3
_NO_TURN_DEG = 0.05


@dataclass(frozen=True, eq=False)
class Solution:
    """A hand-eye calibration.

    Attributes:
        data: all samples, the dropped ones included.
        fit: the joint optimization over the kept samples.
        noise: what the samples say about points and robot.
        kept: (n,) which samples were used.
        linear: the samples linearized around the solution.
        distance: (n,) how far each sample is from what the others predict, in units where 1 is usual for a good one.
    """

    data: HandEyeSet
    fit: JointFit
    noise: Noise
    kept: BoolArray
    linear: Linearized
    distance: FloatArray

    @property
    def x(self) -> FloatArray:
        """(4, 4) gripper_T_camera (eye in hand) or base_T_camera (eye to hand)."""
        return self.fit.x

    @property
    def w(self) -> FloatArray:
        """(4, 4) base_T_board (eye in hand) or gripper_T_board (eye to hand)."""
        return self.fit.w


def solve(data: HandEyeSet, start: Model | None = None) -> Solution:
    """Calibrates.

    Args:
        data: the samples.
        start: where to start; by default the better of Park's and Shah's closed forms.

    Raises:
        InputError: the arm did not turn, or about one axis only: then there are infinitely many answers.
    """
    spread = observability(data).spread_deg
    if spread[1] < _NO_TURN_DEG:
        raise InputError(
            "The arm has turned about one axis at most, so the calibration cannot be known",
            f"{len(data)} samples, rotation spread {spread[0]:.2f}° and {spread[1]:.2f}° about two axes",
            "tilt the view by 20 to 30 degrees in several directions, and check the unit of the robot's angles",
        )
    noise = Noise(data.sigma_px(), USUAL_ROBOT_M, USUAL_ROBOT_RAD)
    fit = _first_fit(data, noise, start)
    everything = np.ones(len(data), bool)
    linear = linearize(data, fit.model, noise.sigma_px)
    noise = _robust_noise(linear, noise)
    kept = _keep(linear, noise, everything)
    for _ in range(3):
        noise = estimate_noise(linear.subset(kept), noise)
        fit = fit_joint(data, fit.model, noise, kept.astype(float))
        linear = linearize(data, fit.model, noise.sigma_px)
        again = _keep(linear, estimate_noise(linear.subset(kept), noise), everything)
        if np.array_equal(again, kept):
            break
        kept = again
    noise = estimate_noise(linear.subset(kept), noise)
    fit = fit_joint(data, fit.model, noise, kept.astype(float))
    linear = linearize(data, fit.model, noise.sigma_px)
    distance = np.sqrt(leave_one_out_distance(linear, noise, kept) / 6.0)
    return Solution(data, fit, noise, kept, linear, distance)


def _first_fit(data: HandEyeSet, noise: Noise, start: Model | None) -> JointFit:
    if start is not None:
        return fit_joint(data, start, noise)
    fits = [fit_joint(data, start_model(data, *robust_start(data, method)), noise) for method in ("shah", "park")]
    return min(fits, key=lambda fit: fit.cost)


def _robust_noise(linear: Linearized, noise: Noise) -> Noise:
    """Noise scaled so that the median sample is as far off as a median sample should be."""
    precision = np.linalg.inv(linear.covariances(noise))
    squares = np.einsum("ni,nij,nj->n", linear.error, precision, linear.error)
    n = len(squares)
    free = max(1.0 - linear.shared.shape[2] / (6.0 * n), 0.2)
    scale = np.sqrt(max(float(np.median(squares)) / (_CHI2_MEDIAN * free), 1e-3))
    calm = squares < 25.0 * max(float(np.median(squares)), 1e-9)
    widened = Noise(noise.sigma_px, noise.robot_m * max(scale, 0.3), noise.robot_rad * max(scale, 0.3))
    return estimate_noise(linear.subset(calm), widened) if calm.sum() >= MIN_SAMPLES else widened


def _keep(linear: Linearized, noise: Noise, allowed: BoolArray) -> BoolArray:
    """Drops the worst sample, one at a time, as long as it is beyond belief given all others."""
    kept = allowed.copy()
    budget = int(_MAX_BAD_SHARE * len(kept))
    for _ in range(budget):
        # One sample more or less changes the robot's noise: it is estimated without the suspect.
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
    # A sample is judged once more against the final set, so that one dropped too early comes back.
    distance = leave_one_out_distance(linear, noise, kept)
    freedom = max(6.0 * kept.sum() - linear.shared.shape[2], 1.0)
    return allowed & (kept | (distance < _SUSPECT_CHI2))
