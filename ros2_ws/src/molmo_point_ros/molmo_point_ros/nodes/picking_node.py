"""The picking node: the action `~/pick_object` around an arm, `~/stop`, and the arm's joints, frames and images.

The parameter `arm` names a registered arm (`molmo_point.arm.arm_registry`), or "module:factory" of an `Arm` of your own.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from molmo_point_msgs.action import PickObject
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from molmo_point.errors import MolmoPointError
from molmo_point.pointer import Pointer
from molmo_point_ros.arms.arm_session import ArmThread, Rig, open_rig
from molmo_point_ros.nodes.goal_queue import GoalQueue, StopReason
from molmo_point_ros.nodes.goal_server import GoalServer
from molmo_point_ros.nodes.parameters import declare, read
from molmo_point_ros.nodes.pick_parameters import PickNodeParameters
from molmo_point_ros.nodes.spinning import make_node, spin
from molmo_point_ros.outputs.arm_publisher import ArmPublisher
from molmo_point_ros.picking.pick_goal import PickGoal

THREADS = 4
OpenRig = Callable[[PickNodeParameters, ArmPublisher], Rig]


class PickNode(Node):
    """Answers PickObject goals, one at a time; while one is at work, others are rejected.

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
        self._load_pointer = load_pointer
        opens = opens or self._open_rig
        self._thread = ArmThread(lambda: opens(self._parameters_at_start, self._publisher))
        super().__init__("molmo_pick", **options)
        declare(self, PickNodeParameters)
        self._parameters_at_start: PickNodeParameters = read(self, PickNodeParameters)
        self._publisher = ArmPublisher(self, self._parameters_at_start.camera_fps)
        self._is_ready = False

    def start(self) -> None:
        """Load the model and open the arm; the node takes goals from then on.

        Raises:
            MolmoPointError: If one of the two fails.
        """
        self.get_logger().info(f"loading the model {self._parameters_at_start.model!r} and opening the arm")
        self._thread.start()
        self._is_ready = True
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
            on_cancel=lambda _: self._thread.stop(),
        )
        self.get_logger().info(f"ready: {self.get_fully_qualified_name()}/pick_object")

    def close(self) -> None:
        """Stop the arm and free it; may be called more than once."""
        self._is_ready = False
        self._queue.stop_all(StopReason.SHUTDOWN)
        self._thread.close()

    def destroy_node(self) -> None:
        """End the node; nothing may spin it any more."""
        self.close()
        if self._server is not None:
            self._server.destroy()
        super().destroy_node()

    def _open_rig(self, parameters: PickNodeParameters, publisher: ArmPublisher) -> Rig:
        return open_rig(parameters, publisher, self._load_pointer, self.get_logger().info)

    def _refusal(self) -> str:
        if not self._is_ready:
            return "the arm is not ready"
        return "the arm is busy" if self._queue.running() is not None else ""

    def _make_goal(self, goal_handle: Any) -> PickGoal | None:
        if not self._is_ready:
            return None
        parameters = read(self, PickNodeParameters)
        return PickGoal(goal_handle, self._thread, parameters, lambda: self.get_clock().now().nanoseconds, self.get_logger())

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        is_busy = self._queue.running() is not None
        self._queue.stop_all(StopReason.STOP_SERVICE)
        self._thread.stop()
        response.success, response.message = True, "stopping" if is_busy else "nothing was moving"
        return response


def main(
    args: Sequence[str] | None = None,
    opens: OpenRig | None = None,
    load_pointer: Callable[..., Any] = Pointer.from_pretrained,
) -> int:
    """Run the node until its end. Returns 1 if it cannot start."""
    node = executor = None
    try:
        node = make_node("molmo_pick", args, lambda: PickNode(opens, load_pointer))
        if node is None:
            return 1
        executor = MultiThreadedExecutor(num_threads=THREADS)
        executor.add_node(node)
        node.start()
        spin(executor, node)
    except MolmoPointError as error:
        rclpy.logging.get_logger("molmo_pick").error(f"cannot start: {error}")
        return 1
    except KeyboardInterrupt:
        pass
    finally:
        if executor is not None:
            executor.shutdown(timeout_sec=5.0)
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
