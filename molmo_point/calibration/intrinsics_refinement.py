"""Joint refinement of the intrinsics with a hand-eye calibration: how far the samples would move them, and how surely.

The camera's parameters join the shared unknowns of the solution. The robot poses keep their corrections, and each sample
counts as one observation.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.calibration.camera_equations import CameraState, camera_equations
from molmo_point.calibration.camera_fit import largest_difference_px
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.lens_models import COEFFICIENTS
from molmo_point.hand_eye.causes import Cause
from molmo_point.hand_eye.joint import Model, Noise, camera_poses, fit_joint, motion_chains
from molmo_point.hand_eye.samples import HandEyeSet
from molmo_point.hand_eye.solve import Solution

_ROUNDS = 6
_SETTLED_SIGMAS = 0.1
_SURE_SIGMAS, _LEAST_PX = 4.0, 0.5
_USUAL_COEFFICIENT = 0.2
"""Expected size of a change of a coefficient: boards in the middle of the image hardly determine the distortion."""
_PARAMETERS = ("fx", "fy", "cx", "cy")


@dataclass(frozen=True, eq=False)
class IntrinsicsRefinement:
    """Intrinsics that the samples of a hand-eye calibration prefer.

    Attributes:
        camera: Refined intrinsics.
        moves: Refined minus given value, by the parameter's name.
        sigmas: Standard deviation of each move.
        rms_px: Root mean square difference of the two cameras over the image, in pixels.
    """

    camera: Intrinsics
    moves: dict[str, float]
    sigmas: dict[str, float]
    rms_px: float

    @property
    def significant(self) -> bool:
        """True if the samples contradict the given intrinsics, and if it matters."""
        sure = any(abs(move) > _SURE_SIGMAS * self.sigmas[name] for name, move in self.moves.items())
        return sure and self.rms_px > _LEAST_PX

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as plain JSON."""
        figures = {"moves": self.moves, "sigmas": self.sigmas, "rms_px": self.rms_px, "significant": self.significant}
        return {"intrinsics": self.camera.to_dict(), **figures}

    def words(self) -> str:
        """Describe the moves."""
        moves = ", ".join(f"{name} {self.moves[name]:+.1f} ± {self.sigmas[name]:.1f}" for name in _PARAMETERS)
        return f"{moves} px, {self.rms_px:.1f} px over the image"

    def cause(self) -> Cause:
        """Return the cause that a significant refinement is evidence for."""
        fix = (
            "give the intrinsics of this stream, or run `molmo-point calibrate intrinsics`; if they are right, measure the board"
        )
        gain = max((move / self.sigmas[name]) ** 2 / 2.0 for name, move in self.moves.items())
        return Cause("intrinsics", f"The samples contradict the intrinsics, and would move them by {self.words()}", fix, gain)


def refined_intrinsics(solution: Solution) -> IntrinsicsRefinement | None:
    """Refine the intrinsics with all other unknowns of a solution; None for board poses, and where nothing determines them."""
    given = solution.data.intrinsics
    if solution.data.from_poses:
        return None
    data, model, weights = solution.data, solution.fit.model, solution.kept.astype(float)
    lens = {"distortion_model": "brown_conrady", "distortion": (0.0,) * 5} if given.distortion_model == "none" else {}
    start = camera = replace(given, **lens)
    try:
        for _ in range(_ROUNDS):
            bent = np.array(camera.distortion[:2]) - start.distortion[:2]
            step, covariance = _step(data.subset(solution.kept), _subset(model, solution), camera, solution.noise, bent)
            camera = _changed(camera, step)
            data = data.with_points(data.uv, data.points_board, camera)
            model = fit_joint(data, model, solution.noise, weights).model
            if np.all(np.abs(step) < _SETTLED_SIGMAS * np.sqrt(np.diag(covariance))):
                break
        difference = largest_difference_px(given, camera)[0]
    except (InputError, np.linalg.LinAlgError):
        return None
    names = (*_PARAMETERS, *COEFFICIENTS[camera.distortion_model][:2])
    moves = dict(zip(names, (_values(camera) - _values(start)).tolist()))
    sigmas = dict(zip(names, np.sqrt(np.diag(covariance)).tolist()))
    return IntrinsicsRefinement(camera, moves, sigmas, float(difference)) if np.isfinite(difference) else None


def _subset(model: Model, solution: Solution) -> Model:
    keep = solution.kept
    return replace(model, robot=model.robot[keep], camera_of=model.camera_of[keep], board_of=model.board_of[keep])


def _values(camera: Intrinsics) -> FloatArray:
    """Return the refined parameters (6,): focal lengths, center, two coefficients."""
    return np.array([camera.fx, camera.fy, camera.cx, camera.cy, *camera.distortion[:2]])


def _changed(camera: Intrinsics, step: FloatArray) -> Intrinsics:
    fx, fy, cx, cy, *lens = (_values(camera) + step).tolist()
    return replace(camera, fx=fx, fy=fy, cx=cx, cy=cy, distortion=(*lens, *camera.distortion[2:]))


def _step(data: HandEyeSet, model: Model, camera: Intrinsics, noise: Noise, bent: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the change (6,) of fx, fy, cx, cy and two coefficients, with its covariance (6, 6).

    Args:
        data: Kept samples.
        model: Solution of these samples.
        camera: Intrinsics so far.
        noise: Noise of points and robot.
        bent: Change (2,) of the two coefficients so far.
    """
    poses = camera_poses(data.setup, model)
    focal, center = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
    found = camera_equations(CameraState(focal, center, camera.lens, poses, (0, 1)), data.points_board, data.uv)
    shared, robot = motion_chains(data.setup, model, poses)
    design = np.concatenate([found.by_pose @ shared, found.by_camera], axis=2) / noise.sigma_px
    own = found.by_pose @ robot / noise.sigma_px
    residual = found.residual.reshape(len(poses), -1, 1) / noise.sigma_px
    own_t, design_t = np.swapaxes(own, 1, 2), np.swapaxes(design, 1, 2)
    inner = own_t @ own + np.diag(noise.robot_precision)
    cross = own_t @ design
    # The corrections of the robot pull to their minimum; at the solution their gradient is zero.
    normals = design_t @ design - np.swapaxes(cross, 1, 2) @ np.linalg.solve(inner, cross)
    pulls = (design_t @ residual)[..., 0]
    normal, pull = normals.sum(axis=0), pulls.sum(axis=0)
    normal[[-2, -1], [-2, -1]] += _USUAL_COEFFICIENT**-2.0
    pull[-2:] += bent / _USUAL_COEFFICIENT**2
    scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), 1e-300))
    inverse = np.linalg.inv(normal * np.outer(scale, scale)) * np.outer(scale, scale)
    step = -inverse @ pull
    left = pulls + (normals @ step)
    n = len(poses)
    clustered = inverse @ (left.T @ left) @ inverse * n / max(n - 1, 1)
    grow = np.sqrt(np.maximum(np.diag(clustered) / np.diag(inverse), 1.0))
    covariance = inverse * np.outer(grow, grow)
    return step[-6:], covariance[-6:, -6:]
