"""Regions fitted to the outline of the object in the color image."""

import numpy as np
import pytest

from molmo_point.grasp.color_outline import MAX_SURPLUS, fit_to_color
from molmo_point.grasp.object_region import grow_region
from molmo_point.grasp.propose import find_grasps

from .solids import CAMERA, INTRINSICS, depth_of, pixel_of, solid

BRICK = solid("brick", (0.025, 0.05, 0.06))
ELEVATION_DEG = 40.0
PAINT, TABLE = np.array([200, 40, 40]), np.array([60, 110, 160])


def painted(depth: np.ndarray, paint=PAINT, table=TABLE) -> np.ndarray:
    empty = depth_of((solid("brick", (0.001, 0.001, 0.001), xy=(0.5, 0.5)),), ELEVATION_DEG, noisy=False)
    own = depth < empty - 0.004
    shades = np.where(own[..., None], paint, table) + np.random.default_rng(0).normal(0.0, 5.0, (*depth.shape, 3))
    return np.clip(shades, 0, 255).astype(np.uint8)


def eroded(depth: np.ndarray, color: np.ndarray, count: int) -> np.ndarray:
    """Remove the depth at the flanks of the object, as stereo cameras do."""
    own = color[..., 0] > 130
    kept = own.copy()
    for _ in range(count):
        kept[:, 1:-1] &= kept[:, :-2] & kept[:, 2:]
    return np.where(own & ~kept, np.nan, depth)


def region_at(depth: np.ndarray):
    pixel = pixel_of((-0.025, 0.0, 0.09), ELEVATION_DEG)
    return grow_region(depth.astype(np.float32), pixel, INTRINSICS)


def width_of(points: np.ndarray) -> float:
    return float(np.ptp(points[:, 0]))


def test_color_fills_the_flanks_that_depth_misses():
    whole = depth_of((BRICK,), ELEVATION_DEG, noisy=False)
    color = painted(whole)
    region = region_at(eroded(whole, color, 5))
    fitted = fit_to_color(region, color)
    assert width_of(region.points_m) < 0.088
    assert width_of(fitted.points_m) == pytest.approx(0.1, abs=0.004)
    assert np.all(np.isfinite(fitted.points_m)) and fitted.patch is not None and fitted.inside is not None
    assert np.all(np.isfinite(fitted.patch.sigma_m[fitted.inside]))


def test_color_takes_back_what_depth_adds_by_its_shift():
    whole = depth_of((BRICK,), ELEVATION_DEG, noisy=False)
    color = painted(whole)
    shifted = np.roll(whole, -4, axis=1)
    region = region_at(shifted)
    fitted = fit_to_color(region, color)
    cells = np.rint(INTRINSICS.project(fitted.points_m)).astype(int)
    before = np.rint(INTRINSICS.project(region.points_m)).astype(int)
    assert np.mean(color[before[:, 1], before[:, 0], 0] < 130) > 0.04
    assert np.mean(color[cells[:, 1], cells[:, 0], 0] < 130) < 0.02


@pytest.mark.parametrize("paint", [TABLE, TABLE + 8])
def test_like_colors_change_nothing(paint):
    whole = depth_of((BRICK,), ELEVATION_DEG, noisy=False)
    region = region_at(eroded(whole, painted(whole), 5))
    fitted = fit_to_color(region, painted(whole, paint))
    assert np.array_equal(fitted.points_m, region.points_m)


def test_holes_in_the_color_of_the_table_stay_open():
    whole = depth_of((BRICK,), ELEVATION_DEG, noisy=False)
    color = painted(whole)
    beside = np.roll(color[..., 0] > 130, 6, axis=1) & (color[..., 0] <= 130)
    region = region_at(np.where(beside, np.nan, whole))
    assert width_of(fit_to_color(region, color).points_m) == pytest.approx(0.1, abs=0.004)


def test_an_object_of_two_colors_loses_neither():
    whole = depth_of((BRICK,), ELEVATION_DEG, noisy=False)
    color = painted(whole)
    own = color[..., 0] > 130
    columns = np.nonzero(own.any(axis=0))[0]
    color[:, columns[0] : columns[len(columns) // 2]][own[:, columns[0] : columns[len(columns) // 2]]] = TABLE
    region = region_at(whole)
    fitted = fit_to_color(region, color)
    assert len(fitted.points_m) > (1.0 - MAX_SURPLUS) * len(region.points_m)
    assert width_of(fitted.points_m) == pytest.approx(0.1, abs=0.004)


def test_a_narrow_object_with_edges_in_the_color_of_the_table_stays_whole():
    whole = depth_of((solid("brick", (0.025, 0.02, 0.06)),), ELEVATION_DEG, noisy=False)
    color = painted(whole)
    columns = np.nonzero((color[..., 0] > 130).any(axis=0))[0]
    color[:, : columns[0] + 5], color[:, columns[-1] - 4 :] = TABLE, TABLE
    region = region_at(whole)
    assert len(fit_to_color(region, color).points_m) > 0.95 * len(region.points_m)


def test_grasps_know_the_width_from_the_color():
    slim = solid("brick", (0.03, 0.03, 0.06))
    whole = depth_of((slim,), ELEVATION_DEG, noisy=False)
    color = painted(whole)
    region = region_at(eroded(whole, color, 5))
    across = [
        [each.width_m for each in grasps.candidates if abs(each.closing[0]) > 0.95]
        for grasps in (find_grasps(region, INTRINSICS, CAMERA), find_grasps(region, INTRINSICS, CAMERA, color=color))
    ]
    assert across[0] and across[1]
    assert max(across[0]) < 0.054
    assert min(across[1]) == pytest.approx(0.06, abs=0.004)
