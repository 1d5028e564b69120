"""Division of a region: walls, bins, objects that touch, flat and hollow objects, uneven tables."""

import numpy as np
import pytest

from molmo_point.grasp.object_region import RegionStatus, grow_region

from .solids import INTRINSICS, color_of, depth_of, mask_of, pixel_of, pose_of, solid

RED, GREEN, GRAY = (200, 40, 40), (40, 160, 60), (120, 120, 120)


def shares(region, objects, elevation_deg=50.0):
    """Return the share of each object's visible pixels in a region."""
    masks = [mask_of(objects, index, elevation_deg) for index in range(len(objects))]
    return [(region.mask & mask).sum() / max(mask.sum(), 1) for mask in masks]


def region_at(objects, at, elevation_deg=50.0, bumps_m=0.0, **options):
    depth = depth_of(objects, elevation_deg, bumps_m=bumps_m)
    return grow_region(depth, pixel_of(at, elevation_deg), INTRINSICS, **options)


@pytest.mark.parametrize("elevation_deg", [15.0, 35.0])
def test_a_wall_behind_is_neither_support_nor_object(elevation_deg):
    objects = (solid("cube", (0.025, 0.025, 0.025)), solid("brick", (0.01, 0.5, 0.3), xy=(0.045, 0.0)))
    region = region_at(objects, (-0.024, 0.0, 0.03), elevation_deg)
    assert region.support is not None
    assert region.support.normal @ pose_of(elevation_deg).rotation[2] > 0.98
    cube, wall = shares(region, objects, elevation_deg)
    assert cube > 0.75 and wall < 0.01


def test_objects_in_a_bin_stand_on_its_floor_and_apart_from_its_walls():
    walls = solid("brick", (0.005, 0.16, 0.05), xy=(0.12, 0.0)), solid("brick", (0.12, 0.005, 0.05), xy=(0.0, 0.16))
    objects = (solid("brick", (0.03, 0.02, 0.02), xy=(0.03, 0.0)), solid("ball", (0.025, 0.025, 0.025), xy=(0.085, 0.05)), *walls)
    region = region_at(objects, (0.03, 0.0, 0.04), 60.0)
    brick, ball, *rest = shares(region, objects, 60.0)
    assert region.status is RegionStatus.OK
    assert brick > 0.75 and ball < 0.05 and max(rest) < 0.02
    ball_region = region_at(objects, (0.085, 0.05, 0.05), 60.0)
    brick, ball, *rest = shares(ball_region, objects, 60.0)
    assert ball > 0.6 and brick < 0.05 and max(rest) < 0.05


def test_two_balls_of_one_color_are_parted_at_their_crease():
    objects = tuple(solid("ball", (0.025, 0.025, 0.025), xy=(0.0, side * 0.0255)) for side in (-1.0, 1.0))
    region = region_at(objects, (-0.015, -0.027, 0.045), color=color_of(objects, (RED, RED)))
    mine, other = shares(region, objects)
    assert mine > 0.75 and other < 0.1


def test_boxes_whose_heights_differ_by_three_millimeters_are_parted():
    objects = (
        solid("brick", (0.03, 0.03, 0.03), xy=(0.0, -0.03)),
        solid("brick", (0.03, 0.03, 0.0315), xy=(0.0, 0.031)),
    )
    mine, other = shares(region_at(objects, (0.0, -0.03, 0.06), color=color_of(objects, (RED, GREEN))), objects)
    assert mine > 0.8 and other < 0.15


def test_a_point_on_the_other_object_parts_boxes_of_one_height():
    objects = tuple(solid("brick", (0.03, 0.03, 0.03), xy=(0.0, side * 0.03)) for side in (-1.0, 1.0))
    color, at = color_of(objects, (RED, GREEN)), (0.0, -0.03, 0.06)
    together = shares(region_at(objects, at, color=color), objects)
    assert min(together) > 0.7, "print on one box looks the same"
    region = region_at(objects, at, color=color, others=[pixel_of((0.0, 0.03, 0.06))])
    mine, other = shares(region, objects)
    assert mine > 0.8 and other < 0.15
    alike = region_at(objects, at, color=color_of(objects, (RED, RED)), others=[pixel_of((0.0, 0.03, 0.06))])
    assert min(shares(alike, objects)) > 0.7, "a second point alone does not part one surface"


def test_print_does_not_part_a_box():
    box = (solid("brick", (0.05, 0.05, 0.03)),)
    color = color_of(box, (RED,))
    u, v = pixel_of((0.0, 0.0, 0.06)).astype(int)
    color[v - 8 : v + 8, u - 14 : u + 14] = (250, 250, 250)
    assert shares(region_at(box, (0.0, 0.0, 0.06), color=color), box)[0] > 0.85


def test_a_book_on_a_table_is_not_its_own_support():
    book = (solid("brick", (0.09, 0.065, 0.012)),)
    region = region_at(book, (0.0, 0.0, 0.024))
    assert region.support is not None
    assert region.support.offset_m == pytest.approx(-pose_of(50.0).translation_m[2], abs=3e-3)
    assert shares(region, book)[0] > 0.85


@pytest.mark.parametrize(("half_m", "top_m"), [(0.115, 0.0), (0.19, 0.03)])
def test_a_board_is_a_table_if_it_is_larger_than_an_object(half_m, top_m):
    region = region_at((solid("brick", (half_m, half_m, 0.015)),), (0.0, 0.0, 0.03), 60.0)
    assert region.support is not None
    assert region.support.offset_m == pytest.approx(top_m - pose_of(60.0).translation_m[2], abs=3e-3)


def test_an_object_on_a_book_is_parted_from_it():
    book, cube = solid("brick", (0.1, 0.08, 0.01)), solid("cube", (0.02, 0.02, 0.03))
    region = region_at((book, cube), (0.0, 0.0, 0.06))
    on, below = shares(region, (cube, book))[0], shares(region, (book, cube))[0]
    assert on >= 0.0 and (region.mask & mask_of((book, cube), 1)).sum() > 0.7 * mask_of((book, cube), 1).sum()
    assert below < 0.05


def test_a_handle_stays_with_its_mug():
    parts = (
        solid("cylinder", (0.035, 0.035, 0.045)),
        solid("brick", (0.004, 0.012, 0.025), xy=(0.0, 0.045)),
    )
    region = region_at(parts, (-0.03, 0.0, 0.05), color=color_of(parts, (GRAY, GRAY)))
    body, handle = shares(region, parts)
    assert body > 0.8 and handle > 0.6


def test_an_uneven_table_stays_out():
    cube = (solid("cube", (0.025, 0.025, 0.025)),)
    region = region_at(cube, (0.0, 0.0, 0.05), bumps_m=0.006)
    true = mask_of(cube, 0)
    assert (region.mask & true).sum() > 0.75 * true.sum()
    assert (region.mask & ~true).sum() < 0.2 * true.sum()


def test_without_a_color_image_shape_alone_decides():
    objects = (solid("brick", (0.03, 0.05, 0.02), xy=(-0.03, 0.0)), solid("brick", (0.03, 0.05, 0.05), xy=(0.03, 0.0)))
    mine, other = shares(region_at(objects, (-0.035, 0.0, 0.04), 45.0), objects, 45.0)
    assert mine > 0.7 and other < 0.15


def test_pixels_of_others_outside_the_surroundings_are_ignored():
    cube = (solid("cube", (0.025, 0.025, 0.025)),)
    plain = region_at(cube, (0.0, 0.0, 0.05))
    far = region_at(cube, (0.0, 0.0, 0.05), others=[(0.0, 0.0), (5000.0, -3.0)])
    assert np.array_equal(plain.mask, far.mask)
