"""Depth at a point on synthetic surfaces: holes, thin objects, mixed pixels, slopes, edges, refusals."""

import time
from dataclasses import replace

import numpy as np
import pytest

from molmo_point.errors import InputError
from molmo_point.geometry.depth import DepthStatus, estimate_depth
from molmo_point.geometry.depth_window import cut_window
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.uncertainty import D435

CAMERA = Intrinsics(640, 480, 610.0, 610.0, 319.5, 239.5)
COLUMNS, ROWS = np.meshgrid(np.arange(640.0), np.arange(480.0))


def plane(depth_m: float, slope_u: float = 0.0, slope_v: float = 0.0) -> np.ndarray:
    """A plane that crosses the optical axis at depth_m; slopes are dz/dx and dz/dy in metres per metre."""
    x, y = (COLUMNS - 319.5) / 610, (ROWS - 239.5) / 610
    return (depth_m / (1 - slope_u * x - slope_v * y)).astype(np.float32)


def with_rod(left: int, right: int, near_m: float = 0.6, far_m: float = 0.85) -> np.ndarray:
    depth = plane(far_m)
    depth[:, left : right + 1] = near_m
    return depth


def noisy(depth: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (depth + rng.normal(0, 1, depth.shape) * D435.sigma_z(depth, 610.0)).astype(np.float32)


def test_flat_surface() -> None:
    estimate = estimate_depth(plane(0.6), (100.3, 200.8), CAMERA)
    assert estimate.status is DepthStatus.OK
    assert estimate.depth_m == pytest.approx(0.6, abs=1e-6)
    assert 0.0003 <= estimate.sigma_m <= D435.sigma_z(0.6, 610.0)
    np.testing.assert_array_equal(estimate.uv, [100.3, 200.8])
    assert (estimate.shift_px, estimate.valid_ratio) == (0.0, pytest.approx(1.0))
    assert np.isnan(estimate.alternate_depth_m)
    np.testing.assert_allclose(estimate.covariance_uvz, np.diag([9, 9, estimate.sigma_m**2]), rtol=0.04, atol=1e-6)


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
    estimate = estimate_depth(plane(0.7, 1.5, -0.75), (319.5, 239.5), CAMERA, sigma_px=4.0)
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


def test_the_error_spans_a_step_on_the_same_thing_but_not_the_wall_behind() -> None:
    def spread(step_m: float) -> float:
        stepped = with_rod(0, 319, 0.60, 0.60 + step_m)
        return float(np.sqrt(estimate_depth(stepped, (315.0, 240.0), CAMERA, sigma_px=6.0).covariance_uvz[2, 2]))

    # 4.5 px from the edge, 23 % of the error lies beyond it: sqrt(0.23 * 0.77) of the step and the mean's shift.
    assert spread(0.03) == pytest.approx(0.03 * np.sqrt(0.23), rel=0.1)
    assert spread(0.07) < 0.001


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


def test_point_beside_a_rod_snaps_onto_it() -> None:
    depth = with_rod(312, 326)
    estimate = estimate_depth(depth, (328.2, 240.0), CAMERA)
    assert estimate.status is DepthStatus.AMBIGUOUS
    assert estimate.depth_m == pytest.approx(0.6, abs=1e-3)
    assert estimate.alternate_depth_m == pytest.approx(0.85, abs=5e-3)
    np.testing.assert_allclose(estimate.uv, [326.0, 240.0])
    assert estimate.shift_px == pytest.approx(2.2)


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


def test_preference() -> None:
    depth = with_rod(312, 326)
    near, far, centre = (estimate_depth(depth, (328.2, 240), CAMERA, prefer=p) for p in ("near", "far", "centre"))
    assert near.depth_m == pytest.approx(0.6, abs=1e-3)
    assert far.depth_m == pytest.approx(0.85, abs=1e-3)
    assert centre.depth_m == pytest.approx(0.85, abs=1e-3)
    assert (far.shift_px, centre.shift_px) == (0.0, 0.0)
    assert far.alternate_depth_m == pytest.approx(0.6, abs=1e-3)
    on_rod = estimate_depth(depth, (324.0, 240), CAMERA, prefer="centre")
    assert on_rod.depth_m == pytest.approx(0.6, abs=1e-3)


def test_far_from_an_edge_is_not_ambiguous() -> None:
    depth = with_rod(300, 340)
    on_rod = estimate_depth(depth, (320, 240), CAMERA)
    assert (on_rod.status, on_rod.depth_m) == (DepthStatus.OK, pytest.approx(0.6, abs=1e-3))
    beside = estimate_depth(depth, (360, 240), CAMERA)
    assert (beside.status, beside.depth_m) == (DepthStatus.OK, pytest.approx(0.85, abs=1e-3))


def test_a_certain_point_beside_a_rod_stays_on_the_background() -> None:
    estimate = estimate_depth(with_rod(312, 326), (332, 240), CAMERA, sigma_px=1.0)
    assert (estimate.status, estimate.depth_m) == (DepthStatus.OK, pytest.approx(0.85, abs=1e-3))


def test_holes_never_pull_the_depth() -> None:
    depth = noisy(with_rod(305, 335))
    rng = np.random.default_rng(2)
    for _ in range(50):
        holes = depth.copy()
        holes[rng.random(depth.shape) < 0.3] = np.nan
        estimate = estimate_depth(holes, (320 + rng.normal(0, 3), 240), CAMERA)
        assert estimate.depth_m == pytest.approx(0.6, abs=0.004)
        assert estimate.valid_ratio == pytest.approx(0.7, abs=0.2)


def test_a_hole_in_a_surface_is_bridged_without_moving() -> None:
    depth = plane(0.7, 1.0)
    depth[237:243, 317:323] = np.nan
    estimate = estimate_depth(depth, (319.5, 239.5), CAMERA)
    assert (estimate.status, estimate.shift_px) == (DepthStatus.OK, 0.0)
    assert estimate.depth_m == pytest.approx(0.7, abs=1e-4)


def test_a_surface_that_ends_at_a_hole_is_not_extrapolated() -> None:
    depth = plane(0.6)
    depth[:, 322:] = np.nan
    estimate = estimate_depth(depth, (323.0, 240.0), CAMERA)
    np.testing.assert_allclose(estimate.uv, [321.0, 240.0])
    assert estimate.status is DepthStatus.OK


def test_a_large_hole_is_missing_not_the_table_around_it() -> None:
    depth = plane(0.6)
    depth[228:252, 308:332] = np.nan
    estimate = estimate_depth(depth, (319.5, 239.5), CAMERA)
    assert estimate.status is DepthStatus.MISSING
    assert np.isnan([estimate.depth_m, estimate.sigma_m, estimate.shift_px, estimate.alternate_depth_m]).all()
    assert np.isnan(estimate.covariance_uvz).all()
    assert estimate.valid_ratio < 0.15


def test_around_a_hole_more_must_be_measured_than_around_a_measured_pixel() -> None:
    def beyond(first: int, at_point: bool) -> DepthStatus:
        depth = np.full((480, 640), np.nan, np.float32)
        depth[230:251, first:340] = 0.6
        if at_point:
            depth[240, 321] = 0.6  # right of the pixel asked for
        estimate = estimate_depth(depth, (320.0, 240.0), CAMERA, sigma_px=3.0)
        assert 0.15 < estimate.valid_ratio < 0.20
        return estimate.status

    assert beyond(326, at_point=False) is DepthStatus.MISSING
    assert beyond(326, at_point=True) is DepthStatus.OK


def test_what_is_missing_counts_the_more_the_nearer_it_is() -> None:
    shares = []
    for away in (2, 6, 10):
        holed = plane(0.6)
        holed[238:243, 318 + away : 323 + away] = np.nan
        shares.append(estimate_depth(holed, (320.0, 240.0), CAMERA, sigma_px=3.0).valid_ratio)
    # Gaussian of 1.5 times 3 px: the 25 pixels of a hole 2 px away hold nearly a tenth of all the weight.
    assert shares[0] == pytest.approx(0.90, abs=0.01)
    assert shares[0] + 0.02 < shares[1] < shares[2] - 0.02


def test_no_depth_at_all_is_missing() -> None:
    estimate = estimate_depth(np.full((480, 640), np.nan, np.float32), (0, 0), CAMERA)
    assert (estimate.status, estimate.valid_ratio) == (DepthStatus.MISSING, 0.0)


@pytest.mark.parametrize("depth_m", [0.05, 12.0])
def test_out_of_range(depth_m: float) -> None:
    estimate = estimate_depth(plane(depth_m), (320, 240), CAMERA)
    assert estimate.status is DepthStatus.OUT_OF_RANGE
    assert np.isnan(estimate.depth_m)
    inside = estimate_depth(plane(depth_m), (320, 240), CAMERA, min_m=0.01, max_m=20)
    assert inside.depth_m == pytest.approx(depth_m, rel=1e-4)


def test_mixed_pixels_are_not_a_surface() -> None:
    depth = with_rod(312, 326)
    for step, share in enumerate((0.25, 0.5, 0.75)):
        depth[:, 327 + step] = depth[:, 311 - step] = 0.6 + share * 0.25
    depth = noisy(depth)
    for u in np.arange(310.0, 330.0):
        estimate = estimate_depth(depth, (u, 240), CAMERA)
        wrong = min(abs(estimate.depth_m - 0.6), abs(estimate.depth_m - 0.85))
        assert wrong < 0.006, u


@pytest.mark.parametrize("uv", [(-0.5, -0.5), (639.5, 479.5), (0, 479.5), (639.4999, 0)])
def test_corners_of_the_image(uv: tuple[float, float]) -> None:
    estimate = estimate_depth(plane(0.6), uv, CAMERA)
    assert (estimate.status, estimate.depth_m) == (DepthStatus.OK, pytest.approx(0.6, abs=1e-6))


def test_rows_and_columns_are_not_swapped() -> None:
    depth = plane(0.9)
    depth[100:140, 400:440] = 0.5
    assert estimate_depth(depth, (420, 120), CAMERA).depth_m == pytest.approx(0.5, abs=1e-5)
    assert estimate_depth(depth, (120, 420), CAMERA).depth_m == pytest.approx(0.9, abs=1e-5)


def test_steep_surfaces_are_not_all_flying() -> None:
    estimate = estimate_depth(plane(0.8, 0.0, 5.0), (319.5, 239.5), CAMERA)
    assert estimate.status is DepthStatus.OK
    assert estimate.depth_m == pytest.approx(0.8, abs=1e-3)


def rod_scene(rng: np.random.Generator, holes: float) -> tuple[np.ndarray, np.ndarray]:
    """A 1.5 cm rod at 0.6 m before a wall at 0.85 m, with mixed edges, noise and holes; truth, too."""
    half_px = 0.0075 * 610 / 0.6
    across = (COLUMNS - 319.5) * np.cos(angle := rng.uniform(0, np.pi)) + (ROWS - 239.5) * np.sin(angle)
    share = np.clip((np.abs(across) - half_px + 1.5) / 3, 0, 1)
    depth = noisy(0.6 + 0.25 * share, int(rng.integers(1000)))
    if holes:
        blocks = rng.random((160, 214)) < holes
        depth[np.kron(blocks, np.ones((3, 3), bool))[:480, :640]] = np.nan
    return depth, np.abs(across) < half_px


@pytest.mark.parametrize(("sigma_px", "holes", "most_gross"), [(3.0, 0.0, 0.02), (6.0, 0.3, 0.10)])
def test_gross_errors_on_a_thin_rod(sigma_px: float, holes: float, most_gross: float) -> None:
    rng = np.random.default_rng(11)
    gross = answered = 0
    for _ in range(15):
        depth, on_rod = rod_scene(rng, holes)
        on_rod[:220], on_rod[260:], on_rod[:, :300], on_rod[:, 340:] = False, False, False, False
        rows, columns = np.nonzero(on_rod)
        for pick in rng.integers(len(rows), size=20):
            uv = np.array([columns[pick], rows[pick]]) + rng.normal(0, sigma_px, 2)
            estimate = estimate_depth(depth, uv, CAMERA, sigma_px=sigma_px)
            answered += np.isfinite(estimate.depth_m)
            gross += abs(estimate.depth_m - 0.6) > 0.02
    assert answered >= 0.98 * 300
    assert gross <= most_gross * answered


def test_time_per_point() -> None:
    camera = Intrinsics(1280, 720, 640.0, 640.0, 639.5, 359.5)
    depth = np.full((720, 1280), 0.6, np.float32)
    best = min(_seconds(depth, camera) for _ in range(20))
    assert best < 0.002


def _seconds(depth: np.ndarray, camera: Intrinsics) -> float:
    start = time.perf_counter()
    estimate_depth(depth, (600.2, 300.7), camera)
    return time.perf_counter() - start


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"uv": (640.0, 10.0)}, "inside the image"),
        ({"uv": (-0.51, 10.0)}, "inside the image"),
        ({"uv": (np.nan, 10.0)}, "inside the image"),
        ({"uv": (1.0, 2.0, 3.0)}, "inside the image"),
        ({"depth_m": np.ones((640, 480), np.float32)}, "size"),
        ({"depth_m": np.ones((480, 640), np.uint16)}, "float"),
        ({"prefer": "middle"}, "near, far, centre"),
        ({"sigma_px": -1.0}, "sigma"),
        ({"covariance_px2": [1.0, 1.0]}, "2x2"),
        ({"covariance_px2": [[1.0, 2.0], [2.0, 1.0]]}, "2x2"),
        ({"covariance_px2": [[1.0, 0.5], [0.0, 1.0]]}, "2x2"),
        ({"covariance_px2": [[np.nan, 0.0], [0.0, 1.0]]}, "2x2"),
        ({"min_m": 2.0, "max_m": 1.0}, "min_m"),
    ],
)
def test_refused(change: dict, part: str) -> None:
    values = {"depth_m": plane(0.6), "uv": (10.0, 10.0), "intrinsics": CAMERA} | change
    with pytest.raises(InputError, match=part) as caught:
        estimate_depth(**values)
    assert caught.value.given
    assert caught.value.fix


def test_a_hole_at_the_border_of_the_image_is_bridged() -> None:
    depth = plane(0.7, 1.0)
    depth[238:243, 2:5] = np.nan
    assert estimate_depth(depth, (3.0, 240.0), CAMERA).shift_px == 0.0
    depth = plane(0.7, 0.0, 1.0)
    depth[2:5, 318:323] = np.nan
    assert estimate_depth(depth, (320.0, 3.0), CAMERA).shift_px == 0.0


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


def test_the_error_of_a_sure_point() -> None:
    sure = estimate_depth(plane(0.6), (320.0, 240.0), CAMERA, sigma_px=0.2)
    np.testing.assert_allclose(sure.covariance_uvz[:2, :2], np.eye(2) * 0.04)
    on_edge = estimate_depth(with_rod(312, 326), (326.0, 240.0), CAMERA, sigma_px=1.0)
    assert on_edge.covariance_uvz[0, 0] < 0.8
    assert on_edge.covariance_uvz[1, 1] == pytest.approx(1.0, rel=0.05)


def test_a_step_below_the_gap_is_not_mixed() -> None:
    # A plate of 7 mm is too low to be cut off the table by its gap; the fit must still stay on it.
    depth = plane(0.6)
    depth[225:256, 305:336] = 0.593
    for u, truth in ((332.0, 0.593), (340.0, 0.6)):
        assert estimate_depth(depth, (u, 240.0), CAMERA, sigma_px=1.0).depth_m == pytest.approx(truth, abs=5e-4)


def test_white_noise_is_averaged_near_and_far() -> None:
    for depth_m in (0.4, 2.0):
        errors = [estimate_depth(noisy(plane(depth_m), seed), (320, 240), CAMERA).depth_m - depth_m for seed in range(15)]
        assert np.std(errors) < 0.5 * D435.sigma_z(depth_m, 610.0)


def test_the_window_reaches_as_far_to_every_side() -> None:
    window = cut_window(plane(0.6), np.array([320.0, 240.0]), np.eye(2), 610.0, 0.1, 10.0)
    # 12 mm at 0.6 m are 12.2 pixels.
    assert window.z.shape == (25, 25) and window.centre == (12, 12)
    for offsets in (window.du, window.dv):
        assert (offsets.min(), offsets.max()) == (-12.0, 12.0)
    at_the_corner = cut_window(plane(0.6), np.array([638.0, 1.0]), np.eye(2), 610.0, 0.1, 10.0)
    assert at_the_corner.z.shape == (14, 14) and at_the_corner.centre == (1, 12)
