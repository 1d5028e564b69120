"""Proposal of the next robot pose to record: the one that reduces the error at the working distance most."""

from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.geometry.planar_pose import BoardPoses, pose_equations
from molmo_point.geometry.rigid import applied, inverse
from molmo_point.hand_eye.joint import start_model
from molmo_point.hand_eye.noise import linearize, solve_linear
from molmo_point.hand_eye.samples import HandEyeSet
from molmo_point.hand_eye.solve import Solution
from molmo_point.hand_eye.synthetic import viewpoints
from molmo_point.hand_eye.validation import covariance_at, error_at

_CANDIDATES = 250
_MARGIN_PX = 12.0
_BEYOND_M = 0.15


@dataclass(frozen=True, eq=False)
class NextPose:
    """Proposed robot pose.

    Attributes:
        base_T_gripper: Proposed pose of the gripper (4, 4).
        camera_T_board: Pose of the board in the camera frame at that pose (4, 4).
        error_now_m: 95 % error at the working distance with the present samples, in meters.
        error_then_m: 95 % error at the working distance with one more sample, in meters.
        words: Description of the view.
    """

    base_T_gripper: FloatArray
    camera_T_board: FloatArray
    error_now_m: float
    error_then_m: float
    words: str


def next_pose(solution: Solution, distance_m: float) -> NextPose | None:
    """Choose the best of many views near the used ones, with the whole board in the image; None if no view qualifies.

    Args:
        solution: Solution from the present samples.
        distance_m: Working distance of the task, in meters.
    """
    data = solution.data
    seen = data.poses.camera_T_board[solution.kept]
    depth = (seen @ np.append(data.center_board, 1.0))[:, 2]
    views = viewpoints(
        np.random.default_rng(0), _CANDIDATES, 40.0, 180.0, (0.8 * depth.min(), 1.2 * depth.max()), data.center_board
    )
    views = views[_visible(views, data)]
    robot = data.setup.outer(solution.w @ inverse(solution.x @ views))
    near = _within(robot, data)
    views, robot = views[near], robot[near]
    if not len(views):
        return None
    information = solve_linear(solution.linear.subset(solution.kept), solution.noise)[1]
    now = error_at(solution.x, information[:6, :6], distance_m)
    covariances = _with_one_more(solution, views, robot, np.linalg.inv(information))
    # The trace is a fast substitute for `error_at`.
    best = int(np.argmin([np.trace(covariance_at(solution.x, c[:6, :6], distance_m)) for c in covariances]))
    then = error_at(solution.x, covariances[best][:6, :6], distance_m)
    return NextPose(robot[best], views[best], now, then, view_words(views[best], data.center_board))


def _visible(views: FloatArray, data: HandEyeSet) -> BoolArray:
    uv = data.intrinsics.project(applied(views, data.points_board))
    width, height = data.intrinsics.size_wh
    low, high = _MARGIN_PX, np.array([width, height]) - 1 - _MARGIN_PX
    return np.all((uv > low) & (uv < high), axis=(1, 2))


def _within(robot: FloatArray, data: HandEyeSet) -> BoolArray:
    """Mark the gripper positions at most 15 cm outside the box of the used positions, which the arm can probably reach."""
    used = data.base_T_gripper[:, :3, 3]
    at = robot[:, :3, 3]
    return np.all((at > used.min(axis=0) - _BEYOND_M) & (at < used.max(axis=0) + _BEYOND_M), axis=1)


def _with_one_more(solution: Solution, views: FloatArray, robot: FloatArray, information: FloatArray) -> FloatArray:
    data = solution.data
    uv = data.intrinsics.project(applied(views, data.points_board))
    _, hessian, _ = pose_equations(views, data.points_board, uv, data.intrinsics)
    n = len(views)
    poses = BoardPoses(views, np.zeros(n), np.zeros(n), hessian, np.full(n, len(data.points_board)))
    made = HandEyeSet(data.setup, robot, uv, data.points_board, data.intrinsics, tuple(map(str, range(n))), poses)
    linear = linearize(made, start_model(made, solution.x, solution.w), solution.noise.sigma_px)
    precision = np.linalg.inv(linear.covariances(solution.noise))
    return np.linalg.inv(information + np.swapaxes(linear.shared, 1, 2) @ precision @ linear.shared)


def view_words(camera_T_board: FloatArray, center_board: FloatArray) -> str:
    """Describe a view of the board: distance, tilt with its direction, rotation in the image."""
    rotation = camera_T_board[:3, :3]
    middle = rotation @ center_board + camera_T_board[:3, 3]
    normal = rotation[:, 2]
    tilt = float(np.rad2deg(np.arccos(np.clip(abs(normal[2]), 0.0, 1.0))))
    lean = normal[:2] * np.sign(normal[2])
    sides = ("right", "lower right", "bottom", "lower left", "left", "upper left", "top", "upper right")
    # The side of the image at which the board's far edge lies.
    far = sides[int(np.rint(np.arctan2(-lean[1], -lean[0]) / (np.pi / 4.0))) % 8]
    turn = float(np.rad2deg(np.arctan2(rotation[1, 0], rotation[0, 0])))
    leaning = "head-on" if tilt < 5.0 else f"tilted {tilt:.0f}° (far edge at the {far} of the image)"
    return f"{middle[2] * 100:.0f} cm away, {leaning}, board turned {turn:+.0f}° in the image"
