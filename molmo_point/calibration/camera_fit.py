"""Intrinsics from images of a flat board: the lens models to fit, the fit and its uncertainty.

OpenCV fits the models of usual lenses. Its standard deviations take all points as independent; the covariance here counts
each image as one observation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.calibration.boards import import_cv2
from molmo_point.calibration.camera_equations import CameraState, camera_equations, refined_camera
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.lens_models import COEFFICIENTS, Lens
from molmo_point.geometry.planar_pose import (
    MIN_POINTS,
    board_poses,
    projection_jacobian,
    twist_jacobian,
    twisted,
)
from molmo_point.geometry.rigid import applied, motion
from molmo_point.hand_eye.samples import HandEyeSet

MIN_IMAGES = 5
# Lens model, and the indices of its fitted coefficients.
MODELS: dict[str, tuple[str, tuple[int, ...]]] = {
    "none": ("none", ()),
    "k1": ("brown_conrady", (0,)),
    "k1 k2": ("brown_conrady", (0, 1)),
    "rational k1 k4": ("rational_polynomial", (0, 5)),
    "fisheye k1 k2": ("equidistant", (0, 1)),
    "k1 k2 p1 p2": ("brown_conrady", (0, 1, 2, 3)),
    "fisheye": ("equidistant", (0, 1, 2, 3)),
    "k1 k2 p1 p2 k3": ("brown_conrady", (0, 1, 2, 3, 4)),
    "rational": ("rational_polynomial", (0, 1, 2, 3, 4, 5, 6, 7)),
}
"""Models by name, those with fewer coefficients first."""
_FISHEYE_WIDTHS = (0.3, 0.4, 0.55, 0.85)
"""Focal lengths from which the fit of a fisheye starts, in widths of the image: 191 to 67 degrees across."""
_RATIONAL_FISHEYE = (4.0 / 15.0, 0.0, 0.0, 0.0, 0.0, 0.6, 0.0, 0.0)
"""Rational lens next to a fisheye without coefficients, by Pade."""
_STOP = (3, 100, 1e-10)  # cv2.TERM_CRITERIA_COUNT + EPS: at most 100 steps, or a step of 1e-10
_FEW_IMAGES = 8
_LEAST_EIGENVALUE = 1e-14
_SURE_SIGMAS, _LEAST_GAP, _LEAST_RATIO = 5.0, 0.01, 2.0


@dataclass(frozen=True, eq=False)
class CameraFit:
    """Camera fitted to images of a board.

    Attributes:
        intrinsics: Fitted intrinsics.
        model: Distortion model, a key of `MODELS`.
        poses: camera_T_board (n, 4, 4); NaN for an image with too few points.
        residual: Projected minus detected pixels (n, m, 2); NaN where not detected.
        names: Names of the p fitted parameters: fx, fy, cx, cy, k1, ...
        covariance: Covariance of the fitted parameters (p, p), with one cluster per image.
    """

    intrinsics: Intrinsics
    model: str
    poses: FloatArray
    residual: FloatArray
    names: tuple[str, ...]
    covariance: FloatArray

    def rms_px(self) -> float:
        """Return the root mean square reprojection error, in pixels, as `cv2.calibrateCamera` defines it."""
        return float(np.sqrt(np.nanmean((self.residual**2).sum(axis=2))))

    def per_image_px(self) -> FloatArray:
        """Return the root mean square reprojection error of each image (n,), in pixels."""
        return np.sqrt(np.nanmean((self.residual**2).sum(axis=2), axis=1))

    def sigmas(self) -> dict[str, float]:
        """Return the standard deviation of each fitted parameter by name."""
        return dict(zip(self.names, np.sqrt(np.diag(self.covariance)).tolist()))


def fit_camera(points_board: FloatArray, uv: FloatArray, size_wh: tuple[int, int], model: str = "k1 k2 p1 p2 k3") -> CameraFit:
    """Fit a camera with `cv2.calibrateCamera`, and compute the covariance of its parameters.

    Args:
        points_board: Board points (m, 3) in meters, z = 0.
        uv: Detected pixels (n, m, 2); NaN where a point was not detected.
        size_wh: Width and height of the images in pixels.
        model: Distortion coefficients to fit, a key of `MODELS`.

    Raises:
        InputError: For fewer than 5 images with 4 points or more, an unknown model, or views that do not determine the camera.
        DependencyError: Without OpenCV.
    """
    if model not in MODELS:
        raise InputError("model must be a known distortion model", repr(model), f"use one of {', '.join(MODELS)}")
    seen = np.isfinite(uv).all(axis=2)
    used = np.flatnonzero(seen.sum(axis=1) >= MIN_POINTS)
    if len(used) < MIN_IMAGES:
        fix = "take 15 to 30, tilted in all directions"
        raise InputError(f"Intrinsics need at least {MIN_IMAGES} images of the board", f"{len(uv)} images", fix)
    lens_model, free = MODELS[model]
    by_opencv = lens_model in ("none", "brown_conrady")
    state = (_by_opencv if by_opencv else _wide)(points_board, uv[used], size_wh, model)
    now = camera_equations(state, points_board, uv[used])
    poses, residual = np.full((len(uv), 4, 4), np.nan), np.full(uv.shape, np.nan)
    poses[used], residual[used] = state.poses, np.where(seen[used][..., None], now.residual, np.nan)
    terms = [_reduced(*each) for each in zip(now.by_pose, now.by_camera, now.residual.reshape(len(used), -1))]
    center = [*state.focal.tolist(), *state.center.tolist()]
    camera = Intrinsics(*size_wh, *center, lens_model, state.lens.coefficients)
    names = ("fx", "fy", "cx", "cy", *(COEFFICIENTS[lens_model][i] for i in free))
    return CameraFit(camera, model, poses, residual, names, _covariance(terms, residual))


def _by_opencv(points_board: FloatArray, uv: FloatArray, size_wh: tuple[int, int], model: str) -> CameraState:
    cv2 = import_cv2()
    lens_model, free = MODELS[model]
    flags = sum(flag for i, flag in ((0, cv2.CALIB_FIX_K1), (1, cv2.CALIB_FIX_K2), (4, cv2.CALIB_FIX_K3)) if i not in free)
    flags |= 0 if 2 in free else cv2.CALIB_ZERO_TANGENT_DIST
    seen: BoolArray = np.all(np.isfinite(uv), axis=2)
    objects = [points_board[each].astype(np.float32) for each in seen]
    pixels = [pixels[each].astype(np.float32) for pixels, each in zip(uv, seen)]
    try:
        _, matrix, lens, turns, shifts = cv2.calibrateCamera(objects, pixels, size_wh, None, None, flags=flags, criteria=_STOP)
    except cv2.error as error:
        raise InputError(
            "The views must determine the camera", str(error.err or error), "tilt the board in all directions"
        ) from error
    rotations = np.array([np.asarray(cv2.Rodrigues(turn)[0], np.float64) for turn in turns])
    poses = motion(rotations, np.array([shift[:, 0] for shift in shifts], np.float64))
    coefficients = tuple(np.ravel(lens)[: len(COEFFICIENTS[lens_model])].tolist())
    return CameraState(matrix[[0, 1], [0, 1]], matrix[[0, 1], [2, 2]], Lens(lens_model, coefficients), poses, free)


def _wide(points_board: FloatArray, uv: FloatArray, size_wh: tuple[int, int], model: str) -> CameraState:
    """Fit a fisheye or a rational lens, from fisheyes without coefficients of several focal lengths."""
    width, _ = size_wh
    few, fits = uv[:: max(len(uv) // _FEW_IMAGES, 1)], []
    for widths in _FISHEYE_WIDTHS:
        fits += _ideal_fisheye(points_board, few, size_wh, np.full(2, widths * width))
    fits = _ideal_fisheye(points_board, uv, size_wh, min(fits, key=lambda fit: fit[0])[1].focal) if fits else []
    if not fits:
        raise InputError("The views must determine the camera", "no fisheye lens fits", "tilt the board in all directions")
    (lens_model, free), state = MODELS[model], fits[0][1]
    if lens_model == "equidistant":
        return refined_camera(replace(state, free=free), points_board, uv)[0]
    few_free = MODELS["rational k1 k4"][1]
    state = replace(state, lens=Lens(lens_model, _RATIONAL_FISHEYE), free=few_free)
    state = refined_camera(state, points_board, uv)[0]
    return state if free == few_free else refined_camera(replace(state, free=free), points_board, uv)[0]


def _ideal_fisheye(
    points_board: FloatArray, uv: FloatArray, size_wh: tuple[int, int], focal: FloatArray
) -> list[tuple[float, CameraState]]:
    """Fit focal length and center of a fisheye without coefficients; its cost and state, nothing if it does not fit."""
    center = (np.array(size_wh) - 1.0) / 2.0
    try:
        camera = Intrinsics(*size_wh, *focal.tolist(), *center.tolist(), "equidistant", (0.0,) * 4)
    except InputError:
        return []
    poses = board_poses(points_board, uv, camera).camera_T_board
    if not np.isfinite(poses).all() or (applied(poses, points_board)[..., 2] <= 0.0).any():
        return []
    state, now = refined_camera(CameraState(focal, center, camera.lens, poses, ()), points_board, uv)
    return [(now.cost, state)]


def fit_or_simpler(points_board: FloatArray, uv: FloatArray, size_wh: tuple[int, int], model: str) -> CameraFit:
    """Fit a model, or the next simpler one whose lens is possible; for the choice of photos. Arguments as `fit_camera`."""
    lens_model, free = MODELS[model]
    simpler = [name for name, (lens, some) in MODELS.items() if len(some) < len(free) and lens in (lens_model, "none")]
    try:
        return fit_camera(points_board, uv, size_wh, model)
    except InputError:
        if not simpler:
            raise
    return fit_or_simpler(points_board, uv, size_wh, simpler[-1])


def _reduced(by_pose: FloatArray, by_camera: FloatArray, residual: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute normal matrix (p, p) and gradient (p,) of one image by the camera's parameters, with the pose eliminated."""
    rest = by_camera - by_pose @ np.linalg.lstsq(by_pose, by_camera, rcond=None)[0]
    return rest.T @ rest, rest.T @ residual


def _covariance(terms: Sequence[tuple[FloatArray, FloatArray]], residual: FloatArray) -> FloatArray:
    """Compute the sandwich covariance (p, p) with one cluster per image, not below that of independent points."""
    normal, pulls = np.sum([term[0] for term in terms], axis=0), np.stack([term[1] for term in terms])
    # Focal lengths and coefficients differ by many orders of magnitude.
    scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), 1e-300))
    values, vectors = np.linalg.eigh(normal * np.outer(scale, scale))
    # A direction that no photo determines has a large variance, not none.
    inverse = (vectors / np.maximum(values, _LEAST_EIGENVALUE * values[-1])) @ vectors.T * np.outer(scale, scale)
    n, p = pulls.shape
    freedom = np.count_nonzero(np.isfinite(residual)) - 6 * n - p
    plain = inverse * float(np.nansum(residual**2)) / max(freedom, 1)
    clustered = inverse @ (pulls.T @ pulls) @ inverse * n / max(n - 1, 1)
    grow = np.sqrt(np.maximum(np.diag(clustered) / np.maximum(np.diag(plain), 1e-300), 1.0))
    return plain * np.outer(grow, grow)


def intrinsics_of_images(data: HandEyeSet) -> Intrinsics | None:
    """Fit the camera to the images of hand-eye samples; None if the fit does not contradict the given intrinsics."""
    if data.from_poses or len(data) < _FEW_IMAGES:
        return None
    try:
        fit = fit_camera(data.points_board, data.uv, data.intrinsics.size_wh, "k1 k2")
    except InputError:
        return None
    sigmas, found, given = fit.sigmas(), fit.intrinsics, data.intrinsics
    gaps = {name: abs(getattr(found, name) - getattr(given, name)) for name in ("fx", "fy", "cx", "cy")}
    apart = any(gap > max(_SURE_SIGMAS * sigmas[name], _LEAST_GAP * given.focal_px) for name, gap in gaps.items())
    own = float(np.sqrt((data.poses.rms_px**2 * data.poses.count).sum() / data.poses.count.sum()))
    return found if apart or own > _LEAST_RATIO * fit.rms_px() else None


def largest_difference_px(first: Intrinsics, second: Intrinsics) -> tuple[float, float]:
    """Compare two cameras over the image: root mean square and largest difference, in pixels.

    Pixels are deprojected with one camera and projected with the other, after the rotation that fits best: a rotation of the
    whole camera is not a difference of the lens.
    """
    width, height = first.size_wh
    v, u = np.mgrid[0 : height - 1 : 16j, 0 : width - 1 : 20j]
    uv = np.stack([u.ravel(), v.ravel()], axis=1)
    rays = first.deproject(uv, 1.0)
    good = np.isfinite(rays).all(axis=1)
    uv, rays = uv[good], rays[good]
    turn = np.zeros(6)
    pose = np.eye(4)[None]
    for _ in range(8):
        p_camera = rays @ pose[0, :3, :3].T
        projected, by_point = projection_jacobian(p_camera, second)
        jacobian = twist_jacobian(by_point, p_camera)[..., 3:].reshape(-1, 3)
        turn[3:] = -np.linalg.lstsq(jacobian, (projected - uv).ravel(), rcond=None)[0]
        pose = twisted(pose, turn[None])
    gap = np.linalg.norm(second.project(rays @ pose[0, :3, :3].T) - uv, axis=1)
    return float(np.sqrt((gap**2).mean())), float(gap.max())
