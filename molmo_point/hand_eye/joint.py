"""Joint optimization of camera, board and robot poses by reprojection, by Levenberg-Marquardt with a Schur complement.

The unknowns are
- X and W (several of each if the camera or the board moved between samples);
- optionally the scale of the board;
- a correction of each robot pose, held near zero by the robot's own noise.

The loss is Huber's: per detected point for the image, per sample for the robot. A correction affects its own sample only,
so the normal equations reduce to the few shared unknowns for any number of samples.
"""

from dataclasses import dataclass, replace

import numpy as np

from molmo_point.arrays import FloatArray, IntArray
from molmo_point.geometry.planar_pose import projection_jacobian, twist_jacobian
from molmo_point.geometry.rigid import applied, difference, hat, inverse, moved
from molmo_point.hand_eye.samples import HandEyeSet, Setup

HUBER_POINT = 2.5
HUBER_SAMPLE = 3.55  # 95 % of correct samples are below (6 degrees of freedom)
_ITERATIONS = 25
_CONVERGED = 1e-6
_FAR_PX = 1e5


@dataclass(frozen=True)
class Noise:
    """Standard deviations of the measurements.

    Attributes:
        sigma_px: Of a detected point, per axis, in pixels.
        robot_m: Of a reported robot position, per axis, in meters.
        robot_rad: Of a reported robot orientation, per axis, in radians.
    """

    sigma_px: float
    robot_m: float
    robot_rad: float

    @property
    def robot_precision(self) -> FloatArray:
        """Inverse variances (6,) of a robot pose."""
        return np.repeat([self.robot_m**-2.0, self.robot_rad**-2.0], 3)


@dataclass(frozen=True, eq=False)
class Model:
    """Unknowns of the joint optimization, with their present values.

    Attributes:
        x: Camera transforms (a, 4, 4).
        w: Board transforms (b, 4, 4).
        robot: Corrected base_T_gripper (n, 4, 4).
        camera_of: Index (n,) of each sample's camera transform.
        board_of: Index (n,) of each sample's board transform.
        scale: Factor on the board's size.
        free_scale: True if the scale is an unknown.
    """

    x: FloatArray
    w: FloatArray
    robot: FloatArray
    camera_of: IntArray
    board_of: IntArray
    scale: float = 1.0
    free_scale: bool = False

    @property
    def size(self) -> int:
        """Number of shared unknowns."""
        return 6 * (len(self.x) + len(self.w)) + int(self.free_scale)


@dataclass(frozen=True, eq=False)
class JointFit:
    """Result of the joint optimization.

    Attributes:
        model: Unknowns at the minimum.
        cost: Twice the negative log likelihood, robust, up to a constant.
        residual_px: Distances between detected and projected points (n, m), in pixels; NaN where not detected.
    """

    model: Model
    cost: float
    residual_px: FloatArray

    @property
    def x(self) -> FloatArray:
        """First camera transform (4, 4)."""
        return self.model.x[0]

    @property
    def w(self) -> FloatArray:
        """First board transform (4, 4)."""
        return self.model.w[0]

    def rms_px(self) -> float:
        """Return the root mean square of all residuals, in pixels."""
        return float(np.sqrt(np.nanmean(self.residual_px**2)))


def start_model(
    data: HandEyeSet,
    x: FloatArray,
    w: FloatArray,
    *,
    camera_of: IntArray | None = None,
    board_of: IntArray | None = None,
    scale: float = 1.0,
    free_scale: bool = False,
) -> Model:
    """Build a model whose robot poses put the board exactly at the pose from each image alone."""
    camera_of = np.zeros(len(data), int) if camera_of is None else camera_of
    board_of = np.zeros(len(data), int) if board_of is None else board_of
    xs = np.repeat(x[None], camera_of.max() + 1, axis=0) if x.ndim == 2 else x
    ws = np.repeat(w[None], board_of.max() + 1, axis=0) if w.ndim == 2 else w
    boards = data.poses.camera_T_board.copy()
    boards[:, :3, 3] *= scale
    robot = data.setup.outer(ws[board_of] @ inverse(xs[camera_of] @ boards))
    return Model(xs, ws, robot, camera_of, board_of, scale, free_scale)


def fit_joint(
    data: HandEyeSet,
    model: Model,
    noise: Noise,
    weights: FloatArray | None = None,
    iterations: int = _ITERATIONS,
) -> JointFit:
    """Minimize reprojection error and robot corrections together.

    Args:
        data: Samples.
        model: Start values, see `start_model`.
        noise: Expected noise of points and robot.
        weights: Weights of the samples (n,), default 1; 0 leaves a sample out.
        iterations: Largest number of steps.
    """
    weights = np.ones(len(data)) if weights is None else weights
    damping = 1e-6
    state = _linearized(data, model, noise, weights)
    for _ in range(iterations):
        shared, local = _step(state, damping)
        tried = _stepped(model, shared, local)
        new = _linearized(data, tried, noise, weights)
        if new.cost <= state.cost * (1.0 + 1e-12) + 1e-12:
            small = state.cost - new.cost < _CONVERGED * max(state.cost, 1e-6)
            model, state, damping = tried, new, max(damping * 0.1, 1e-9)
            if small:
                break
        else:
            damping = max(damping * 10.0, 1e-6)
            if damping > 1e8:
                break
    return JointFit(model, state.cost, state.distance_px)


@dataclass(frozen=True, eq=False)
class _State:
    cost: float
    change: FloatArray
    distance_px: FloatArray
    shared: FloatArray  # (n, 6 or 7, size) local motion by shared unknowns
    robot: FloatArray  # (n, 6 or 7, 6) local motion by the robot correction
    hessian: FloatArray
    gradient: FloatArray
    prior: FloatArray  # (n, 6) weighted precision of the corrections


def _linearized(data: HandEyeSet, model: Model, noise: Noise, weights: FloatArray) -> _State:
    poses = camera_poses(data.setup, model)
    p_camera = applied(poses, data.points_board * model.scale)
    projected, by_point = projection_jacobian(p_camera, data.intrinsics)
    seen = np.isfinite(data.uv[..., 0])
    residual = np.where(p_camera[..., 2:] > 1e-3, projected - data.uv, _FAR_PX)
    residual = np.where(seen[..., None], residual, 0.0)
    distance = np.linalg.norm(residual, axis=-1)
    loss, point_weight = _huber(distance / noise.sigma_px, HUBER_POINT)
    change = difference(model.robot, data.base_T_gripper)
    length = np.sqrt((change**2 * noise.robot_precision).sum(axis=1))
    sample_loss, sample_weight = _huber(length, HUBER_SAMPLE)
    jacobian = twist_jacobian(by_point, p_camera)
    if model.free_scale:
        from_origin = (p_camera - poses[:, None, :3, 3]) / model.scale
        jacobian = np.concatenate([jacobian, by_point @ from_origin[..., None]], axis=-1)
    root = np.sqrt(point_weight * weights[:, None]) / noise.sigma_px * seen
    flat = (jacobian * root[..., None, None]).reshape(len(poses), -1, jacobian.shape[-1])
    transposed = np.swapaxes(flat, -1, -2)
    gradient = (transposed @ (residual * root[..., None]).reshape(len(poses), -1, 1))[..., 0]
    shared, robot = motion_chains(data.setup, model, poses)
    return _State(
        float((weights * (loss.sum(axis=1) + sample_loss)).sum()),
        change,
        np.where(seen, distance, np.nan),
        shared,
        robot,
        transposed @ flat,
        gradient,
        (weights * sample_weight)[:, None] * noise.robot_precision,
    )


def _huber(values: FloatArray, bend: float) -> tuple[FloatArray, FloatArray]:
    """Return the loss (of squares) and the weight of each value."""
    beyond = values > bend
    safe = np.where(beyond, values, 1.0)
    return np.where(beyond, bend * (2.0 * values - bend), values**2), np.where(beyond, bend / safe, 1.0)


def camera_poses(setup: Setup, model: Model) -> FloatArray:
    """Compute camera_T_board (n, 4, 4) of a model."""
    return inverse(model.x)[model.camera_of] @ setup.other.outer(model.robot) @ model.w[model.board_of]


def motion_chains(setup: Setup, model: Model, poses: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Differentiate the board's pose in the camera frame, as a twist (u, w) with p' = p + u + w x p.

    Returns:
        Jacobians (n, 6 or 7, size) by the shared unknowns and (n, 6 or 7, 6) by the robot correction; row 7 is the board's
        scale.
    """
    n, rows = len(poses), 6 + int(model.free_scale)
    x, robot = model.x[model.camera_of], model.robot
    x_back = np.swapaxes(x[:, :3, :3], 1, 2)
    rotation = robot[:, :3, :3]
    in_hand = setup is Setup.EYE_IN_HAND
    board_turn = x_back @ (np.swapaxes(rotation, 1, 2) if in_hand else rotation)
    by_x, by_w, by_robot = np.zeros((n, rows, 6)), np.zeros((n, rows, 6)), np.zeros((n, rows, 6))
    by_w[:, :3, :3] = by_w[:, 3:6, 3:] = board_turn
    by_w[:, :3, 3:] = hat(poses[:, :3, 3]) @ board_turn
    by_x[:, :3, :3] = by_x[:, 3:6, 3:] = -x_back
    if in_hand:
        lever = (x_back @ x[:, :3, 3:])[..., 0]
        by_robot[:, :3, :3] = by_robot[:, 3:6, 3:] = -board_turn
        by_robot[:, :3, 3:] = hat(lever) @ board_turn
    else:
        lever = (x_back @ (x[:, :3, 3:] - robot[:, :3, 3:]))[..., 0]
        by_robot[:, :3, :3] = by_robot[:, 3:6, 3:] = x_back
        by_robot[:, :3, 3:] = -hat(lever) @ x_back
    shared = np.zeros((n, rows, model.size))
    each = np.arange(n)[:, None]
    shared[each, :, 6 * model.camera_of[:, None] + np.arange(6)] = np.swapaxes(by_x, 1, 2)
    start = 6 * len(model.x)
    shared[each, :, start + 6 * model.board_of[:, None] + np.arange(6)] = np.swapaxes(by_w, 1, 2)
    if model.free_scale:
        shared[:, 6, -1] = 1.0
    return shared, by_robot


def _step(state: _State, damping: float) -> tuple[FloatArray, FloatArray]:
    """Solve for the damped change of the shared unknowns and of each robot pose (n, 6), by the Schur complement."""
    robot_t, shared_t = np.swapaxes(state.robot, 1, 2), np.swapaxes(state.shared, 1, 2)
    own = robot_t @ state.hessian @ state.robot
    diagonal = np.einsum("nii->ni", own) * damping + state.prior + 1e-12
    own = own + diagonal[..., None] * np.eye(6)
    cross = robot_t @ state.hessian @ state.shared
    pull = (robot_t @ state.gradient[..., None])[..., 0] + state.prior * state.change
    solved = np.linalg.solve(own, np.concatenate([cross, pull[..., None]], axis=2))
    by_shared, alone = solved[..., :-1], solved[..., -1]
    normal = (shared_t @ state.hessian @ state.shared - np.swapaxes(cross, 1, 2) @ by_shared).sum(axis=0)
    gradient = (shared_t @ state.gradient[..., None] - np.swapaxes(cross, 1, 2) @ solved[..., -1:]).sum(axis=0)[:, 0]
    lifted = normal + np.diag(np.maximum(np.diag(normal), 1e-12) * damping + 1e-12)
    shared = -np.linalg.solve(lifted, gradient)
    return shared, -alone - by_shared @ shared


def _stepped(model: Model, shared: FloatArray, local: FloatArray) -> Model:
    split = 6 * len(model.x)
    end = split + 6 * len(model.w)
    return replace(
        model,
        x=moved(model.x, shared[:split].reshape(-1, 6)),
        w=moved(model.w, shared[split:end].reshape(-1, 6)),
        robot=moved(model.robot, local),
        scale=model.scale * float(np.exp(np.clip(shared[-1] / model.scale, -1.0, 1.0))) if model.free_scale else model.scale,
    )
