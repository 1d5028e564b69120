"""Depth at a point on synthetic surfaces: thin objects, preferences, holes, mixed pixels, the image's corners, refusals."""

import time

import numpy as np
import pytest

from molmo_point.depth.estimator import estimate_depth
from molmo_point.errors import InputError
from molmo_point.geometry.depth_noise import D435
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.results import DepthStatus

from .surfaces import CAMERA, COLUMNS, ROWS, noisy, plane, with_rod


def test_flat_surface() -> None:
    estimate = estimate_depth(plane(0.6), (100.3, 200.8), CAMERA)
    assert estimate.status is DepthStatus.OK
    assert estimate.depth_m == pytest.approx(0.6, abs=1e-6)
    assert 0.0003 <= estimate.sigma_m <= 1.05 * D435.sigma_z(0.6, 610.0)
    np.testing.assert_array_equal(estimate.uv, [100.3, 200.8])
    assert (estimate.shift_px, estimate.valid_ratio) == (0.0, pytest.approx(1.0))
    assert np.isnan(estimate.alternate_depth_m)
    np.testing.assert_allclose(estimate.covariance_uvz, np.diag([9, 9, estimate.sigma_m**2]), rtol=0.04, atol=1e-6)


def test_point_beside_a_rod_snaps_onto_it() -> None:
    depth = with_rod(312, 326)
    estimate = estimate_depth(depth, (328.2, 240.0), CAMERA)
    assert estimate.status is DepthStatus.AMBIGUOUS
    assert estimate.depth_m == pytest.approx(0.6, abs=1e-3)
    assert estimate.alternate_depth_m == pytest.approx(0.85, abs=5e-3)
    np.testing.assert_allclose(estimate.uv, [326.0, 240.0])
    assert estimate.shift_px == pytest.approx(2.2)


def test_preference() -> None:
    depth = with_rod(312, 326)
    near, far, center = (estimate_depth(depth, (328.2, 240), CAMERA, prefer=p) for p in ("near", "far", "center"))
    assert near.depth_m == pytest.approx(0.6, abs=1e-3)
    assert far.depth_m == pytest.approx(0.85, abs=1e-3)
    assert center.depth_m == pytest.approx(0.85, abs=1e-3)
    assert (far.shift_px, center.shift_px) == (0.0, 0.0)
    assert far.alternate_depth_m == pytest.approx(0.6, abs=1e-3)
    on_rod = estimate_depth(depth, (324.0, 240), CAMERA, prefer="center")
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
    assert beyond(326, at_point=True) is DepthStatus.AMBIGUOUS


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
        ({"prefer": "middle"}, "'near', 'far', 'center'"),
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
