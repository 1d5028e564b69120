"""Covariance, held-out error, observability, next pose: what the report says must be true of the data."""

import numpy as np
import pytest
from planted import clean

from molmo_point.geometry.rigid import difference
from molmo_point.hand_eye.covariance import stated_covariance
from molmo_point.hand_eye.next_pose import next_pose
from molmo_point.hand_eye.noise import _score
from molmo_point.hand_eye.samples import Setup
from molmo_point.hand_eye.solve import observability, solve
from molmo_point.hand_eye.validation import error_at, held_out, spread_between_methods

CHI2_6_95 = 12.59


def test_the_stated_covariance_holds_the_truth():
    held, inside, squares = [], [], []
    for seed in range(24):
        data, truth = clean(seed, count=8)
        solution = solve(data)
        covariance = stated_covariance(solution)[:6, :6]
        change = difference(truth.x, solution.x)
        held.append(np.abs(change) < 1.96 * np.sqrt(np.diag(covariance)))
        squares.append(change @ np.linalg.solve(covariance, change))
        inside.append(squares[-1] < CHI2_6_95)
    assert 0.86 <= np.mean(held) <= 1.0
    assert np.mean(inside) >= 0.8
    assert 2.0 < np.median(squares) < 8.0  # of a chi-square of 6: 5.3. Far too wide is wrong too.


def test_the_slope_of_the_restricted_likelihood_is_its_own():
    solution = solve(clean(1, count=7)[0])
    logs = np.log([0.0004, 0.0012])
    _, gradient, fisher = _score(solution.linear, solution.noise, logs)
    for i, step in enumerate(1e-5 * np.eye(2)):
        up, down = (_score(solution.linear, solution.noise, logs + sign * step)[0] for sign in (1, -1))
        assert gradient[i] == pytest.approx((up - down) / 2e-5, rel=1e-4)
    assert np.linalg.eigvalsh(fisher)[0] > 0


def test_the_error_at_a_distance_counts_the_lever():
    covariance = np.diag([0, 0, 0, 1e-6, 1e-6, 1e-6])
    near, far = (error_at(np.eye(4), covariance, distance) for distance in (0.5, 1.0))
    assert far == pytest.approx(2.0 * near, rel=1e-3)
    assert near == pytest.approx(0.5 * 1e-3 * np.sqrt(5.99), rel=0.02)  # two directions: chi-square of 2
    plain = error_at(np.eye(4), np.diag([1e-6, 0, 0, 0, 0, 0]), 0.5)
    assert plain == pytest.approx(1.96e-3, rel=0.02)


def test_held_out_errors_are_larger_than_none_and_name_the_bad_one():
    data, truth = clean(2, bad=1)
    solution = solve(data)
    for folds in (None, 5):
        errors = held_out(solution, folds)
        assert int(np.argmax(errors.distance_mm)) == truth.bad[0]
        summary = errors.summary(solution.kept)
        assert 0.1 < summary["rms_mm"] < 2.0 < errors.distance_mm.max()


def test_motion_about_one_axis_is_called_so():
    assert observability(clean(1, tilt_deg=10.0)[0]).status == "weak"
    assert observability(clean(1)[0]).status == "good"
    flat = observability(clean(1, tilt_deg=1.0)[0])
    assert flat.status == "blind" and "single axis" in flat.sentence()
    assert flat.spread_deg[0] > 30.0


def test_methods_agree_on_clean_data_within_millimeters():
    spread = spread_between_methods(solve(clean(6)[0]))
    assert set(spread) == {"park", "shah", "reprojection, robot exact"}
    assert all(0.0 < mm < 10.0 and deg < 1.0 for mm, deg in spread.values())


@pytest.mark.parametrize("setup", list(Setup), ids=lambda s: s.value)
def test_the_next_pose_helps_more_than_repeating_one(setup):
    solution = solve(clean(3, setup, count=6, tilt_deg=8.0, yaw_deg=10.0)[0])
    proposal = next_pose(solution, 0.5)
    assert proposal is not None
    assert proposal.error_then_m < 0.9 * proposal.error_now_m
    tilt = np.rad2deg(np.arccos(abs(proposal.camera_T_board[2, 2])))
    assert tilt > 10.0  # the samples lack tilt
    outer = solution.w @ np.linalg.inv(solution.x @ proposal.camera_T_board)
    expected = outer if setup is Setup.EYE_IN_HAND else np.linalg.inv(outer)
    assert np.allclose(proposal.base_T_gripper, expected)
