"""The unkind depth camera: each fault by its size, its side and its sign."""

from dataclasses import replace

import numpy as np
import pytest

from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics
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
