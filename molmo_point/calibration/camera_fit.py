"""Intrinsics from images of a flat board: closed-form start, least squares, uncertainty, and the error on unseen images.

Plain least squares over intrinsics and one pose per image, by Levenberg-Marquardt; the poses are eliminated (Schur), so
that an iteration costs little however many images there are.
"""

from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.planar_pose import (
    MIN_POINTS,
    board_poses,
    homographies,
    poses_from_homographies,
    projection_jacobian,
    refine_poses,
    twist_jacobian,
    twisted,
)

MIN_IMAGES = 5
# Which of k1, k2, p1, p2, k3 each model fits.
MODELS: dict[str, tuple[int, ...]] = {
    "none": (),
    "k1": (0,),
    "k1 k2": (0, 1),
    "k1 k2 p1 p2": (0, 1, 2, 3),
    "k1 k2 p1 p2 k3": (0, 1, 2, 3, 4),
}
_NAMES = ("k1", "k2", "p1", "p2", "k3")
_ITERATIONS = 60
_FOLDS = 6
_NO_FIT_PX = 1e6


@dataclass(frozen=True, eq=False)
class CameraFit:
    """Intrinsics fitted to images of a board.

    Attributes:
        intrinsics: the camera.
        model: a key of `MODELS`.
        poses: (n, 4, 4) camera_T_board.
        residual: (n, m, 2) projected minus seen, pixels; NaN where not seen.
        names: of the fitted parameters: fx, fy, cx, cy, k1, ...
        covariance: (p, p) of them. Images count as wholes: errors within one are not taken for independent.
    """

    intrinsics: Intrinsics
    model: str
    poses: FloatArray
    residual: FloatArray
    names: tuple[str, ...]
    covariance: FloatArray

    def rms_px(self) -> float:
        """Root mean square of the distances between seen and projected points (what `cv2.calibrateCamera` returns)."""
        return float(np.sqrt(np.nanmean((self.residual**2).sum(axis=2))))

    def per_image_px(self) -> FloatArray:
        """(n,) the same for each image."""
        return np.sqrt(np.nanmean((self.residual**2).sum(axis=2), axis=1))

    def sigmas(self) -> dict[str, float]:
        """Standard deviation of each fitted parameter."""
        return dict(zip(self.names, np.sqrt(np.diag(self.covariance)).tolist()))


def start_intrinsics(points_board: FloatArray, uv: FloatArray, size_wh: tuple[int, int]) -> Intrinsics:
    """Focal length from the homographies (Zhang's orthogonality, with the principal point in the middle)."""
    width, height = size_wh
    middle = np.array([(width - 1) / 2.0, (height - 1) / 2.0])
    matrices = homographies(points_board[:, :2], uv - middle)
    matrices = matrices[np.isfinite(matrices).all(axis=(1, 2))]
    matrices = matrices / np.linalg.norm(matrices, axis=(1, 2), keepdims=True)
    first, second = matrices[:, :, 0], matrices[:, :, 1]
    # With w = 1 / f^2: w (a1 b1 + a2 b2) + a3 b3 = 0 and w (|a|^2 - |b|^2) + a3^2 - b3^2 = 0.
    left = np.concatenate([(first[:, :2] * second[:, :2]).sum(1), (first[:, :2] ** 2 - second[:, :2] ** 2).sum(1)])
    right = -np.concatenate([first[:, 2] * second[:, 2], first[:, 2] ** 2 - second[:, 2] ** 2])
    square = float(left @ right) / max(float(left @ left), 1e-300)
    focal = 1.0 / np.sqrt(square) if square > 0 else float(width)
    focal = float(np.clip(focal, 0.2 * width, 20.0 * width))
    return Intrinsics(width, height, focal, focal, *middle)


def fit_camera(
    points_board: FloatArray,
    uv: FloatArray,
    size_wh: tuple[int, int],
    model: str = "k1 k2 p1 p2 k3",
    start: Intrinsics | None = None,
) -> CameraFit:
    """Fits a camera.

    Args:
        points_board: (m, 3) points of the board, metres, z = 0.
        uv: (n, m, 2) where each was seen, pixels, NaN where not.
        size_wh: of the images.
        model: which distortion to fit, a key of `MODELS`.
        start: where to start from.

    Raises:
        InputError: fewer than 5 images with 4 points or more, an unknown model, or views that do not fix the focal length.
    """
    if model not in MODELS:
        raise InputError("The distortion model is unknown", repr(model), f"use one of {', '.join(MODELS)}")
    seen = np.isfinite(uv).all(axis=2)
    if (seen.sum(axis=1) >= MIN_POINTS).sum() < MIN_IMAGES:
        raise InputError(
            f"Intrinsics need at least {MIN_IMAGES} images of the board",
            f"{len(uv)} images",
            "take 15 to 30, tilted in all directions",
        )
    free = MODELS[model]
    camera = start or start_intrinsics(points_board, uv, size_wh)
    values = _values(camera)
    poses = _start_poses(points_board, uv, camera)
    damping, cost = 1e-3, np.inf
    system = _equations(points_board, uv, poses, values, size_wh, free)
    cost = system.cost
    for _ in range(_ITERATIONS):
        shared, own = _step(system, damping)
        tried_values = values.copy()
        tried_values[[0, 1, 2, 3, *(4 + i for i in free)]] += shared
        if tried_values[:2].min() <= 1.0:
            damping *= 10.0
            continue
        tried_poses = twisted(poses, own)
        new = _equations(points_board, uv, tried_poses, tried_values, size_wh, free)
        if new.cost < cost:
            small = cost - new.cost < 1e-10 * cost
            values, poses, system, cost = tried_values, tried_poses, new, new.cost
            damping = max(damping * 0.1, 1e-12)
            if small:
                break
        else:
            damping *= 10.0
            if damping > 1e8:
                break
    names = ("fx", "fy", "cx", "cy", *(_NAMES[i] for i in free))
    residual = np.where(seen[..., None], system.residual, np.nan)
    return CameraFit(_camera(values, size_wh), model, poses, residual, names, _covariance(system))


@dataclass(frozen=True, eq=False)
class _System:
    cost: float
    residual: FloatArray
    shared: FloatArray  # (n, p, p)
    cross: FloatArray  # (n, 6, p)
    own: FloatArray  # (n, 6, 6)
    shared_pull: FloatArray  # (n, p)
    own_pull: FloatArray  # (n, 6)


def _values(camera: Intrinsics) -> FloatArray:
    return np.array([camera.fx, camera.fy, camera.cx, camera.cy, *(camera.distortion or (0.0,) * 5)])


def _camera(values: FloatArray, size_wh: tuple[int, int]) -> Intrinsics:
    distortion = tuple(values[4:].tolist())
    model = "brown_conrady" if any(distortion) else "none"
    return Intrinsics(*size_wh, *values[:4].tolist(), model, distortion if any(distortion) else ())


def _start_poses(points_board: FloatArray, uv: FloatArray, camera: Intrinsics) -> FloatArray:
    normalised = camera.deproject(uv, 1.0)[..., :2]
    poses = poses_from_homographies(homographies(points_board[:, :2], normalised))
    return refine_poses(poses, points_board, uv, camera)[0]


def _equations(
    points_board: FloatArray,
    uv: FloatArray,
    poses: FloatArray,
    values: FloatArray,
    size_wh: tuple[int, int],
    free: tuple[int, ...],
) -> _System:
    camera = _camera(values, size_wh)
    p_camera = points_board @ np.swapaxes(poses[:, :3, :3], 1, 2) + poses[:, None, :3, 3]
    projected, by_point = projection_jacobian(p_camera, camera)
    seen = np.isfinite(uv).all(axis=2)
    behind = p_camera[..., 2] <= 1e-6
    residual = np.where(seen[..., None], np.where(behind[..., None], _NO_FIT_PX, projected - uv), 0.0)
    by_pose = (twist_jacobian(by_point, p_camera) * seen[..., None, None]).reshape(len(uv), -1, 6)
    z = np.maximum(p_camera[..., 2], 1e-6)
    by_shared = _by_intrinsics(p_camera[..., 0] / z, p_camera[..., 1] / z, projected, camera, free)
    by_shared = (by_shared * seen[..., None, None]).reshape(len(uv), -1, 4 + len(free))
    flat = residual.reshape(len(uv), -1, 1)
    pose_t, shared_t = np.swapaxes(by_pose, 1, 2), np.swapaxes(by_shared, 1, 2)
    return _System(
        float((residual**2).sum()),
        residual,
        shared_t @ by_shared,
        pose_t @ by_shared,
        pose_t @ by_pose,
        (shared_t @ flat)[..., 0],
        (pose_t @ flat)[..., 0],
    )


def _by_intrinsics(x: FloatArray, y: FloatArray, projected: FloatArray, camera: Intrinsics, free: tuple[int, ...]) -> FloatArray:
    """Jacobian (n, m, 2, 4 + d) of pixels by fx, fy, cx, cy and the free coefficients."""
    zero, one = np.zeros_like(x), np.ones_like(x)
    xd, yd = (projected[..., 0] - camera.cx) / camera.fx, (projected[..., 1] - camera.cy) / camera.fy
    r2 = x * x + y * y
    columns = [(xd, zero), (zero, yd), (one, zero), (zero, one)]
    by_lens = (
        (x * r2, y * r2),
        (x * r2**2, y * r2**2),
        (2.0 * x * y, r2 + 2.0 * y * y),
        (r2 + 2.0 * x * x, 2.0 * x * y),
        (x * r2**3, y * r2**3),
    )
    columns += [(camera.fx * by_lens[i][0], camera.fy * by_lens[i][1]) for i in free]
    return np.stack([np.stack(column, axis=-1) for column in columns], axis=-1)


def _step(system: _System, damping: float) -> tuple[FloatArray, FloatArray]:
    diagonal = np.einsum("nii->ni", system.own)
    own = system.own + (damping * diagonal + 1e-12)[..., None] * np.eye(6)
    solved = np.linalg.solve(own, np.concatenate([system.cross, system.own_pull[..., None]], axis=2))
    normal = (system.shared - np.swapaxes(system.cross, 1, 2) @ solved[..., :-1]).sum(axis=0)
    pull = (system.shared_pull - (np.swapaxes(system.cross, 1, 2) @ solved[..., -1:])[..., 0]).sum(axis=0)
    lifted = normal + np.diag(damping * np.maximum(np.diag(system.shared.sum(axis=0)), 1e-12))
    # Focal lengths and coefficients differ by many orders of magnitude.
    scale = 1.0 / np.sqrt(np.maximum(np.diag(lifted), 1e-300))
    shared = -scale * np.linalg.lstsq(lifted * np.outer(scale, scale), pull * scale, rcond=1e-14)[0]
    return shared, -solved[..., -1] - solved[..., :-1] @ shared


def _covariance(system: _System) -> FloatArray:
    """Sandwich covariance with one cluster per image, not below that of independent points."""
    own = system.own + 1e-9 * np.einsum("nii->n", system.own)[:, None, None] / 6.0 * np.eye(6)
    solved = np.linalg.solve(own, np.concatenate([system.cross, system.own_pull[..., None]], axis=2))
    each = system.shared - np.swapaxes(system.cross, 1, 2) @ solved[..., :-1]
    pulls = system.shared_pull - (np.swapaxes(system.cross, 1, 2) @ solved[..., -1:])[..., 0]
    normal = each.sum(axis=0)
    scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), 1e-300))
    inverse = np.linalg.pinv(normal * np.outer(scale, scale), hermitian=True) * np.outer(scale, scale)
    n, p = pulls.shape
    numbers = np.count_nonzero(system.residual) - 6 * n - p
    plain = inverse * system.cost / max(numbers, 1)
    clustered = inverse @ (pulls.T @ pulls) @ inverse * n / max(n - 1, 1)
    grow = np.sqrt(np.maximum(np.diag(clustered) / np.maximum(np.diag(plain), 1e-300), 1.0))
    return plain * np.outer(grow, grow)


def held_out_px(points_board: FloatArray, uv: FloatArray, size_wh: tuple[int, int], model: str, seed: int = 0) -> FloatArray:
    """(n,) error on each image by a camera fitted to others; its pose comes from half of its points, the error from the other.

    Arguments as of `fit_camera`; NaN for an image with fewer than 8 points.
    """
    n = len(uv)
    part = np.random.default_rng(seed).permutation(n) % min(_FOLDS, n)
    errors = np.full(n, np.nan)
    for k in range(part.max() + 1):
        out = np.flatnonzero(part == k)
        if n - len(out) < MIN_IMAGES:
            continue
        camera = fit_camera(points_board, uv[part != k], size_wh, model).intrinsics
        errors[out] = _half_and_half(points_board, uv[out], camera)
    return errors


def _half_and_half(points_board: FloatArray, uv: FloatArray, camera: Intrinsics) -> FloatArray:
    squares = np.full(uv.shape[:2], np.nan)
    for start in (0, 1):
        known = uv.copy()
        known[:, start::2] = np.nan
        poses = board_poses(points_board, known, camera).camera_T_board
        p_camera = points_board @ np.swapaxes(poses[:, :3, :3], 1, 2) + poses[:, None, :3, 3]
        gap = ((camera.project(p_camera) - uv) ** 2).sum(axis=2)
        squares[:, start::2] = gap[:, start::2]
    count = np.isfinite(squares).sum(axis=1)
    total = np.nansum(squares, axis=1)
    return np.where(count >= 4, np.sqrt(total / np.maximum(count, 1)), np.nan)


def choose_model(points_board: FloatArray, uv: FloatArray, size_wh: tuple[int, int]) -> tuple[str, dict[str, float]]:
    """The simplest distortion model whose error on unseen images is within one standard error of the best one's.

    Returns:
        The model, and each model's held-out root mean square in pixels; NaN for one that could not be fitted.
    """
    per_image: dict[str, FloatArray] = {}
    for model in MODELS:
        try:
            per_image[model] = held_out_px(points_board, uv, size_wh, model)
        except (InputError, np.linalg.LinAlgError):
            per_image[model] = np.full(len(uv), np.nan)
    table = {model: _rms(errors) for model, errors in per_image.items()}
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


def _rms(errors: FloatArray) -> float:
    good = errors[np.isfinite(errors)]
    return float(np.sqrt((good**2).mean())) if len(good) else float("nan")


def largest_difference_px(first: Intrinsics, second: Intrinsics) -> tuple[float, float]:
    """How differently two cameras see, pixels over the image: root mean square and largest.

    Pixels are lifted with one camera and projected with the other, after the turn that fits best: a turn of the whole camera
    is not a difference of the lens.
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
