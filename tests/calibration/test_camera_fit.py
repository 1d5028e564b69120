"""Intrinsics: exact on exact data, honest about their error, and the simplest model that serves."""

import numpy as np
import pytest

from molmo_point.calibration.camera_fit import MODELS, fit_camera, largest_difference_px
from molmo_point.calibration.model_choice import choose_model, corner_sigma_px, folds, held_out_px
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.rigid import applied, motion, rotation_exp
from molmo_point.hand_eye.synthetic import grid_points, viewpoints

POINTS = grid_points(8, 6, 0.03)
LENS = Intrinsics(640, 480, 610.0, 600.0, 322.0, 236.0, "brown_conrady", (-0.25, 0.08, 0.001, -0.002, 0.0))
PINHOLE = Intrinsics(640, 480, 610.0, 600.0, 322.0, 236.0)


def photos(camera=LENS, count=15, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    poses = viewpoints(rng, count, 40.0, 180.0, (0.35, 0.5), POINTS.mean(axis=0))
    uv = camera.project(POINTS @ np.swapaxes(poses[:, :3, :3], 1, 2) + poses[:, None, :3, 3])
    return uv + rng.normal(0.0, noise, uv.shape) if noise else uv


def test_exact_photos_give_the_exact_camera():
    fit = fit_camera(POINTS, photos(), (640, 480), "k1 k2 p1 p2 k3")
    assert fit.rms_px() < 1e-4  # OpenCV takes pixels as float32
    for name in ("fx", "fy", "cx", "cy"):
        assert abs(getattr(fit.intrinsics, name) - getattr(LENS, name)) < 1e-2
    assert np.allclose(fit.intrinsics.distortion, LENS.distortion, atol=1e-3)


def test_stated_sigmas_hold_the_truth():
    held = []
    for seed in range(25):
        fit = fit_camera(POINTS, photos(noise=0.3, seed=seed), (640, 480), "k1 k2 p1 p2")
        error = np.array([getattr(fit.intrinsics, name) - getattr(LENS, name) for name in ("fx", "fy", "cx", "cy")])
        held.append(np.abs(error) < 1.96 * np.sqrt(np.diag(fit.covariance)[:4]))
    assert 0.85 <= np.mean(held) <= 1.0


def test_the_simplest_model_that_serves_is_chosen():
    assert choose_model(POINTS, photos(PINHOLE, noise=0.3), (640, 480)).fit.model == "none"
    choice = choose_model(POINTS, photos(LENS, noise=0.3), (640, 480))
    assert choice.fit.model in ("k1 k2", "k1 k2 p1 p2")
    assert choice.held_out_px["none"] > 2.0 * choice.held_out_px[choice.fit.model]
    assert "fisheye" not in choice.held_out_px, "nothing asks for a fisheye"


def test_held_out_error_is_that_of_the_noise():
    errors = held_out_px(POINTS, photos(noise=0.3), (640, 480), "k1 k2 p1 p2")
    assert 0.38 < np.sqrt(np.mean(errors**2)) < 0.52  # 0.3 * sqrt(2), and a little for the pose


def test_a_turned_camera_is_no_other_camera_but_a_longer_lens_is():
    longer = Intrinsics(640, 480, 616.1, 606.0, 322.0, 236.0, "brown_conrady", LENS.distortion)
    assert max(largest_difference_px(LENS, LENS)) < 1e-6
    rms, most = largest_difference_px(LENS, longer)
    assert 1.0 < rms < 3.0 < most < 8.0


def test_three_photos_are_refused():
    with pytest.raises(InputError, match="at least 5 images"):
        fit_camera(POINTS, photos(count=3), (640, 480))
    with pytest.raises(InputError, match="must be a known distortion model"):
        fit_camera(POINTS, photos(), (640, 480), "k9")


def lens(*distortion):
    return Intrinsics(640, 480, 610.0, 612.0, 318.0, 242.0, "brown_conrady", distortion)


@pytest.mark.parametrize(
    ("camera", "folded"),
    [
        (lens(0.0, 1.43, 0.0, 0.0, -4.4), True),
        (lens(0.0, 1.43, 0.0, 0.0, -4.0), True),
        (lens(-0.3, 0.1, 0.001, -0.001, 0.0), False),
        (lens(0.16, -0.5, 0.0, 0.0, 0.46), False),
        (lens(0.08, 0.0, 0.0, 0.0, 0.0), False),
        (Intrinsics(640, 480, 610.0, 612.0, 318.0, 242.0), False),
    ],
)
def test_a_lens_that_folds_before_the_corner_is_found(camera, folded):
    assert folds(camera) == folded


def test_a_folding_lens_is_not_chosen():
    # Noise of a tenth of a pixel, and no point near a corner: k3 is free to fold the corners.
    rng = np.random.default_rng(4)
    board = grid_points(8, 6, 0.02)
    truth = Intrinsics(640, 480, 610.0, 612.0, 318.0, 242.0)
    views = viewpoints(rng, 10, 25.0, 40.0, (0.6, 0.8), board.mean(axis=0))
    uv = truth.project(applied(views, board)) + rng.normal(0.0, 0.1, (10, 48, 2))
    choice = choose_model(board, uv, truth.size_wh)
    assert not folds(choice.fit.intrinsics)
    assert np.isnan(choice.held_out_px["k1 k2 p1 p2 k3"]) and np.isfinite(choice.held_out_px["none"])


FISHEYE = Intrinsics(1280, 800, 420.0, 421.0, 640.0, 405.0, "equidistant", (-0.02, 0.01, -0.008, 0.002))


def wide_photos(camera, reach_rad, count, noise=0.15):
    """Return the pixels of a board in all of a wide image: the camera looks past it by up to `reach_rad`."""
    rng = np.random.default_rng(3)
    views = viewpoints(rng, count, 35.0, 80.0, (0.25, 0.5), POINTS.mean(axis=0))
    aside = np.column_stack([rng.uniform(-0.75, 0.75, count), rng.uniform(-1.0, 1.0, count), np.zeros(count)]) * reach_rad
    uv = camera.project_inside(applied(motion(rotation_exp(aside), np.zeros((count, 3))) @ views, POINTS))
    uv = uv + rng.normal(0.0, noise, uv.shape)
    return uv[np.isfinite(uv[..., 0]).sum(axis=1) >= 12]


def test_a_fisheye_is_fitted_up_to_its_edge():
    fit = fit_camera(POINTS, wide_photos(FISHEYE, 0.9, 20), FISHEYE.size_wh, "fisheye")
    assert fit.rms_px() < 0.23
    assert abs(fit.intrinsics.fx - 420.0) < 4.0 * fit.sigmas()["fx"] < 4.0
    seen = FISHEYE.deproject([[100.0, 100.0], [640.0, 60.0], [1180.0, 700.0]], 1.0)
    np.testing.assert_allclose(fit.intrinsics.project(seen), FISHEYE.project(seen), atol=1.0)
    assert not folds(fit.intrinsics) and not folds(FISHEYE)


def test_a_rational_lens_of_few_coefficients_stays_whole_where_the_polynomial_folds():
    lens = Intrinsics(1280, 800, 570.0, 571.0, 640.0, 405.0, "rational_polynomial", (0.1, 0, 0, 0, 0, 0.42, 0, 0))
    fit = fit_camera(POINTS, wide_photos(lens, 0.5, 15), lens.size_wh, "rational k1 k4")
    assert fit.names == ("fx", "fy", "cx", "cy", "k1", "k4") and fit.rms_px() < 0.23 and not folds(fit.intrinsics)
    assert abs(fit.intrinsics.distortion[5] - 0.42) < 5.0 * fit.sigmas()["k4"]


@pytest.mark.slow
def test_wide_lenses_are_chosen_when_the_data_ask_for_them():
    choice = choose_model(POINTS, wide_photos(FISHEYE, 0.9, 20), FISHEYE.size_wh)
    assert MODELS[choice.fit.model][0] in ("equidistant", "rational_polynomial")
    assert choice.held_out_px[choice.fit.model] < 0.3


def test_corners_that_no_photo_reaches_are_uncertain():
    near = fit_camera(POINTS, photos(noise=0.3, count=10), (640, 480), "k1 k2")
    everywhere = fit_camera(POINTS, wide_photos(LENS, 0.35, 20, 0.3), (640, 480), "k1 k2")
    assert corner_sigma_px(near) > 2.0 * corner_sigma_px(everywhere) > 0.0


def test_copies_of_a_photo_are_no_evidence():
    from molmo_point.calibration.boards import Board
    from molmo_point.calibration.intrinsics_fit import calibrate_intrinsics
    from molmo_point.calibration.rehearsal_arm import render_board

    board = Board("chessboard", 6, 5, 0.04)
    pose = viewpoints(np.random.default_rng(1), 1, 30.0, 20.0, (0.5, 0.6), board.points.mean(axis=0))[0]
    photo = render_board(board, pose, Intrinsics(640, 480, 610.0, 610.0, 319.5, 239.5))
    with pytest.raises(InputError, match=r"1 of 6 usable.*the same as p0"):
        calibrate_intrinsics(board, [(f"p{i}", photo) for i in range(6)])
