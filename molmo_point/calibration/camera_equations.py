"""Equations of a camera and of the board's poses in its images: residuals, derivatives, and a fit for any lens model.

Each pose concerns its own image only, so the equations reduce to those of the camera's few parameters.
"""

from dataclasses import dataclass, replace

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.geometry.lens_models import Lens
from molmo_point.geometry.planar_pose import lens_projection, twist_jacobian, twisted
from molmo_point.geometry.rigid import applied

_STEPS = 60
_CONVERGED = 1e-9
_SHIFT = 1e-6


@dataclass(frozen=True, eq=False)
class CameraState:
    """Camera in the making, with the poses of the board.

    Attributes:
        focal: fx and fy (2,), in pixels.
        center: cx and cy (2,), in pixels.
        lens: Lens model.
        poses: camera_T_board (n, 4, 4).
        free: Indices of the fitted coefficients of the lens.
    """

    focal: FloatArray
    center: FloatArray
    lens: Lens
    poses: FloatArray
    free: tuple[int, ...]

    def moved(self, camera: FloatArray, twists: FloatArray) -> "CameraState":
        """Add a change (4 + free,) of the camera's parameters, and twists (n, 6) of the poses."""
        coefficients = np.array(self.lens.coefficients)
        coefficients[list(self.free)] += camera[4:]
        lens = Lens(self.lens.model, tuple(coefficients.tolist()))
        return replace(
            self, focal=self.focal + camera[:2], center=self.center + camera[2:4], lens=lens, poses=twisted(self.poses, twists)
        )


@dataclass(frozen=True, eq=False)
class CameraEquations:
    """Linearized equations of n images.

    Attributes:
        residual: Projected minus detected pixels (n, m, 2); 0 where not detected.
        by_pose: Derivative (n, 2m, 6) by the twist of the image's pose.
        by_camera: Derivative (n, 2m, p) by fx, fy, cx, cy and the fitted coefficients.
    """

    residual: FloatArray
    by_pose: FloatArray
    by_camera: FloatArray

    @property
    def cost(self) -> float:
        """Sum of squares, in square pixels."""
        return float((self.residual**2).sum())


def camera_equations(state: CameraState, points_board: FloatArray, uv: FloatArray) -> CameraEquations:
    """Linearize a camera around its state. Arguments as `fit_camera`; every image must have a pose."""
    p_camera = applied(state.poses, points_board)
    projected, by_point = lens_projection(p_camera, state.lens, state.focal, state.center)
    seen = np.isfinite(uv).all(axis=-1)[..., None]
    x, y = p_camera[..., 0] / p_camera[..., 2], p_camera[..., 1] / p_camera[..., 2]
    by_focal, by_center = np.zeros((*uv.shape, 2)), np.broadcast_to(np.eye(2), (*uv.shape, 2))
    for axis in (0, 1):
        by_focal[..., axis, axis] = (projected[..., axis] - state.center[axis]) / state.focal[axis]
    by_lens = [_by_coefficient(state.lens, index, x, y) * state.focal for index in state.free]
    by_camera = np.concatenate([by_focal, by_center, *(column[..., None] for column in by_lens)], axis=-1)
    n = len(uv)
    return CameraEquations(
        np.where(seen, projected - uv, 0.0),
        (twist_jacobian(by_point, p_camera) * seen[..., None]).reshape(n, -1, 6),
        (by_camera * seen[..., None]).reshape(n, 2 * uv.shape[1], -1),
    )


def _by_coefficient(lens: Lens, index: int, x: FloatArray, y: FloatArray) -> FloatArray:
    ends = []
    for sign in (1.0, -1.0):
        coefficients = list(lens.coefficients)
        coefficients[index] += sign * _SHIFT
        ends.append(np.stack(Lens(lens.model, tuple(coefficients)).distort(x, y), axis=-1))
    return (ends[0] - ends[1]) / (2.0 * _SHIFT)


def refined_camera(state: CameraState, points_board: FloatArray, uv: FloatArray) -> tuple[CameraState, CameraEquations]:
    """Minimize the reprojection error of a camera and the poses, by Levenberg-Marquardt. Arguments as `camera_equations`."""
    now, damping = camera_equations(state, points_board, uv), 1e-4
    for _ in range(_STEPS):
        tried = state.moved(*_step(now, damping))
        with np.errstate(all="ignore"):
            new = camera_equations(tried, points_board, uv)
        in_front = bool(((applied(tried.poses, points_board)[..., 2] > 0.0) | np.isnan(uv[..., 0])).all())
        if in_front and tried.focal.min() > 0.0 and new.cost < now.cost:
            small = now.cost - new.cost < _CONVERGED * now.cost
            state, now, damping = tried, new, max(damping * 0.2, 1e-9)
            if small:
                break
        else:
            damping *= 8.0
            if damping > 1e8:
                break
    return state, now


def _step(now: CameraEquations, damping: float) -> tuple[FloatArray, FloatArray]:
    pose_t, residual = np.swapaxes(now.by_pose, 1, 2), now.residual.reshape(len(now.residual), -1, 1)
    own = pose_t @ now.by_pose
    own = own + (np.einsum("nii->ni", own) * damping + 1e-12)[..., None] * np.eye(6)
    cross, pull = pose_t @ now.by_camera, pose_t @ residual
    by_camera, alone = np.linalg.solve(own, cross), np.linalg.solve(own, pull)
    camera_t = np.swapaxes(now.by_camera, 1, 2)
    normal = (camera_t @ now.by_camera - np.swapaxes(cross, 1, 2) @ by_camera).sum(axis=0)
    gradient = (camera_t @ residual - np.swapaxes(cross, 1, 2) @ alone).sum(axis=0)[:, 0]
    # Focal lengths and coefficients differ by many orders of magnitude.
    scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), 1e-12))
    lifted = normal * np.outer(scale, scale) + (damping + 1e-12) * np.eye(len(scale))
    camera = -scale * np.linalg.solve(lifted, scale * gradient)
    return camera, -(alone + by_camera @ camera[:, None])[..., 0]
