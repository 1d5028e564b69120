"""Answers about earlier views: joined while they are young, of the same query, and from elsewhere."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("rclpy")

from molmo_point_ros.pointing.view_memory import ViewMemory

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.results import DepthStatus, Found, ImagePoint, Pointing
from molmo_point.sim.camera_pose import CameraPose, camera_geometry

CUP = np.array([0.03, -0.02, 0.04])


def look(degrees, stamp_s, query="cup", frame="base"):
    angle = np.deg2rad(degrees)
    intrinsics, pose = camera_geometry(CameraPose((0.5 * np.cos(angle), 0.5 * np.sin(angle), 0.4), (0, 0, 0), 45.0), 640, 480)
    pose = Transform(frame, pose.source, pose.rotation, pose.translation_m)
    u, v = intrinsics.project(pose.inverse().apply(CUP, frame))
    stamp_ns = round(stamp_s * 1e9)
    image = RgbdFrame(np.zeros((480, 640, 3), np.uint8), None, intrinsics, stamp_ns, pose.source)
    point = ImagePoint(float(u), float(v), "cup", 0.9, 2.0)
    return Pointing(query, "", "", False, (Found(point, None),), {}, stamp_ns, pose.source), image, pose


def statuses(memory, *looks, age_s=10.0):
    answers = [memory.join(*each, age_s) for each in looks]
    return [each.found[0].target.depth_status if each.found[0].target else None for each in answers], answers[-1]


def test_the_second_view_gives_a_position_in_its_own_frame():
    second = look(30, 2.0)
    told, answer = statuses(ViewMemory(), look(0, 1.0), second)
    assert told == [None, DepthStatus.TRIANGULATED]
    target = answer.found[0].target
    assert (target.stamp_ns, target.frame) == (2_000_000_000, second[1].frame)
    np.testing.assert_allclose(target.transformed(second[2]).position_m, CUP, atol=1e-4)


@pytest.mark.parametrize(
    "second",
    [look(30, 12.0), look(30, 2.0, query="spoon"), look(30, 2.0, frame="map"), look(30, 0.5), look(0, 2.0)],
    ids=["too old", "another query", "another world", "from before", "from the same place"],
)
def test_views_that_do_not_belong_together_are_not_joined(second):
    told, _ = statuses(ViewMemory(), look(0, 1.0), second)
    assert told == [None, None]


def test_a_camera_that_stands_still_does_not_push_out_the_other_view():
    memory = ViewMemory()
    told, _ = statuses(memory, look(0, 1.0), *(look(30, 2.0 + 0.1 * k) for k in range(20)))
    assert told[1:] == [DepthStatus.TRIANGULATED] * 20


def test_a_place_on_the_plane_is_kept_if_the_views_do_not_agree():
    first, second = look(0, 1.0), look(30, 2.0)
    memory = ViewMemory()
    memory.join(*first, 10.0)
    pointing, frame, pose = second
    point = dataclasses.replace(pointing.found[0].point, v=60.0)
    placed = dataclasses.replace(memory.join(*look(25, 1.5), 10.0).found[0].target, depth_status=DepthStatus.ON_PLANE)
    pointing = dataclasses.replace(pointing, found=(Found(point, placed),))
    fresh = ViewMemory()
    fresh.join(*first, 10.0)
    assert fresh.join(pointing, frame, pose, 10.0).found[0].target.depth_status is DepthStatus.ON_PLANE
