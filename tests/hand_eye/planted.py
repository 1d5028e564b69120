"""Synthetic hand-eye sets with one mistake each, by name: what the report must find."""

import numpy as np

from molmo_point.geometry.rigid import inverse, motion, moved, rotation_exp, rotation_log
from molmo_point.hand_eye.readings import Reading
from molmo_point.hand_eye.samples import HandEyeSet, Setup, hand_eye_set
from molmo_point.hand_eye.synthetic import Condition, synthetic_set


def rebuilt(data: HandEyeSet, robot=None, uv=None, points=None, setup=None) -> HandEyeSet:
    """The set with some of its parts replaced, through the public constructor."""
    return hand_eye_set(
        setup or data.setup,
        data.base_T_gripper if robot is None else robot,
        data.uv if uv is None else uv,
        data.points_board if points is None else points,
        data.intrinsics,
        data.ids,
    )


def clean(seed, setup=Setup.EYE_IN_HAND, **changes):
    return synthetic_set(Condition(**changes), seed, setup)


def plant(mistake: str, seed: int, setup: Setup = Setup.EYE_IN_HAND):
    """Returns the faulty set and the other readings of it that a sample file would offer."""
    data, truth = clean(seed, setup)
    robot = data.base_T_gripper.copy()
    n = len(data)
    if mistake == "board_scale":
        return rebuilt(data, points=data.points_board / 1.03), ()
    if mistake == "setup_swapped":
        return rebuilt(data, setup=setup.other), ()
    if mistake == "robot_inverted":
        return rebuilt(data, robot=inverse(robot)), ()
    if mistake == "robot_millimetres":
        robot[:, :3, 3] *= 1000.0
        return rebuilt(data, robot=robot), ()
    if mistake == "board_millimetres":
        return rebuilt(data, points=data.points_board * 1000.0), ()
    if mistake == "degrees":
        vectors = np.rad2deg(rotation_log(robot[:, :3, :3]))
        return rebuilt(data, robot=motion(rotation_exp(vectors), robot[:, :3, 3])), (
            Reading("degrees", "", "state the unit", base_T_gripper=data.base_T_gripper),
        )
    if mistake == "stale_pose":
        robot[n // 2] = robot[n // 2 - 1]
        return rebuilt(data, robot=robot), ()
    if mistake == "pairs_shifted":
        return rebuilt(data, robot=np.roll(robot, -1, axis=0)), ()
    if mistake in ("board_moved", "camera_moved"):
        return _displaced(mistake, data, truth, seed), ()
    raise ValueError(mistake)


def _displaced(mistake, data, truth, seed):
    rng = np.random.default_rng(seed + 1)
    change = np.concatenate([rng.normal(0, 0.004, 3), rng.normal(0, 0.01, 3)])
    late = np.arange(len(data)) >= 9
    x = np.where(late[:, None, None], moved(truth.x, change) if mistake == "camera_moved" else truth.x, truth.x)
    w = np.where(late[:, None, None], moved(truth.w, change) if mistake == "board_moved" else truth.w, truth.w)
    inner = inverse(truth.base_T_gripper) if data.setup is Setup.EYE_IN_HAND else truth.base_T_gripper
    boards = inverse(x) @ inner @ w
    points = data.points_board @ np.swapaxes(boards[:, :3, :3], 1, 2) + boards[:, None, :3, 3]
    uv = data.intrinsics.project(points) + rng.normal(0, 0.3, data.uv.shape)
    return rebuilt(data, uv=uv)


MISTAKES = (
    "board_scale",
    "setup_swapped",
    "robot_inverted",
    "robot_millimetres",
    "board_millimetres",
    "degrees",
    "stale_pose",
    "pairs_shifted",
    "board_moved",
    "camera_moved",
)
