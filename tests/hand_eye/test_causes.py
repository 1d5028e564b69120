"""Every planted mistake is named, by name and as the likeliest; clean data are not accused."""

from dataclasses import replace

import numpy as np
import pytest
from planted import MISTAKES, clean, plant, rebuilt

from molmo_point.geometry.rigid import motion, rotation_exp
from molmo_point.hand_eye.causes import likely_causes
from molmo_point.hand_eye.samples import Setup
from molmo_point.hand_eye.solve import observability, solve


def causes(data, alternatives=()):
    solution = solve(data)
    return [c for c in likely_causes(solution, observability(data), alternatives) if c.name != "little_rotation"]


@pytest.mark.parametrize("setup", list(Setup), ids=lambda s: s.value)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_named_first(mistake, setup):
    data, alternatives = plant(mistake, 2, setup)
    found = causes(data, alternatives)
    assert found and found[0].name == mistake, found
    assert found[0].fix


@pytest.mark.parametrize("bad", [0, 1])
def test_nothing_is_made_up(bad):
    for seed in (1, 2):
        assert causes(clean(seed, bad=bad)[0]) == []


def test_garbage_is_not_explained_away():
    data, _ = clean(1, count=8)
    rng = np.random.default_rng(0)
    robot = motion(rotation_exp(rng.normal(size=(8, 3))), rng.normal(size=(8, 3)))
    assert not {c.name for c in causes(rebuilt(data, robot=robot))} & {"board_moved", "camera_moved"}


def test_the_sizes_in_the_words_are_right():
    data, _ = plant("board_scale", 1)
    words = causes(data)[0].sentence
    percent = float(words.split("is ")[1].split(" %")[0])
    assert "larger" in words and percent == pytest.approx(3.0, abs=0.4)
    data, _ = plant("stale_pose", 1)
    stale = causes(data)[0]
    assert stale.samples == ("7",) and "sample 6" in stale.sentence


def test_a_single_axis_is_said():
    data, _ = clean(1, tilt_deg=1.0)
    names = [c.name for c in likely_causes(solve(data), observability(data))]
    assert "little_rotation" in names


def test_wrong_intrinsics_are_said():
    data, _ = clean(1)
    bent = rebuilt(data, uv=data.uv + 150.0 * ((data.uv - [320, 240]) / 240.0) ** 3)
    assert np.median(bent.poses.rms_px) > 1.5
    names = [c.name for c in likely_causes(solve(bent), observability(bent))]
    assert "intrinsics" in names


def test_twice_the_focal_length_is_no_board_of_half_the_size():
    data, _ = clean(1)
    camera = data.intrinsics
    doubled = data.with_points(data.uv, data.points_board, replace(camera, fx=2.2 * camera.fx, fy=2.2 * camera.fy))
    names = [c.name for c in likely_causes(solve(doubled), observability(doubled), refit=lambda: camera)]
    assert names[:1] == ["intrinsics"] and "board_scale" not in names


@pytest.mark.parametrize(
    ("robot", "board", "name"),
    [(1 / 0.3048, 1.0, "robot_feet"), (10.0, 1.0, "robot_decimetres"), (1.0, 0.1, "board_scale"), (1.0, 0.3048, "board_scale")],
)
def test_rare_units_are_told_from_boards_of_another_size(robot, board, name):
    data, _ = clean(1)
    poses = motion(data.base_T_gripper[:, :3, :3], data.base_T_gripper[:, :3, 3] * robot)
    assert [c.name for c in causes(rebuilt(data, robot=poses, points=data.points_board * board))] == [name]


@pytest.mark.parametrize("poses", [True, False], ids=["poses", "images"])
def test_a_board_turned_in_one_sample_is_turned_back_and_said(poses):
    from molmo_point.calibration.hand_eye import calibrate_hand_eye

    data, truth = clean(3)
    other_end = motion(rotation_exp(np.array([0.0, 0.0, np.pi])), 2.0 * data.points_board.mean(axis=0))
    if poses:
        boards = data.poses.camera_T_board.copy()
        boards[5] = boards[5] @ other_end
        turned = data.with_boards(boards)
    else:
        uv = data.uv.copy()
        uv[5] = uv[5, ::-1]
        turned = data.with_points(uv, data.points_board)
    result = calibrate_hand_eye(turned)
    assert result.solution.kept[5] and not result.causes
    assert result.notes and "samples 5;" in result.notes[0]
    assert np.linalg.norm(result.camera.translation_m - truth.x[:3, 3]) < 0.003
