"""Errors on data outside the fit: left-out samples, other methods, fresh samples, touched points."""

from dataclasses import dataclass, replace

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.rigid import angle_between, applied, hat, motion, nearest_rotation
from molmo_point.hand_eye.closed_form import park, shah
from molmo_point.hand_eye.joint import Noise, camera_poses, fit_joint, start_model
from molmo_point.hand_eye.samples import HandEyeSet
from molmo_point.hand_eye.solve import Solution

MIN_POINTS = 3
_ERRORS, _DRAWS = 20000, 2000


@dataclass(frozen=True, eq=False)
class Unseen:
    """Errors on samples outside the fit: position of the board's middle through image, camera and arm.

    Attributes:
        distance_mm: Position errors (n,), in millimeters.
        turn_deg: Orientation errors (n,), in degrees.
        pixels: Root mean square (n,) between detected points and points predicted from the reported robot pose, in pixels.
    """

    distance_mm: FloatArray
    turn_deg: FloatArray
    pixels: FloatArray

    def summary(self, kept: BoolArray) -> dict[str, float]:
        """Return root mean square, median and largest errors over the kept samples."""
        far, turn = self.distance_mm[kept], self.turn_deg[kept]
        return {
            "rms_mm": float(np.sqrt((far**2).mean())),
            "median_mm": float(np.median(far)),
            "max_mm": float(far.max()),
            "rms_deg": float(np.sqrt((turn**2).mean())),
            "max_deg": float(turn.max()),
            "rms_px": float(np.sqrt((self.pixels[kept] ** 2).mean())),
        }


def unseen_errors(data: HandEyeSet, x: FloatArray, w: FloatArray) -> Unseen:
    """Compute the errors of samples against a given calibration."""
    closed = data.outer @ x @ data.poses.camera_T_board
    center = np.append(data.center_board, 1.0)
    distance = np.linalg.norm((closed @ center - w @ center)[:, :3], axis=1)
    turn = np.rad2deg(angle_between(closed[:, :3, :3], w[:3, :3]))
    predicted = camera_poses(data.setup, replace(start_model(data, x, w), robot=data.base_T_gripper))
    gap = np.linalg.norm(data.intrinsics.project(applied(predicted, data.points_board)) - data.uv, axis=2)
    seen = np.isfinite(gap)
    total = np.where(seen, gap, 0.0) ** 2
    # Bad samples may put the whole board behind the camera.
    pixels = np.sqrt(total.sum(axis=1) / np.where(seen.any(axis=1), seen.sum(axis=1), np.nan))
    return Unseen(distance * 1e3, turn, pixels)


def held_out(solution: Solution, folds: int | None = None) -> Unseen:
    """Compute the errors of each sample by a calibration from the others.

    Args:
        solution: Solution with the noise and the kept samples; dropped samples get errors, but are never fitted.
        folds: Number of parts to leave out in turn; None leaves out one sample at a time.
    """
    data, n = solution.data, len(solution.data)
    order = np.random.default_rng(0).permutation(n)
    part = np.empty(n, int)
    part[order] = np.arange(n) % min(folds or n, n)
    results = np.empty((3, n))
    for k in range(part.max() + 1):
        out = part == k
        use = solution.kept & ~out
        if use.sum() < 3:
            results[:, out] = np.nan
            continue
        fit = fit_joint(data, solution.fit.model, solution.noise, use.astype(float))
        errors = unseen_errors(data.subset(out), fit.x, fit.w)
        results[:, out] = errors.distance_mm, errors.turn_deg, errors.pixels
    return Unseen(*results)


def spread_between_methods(solution: Solution) -> dict[str, tuple[float, float]]:
    """Return the deviation from the joint fit, in millimeters and degrees, of the other methods on the kept samples."""
    data = solution.data.subset(solution.kept)
    outer, boards = data.outer, data.poses.camera_T_board
    x, stiff = solution.x, Noise(solution.noise.sigma_px, 1e-6, 1e-6)
    found = {
        "park": park(outer, boards)[0],
        "shah": shah(outer, boards)[0],
        "reprojection, robot exact": fit_joint(data, start_model(data, x, solution.w), stiff).x,
    }
    return {
        name: (
            float(np.linalg.norm(other[:3, 3] - x[:3, 3]) * 1e3),
            float(np.rad2deg(angle_between(other[:3, :3], x[:3, :3]))),
        )
        for name, other in found.items()
    }


def covariance_at(x: FloatArray, covariance: FloatArray, distance_m: float) -> FloatArray:
    """Compute the covariance (3, 3) of a point on the optical axis; arguments as `error_at`."""
    jacobian = np.hstack([np.eye(3), -hat(x[:3, :3] @ np.array([0.0, 0.0, distance_m]))])
    return jacobian @ covariance @ jacobian.T


def error_at(x: FloatArray, covariance: FloatArray, distance_m: float) -> float:
    """Compute the radius in meters that holds 95 % of the errors of a point on the optical axis.

    Args:
        x: Camera transform (4, 4).
        covariance: Covariance (6, 6) of the camera transform.
        distance_m: Distance of the point from the camera, in meters.
    """
    values = np.linalg.eigvalsh(covariance_at(x, covariance, distance_m))
    draws = np.random.default_rng(0).normal(size=(_ERRORS, 3)) ** 2 @ np.maximum(values, 0.0)
    return float(np.sqrt(np.quantile(draws, 0.95)))


@dataclass(frozen=True, eq=False)
class Verification:
    """Errors of a calibration on fresh data.

    Attributes:
        errors_mm: Position errors (n,), in millimeters.
        rms_mm: Root mean square error, in millimeters.
        interval_mm: 95 % interval of `rms_mm`, by bootstrap over the samples.
        bias_mm: Mean error vector (3,) in the base (or gripper) frame; near `rms_mm` in size, the error is an offset.
        turn_deg: Orientation errors (n,), in degrees; NaN for touched points.
    """

    errors_mm: FloatArray
    rms_mm: float
    interval_mm: tuple[float, float]
    bias_mm: FloatArray
    turn_deg: FloatArray


def verify_with_board(data: HandEyeSet, x: FloatArray, w: FloatArray | None = None) -> Verification:
    """Compute the errors of a calibration on fresh samples.

    Args:
        data: Fresh samples; the board may stand at another place than in the calibration.
        x: Camera transform (4, 4).
        w: Board transform (4, 4). None takes the mean over the samples, and enlarges the errors by sqrt(n / (n - 1)).
    """
    closed, center = data.outer @ x @ data.poses.camera_T_board, np.append(data.center_board, 1.0)
    seen, grow = (closed @ center)[:, :3], 1.0
    if w is None:
        rotation = nearest_rotation(closed[:, :3, :3].mean(axis=0))
        w, grow = motion(rotation, seen.mean(axis=0) - rotation @ center[:3]), np.sqrt(len(data) / (len(data) - 1.0))
    turn = np.rad2deg(angle_between(closed[:, :3, :3], w[:3, :3]))
    return _verification((seen - (w @ center)[:3]) * 1e3 * grow, turn * grow)


def verify_by_touch(seen_base_m: FloatArray, touched_base_m: FloatArray) -> Verification:
    """Compute the errors between points seen by the camera and touched by the tool tip, both (n, 3) in the base frame.

    Raises:
        InputError: For fewer than 3 points, or unequal shapes.
    """
    seen, touched = np.asarray(seen_base_m, np.float64), np.asarray(touched_base_m, np.float64)
    if seen.shape != touched.shape or seen.ndim != 2 or seen.shape[1] != 3 or len(seen) < MIN_POINTS:
        raise InputError(
            f"A touch test must have at least {MIN_POINTS} points, each seen and touched",
            f"seen {seen.shape}, touched {touched.shape}",
            "touch 5 or more points spread over the workspace",
        )
    return _verification((seen - touched) * 1e3, np.full(len(seen), np.nan))


def _verification(vectors_mm: FloatArray, turn_deg: FloatArray) -> Verification:
    errors = np.linalg.norm(vectors_mm, axis=1)
    draws = np.random.default_rng(0).integers(0, len(errors), (_DRAWS, len(errors)))
    rms = np.sqrt((errors[draws] ** 2).mean(axis=1))
    low, high = np.quantile(rms, [0.025, 0.975])
    total = float(np.sqrt((errors**2).mean()))
    return Verification(errors, total, (float(low), float(high)), vectors_mm.mean(axis=0), turn_deg)
