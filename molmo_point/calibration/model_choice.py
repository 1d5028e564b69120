"""Choice of the lens model: the simplest one that is as good on held-out images as the best, and holds in the whole image."""

from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.calibration.camera_equations import CameraState, camera_equations
from molmo_point.calibration.camera_fit import MIN_IMAGES, MODELS, CameraFit, fit_camera, largest_difference_px
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.lens_models import Lens
from molmo_point.geometry.planar_pose import board_poses
from molmo_point.geometry.rigid import applied

_FOLDS = 6
_FOLD_MARGIN = 0.02
"""Room around the image in which a chosen lens model must hold, in sides of the image."""
_USUAL = ("none", "brown_conrady")
_HOPELESS = 3.0
"""Error of a model over that of the best, from which it is not compared with the models of wide lenses."""
_ASKED_FOR = 0.85
"""Error of a model of a wide lens over that of the best other one, from which the data ask for it."""


@dataclass(frozen=True, eq=False)
class ModelChoice:
    """Chosen lens model, with its evidence.

    Attributes:
        fit: Camera with the chosen model.
        held_out_px: Error of each compared model on held-out images, in pixels; NaN for a model that folds or does not fit.
        spread_px: Largest difference in the image between the chosen camera and others that are as good, in pixels.
    """

    fit: CameraFit
    held_out_px: dict[str, float]
    spread_px: float


def choose_model(points_board: FloatArray, uv: FloatArray, size_wh: tuple[int, int]) -> ModelChoice:
    """Choose the simplest lens model with a held-out error within one standard error of the best.

    A model that folds inside the image is not chosen. Models of wide lenses are compared if they fit clearly better.

    Raises:
        InputError: If no model fits.
    """
    fits = {name: _held(points_board, uv, size_wh, name) for name, (lens, _) in MODELS.items() if lens in _USUAL}
    if wide_lens(points_board, uv, size_wh, fits):
        fits |= {name: _held(points_board, uv, size_wh, name) for name in MODELS if name not in fits}
        least = min(fit.rms_px() for fit in fits.values() if fit is not None)
        # Each comparison takes six fits.
        fits = {name: fit for name, fit in fits.items() if fit is None or fit.rms_px() <= _HOPELESS * least}
    fits = {name: fits[name] for name in MODELS if name in fits}
    errors = {name: _errors_px(points_board, uv, size_wh, name) for name, fit in fits.items() if fit is not None}
    table = {name: _root_mean(errors[name]) if name in errors else float("nan") for name in fits}
    usable = [name for name in errors if np.isfinite(table[name])]
    if not usable:
        return ModelChoice(fit_camera(points_board, uv, size_wh, "k1"), table, 0.0)
    best = min(usable, key=lambda name: table[name])
    good = [fits[name] for name in usable if name == best or _as_good(errors[name], errors[best])]
    chosen, *others = (fit for fit in good if fit is not None)
    gaps = [largest_difference_px(chosen.intrinsics, other.intrinsics)[1] for other in others]
    return ModelChoice(chosen, table, max(gaps, default=0.0))


def wide_lens(
    points_board: FloatArray, uv: FloatArray, size_wh: tuple[int, int], usual: dict[str, CameraFit | None] | None = None
) -> bool:
    """Test whether a model of a wide lens fits clearly better than those of usual lenses.

    Args:
        points_board: Board points (m, 3) in meters.
        uv: Detected pixels (n, m, 2).
        size_wh: Width and height of the images.
        usual: Fits of the other models; None fits one.
    """
    usual = {"k1 k2": _held(points_board, uv, size_wh, "k1 k2")} if usual is None else usual
    wide = [_held(points_board, uv, size_wh, name) for name in ("fisheye k1 k2", "rational k1 k4")]
    least, best = (min((fit.rms_px() for fit in fits if fit), default=float("inf")) for fits in (wide, usual.values()))
    return least < _ASKED_FOR * best


def _held(points_board: FloatArray, uv: FloatArray, size_wh: tuple[int, int], model: str) -> CameraFit | None:
    """Fit a model; None if it does not fit, or folds inside the image."""
    try:
        fit = fit_camera(points_board, uv, size_wh, model)
    except (InputError, np.linalg.LinAlgError):
        return None
    return None if folds(fit.intrinsics) else fit


def _errors_px(points_board: FloatArray, uv: FloatArray, size_wh: tuple[int, int], model: str) -> FloatArray:
    """Compute `held_out_px`; NaN for a model that some of the images do not determine."""
    try:
        return held_out_px(points_board, uv, size_wh, model)
    except (InputError, np.linalg.LinAlgError):
        return np.full(len(uv), np.nan)


def _root_mean(errors: FloatArray) -> float:
    return float(np.sqrt(np.nanmean(errors**2))) if np.isfinite(errors).any() else float("nan")


def _as_good(errors: FloatArray, best: FloatArray) -> bool:
    gap = errors**2 - best**2
    gap = gap[np.isfinite(gap)]
    return bool(len(gap) > 1 and gap.mean() <= gap.std(ddof=1) / np.sqrt(len(gap)))


def corner_sigma_px(fit: CameraFit) -> float:
    """Return the largest standard deviation of a ray in the corners of the image, in pixels; NaN if the lens reaches none.

    A turn of the whole camera is not an error of its lens.
    """
    camera, (lens_model, free) = fit.intrinsics, MODELS[fit.model]
    width, height = camera.size_wh
    v, u = np.mgrid[0 : height - 1 : 7j, 0 : width - 1 : 9j]
    uv = np.stack([u, v], axis=-1).reshape(-1, 2)
    rays = camera.deproject(uv, 1.0)
    seen = np.isfinite(rays[:, 0])
    corner = (np.isin(uv[:, 0], (0.0, width - 1.0)) & np.isin(uv[:, 1], (0.0, height - 1.0)))[seen]
    if not corner.any():
        return float("nan")
    center, focal = np.array([camera.cx, camera.cy]), np.array([camera.fx, camera.fy])
    state = CameraState(focal, center, Lens(lens_model, camera.distortion), np.eye(4)[None], free)
    found = camera_equations(state, rays[seen], uv[seen][None])
    turn, by_camera = found.by_pose[0, :, 3:], found.by_camera[0]
    rest = (by_camera - turn @ np.linalg.lstsq(turn, by_camera, rcond=None)[0]).reshape(len(corner), 2, -1)[corner]
    return float(np.sqrt(np.einsum("kip,pq,kiq->k", rest, fit.covariance, rest).max()))


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
    if camera.distortion_model == "equidistant" and np.isinf(camera.lens.fold):
        return False  # The rays beyond 90 degrees are missing, not doubled.
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
