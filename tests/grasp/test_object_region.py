"""The region of an object: what belongs to it, what does not, and when it says that it cannot tell."""

import math

import numpy as np
import pytest

from molmo_point.errors import InputError
from molmo_point.geometry.depth_noise import D435
from molmo_point.grasp.object_region import RegionStatus, grow_region
from molmo_point.grasp.patch import cut_patch, grown, label_pieces
from molmo_point.grasp.shape import oriented_box, surface_normal
from molmo_point.grasp.support import find_support

from .solids import INTRINSICS, depth_of, mask_of, pixel_of, pose_of, solid

BOX = solid("brick", (0.045, 0.025, 0.02), yaw_deg=25.0)
BALL = solid("ball", (0.03, 0.03, 0.03))
CYLINDER = solid("cylinder", (0.025, 0.025, 0.05))


def region_of(*objects, top=None, elevation_deg=50.0, **options):
    at = top or (*objects[0].position_base_m[:2], 2 * objects[0].half_size_m[2])
    depth = depth_of(tuple(objects), elevation_deg, table=options.pop("table", True))
    return grow_region(depth, pixel_of(at, elevation_deg), INTRINSICS, **options)


def degrees_between(a, b) -> float:
    return math.degrees(math.acos(float(np.clip(a @ b, -1.0, 1.0))))


@pytest.mark.parametrize("item", [BOX, BALL, CYLINDER])
@pytest.mark.parametrize("elevation_deg", [35.0, 60.0])
def test_region_is_the_object_and_nothing_else(item, elevation_deg):
    region = region_of(item, elevation_deg=elevation_deg)
    true = mask_of((item,), 0, elevation_deg)
    assert region.status is RegionStatus.OK and region.message == ""
    assert (region.mask & true).sum() / (region.mask | true).sum() > 0.82
    assert (region.mask & ~true).sum() < 0.06 * true.sum()


def test_neighbors_that_stand_apart_stay_out_even_where_one_hides_the_other():
    near = solid("cube", (0.02, 0.02, 0.02), xy=(-0.03, 0.0))
    far = solid("cylinder", (0.025, 0.025, 0.05), xy=(0.05, 0.0))
    region = region_of(far, near, elevation_deg=40.0)
    assert not (region.mask & mask_of((far, near), 1, 40.0)).sum() > 25
    assert (region.mask & mask_of((far, near), 0, 40.0)).sum() > 500


def test_two_boxes_that_touch_are_cut_at_the_crease():
    low = solid("brick", (0.03, 0.05, 0.02), xy=(-0.03, 0.0))
    high = solid("brick", (0.03, 0.05, 0.05), xy=(0.03, 0.0))
    region = region_of(low, high, top=(-0.035, 0.0, 0.04), elevation_deg=45.0)
    assert region.touching
    kept, other = mask_of((low, high), 0, 45.0), mask_of((low, high), 1, 45.0)
    assert (region.mask & other).sum() < 0.15 * other.sum()
    assert (region.mask & kept).sum() > 0.7 * kept.sum()


def test_support_plane_is_the_table_and_heights_count_from_it():
    region = region_of(BOX)
    up = pose_of(50.0).rotation[2]
    assert degrees_between(region.support.normal, up) < 0.3
    assert region.support.offset_m == pytest.approx(-pose_of(50.0).translation_m[2], abs=1e-3)
    heights = region.support.height_m(region.points_m)
    assert np.quantile(heights, 0.95) == pytest.approx(0.04, abs=0.003) and heights.min() > 0.002


def test_a_large_box_top_is_not_taken_for_the_table():
    tray = solid("brick", (0.12, 0.1, 0.02))
    region = region_of(tray)
    assert region.support.offset_m == pytest.approx(-pose_of(50.0).translation_m[2], abs=2e-3)


def test_up_refuses_planes_that_are_not_level():
    patch = region_of(BOX).patch
    target = region_of(BOX).target_m
    up = pose_of(50.0).rotation[2]
    assert find_support(patch, target, up=up) is not None
    assert find_support(patch, target, up=np.cross(up, [1.0, 0.0, 0.0])) is None


def test_point_on_the_table_is_not_an_object():
    region = region_of(BOX, top=(-0.1, 0.1, 0.0))
    assert region.status is RegionStatus.ON_SUPPORT
    assert not region.mask.any() and region.points_m.shape == (0, 3) and "plane" in region.message


def test_without_table_the_object_is_found_and_the_lack_reported():
    region = region_of(BALL, table=False)
    assert RegionStatus.NO_SUPPORT in region.flags and region.support is None
    assert region.mask.sum() > 500


def test_no_depth_is_missing():
    depth = np.full((240, 320), np.nan, np.float32)
    region = grow_region(depth, (160, 120), INTRINSICS)
    assert region.status is RegionStatus.MISSING and "MISSING" in region.message and not region.mask.any()
    assert surface_normal(region).point_count == 0 and surface_normal(region).to_dict()["direction"] is None


def test_cut_off_at_the_border_and_too_large():
    edge = solid("cube", (0.03, 0.03, 0.03), xy=(0.0, 0.22))
    region = region_of(edge, top=(-0.02, 0.205, 0.06))
    assert RegionStatus.CUT_OFF in region.flags
    board = solid("brick", (0.02, 0.18, 0.02))
    assert RegionStatus.TOO_LARGE in region_of(board, max_size_m=0.1).flags
    assert RegionStatus.TOO_LARGE not in region_of(board, max_size_m=0.25).flags


def test_corners_at_the_size_limit_are_not_too_large():
    board = solid("brick", (0.02, 0.1, 0.02))
    assert RegionStatus.TOO_LARGE not in region_of(board, max_size_m=0.107).flags


def test_depth_of_the_target_decides_between_two_surfaces():
    pole = solid("cylinder", (0.006, 0.006, 0.06), xy=(-0.09, 0.0))
    depth = depth_of((BALL, pole), 30.0)
    uv = pixel_of((0.0, 0.0, 0.055), 30.0)
    column = round(float(uv[0]))
    ball_m = float(np.nanmedian(depth[int(uv[1]), column + 8 : column + 12]))
    region = grow_region(depth, uv, INTRINSICS, at_m=ball_m)
    assert (region.mask & mask_of((BALL, pole), 0, 30.0)).sum() > 5 * (region.mask & mask_of((BALL, pole), 1, 30.0)).sum()


@pytest.mark.parametrize("face", ["top", "front"])
def test_normal_is_within_its_own_uncertainty(face):
    box = solid("cube", (0.03, 0.03, 0.03))
    at, truth = ((0.0, 0.0, 0.06), (0.0, 0.0, 1.0)) if face == "top" else ((-0.03, 0.0, 0.033), (-1.0, 0.0, 0.0))
    normal = surface_normal(region_of(box, top=at, elevation_deg=45.0))
    error = degrees_between(pose_of(45.0).rotation @ normal.direction, np.array(truth))
    assert error < 5.0
    assert error < 3.0 * math.degrees(normal.sigma_rad) + 0.5
    assert 0.2 < math.degrees(normal.sigma_rad) < 6.0


def test_box_has_the_true_yaw_and_extents():
    region = region_of(BOX, elevation_deg=60.0)
    box = oriented_box(region.points_m, region.support)
    along, _, up = (pose_of(60.0).rotation @ axis for axis in box.axes)
    assert math.degrees(math.atan2(along[1], along[0])) % 180.0 == pytest.approx(25.0, abs=2.5)
    assert up == pytest.approx([0.0, 0.0, 1.0], abs=0.01)
    assert box.extents_m == pytest.approx([0.09, 0.05, 0.04], abs=0.006)
    assert np.linalg.det(box.axes) == pytest.approx(1.0)


def test_principal_axes_without_a_plane():
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.5, 0.5, (2000, 3)) * [0.2, 0.02, 0.08] + [0.0, 0.1, 0.6]
    box = oriented_box(points, None)
    assert np.abs(box.axes[0]) == pytest.approx([1.0, 0.0, 0.0], abs=0.05)
    assert box.extents_m == pytest.approx([0.2, 0.08, 0.02], rel=0.06)
    assert box.center_m == pytest.approx([0.0, 0.1, 0.6], abs=0.003)
    assert np.linalg.det(box.axes) == pytest.approx(1.0)


def test_links_follow_a_steep_surface_and_stop_at_an_edge_with_a_mixed_pixel():
    depth = np.full((240, 320), 0.5, np.float32)
    depth[:, 150:] = 0.5 + 0.012 * np.arange(170)[None, :]
    steep = cut_patch(depth, np.array([160.0, 120.0]), 0.5, INTRINSICS, D435, reach_m=0.05)
    assert steep.stride == 1 and steep.right.all()
    depth[:, 150:] = 0.515
    depth[:, 150] = 0.5075
    edge = cut_patch(depth, np.array([160.0, 120.0]), 0.5, INTRINSICS, D435, reach_m=0.05)
    column = 150 - edge.columns[0]
    assert not edge.right[:, column - 1].any() and not edge.right[:, column].any()


def test_pieces_are_those_of_a_flood_fill():
    rng = np.random.default_rng(3)
    mask = rng.random((40, 50)) < 0.6
    pieces = label_pieces(mask)
    assert ((pieces >= 0) == mask).all()
    for _ in range(20):
        row, column = rng.integers(40), rng.integers(50)
        if not mask[row, column]:
            continue
        filled, front = {(row, column)}, [(row, column)]
        while front:
            y, x = front.pop()
            for step in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if 0 <= step[0] < 40 and 0 <= step[1] < 50 and mask[step] and step not in filled:
                    filled.add(step)
                    front.append(step)
        assert {tuple(at) for at in np.argwhere(pieces == pieces[row, column])} == filled


def test_grown_mask():
    mask = np.zeros((7, 9), dtype=bool)
    mask[0, 4] = True
    assert np.argwhere(grown(mask, 2)).tolist() == [[row, column] for row in range(3) for column in range(2, 7)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"up": (0.0, 0.0, 0.0)}, "up must be a direction"),
        ({"up": (1.0, 2.0)}, "up must be a direction"),
        ({"max_size_m": 0.0}, "max_size_m must be"),
        ({"at_m": -1.0}, "above zero"),
        ({"sigma_px": -1.0}, "sigma"),
    ],
)
def test_bad_settings_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        grow_region(depth_of((BALL,)), (160, 120), INTRINSICS, **options)


def test_pixel_outside_the_image_is_refused():
    with pytest.raises(InputError, match="must be inside"):
        grow_region(depth_of((BALL,)), (400, 120), INTRINSICS)
