"""Grasps on solids of known shape: where, how wide, from where; and why not."""

import json
import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from benchmarks.grasps.benchmark import judge
from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import Rejection
from molmo_point.grasp.collision import find_collisions, seen_free
from molmo_point.grasp.gripper import Gripper, corners_of
from molmo_point.grasp.object_region import grow_region
from molmo_point.grasp.propose import MAX_DISTANCE_M, SPARE_M, find_grasps
from molmo_point.grasp.quality import WEIGHTS, grasp_quality
from molmo_point.grasp.slab_search import closings
from molmo_point.grasp.support import SupportPlane
from molmo_point.sim.tabletop.objects import SceneObject

from .solids import CAMERA, INTRINSICS, depth_of, pixel_of, pose_of, solid

BOX = solid("brick", (0.05, 0.025, 0.03), yaw_deg=25.0)
BALL = solid("ball", (0.03, 0.03, 0.03))
CYLINDER = solid("cylinder", (0.025, 0.025, 0.05))
HAND = Gripper()


@lru_cache(maxsize=32)
def grasps_of(*objects, elevation_deg=55.0, gripper=HAND, table=True, noisy=False):
    at = (*objects[0].position_base_m[:2], 2 * objects[0].half_size_m[2])
    depth = depth_of(tuple(objects), elevation_deg, table=table, noisy=noisy)
    region = grow_region(depth, pixel_of(at, elevation_deg), INTRINSICS)
    return find_grasps(region, INTRINSICS, CAMERA, gripper)


def best_in_base(grasps, elevation_deg=55.0):
    return grasps.best.transformed(pose_of(elevation_deg))


@pytest.mark.parametrize("noisy", [False, True])
def test_box_is_taken_across_its_short_side(noisy):
    best = best_in_base(grasps_of(BOX, noisy=noisy))
    across = np.array([-math.sin(math.radians(25.0)), math.cos(math.radians(25.0)), 0.0])
    assert math.degrees(math.acos(min(1.0, abs(best.closing @ across)))) < 6.0
    assert best.width_m == pytest.approx(0.05, abs=0.004)
    assert np.linalg.norm(best.center_m[:2]) < 0.02 and 0.005 < best.center_m[2] < 0.06
    assert best.approach[2] < -0.5
    assert judge(best, (BOX,), BOX, HAND)[0] == "GOOD"


@pytest.mark.parametrize(
    ("item", "width_m", "elevation_deg"), [(BALL, 0.06, 60.0), (CYLINDER, 0.05, 40.0), (CYLINDER, 0.05, 60.0)]
)
def test_round_things_are_taken_across_their_diameter(item, width_m, elevation_deg):
    best = best_in_base(grasps_of(item, elevation_deg=elevation_deg), elevation_deg)
    assert best.width_m == pytest.approx(width_m, abs=0.005)
    # Where the camera looks along x, only the ends along y are seen.
    assert abs(best.closing[1]) > 0.7 and abs(best.center_m[1]) < 0.004
    verdict, true_width = judge(best, (item,), item, HAND)
    assert verdict == "GOOD" and best.width_m == pytest.approx(true_width, abs=0.006)


def test_candidates_are_ordered_rigid_and_within_the_gripper():
    grasps = grasps_of(BOX)
    qualities = [candidate.quality for candidate in grasps.candidates]
    assert len(qualities) >= 2 and qualities == sorted(qualities, reverse=True)
    for candidate in grasps.candidates:
        assert np.linalg.det(candidate.camera_T_grasp.rotation) == pytest.approx(1.0)
        assert candidate.width_m < candidate.opening_m <= HAND.max_opening_m
        assert candidate.opening_m >= min(candidate.width_m + 2 * HAND.clearance_m, HAND.max_opening_m) - 1e-9
        assert candidate.closing[0] >= -1e-6
        assert set(candidate.scores) == set(WEIGHTS) and all(0.0 <= score <= 1.0 for score in candidate.scores.values())
        assert candidate.quality == pytest.approx(grasp_quality(dict(candidate.scores)))


def test_the_best_holds_against_the_true_box():
    grasps = grasps_of(BOX)
    verdicts = [judge(each.transformed(pose_of(55.0)), (BOX,), BOX, HAND)[0] for each in grasps.candidates]
    assert verdicts[0] == "GOOD"


def test_too_wide_for_the_gripper():
    wide = solid("cylinder", (0.05, 0.05, 0.04))
    narrow, large = grasps_of(wide), grasps_of(wide, gripper=Gripper(max_opening_m=0.13))
    assert narrow.reasons["TOO_WIDE"] > 50 > large.reasons.get("TOO_WIDE", 0)
    assert all(each.width_m <= HAND.max_opening_m for each in narrow.candidates)
    assert large.best is not None and large.best.width_m == pytest.approx(0.1, abs=0.008)


def test_too_flat_to_hold():
    grasps = grasps_of(solid("brick", (0.03, 0.02, 0.0042)))
    assert grasps.best is None and set(grasps.reasons) <= {"TOO_FLAT", "TOO_WIDE"} and grasps.reasons["TOO_FLAT"] > 5


def test_a_neighbor_bars_the_fingers():
    free = best_in_base(grasps_of(CYLINDER))
    walls = tuple(solid("brick", (0.05, 0.01, 0.055), xy=(0.0, side * 0.0475)) for side in (-1.0, 1.0))
    barred = grasps_of(CYLINDER, *walls)
    assert abs(free.closing[1]) > 0.9
    assert barred.reasons.get("FINGER_HITS_NEIGHBOR", 0) + barred.reasons.get("PALM_HITS_NEIGHBOR", 0) >= 3
    assert all(abs(each.transformed(pose_of(55.0)).closing[1]) < 0.7 for each in barred.candidates)


def test_barred_closings_near_the_target_leave_room_for_others():
    long = solid("brick", (0.085, 0.02, 0.03), yaw_deg=90.0)
    walls = tuple(solid("brick", (0.01, 0.03, 0.04), xy=(side * 0.04, 0.0)) for side in (-1.0, 1.0))
    best = best_in_base(grasps_of(long, *walls))
    assert abs(best.center_m[1]) > 0.03
    assert judge(best, (long, *walls), long, HAND)[0] == "GOOD"


def test_openings_leave_room_for_shifted_outlines():
    best = grasps_of(BOX).best
    assert best.opening_m == pytest.approx(min(best.width_m + 2 * (HAND.clearance_m + SPARE_M), HAND.max_opening_m))
    walls = tuple(solid("brick", (0.01, 0.05, 0.04), xy=(side * 0.05, 0.0)) for side in (-1.0, 1.0))
    narrow = solid("brick", (0.02, 0.05, 0.045))
    for each in grasps_of(narrow, *walls).candidates:
        posed = each.transformed(pose_of(55.0))
        if abs(posed.closing[0]) > 0.95 and abs(posed.center_m[1]) < 0.03:
            assert each.opening_m < each.width_m + 2 * (HAND.clearance_m + SPARE_M) - 1e-6


def test_grasp_is_on_what_was_pointed_at_or_is_refused():
    below = solid("brick", (0.05, 0.03, 0.02))
    top = SceneObject("brick", "red", (0.015, 0.015, 0.02), (0.02, 0.0, 0.06), 0.0, (1, 0, 0))
    region = grow_region(depth_of((below, top), 55.0, noisy=False), pixel_of((-0.035, 0.0, 0.04), 55.0), INTRINSICS)
    for each in find_grasps(region, INTRINSICS, CAMERA).candidates:
        assert judge(each.transformed(pose_of(55.0)), (below, top), top, HAND)[0] != "GOOD"
        assert abs(each.transformed(pose_of(55.0)).center_m[0] + 0.035) < MAX_DISTANCE_M


def test_far_parts_of_the_region_are_refused():
    long = solid("brick", (0.09, 0.02, 0.03), yaw_deg=90.0)
    region = grow_region(depth_of((long,), 55.0), pixel_of((0.0, -0.08, 0.06), 55.0), INTRINSICS, max_size_m=0.3)
    grasps = find_grasps(region, INTRINSICS, CAMERA)
    assert grasps.candidates
    for each in grasps.candidates:
        assert each.transformed(pose_of(55.0)).center_m[1] < -0.08 + MAX_DISTANCE_M + 0.01


def test_tilt_is_limited():
    upright = grasps_of(CYLINDER, gripper=Gripper(max_tilt_rad=0.0))
    assert upright.candidates
    assert all(each.transformed(pose_of(55.0)).approach[2] < -0.999 for each in upright.candidates)
    assert any(each.transformed(pose_of(55.0)).approach[2] > -0.95 for each in grasps_of(CYLINDER).candidates)


def test_less_friction_rejects_more():
    sticky, slippery = (grasps_of(BALL, gripper=Gripper(friction=mu)).reasons.get("NOT_ANTIPODAL", 0) for mu in (0.8, 0.15))
    assert slippery > sticky + 10


def test_the_hand_keeps_off_the_object_and_the_table():
    for candidate in grasps_of(CYLINDER).candidates:
        best = candidate.transformed(pose_of(55.0))
        lows, highs = HAND.boxes(best.opening_m)
        corners = best.camera_T_grasp.apply(corners_of(lows, highs), frame="grasp")
        assert corners[..., 2].min() > 0.0
        top = best.camera_T_grasp.inverse().apply(np.array([0.0, 0.0, 0.1]), frame="base")
        assert top[2] > HAND.tip_offset_m - HAND.finger_depth_m


def test_without_a_plane_the_camera_decides_the_approach():
    target = np.array([0.1, 0.0, 0.5])
    turns = closings(target, np.array([0.0, 0.0, -1.0]), np.eye(3), None, HAND)
    assert all(np.linalg.det(axes) == pytest.approx(1.0) for axes in turns)
    assert all(axes[:, 2] @ target / np.linalg.norm(target) > 0.97 for axes in turns)
    slanted = closings(target, np.array([-0.8, 0.0, -0.6]), np.eye(3), None, HAND)
    assert len(slanted) == 2 * len(turns) and slanted[-1][:, 2] == pytest.approx([0.8, 0.0, 0.6])


def test_no_object_has_no_grasps_and_says_why():
    region = grow_region(depth_of((BALL,)), pixel_of((-0.1, 0.12, 0.0)), INTRINSICS)
    grasps = find_grasps(region, INTRINSICS, CAMERA)
    assert grasps.candidates == () and grasps.box is None and grasps.to_dict()["region"]["status"] == "ON_SUPPORT"


def test_everything_rejected_has_a_reason_and_the_counts_add_up():
    grasps = grasps_of(BOX)
    assert all(isinstance(each.reason, Rejection) for each in grasps.rejected)
    assert sum(grasps.reasons.values()) == len(grasps.rejected) > 100


def test_dict_is_json():
    told = json.loads(json.dumps(grasps_of(BOX).to_dict(), allow_nan=False))
    first = told["candidates"][0]
    pose = Transform.from_quaternion(first["frame"], "grasp", first["quaternion_xyzw"], first["position_m"])
    assert pose.rotation[:, 2] == pytest.approx(first["approach"], abs=1e-6)
    assert pose.rotation[:, 1] == pytest.approx(first["closing"], abs=1e-6)
    assert told["rejected"]["NOT_ANTIPODAL"] > 0 and told["box"] is not None


def test_transforming_needs_the_right_frame():
    with pytest.raises(FrameError, match="must be equal"):
        grasps_of(BOX).best.transformed(Transform.identity("base", "elsewhere"))


def test_bad_settings_are_refused():
    region = grasps_of(BOX).region
    for options in ({"max_candidates": 0}, {"sigma_m": -1.0}, {"sigma_m": math.nan}):
        with pytest.raises(InputError, match="max_candidates must be"):
            find_grasps(region, INTRINSICS, CAMERA, **options)
    with pytest.raises(InputError, match="finger_width_m"):
        Gripper(finger_width_m=-0.01)
    with pytest.raises(InputError, match="max_opening_m"):
        Gripper(max_opening_m="wide")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="must leave room"):
        Gripper(tip_offset_m=0.05)


def test_boxes_of_the_gripper_lie_where_they_are_said_to():
    lows, highs = HAND.boxes(0.04, approach_m=0.1)
    assert lows[0].tolist() == pytest.approx([-0.009, -0.03, -0.036]) and highs[0].tolist() == pytest.approx(
        [0.009, -0.02, 0.009]
    )
    assert lows[1, 1] == pytest.approx(0.02) and highs[1, 1] == pytest.approx(0.03)
    assert highs[2, 2] == pytest.approx(-0.036) and lows[2, 2] == pytest.approx(-0.036 - 0.08 - 0.1)
    assert len(np.unique(corners_of(lows[0], highs[0]), axis=0)) == 8


def one_collision(points, own=False, support=None, margin_m=0.0):
    cloud = np.repeat(np.atleast_2d(points), 4, axis=0)
    reason = find_collisions(
        np.eye(3)[None],
        np.zeros((1, 3)),
        np.array([0.03]),
        np.array([0.04]),
        HAND,
        cloud,
        np.full(len(cloud), own),
        support,
        margin_m,
    )[0]
    return reason.value if reason else ""


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        ((0.0, 0.025, 0.0), "FINGER_HITS_NEIGHBOR"),
        ((0.0, -0.025, 0.0), "FINGER_HITS_NEIGHBOR"),
        ((0.0, 0.0, 0.0), "NEIGHBOR_BETWEEN"),
        ((0.0, 0.0195, 0.0), ""),
        ((0.0, 0.025, 0.0095), ""),
        ((0.0, 0.025, 0.0085), "FINGER_HITS_NEIGHBOR"),
        ((0.0095, 0.025, 0.0), ""),
        ((0.02, 0.0, -0.037), "PALM_HITS_NEIGHBOR"),
        ((0.0, 0.075, -0.15), "PALM_HITS_NEIGHBOR"),
        ((0.0, 0.0, -0.2), ""),
        ((0.0, 0.0, -0.033), "NEIGHBOR_BETWEEN"),
        ((0.0, 0.016, 0.0), ""),
    ],
)
def test_collisions_with_the_cloud(point, reason):
    assert one_collision(np.array(point)) == reason
    of_object = "" if reason == "NEIGHBOR_BETWEEN" else reason.replace("NEIGHBOR", "OBJECT")
    assert one_collision(np.array(point), own=True) == of_object


def test_margin_is_for_neighbors_only_and_two_points_are_noise():
    beside = np.array([0.0, 0.0195, 0.0])
    assert one_collision(beside, margin_m=0.001) == "FINGER_HITS_NEIGHBOR"
    assert one_collision(beside, own=True, margin_m=0.001) == ""
    cloud = np.tile([0.0, 0.025, 0.0], (2, 1))
    args = (np.eye(3)[None], np.zeros((1, 3)), np.array([0.03]), np.array([0.04]), HAND, cloud, np.zeros(2, bool), None)
    assert find_collisions(*args) == [None]


def test_collision_with_the_support_plane():
    far = np.array([5.0, 5.0, 5.0])
    for height, reason in ((0.013, ""), (0.010, "HITS_SUPPORT")):
        plane = SupportPlane(np.array([0.0, 0.0, -1.0]), -height, 0.001, 1.0)
        assert one_collision(far, support=plane) == reason


def test_a_finger_behind_the_object_is_not_seen():
    grasps = grasps_of(BALL, elevation_deg=40.0)
    patch = grasps.region.patch
    down = pose_of(40.0).inverse().rotation @ np.array([0.0, 0.0, -1.0])
    shares = []
    for along in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)):
        closing = pose_of(40.0).inverse().rotation @ np.array(along)
        axes = np.stack([np.cross(closing, down), closing, down], axis=1)
        center = pose_of(40.0).inverse().apply(np.array([0.0, 0.0, 0.03]), frame="base")
        shares.append(float(seen_free(axes[None], center[None], np.array([0.072]), HAND, patch, INTRINSICS)[0]))
    assert shares[0] <= 0.6 < 0.8 < shares[1]


def test_nearness_follows_the_target():
    long = solid("brick", (0.09, 0.02, 0.03), yaw_deg=90.0)
    depth = depth_of((long,), 55.0)
    for y in (-0.06, 0.06):
        region = grow_region(depth, pixel_of((0.0, y, 0.06), 55.0), INTRINSICS)
        best = find_grasps(region, INTRINSICS, CAMERA).best.transformed(pose_of(55.0))
        assert abs(best.center_m[1] - y) < 0.04


def test_the_judge_tells_good_from_bad():
    down = np.diag([1.0, -1.0, -1.0])
    good = replace(
        best_in_base(grasps_of(BALL)),
        camera_T_grasp=Transform("base", "grasp", down, np.array([0.0, 0.0, 0.03])),
        opening_m=0.075,
    )
    assert judge(good, (BALL,), BALL, HAND) == ("GOOD", pytest.approx(0.06, abs=0.001))

    def moved(*offset, opening_m=0.075):
        pose = Transform("base", "grasp", down, np.array([0.0, 0.0, 0.03]) + offset)
        return judge(replace(good, camera_T_grasp=pose, opening_m=opening_m), (BALL,), BALL, HAND)[0]

    assert moved(0.0, 0.0, -0.03) == "HITS_TABLE"
    assert moved(0.0, 0.012, 0.0) == "HITS_OBJECT"
    assert moved(0.0, 0.0, 0.05) == "MISSES"
    assert moved(0.024, 0.0, 0.0) == "SLIPS"
    assert moved(0.0, 0.0, 0.0, opening_m=0.05) == "HITS_OBJECT"
    wall = solid("brick", (0.05, 0.01, 0.05), xy=(0.0, 0.05))
    assert judge(good, (BALL, wall), BALL, HAND)[0] == "HITS_NEIGHBOR"
