"""Pose of a flat board from its points in one image: homography, both mirror solutions, refinement.

A board seen nearly head-on has two poses that fit almost equally well: its tilt may be mirrored. Both are refined and the
better one is kept. The ratio of their errors tells whether the choice is safe. Arrays may hold many images; points that
were not detected are NaN.
"""

from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray, IntArray
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.lens_models import Lens
from molmo_point.geometry.rigid import applied, hat, motion, nearest_rotation, rotation_exp

MIN_POINTS = 4
_ITERATIONS = 30
_FAR_PX = 1e6


@dataclass(frozen=True, eq=False)
class BoardPoses:
    """Poses of a board in n images.

    Attributes:
        camera_T_board: Poses (n, 4, 4); NaN where fewer than 4 points were detected.
        rms_px: Root mean square reprojection error (n,) in pixels; NaN without a pose.
        ambiguity: Squared error of this pose over that of its mirror (n,): near 0 is safe, near 1 is a coin toss.
        information: J^T J (n, 6, 6) of the twist (u, w), p' = p + u + w x p in the camera frame, for errors of 1 pixel.
        count: Number of detected points (n,).
    """

    camera_T_board: FloatArray
    rms_px: FloatArray
    ambiguity: FloatArray
    information: FloatArray
    count: IntArray


def projection_jacobian(p_camera: FloatArray, intrinsics: Intrinsics) -> tuple[FloatArray, FloatArray]:
    """Project points (..., 3) to pixels (..., 2), with the Jacobian (..., 2, 3) in pixels per meter.

    Points beyond the fold of the lens model have the pixels of its polynomial, so that a search can come back from there.
    """
    focal, center = (intrinsics.fx, intrinsics.fy), (intrinsics.cx, intrinsics.cy)
    return lens_projection(p_camera, intrinsics.lens, np.array(focal), np.array(center))


def lens_projection(p_camera: FloatArray, lens: Lens, focal: FloatArray, center: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Project as `projection_jacobian`, with the focal lengths (2,) and the principal point (2,) of a camera in the making."""
    z = np.where(p_camera[..., 2] > 1e-6, p_camera[..., 2], 1e-6)
    x, y = p_camera[..., 0] / z, p_camera[..., 1] / z
    slopes = lens.jacobian(x, y)
    columns = [slopes[..., 0] / z[..., None], slopes[..., 1] / z[..., None]]
    columns.append(-(columns[0] * x[..., None] + columns[1] * y[..., None]))
    return np.stack(lens.distort(x, y), axis=-1) * focal + center, np.stack(columns, axis=-1) * focal[:, None]


def _homography(source: FloatArray, target: FloatArray) -> FloatArray:
    # Normalized direct linear transform (Hartley): without it the equations are badly scaled.
    (source, back_s), (target, back_t) = _normalized(source), _normalized(target)
    ones, zeros = np.ones((len(source), 1)), np.zeros((len(source), 3))
    points = np.hstack([source, ones])
    upper = np.hstack([points, zeros, -target[:, :1] * points])
    lower = np.hstack([zeros, points, -target[:, 1:] * points])
    _, _, right = np.linalg.svd(np.vstack([upper, lower]))
    return np.linalg.inv(back_t) @ right[-1].reshape(3, 3) @ back_s


def _normalized(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    center = points.mean(axis=0)
    scale = np.sqrt(2.0) / max(float(np.sqrt(((points - center) ** 2).sum(axis=1).mean())), 1e-12)
    matrix = np.array([[scale, 0.0, -scale * center[0]], [0.0, scale, -scale * center[1]], [0.0, 0.0, 1.0]])
    return (points - center) * scale, matrix


def _poses_from_homographies(matrices: FloatArray) -> FloatArray:
    """Compute poses (n, 4, 4) of a plane from its homographies (n, 3, 3) to normalized image coordinates."""
    sign = np.sign(matrices[:, 2, 2])[:, None, None]
    scaled = matrices * sign
    scaled = scaled / (0.5 * np.linalg.norm(scaled[:, :, :2], axis=1).sum(axis=1))[:, None, None]
    first, second = scaled[:, :, 0], scaled[:, :, 1]
    axes = np.stack([first, second, np.cross(first, second)], axis=-1)
    return motion(nearest_rotation(axes), scaled[:, :, 2])


def board_poses(points_board: FloatArray, uv: FloatArray, intrinsics: Intrinsics) -> BoardPoses:
    """Estimate the poses of a flat board in n images.

    Args:
        points_board: Board points (m, 3) in meters, z = 0.
        uv: Detected pixels (n, m, 2); NaN where a point was not detected.
        intrinsics: Intrinsics of the images.
    """
    points_board, uv = np.asarray(points_board, np.float64), np.asarray(uv, np.float64)
    seen = np.isfinite(uv).all(axis=-1)
    count = seen.sum(axis=1)
    good = count >= MIN_POINTS
    normalized = intrinsics.deproject(uv, 1.0)[..., :2]
    n = len(uv)
    matrices = np.full((n, 3, 3), np.nan)
    for i, mask in enumerate(np.asarray(np.isfinite(normalized).all(axis=-1))):
        if mask.sum() >= MIN_POINTS:
            matrices[i] = _homography(points_board[mask, :2], normalized[i, mask])
    good &= np.isfinite(matrices).all(axis=(1, 2))
    poses, rms = np.full((n, 4, 4), np.nan), np.full(n, np.nan)
    ambiguity, information = np.full(n, np.nan), np.zeros((n, 6, 6))
    if good.any():
        first = _poses_from_homographies(matrices[good])
        center = (points_board[None] * seen[good][..., None]).sum(axis=1) / count[good, None]
        both = np.concatenate([first, _mirrored(first, center)])
        both, cost, hessian = refine_poses(both, points_board, np.concatenate([uv[good]] * 2), intrinsics)
        half = len(first)
        swap = cost[half:] < cost[:half]
        pick = np.arange(half) + half * swap
        poses[good], information[good] = both[pick], hessian[pick]
        rms[good] = np.sqrt(cost[pick] / count[good])
        other = np.maximum(cost[np.arange(half) + half * ~swap], 1e-12)
        same = np.linalg.norm(both[:half, :3, 2] - both[half:, :3, 2], axis=1) < 0.02
        ambiguity[good] = np.where(same, 0.0, cost[pick] / other)
    return BoardPoses(poses, rms, ambiguity, information, count)


def _mirrored(poses: FloatArray, center: FloatArray) -> FloatArray:
    """Mirror the board's normal at the ray to its center: start values for the other minimum."""
    middle = (poses[:, :3, :3] @ center[..., None])[..., 0] + poses[:, :3, 3]
    ray = middle / np.linalg.norm(middle, axis=-1, keepdims=True)
    normal = poses[:, :3, 2]
    axis = np.cross(normal, ray)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine[:, 0], (normal * ray).sum(axis=-1))
    angle = np.where(angle > np.pi / 2, angle - np.pi, angle)
    turn = rotation_exp(axis / np.maximum(sine, 1e-9) * (2.0 * angle)[:, None])
    rotations = turn @ poses[:, :3, :3]
    return motion(rotations, middle - (rotations @ center[..., None])[..., 0])


def refine_poses(
    poses: FloatArray, points_board: FloatArray, uv: FloatArray, intrinsics: Intrinsics
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Minimize the reprojection error of poses (n, 4, 4); also return the squared errors (n,) and J^T J (n, 6, 6)."""
    poses = poses.copy()
    damping = np.full(len(poses), 1e-4)
    cost, hessian, gradient = pose_equations(poses, points_board, uv, intrinsics)
    for _ in range(_ITERATIONS):
        diagonal = np.einsum("nii->ni", hessian)
        lifted = hessian + (damping[:, None] * np.maximum(diagonal, 1e-9))[..., None] * np.eye(6)
        step = -np.linalg.solve(lifted, gradient[..., None])[..., 0]
        tried = twisted(poses, step)
        new_cost, new_hessian, new_gradient = pose_equations(tried, points_board, uv, intrinsics)
        better = new_cost < cost
        shrink = np.where(better, (cost - new_cost) / np.maximum(cost, 1e-300), 0.0)
        poses[better], cost[better] = tried[better], new_cost[better]
        hessian[better], gradient[better] = new_hessian[better], new_gradient[better]
        damping = np.clip(np.where(better, damping * 0.2, damping * 8.0), 1e-9, 1e9)
        if not np.any(shrink > 1e-9) and np.all(better | (damping > 1e2) | (np.abs(step).max(axis=1) < 1e-9)):
            break
    return poses, cost, hessian


def twisted(poses: FloatArray, twists: FloatArray) -> FloatArray:
    """Apply twists (u, w) (n, 6) in the camera frame to poses (n, 4, 4): p' = exp(w) p + u."""
    turn = rotation_exp(twists[:, 3:])
    rotations = turn @ poses[:, :3, :3]
    return motion(rotations, (turn @ poses[:, :3, 3:])[..., 0] + twists[:, :3])


def pose_equations(
    poses: FloatArray, points_board: FloatArray, uv: FloatArray, intrinsics: Intrinsics
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute the squared error (n,), J^T J (n, 6, 6) and J^T r (n, 6) of the twist of each pose."""
    p_camera = applied(poses, points_board)
    projected, by_point = projection_jacobian(p_camera, intrinsics)
    residual = projected - uv
    residual = np.where(p_camera[..., 2:] > 1e-3, residual, _FAR_PX)
    seen = np.isfinite(uv).all(axis=-1)[..., None]
    residual = np.where(seen, residual, 0.0)
    jacobian = twist_jacobian(by_point, p_camera) * seen[..., None]
    flat = jacobian.reshape(len(poses), -1, 6)
    transposed = np.swapaxes(flat, -1, -2)
    gradient = (transposed @ residual.reshape(len(poses), -1, 1))[..., 0]
    return (residual**2).sum(axis=(1, 2)), transposed @ flat, gradient


def twist_jacobian(by_point: FloatArray, p_camera: FloatArray) -> FloatArray:
    """Chain the Jacobian by the point (..., 2, 3) to the one by the twist (u, w) (..., 2, 6)."""
    return np.concatenate([by_point, -by_point @ hat(p_camera)], axis=-1)
