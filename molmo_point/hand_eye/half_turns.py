"""Boards that look the same after a turn in their plane: one choice for all samples, by agreement with the robot's rotations.

The angle between two robot poses equals the angle between the board's poses in the camera frame. Each pair of samples votes
for the turn between their two boards; the leading eigenvector of the votes gives the turn of each sample.
"""

import numpy as np

from molmo_point.arrays import FloatArray, IntArray
from molmo_point.geometry.rigid import angle_between, motion, rotation_exp
from molmo_point.hand_eye.closed_form import shah

_ROUNDS = 6
_SAME_SHARE = 0.05
_NEAR_RAD = float(np.deg2rad(10.0))


def consistent_turns(outer: FloatArray, boards: FloatArray, fold: int = 2) -> IntArray:
    """Find the turn of each board, in steps of 360° / `fold`, that agrees with the robot's rotations.

    Args:
        outer: G_i (n, 4, 4).
        boards: camera_T_board (n, 4, 4), each with an unknown turn about the board's normal.
        fold: 2 for half turns, 4 for quarter turns.

    Returns:
        Turn (n,) to apply to each board, 0 to `fold` - 1; the most frequent one is 0.
    """
    steps = rotation_exp(np.array([[0.0, 0.0, 2.0 * np.pi * step / fold] for step in range(fold)]))
    rotations = boards[:, :3, :3]
    robot = angle_between(outer[:, None, :3, :3], outer[None, :, :3, :3])
    turned = rotations[:, None] @ steps  # (n, fold, 3, 3)
    gaps = np.stack(
        [np.abs(robot - angle_between(turned[:, step, None], rotations[None])) for step in range(fold)], axis=-1
    )  # turn of the row's board relative to the column's
    order = np.sort(gaps, axis=-1)
    vote = (order[..., 1] - order[..., 0]) * np.exp(2j * np.pi * np.argmin(gaps, axis=-1) / fold)
    vote = (vote + vote.conj().T) / 2.0
    leading = np.linalg.eigh(vote)[1][:, -1]
    turns = np.rint(np.angle(leading / leading[np.argmax(np.abs(leading))]) * fold / (2.0 * np.pi)).astype(int) % fold
    for _ in range(_ROUNDS):
        x, w = shah(outer, motion(turned[np.arange(len(turns)), turns], boards[:, :3, 3]))
        gap = angle_between(outer[:, None, :3, :3] @ x[:3, :3] @ turned, np.broadcast_to(w[:3, :3], turned.shape))
        better = np.argmin(gap, axis=1)
        if np.array_equal(better, turns):
            break
        turns = better
    return (turns - np.bincount(turns, minlength=fold).argmax()) % fold


def point_orders(points_board: FloatArray, fold: int) -> IntArray | None:
    """Return the order (fold, m) of the points after each turn of the board; None if a turn does not map it onto itself."""
    center = points_board.mean(axis=0)
    limit = _SAME_SHARE * np.ptp(points_board, axis=0).max()
    orders = []
    for step in range(fold):
        moved = (points_board - center) @ rotation_exp(np.array([0.0, 0.0, 2.0 * np.pi * step / fold])).T + center
        gaps = np.linalg.norm(moved[:, None] - points_board[None], axis=2)
        if gaps.min(axis=1).max() > limit:
            return None
        orders.append(np.argmin(gaps, axis=1))
    return np.array(orders)


def turned_boards(outer: FloatArray, boards: FloatArray, turns: IntArray) -> FloatArray:
    """Turn boards (n, 4, 4) by half turns about an unknown center, which follows from the robot's translations."""
    half = rotation_exp(np.array([0.0, 0.0, np.pi]))
    flat = motion(boards[:, :3, :3] @ np.where(turns[:, None, None] > 0, half, np.eye(3)), boards[:, :3, 3])
    x, _ = shah(outer, flat)
    known = (outer[:, :3, :3] @ x[:3, :3] @ boards[:, :3, 3:])[..., 0]
    slide = outer[:, :3, :3] @ x[:3, :3] @ boards[:, :3, :2] * turns[:, None, None]
    columns = np.concatenate([outer[:, :3, :3], np.broadcast_to(-np.eye(3), (len(outer), 3, 3)), slide], axis=2)
    target = -outer[:, :3, 3] - known
    solved = np.linalg.lstsq(columns.reshape(-1, 8), target.ravel(), rcond=None)[0]
    shift = motion(np.eye(3), np.array([*solved[6:], 0.0]))
    return np.where(turns[:, None, None] > 0, boards @ shift @ motion(half, np.zeros(3)), boards)


def half_turned(outer: FloatArray, boards: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the boards with consistent half turns, and the turn (n,) of each."""
    turns = consistent_turns(outer, boards)
    return turned_boards(outer, boards, turns), turns


def seen_turned(predicted: FloatArray, boards: FloatArray) -> IntArray:
    """Return 1 for boards (n, 4, 4) that are a half turn in their plane away from the predicted ones, else 0."""
    relative = np.swapaxes(predicted[:, :3, :3], 1, 2) @ boards[:, :3, :3]
    return (angle_between(relative, np.broadcast_to(np.diag([-1.0, -1.0, 1.0]), relative.shape)) < _NEAR_RAD).astype(int)
