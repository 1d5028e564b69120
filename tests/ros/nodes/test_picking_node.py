"""The picking node as a process, over real DDS: with a scripted arm, and (slow) with the simulated one and the model."""

import json
import math
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from builtin_interfaces.msg import Duration  # noqa: E402
from molmo_point_msgs.action import PickObject  # noqa: E402
from molmo_point_ros.clients import action_caller  # noqa: E402
from molmo_point_ros.clients.action_caller import ActionCaller  # noqa: E402
from molmo_point_ros.clients.pick_client import PickClient  # noqa: E402
from molmo_point_ros.nodes.goal_error import GoalError  # noqa: E402
from molmo_point_ros.picking.pick_goal import CODE_OF  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from molmo_point.commands import PlaceStep, Relation, parse_command  # noqa: E402
from molmo_point.errors import InputError  # noqa: E402
from molmo_point.picking.command_executor import CountOutcome, MoveOutcome  # noqa: E402
from molmo_point.picking.states import PickFailure, PickState  # noqa: E402
from molmo_point.pointer import Pointer  # noqa: E402

from ...arm.still_arm import StillArm  # noqa: E402
from ...evaluation.test_place_trial import Silent  # noqa: E402

pytestmark = [pytest.mark.ros, pytest.mark.timeout(240)]
CODES = PickObject.Result
START_S, ANSWER_S = 90.0, 40.0
ASIDE = PlaceStep(Relation.ASIDE)
LOGGER = rclpy.logging.get_logger("test")


@pytest.fixture(scope="module")
def client(processes):
    process, _ = processes.start(str(Path(__file__).parents[1] / "scripted_picker.py"))
    rclpy.init()
    client = PickClient()
    if not client.wait_for_server(START_S):
        pytest.fail(f"the picking node did not come up in {START_S} s\n{processes.output()}")
    # The server is there before the arm is open.
    until(lambda: "ready" in processes.output() or process.poll() is not None, START_S)
    client.process = process
    yield client
    client.close()
    rclpy.try_shutdown()


def until(condition, timeout_s):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_pick_tells_every_state_and_its_grasp(client, processes):
    feedback = []
    before_ns = time.time_ns()
    result = client.pick("the cube", ASIDE, timeout_s=ANSWER_S, on_feedback=feedback.append)
    assert (result.error_code, result.failure, result.error_msg) == (CODES.NONE, "", ""), processes.output()
    assert result.picked and result.placed and result.holding == "" and result.attempts == 1
    assert [message.state for message in feedback] == [int(state) for state in PickState]
    assert feedback[0].message == "at POINTING" and feedback[-1].elapsed > feedback[0].elapsed
    executed = result.executed
    assert executed.header.frame_id == "base" and executed.label == "the cube"
    assert (executed.pose.pose.position.x, executed.pose.pose.position.z) == (0.1, 0.03)
    assert executed.approach.vector.z == -1.0 and executed.width == pytest.approx(0.03)
    stamp_ns = executed.header.stamp.sec * 1_000_000_000 + executed.header.stamp.nanosec
    assert before_ns <= stamp_ns <= time.time_ns(), "the arm's own clock must not come through"


@pytest.mark.parametrize(
    ("query", "failure"),
    [
        ("unicorn", PickFailure.NOT_FOUND),
        ("soap", PickFailure.SLIPPED),
        ("moon", PickFailure.UNREACHABLE),
        ("hole", PickFailure.NO_DEPTH),
        ("twin", PickFailure.WRONG_OBJECT),
        ("mirage", PickFailure.UNTRUSTED),
        ("wall", PickFailure.NO_GRASP),
        ("cactus", PickFailure.COLLISION),
    ],
)
def test_every_failure_has_its_class_and_code(client, query, failure):
    result = client.pick(query, ASIDE, timeout_s=ANSWER_S)
    assert result.failure == failure.value and result.error_code == CODE_OF[failure] != CODES.NONE
    assert query in result.error_msg and not result.picked and not result.placed


def test_an_exception_is_an_error_and_not_the_end(client):
    result = client.pick("crash", timeout_s=ANSWER_S)
    assert result.error_code == CODES.UNKNOWN and "out of memory" in result.error_msg
    assert client.pick("the cube", ASIDE, timeout_s=ANSWER_S).error_code == CODES.NONE


def test_a_dry_run_holds_nothing(client):
    result = client.pick("the cube", ASIDE, dry_run=True, timeout_s=ANSWER_S)
    assert result.error_code == CODES.NONE and not result.picked and not result.placed and result.holding == ""
    assert result.executed.header.frame_id == "base"


def test_what_is_kept_is_held_until_it_is_placed(client):
    assert client.pick("the cube", timeout_s=ANSWER_S).holding == "the cube"
    second = client.pick("the ball", timeout_s=ANSWER_S)
    assert second.error_code == CODES.GOAL_REJECTED and "must be empty" in second.error_msg and second.holding == "the cube"
    lost = client.pick("", PlaceStep(Relation.IN, "black hole"), timeout_s=ANSWER_S)
    assert lost.failure == "NOT_FOUND" and not lost.placed and lost.holding == "the cube"
    feedback = []
    placed = client.pick("", PlaceStep(Relation.NEXT_TO, "the plate"), timeout_s=ANSWER_S, on_feedback=feedback.append)
    assert placed.placed and not placed.picked and placed.holding == ""
    assert [message.message for message in feedback] == ["next to the plate"]


def test_things_put_aside_do_not_stand_on_one_another(client):
    places = []
    for _ in range(4):
        feedback = []
        client.pick("the cube", ASIDE, timeout_s=ANSWER_S, on_feedback=feedback.append)
        places.append(tuple(json.loads(feedback[-1].message.removeprefix("aside "))))
    apart = [np.linalg.norm(np.subtract(a, b)) for n, a in enumerate(places) for b in places[:n]]
    assert min(apart) > 0.09, places
    assert {round(z, 3) for _, _, z in places} == {0.036}, "as high as it was gripped, and a little more"


@pytest.mark.parametrize(
    ("goal", "reason"),
    [
        (PickObject.Goal(), "must ask for something"),
        (PickObject.Goal(query="  "), "must ask for something"),
        (PickObject.Goal(query="x", place_relation=99), "must be known"),
        (PickObject.Goal(query="x", place_relation=PickObject.Goal.IN), "must go with IN"),
        (PickObject.Goal(query="x", place_query="bowl"), "must go with IN"),
        (PickObject.Goal(place_relation=PickObject.Goal.ASIDE), "must hold an object"),
        (PickObject.Goal(place_relation=PickObject.Goal.ASIDE, dry_run=True), "no dry run"),
    ],
)
def test_goals_that_mean_nothing_are_refused_with_the_reason(client, goal, reason):
    result = client.call(lambda _: goal, ANSWER_S)
    assert result.error_code == CODES.GOAL_REJECTED and reason in result.error_msg, result.error_msg


def test_cancel_ends_it_at_once_and_the_next_goal_is_taken(client):
    call = client.dispatch(PickObject.Goal(query="slow cube"))
    until(lambda: any(message.state == PickObject.Feedback.LIFT for message in call.feedback), ANSWER_S)
    with pytest.raises(GoalError) as busy:
        client.pick("the cube", timeout_s=ANSWER_S)
    assert busy.value.code == CODES.GOAL_REJECTED
    call.cancel()
    result = call.result(ANSWER_S)
    assert (result.error_code, result.failure) == (CODES.CANCELED, "CANCELLED") and "LIFT" in result.error_msg
    assert client.pick("the cube", ASIDE, timeout_s=ANSWER_S).error_code == CODES.NONE


def test_the_stop_service_ends_a_goal_of_somebody_else(client):
    call = client.dispatch(PickObject.Goal(query="slow cube"))
    until(lambda: any(message.state == PickObject.Feedback.LIFT for message in call.feedback), ANSWER_S)
    assert client.stop() == "stopping"
    assert call.result(ANSWER_S).failure == "CANCELLED"
    assert client.stop() == "nothing was moving"


def test_a_stop_tells_of_the_motion_that_the_cancellation_before_it_has_ended(client):
    call = client.dispatch(PickObject.Goal(query="slow cube"))
    until(lambda: any(message.state == PickObject.Feedback.LIFT for message in call.feedback), ANSWER_S)
    call.cancel()
    assert call.result(ANSWER_S).failure == "CANCELLED"
    assert [client.stop(), client.stop()] == ["stopping", "nothing was moving"]
    call = client.dispatch(PickObject.Goal(query="slow cube"))
    until(lambda: any(message.state == PickObject.Feedback.LIFT for message in call.feedback), ANSWER_S)
    call.cancel()
    assert call.result(ANSWER_S).failure == "CANCELLED"
    assert client.pick("the cube", ASIDE, timeout_s=ANSWER_S).placed
    assert client.stop() == "nothing was moving", "the pick since then has ended by itself"


def test_a_goal_that_takes_too_long_times_out(client):
    result = client.pick("slow cube", timeout_s=1.0)
    assert result.error_code == CODES.TIMEOUT and "longer than its timeout" in result.error_msg


def test_joint_states_and_tool_pose_are_published(client):
    joints, poses = {}, {}
    subscriptions = [
        client.node.create_subscription(JointState, "/joint_states", lambda m: joints.setdefault(str(m.header.stamp), m), 10),
        client.node.create_subscription(TFMessage, "/tf", lambda m: poses.setdefault(str(m.transforms[0].header.stamp), m), 10),
    ]
    # Both are of one moment.
    until(lambda: set(joints) & set(poses), ANSWER_S)
    for subscription in subscriptions:
        client.node.destroy_subscription(subscription)
    stamp = next(iter(set(joints) & set(poses)))
    assert list(joints[stamp].name) == ["joint1", "joint2", "gripper_width"]
    assert list(joints[stamp].position) == [0.1, -0.2, 0.04]
    (transform,) = poses[stamp].transforms
    assert (transform.header.frame_id, transform.child_frame_id) == ("base", "tool")
    assert transform.transform.translation.x == 0.3


def test_a_typed_command_goes_through_every_node(client, processes):
    command = [
        sys.executable,
        "-m",
        "molmo_point_ros.command",
        "--json",
        "pikc up the cube and put it next to the plate",
    ]
    run = subprocess.run(command, capture_output=True, text=True, env=processes.environment, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["corrections"] == [["pikc", "pick"]]
    (outcome,) = report["outcomes"]
    assert outcome["success"] and outcome["picked"] and outcome["placed"]
    assert "VERIFY_POINT" in run.stderr and "'pikc' is taken for 'pick'" in run.stderr


def test_all_of_a_kind_are_picked_until_there_is_none(client, monkeypatch):
    from molmo_point_ros.clients.command_client import NodeExecutor

    said = []
    runner = NodeExecutor(said.append, timeout_s=ANSWER_S)
    left = iter([CODES.NONE, CODES.NONE, CODES.NOT_FOUND])

    def pick(self, query, place, **_):
        code = next(left)
        return PickObject.Result(error_code=code, failure="NOT_FOUND" if code else "", picked=not code)

    monkeypatch.setattr(PickClient, "pick", pick)
    outcomes = runner.run(parse_command("give me all the screws"))
    assert [outcome.success for outcome in outcomes] == [True, True]
    assert said[-1] == "no more screws: 2 done"


def test_a_stop_between_two_steps_ends_the_command(client, monkeypatch):
    from molmo_point_ros.clients.command_client import NodeExecutor

    from molmo_point.commands import StopStep

    runner, picked = NodeExecutor(lambda _: None, timeout_s=ANSWER_S), []

    def pick(self, query, place, **_):
        picked.append(query)
        # Somebody else's thread says stop while the client takes the result.
        stopper = threading.Thread(target=runner.stop, args=(StopStep(),))
        stopper.start()
        stopper.join()
        return PickObject.Result(picked=True)

    monkeypatch.setattr(PickClient, "pick", pick)
    outcomes = runner.run(parse_command("give me all the screws"))
    assert [outcome.failure for outcome in outcomes] == [None, PickFailure.CANCELLED] and len(picked) == 1
    picked.clear()
    (outcome,) = runner.run(parse_command("pick up the cube"), stops=0)
    assert outcome.failure is PickFailure.CANCELLED
    assert not picked, "the command was given before the stop"


@pytest.fixture
def executor(client):
    from molmo_point_ros.clients.command_client import NodeExecutor

    with NodeExecutor(lambda _: None, timeout_s=ANSWER_S) as executor:
        assert executor._client.wait_for_node(ANSWER_S)
        yield executor


def run_command(executor, text, stops=None):
    outcomes = executor.run(parse_command(text), stops)
    return [outcome.failure if isinstance(outcome, MoveOutcome) else None for outcome in outcomes]


def test_a_stop_from_elsewhere_between_two_steps_ends_the_command(client, executor, monkeypatch):
    pick, counted = PickClient.pick, []

    def then_stop(self, *arguments, **named):
        result = pick(self, *arguments, **named)
        assert client.stop() == "nothing was moving"
        return result

    with monkeypatch.context() as patch:
        patch.setattr(PickClient, "pick", then_stop)
        steps = "pick up the cube and put it aside, then pick up the ball and put it aside"
        assert run_command(executor, steps) == [None, PickFailure.CANCELLED]
    # The client that does not hear of the stop in time is stopped by the node.
    with monkeypatch.context() as patch:
        patch.setattr(PickClient, "pick", then_stop)
        patch.setattr(type(executor), "ended", lambda self: False)
        assert run_command(executor, steps) == [None, PickFailure.CANCELLED]

    # A step that moves nothing may come first. A count takes longer than a stop needs to reach this client.
    def count(self, step):
        counted.append(client.stop())
        until = time.monotonic() + ANSWER_S
        while not self.ended() and time.monotonic() < until:
            time.sleep(0.01)
        return CountOutcome(step=step, success=True, message="", count=1)

    monkeypatch.setattr(type(executor), "count", count)
    assert run_command(executor, "count the balls, then put it aside") == [None, PickFailure.CANCELLED] and counted
    assert run_command(executor, "put it aside") == [None], "a new command"


def test_a_stop_from_elsewhere_drops_commands_that_were_given_before(client, executor, monkeypatch):
    assert run_command(executor, "pick up the cube and put it aside") == [None]
    given = executor.stops
    with monkeypatch.context() as patch:
        # The message of the stop comes too late.
        patch.setattr(type(executor), "stops", given)
        client.stop()
        assert run_command(executor, "pick up the cube and put it aside", given) == [PickFailure.CANCELLED]
    assert run_command(executor, "pick up the cube and put it aside") == [None], "a new command"
    given = executor.stops
    client.stop()
    until(lambda: executor.stops != given, ANSWER_S)
    assert run_command(executor, "pick up the cube and put it aside", given) == [PickFailure.CANCELLED]
    assert run_command(executor, "pick up the cube and put it aside", executor.stops) == [None]
    executor.run(parse_command("stop"))
    assert run_command(executor, "pick up the cube and put it aside", executor.stops) == [None], "its own stop is heard by now"


def test_stop_as_a_command_stops(client):
    from molmo_point_ros.clients.command_client import NodeExecutor

    call = client.dispatch(PickObject.Goal(query="slow cube"))
    until(lambda: call.feedback, ANSWER_S)
    stopper = threading.Thread(target=lambda: NodeExecutor(lambda _: None).run(parse_command("no, stop!")))
    stopper.start()
    assert call.result(ANSWER_S).failure == "CANCELLED"
    stopper.join(ANSWER_S)


def accepted_slow_pick(client):
    """A pick that takes a minute, as soon as the node has accepted it."""
    call = client.dispatch(PickObject.Goal(query="slow cube"))
    assert call.wait_answered(ANSWER_S)
    return call


def test_a_stop_right_after_the_acceptance_ends_the_goal(client):
    # Whether the node has registered the goal by then is chance.
    for _ in range(10):
        call = accepted_slow_pick(client)
        assert client.stop() == "stopping"
        assert call.result(ANSWER_S).error_code == CODES.CANCELED
    assert client.pick("the cube", ASIDE, timeout_s=ANSWER_S).error_code == CODES.NONE


HUGE = "x" * 1_000_000


@pytest.mark.parametrize(
    ("goal", "name"),
    [
        (PickObject.Goal(query=HUGE), "query"),
        (PickObject.Goal(query="cube", place_relation=PickObject.Goal.IN, place_query=HUGE), "place_query"),
        (PickObject.Goal(query="the \x1b[2J cube"), "query"),
        (PickObject.Goal(query="cube", attempts=4_000_000_000), "attempts"),
        (PickObject.Goal(query="cube", timeout=Duration(sec=-1)), "timeout"),
        (PickObject.Goal(query="cube", timeout=Duration(sec=2**31 - 1)), "timeout"),
    ],
)
def test_absurd_goals_are_refused_by_name_before_they_are_echoed(client, processes, goal, name):
    feedback = []
    result = client.dispatch(goal, feedback.append).result(ANSWER_S)
    assert result.error_code == CODES.GOAL_REJECTED and result.error_msg.startswith(name), result.error_msg[:200]
    assert not feedback and len(result.error_msg) < 1000
    assert "x" * 2000 not in processes.output() and "\x1b[2J" not in processes.output()


@pytest.mark.parametrize("timeout_s", [math.nan, math.inf, -1.0, 1e10])
def test_a_client_refuses_a_timeout_that_is_none(client, timeout_s):
    with pytest.raises(InputError, match="timeout_s must be finite"):
        client.pick("the cube", timeout_s=timeout_s)


def test_a_goal_whose_answer_is_lost_is_sent_once_and_its_end_is_heard(client, monkeypatch):
    monkeypatch.setattr(action_caller, "_ASK_S", 0.2)
    monkeypatch.setattr(action_caller, "_CANCEL_GRACE_S", 0.2)
    sent = []
    send = ActionCaller._send

    def once(self, goal, call):
        sent.append(goal)
        # The answer of the node arrives and is thrown away.
        monkeypatch.setattr(call, "_take_answer", lambda future: None)
        send(self, goal, call)

    monkeypatch.setattr(ActionCaller, "_send", once)
    assert client.pick("the cube", ASIDE, timeout_s=ANSWER_S).placed
    assert len(sent) == 1
    with pytest.raises(GoalError):
        client.call(lambda _: PickObject.Goal(query="slow cube"), timeout_s=0.3)
    # Nobody waits for it: it was canceled by its id.
    monkeypatch.undo()
    until(lambda: ready_again(client), ANSWER_S)
    assert len(sent) == 2


def ready_again(client):
    """Return true if the node takes a goal."""
    try:
        return client.pick("the cube", ASIDE, timeout_s=ANSWER_S).placed
    except GoalError:
        return False


@pytest.mark.parametrize("sign", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_to_a_command_stops_the_arm(client, processes, sign):
    process, output = processes.start("command", "pick up the slow cube")
    until(lambda: "LIFT" in output.read_text() or process.poll() is not None, ANSWER_S)
    process.send_signal(sign)
    assert process.wait(ANSWER_S) == 128 + sign, output.read_text()
    assert "stop: stopping" in output.read_text() and "Traceback" not in output.read_text()
    assert client.stop() == "nothing was moving"


@pytest.mark.slow
def test_a_stop_on_standard_input_does_not_wait_for_its_turn(client, processes):
    command = [sys.executable, "-m", "molmo_point_ros.command", "--json"]
    run = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=processes.environment
    )
    run.stdin.write("pick up the slow cube\npick up the ball\n")
    run.stdin.flush()
    while "LIFT" not in run.stderr.readline():
        assert run.poll() is None
    output, _ = run.communicate("stop\n", timeout=ANSWER_S)
    outcomes = [outcome for line in output.splitlines() for outcome in json.loads(line)["outcomes"]]
    assert sorted((outcome["do"], outcome["success"]) for outcome in outcomes) == [("pick", False), ("stop", True)]
    assert run.returncode == 1


@pytest.mark.slow
def test_with_the_parameter_the_arm_stops_when_its_client_is_killed(client, processes):
    picker = str(Path(__file__).parents[1] / "scripted_picker.py")
    _, log = processes.start(picker, parameters={"stop_without_client": True}, namespace="/lonely")
    process, output = processes.start("command", "pick up the slow cube", "--picking", "/lonely/molmo_pick")
    until(lambda: "LIFT" in output.read_text(), START_S)
    process.kill()
    # DDS takes a killed program for alive until its lease ends.
    until(lambda: "its client is gone" in log.read_text() or "CANCELED" in log.read_text(), START_S)


def test_a_signal_to_the_node_ends_the_pick_with_a_result_and_the_process_with_0(client, processes):
    """The last one: it ends the node of this module."""
    call = accepted_slow_pick(client)
    client.process.send_signal(signal.SIGINT)
    result = call.result(ANSWER_S)
    assert result.error_code == CODES.CANCELED, result.error_msg
    assert client.process.wait(ANSWER_S) == 0
    assert "Traceback" not in processes.output()


def test_an_arm_of_the_registry_is_opened_by_its_name():
    from molmo_point_ros.arms.arm_session import open_rig
    from molmo_point_ros.nodes.pick_parameters import PickNodeParameters

    from molmo_point.arm import arm_registry as registry

    class Publisher:
        def tick(self, arm):
            self.ticked = arm

        def now_ns(self):
            return 0

        def add_cameras(self, cameras, frames):
            self.frames = frames

    registry.register(registry.ArmEntry("still", "tests.arm.still_arm:open_still_arm", "arm that stands still", ("pace",)))
    try:
        publisher = Publisher()
        rig = open_rig(PickNodeParameters(arm="still", pace=3.0), publisher, lambda model, **_: Pointer(Silent()), LOGGER)
        assert isinstance(rig.arm, StillArm)
        assert rig.arm.pace == 3.0
        rig.arm.wait(0.1)
        assert publisher.ticked is rig.arm
        assert publisher.frames == {"fixed_camera": "fixed"}
        assert rig.picker.wrist_camera is None
        assert rig.picker.settings.least_confidence == 0.5
        with pytest.raises(InputError, match="video_folder"):
            open_rig(PickNodeParameters(arm="still", video_folder="x"), publisher, lambda model, **_: Pointer(Silent()), LOGGER)
    finally:
        del registry.ARMS["still"]
