"""Synthetic hand-eye samples with known truth, for tests, benchmarks and the rehearsal arm."""

from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.rigid import applied, inverse, motion, moved, rotation_exp
from molmo_point.hand_eye.samples import HandEyeSet, Setup, hand_eye_set

CAMERA = Intrinsics(640, 480, 610.0, 610.0, 319.5, 239.5)


@dataclass(frozen=True)
class Condition:
    """Conditions of synthetic samples.

    Attributes:
        count: Number of robot poses.
        tilt_deg: Largest angle between the view and the board's normal, in degrees.
        yaw_deg: Largest rotation about the optical axis, in degrees.
        distance_m: Nearest and farthest view, in meters.
        sigma_px: Standard deviation of the detected points, in pixels.
        robot_m: Standard deviation of the reported position per axis, in meters.
        robot_deg: Standard deviation of the reported orientation per axis, in degrees.
        bad: Number of samples with a wrong robot pose.
        bad_m: Position error of a wrong robot pose, in meters, in a random direction.
        bad_deg: Orientation error of a wrong robot pose, in degrees, about a random axis.
    """

    count: int = 15
    tilt_deg: float = 30.0
    yaw_deg: float = 90.0
    distance_m: tuple[float, float] = (0.35, 0.6)
    sigma_px: float = 0.3
    robot_m: float = 0.0002
    robot_deg: float = 0.05
    bad: int = 0
    bad_m: float = 0.015
    bad_deg: float = 1.0


@dataclass(frozen=True, eq=False)
class Truth:
    """Truth behind synthetic samples.

    Attributes:
        x: True X (4, 4).
        w: True W (4, 4).
        base_T_gripper: True robot poses (n, 4, 4).
        bad: Indices of the samples with a wrong robot pose.
    """

    x: FloatArray
    w: FloatArray
    base_T_gripper: FloatArray
    bad: tuple[int, ...]


def grid_points(columns: int = 6, rows: int = 4, square_m: float = 0.03) -> FloatArray:
    """Return the inner corners (columns * rows, 3) of a chessboard, in meters; 7 x 5 squares have 6 x 4 corners."""
    v, u = np.mgrid[0:rows, 0:columns]
    return np.stack([u.ravel() * square_m, v.ravel() * square_m, np.zeros(u.size)], axis=1)


def viewpoints(
    rng: np.random.Generator, count: int, tilt_deg: float, yaw_deg: float, distance_m: tuple[float, float], center: FloatArray
) -> FloatArray:
    """Draw views camera_T_board (n, 4, 4): tilted up to `tilt_deg`, rotated up to `yaw_deg`, slightly off center."""
    tilt = np.deg2rad(tilt_deg) * np.sqrt(rng.uniform(0.0, 1.0, count))
    direction = rng.uniform(0.0, 2.0 * np.pi, count)
    yaw = np.deg2rad(rng.uniform(-yaw_deg, yaw_deg, count))
    distance = rng.uniform(*distance_m, count)
    zero = np.zeros(count)
    lean = rotation_exp(np.stack([tilt * np.cos(direction), tilt * np.sin(direction), zero], axis=1))
    rotation = rotation_exp(np.stack([zero, zero, yaw], axis=1)) @ lean
    aim = rng.uniform(-0.08, 0.08, (count, 2)) * distance[:, None]
    middle = np.concatenate([aim, distance[:, None]], axis=1)
    return motion(rotation, middle - (rotation @ center))


def random_truth(rng: np.random.Generator, setup: Setup) -> tuple[FloatArray, FloatArray]:
    """Draw plausible X and W: camera 5 to 12 cm from the flange, board half a meter from the base, or the reverse."""
    near = motion(rotation_exp(rng.normal(0.0, 0.3, 3)), rng.uniform(-0.08, 0.08, 3) + np.array([0.0, 0.0, 0.04]))
    far = motion(
        rotation_exp(np.array([np.pi, 0.0, 0.0]) + rng.normal(0.0, 0.2, 3)),
        rng.uniform(-0.15, 0.15, 3) + np.array([0.5, 0.0, 0.1]),
    )
    if setup is Setup.EYE_IN_HAND:
        return near, motion(rotation_exp(rng.normal(0.0, 0.2, 3)), far[:3, 3])
    return far, near


def synthetic_set(condition: Condition, seed: int, setup: Setup | str = Setup.EYE_IN_HAND) -> tuple[HandEyeSet, Truth]:
    """Make samples under a condition, with their truth; the same seed gives the same samples."""
    rng = np.random.default_rng(seed)
    setup = Setup(setup)
    points = grid_points()
    x, w = random_truth(rng, setup)
    boards = viewpoints(rng, condition.count, condition.tilt_deg, condition.yaw_deg, condition.distance_m, points.mean(axis=0))
    true = setup.outer(w @ inverse(x @ boards))
    uv = CAMERA.project(applied(boards, points))
    uv = uv + rng.normal(0.0, condition.sigma_px, uv.shape)
    sigma = np.repeat([condition.robot_m, np.deg2rad(condition.robot_deg)], 3)
    reported = moved(true, rng.normal(size=(condition.count, 6)) * sigma)
    bad = rng.choice(condition.count, condition.bad, replace=False)
    for i in bad:
        reported[i] = moved(reported[i], _shock(rng, condition))
    data = hand_eye_set(setup, reported, uv, points, CAMERA)
    return data, Truth(x, w, true, tuple(sorted(int(i) for i in bad)))


def _shock(rng: np.random.Generator, condition: Condition) -> FloatArray:
    directions = rng.normal(size=(2, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return np.concatenate([directions[0] * condition.bad_m, directions[1] * np.deg2rad(condition.bad_deg)])
