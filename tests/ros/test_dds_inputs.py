"""Over real DDS: every kind of camera and of garbage. The node answers rightly or with one clear error, and goes on."""

import copy
import json
import time
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from box_scene import BOX_UV, FRAME, INTRINSICS, box_scene, box_truth_m, point_text  # noqa: E402
from dds_robot import ANSWER_S, SceneCamera, position_of, scripted_robot, until  # noqa: E402
from geometry_msgs.msg import TransformStamped  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from molmo_point_msgs.action import PointAt  # noqa: E402
from molmo_point_msgs.msg import PointTargetArray  # noqa: E402
from molmo_point_ros.conversions import stamp_from_ns, stamp_to_ns  # noqa: E402
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError  # noqa: E402
from molmo_point_ros.nodes.goal_server import RESULT_TIMEOUT_S  # noqa: E402
from rclpy.action import ActionClient  # noqa: E402
from sensor_msgs.msg import CameraInfo  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

pytestmark = [pytest.mark.ros, pytest.mark.timeout(240)]

CYCLE = (
    Transition.TRANSITION_DEACTIVATE,
    Transition.TRANSITION_CLEANUP,
    Transition.TRANSITION_CONFIGURE,
    Transition.TRANSITION_ACTIVATE,
)
MOST_GROWTH_MIB = 60


@pytest.fixture(scope="module")
def robot(processes, tmp_path_factory):
    answers = {
        "the box": {"text": point_text(BOX_UV, "the box")},
        "the slow box": {"text": point_text(BOX_UV, "the slow box"), "seconds": 20.0},
    }
    file = tmp_path_factory.mktemp("script") / "answers.json"
    file.write_text(json.dumps(answers), encoding="utf-8")
    with scripted_robot(processes, file, image_timeout_s=2.0) as robot:
        yield robot


def answers(robot):
    """Whether the node points at the box."""
    try:
        robot.client.point_at(["the box"], timeout_s=ANSWER_S)
    except GoalError:
        return False
    return True


@pytest.fixture(autouse=True)
def usual_camera(robot):
    """Each test starts and ends with the usual camera, and with a node that answers."""
    yield
    camera = robot.camera
    camera.change, camera.encoding, camera.intrinsics, camera.now_ns = None, "16UC1", INTRINSICS, time.time_ns
    camera.color, camera.depth_m = box_scene()
    # A goal takes an image captured after it; one "from the future" is that, too, until the next comes.
    until(lambda: answers(robot), 20.0, robot.processes)
    assert robot.pointing.poll() is None


def memory_mib(process):
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def assert_box(robot, **options):
    (target,) = robot.ask("the box", **options).results[0].targets
    np.testing.assert_allclose(position_of(target), box_truth_m(), atol=2e-3)


# ------------------------------------------------------------------------------------------ what cameras really send


def as_big_endian(color, depth, info):
    values = np.frombuffer(depth.data, "<u2")
    depth.is_bigendian, depth.data = 1, values.astype(">u2").tobytes()


def as_padded_rows(color, depth, info):
    rows = np.frombuffer(depth.data, np.uint8).reshape(depth.height, -1)
    depth.step, depth.data = depth.step + 16, np.pad(rows, ((0, 0), (0, 16)), constant_values=255).tobytes()


def as_bgr(color, depth, info):
    color.encoding = "bgr8"


def as_binned(color, depth, info):
    """Camera info of the full sensor, of which this image has every second pixel: its edges stay in place."""
    info.width, info.height, info.binning_x, info.binning_y = 320, 240, 2, 2
    info.k = [300.0, 0.0, (79.5 + 0.5) * 2 - 0.5, 0.0, 300.0, (59.5 + 0.5) * 2 - 0.5, 0.0, 0.0, 1.0]


def as_region(color, depth, info):
    """Camera info of a sensor of which this image is a part."""
    info.width, info.height = 640, 480
    info.k = [150.0, 0.0, 79.5 + 100, 0.0, 150.0, 59.5 + 50, 0.0, 0.0, 1.0]
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 100, 50, 160, 120


def with_slash_frames(color, depth, info):
    for message in (color, depth, info):
        message.header.frame_id = "/" + message.header.frame_id


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
@pytest.mark.parametrize("change", [None, as_bgr, as_binned, as_region, with_slash_frames])
def test_cameras_of_every_kind_give_the_right_point(robot, encoding, change):
    robot.camera.encoding, robot.camera.change = encoding, change
    assert_box(robot)


@pytest.mark.parametrize("change", [as_big_endian, as_padded_rows])
def test_16_bit_depth_however_it_lies_in_memory(robot, change):
    robot.camera.change = change
    assert_box(robot)


def test_a_camera_in_other_units_is_right_once_told_so_and_a_factor_off_before(robot):
    """A D405 set to 0.1 mm per unit."""

    def in_tenths(color, depth, info):
        depth.data = (np.frombuffer(depth.data, "<u2") * 10).astype("<u2").tobytes()

    robot.camera.change = in_tenths
    robot.set(depth_unit_m=0.0001)
    robot.transition(*CYCLE)
    assert_box(robot)
    robot.set(depth_unit_m=0.001)
    robot.transition(*CYCLE)
    target = robot.ask("the box").results[0].targets[0]
    assert position_of(target)[2] == pytest.approx(5.0, abs=0.02), "no guessing: the unit is what the parameter says"


@pytest.fixture
def reliable_camera(robot):
    """The camera offers its images reliably, for one test."""
    robot.camera.close()
    robot.camera = SceneCamera(robot.node, box_scene(), INTRINSICS, reliable=True)
    yield
    robot.camera.close()
    robot.camera = SceneCamera(robot.node, box_scene(), INTRINSICS)


@pytest.fixture
def asks_reliably(robot):
    """The node asks for images reliably, for one test."""
    robot.set(reliable=True)
    robot.transition(*CYCLE)
    yield
    robot.set(reliable=False)
    robot.transition(*CYCLE)


def test_a_reliable_camera_serves_a_node_that_asks_for_best_effort(robot, reliable_camera):
    assert_box(robot)


def test_a_reliable_camera_serves_a_node_that_asks_reliably(robot, reliable_camera, asks_reliably):
    assert_box(robot)


def test_a_best_effort_camera_cannot_serve_a_node_that_asks_reliably_and_both_places_say_so(robot, asks_reliably):
    error = robot.refusal("the box")
    assert error.code == ErrorCode.NO_IMAGE and "color/image_raw" in str(error), error
    assert "RELIABILITY" in robot.processes.output()


# ------------------------------------------------------------------------------------------- what cannot be answered on


def spoil(part, **values):
    """Changes fields of the colour image (0), the depth image (1) or the camera info (2)."""

    def change(*messages):
        for name, value in values.items():
            setattr(messages[part], name, value)

    return change


def shifted(*parts, by_s):
    """Moves the stamps of these messages."""

    def change(*messages):
        for part in parts:
            header = messages[part].header
            header.stamp = stamp_from_ns(max(stamp_to_ns(header.stamp) + round(by_s * 1e9), 0))

    return change


def of_another_frame(color, depth, info):
    depth.header.frame_id = "camera_depth_optical_frame"


def without_frames(color, depth, info):
    for message in (color, depth, info):
        message.header.frame_id = ""


def at_half_resolution(color, depth, info):
    depth.height, depth.width, depth.step = 60, 80, 160
    depth.data = bytes(60 * 80 * 2)


def of_another_camera(color, depth, info):
    info.width, info.height = 1280, 720


HUGE = 4_294_967_295
UNKNOWN_LENS = {"distortion_model": "ftheta", "d": [0.1, 0.2, 0.3, 0.4]}
GARBAGE = {
    "colour encoding": (spoil(0, encoding="bayer_rggb16"), "NO_IMAGE", "bayer_rggb16"),
    "colour encoding without end": (spoil(0, encoding="x" * 100_000), "NO_IMAGE", "encoding of the color image"),
    "depth encoding": (spoil(1, encoding="rgb16"), "NO_DEPTH", "rgb16"),
    "colour larger than its data": (spoil(0, width=320), "NO_IMAGE", "color image does not fit"),
    "colour of a size that no memory holds": (spoil(0, width=HUGE, height=HUGE, step=HUGE), "NO_IMAGE", "does not fit"),
    "colour without pixels": (spoil(0, width=0, height=0, step=0, data=b""), "NO_IMAGE", "does not fit"),
    "colour whose rows overlap": (spoil(0, step=1), "NO_IMAGE", "does not fit"),
    "depth larger than its data": (spoil(1, height=240), "NO_DEPTH", "depth image does not fit"),
    "depth at half resolution": (at_half_resolution, "NO_DEPTH", "must be aligned"),
    "depth of another frame": (of_another_frame, "NO_DEPTH", "aligned"),
    "zero intrinsics": (spoil(2, k=[0.0] * 9), "NO_DEPTH", "focal length"),
    "intrinsics that are no numbers": (spoil(2, k=[np.nan] * 9), "NO_DEPTH", "focal length"),
    "intrinsics of another size": (of_another_camera, "NO_DEPTH", "must be those of the image"),
    "an unknown lens": (spoil(2, **UNKNOWN_LENS), "NO_DEPTH", "ftheta"),
    "no frame": (without_frames, "NO_IMAGE", "frame_id"),
    "no stamps": (shifted(0, 1, 2, by_s=-4e9), "NO_IMAGE", "had no stamp"),
    "stamps from the past": (shifted(0, 1, 2, by_s=-3600), "NO_IMAGE", "too old"),
    "stamps from the future": (shifted(0, 1, 2, by_s=3600), "NO_IMAGE", "future"),
    "depth of another moment": (shifted(1, by_s=0.025), "SYNC_ERROR", "25.0 ms"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_images_that_cannot_be_used_are_one_clear_error(robot, name):
    robot.camera.change, code, words = GARBAGE[name]
    error = robot.refusal("the box")
    assert (error.code, words in str(error)) == (getattr(ErrorCode, code), True), f"{error.code}: {error}"
    assert len(str(error)) < 2000, "an error that nobody can read"


def test_depth_with_the_camera_info_of_another_camera_bears_a_caution(robot):
    publisher = robot.node.create_publisher(CameraInfo, "depth/camera_info", 10)

    def is_doubted():
        flags = robot.ask("the box").results[0].cautions
        return bool(flags & PointTargetArray.MISALIGNED_DEPTH)

    def with_depth_info(scale):
        def change(color, depth, info):
            own = copy.deepcopy(info)
            own.k[0] *= scale
            publisher.publish(own)

        return change

    assert not is_doubted()
    for scale, doubted in ((0.7, True), (1.0, False)):
        robot.camera.change = with_depth_info(scale)
        until(lambda doubted=doubted: is_doubted() == doubted, 20.0, robot.processes)
    robot.node.destroy_publisher(publisher)


@pytest.mark.slow
def test_images_in_the_body_frame_of_a_camera_are_refused_until_the_parameter_names_the_optical_one(robot):
    def in_body_frame(*messages):
        for message in messages:
            message.header.frame_id = "camera_link"

    robot.camera.change = in_body_frame
    error = robot.refusal("the box")
    assert error.code == ErrorCode.TF_ERROR and "'camera_link'" in str(error) and "optical_frame" in str(error), error
    robot.set(optical_frame=FRAME)
    robot.transition(*CYCLE)
    assert_box(robot)
    robot.set(optical_frame="")
    robot.transition(*CYCLE)


def test_transforms_that_are_none_are_left_out_and_the_others_hold(robot):
    publisher = robot.node.create_publisher(TFMessage, "/tf", 10)
    bad = []
    for number, (x, w) in enumerate(((np.nan, 1.0), (0.0, 0.0), (np.inf, 1.0), (0.0, np.nan))):
        transform = TransformStamped(child_frame_id=FRAME)
        transform.header.frame_id = f"bad{number}"
        transform.header.stamp = stamp_from_ns(time.time_ns())
        transform.transform.translation.x, transform.transform.rotation.w = x, w
        bad.append(transform)
    bad.append(TransformStamped())
    until(lambda: robot.node.count_subscribers("/tf") > 0, ANSWER_S, robot.processes)
    for _ in range(20):
        publisher.publish(TFMessage(transforms=bad))
        time.sleep(0.02)
    robot.set(tf_timeout_s=0.5)
    error = robot.refusal("the box", target_frame="bad0")
    assert error.code == ErrorCode.TF_ERROR and "'bad0' does not exist" in str(error)
    robot.set(tf_timeout_s=5.0)
    assert np.all(np.isfinite(position_of(robot.ask("the box", target_frame="base").results[0].targets[0])))
    robot.node.destroy_publisher(publisher)


# ------------------------------------------------------------------------------------------------------ goals of all kinds


@pytest.mark.parametrize(
    ("queries", "words"),
    [
        (["the box"] * 17, "17 queries"),
        ([""], "empty"),
        (["the \x07 box"], "control characters"),
        (["the box " * 200], "1000"),
    ],
)
def test_queries_that_cannot_be_asked_are_rejected(robot, queries, words):
    error = robot.refusal(*queries)
    assert error.code == ErrorCode.GOAL_REJECTED and words in str(error), error
    assert len(str(error)) < 2000


def test_ten_megabytes_of_words_are_rejected(robot):
    error = robot.refusal("the box " * 1_250_000)
    assert error.code == ErrorCode.GOAL_REJECTED and len(str(error)) < 2000


@pytest.mark.slow
def test_long_words_do_not_stay_in_memory(robot):
    """Fast DDS keeps the last ten requests, and rclpy a goal for as long as its result may be asked for."""
    sizes_mib = []
    for _ in range(3):
        for _ in range(12):
            robot.refusal("the box " * 250_000)
        time.sleep(RESULT_TIMEOUT_S + 1)
        sizes_mib.append(memory_mib(robot.pointing))
    assert sizes_mib[2] - sizes_mib[1] < 12, f"{sizes_mib} MiB after 24, 48 and 72 MB of words"


def test_odd_numbers_in_a_goal_do_no_harm(robot):
    client = ActionClient(robot.node, PointAt, "molmo_point/point_at")
    assert client.wait_for_server(ANSWER_S)
    goal = PointAt.Goal(queries=["the box"], max_points=HUGE, target_frame="//" + "f" * 100_000)
    goal.timeout.sec = -5
    ended = []
    robot.set(tf_timeout_s=0.5)

    def send():
        client.send_goal_async(goal).add_done_callback(
            lambda sent: sent.result().get_result_async().add_done_callback(lambda future: ended.append(future.result().result))
        )

    try:
        for code in (ErrorCode.GOAL_REJECTED, ErrorCode.GOAL_REJECTED, ErrorCode.TF_ERROR):
            ended.clear()
            robot.node.executor.create_task(send)
            until(lambda: ended, ANSWER_S, robot.processes)
            assert ended[0].error_code == code and len(ended[0].error_msg) < 2000, ended[0].error_msg[:200]
            goal.target_frame, goal.timeout.sec = goal.target_frame[:200] if goal.timeout.sec > 0 else goal.target_frame, 20
    finally:
        robot.node.executor.create_task(client.destroy)
        robot.set(tf_timeout_s=5.0)


@pytest.mark.slow
def test_a_thousand_goals_in_a_burst_leave_a_node_that_answers(robot):
    """DDS keeps the last ten requests and responses of a client: most of a burst is lost, and so are some results."""
    before_mib = memory_mib(robot.pointing)
    calls = [robot.client.send(["the slow box"]) for _ in range(1000)]
    until(lambda: any(call.feedback for call in calls), ANSWER_S, robot.processes)
    answered = [-1]
    # A goal of the burst that is still on its way would preempt the next question.
    while answered[-1] != sum(call.wait_answered(0.0) for call in calls) and len(answered) < 30:
        answered.append(sum(call.wait_answered(0.0) for call in calls))
        time.sleep(1.0)
    assert robot.ask("the box").results[0].targets
    accepted = [call for call in calls if call.wait_answered(0.0)]
    until(lambda: sum(call.wait_ended(0.0) for call in accepted) > len(accepted) / 2, ANSWER_S, robot.processes)
    codes = [call.result(0.0).error_code for call in accepted if call.wait_ended(0.0)]
    print(f"{len(accepted)} of 1000 accepted, {len(codes)} results")
    assert len(accepted) > 10 and set(codes) == {ErrorCode.CANCELED}, f"{ {code: codes.count(code) for code in set(codes)} }"
    grown_mib = memory_mib(robot.pointing) - before_mib
    assert grown_mib < MOST_GROWTH_MIB, f"{grown_mib:.0f} MiB more after a thousand goals"
