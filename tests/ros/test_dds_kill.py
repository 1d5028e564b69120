"""kill -9 of client, node and camera in every state: what is left goes on, and what comes back is taken.

In a module of its own, with no other robot around: see docs/ros.md, "After kill -9".
"""

import os
import signal
import time

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from dds_robot import ANSWER_S, SCRIPTED_NODE, START_S, scripted_robot, until  # noqa: E402
from molmo_point_msgs.action import PointAt  # noqa: E402
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError  # noqa: E402

pytestmark = [pytest.mark.ros, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def robot(processes, answers_file):
    """A robot in /robot1."""
    with scripted_robot(processes, answers_file, namespace="/robot1") as robot:
        yield robot


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
        assert caught.value.code == ErrorCode.TIMEOUT
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
    assert error.code == ErrorCode.NO_IMAGE, error
    robot.set(image_timeout_s=15.0)
    camera, _ = processes.start("camera_node", parameters=recording, namespace="/robot1")
    until(lambda: answered(robot), START_S, processes)
    kill(camera)
    robot.camera.now_ns = time.time_ns
    assert robot.ask("the box").results[0].targets
