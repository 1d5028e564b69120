"""What the fitted surface says at the point: slopes, noise, the error along it, where it ends, and snapping."""

from dataclasses import replace

import numpy as np
import pytest

from molmo_point.depth.estimator import estimate_depth
from molmo_point.geometry.depth_noise import D435, DepthNoise
from molmo_point.results import DepthStatus

from .surfaces import CAMERA, SHARP, noisy, plane, with_rod


@pytest.mark.parametrize(("slope_u", "slope_v"), [(1.0, 0.0), (0.0, -1.5), (0.7, 0.7)])
def test_slopes_are_read_at_the_sub_pixel(slope_u: float, slope_v: float) -> None:
    depth = plane(0.7, slope_u, slope_v)
    for uv in [(319.5, 239.5), (250.4, 180.7), (400.49, 300.51)]:
        x, y = (uv[0] - 319.5) / 610, (uv[1] - 239.5) / 610
        truth = 0.7 / (1 - slope_u * x - slope_v * y)
        estimate = estimate_depth(depth, uv, CAMERA)
        assert estimate.status is DepthStatus.OK
        assert estimate.depth_m == pytest.approx(truth, abs=2e-5)


def test_the_points_error_goes_along_the_surface() -> None:
    # dz = z/f * slope * du, here 0.7/610 * 1.5 = 1.72 mm per pixel to the right, and half as much less upwards.
    estimate = estimate_depth(plane(0.7, 1.5, -0.75), (319.5, 239.5), CAMERA, SHARP, sigma_px=4.0)
    by_u, by_v = 0.7 / 610 * 1.5, -0.7 / 610 * 0.75
    covariance = estimate.covariance_uvz
    np.testing.assert_allclose(covariance[:2, :2], np.diag([16, 16]), rtol=0.04, atol=0.1)
    np.testing.assert_allclose(covariance[:2, 2], [16 * by_u, 16 * by_v], rtol=0.05)
    assert covariance[2, 2] == pytest.approx(16 * (by_u**2 + by_v**2), rel=0.06)


def test_the_points_error_ends_where_the_surface_ends() -> None:
    depth = with_rod(312, 326)
    on_rod = estimate_depth(depth, (319.0, 240.0), CAMERA, sigma_px=9.0).covariance_uvz
    # Uniform over 15 pixels would be 18.7; a Gaussian of 9 px, cut there, is a little less.
    assert 14.0 < on_rod[0, 0] < 18.7
    assert on_rod[1, 1] == pytest.approx(81, rel=0.05)
    assert np.sqrt(on_rod[2, 2]) < 0.002


def test_the_points_error_is_not_cut_where_holes_hide_the_surfaces_end() -> None:
    depth = with_rod(312, 326)
    depth[:, :312] = depth[:, 327:] = np.nan
    covariance = estimate_depth(depth, (319.0, 240.0), CAMERA, sigma_px=9.0).covariance_uvz
    # 40 % of the error lies beyond the 15 pixels: 0.6 times the 17.0 of a rod whose ends are seen, and 0.4 times 81.
    assert covariance[0, 0] == pytest.approx(0.6 * 17.0 + 0.4 * 81.0, rel=0.05)
    assert covariance[1, 1] == pytest.approx(81.0, rel=0.05)


def test_the_error_spans_a_step_but_not_the_wall_far_behind() -> None:
    def spread(step_m: float) -> float:
        stepped = with_rod(0, 319, 0.60, 0.60 + step_m)
        return float(np.sqrt(estimate_depth(stepped, (315.0, 240.0), CAMERA, SHARP, sigma_px=6.0).covariance_uvz[2, 2]))

    # 4.5 px from the edge, 23 % of the error lies beyond it: sqrt(0.23 * 0.77) of the step and the mean's shift.
    assert spread(0.03) == pytest.approx(0.03 * np.sqrt(0.23), rel=0.1)
    assert spread(0.07) == pytest.approx(0.07 * np.sqrt(0.23), rel=0.1)
    assert spread(0.25) < 0.0015


def test_a_point_that_had_to_be_moved_may_be_further_inside() -> None:
    beside = estimate_depth(with_rod(312, 326), (328.2, 240.0), CAMERA, sigma_px=3.0)
    # Beyond the edge at +2.2 px, the mean of the Gaussian's tail inside is about 1.7 px from the edge.
    assert 1.5**2 < beside.covariance_uvz[0, 0] < 3.0**2
    lying = plane(0.85)
    lying[232:247] = 0.6
    below = estimate_depth(lying, (320.0, 248.2), CAMERA, sigma_px=3.0)
    np.testing.assert_allclose(below.uv, [320.0, 246.0])
    assert below.covariance_uvz[1, 1] == pytest.approx(beside.covariance_uvz[0, 0], rel=0.02)
    assert below.covariance_uvz[0, 0] == pytest.approx(beside.covariance_uvz[1, 1], rel=0.02)


def test_a_pixel_covariance_has_a_direction() -> None:
    tall = np.array([[1.0, 0.0], [0.0, 49.0]])
    turned = np.array([[25.0, 24.0], [24.0, 25.0]])
    for error in (tall, turned):
        estimate = estimate_depth(plane(0.6), (319.5, 239.5), CAMERA, covariance_px2=error)
        np.testing.assert_allclose(estimate.covariance_uvz[:2, :2], error, rtol=0.12, atol=0.1)
    depth = with_rod(312, 326)
    assert estimate_depth(depth, (333.0, 240.0), CAMERA, covariance_px2=tall).depth_m == pytest.approx(0.85, abs=1e-3)
    wide = estimate_depth(depth, (333.0, 240.0), CAMERA, covariance_px2=tall[::-1, ::-1])
    assert wide.depth_m == pytest.approx(0.6, abs=1e-3)
    assert wide.status is DepthStatus.AMBIGUOUS


def test_noise_is_averaged_and_reported() -> None:
    errors = [estimate_depth(noisy(plane(1.0), seed), (320, 240), CAMERA).depth_m - 1.0 for seed in range(20)]
    estimate = estimate_depth(noisy(plane(1.0)), (320, 240), CAMERA)
    assert np.std(errors) < 0.5 * D435.sigma_z(1.0, 610.0)
    assert np.std(errors) < estimate.sigma_m < 1.1 * D435.sigma_z(1.0, 610.0)


def test_white_noise_is_averaged_near_and_far() -> None:
    for depth_m in (0.4, 2.0):
        errors = [estimate_depth(noisy(plane(depth_m), seed), (320, 240), CAMERA).depth_m - depth_m for seed in range(15)]
        assert np.std(errors) < 0.5 * D435.sigma_z(depth_m, 610.0)


@pytest.mark.parametrize("depth_m", [0.4, 0.6])
def test_a_noisier_camera_than_stated_widens_sigma(depth_m: float) -> None:
    noise = np.random.default_rng(1).normal(0, 1.0, (480, 640))
    sigmas = [
        estimate_depth((plane(depth_m) + scale * noise).astype(np.float32), (320, 240), CAMERA).sigma_m
        for scale in (0.0015, 0.003)
    ]
    assert sigmas[0] > 1.2 * estimate_depth(plane(depth_m), (320, 240), CAMERA).sigma_m
    assert sigmas[1] == pytest.approx(2 * sigmas[0], rel=0.25)


def test_sigma_counts_alike_errors_once() -> None:
    alike, single = (estimate_depth(plane(1.0), (320, 240), CAMERA, replace(D435, correlation_px=c)) for c in (3.0, 0.1))
    assert alike.sigma_m == pytest.approx(np.hypot(D435.sigma_z(1.0, 610.0), 0.0003), rel=1e-3)
    assert single.sigma_m < 0.5 * alike.sigma_m


def test_the_error_of_a_sure_point() -> None:
    sure = estimate_depth(plane(0.6), (320.0, 240.0), CAMERA, sigma_px=0.2)
    np.testing.assert_allclose(sure.covariance_uvz[:2, :2], np.eye(2) * 0.04, atol=1e-6)
    on_edge = estimate_depth(with_rod(312, 326), (326.0, 240.0), CAMERA, SHARP, sigma_px=1.0)
    assert on_edge.covariance_uvz[0, 0] < 0.8
    assert on_edge.covariance_uvz[1, 1] == pytest.approx(1.0, rel=0.05)


def test_a_pixel_reaches_half_a_pixel_to_each_side() -> None:
    depth = with_rod(312, 326)
    assert estimate_depth(depth, (326.4, 240.0), CAMERA).shift_px == 0.0
    assert estimate_depth(depth, (326.6, 240.0), CAMERA).shift_px == pytest.approx(0.6)
    assert estimate_depth(depth, (311.6, 240.0), CAMERA).shift_px == 0.0
    assert estimate_depth(depth, (323.0, 2.0), CAMERA).shift_px == 0.0
    assert estimate_depth(depth, (328.2, 2.0), CAMERA).shift_px == pytest.approx(2.2)


def test_the_depth_of_a_snapped_point_is_that_of_the_pixel_it_moved_to() -> None:
    # Through a slot in a slanted plate one sees the wall; the way out is down, or to the right.
    for slope, rows, columns, moved in [
        ((0.0, 1.0), slice(237, 243), slice(305, 336), (320.0, 243.0)),
        ((1.0, 0.0), slice(225, 256), slice(317, 323), (323.0, 240.0)),
    ]:
        plate = plane(0.6, *slope)
        depth = plate.copy()
        depth[rows, columns] = 0.85
        estimate = estimate_depth(depth, (319.6, 239.6), CAMERA)
        np.testing.assert_allclose(estimate.uv, moved)
        assert estimate.depth_m == pytest.approx(plate[int(moved[1]), int(moved[0])], abs=2e-4)


def test_a_step_below_the_gap_is_not_mixed() -> None:
    # A plate of 7 mm is too low to be cut off the table by its gap; the fit must still stay on it.
    depth = plane(0.6)
    depth[225:256, 305:336] = 0.593
    for u, truth in ((332.0, 0.593), (340.0, 0.6)):
        assert estimate_depth(depth, (u, 240.0), CAMERA, sigma_px=1.0).depth_m == pytest.approx(truth, abs=5e-4)


def test_a_hole_in_a_surface_is_bridged_without_moving() -> None:
    depth = plane(0.7, 1.0)
    depth[237:243, 317:323] = np.nan
    estimate = estimate_depth(depth, (319.5, 239.5), CAMERA)
    assert (estimate.status, estimate.shift_px) == (DepthStatus.OK, 0.0)
    assert estimate.depth_m == pytest.approx(0.7, abs=1e-4)


def test_a_hole_at_the_border_of_the_image_is_bridged() -> None:
    depth = plane(0.7, 1.0)
    depth[238:243, 2:5] = np.nan
    assert estimate_depth(depth, (3.0, 240.0), CAMERA).shift_px == 0.0
    depth = plane(0.7, 0.0, 1.0)
    depth[2:5, 318:323] = np.nan
    assert estimate_depth(depth, (320.0, 3.0), CAMERA).shift_px == 0.0


def test_a_surface_that_ends_at_a_hole_is_not_extrapolated() -> None:
    depth = plane(0.6)
    depth[:, 322:] = np.nan
    estimate = estimate_depth(depth, (323.0, 240.0), CAMERA)
    np.testing.assert_allclose(estimate.uv, [321.0, 240.0])
    assert estimate.status is DepthStatus.AMBIGUOUS


@pytest.mark.parametrize(
    ("missing", "uv", "moved"),
    [
        (np.s_[240:, :], (320.0, 240.0), (320.0, 239.0)),
        (np.s_[:241, :], (320.0, 240.0), (320.0, 241.0)),
        (np.s_[:, 320:], (320.0, 240.0), (319.0, 240.0)),
        (np.s_[:, :321], (320.0, 240.0), (321.0, 240.0)),
    ],
)
def test_nothing_is_extrapolated_over_the_first_missing_row_or_column(missing, uv, moved) -> None:
    depth = plane(0.6)
    depth[missing] = np.nan
    np.testing.assert_allclose(estimate_depth(depth, uv, CAMERA).uv, moved)


def variance_m2(depth: np.ndarray, uv: tuple[float, float], noise: DepthNoise) -> float:
    return float(estimate_depth(depth, uv, CAMERA, noise, sigma_px=0.0).covariance_uvz[2, 2])


@pytest.mark.parametrize(("slope_u", "slope_v"), [(1.5, 0.0), (0.0, -1.5), (0.9, 1.2)])
def test_depth_that_may_be_shifted_against_color_is_less_sure_on_slopes(slope_u: float, slope_v: float) -> None:
    depth, shifted = plane(0.7, slope_u, slope_v), replace(SHARP, alignment_px=1.5)
    added = variance_m2(depth, (319.5, 239.5), shifted) - variance_m2(depth, (319.5, 239.5), SHARP)
    assert np.sqrt(added) == pytest.approx(1.5 * 0.7 / 610 * 1.5, rel=0.02)
    assert variance_m2(plane(0.7), (319.5, 239.5), shifted) == pytest.approx(variance_m2(plane(0.7), (319.5, 239.5), SHARP))


def test_a_camera_that_smooths_is_less_sure_next_to_a_step_and_on_small_objects() -> None:
    smooths = replace(SHARP, smoothing_px=2.0)
    low_step = with_rod(0, 319, 0.60, 0.62)
    at_edge, away = (variance_m2(low_step, (u, 240.0), smooths) for u in (317.0, 290.0))
    assert np.sqrt(at_edge) > 0.004 and np.sqrt(away) < 0.002
    assert at_edge > 4 * variance_m2(low_step, (317.0, 240.0), SHARP)
    # It smooths nothing of a flat surface, at whatever slope, nor over a step that it shows as two surfaces.
    for flat in (plane(0.7), plane(0.7, 1.0, 1.0), with_rod(0, 319, 0.60, 0.75)):
        expected = variance_m2(flat, (310.0, 240.0), SHARP)
        assert variance_m2(flat, (310.0, 240.0), smooths) == pytest.approx(expected, rel=0.05)


def test_what_stands_out_before_the_answer_counts_more_than_what_lies_behind() -> None:
    def variance(step_m: float) -> float:
        depth = plane(0.6)
        depth[236:244, 328:336] += step_m
        return float(estimate_depth(depth, (320.0, 240.0), CAMERA, SHARP, sigma_px=6.0).covariance_uvz[2, 2])

    nothing, before, behind, low = (variance(step_m) for step_m in (0.0, -0.008, 0.008, -0.003))
    assert before - nothing > 4.0 * (behind - nothing) > 0.0
    assert low - nothing < 0.5 * (behind - nothing)


def test_a_surface_that_may_be_shifted_has_soft_edges() -> None:
    depth = with_rod(312, 326)
    sharp, soft, free = (
        estimate_depth(depth, (319.0, 240.0), CAMERA, replace(SHARP, alignment_px=shift_px), sigma_px=6.0).covariance_uvz
        for shift_px in (0.0, 3.0, 60.0)
    )
    # A shift that is much larger than the point's own error leaves that as it is.
    assert sharp[0, 0] < 0.9 * soft[0, 0] < 0.9 * free[0, 0]
    assert free[0, 0] == pytest.approx(36.0, rel=0.05) and soft[1, 1] == pytest.approx(36.0, rel=0.05)


def test_holes_around_a_point_make_its_depth_less_sure() -> None:
    depth = plane(0.7)
    holed = depth.copy()
    holed[:, 322:] = np.nan
    whole, half = (variance_m2(each, (320.0, 240.0), SHARP) for each in (depth, holed))
    assert half - whole == pytest.approx(3.0 * 0.38 * SHARP.sigma_z(0.7, 610.0) ** 2, rel=0.25)
