"""The unkind depth camera: each fault by its size, its side and its sign."""

from dataclasses import replace

import numpy as np
import pytest

from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.sim.depth_faults import Appearance, Material
from molmo_point.sim.stereo_faults import SIMULATED_D435, simulate_depth
from molmo_point.sim.unkind_faults import TIME_OF_FLIGHT_FAULTS, UNKIND_FAULTS, UnkindFaults

INTRINSICS = Intrinsics(width=320, height=240, fx=300.0, fy=300.0, cx=159.5, cy=119.5)
SILENT = DepthNoise(baseline_m=0.05, sigma_disparity_px=1e-6, focal_px=300.0)
CALM = replace(
    UNKIND_FAULTS, growth_spread_px=0.0, edge_hole_px=0.0, edge_spread=0.0, smoothing_px=0.0, flicker_fraction=0.0,
    hole_fraction=0.0, disparity_step_px=0.0, depth_unit_m=0.0,
)  # fmt: skip


def box_in_front(near_m: float = 0.5, far_m: float = 1.0) -> np.ndarray:
    depth = np.full((240, 320), far_m, np.float32)
    depth[80:160, 120:200] = near_m
    return depth


def measured(depth: np.ndarray, faults: UnkindFaults, noise: DepthNoise = SILENT, seed: int = 1) -> np.ndarray:
    return simulate_depth(depth, INTRINSICS, noise, np.random.default_rng(seed), faults=faults)


def widths(depth: np.ndarray) -> dict[str, float]:
    """Mean width of the missing band on each side of the box, in pixels."""
    hole = np.isnan(depth)
    return {
        "left": hole[100:140, 60:160].sum() / 40,
        "right": hole[100:140, 160:260].sum() / 40,
        "top": hole[40:120, 140:180].sum() / 40,
        "bottom": hole[120:200, 140:180].sum() / 40,
    }


def test_holes_lie_on_all_sides_of_an_object() -> None:
    found = widths(measured(box_in_front(), replace(CALM, edge_hole_px=8.0)))
    assert found["top"] == pytest.approx(8.0, abs=1.2) and found["bottom"] == pytest.approx(8.0, abs=1.2)
    # The imager stands 15 mm to the right: the box hides 300 * 0.015 * (1 / 0.5 - 1 / 1.0) = 4.5 px of the band from color.
    assert found["right"] == pytest.approx(8.0 - 4.5, abs=1.2)
    # On the left the right imager is hidden as well: 300 * 0.065 * (1 / 0.5 - 1 / 1.0) = 19.5 px.
    assert found["left"] == pytest.approx(19.5, abs=2.0)


def test_a_time_of_flight_camera_has_its_holes_on_the_other_side() -> None:
    faults = replace(TIME_OF_FLIGHT_FAULTS, flicker_fraction=0.0, hole_fraction=0.0, mixed_fraction=0.0, edge_hole_px=0.0)
    found = widths(measured(box_in_front(), faults))
    # The imager stands 32 mm to the left: 300 * 0.032 * (1 / 0.5 - 1 / 1.0) = 9.6 px.
    assert found["right"] == pytest.approx(9.6, abs=1.8)
    assert found["left"] < 3.0 and found["top"] < 3.0


def test_surfaces_keep_their_place_and_depth() -> None:
    depth = measured(box_in_front(), CALM)
    assert np.nanmax(np.abs(depth[90:150, 125:195] - 0.5)) < 1e-3
    assert np.nanmax(np.abs(depth[:70] - 1.0)) < 1e-3


def test_the_noise_has_the_size_of_the_depth_imager_s_law() -> None:
    noise = replace(SIMULATED_D435, focal_px=200.0)
    depth = measured(np.full((240, 320), 1.0, np.float32), CALM, noise)
    assert np.nanstd(depth) == pytest.approx(float(noise.sigma_z(1.0, 300.0)), rel=0.1)


def test_the_kind_camera_and_the_unkind_one_state_their_noise() -> None:
    stated = UNKIND_FAULTS.stated_noise(SIMULATED_D435, INTRINSICS)
    assert stated.focal_px == 425.0 and stated.baseline_m == SIMULATED_D435.baseline_m


def edge_columns(depth: np.ndarray, level_m: float = 0.75) -> tuple[float, float]:
    """Mean first and last column of the near box in its middle rows."""
    near = depth[100:140] < level_m
    return float(near.argmax(axis=1).mean()), float(319 - near[:, ::-1].argmax(axis=1).mean())


def test_objects_grow_by_the_stated_width() -> None:
    left, right = edge_columns(measured(box_in_front(), CALM))
    assert left == pytest.approx(120, abs=1.1) and right == pytest.approx(199, abs=1.1)
    grown_left, grown_right = edge_columns(measured(box_in_front(), replace(CALM, growth_px=6.0)))
    assert left - grown_left == pytest.approx(6.0, abs=0.6) and grown_right - right == pytest.approx(6.0, abs=0.6)
    eaten_left, eaten_right = edge_columns(measured(box_in_front(), replace(CALM, growth_px=-4.0)))
    assert eaten_left - left == pytest.approx(4.0, abs=0.6) and right - eaten_right == pytest.approx(4.0, abs=0.6)


def test_lengths_are_pixels_of_the_depth_imager() -> None:
    coarse = replace(SILENT, focal_px=150.0)
    found = widths(measured(box_in_front(), replace(CALM, edge_hole_px=4.0), coarse))
    assert found["top"] == pytest.approx(8.0, abs=1.2), "one pixel of the imager is two of the color image"


def test_a_wrong_calibration_shifts_the_depth_by_pixels_of_the_color_image() -> None:
    left, _ = edge_columns(measured(box_in_front(), CALM))
    shifted = measured(box_in_front(), replace(CALM, misaligned_px=(12.0, -7.0)))
    assert edge_columns(shifted)[0] - left == pytest.approx(12.0, abs=0.6)
    rows = np.flatnonzero(shifted[:, 160] < 0.75)
    assert rows[0] == pytest.approx(80 - 7, abs=1.1)


def test_a_small_step_becomes_a_slope_and_a_large_one_a_hole() -> None:
    # Steps of 1.2 and 15 px of disparity.
    faults = replace(CALM, edge_hole_px=4.0, hole_jump_px=3.0, smoothing_px=3.0)
    small, large = measured(box_in_front(0.925), faults), measured(box_in_front(0.5), faults)
    assert np.isnan(large[100:140, 100:220]).mean() > 0.1
    right = small[120, 190:215]
    assert np.isfinite(right).all()
    between = (right > 0.93) & (right < 0.995)
    assert between.sum() >= 5 and (np.diff(right) > -0.004).all()


def test_errors_are_as_broad_as_stated() -> None:
    noise = replace(SIMULATED_D435, focal_px=300.0)
    error = measured(np.full((240, 320), 1.0, np.float32), replace(CALM, fine_share=0.0, broad_px=3.0), noise).astype(float) - 1.0
    error = error[:, 20:-20]
    error -= error.mean()
    for lag in (2, 4, 8):
        found = np.mean(error[:, lag:] * error[:, :-lag]) / np.var(error)
        assert found == pytest.approx(np.exp(-(lag**2) / 36.0), abs=0.08)


def test_the_stated_share_of_pixels_flickers_and_the_rest_stays() -> None:
    slope = np.linspace(0.6, 1.0, 240, dtype=np.float32)[:, None].repeat(320, axis=1)
    for share in (0.05, 0.15):
        rng = np.random.default_rng(3)
        faults = replace(CALM, flicker_fraction=share, hole_fraction=0.05)
        first, second = (np.isnan(simulate_depth(slope, INTRINSICS, SILENT, rng, faults=faults)) for _ in range(2))
        assert np.mean(first != second) == pytest.approx(share, rel=0.35)
        assert np.mean(first & second) > 0.04, "holes of the scene stay"


def test_dark_and_shiny_surfaces_lose_depth() -> None:
    depth = np.full((240, 320), 0.8, np.float32)
    color = np.full((240, 320, 3), 128, np.uint8)
    color[:, :100], color[:, 200:] = 10, 255
    faults = replace(CALM, dark_hole_fraction=0.3, shiny_hole_fraction=0.5)
    hole = np.isnan(
        simulate_depth(depth, INTRINSICS, SILENT, np.random.default_rng(1), faults=faults, appearance=Appearance(color))
    )
    assert hole[:, :90].mean() == pytest.approx(0.3, abs=0.12)
    assert hole[:, 110:190].mean() < 0.01
    assert hole[:, 210:].mean() == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(("behind_m", "through", "lost"), [(0.63, 0.70, 0.25), (0.90, 0.15, 0.70)])
def test_glass_shows_what_lies_close_behind_it_and_is_missing_before_a_far_one(
    behind_m: float, through: float, lost: float
) -> None:
    truth = box_in_front(0.6, behind_m)
    material = np.where(truth < 0.61, Material.GLASS, Material.PLAIN)
    looks = Appearance(None, material, np.full((240, 320), behind_m, np.float32))
    depth = simulate_depth(truth, INTRINSICS, SILENT, np.random.default_rng(1), faults=CALM, appearance=looks)
    inside = depth[81:159, 123:197]
    assert np.isnan(inside).mean() == pytest.approx(lost, abs=0.15)
    assert (np.abs(inside - behind_m) < 0.005).mean() == pytest.approx(through, abs=0.15)
    assert (np.abs(inside - 0.6) < 0.005).mean() > 0.01


def test_time_of_flight_mixes_both_sides_at_an_edge() -> None:
    faults = replace(CALM, stereo=False, imager_offset_m=0.0, mixed_fraction=0.6)
    depth = measured(box_in_front(), faults)
    mixed = (depth > 0.51) & (depth < 0.99)
    assert 0.3 * 320 < mixed.sum() < 1.3 * 640
    v, u = np.nonzero(mixed)
    assert np.minimum(np.minimum(abs(u - 119.5), abs(u - 199.5)), np.minimum(abs(v - 79.5), abs(v - 159.5))).max() <= 2.5


def test_cameras_of_one_kind_differ_and_a_seed_decides_them() -> None:
    cameras = [UNKIND_FAULTS.drawn(np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert cameras[0] == cameras[1] != cameras[2]
    widths_px = [UNKIND_FAULTS.drawn(np.random.default_rng(seed)).edge_hole_px for seed in range(100)]
    assert 0.7 < min(widths_px) < 2.0 and 8.0 < max(widths_px) < 12.0


def test_edges_and_holes_of_a_still_scene_stay() -> None:
    rng = np.random.default_rng(4)
    faults = replace(UNKIND_FAULTS, flicker_fraction=0.0)
    first, second = (np.isnan(simulate_depth(box_in_front(), INTRINSICS, SIMULATED_D435, rng, faults=faults)) for _ in range(2))
    assert np.mean(first != second) < 0.02 and first.mean() > 0.03


@pytest.mark.parametrize("faults", [UNKIND_FAULTS, TIME_OF_FLIGHT_FAULTS])
def test_nothing_there_stays_missing_and_is_never_a_number(faults: UnkindFaults) -> None:
    depth = box_in_front()
    depth[:40], depth[40:60], depth[60:70] = np.nan, np.inf, 0.0
    found = measured(depth, faults, DepthNoise(polynomial_m=(0.001, 0.001, 0.0)))
    assert found.dtype == np.float32 and np.isnan(found[:60]).all()
    assert np.nanmin(found) > 0.45 and np.nanmax(found) < 1.1
    assert np.isnan(measured(np.full((240, 320), np.nan), faults)).all()
