"""Deproject, CountObjects, gates, preferences, and every output of the node, over DDS with a scripted model."""

import io
import json
import math
import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from box_scene import BOX_M, BOX_UV, HOLE_UV, WALL_M, WALL_UV, box_truth_m, point_text  # noqa: E402
from builtin_interfaces.msg import Duration, Time  # noqa: E402
from dds_robot import ANSWER_S, position_of, scripted_robot, until, until_generating  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from geometry_msgs.msg import PoseStamped  # noqa: E402
from molmo_point_msgs.action import CountObjects, PointAt  # noqa: E402
from molmo_point_msgs.msg import PointTarget  # noqa: E402
from molmo_point_msgs.srv import Deproject, SetQuery  # noqa: E402
from molmo_point_ros.clients.count_client import CountClient  # noqa: E402
from molmo_point_ros.conversions import cautions_of, stamp_to_ns  # noqa: E402
from molmo_point_ros.nodes.goal_error import ErrorCode  # noqa: E402
from sensor_msgs.msg import CompressedImage  # noqa: E402

from molmo_point.cautions import CautionKind  # noqa: E402

pytestmark = [pytest.mark.ros, pytest.mark.timeout(240)]

EDGE_UV = (132.0, 40.0)
"""A pixel and a half beside the box: the wall is right there, the box is near."""
ANSWERS = {
    "the box": {"text": point_text(BOX_UV, "the box")},
    "the hole": {"text": point_text(HOLE_UV, "the hole")},
    "the edge": {"text": point_text(EDGE_UV, "the edge")},
    "two things": {"text": "Counting the things shows a total of 2. " + point_text(BOX_UV, "a") + point_text(WALL_UV, "b")},
    "a lie": {"text": "Counting the lies shows a total of 3. " + point_text(BOX_UV, "a") + point_text(WALL_UV, "b")},
    "slow things": {"text": point_text(BOX_UV, "a"), "seconds": 20.0},
}


@pytest.fixture(scope="module")
def robot(processes, tmp_path_factory):
    script = tmp_path_factory.mktemp("services") / "answers.json"
    script.write_text(json.dumps(ANSWERS), encoding="utf-8")
    with scripted_robot(processes, script, annotated_rate_hz=30.0) as robot:
        robot.counting = CountClient(robot.node)
        yield robot
        robot.counting.close()


def result_of(robot, caller, goal):
    """The result of a goal, whatever its code."""
    assert caller.wait_for_server(ANSWER_S)
    return caller.dispatch(goal).result(ANSWER_S)


def deproject(robot, *pixels, **options):
    request = Deproject.Request(u=[float(u) for u, _ in pixels], v=[float(v) for _, v in pixels], **options)
    return robot.call(Deproject, "molmo_point/deproject", request)


# ------------------------------------------------------------------------------------------------------------- deproject


def test_pixels_become_positions_and_holes_say_so(robot):
    response = deproject(robot, BOX_UV, HOLE_UV, WALL_UV)
    assert response.success, response.message
    box, hole, wall = response.targets
    np.testing.assert_allclose(position_of(box), box_truth_m(), atol=1e-3)
    assert wall.position.z == pytest.approx(WALL_M, abs=1e-3)
    assert hole.depth_status == PointTarget.DEPTH_MISSING and math.isnan(hole.position.x) and "depth" in hole.reason
    assert stamp_to_ns(response.header.stamp) in robot.camera.stamps


def test_the_stamp_of_an_answer_brings_back_its_image(robot):
    answer = robot.ask("the box").results[0]
    time.sleep(1.5)
    response = deproject(robot, BOX_UV, stamp=answer.header.stamp)
    assert response.success and response.header == answer.header
    assert position_of(response.targets[0]) == pytest.approx(position_of(answer.targets[0]), abs=2e-3)
    unknown = deproject(robot, BOX_UV, stamp=Time(sec=5))
    assert not unknown.success and "5000000000" in unknown.message


def test_pixels_go_into_the_frame_that_is_asked_for(robot):
    response = deproject(robot, BOX_UV, target_frame="base")
    assert response.success, response.message
    from dds_robot import base_T_camera

    truth = base_T_camera(stamp_to_ns(response.header.stamp), robot.moving.start_ns).apply(
        box_truth_m(), "camera_color_optical_frame"
    )
    assert response.header.frame_id == "base"
    np.testing.assert_allclose(position_of(response.targets[0]), truth, atol=1e-3)


@pytest.mark.parametrize(
    ("pixels", "options", "word"),
    [
        ([], {}, "0 u"),
        ([(1000.0, 5.0)], {}, "inside the image"),
        ([(math.nan, 5.0)], {}, "inside the image"),
        ([BOX_UV], {"prefer": "left"}, "left"),
        ([BOX_UV], {"reference_depth": -1.0}, "-1"),
        ([BOX_UV], {"target_frame": "nowhere"}, "nowhere"),
        ([BOX_UV], {"target_frame": "  "}, "target_frame"),
        ([BOX_UV], {"target_frame": "x" * 100_000}, "target_frame"),
        ([BOX_UV], {"reference_depth": math.nan}, "reference_depth"),
        ([BOX_UV], {"stamp": Time(sec=-3)}, "stamp"),
        ([BOX_UV], {"prefer": "x" * 100_000}, "prefer"),
    ],
)
def test_requests_that_cannot_be_answered_say_why(robot, pixels, options, word):
    robot.set(tf_timeout_s=0.5)
    response = deproject(robot, *pixels, **options)
    robot.set(tf_timeout_s=5.0)
    assert not response.success and word in response.message and not response.targets
    assert len(response.message) < 2000


# ------------------------------------------------------------------------------------------------- lifting preferences


def test_preference_and_reference_depth_choose_the_surface(robot):
    def depth(**options):
        goal = PointAt.Goal(queries=["the edge"], **options)
        result = result_of(robot, robot.client, goal)
        assert result.error_code == ErrorCode.NONE, result.error_msg
        return result.results[0].targets[0].position.z

    assert depth() == pytest.approx(BOX_M, abs=2e-3)
    assert depth(prefer="far") == pytest.approx(WALL_M, abs=2e-3)
    assert depth(reference_depth=0.4) == pytest.approx(0.4, abs=1e-4)
    result = result_of(robot, robot.client, PointAt.Goal(queries=["the edge"], prefer="top"))
    assert result.error_code == ErrorCode.GOAL_REJECTED and "top" in result.error_msg


def test_a_thing_that_no_gripper_can_take_says_why(robot):
    """The box is 14 cm wide as far as it is seen."""
    result = result_of(robot, robot.client, PointAt.Goal(queries=["the box"], compute_grasp=True))
    assert result.error_code == ErrorCode.NONE, result.error_msg
    assert not result.grasps
    assert result.results[0].targets[0].reason.startswith("no grasp: ")


# --------------------------------------------------------------------------------------------------------------- counts


def test_counts_over_several_images(robot):
    result = robot.counting.count("two things", samples=3, interval_s=0.2, timeout_s=ANSWER_S)
    assert (result.count, result.count_min, result.count_max) == (2, 2, 2)
    assert list(result.counts) == [2, 2, 2] and result.agreement == 1.0 and result.points_agree
    assert [target.label for target in result.points.targets] == ["a", "b"]
    assert result.points.targets[0].position.z == pytest.approx(BOX_M, abs=2e-3)


def test_a_stated_number_that_is_not_that_of_the_points_is_told(robot):
    result = result_of(robot, robot.counting, CountObjects.Goal(query="a lie", return_points=False))
    assert result.error_code == ErrorCode.NONE, result.error_msg
    assert result.count == 2 and not result.points_agree and not result.points.targets
    kinds = {caution.kind for caution in cautions_of(result.points)}
    assert {CautionKind.COUNT_DIFFERS, CautionKind.UNCALIBRATED} <= kinds and math.isnan(result.confidence)


def test_a_count_can_be_cancelled_in_the_middle_of_generation(robot):
    took_s = []
    for _ in range(3):
        call = robot.counting.dispatch(CountObjects.Goal(query="slow things", samples=5))
        until_generating(call, robot)
        started_s = time.monotonic()
        call.cancel()
        result = call.result(ANSWER_S)
        took_s.append(time.monotonic() - started_s)
        assert result.error_code == ErrorCode.CANCELED and math.isnan(result.agreement)
        if took_s[-1] < 0.5:
            break
    assert min(took_s) < 0.5, took_s


def test_a_count_and_a_pointing_goal_share_the_queue(robot):
    counting = robot.counting.dispatch(CountObjects.Goal(query="slow things"))
    until_generating(counting, robot)
    assert robot.ask("the box").results[0].targets
    assert "preempted" in counting.result(ANSWER_S).error_msg


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (SetQuery.Request(queries=["x" * 10**6]), "queries"),
        (SetQuery.Request(queries=["it"] * 1000), "queries"),
        (SetQuery.Request(queries=["\x1b[2J"]), "query"),
        (SetQuery.Request(queries=["it"], target_frame=" "), "target_frame"),
        (SetQuery.Request(queries=["it"], target_frame="x" * 10**6), "target_frame"),
        (SetQuery.Request(queries=["it"], prefer="x" * 10**6), "prefer"),
        (SetQuery.Request(queries=["it"], max_rate=math.nan), "max_rate"),
        (SetQuery.Request(queries=["it"], max_rate=math.inf), "max_rate"),
    ],
)
def test_continuous_mode_refuses_absurd_requests_in_few_words(robot, request_, word):
    response = robot.call(SetQuery, "molmo_point/set_query", request_)
    assert not response.success and word in response.message
    assert len(response.message) < 2000 and response.message.isprintable()


@pytest.mark.parametrize(
    ("goal", "word"),
    [
        (PointAt.Goal(queries=["x" * 10**6]), "queries"),
        (PointAt.Goal(queries=["the box"], target_frame="\t"), "target_frame"),
        (PointAt.Goal(queries=["the box"], target_frame="x" * 10**6), "target_frame"),
        (PointAt.Goal(queries=["the box"], reference_depth=math.nan), "reference_depth"),
        (PointAt.Goal(queries=["the box"], reference_depth=math.inf), "reference_depth"),
        (PointAt.Goal(queries=["the box"], timeout=Duration(sec=-1)), "timeout"),
        (PointAt.Goal(queries=["the box"], timeout=Duration(sec=10**9)), "timeout"),
    ],
)
def test_goals_with_absurd_fields_are_refused_by_name(robot, goal, word):
    result = result_of(robot, robot.client, goal)
    assert result.error_code == ErrorCode.GOAL_REJECTED and word in result.error_msg and len(result.error_msg) < 2000


@pytest.mark.parametrize(
    ("goal", "word"),
    [
        ({"query": " "}, "empty"),
        ({"query": "a", "samples": 1000}, "1000"),
        ({"query": "a", "interval": Duration(sec=-1)}, "interval"),
        ({"query": "a", "interval": Duration(sec=2**31 - 1)}, "interval"),
        ({"query": "a", "timeout": Duration(sec=-1)}, "timeout"),
    ],
)
def test_counts_that_make_no_sense_are_refused(robot, goal, word):
    result = result_of(robot, robot.counting, CountObjects.Goal(**goal))
    assert result.error_code == ErrorCode.GOAL_REJECTED and word in result.error_msg


# ---------------------------------------------------------------------------------------------------------------- gates


def test_what_a_gate_stops_is_in_the_array_only(robot):
    open_to_all = {"workspace_min": [-math.inf] * 3, "workspace_max": [math.inf] * 3, "max_sigma_m": 0.0}
    cases = (
        ({"workspace_max": [math.inf, math.inf, 0.4]}, PointTarget.GATE_WORKSPACE),
        ({"max_sigma_m": 1e-4}, PointTarget.GATE_UNCERTAINTY),
        ({"max_target_age_s": 1e-5}, PointTarget.GATE_AGE),
    )
    heard = robot.heard
    for limits, gate in cases:
        robot.set(**limits)
        stopped = robot.ask("the box").results[0]
        robot.set(**open_to_all, max_target_age_s=0.0)
        passed = robot.ask("the box").results[0]
        until(lambda passed=passed: heard.of(heard.points, passed.header.stamp), ANSWER_S, robot.processes)
        (target,) = stopped.targets
        assert target.gate == gate and target.reason
        np.testing.assert_allclose(position_of(target), box_truth_m(), atol=1e-3)
        assert not heard.of(heard.points, stopped.header.stamp) and not heard.of(heard.poses, stopped.header.stamp)
        assert passed.targets[0].gate == PointTarget.GATE_OPEN


# -------------------------------------------------------------------------------------------------------------- outputs


def test_pose_and_annotated_image_carry_the_capture_time(robot):
    poses, images = [], []
    subscriptions = [
        robot.node.create_subscription(PoseStamped, "molmo_point/target_pose", poses.append, 10),
        robot.node.create_subscription(CompressedImage, "molmo_point/annotated/compressed", images.append, 10),
    ]
    until(lambda: robot.ask("the box") and poses and images, ANSWER_S, robot.processes)
    for subscription in subscriptions:
        robot.node.destroy_subscription(subscription)
    pose, image = poses[-1], images[-1]
    np.testing.assert_allclose([pose.pose.position.x, pose.pose.position.y, pose.pose.position.z], box_truth_m(), atol=1e-3)
    assert stamp_to_ns(pose.header.stamp) in robot.camera.stamps and stamp_to_ns(image.header.stamp) in robot.camera.stamps
    from PIL import Image

    with Image.open(io.BytesIO(bytes(image.data))) as picture:
        assert picture.format == "JPEG" and picture.size == (160, 120)
        drawn = np.abs(np.asarray(picture, dtype=int) - robot.camera.color).max(axis=2) > 60
    assert drawn[30:50, 100:120].any(), "nothing is drawn at the point"


def test_diagnostics_tell_state_speed_and_what_went_wrong(robot):
    heard: list[DiagnosticArray] = []
    subscription = robot.node.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
    robot.ask("the box")
    until(lambda: len(heard) > 2, ANSWER_S, robot.processes)
    values = {value.key: value.value for value in heard[-1].status[0].values}
    robot.refusal("the hole", target_frame="nowhere", timeout_s=20.0)

    def warned() -> list[DiagnosticStatus]:
        told = [message.status[0] for message in heard]
        return [status for status in told if status.level == DiagnosticStatus.WARN and "nowhere" in status.message]

    until(lambda: bool(warned()), ANSWER_S, robot.processes)
    robot.node.destroy_subscription(subscription)
    warning = warned()[0]
    assert heard[0].status[0].name == "molmo_point: pointing" and stamp_to_ns(heard[0].header.stamp) > 0
    assert values["state"] == "active" and values["model"] == "scripted"
    hole = np.isnan(robot.camera.depth_m).mean()
    assert float(values["depth fill"]) == pytest.approx(1 - hole, abs=0.03)
    assert 0 < float(values["capture to output s, median"]) < 20 and float(values["skew of depth s"]) == 0.0
    assert float(values["memory MiB"]) > 20 and int(values["frames received"]) > 10
    assert "nowhere" in warning.message
