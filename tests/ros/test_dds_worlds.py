"""Two robots at once, two clients of one, and simulated time that jumps and steps back."""

import threading
import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from box_scene import INTRINSICS, box_scene, box_truth_m  # noqa: E402
from dds_robot import ANSWER_S, SCRIPTED_NODE, START_S, SceneCamera, position_of, scripted_robot, until  # noqa: E402
from geometry_msgs.msg import PointStamped  # noqa: E402
from molmo_point_ros.clients.point_client import PointAtClient  # noqa: E402
from molmo_point_ros.conversions import stamp_from_ns, stamp_to_ns  # noqa: E402
from molmo_point_ros.nodes.goal_error import ErrorCode  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402

pytestmark = [pytest.mark.ros, pytest.mark.timeout(300)]

PATIENT = {"image_timeout_s": 4.0, "tf_timeout_s": 2.0, "lifespan_s": 30.0}


@pytest.fixture(scope="module")
def robot(processes, answers_file):
    """The first robot, in /robot1, on wall time."""
    with scripted_robot(processes, answers_file, namespace="/robot1") as robot:
        yield robot


# ------------------------------------------------------------------------------------------------------- two robots


def test_two_robots_in_two_namespaces_at_once_each_get_their_own_answer(robot, answers_file):
    """The second robot's box is farther away; both are asked at the same time, three times."""
    robot.processes.start(SCRIPTED_NODE, str(answers_file), parameters=PATIENT, namespace="/robot2")
    node = rclpy.create_node("test_client", namespace="/robot2")
    color, depth_m = box_scene()
    camera = SceneCamera(node, (color, depth_m + 0.25), INTRINSICS)
    client = PointAtClient(node)
    heard = []
    node.create_subscription(PointStamped, "molmo_point/target_point", heard.append, 10)
    try:
        assert client.wait_for_server(START_S), robot.processes.output()
        for _ in range(3):
            calls = [robot.client.send(["the box"]), client.send(["the box"])]
            first, second = [call.result(ANSWER_S) for call in calls]
            assert first.error_code == second.error_code == ErrorCode.NONE, robot.processes.output()
            np.testing.assert_allclose(position_of(first.results[0].targets[0]), box_truth_m(), atol=1e-3)
            far = box_truth_m() * (0.75 / 0.5)
            np.testing.assert_allclose(position_of(second.results[0].targets[0]), far, atol=1e-3)
        until(lambda: heard, ANSWER_S, robot.processes)
        assert all(abs(message.point.z - 0.75) < 1e-3 for message in heard)
        assert all(abs(message.point.z - 0.5) < 1e-3 for message in robot.heard.points)
        names = {name for name, _ in node.get_topic_names_and_types()} - {"/parameter_events", "/rosout", "/tf", "/tf_static"}
        outside = {name for name in names if not name.startswith(("/robot1/", "/robot2/"))}
        assert outside <= {"/diagnostics"}, "nothing else is at the root"
    finally:
        camera.close()
        client.close()
        node.destroy_node()


def test_two_clients_of_one_robot_do_not_block_each_other(robot):
    """Goals of both at once, ten times: every one ends, answered or preempted, and the last is answered."""
    other = rclpy.create_node("second_client", namespace="/robot1")
    client = PointAtClient(other)
    try:
        assert client.wait_for_server(START_S)
        robot.ask("the box", client=client)
        codes = []
        for _ in range(10):
            calls = [robot.client.send(["the box"]), client.send(["the wall"])]
            codes += [call.result(ANSWER_S).error_code for call in calls]
        assert set(codes) <= {ErrorCode.NONE, ErrorCode.CANCELED} and ErrorCode.NONE in codes, codes
        assert robot.ask("the box", client=client).results[0].targets
    finally:
        client.close()
        other.destroy_node()


# ------------------------------------------------------------------------------------------------------ simulated time


class SimulatedClock:
    """Publishes /clock at 50 Hz; `jump` adds to it."""

    def __init__(self, node, start_ns):
        self._start_ns, self._began_s, self._offset_ns = start_ns, time.monotonic(), 0
        self._publisher = node.create_publisher(Clock, "/clock", 10)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def now_ns(self):
        return self._start_ns + self._offset_ns + round((time.monotonic() - self._began_s) * 1e9)

    def jump(self, seconds):
        self._offset_ns += round(seconds * 1e9)
        time.sleep(0.3)

    def _run(self):
        while not self._end.wait(0.02):
            self._publisher.publish(Clock(clock=stamp_from_ns(self.now_ns())))

    def close(self):
        self._end.set()
        self._thread.join()


@pytest.fixture(scope="module")
def simulated(robot, answers_file):
    """A node on simulated time that starts at 100 s, its camera on the same time, and a client."""
    parameters = {**PATIENT, "use_sim_time": True}
    process, _ = robot.processes.start(SCRIPTED_NODE, str(answers_file), parameters=parameters, namespace="/sim")
    node = rclpy.create_node("test_client", namespace="/sim")
    clock = SimulatedClock(node, 100_000_000_000)
    camera = SceneCamera(node, box_scene(), INTRINSICS)
    camera.now_ns = clock.now_ns
    client = PointAtClient(node)
    assert client.wait_for_server(START_S), robot.processes.output()
    yield process, clock, camera, client
    clock.close()
    camera.close()
    client.close()
    node.destroy_node()


def test_simulated_time_with_jumps_forwards_and_backwards(robot, simulated):
    """A bag that is played again steps back; a simulator that is paused jumps. Each time the next answer is of the new time."""
    process, clock, _, client = simulated
    for jump_s in (0.0, 60.0, -90.0, 3600.0, -3600.0):
        clock.jump(jump_s)
        before_ns = clock.now_ns()
        array = robot.ask("the box", client=client).results[0]
        stamp_ns = stamp_to_ns(array.header.stamp)
        assert before_ns - 0.2e9 <= stamp_ns <= clock.now_ns(), f"after {jump_s:+} s: {(stamp_ns - before_ns) * 1e-9:.2f} s off"
        assert stamp_ns < 10_000_000_000_000, "simulated time, not the wall's"
        np.testing.assert_allclose(position_of(array.targets[0]), box_truth_m(), atol=1e-3)
    assert process.poll() is None


def test_a_clock_that_steps_back_under_a_goal_does_not_hold_it(robot, simulated):
    """The goal waits for an image later than its acceptance, and then no image ever is: it ends with a reason."""
    process, clock, camera, client = simulated
    robot.ask("the box", client=client)
    camera.change = lambda color, depth, info: setattr(color, "encoding", "held back")
    call = client.send(["the slow box"])
    call.wait_answered(ANSWER_S)
    clock.jump(-50.0)
    camera.change = None
    result = call.result(ANSWER_S)
    assert result.error_code in (ErrorCode.NO_IMAGE, ErrorCode.NONE), result.error_msg
    assert robot.ask("the box", client=client).results[0].targets
    assert process.poll() is None
