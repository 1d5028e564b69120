"""Two robots at once, simulated time that jumps and steps back, and processes that are killed in every state."""

import os
import signal
import threading
import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from box_scene import INTRINSICS, box_scene, box_truth_m  # noqa: E402
from dds_robot import ANSWER_S, SCRIPTED_NODE, START_S, SceneCamera, position_of, scripted_robot, until  # noqa: E402
from geometry_msgs.msg import PointStamped  # noqa: E402
from molmo_point_msgs.action import PointAt  # noqa: E402
from molmo_point_ros.client import PointAtClient  # noqa: E402
from molmo_point_ros.conversions import stamp_from_ns, stamp_to_ns  # noqa: E402
from molmo_point_ros.goal_error import CODES, GoalError  # noqa: E402
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
            assert first.error_code == second.error_code == CODES.NONE, robot.processes.output()
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
        assert set(codes) <= {CODES.NONE, CODES.CANCELED} and CODES.NONE in codes, codes
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
    assert result.error_code in (CODES.NO_IMAGE, CODES.NONE), result.error_msg
    assert robot.ask("the box", client=client).results[0].targets
    assert process.poll() is None


# ------------------------------------------------------------------------------------------------------------ kill -9


STATES = {"idle": None, "waiting": "WAITING_IMAGE", "generating": "GENERATING"}


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def in_state(robot, state):
    """Bring the first robot's goal into a state. Returns the goal's call, None where there is no goal."""
    if STATES[state] is None:
        return None
    if state == "waiting":
        robot.camera.now_ns = lambda: time.time_ns() - 3_600_000_000_000
    call = robot.client.send(["the slow box"])
    wanted = getattr(PointAt.Feedback, STATES[state])
    until(lambda: any(feedback.state == wanted for feedback in call.feedback), ANSWER_S, robot.processes)
    robot.camera.now_ns = time.time_ns
    return call


@pytest.mark.parametrize("state", ["generating", *(pytest.param(state, marks=pytest.mark.slow) for state in ("idle", "waiting"))])
def test_a_killed_client_leaves_a_node_that_answers_the_next(robot, state):
    query = "the slow box" if state == "generating" else "the box"
    server = "/robot1/molmo_point"
    process, _ = robot.processes.start("client", query, "--server", server)
    if state == "generating":
        until(lambda: robot.node.count_clients(f"{server}/point_at/_action/send_goal") > 1, START_S, robot.processes)
        time.sleep(1.0)
    kill(process)
    assert robot.ask("the box").results[0].targets
    assert robot.pointing.poll() is None


@pytest.mark.parametrize("state", ["generating", *(pytest.param(state, marks=pytest.mark.slow) for state in ("idle", "waiting"))])
def test_a_killed_node_ends_the_wait_and_a_new_one_takes_over(robot, answers_file, state):
    call = in_state(robot, state)
    kill(robot.pointing)
    if call is not None:
        with pytest.raises(GoalError) as caught:
            call.result(1.5)
        assert caught.value.code == CODES.TIMEOUT
    patient = {"image_timeout_s": 15.0, "tf_timeout_s": 5.0, "lifespan_s": 30.0}
    robot.pointing, _ = robot.processes.start(SCRIPTED_NODE, str(answers_file), parameters=patient, namespace="/robot1")
    until(lambda: answered(robot), START_S, robot.processes)


def answered(robot):
    """Whether a goal is answered; the dead server may still be known for some seconds."""
    try:
        return robot.client.point_at(["the box"], timeout_s=8.0).results[0].targets
    except GoalError:
        return False


@pytest.mark.slow
def test_a_killed_camera_is_a_reason_and_a_new_one_is_taken(robot, processes, record_scene):
    recording = {"camera": "recording", "recording": str(record_scene()), "reliable": False}
    robot.camera.now_ns = lambda: 0
    camera, _ = processes.start("camera_node", parameters=recording, namespace="/robot1")
    until(lambda: answered(robot), START_S, processes)
    kill(camera)
    robot.set(image_timeout_s=1.0)
    error = robot.refusal("the box")
    assert error.code == CODES.NO_IMAGE, error
    robot.set(image_timeout_s=15.0)
    camera, _ = processes.start("camera_node", parameters=recording, namespace="/robot1")
    until(lambda: answered(robot), START_S, processes)
    kill(camera)
    robot.camera.now_ns = time.time_ns
    assert robot.ask("the box").results[0].targets
