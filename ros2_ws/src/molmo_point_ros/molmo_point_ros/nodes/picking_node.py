"""The picking node: the action `~/pick_object` around an arm, `~/stop`, and the arm's joints, frames and images.

The parameter `arm` names a registered arm (`molmo_point.arm.arm_registry`), or "module:factory" of an `Arm` of your own.
"""

import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from molmo_point_msgs.action import PickObject
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_msgs.msg import UInt64
from std_srvs.srv import Trigger

from molmo_point.arm.stop_latch import Permit
from molmo_point.pointer import Pointer
from molmo_point_ros.arms.arm_session import ArmThread, Rig, open_rig
from molmo_point_ros.inputs.image_qos import LATCHED
from molmo_point_ros.nodes.action_goal import ActionGoal
from molmo_point_ros.nodes.goal_queue import GoalQueue, StopReason
from molmo_point_ros.nodes.goal_server import GoalServer
from molmo_point_ros.nodes.node_run import RunnableNode, run_node
from molmo_point_ros.nodes.pick_parameters import PickNodeParameters
from molmo_point_ros.outputs.arm_publisher import ArmPublisher
from molmo_point_ros.parameter_declaration import declare, read
from molmo_point_ros.picking.command_id import command_of
from molmo_point_ros.picking.pick_goal import PickGoal

THREADS = 4
_WATCH_S = 0.2
_MOST_COMMANDS = 1000
_CANCEL_TOLD_S = 2.0
"""A client that is interrupted cancels its goal and calls `~/stop`; the cancellation may end the goal first."""
OpenRig = Callable[[PickNodeParameters, ArmPublisher], Rig]


class PickNode(Node, RunnableNode):
    """Answers PickObject goals, one at a time; while one is at work, others are rejected.

    A goal takes its permit to move before its client learns that it is accepted. `~/stop` revokes all permits given so far,
    wherever their goals are; the arm stands until a goal is accepted later. Goals that are steps of one command
    (`command_id`) share the permit of its first one: after a stop between two steps the next one ends with CANCELED.
    `~/last_stop` has the time of the last stop, or of the start.

    Args:
        opens: Opens the rig, in the thread that will move the arm; None opens the arm of the parameters.
        load_pointer: As `Pointer.from_pretrained`; tests give a scripted one.
        options: Further arguments of the node, such as its `namespace`.
    """

    def __init__(
        self,
        opens: OpenRig | None = None,
        load_pointer: Callable[..., Any] = Pointer.from_pretrained,
        **options: Any,
    ) -> None:
        # rclpy destroys a node that it could not make, say because a parameter is out of its range.
        self._queue = GoalQueue(preempts=False)
        self._server: GoalServer | None = None
        self._permits: dict[bytes, Permit] = {}
        self._canceled_s = -math.inf
        self._lock = threading.Lock()
        self._load_pointer = load_pointer
        opens = opens or self._open_rig
        self._thread = ArmThread(lambda: opens(self._parameters_at_start, self._publisher))
        super().__init__("molmo_pick", **options)
        declare(self, PickNodeParameters)
        self._parameters_at_start: PickNodeParameters = read(self, PickNodeParameters)
        self._publisher = ArmPublisher(self, self._parameters_at_start.camera_fps)
        self._last_stop = self.create_publisher(UInt64, "~/last_stop", LATCHED)
        self._is_ready = False

    def start(self) -> bool:
        """Load the model and open the arm; the node takes goals from then on.

        Raises:
            MolmoPointError: If one of the two fails.
        """
        self.get_logger().info(f"loading the model {self._parameters_at_start.model!r} and opening the arm")
        self._thread.start()
        self._is_ready = True
        self._tell_stop()
        # The server appears with the arm, so that clients wait for the arm.
        group = ReentrantCallbackGroup()
        self._stop_service = self.create_service(Trigger, "~/stop", self._on_stop, callback_group=group)
        self._server = GoalServer(
            self,
            PickObject,
            "~/pick_object",
            self._queue,
            self._make_goal,
            self._refusal,
            group,
            ticket=self._thread.resume,
            on_cancel=self._on_cancel,
        )
        self._feedback_topic = self.resolve_topic_name("~/pick_object/_action/feedback")
        self._watch = self.create_timer(_WATCH_S, self._watch_clients, callback_group=group)
        self.get_logger().info(f"ready: {self.get_fully_qualified_name()}/pick_object")
        return True

    @property
    def is_idle(self) -> bool:
        """True if every accepted goal has ended."""
        return self._server is None or self._server.is_idle

    def end_work(self) -> None:
        """Take no more goals, stop the arm, and end the goals."""
        self._is_ready = False
        self._queue.close(StopReason.SHUTDOWN)
        self._thread.stop()

    def close(self) -> None:
        """Stop the arm and free it; may be called more than once."""
        self.end_work()
        self._thread.close()

    def destroy_node(self) -> None:
        """End the node; nothing may spin it any more."""
        self.close()
        if self._server is not None:
            self._server.destroy()
        super().destroy_node()

    def _open_rig(self, parameters: PickNodeParameters, publisher: ArmPublisher) -> Rig:
        return open_rig(parameters, publisher, self._load_pointer, self.get_logger())

    def _refusal(self) -> str:
        if not self._is_ready:
            return "the arm is not ready"
        return "the arm is busy" if self._queue.running() is not None else ""

    def _make_goal(self, goal_handle: Any, permit: Permit) -> PickGoal | None:
        if not self._is_ready:
            return None
        # A stop from now on is about this goal.
        self._canceled_s = -math.inf
        permit = self._permit_of_command(bytes(goal_handle.goal_id.uuid), permit)
        parameters = read(self, PickNodeParameters)
        now_ns = lambda: self.get_clock().now().nanoseconds  # noqa: E731
        return PickGoal(goal_handle, self._thread, permit, parameters, now_ns, self.get_logger())

    def _permit_of_command(self, goal_id: bytes, permit: Permit) -> Permit:
        """Return the permit of the first step of a goal's command; the given one if it is the first, or a goal of its own."""
        command = command_of(goal_id)
        if command is None:
            return permit
        with self._lock:
            first = self._permits.setdefault(command, permit)
            while len(self._permits) > _MOST_COMMANDS:
                del self._permits[next(iter(self._permits))]
        if first.revoked and self._queue.running() is None:
            # Accepting the goal has let the arm move again.
            self._thread.stop()
        return first

    def _on_cancel(self, goal: ActionGoal) -> None:
        """Stop the arm for the goal at work; another one has not moved it."""
        if self._queue.running() is goal:
            self._canceled_s = time.monotonic()
            self._stop_arm()

    def _stop_arm(self) -> None:
        self._thread.stop()
        self._tell_stop()

    def _tell_stop(self) -> None:
        self._last_stop.publish(UInt64(data=time.time_ns()))

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        is_busy = not self.is_idle or time.monotonic() - self._canceled_s < _CANCEL_TOLD_S
        self._canceled_s = -math.inf
        self._stop_arm()
        self._queue.stop_all(StopReason.STOP_SERVICE)
        response.success, response.message = True, "stopping" if is_busy else "nothing was moving"
        return response

    def _watch_clients(self) -> None:
        """With `stop_without_client`, stop when nobody listens to the goal at work any more."""
        if self._queue.running() is None or not self.get_parameter("stop_without_client").value:
            return
        if self.count_subscribers(self._feedback_topic) == 0:
            self._queue.stop_all(StopReason.CLIENT_GONE)
            self._stop_arm()


def main(
    args: Sequence[str] | None = None,
    opens: OpenRig | None = None,
    load_pointer: Callable[..., Any] = Pointer.from_pretrained,
) -> int:
    """Run the node until its end. Returns 1 if it cannot start."""
    return run_node("molmo_pick", args, lambda: PickNode(opens, load_pointer), THREADS)


if __name__ == "__main__":
    sys.exit(main())
