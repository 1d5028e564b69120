"""Answers to messages: what an arm receives."""

import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.msg", reason="needs the built interfaces: make setup", exc_type=ImportError)

from geometry_msgs.msg import TransformStamped
from molmo_point_msgs.msg import PointTarget
from molmo_point_ros import conversions
from molmo_point_ros.outputs.message_text import targets_to_dict
from visualization_msgs.msg import Marker

from molmo_point.errors import FrameError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.results import DepthStatus, ImagePoint, Pointing, Target, Unreachable
from tests.pairing import paired

pytestmark = pytest.mark.ros

STAMP_NS = 1_700_000_000_123_456_789
COVARIANCE = np.array([[4e-6, 1e-6, 0.0], [1e-6, 9e-6, 0.0], [0.0, 0.0, 25e-6]])
# x forward is the camera's z, y left its -x, z up its -y
BASE_T_CAMERA = Transform("base", "optical", np.array([[0, 0, 1.0], [-1.0, 0, 0], [0, -1.0, 0]]), np.array([0.1, 0.2, 0.3]))


def target(u=10.0, v=20.0, label="mug", confidence=0.9, status=DepthStatus.OK, alternate=math.nan):
    position = np.array([0.01, -0.02, 0.6])
    return Target(u, v, label, confidence, position, COVARIANCE, "optical", STAMP_NS, status, alternate, 0.75)


def pointing(points, targets=(), unreachable=(), absent=False):
    return Pointing(
        "mug",
        "tabletop",
        "text",
        absent,
        paired(points, targets, unreachable),
        {"total": 1500.0},
        STAMP_NS,
        "optical",
    )


@pytest.fixture
def frame():
    return RgbdFrame(
        np.zeros((48, 64, 3), np.uint8), np.ones((48, 64), np.float32), None, STAMP_NS, "optical", STAMP_NS + 2_000_000
    )


def position_of(message):
    return [message.position.x, message.position.y, message.position.z]


def test_the_array_carries_capture_time_frames_sizes_and_skew(frame):
    message = conversions.targets_message(pointing([ImagePoint(10, 20, "mug", 0.9)], [target()]), frame)
    assert conversions.stamp_to_ns(message.header.stamp) == STAMP_NS
    assert (message.header.frame_id, message.camera_frame) == ("optical", "optical")
    assert (message.image_width, message.image_height) == (64, 48)
    assert (message.query, message.model, message.absent) == ("mug", "tabletop", False)
    assert (message.inference_time.sec, message.inference_time.nanosec) == (1, 500_000_000)
    assert message.sync_skew == pytest.approx(0.002)


def test_the_array_carries_what_the_answer_says_about_itself(frame):
    answer = replace(
        pointing([ImagePoint(10, 20, "mug", sigma_px=2.5)], [target()]),
        problems=("a point outside the image",),
        truncated=True,
        absent_probability=0.25,
        region=(4, 5, 30, 20),
    )
    message = conversions.targets_message(answer, frame)
    assert (message.text, list(message.problems), message.truncated) == ("text", ["a point outside the image"], True)
    assert message.absent_probability == pytest.approx(0.25) and message.targets[0].sigma_px == pytest.approx(2.5)
    printed = targets_to_dict(message)
    assert printed["region"] == [4, 5, 30, 20]
    assert {name: printed[name] for name in ("problems", "truncated", "absent_probability")} == {
        name: answer.to_dict().get(name, printed[name]) for name in ("problems", "truncated", "absent_probability")
    }


def test_an_unknown_probability_is_nan_and_the_whole_image_is_no_region(frame):
    message = conversions.targets_message(pointing([ImagePoint(10, 20, "mug")], [target()]), frame)
    assert math.isnan(message.absent_probability) and math.isnan(message.targets[0].sigma_px)
    assert targets_to_dict(message)["region"] is None


def test_a_target_in_the_optical_frame_and_in_the_base_frame(frame):
    answer = pointing([ImagePoint(10, 20, "mug", 0.9)], [target()])
    (optical,) = conversions.targets_message(answer, frame).targets
    assert position_of(optical) == pytest.approx([0.01, -0.02, 0.6])
    np.testing.assert_allclose(np.array(optical.position_covariance).reshape(3, 3), COVARIANCE)
    array = conversions.targets_message(answer, frame, BASE_T_CAMERA)
    (base,) = array.targets
    assert (array.header.frame_id, array.camera_frame) == ("base", "optical")
    assert position_of(base) == pytest.approx([0.1 + 0.6, 0.2 - 0.01, 0.3 + 0.02])
    np.testing.assert_allclose(np.diag(np.array(base.position_covariance).reshape(3, 3)), [25e-6, 4e-6, 9e-6])
    assert (base.u, base.v) == (10, 20)
    assert base.score == pytest.approx(0.9) and base.valid_ratio == pytest.approx(0.75)


def test_a_wrong_transform_is_refused(frame):
    with pytest.raises(FrameError):
        conversions.targets_message(pointing([ImagePoint(10, 20, "mug")], [target()]), frame, BASE_T_CAMERA.inverse())


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (DepthStatus.MISSING, PointTarget.DEPTH_MISSING),
        (DepthStatus.OUT_OF_RANGE, PointTarget.DEPTH_OUT_OF_RANGE),
        (DepthStatus.STALE, PointTarget.DEPTH_STALE),
        (DepthStatus.NO_INPUT, PointTarget.NO_DEPTH_INPUT),
    ],
)
def test_a_point_without_depth_has_no_position(frame, reason, status):
    answer = pointing([ImagePoint(1, 2, "mug", 0.5)], unreachable=[Unreachable(1, 2, "mug", reason, "why")])
    (message,) = conversions.targets_message(answer, frame, BASE_T_CAMERA).targets
    assert message.depth_status == status
    assert all(math.isnan(value) for value in position_of(message))
    assert message.position_covariance[0] == -1
    assert (message.u, message.v, message.score) == (1, 2, pytest.approx(0.5))


def test_ambiguous_depth_keeps_position_and_the_other_depth(frame):
    answer = pointing([ImagePoint(10, 20, "mug")], [target(status=DepthStatus.AMBIGUOUS, alternate=0.9)])
    (message,) = conversions.targets_message(answer, frame).targets
    assert message.depth_status == PointTarget.DEPTH_AMBIGUOUS
    assert message.alternate_depth == pytest.approx(0.9)
    assert math.isnan(message.score)


def test_targets_stand_in_the_models_order_though_some_have_no_depth(frame):
    points = [ImagePoint(u, 5, label, 0.1 * u) for u, label in ((1, "a"), (2, "b"), (3, "c"), (4, "d"))]
    answer = pointing(
        points,
        [target(1.4, 5, "a"), target(3, 5, "c")],
        [Unreachable(2, 5, "b", DepthStatus.MISSING, ""), Unreachable(4, 5, "d", DepthStatus.MISSING, "")],
    )
    message = conversions.targets_message(answer, frame)
    assert [entry.label for entry in message.targets] == ["a", "b", "c", "d"]
    assert [entry.depth_status for entry in message.targets] == [0, 1, 0, 1]
    # the pixel is the model's, not the one that the depth was taken at
    assert [entry.u for entry in message.targets] == [1, 2, 3, 4]


def test_absent_is_said_and_has_no_targets(frame):
    message = conversions.targets_message(pointing([], absent=True), frame)
    assert message.absent and not message.targets


def test_feedback_points_are_pixels_only(frame):
    message = conversions.image_points_message("mug", "tabletop", [ImagePoint(3, 4, "mug")], frame)
    (entry,) = message.targets
    assert (entry.u, entry.v, entry.depth_status) == (3, 4, PointTarget.NO_DEPTH_INPUT)
    assert math.isnan(entry.position.z)


def test_point_and_pose_mirror_the_target():
    moved = target().transformed(BASE_T_CAMERA)
    point, pose = conversions.point_message(moved), conversions.pose_message(moved)
    for message in (point, pose):
        assert message.header.frame_id == "base"
        assert conversions.stamp_to_ns(message.header.stamp) == STAMP_NS
    expected = pytest.approx([0.7, 0.19, 0.32])
    assert [point.point.x, point.point.y, point.point.z] == expected
    assert [getattr(pose.pose.pose.position, axis) for axis in "xyz"] == expected
    covariance = np.array(pose.pose.covariance).reshape(6, 6)
    np.testing.assert_allclose(covariance[:3, :3], moved.covariance_m2)
    np.testing.assert_allclose(np.diag(covariance)[3:], math.pi**2)
    assert not covariance[:3, 3:].any()
    assert pose.pose.pose.orientation.w == 1.0


def test_the_best_target_is_the_most_confident():
    low, high, unknown = target(label="low", confidence=0.2), target(label="high", confidence=0.8), target(confidence=math.nan)
    assert conversions.best_target([unknown, low, high, low]) is high
    assert conversions.best_target([unknown]) is unknown
    assert conversions.best_target([]) is None


def test_a_marker_rounds_no_confidence_to_certainty():
    texts = [marker.text for marker in conversions.markers_message([target(confidence=0.997)], lifetime_s=1.0).markers]
    assert any(">99%" in text for text in texts) and not any("100%" in text for text in texts)


def test_markers_clear_what_was_there_and_have_stable_ids():
    array = conversions.markers_message([target(), target(label="cup")], lifetime_s=2.5)
    assert array.markers[0].action == Marker.DELETEALL
    rest = array.markers[1:]
    assert {(marker.ns, marker.id) for marker in rest} == {(ns, i) for ns in ("target", "label", "covariance") for i in (0, 1)}
    for marker in rest:
        assert (marker.lifetime.sec, marker.lifetime.nanosec) == (2, 500_000_000)
        assert marker.header.frame_id == "optical"
        assert conversions.stamp_to_ns(marker.header.stamp) == STAMP_NS
        assert marker.color.a > 0
    assert "cup" in next(marker.text for marker in rest if marker.ns == "label" and marker.id == 1)
    assert [marker.action for marker in conversions.markers_message([], 1.0).markers] == [Marker.DELETEALL]


def test_the_ellipsoid_spans_two_sigma_along_the_axes_of_the_covariance():
    marker = next(m for m in conversions.markers_message([target()], 1.0).markers if m.ns == "covariance")
    q = marker.pose.orientation
    rotation = Transform.from_quaternion("a", "b", (q.x, q.y, q.z, q.w), (0, 0, 0)).rotation
    radii = np.array([marker.scale.x, marker.scale.y, marker.scale.z]) / 2
    np.testing.assert_allclose(rotation @ np.diag((radii / 2) ** 2) @ rotation.T, COVARIANCE, atol=1e-12)


def test_transforms_survive_the_way_through_messages():
    message = conversions.transform_to_message(BASE_T_CAMERA, STAMP_NS)
    assert (message.header.frame_id, message.child_frame_id) == ("base", "optical")
    back = conversions.transform_from_message(message)
    np.testing.assert_allclose(back.matrix, BASE_T_CAMERA.matrix, atol=1e-12)
    assert (back.target, back.source) == ("base", "optical")


def test_printed_messages_are_json_without_nan(frame):
    import json

    answer = pointing([ImagePoint(1, 2, "mug")], unreachable=[Unreachable(1, 2, "mug", DepthStatus.MISSING, "why")])
    text = json.dumps(targets_to_dict(conversions.targets_message(answer, frame)), allow_nan=False)
    entry = json.loads(text)["targets"][0]
    assert entry["depth_status"] == "MISSING" and entry["position_m"] == [None] * 3


@pytest.mark.parametrize(
    ("translation", "rotation", "frames", "words"),
    [
        ((math.nan, 0, 0), (0, 0, 0, 1), ("base", "cam"), "finite"),
        ((1e300, 0, 0), (0, 0, 0, 1), ("base", "cam"), "10000 m|10 km|1e"),
        ((0, 0, 0), (0, 0, 0, 0), ("base", "cam"), "length 1"),
        ((0, 0, 0), (0, 0, 0.5, 1), ("base", "cam"), "length 1"),
        ((0, 0, 0), (math.nan, 0, 0, 1), ("base", "cam"), "finite"),
        ((0, 0, 0), (0, 0, 0, 1), ("base", ""), "name"),
        ((0, 0, 0), (0, 0, 0, 1), ("base", "a\x1b[2Jb"), "name"),
        ((0, 0, 0), (0, 0, 0, 1), ("base", "/base"), "own parent"),
    ],
)
def test_transforms_that_nothing_has_are_refused(translation, rotation, frames, words):
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = frames
    for name, value in zip("xyz", translation, strict=True):
        setattr(message.transform.translation, name, float(value))
    for name, value in zip("xyzw", rotation, strict=True):
        setattr(message.transform.rotation, name, float(value))
    with pytest.raises(InputError, match=words):
        conversions.transform_from_message(message)
