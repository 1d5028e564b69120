"""Holes by their cause: glass before a background, dropouts of opaque objects, shadows, the border of the image."""

import numpy as np
import pytest

from molmo_point.depth.estimator import DepthEstimate, estimate_depth
from molmo_point.depth.surroundings import doubt_background
from molmo_point.geometry.depth_noise import D435, DepthNoise
from molmo_point.results import DepthStatus

from .surfaces import CAMERA, noisy, plane, with_rod

OK, AMBIGUOUS, MISSING = DepthStatus.OK, DepthStatus.AMBIGUOUS, DepthStatus.MISSING


def table() -> np.ndarray:
    """A table seen at 45 degrees, 0.7 m away in the middle of the image."""
    return plane(0.7, 0.0, -0.8)


def with_hole(depth: np.ndarray, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """Return noisy depth with a hole of these columns and rows."""
    holed = noisy(depth)
    holed[top:bottom, left:right] = np.nan
    return holed


def at(depth: np.ndarray, u: float, v: float, sigma_px: float = 3.0, **settings: float) -> DepthEstimate:
    return estimate_depth(depth, (u, v), CAMERA, sigma_px=sigma_px, **settings)


def test_a_glass_hole_in_a_table_is_missing_up_to_its_rim() -> None:
    depth = with_hole(table(), 300, 220, 340, 260)
    statuses = [at(depth, u, 240.0).status for u in range(294, 347, 2)]
    assert statuses[:2] == [OK, OK] and statuses[-2:] == [OK, OK]
    inside, rim = statuses[4:-4], statuses[2:4] + statuses[-4:-2]
    assert set(inside) == {MISSING} and set(rim) <= {AMBIGUOUS, MISSING}
    assert at(depth, 285.0, 240.0).status is OK and at(depth, 355.0, 240.0).status is OK


def test_the_refusal_tells_how_likely_the_hole_is() -> None:
    depth = with_hole(table(), 302, 222, 338, 258)
    refused, doubted = at(depth, 303.0, 240.0), at(depth, 299.5, 240.0)
    assert refused.status is MISSING and refused.hidden > 0.5 and np.isnan(refused.depth_m)
    assert doubted.status is AMBIGUOUS and 0.1 <= doubted.hidden < 0.5 and np.isnan(doubted.alternate_depth_m)
    assert doubted.depth_m == pytest.approx(0.7, abs=0.01)
    # What hides there may stand 4 cm before the table.
    assert np.sqrt(doubted.covariance_uvz[2, 2]) == pytest.approx(0.04 * np.sqrt(max(doubted.hidden, 0.25)), rel=0.2)


def test_the_covariance_of_a_shadow_spans_the_nearer_surface() -> None:
    depth = plane(0.8)
    depth[180:300, 320:420] = 0.65
    depth = with_hole(depth, 300, 180, 320, 300)
    told = at(depth, 302.0, 240.0)
    assert told.status is AMBIGUOUS and told.alternate_depth_m == pytest.approx(0.65, abs=0.02)
    assert 0.15 * np.sqrt(0.3) < np.sqrt(told.covariance_uvz[2, 2]) < 0.15


def test_a_narrow_hole_is_bridged() -> None:
    for width in (2, 4, 6):
        assert at(with_hole(table(), 320 - width // 2, 100, 320 + width // 2, 400), 320.0, 240.0).status is OK


@pytest.mark.parametrize("distance_m", [0.4, 0.7, 1.2])
def test_the_least_hole_is_one_that_hides_an_object(distance_m: float) -> None:
    depth, half = plane(distance_m), round(0.010 * CAMERA.fx / distance_m)
    wide = with_hole(depth, 320 - half, 240 - half, 320 + half, 240 + half)
    assert at(wide, 320.0, 240.0, sigma_px=1.0).status is MISSING
    narrow = with_hole(depth, 319, 239, 322, 242)
    assert at(narrow, 320.0, 240.0, sigma_px=1.0).status is OK


def test_single_pixels_of_the_table_inside_the_glass_do_not_save_it() -> None:
    depth, whole = with_hole(table(), 295, 215, 345, 265), noisy(table())
    shown = np.random.default_rng(3).random(depth.shape) < 0.05
    depth[shown] = whole[shown]
    for u in range(306, 335, 3):
        assert at(depth, float(u), 240.0).status is MISSING


def test_measured_pixels_in_a_hole_count_as_hidden() -> None:
    depth, whole = with_hole(plane(0.7), 290, 210, 350, 270), plane(0.7)
    shown = np.random.default_rng(3).random(depth.shape) < 0.25
    depth[shown] = whole[shown]
    doubt = doubt_background(depth, np.array([320.0, 240.0]), 9.0 * np.eye(2), 0.7, 610.0, D435, (0.1, 10.0))
    assert doubt.hidden > 0.9 and doubt.explained == 0.0


def test_an_island_of_background_inside_the_glass_is_ambiguous() -> None:
    depth, whole = with_hole(table(), 280, 200, 360, 280), noisy(table())
    depth[225:255, 305:335] = whole[225:255, 305:335]
    assert at(depth, 320.0, 240.0).status is AMBIGUOUS
    # The same island before the table is an object of its own.
    depth[225:255, 305:335] -= 0.12
    assert at(depth, 320.0, 240.0).status is OK


def test_holes_on_one_side_leave_the_table_alone() -> None:
    depth = with_hole(table(), 340, 150, 380, 330)
    assert at(depth, 325.0, 240.0).status is OK


@pytest.mark.parametrize("width_px", [14, 26])
def test_the_own_hole_of_an_opaque_object_is_bridged(width_px: int) -> None:
    """A dark patch in the face of a box that stands 6 cm before the table."""
    depth, half = plane(0.7), width_px // 2
    depth[200:280, 280:360] = 0.64
    depth = with_hole(depth, 320 - half, 240 - half, 320 + half, 240 + half)
    for u in (320.0 - half, 320.0, 320.0 + half - 1):
        estimate = at(depth, u, 240.0, sigma_px=6.0)
        assert estimate.status in (OK, AMBIGUOUS) and estimate.depth_m == pytest.approx(0.64, abs=0.003)
    assert at(depth, 320.0 - half, 240.0, sigma_px=1.0).status is OK


def test_the_shadow_of_a_near_object_is_one_of_its_two_rims() -> None:
    """A hole of 20 px left of a box, as a stereo camera casts it; far to near from left to right."""
    depth = plane(0.8)
    depth[180:300, 320:420] = 0.5
    depth = with_hole(depth, 300, 180, 320, 300)
    for u in (303.0, 306.0, 310.0, 314.0, 318.0):
        estimate = at(depth, u, 240.0)
        if estimate.status is not MISSING:
            assert estimate.status is AMBIGUOUS or estimate.depth_m == pytest.approx(0.5, abs=0.01), u
    told = at(depth, 302.0, 240.0)
    assert told.status is AMBIGUOUS and told.depth_m == pytest.approx(0.8, abs=0.01)
    assert told.alternate_depth_m == pytest.approx(0.5, abs=0.02)


def test_a_hole_wider_than_the_shadow_may_hide_glass_next_to_the_object() -> None:
    depth = plane(0.8)
    depth[180:300, 320:420] = 0.5
    depth = with_hole(depth, 230, 180, 320, 300)
    assert at(depth, 234.0, 240.0).status is MISSING


def test_a_thin_object_before_a_hole_is_found() -> None:
    depth = noisy(with_rod(314, 327))
    depth[:, 280:312] = np.nan
    depth[:, 329:360] = np.nan
    estimate = at(depth, 320.0, 240.0)
    assert estimate.status is OK and estimate.depth_m == pytest.approx(0.6, abs=0.003)


def test_a_hole_at_the_border_of_the_image_is_no_object_for_the_border() -> None:
    """The image ends at a table: what lies beyond is not missing."""
    for u, v in ((0.0, 240.0), (639.0, 240.0), (320.0, 0.0), (320.0, 479.0), (0.0, 0.0), (639.0, 479.0)):
        assert at(noisy(plane(0.7)), u, v).status is OK
    depth = with_hole(plane(0.7), 0, 220, 30, 260)
    assert at(depth, 2.0, 240.0).status is MISSING and at(depth, 45.0, 240.0).status is OK


def test_rows_and_columns_of_a_hole_are_not_swapped() -> None:
    depth = with_hole(plane(0.7), 100, 300, 140, 340)
    assert at(depth, 120.0, 320.0).status is MISSING
    assert at(depth, 320.0, 120.0).status is OK


def test_a_large_error_makes_the_same_hole_less_likely() -> None:
    depth = with_hole(plane(0.7), 312, 232, 329, 249)
    hidden = [at(depth, 320.0, 240.0, sigma_px=sigma).hidden for sigma in (5.0, 8.0, 15.0)]
    assert hidden[0] > hidden[1] + 0.1 > hidden[2] + 0.2
    assert at(depth, 336.0, 240.0, sigma_px=2.0).status is OK and at(depth, 336.0, 240.0, sigma_px=12.0).status is AMBIGUOUS


@pytest.mark.parametrize("turn", range(4))
def test_the_answer_is_the_same_from_every_side(turn: int) -> None:
    """The scene turned by quarters about the point, in a square image around it."""
    depth = plane(0.8)[0:400, 120:520]
    depth[140:260, 210:310] = 0.5
    depth[140:260, 190:210] = np.nan
    depth[60:100, 60:100] = np.nan
    camera = CAMERA.cropped(120, 0, 400, 400)
    for column, row in ((192, 200), (80, 80), (110, 80)):
        turned = np.rot90(depth, turn)
        place = {0: (column, row), 1: (row, 399 - column), 2: (399 - column, 399 - row), 3: (399 - row, column)}[turn]
        expected = estimate_depth(depth, (column, row), camera).status
        assert estimate_depth(np.ascontiguousarray(turned), place, camera).status is expected


def test_an_object_before_a_steep_background_may_be_farther_than_the_answer() -> None:
    columns = np.arange(160)[None, :].repeat(120, axis=0)
    depth = (1.0 / np.clip(2.0 - 0.03 * (columns - 60), 0.4, 3.8)).astype(np.float32)
    depth[48:72, 76:90] -= 0.16
    depth[52:68, 64:76] = np.nan
    noise = DepthNoise(0.05, 0.08, 425.0)
    doubt = doubt_background(depth, np.array([60.0, 60.0]), 36.0 * np.eye(2), 0.5, 600.0, noise, (0.1, 5.0))
    assert doubt.near_m > 0.5 and 0.0 < doubt.hidden < 1.0
