"""The unseen side of solids of known shape, seen from one side."""

from dataclasses import replace

import numpy as np
import pytest

from molmo_point.grasp.completion import SAME_M, CompletedShape, complete_shape
from molmo_point.grasp.contact import measure_contact
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.object_region import grow_region
from molmo_point.grasp.propose import find_grasps
from molmo_point.grasp.shape import oriented_box
from molmo_point.grasp.slab_search import Proposal

from .solids import CAMERA, INTRINSICS, depth_of, pixel_of, pose_of, solid

CAN = solid("cylinder", (0.029, 0.029, 0.06))
BRICK = solid("brick", (0.025, 0.05, 0.03))
HAND = Gripper()


def region_of(*objects, elevation_deg, noisy=False):
    at = (*objects[0].position_base_m[:2], 2 * objects[0].half_size_m[2])
    front = np.array(at) - [objects[0].half_size_m[0], 0.0, objects[0].half_size_m[2]]
    return grow_region(depth_of(tuple(objects), elevation_deg, noisy=noisy), pixel_of(front, elevation_deg), INTRINSICS)


def completed(region, elevation_deg):
    shape = complete_shape(
        region.points_m, oriented_box(region.points_m, region.support), region.support, region.patch, INTRINSICS
    )
    points = pose_of(elevation_deg).apply(shape.points_m, frame=CAMERA)
    return shape, points


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("elevation_deg", [20.0, 35.0])
def test_a_can_is_as_deep_as_it_is_wide(elevation_deg, noisy):
    shape, points = completed(region_of(CAN, elevation_deg=elevation_deg, noisy=noisy), elevation_deg)
    low = points[:, 2] < 0.05
    seen = np.arange(len(points)) < shape.measured_count
    assert np.quantile(points[low & seen, 0], 0.98) < 0.012
    assert np.quantile(points[low, 0], 0.98) == pytest.approx(0.029, abs=0.008)


def test_a_box_ends_where_its_top_was_seen_to_end():
    shape, points = completed(region_of(BRICK, elevation_deg=35.0), 35.0)
    assert np.quantile(points[:, 0], 0.98) == pytest.approx(0.025, abs=SAME_M)
    assert shape.slack_m == 0.0


def test_completed_points_lie_where_the_camera_could_not_see():
    region = region_of(CAN, elevation_deg=35.0)
    shape, _ = completed(region, 35.0)
    cells = np.rint(INTRINSICS.project(shape.points_m[shape.measured_count :])).astype(int)
    measured = depth_of((CAN,), 35.0, noisy=False)[cells[:, 1], cells[:, 0]]
    free = shape.points_m[shape.measured_count :, 2] < measured - 0.008
    assert np.mean(free) < 0.02


def test_nothing_is_completed_without_a_plane_or_from_above():
    region = region_of(BRICK, elevation_deg=80.0)
    shape, _ = completed(region, 80.0)
    assert shape.measured_count == len(shape.points_m) and shape.slack_m == 0.0
    box = oriented_box(region.points_m, region.support)
    assert region.patch is not None
    alone = complete_shape(region.points_m, box, None, region.patch, INTRINSICS)
    assert len(alone.points_m) == len(region.points_m) and not alone.away.any()


def test_width_of_a_can_does_not_trust_the_unseen_side():
    grasps = find_grasps(region_of(CAN, elevation_deg=25.0), INTRINSICS, CAMERA)
    assert grasps.best is not None
    for each in grasps.candidates:
        assert each.width_m == pytest.approx(0.058, abs=max(0.008, 2 * each.width_sigma_m))


def test_an_unseen_side_makes_the_width_uncertain():
    x, z = (each.ravel() for each in np.meshgrid(np.linspace(-0.009, 0.009, 10), np.linspace(0.0, 0.03, 16)))
    near, far = (np.stack([x, np.full_like(x, side), z], axis=1) for side in (-0.02, 0.02))
    points = np.concatenate([near, far])
    proposal = Proposal(np.eye(3), np.array([0.0, 0.0, 0.021]), -0.02, 0.02, 0.03, 0.0, None)
    seen, guessed = (
        measure_contact(
            points, CompletedShape(points, count, len(points), np.array([0.0, 1.0, 0.0]), slack), proposal, HAND, 1e-3, 1e-3
        )
        for count, slack in ((len(points), 0.0), (len(near), 0.01))
    )
    assert seen.width_m == pytest.approx(0.041, abs=1e-4) == guessed.width_m
    assert seen.seen_share == pytest.approx(1.0, abs=0.05) and seen.width_sigma_m < 0.002
    assert guessed.seen_share < 0.2 and guessed.width_sigma_m > 0.01


def test_fingers_keep_off_the_unseen_side():
    region = region_of(CAN, elevation_deg=25.0)
    for each in find_grasps(region, INTRINSICS, CAMERA).candidates:
        pose = each.transformed(pose_of(25.0)).camera_T_grasp
        low, high = HAND.boxes(each.opening_m)
        for finger in (0, 1):
            grid = np.stack(np.meshgrid(*(np.linspace(a, b, 6) for a, b in zip(low[finger], high[finger], strict=True))), -1)
            points = pose.apply(grid.reshape(-1, 3), frame="grasp")
            within = (np.hypot(points[:, 0], points[:, 1]) < 0.029 - 0.003) & (points[:, 2] < 0.12)
            assert not within.any()


def depth_along(points: np.ndarray, yaw_deg: float) -> float:
    axis = np.array([np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))])
    return float(np.ptp(np.quantile(points[:, :2] @ axis, [0.02, 0.98])))


def test_an_object_that_lies_is_no_deeper_than_high():
    log, stick = solid("cylinder", (0.08, 0.08, 0.02)), solid("brick", (0.006, 0.006, 0.06))
    region = region_of(log, stick, elevation_deg=25.0)
    points = pose_of(25.0).apply(region.points_m, frame=CAMERA)
    # Only the front of the low cylinder was measured, and what stands up from it.
    kept = region.points_m[(points[:, 0] < -0.055) & (np.abs(points[:, 1]) < 0.058) | (points[:, 2] > 0.05)]
    shape = complete_shape(kept, oriented_box(kept, region.support), region.support, region.patch, INTRINSICS)
    low = pose_of(25.0).apply(shape.points_m, frame=CAMERA)
    low = low[low[:, 2] < 0.04]
    assert np.quantile(low[:, 0], 0.98) - low[:, 0].min() < 0.06


def test_an_object_leans_only_if_its_front_does():
    plate = solid("brick", (0.035, 0.04, 0.05), yaw_deg=20.0)
    region = region_of(plate, elevation_deg=35.0)
    # Less of the flanks is seen below than above.
    points = pose_of(35.0).apply(region.points_m, frame=CAMERA)
    kept = region.points_m[points[:, 0] < -0.045 + 0.9 * points[:, 2]]
    shape = complete_shape(kept, oriented_box(kept, region.support), region.support, region.patch, INTRINSICS)
    whole = pose_of(35.0).apply(shape.points_m, frame=CAMERA)
    lower, upper = (whole[(whole[:, 2] > z) & (whole[:, 2] < z + 0.02), 0] for z in (0.01, 0.07))
    assert np.quantile(upper, 0.98) - np.quantile(lower, 0.98) < 0.015


@pytest.mark.parametrize("turn_deg", [-40.0, 25.0])
def test_the_axis_lies_behind_the_middle_of_what_was_seen(turn_deg):
    corner = solid("brick", (0.025, 0.03, 0.06))
    region = region_of(corner, elevation_deg=30.0, noisy=True)
    box = oriented_box(region.points_m, region.support)
    turn = np.radians(turn_deg)
    turned = np.array([[np.cos(turn), np.sin(turn), 0.0], [-np.sin(turn), np.cos(turn), 0.0], [0.0, 0.0, 1.0]])
    box = replace(box, axes=turned @ box.axes)
    shape = complete_shape(region.points_m, box, region.support, region.patch, INTRINSICS)
    whole = pose_of(30.0).apply(shape.points_m, frame=CAMERA)
    assert depth_along(whole, 0.0) == pytest.approx(0.05, abs=0.008)
