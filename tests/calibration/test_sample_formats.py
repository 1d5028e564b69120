"""Samples of other software: each form gives the true camera, and its directions are told."""

import json

import numpy as np
import pytest
import yaml

from molmo_point.calibration.hand_eye import calibrate_hand_eye
from molmo_point.calibration.sample_file import load_session
from molmo_point.errors import InputError
from molmo_point.geometry.rigid import angle_between, inverse, motion, moved, rotation_exp, rotation_log
from molmo_point.geometry.transforms import Transform
from molmo_point.hand_eye.samples import Setup
from molmo_point.hand_eye.synthetic import random_truth, viewpoints

COUNT = 12


def made(setup=Setup.EYE_IN_HAND, seed=0):
    """Return true X, robot poses and board poses, with the noise of a good arm and of a marker."""
    rng = np.random.default_rng(seed)
    x, w = random_truth(rng, setup)
    boards = viewpoints(rng, COUNT, 35.0, 80.0, (0.4, 0.6), np.zeros(3))
    robot = setup.outer(w @ inverse(x @ boards))
    noise = np.repeat([0.0003, 0.001], 3)
    return x, moved(robot, rng.normal(size=(COUNT, 6)) * noise), moved(boards, rng.normal(size=(COUNT, 6)) * noise)


def message(pose):
    value = Transform.from_matrix("a", "b", pose)
    shift, turn = value.translation_m.tolist(), value.quaternion_xyzw.tolist()
    return {"translation": dict(zip("xyz", shift)), "rotation": dict(zip("xyzw", turn))}


def easy_handeye2(folder, robot, boards, kind, calib=False):
    if kind == "eye_on_base":
        robot = inverse(robot)
    frames = {"robot_base_frame": "panda_link0", "robot_effector_frame": "panda_link8", "tracking_base_frame": "optical"}
    told = {"name": "x", "calibration_type": kind, **frames}
    untold = dict.fromkeys(told, "")
    values = {
        "parameters": untold if calib else told,
        "samples": [{"robot": message(a), "tracking": message(b)} for a, b in zip(robot, boards)],
    }
    if calib:
        (folder / "x.calib").write_text(yaml.safe_dump({"parameters": told, "transform": message(np.eye(4))}))
    (folder / "x.samples").write_text(yaml.safe_dump(values))
    return folder / "x.samples"


def moveit(folder, robot, boards, suffix="yaml"):
    values = [{"effector_wrt_world": a.ravel().tolist(), "object_wrt_sensor": b.ravel().tolist()} for a, b in zip(robot, boards)]
    (folder / f"m.{suffix}").write_text(json.dumps(values) if suffix == "json" else yaml.safe_dump(values))
    return folder / f"m.{suffix}"


def visp(folder, robot, boards, names=("fPe", "cPo"), suffix="yaml"):
    for name, poses in zip(names, (robot, boards)):
        vectors = np.concatenate([poses[:, :3, 3], rotation_log(poses[:, :3, :3])], axis=1)
        for number, vector in enumerate(vectors, start=1):
            head = "rows: 6\ncols: 1\ndata: \n" if suffix == "yaml" else ""
            lines = [f"  - [{value:.9g}]" if suffix == "yaml" else f"{value:.9g}" for value in vector]
            (folder / f"pose_{name}_{number}.{suffix}").write_text(head + "\n".join(lines) + "\n")
    return folder


def stacked(folder, robot, boards, names):
    for name, poses in zip(names, (robot, boards)):
        (folder / name).write_text("\n\n".join("\n".join(" ".join(f"{v:.9f}" for v in row) for row in pose) for pose in poses))
    return folder


def one_each(folder, robot, boards):
    for name, poses in (("robot", robot), ("camera", boards)):
        (folder / name).mkdir()
        for number, pose in enumerate(poses):
            np.savetxt(folder / name / f"{number:03d}.txt", pose)
    return folder


def rows(folder, robot, boards):
    for name, poses in (("robot_poses.csv", robot), ("tag_poses.csv", boards)):
        found = [Transform.from_matrix("a", "b", pose) for pose in poses]
        np.savetxt(
            folder / name, [[*each.translation_m, *each.quaternion_xyzw] for each in found], delimiter=",", header="x y z q"
        )
    return folder


def tum(folder, robot, boards):
    for name, poses in (("robot.txt", robot), ("tag.txt", boards)):
        found = [Transform.from_matrix("a", "b", pose) for pose in poses]
        lines = [[1.7e9 + number, *each.translation_m, *each.quaternion_xyzw] for number, each in enumerate(found)]
        np.savetxt(folder / name, lines)
    return folder


def titled(folder, robot, boards):
    for name, poses in (("robot.txt", robot), ("board.txt", boards)):
        (folder / name).write_text("\n".join(f"Pose {number}:\n{pose}" for number, pose in enumerate(poses)))
    return folder


def arrays(folder, robot, boards):
    np.save(folder / "robot.npy", robot)
    np.save(folder / "board.npy", boards)
    return folder


def moveit_folder(folder, robot, boards):
    moveit(folder, robot, boards).rename(folder / "samples.yaml")
    return folder


FORMS = {
    "easy_handeye2": (lambda folder, a, b: easy_handeye2(folder, a, b, "eye_in_hand"), Setup.EYE_IN_HAND, "tracking is camera_T"),
    "easy_handeye2 on the base": (
        lambda folder, a, b: easy_handeye2(folder, a, b, "eye_on_base", calib=True),
        Setup.EYE_TO_HAND,
        "x.calib: robot is gripper_T_base",
    ),
    "MoveIt": (moveit, Setup.EYE_IN_HAND, "object_wrt_sensor is camera_T_board"),
    "MoveIt, JSON, fixed camera": (lambda *given: moveit(*given, suffix="json"), Setup.EYE_TO_HAND, "MoveIt"),
    "ViSP": (visp, Setup.EYE_IN_HAND, "pose_fPe_1.yaml read as base_T_gripper"),
    "ViSP, text": (lambda *given: visp(*given, suffix="txt"), Setup.EYE_TO_HAND, "12 pairs"),
    "ViSP, the other direction": (
        lambda folder, a, b: visp(folder, inverse(a), inverse(b), ("ePf", "oPc")),
        Setup.EYE_IN_HAND,
        "pose_oPc_1.yaml read as board_T_camera",
    ),
    "stacked": (
        lambda *g: stacked(*g, ("base_T_gripper.txt", "camera_T_board.txt")),
        Setup.EYE_IN_HAND,
        "base_T_gripper.txt read",
    ),
    "stacked, OpenCV's names": (
        lambda *g: stacked(*g, ("gripper2base.txt", "target2cam.txt")),
        Setup.EYE_IN_HAND,
        "target2cam.txt read as camera_T_board",
    ),
    "stacked, inverted robot": (
        lambda folder, a, b: stacked(folder, inverse(a), b, ("T_gripper_base.txt", "T_cam_target.txt")),
        Setup.EYE_TO_HAND,
        "T_gripper_base.txt read as gripper_T_base",
    ),
    "one a file": (one_each, Setup.EYE_TO_HAND, "which its name does not tell"),
    "trajectories of TUM": (tum, Setup.EYE_IN_HAND, "robot.txt read as base_T_gripper"),
    "titles": (titled, Setup.EYE_IN_HAND, "robot.txt read as base_T_gripper"),
    "NumPy": (arrays, Setup.EYE_TO_HAND, "robot.npy read as base_T_gripper"),
    "MoveIt named as ours": (moveit_folder, Setup.EYE_IN_HAND, "MoveIt"),
    "rows": (rows, Setup.EYE_IN_HAND, "robot_poses.csv read as base_T_gripper"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_true_camera_and_tells_its_directions(form, tmp_path):
    write, setup, words = FORMS[form]
    _, robot, boards = made(setup)
    session = load_session(write(tmp_path, robot, boards))
    assert session.data.setup is setup and len(session.data) == COUNT
    assert words in " ".join(session.notes), session.notes
    np.testing.assert_allclose(session.data.base_T_gripper, robot, atol=1e-6)
    np.testing.assert_allclose(session.data.poses.camera_T_board, boards, atol=1e-5)


def test_frames_and_answer_of_easy_handeye2(tmp_path):
    x, robot, boards = made(Setup.EYE_TO_HAND)
    session = load_session(easy_handeye2(tmp_path, robot, boards, "eye_on_base"))
    assert (session.base_frame, session.gripper_frame, session.camera_frame) == ("panda_link0", "panda_link8", "optical")
    result = calibrate_hand_eye(session.data, alternatives=session.alternatives)
    assert not result.causes
    assert np.linalg.norm(result.camera.translation_m - x[:3, 3]) < 0.003
    assert np.rad2deg(angle_between(result.camera.rotation, x[:3, :3])) < 0.3


@pytest.mark.parametrize("setup", Setup)
def test_a_stated_mounting_serves_easy_handeye2_without_parameters(setup, tmp_path):
    _, robot, boards = made(setup)
    kind = "eye_on_base" if setup is Setup.EYE_TO_HAND else "eye_in_hand"
    path = easy_handeye2(tmp_path, robot, boards, kind, calib=True)
    path.with_suffix(".calib").unlink()
    session = load_session(path, setup=setup)
    np.testing.assert_allclose(session.data.base_T_gripper, robot, atol=1e-6)
    assert "by --setup" in session.notes[0]


def test_a_tracker_need_not_look_along_z(tmp_path):
    x, robot, boards = made(Setup.EYE_TO_HAND)
    turn = motion(rotation_exp(np.array([0.3, -1.7, 0.4])), np.zeros(3))
    session = load_session(easy_handeye2(tmp_path, robot, turn @ boards, "eye_on_base"))
    result = calibrate_hand_eye(session.data, alternatives=session.alternatives)
    assert np.linalg.norm(result.camera.translation_m - x[:3, 3]) < 0.003 and not result.causes
    assert np.rad2deg(angle_between(result.camera.rotation, (x @ inverse(turn))[:3, :3])) < 0.3


def test_a_wrong_direction_is_named(tmp_path):
    _, robot, boards = made()
    with pytest.raises(InputError, match="look inverted"):
        load_session(moveit(tmp_path, robot, inverse(boards)), setup="eye_in_hand")
    session = load_session(moveit(tmp_path, inverse(robot), boards), setup="eye_in_hand")
    names = [cause.name for cause in calibrate_hand_eye(session.data, alternatives=session.alternatives).causes]
    assert {"robot_inverted", "setup_swapped"} <= set(names)


def test_millimeters_are_named(tmp_path):
    _, robot, boards = made()
    robot[:, :3, 3] *= 1000.0
    session = load_session(moveit(tmp_path, robot, boards))
    names = [cause.name for cause in calibrate_hand_eye(session.data, alternatives=session.alternatives).causes]
    assert names[:1] == ["robot_millimetres"]


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda f, a, b: easy_handeye2(f, a, b, ""), "mounting of the camera"),
        (lambda f, a, b: stacked(f, a, b, ("a.txt", "b.txt")), "tell the robot's poses from the board's"),
        (lambda f, a, b: stacked(f, a, b[:-1], ("robot.txt", "camera.txt")), "one pose per sample"),
        (lambda f, a, b: stacked(f, a, b, ("robot.txt", "camera.txt")) / "robot.txt", "must be a folder"),
        (lambda f, a, b: easy_handeye2(f, a, b, "eye_in_hand", calib=True).with_suffix(".calib"), "with its samples"),
        (
            lambda f, a, b: [(f / "r.yaml").write_text("{parameters: {}, transformation: {}}"), f / "r.yaml"][1],
            "with its samples",
        ),
        (lambda f, a, b: [(f / "photo.jpg").write_bytes(b""), f][1], "photo.jpg"),
        (lambda f, a, b: moveit(f, motion(rotation_exp(b[:, 2, :3] * 2.0), a[:, :3, 3]), b), "--setup"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(write, words, tmp_path):
    _, robot, boards = made()
    with pytest.raises(InputError) as caught:
        load_session(write(tmp_path, robot, boards))
    assert words in str(caught.value)
