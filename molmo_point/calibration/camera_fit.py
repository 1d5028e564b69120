"""Intrinsics from images of a flat board: fit, uncertainty, error on held-out images, choice of the distortion model.

OpenCV fits the camera. Its standard deviations take all points as independent; the covariance here counts each image as one
observation. The distortion model is the simplest one that is as good on held-out images as the best.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.calibration.boards import import_cv2
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
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
# Indices of the fitted coefficients among k1, k2, p1, p2, k3.
MODELS: dict[str, tuple[int, ...]] = {
    "none": (),
    "k1": (0,),
    "k1 k2": (0, 1),
    "k1 k2 p1 p2": (0, 1, 2, 3),
    "k1 k2 p1 p2 k3": (0, 1, 2, 3, 4),
}
_NAMES = ("k1", "k2", "p1", "p2", "k3")
_STOP = (3, 100, 1e-10)  # cv2.TERM_CRITERIA_COUNT + EPS: at most 100 steps, or a step of 1e-10
_FOLDS = 6
_FEW_IMAGES = 8
_LEAST_EIGENVALUE = 1e-14
_FOLD_MARGIN = 0.02
"""Room around the image that a chosen lens model must hold, in sides of the image."""
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
    cv2 = import_cv2()
    seen = np.isfinite(uv).all(axis=2)
    used = np.flatnonzero(seen.sum(axis=1) >= MIN_POINTS)
    if len(used) < MIN_IMAGES:
        fix = "take 15 to 30, tilted in all directions"
        raise InputError(f"Intrinsics need at least {MIN_IMAGES} images of the board", f"{len(uv)} images", fix)
    free = MODELS[model]
    flags = sum(flag for i, flag in ((0, cv2.CALIB_FIX_K1), (1, cv2.CALIB_FIX_K2), (4, cv2.CALIB_FIX_K3)) if i not in free)
    flags |= 0 if 2 in free else cv2.CALIB_ZERO_TANGENT_DIST
    objects = [points_board[seen[i]].astype(np.float32) for i in used]
    pixels = [uv[i][seen[i]].astype(np.float32) for i in used]
    try:
        _, matrix, lens, turns, shifts = cv2.calibrateCamera(objects, pixels, size_wh, None, None, flags=flags, criteria=_STOP)
    except cv2.error as error:
        raise InputError(
            "The views must determine the camera", str(error.err or error), "tilt the board in all directions"
        ) from error
    poses, residual = np.full((len(uv), 4, 4), np.nan), np.full(uv.shape, np.nan)
    terms = []
    for i, turn, shift in zip(used, turns, shifts, strict=True):
        poses[i] = motion(np.asarray(cv2.Rodrigues(turn)[0], np.float64), shift[:, 0])
        projected, jacobian = cv2.projectPoints(points_board[seen[i]], turn, shift, matrix, lens)
        residual[i, seen[i]] = projected[:, 0] - uv[i, seen[i]]
        # OpenCV orders the columns: rotation, translation, fx, fy, cx, cy, k1, k2, p1, p2, k3.
        terms.append(_reduced(jacobian[:, :6], jacobian[:, [6, 7, 8, 9, *(10 + k for k in free)]], residual[i, seen[i]].ravel()))
    lens = tuple(np.ravel(lens)[:5].tolist()) if free else ()
    camera = Intrinsics(*size_wh, *matrix[[0, 1, 0, 1], [0, 1, 2, 2]].tolist(), "brown_conrady" if free else "none", lens)
    names = ("fx", "fy", "cx", "cy", *(_NAMES[i] for i in free))
    return CameraFit(camera, model, poses, residual, names, _covariance(terms, residual))


def fit_or_simpler(points_board: FloatArray, uv: FloatArray, size_wh: tuple[int, int], model: str) -> CameraFit:
    """Fit a model, or the next simpler one whose lens is possible; for the choice of photos. Arguments as `fit_camera`."""
    simpler = list(MODELS)[: list(MODELS).index(model)]
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


def held_out_px(points_board: FloatArray, uv: FloatArray, size_wh: tuple[int, int], model: str) -> FloatArray:
    """Compute the error on each image (n,), in pixels, of a camera fitted to other images.

    The image's pose comes from half of its points, the error from the other half. Arguments as `fit_camera`; NaN for an
    image with fewer than 8 points.
    """
    n = len(uv)
    part = np.random.default_rng(0).permutation(n) % min(_FOLDS, n)
    errors = np.full(n, np.nan)
    for k in range(part.max() + 1):
        out = np.flatnonzero(part == k)
        if n - len(out) < MIN_IMAGES:
            continue
        camera = fit_camera(points_board, uv[part != k], size_wh, model).intrinsics
        errors[out] = _half_and_half(points_board, uv[out], camera)
    return errors


def folds(camera: Intrinsics) -> bool:
    """Test whether the lens model folds inside the image or just beyond it: pixels there have no ray of their own."""
    width, height = camera.size_wh
    margin = _FOLD_MARGIN * max(width, height)
    v, u = np.mgrid[-0.5 - margin : height - 0.5 + margin : 36j, -0.5 - margin : width - 0.5 + margin : 48j]
    return bool(np.isnan(camera.deproject(np.stack([u, v], axis=-1), 1.0)).any())


def _half_and_half(points_board: FloatArray, uv: FloatArray, camera: Intrinsics) -> FloatArray:
    squares = np.full(uv.shape[:2], np.nan)
    for start in (0, 1):
        known = uv.copy()
        known[:, start::2] = np.nan
        poses = board_poses(points_board, known, camera).camera_T_board
        gap = ((camera.project(applied(poses, points_board)) - uv) ** 2).sum(axis=2)
        squares[:, start::2] = gap[:, start::2]
    count = np.isfinite(squares).sum(axis=1)
    total = np.nansum(squares, axis=1)
    return np.where(count >= 4, np.sqrt(total / np.maximum(count, 1)), np.nan)


def choose_model(points_board: FloatArray, uv: FloatArray, size_wh: tuple[int, int]) -> tuple[str, dict[str, float]]:
    """Choose the simplest distortion model with a held-out error within one standard error of the best.

    A model that folds inside the image is not chosen.

    Returns:
        The model, and the held-out root mean square error of each model in pixels; NaN for a model that was not fitted.
    """
    per_image: dict[str, FloatArray] = {}
    for model in MODELS:
        try:
            folded = folds(fit_camera(points_board, uv, size_wh, model).intrinsics)
            per_image[model] = np.full(len(uv), np.nan) if folded else held_out_px(points_board, uv, size_wh, model)
        except (InputError, np.linalg.LinAlgError):
            per_image[model] = np.full(len(uv), np.nan)
    table = {
        model: float(np.sqrt(np.nanmean(errors**2))) if np.isfinite(errors).any() else float("nan")
        for model, errors in per_image.items()
    }
    usable = [model for model in MODELS if np.isfinite(table[model])]
    if not usable:
        return "k1", table
    best = min(usable, key=lambda model: table[model])
    for model in usable:
        gap = per_image[model] ** 2 - per_image[best] ** 2
        gap = gap[np.isfinite(gap)]
        if model == best or gap.mean() <= gap.std(ddof=1) / np.sqrt(len(gap)):
            return model, table
    return best, table


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
