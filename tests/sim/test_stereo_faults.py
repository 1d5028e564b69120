"""The simulated stereo noise: its size, its sign, and where its faults lie."""

import numpy as np
import pytest

from molmo_point.errors import InputError
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.sim.stereo_faults import D435_FAULTS, NO_FAULTS, SIMULATED_D435, StereoFaults, simulate_depth

INTRINSICS = Intrinsics(width=320, height=240, fx=300.0, fy=300.0, cx=159.5, cy=119.5)


def plane(depth_m: float) -> np.ndarray:
    return np.full((240, 320), depth_m, dtype=np.float32)


def box_in_front(near_m: float = 0.5, far_m: float = 1.0) -> np.ndarray:
    depth = plane(far_m)
    depth[80:160, 120:200] = near_m
    return depth


def only(**changes: object) -> StereoFaults:
    return StereoFaults(**{**NO_FAULTS.__dict__, **changes})


@pytest.mark.parametrize("depth_m", [0.4, 0.8, 1.6])
@pytest.mark.parametrize("noise", [SIMULATED_D435, DepthNoise(0.095, 0.08)])
def test_spread_follows_the_stereo_formula(depth_m: float, noise) -> None:
    measured = simulate_depth(plane(depth_m), INTRINSICS, noise, np.random.default_rng(1), faults=NO_FAULTS)
    expected = depth_m**2 * noise.sigma_disparity_px / (INTRINSICS.fx * noise.baseline_m)
    assert np.std(measured) == pytest.approx(expected, rel=0.03)
    assert np.mean(measured) == pytest.approx(depth_m, abs=expected * 0.1)


def test_correlation_keeps_the_spread_and_makes_neighbours_alike() -> None:
    measured = simulate_depth(
        plane(1.0), INTRINSICS, SIMULATED_D435, np.random.default_rng(2), faults=only(correlation_px=1.5)
    ).astype(float)
    error = measured - measured.mean()
    assert np.std(error) == pytest.approx(float(SIMULATED_D435.sigma_z(1.0, 300.0)), rel=0.1)
    neighbours = np.mean(error[:, 1:] * error[:, :-1]) / np.var(error)
    far = np.mean(error[:, 20:] * error[:, :-20]) / np.var(error)
    # A Gaussian window of 1.5 px correlates neighbours by exp(-1 / (4 * 1.5^2)).
    assert neighbours == pytest.approx(np.exp(-1 / 9), abs=0.02)
    assert abs(far) < 0.03


def test_disparity_is_quantised_to_the_subpixel_step() -> None:
    measured = simulate_depth(
        plane(2.0), INTRINSICS, SIMULATED_D435, np.random.default_rng(3), faults=only(disparity_step_px=1 / 32)
    )
    steps = INTRINSICS.fx * SIMULATED_D435.baseline_m / measured.astype(float) * 32
    assert np.abs(steps - np.round(steps)).max() < 1e-4
    assert np.unique(np.round(steps)).size > 3


def test_depth_comes_in_whole_depth_units() -> None:
    measured = simulate_depth(plane(0.7003), INTRINSICS, SIMULATED_D435, np.random.default_rng(3))
    millimetres = measured[np.isfinite(measured)].astype(float) * 1e3
    assert np.abs(millimetres - np.round(millimetres)).max() < 1e-3


def test_shadow_lies_on_the_left_of_the_near_object_and_is_as_wide_as_the_disparity_step() -> None:
    measured = simulate_depth(box_in_front(), INTRINSICS, SIMULATED_D435, np.random.default_rng(4), faults=only(shadow=True))
    row = np.isnan(measured[120])
    # Disparity 30 px on the box, 15 px behind it: 15 px of background are hidden from the right imager, of which the
    # outermost shares its right column with the edge of the box.
    assert np.flatnonzero(row).tolist() == list(range(106, 120))
    assert not np.isnan(measured[40]).any(), "no shadow where there is no box"


def test_a_slanted_surface_without_a_step_casts_no_shadow() -> None:
    slope = np.linspace(0.6, 1.0, 320, dtype=np.float32)[None, :].repeat(240, axis=0)
    for depth in (slope, slope[:, ::-1]):
        measured = simulate_depth(depth, INTRINSICS, SIMULATED_D435, np.random.default_rng(4), faults=only(shadow=True))
        assert not np.isnan(measured).any()


def test_flying_pixels_hang_between_the_two_surfaces_at_the_edge_only() -> None:
    faults = only(flying_fraction=0.5, edge_jump_px=1.0)
    tiny = DepthNoise(baseline_m=0.05, sigma_disparity_px=1e-6)
    measured = simulate_depth(box_in_front(), INTRINSICS, tiny, np.random.default_rng(5), faults=faults)
    flying = (measured > 0.51) & (measured < 0.99)
    assert 100 < flying.sum() < 640
    v, u = np.nonzero(flying)
    distance_to_edge = np.minimum(
        np.minimum(np.abs(u - 119.5), np.abs(u - 199.5)), np.minimum(np.abs(v - 79.5), np.abs(v - 159.5))
    )
    assert distance_to_edge.max() <= 1.0
    assert measured.min() >= 0.499 and measured.max() <= 1.001


def test_nearer_than_the_minimum_range_is_missing() -> None:
    faults = only(max_disparity_px=126.0)
    minimum_m = 300.0 * 0.05 / 126.0
    near = simulate_depth(plane(minimum_m * 0.9), INTRINSICS, SIMULATED_D435, np.random.default_rng(6), faults=faults)
    far = simulate_depth(plane(minimum_m * 1.1), INTRINSICS, SIMULATED_D435, np.random.default_rng(6), faults=faults)
    assert np.isnan(near).all() and not np.isnan(far).any()


def test_steep_surfaces_drop_out_and_frontal_ones_do_not() -> None:
    def tilted(angle_rad: float) -> np.ndarray:
        x = (np.arange(320) - INTRINSICS.cx) / INTRINSICS.fx
        # The plane z = 1 + tan(angle) * x * z through (0, 0, 1).
        return np.broadcast_to(1.0 / (1.0 - np.tan(angle_rad) * x), (240, 320)).copy()

    faults = only(grazing_rad=np.deg2rad(75.0))

    def dropped(angle_rad: float) -> float:
        depth = tilted(angle_rad)
        centre = np.s_[100:140, 150:170]
        measured = simulate_depth(depth, INTRINSICS, SIMULATED_D435, np.random.default_rng(7), faults=faults)
        return float(np.isnan(measured[centre]).mean())

    assert dropped(0.0) == 0.0
    assert dropped(np.deg2rad(60.0)) == 0.0
    assert dropped(np.deg2rad(84.0)) > 0.3


def test_random_holes_cover_the_stated_share_in_blobs() -> None:
    measured = simulate_depth(
        plane(1.0), INTRINSICS, SIMULATED_D435, np.random.default_rng(8), faults=only(hole_fraction=0.05, hole_radius_px=4.0)
    )
    hole = np.isnan(measured)
    assert hole.mean() == pytest.approx(0.05, abs=0.002)
    assert (hole[:, 1:] & hole[:, :-1]).sum() / hole.sum() > 0.6, "holes are patches, not salt"


def test_nothing_there_stays_missing_and_is_never_a_number() -> None:
    depth = plane(1.0)
    depth[:10], depth[10:20], depth[20:30] = np.nan, 0.0, np.inf
    measured = simulate_depth(depth, INTRINSICS, SIMULATED_D435, np.random.default_rng(9))
    assert measured.dtype == np.float32
    assert np.isnan(measured[:29]).all()
    finite = measured[np.isfinite(measured)]
    assert finite.size > 0.9 * 210 * 320 and (finite > 0.8).all() and not np.isinf(measured).any()


def test_same_seed_same_image_other_seed_another() -> None:
    images = [simulate_depth(box_in_front(), INTRINSICS, SIMULATED_D435, np.random.default_rng(seed)) for seed in (3, 3, 4)]
    assert np.array_equal(images[0], images[1], equal_nan=True)
    assert not np.array_equal(images[0], images[2], equal_nan=True)


def test_with_all_faults_most_of_a_tabletop_survives_within_millimetres() -> None:
    measured = simulate_depth(box_in_front(), INTRINSICS, SIMULATED_D435, np.random.default_rng(10), faults=D435_FAULTS)
    inside = measured[100:140, 140:180]
    assert np.isfinite(inside).mean() > 0.9
    assert np.nanmedian(np.abs(inside - 0.5)) < 0.003
    assert 0.02 < np.isnan(measured).mean() < 0.1


def test_wrong_size_is_refused() -> None:
    with pytest.raises(InputError, match=r"240, 320"):
        simulate_depth(np.ones((320, 240)), INTRINSICS)


def test_only_stereo_can_be_simulated() -> None:
    with pytest.raises(InputError, match="stereo"):
        simulate_depth(plane(1.0), INTRINSICS, DepthNoise(polynomial_m=(0.001, 0.0, 0.0)))
