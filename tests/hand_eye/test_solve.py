"""Closed forms and the joint optimization: exact on exact data, against SciPy, robust, and better than closed forms."""

import numpy as np
import pytest
from planted import clean, rebuilt
from scipy.optimize import least_squares

from molmo_point.errors import InputError
from molmo_point.geometry.rigid import difference, moved, rotation_exp
from molmo_point.hand_eye.closed_form import park, robust_start, shah, shah_with_scale
from molmo_point.hand_eye.joint import Noise, camera_poses, fit_joint, start_model
from molmo_point.hand_eye.samples import Setup
from molmo_point.hand_eye.solve import solve

BOTH = pytest.mark.parametrize("setup", list(Setup), ids=lambda s: s.value)
EXACT = {"sigma_px": 0.0, "robot_m": 0.0, "robot_deg": 0.0}


def error_mm(found, truth):
    return float(np.linalg.norm(difference(found, truth)[:3]) * 1e3)


@BOTH
@pytest.mark.parametrize("method", [park, shah])
def test_closed_forms_are_exact_on_exact_data(setup, method):
    data, truth = clean(3, setup, **EXACT)
    x, w = method(data.outer, data.poses.camera_T_board)
    assert np.abs(difference(x, truth.x)).max() < 1e-5
    assert np.abs(difference(w, truth.w)).max() < 1e-5


@BOTH
def test_the_joint_optimum_is_that_of_scipy(setup, monkeypatch):
    """The same cost by an independent way: dense numerical least squares over every unknown."""
    for name in ("HUBER_POINT", "HUBER_SAMPLE"):
        monkeypatch.setattr(f"molmo_point.hand_eye.joint.{name}", 1e9)
    data, truth = clean(4, setup, count=6)
    noise = Noise(0.3, 0.0003, 0.001)
    fit = fit_joint(data, start_model(data, *robust_start(data)), noise)
    n = len(data)

    def residuals(change):
        model = start_model(data, moved(truth.x, change[:6]), moved(truth.w, change[6:12]))
        robot = moved(data.base_T_gripper, change[12:].reshape(n, 6))
        poses = camera_poses(setup, type(model)(model.x, model.w, robot, model.camera_of, model.board_of))
        points = data.points_board @ np.swapaxes(poses[:, :3, :3], 1, 2) + poses[:, None, :3, 3]
        image = (data.intrinsics.project(points) - data.uv) / noise.sigma_px
        return np.concatenate([image.ravel(), (change[12:].reshape(n, 6) * np.sqrt(noise.robot_precision)).ravel()])

    best = least_squares(residuals, np.zeros(12 + 6 * n), x_scale="jac")
    assert fit.cost == pytest.approx(2.0 * best.cost, rel=1e-4)
    assert np.abs(difference(fit.x, moved(truth.x, best.x[:6])))[:3].max() < 5e-6


@BOTH
def test_the_joint_fit_is_better_than_the_closed_form_on_average(setup):
    ours, theirs = [], []
    for seed in range(8):
        data, truth = clean(seed, setup)
        ours.append(error_mm(solve(data).x, truth.x))
        theirs.append(error_mm(shah(data.outer, data.poses.camera_T_board)[0], truth.x))
    assert np.mean(ours) < 0.8 * np.mean(theirs)


def test_the_robots_noise_is_found():
    found = [solve(clean(seed, robot_m=0.001, robot_deg=0.2)[0]).noise for seed in range(5)]
    assert 0.0006 < np.median([noise.robot_m for noise in found]) < 0.0015
    assert 0.12 < np.rad2deg(np.median([noise.robot_rad for noise in found])) < 0.3
    assert found[0].sigma_px == pytest.approx(0.3, rel=0.2)


@BOTH
def test_a_bad_sample_is_named_and_does_not_spoil_the_rest(setup):
    for seed in (1, 2, 3):
        data, truth = clean(seed, setup, bad=1)
        solution = solve(data)
        assert set(np.flatnonzero(~solution.kept)) == set(truth.bad)
        assert error_mm(solution.x, truth.x) < 2.0
        assert int(np.argmax(solution.distance)) == truth.bad[0]


def test_good_samples_are_all_kept():
    dropped = sum(int((~solve(clean(seed)[0]).kept).sum()) for seed in range(10, 18))
    assert dropped == 0


def test_the_scale_is_seen():
    data, _ = clean(5, **EXACT)
    assert shah_with_scale(data.outer, data.poses.camera_T_board)[2] == pytest.approx(1.0, abs=1e-6)
    smaller = rebuilt(data, points=data.points_board * 0.5)
    assert shah_with_scale(smaller.outer, smaller.poses.camera_T_board)[2] == pytest.approx(2.0, abs=1e-5)


def test_bad_input_is_refused():
    data, _ = clean(1)
    with pytest.raises(InputError, match="at least 5 samples"):
        rebuilt_count(data, 4)
    with pytest.raises(InputError, match="must match"):
        rebuilt(data, robot=data.base_T_gripper[:-1])
    mirrored = data.base_T_gripper.copy()
    mirrored[3, :3, 0] *= -1
    with pytest.raises(InputError, match="must be a rigid motion"):
        rebuilt(data, robot=mirrored)
    blind = data.uv.copy()
    blind[2] = np.nan
    with pytest.raises(InputError, match="must show 4 board points"):
        rebuilt(data, uv=blind)


@pytest.mark.parametrize("axis", [None, 2])
def test_an_arm_that_does_not_turn_is_refused(axis):
    data, _ = clean(1)
    robot = data.base_T_gripper.copy()
    turns = np.zeros((len(data), 3))
    if axis is not None:
        turns[:, axis] = np.linspace(0, 1, len(data))
    robot[:, :3, :3] = rotation_exp(turns)
    with pytest.raises(InputError, match="must rotate about two axes"):
        solve(rebuilt(data, robot=robot))


def rebuilt_count(data, count):
    from molmo_point.hand_eye.samples import hand_eye_set

    return hand_eye_set(data.setup, data.base_T_gripper[:count], data.uv[:count], data.points_board, data.intrinsics)
