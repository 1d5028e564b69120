"""Sample files: every form of a pose, board poses without images, other readings, and clear refusals."""

import numpy as np
import pytest
import yaml

from molmo_point.calibration.hand_eye import calibrate_hand_eye
from molmo_point.calibration.pose_entries import pose_entry, read_pose
from molmo_point.calibration.sample_file import load_session
from molmo_point.errors import InputError
from molmo_point.geometry.rigid import difference, inverse, rotation_log
from molmo_point.hand_eye.synthetic import Condition, synthetic_set

pytest.importorskip("cv2")


def write(tmp_path, robot_entry=pose_entry, board_entry=pose_entry, **changes):
    data, truth = synthetic_set(Condition(count=10), 1)
    samples = [
        {"id": f"s{i}", "base_T_gripper": robot_entry(robot), "camera_T_board": board_entry(board)}
        for i, (robot, board) in enumerate(zip(data.base_T_gripper, data.poses.camera_T_board))
    ]
    values = {"setup": "eye_in_hand", "samples": samples, **changes}
    path = tmp_path / "samples.yaml"
    path.write_text(yaml.safe_dump(values))
    return path, truth


def turned(name, factor=1.0):
    def entry(matrix):
        vector = rotation_log(matrix[:3, :3]) * factor
        return {"translation_m": matrix[:3, 3].tolist(), name: vector.tolist()}

    return entry


@pytest.mark.parametrize(
    "entry",
    [pose_entry, turned("rotation_vector_rad"), turned("rotation_vector_deg", 180 / np.pi), lambda m: {"matrix": m.tolist()}],
)
def test_board_poses_calibrate_without_images(tmp_path, entry):
    _, truth = write(tmp_path, entry)
    session = load_session(tmp_path)
    result = calibrate_hand_eye(session.data, alternatives=session.alternatives)
    assert np.linalg.norm(difference(result.camera.matrix, truth.x)[:3]) < 0.004
    assert result.causes == () or {c.name for c in result.causes} <= {"little_rotation"}


def test_roll_pitch_yaw_are_about_fixed_axes(tmp_path):
    matrix = read_pose({"translation_m": [0, 0, 0], "rpy_deg": [90.0, 0.0, 90.0]}, "a", tmp_path)
    assert np.allclose(matrix[:3, :3] @ [0, 1, 0], [0, 0, 1])  # y rolls up to z, which yaw leaves
    assert np.allclose(matrix[:3, :3] @ [1, 0, 0], [0, 1, 0])


def real_part_first(matrix):
    return {**(e := pose_entry(matrix)), "quaternion_xyzw": np.roll(e["quaternion_xyzw"], 1).tolist()}


@pytest.mark.parametrize(
    ("name", "robot", "board"),
    [
        ("degrees", turned("rotation_vector_rad", 180 / np.pi), pose_entry),
        ("radians", turned("rotation_vector_deg"), pose_entry),
        ("quaternion_order", real_part_first, pose_entry),
        ("quaternion_order", real_part_first, real_part_first),
    ],
)
def test_a_misread_form_is_named(tmp_path, name, robot, board):
    write(tmp_path, robot, board)
    session = load_session(tmp_path)
    result = calibrate_hand_eye(session.data, alternatives=session.alternatives)
    assert result.causes[0].name == name and not result.passed


def test_inverted_board_poses_are_named_before_anything_is_computed(tmp_path):
    write(tmp_path, board_entry=lambda m: pose_entry(inverse(m)))
    with pytest.raises(InputError, match="look inverted"):
        load_session(tmp_path)


def entries(path, change):
    values = yaml.safe_load(path.read_text())
    change(values)
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v["samples"][2].pop("base_T_gripper"), "must have a robot pose"),
        (lambda v: v["samples"][2].pop("camera_T_board"), "must have a robot pose"),
        (lambda v: v["samples"][1].update(id="s0"), "must differ"),
        (lambda v: v.update(samples=v["samples"][:3]), "at least 5 samples"),
        (lambda v: v.update(samples=[]), "must be a file of hand-eye samples"),
        (lambda v: v.update(robot="ur5"), "must be a file of hand-eye samples"),
        (lambda v: v.update(setup="on_hand"), "setup must be"),
        (lambda v: v["samples"][0]["base_T_gripper"].update(quaternion_xyzw=[1, 1, 1, 1]), "must have length 1"),
        (lambda v: v["samples"][0]["base_T_gripper"].update(translation_m=[1, 2]), "3 or 4 of rotation"),
        (lambda v: v["samples"][0].update(base_T_gripper="home"), "must be a mapping"),
    ],
)
def test_bad_files_get_a_clear_message(tmp_path, change, words):
    path, _ = write(tmp_path)
    with pytest.raises(InputError, match=words):
        load_session(entries(path, change))
