"""Sample files with one mistake each: what people write into them, and the cause that the report must name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.geometry.rigid import inverse, motion, quaternions_of, rotation_exp, rotation_log
from molmo_point.hand_eye.samples import Setup
from molmo_point.hand_eye.synthetic import Condition, synthetic_set

Pose = NDArray[Any]
Pairs = list[tuple[Pose, Pose]]
"""Pairs of base_T_gripper and camera_T_board."""


def pairs_of(seed: int, setup: Setup, count: int = 15) -> Pairs:
    """Return samples with the noise of an ordinary arm and camera."""
    data, _ = synthetic_set(Condition(count=count), seed, setup)
    return list(zip(data.base_T_gripper, data.poses.camera_T_board))


def matrix(pose: Pose, length: float = 1.0) -> dict[str, Any]:
    return {"matrix": motion(pose[:3, :3], pose[:3, 3] * length).tolist()}


def written(form: str, numbers: Callable[[Pose], Any], length: float = 1.0) -> Callable[[Pose], dict[str, Any]]:
    """Return a writer of poses: a form, and the numbers that somebody writes under its name."""

    def entry(pose: Pose) -> dict[str, Any]:
        return {"translation_m": (pose[:3, 3] * length).tolist(), form: np.asarray(numbers(pose[:3, :3])).tolist()}

    return entry


def euler(axes: str, degrees: bool = False) -> Callable[[Pose], Any]:
    """Return the angles of a rotation by SciPy: capitals turn about moving axes."""
    from scipy.spatial.transform import Rotation

    return lambda rotation: Rotation.from_matrix(rotation).as_euler(axes, degrees=degrees)


def quaternion(order: str = "xyzw") -> Callable[[Pose], Any]:
    return lambda rotation: quaternions_of(rotation)[["xyzw".index(letter) for letter in order]]


def shuffled(robot: list[int] | NDArray[Any]) -> Callable[[Pairs], Pairs]:
    return lambda pairs: [(pairs[i][0], board) for i, (_, board) in zip(robot, pairs)]


@dataclass(frozen=True)
class Planted:
    """One mistake.

    Attributes:
        causes: Names that the report may give; it must give at least one, and no other.
        robot: Writer of base_T_gripper.
        board: Writer of camera_T_board.
        change: Change of the pairs.
        swap_setup: True to state the other setup.
    """

    causes: set[str]
    robot: Callable[[Pose], dict[str, Any]] = matrix
    board: Callable[[Pose], dict[str, Any]] = matrix
    change: Callable[[Pairs], Pairs] = lambda pairs: pairs
    swap_setup: bool = False


def half_turned(pairs: Pairs) -> Pairs:
    turn = motion(rotation_exp(np.array([0, 0, np.pi])), np.array([0.15, 0.09, 0.0]))
    return [(robot, board @ turn if i % 3 == 1 else board) for i, (robot, board) in enumerate(pairs)]


def with_one_pose_of_the_previous(pairs: Pairs) -> Pairs:
    return [(pairs[6][0] if i == 7 else robot, board) for i, (robot, board) in enumerate(pairs)]


def with_repeated_image(pairs: Pairs) -> Pairs:
    return [(robot, pairs[3][1] if i == 9 else board) for i, (robot, board) in enumerate(pairs)]


def some_in(length: float) -> Callable[[Pairs], Pairs]:
    return lambda pairs: [
        (motion(r[:3, :3], r[:3, 3] * (length if i >= 9 else 1.0)), board) for i, (r, board) in enumerate(pairs)
    ]


def shifted_from(start: int) -> Callable[[Pairs], Pairs]:
    return lambda pairs: [(pairs[i + (i >= start)][0], pairs[i][1]) for i in range(len(pairs) - 1)]


def scaled(pose: Pose, factor: float) -> Pose:
    return motion(pose[:3, :3], pose[:3, 3] * factor)


FORM, INVERTED = {"rotation_form"}, {"rotation_inverted", "rotation_form"}
PLANTED = {
    "robot in millimeters": Planted({"robot_millimetres"}, lambda p: matrix(p, 1e3)),
    "robot in centimeters": Planted({"robot_centimetres"}, lambda p: matrix(p, 1e2)),
    "robot in decimeters": Planted({"robot_decimetres"}, lambda p: matrix(p, 1e1)),
    "robot in feet": Planted({"robot_feet"}, lambda p: matrix(p, 1 / 0.3048)),
    "robot in inches": Planted({"robot_inches"}, lambda p: matrix(p, 1 / 0.0254)),
    "board in millimeters": Planted({"board_millimetres"}, board=lambda p: matrix(p, 1e3)),
    "board in centimeters": Planted({"board_centimetres"}, board=lambda p: matrix(p, 1e2)),
    "board in inches": Planted({"board_inches"}, board=lambda p: matrix(p, 1 / 0.0254)),
    "board in decimeters": Planted({"board_decimetres"}, board=lambda p: matrix(p, 1e1)),
    "board in feet": Planted({"board_feet"}, board=lambda p: matrix(p, 1 / 0.3048)),
    "both in millimeters": Planted(
        {"robot_millimetres", "board_millimetres"}, lambda p: matrix(p, 1e3), lambda p: matrix(p, 1e3)
    ),
    "robot in millimeters, board in centimeters": Planted(
        {"robot_millimetres", "board_centimetres"}, lambda p: matrix(p, 1e3), lambda p: matrix(p, 1e2)
    ),
    "some positions in millimeters": Planted({"mixed_units"}, change=some_in(1e3)),
    "some positions in centimeters": Planted({"mixed_units"}, change=some_in(1e2)),
    "millimeters, and A, B, C as rpy": Planted(
        FORM | {"robot_millimetres"}, written("rpy_deg", euler("ZYX", True), 1e3)
    ),
    "millimeters, and a rotation vector as rpy": Planted(
        FORM | {"robot_millimetres"}, written("rpy_rad", rotation_log, 1e3)
    ),
    "millimeters, and degrees as radians": Planted(
        {"degrees", "robot_millimetres"}, written("rpy_rad", euler("xyz", True), 1e3)
    ),
    "setup swapped": Planted({"setup_swapped", "robot_inverted"}, swap_setup=True),
    "robot inverted": Planted({"setup_swapped", "robot_inverted"}, lambda p: matrix(inverse(p))),
    "robot rotations transposed": Planted(INVERTED, lambda p: matrix(motion(p[:3, :3].T, p[:3, 3]))),
    "board rotations transposed": Planted(INVERTED, board=lambda p: matrix(motion(p[:3, :3].T, p[:3, 3]))),
    "quaternion order": Planted({"quaternion_order"}, written("quaternion_xyzw", quaternion("wxyz"))),
    "quaternion order of the board": Planted({"quaternion_order"}, board=written("quaternion_xyzw", quaternion("wxyz"))),
    "quaternion conjugate": Planted(INVERTED, written("quaternion_xyzw", lambda r: quaternion()(r.T))),
    "degrees as radians": Planted({"degrees"}, written("rpy_rad", euler("xyz", True))),
    "radians as degrees": Planted({"radians"}, written("rpy_deg", euler("xyz"))),
    "rotation vector, degrees as radians": Planted(
        {"degrees"}, written("rotation_vector_rad", lambda r: np.rad2deg(rotation_log(r)))
    ),
    "rotation vector, radians as degrees": Planted({"radians"}, written("rotation_vector_deg", rotation_log)),
    "rotation vector as rpy": Planted(FORM, written("rpy_rad", rotation_log)),
    "rotation vector in degrees as rpy": Planted(FORM, written("rpy_deg", lambda r: np.rad2deg(rotation_log(r)))),
    "rotation vector in degrees as rpy_rad": Planted(FORM, written("rpy_rad", lambda r: np.rad2deg(rotation_log(r)))),
    "board's rotation vector as rpy": Planted(FORM, board=written("rpy_rad", rotation_log)),
    "rpy as rotation vector": Planted(FORM, written("rotation_vector_rad", euler("xyz"))),
    "rpy in degrees as rotation vector in radians": Planted(FORM, written("rotation_vector_rad", euler("xyz", True))),
    "A, B, C as rpy": Planted(FORM, written("rpy_deg", euler("ZYX", True))),
    "A, B, C as rotation vector": Planted(FORM, written("rotation_vector_deg", euler("ZYX", True))),
    "moving x, y, z as rpy": Planted(FORM, written("rpy_deg", euler("XYZ", True))),
    "moving x, z, y as rpy": Planted(FORM, written("rpy_rad", euler("XZY"))),
    "moving y, x, z as rpy": Planted(FORM, written("rpy_rad", euler("YXZ"))),
    "fixed z, x, y as rpy": Planted(FORM, written("rpy_rad", euler("zxy"))),
    "z-y-z as rpy": Planted(FORM, written("rpy_deg", euler("ZYZ", True))),
    "z-x-z as rpy": Planted(FORM, written("rpy_deg", euler("ZXZ", True))),
    "x-y-x as rpy": Planted(FORM, written("rpy_rad", euler("XYX"))),
    "z-y-z as rotation vector": Planted(FORM, written("rotation_vector_rad", euler("ZYZ"))),
    "pitch, roll, yaw as rpy": Planted(FORM, written("rpy_rad", lambda r: euler("xyz")(r)[[1, 0, 2]])),
    "negated rpy": Planted(FORM, written("rpy_rad", lambda r: -euler("xyz")(r))),
    "negated pitch": Planted(FORM, written("rpy_rad", lambda r: euler("xyz")(r) * [1, -1, 1])),
    "negated rotation vector": Planted(INVERTED, written("rotation_vector_rad", lambda r: -rotation_log(r))),
    "negated A, B, C as rpy": Planted(INVERTED, written("rpy_deg", lambda r: -euler("ZYX", True)(r))),
    "pairs shifted": Planted({"pairs_shifted"}, change=lambda pairs: shuffled(np.roll(np.arange(len(pairs)), -1))(pairs)),
    "pairs shifted back": Planted({"pairs_shifted"}, change=lambda pairs: shuffled(np.roll(np.arange(len(pairs)), 1))(pairs)),
    "pairs shifted from the seventh on": Planted({"pairs_shifted"}, change=shifted_from(6)),
    "pairs in the order of text": Planted(
        {"pairs_reordered"}, change=lambda pairs: shuffled(sorted(range(len(pairs)), key=lambda i: str(i + 1)))(pairs)
    ),
    "pairs reversed": Planted({"pairs_reordered"}, change=lambda pairs: shuffled(range(len(pairs))[::-1])(pairs)),
    "one pose of the previous sample": Planted({"stale_pose"}, change=with_one_pose_of_the_previous),
    "one image twice": Planted({"repeated_image"}, change=with_repeated_image),
    "half turns": Planted({"half_turns"}, change=half_turned),
    "board 4 % too large": Planted({"board_scale"}, board=lambda p: matrix(scaled(p, 0.96))),
    "board 10 times too large": Planted({"board_scale", "board_centimetres"}, board=lambda p: matrix(scaled(p, 0.1))),
    "board inverted": Planted({"board_inverted"}, board=lambda p: matrix(inverse(p @ np.diag([1.0, -1, -1, 1])))),
}  # fmt: skip


def sample_values(planted: Planted, seed: int, setup: Setup) -> dict[str, Any]:
    """Return the contents of a sample file with the mistake."""
    pairs = planted.change(pairs_of(seed, setup))
    samples = [
        {"id": f"{i:02d}", "base_T_gripper": planted.robot(robot), "camera_T_board": planted.board(board)}
        for i, (robot, board) in enumerate(pairs)
    ]
    return {"setup": (setup.other if planted.swap_setup else setup).value, "samples": samples}
