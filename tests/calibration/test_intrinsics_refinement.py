"""Intrinsics are named as the cause when they are the cause, with the size of their error; and not otherwise."""

from dataclasses import replace

import numpy as np
import pytest

from molmo_point.calibration.hand_eye import calibrate_hand_eye
from molmo_point.calibration.intrinsics_refinement import refined_intrinsics
from molmo_point.hand_eye.samples import Setup
from molmo_point.hand_eye.solve import solve
from molmo_point.hand_eye.synthetic import CAMERA, Condition, synthetic_set

LONGER = replace(CAMERA, fx=CAMERA.fx * 1.02, fy=CAMERA.fy * 1.02)
ASIDE = replace(CAMERA, cx=CAMERA.cx + 8.0)
BENT = replace(CAMERA, distortion_model="brown_conrady", distortion=(0.15, 0.0, 0.0, 0.0, 0.0))


USUAL = Condition()


def stated(camera, seed, condition=USUAL, setup=Setup.EYE_IN_HAND):
    data, _ = synthetic_set(condition, seed, setup)
    return data.with_points(data.uv, data.points_board, camera)


@pytest.mark.parametrize("setup", list(Setup), ids=lambda setup: setup.value)
@pytest.mark.parametrize(("camera", "name", "move"), [(LONGER, "fx", -12.2), (ASIDE, "cx", -8.0)], ids=["focal", "center"])
def test_the_samples_move_wrong_intrinsics_back(camera, name, move, setup):
    found = refined_intrinsics(solve(stated(camera, 1, setup=setup)))
    assert found is not None and found.significant
    assert abs(found.moves[name] - move) < 4.0 * found.sigmas[name]
    assert name in found.cause().sentence and "±" in found.words()


@pytest.mark.parametrize(
    "condition", [Condition(), Condition(count=8), Condition(robot_m=0.001, robot_deg=0.2), Condition(bad=1)]
)
def test_right_intrinsics_are_not_suspected(condition):
    for seed in range(3):
        found = refined_intrinsics(solve(stated(CAMERA, seed, condition)))
        assert found is not None and not found.significant
        assert max(abs(found.moves[name]) / found.sigmas[name] for name in found.moves) < 4.0


def test_board_poses_tell_nothing_of_the_lens():
    data = stated(LONGER, 1)
    assert refined_intrinsics(solve(data.with_boards(data.poses.camera_T_board))) is None


@pytest.mark.parametrize("camera", [LONGER, BENT], ids=["focal", "distortion"])
def test_wrong_intrinsics_fail_the_calibration_by_name(camera):
    result = calibrate_hand_eye(stated(camera, 1))
    assert [cause.name for cause in result.causes] == ["intrinsics"] and not result.passed
    assert result.to_dict()["intrinsics_refinement"]["significant"]


def test_both_are_named_where_the_board_s_size_explains_as_much():
    assert [cause.name for cause in calibrate_hand_eye(stated(LONGER, 3)).causes] == ["board_scale", "intrinsics"]


@pytest.mark.parametrize("size", [0.95, pytest.param(0.98, marks=pytest.mark.slow)])
def test_a_board_of_another_size_is_not_blamed_on_the_intrinsics(size):
    data = stated(CAMERA, 1)
    larger = data.with_points(data.uv, data.points_board * size)
    assert [cause.name for cause in calibrate_hand_eye(larger).causes] == ["board_scale"]


@pytest.mark.slow
def test_detection_rates_over_many_sets():
    wrong = np.mean([refined_intrinsics(solve(stated(LONGER, seed))).significant for seed in range(40)])
    right = np.mean([refined_intrinsics(solve(stated(CAMERA, seed))).significant for seed in range(40)])
    assert wrong > 0.9 and right <= 0.025
