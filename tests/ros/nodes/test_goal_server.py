"""A goal takes its ticket before its client learns of the acceptance, so that a stop in between reaches it."""

from types import SimpleNamespace

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from molmo_point_msgs.action import PickObject  # noqa: E402
from molmo_point_ros.nodes.goal_error import ErrorCode  # noqa: E402
from molmo_point_ros.nodes.goal_queue import GoalQueue, StopReason  # noqa: E402
from molmo_point_ros.nodes.goal_server import GoalServer  # noqa: E402
from molmo_point_ros.nodes.pick_parameters import PickNodeParameters  # noqa: E402
from molmo_point_ros.picking.pick_goal import PickGoal  # noqa: E402
from rclpy.action import GoalResponse  # noqa: E402

from molmo_point.arm.stop_latch import StopLatch  # noqa: E402

pytestmark = pytest.mark.ros


class Arm:
    """The arm's thread, as far as a goal that must not reach it knows it."""

    holding = "the plate"

    def __init__(self):
        self.latch, self.jobs = StopLatch(), 0

    def do(self, job):
        self.jobs += 1


class Handle:
    """rclpy's handle of an accepted goal."""

    is_active, is_cancel_requested = True, False

    def __init__(self, request, number):
        self.request, self.goal_id = request, SimpleNamespace(uuid=[number] * 16)
        self.started = 0

    def execute(self):
        self.started += 1

    def publish_feedback(self, feedback):
        pass


@pytest.fixture
def made(monkeypatch):
    """The arm, the queue, the server, and the goals that it made."""
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    context = rclpy.context.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("server", context=context, start_parameter_services=False)
    arm, queue, goals = Arm(), GoalQueue(preempts=False), []

    def make_goal(handle, permit):
        goals.append(PickGoal(handle, arm, permit, PickNodeParameters(), lambda: 0, node.get_logger()))
        return goals[-1]

    group = rclpy.callback_groups.ReentrantCallbackGroup()
    server = GoalServer(node, PickObject, "pick", queue, make_goal, lambda: "", group, ticket=arm.latch.resume)
    yield SimpleNamespace(arm=arm, queue=queue, server=server, goals=goals)
    server.destroy()
    node.destroy_node()
    context.shutdown()


def test_a_stop_between_acceptance_and_registration_ends_the_goal(made):
    request = PickObject.Goal(query="the cube")
    assert made.server._on_goal(request) == GoalResponse.ACCEPT
    assert not made.server.is_idle, "~/stop says that it stops something"
    made.arm.latch.stop()
    made.server._on_accepted(Handle(request, 1))
    result = made.goals[0].answer()
    assert result.error_code == ErrorCode.CANCELED and "~/stop" in result.error_msg
    assert made.arm.jobs == 0 and result.holding == "the plate"


def test_a_later_goal_does_not_revive_one_that_was_stopped(made):
    first, second = PickObject.Goal(query="the cube"), PickObject.Goal(query="the ball")
    made.server._on_goal(first)
    made.arm.latch.stop()
    made.server._on_goal(second)
    made.server._on_accepted(Handle(second, 2))
    made.server._on_accepted(Handle(first, 1))
    later, earlier = made.goals
    assert not later.should_stop() and earlier.should_stop()


def test_a_goal_on_its_way_when_the_queue_closes_ends_at_once(made):
    request = PickObject.Goal(query="the cube")
    made.server._on_goal(request)
    made.queue.close(StopReason.SHUTDOWN)
    made.server._on_accepted(Handle(request, 1))
    result = made.goals[0].answer()
    assert result.error_code == ErrorCode.CANCELED and "shuts down" in result.error_msg
    made.queue.done(made.goals[0])


def test_tickets_of_goals_that_never_arrive_do_not_pile_up(made):
    for _ in range(2500):
        made.server._on_goal(PickObject.Goal(query="the cube"))
    assert len(made.server._tickets) <= 1000
