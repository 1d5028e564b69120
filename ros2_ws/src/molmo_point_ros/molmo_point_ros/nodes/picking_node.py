"""The picking node: the action `~/pick_object` around an arm, `~/stop`, and what the arm tells: joints, frames, images.

A simulated arm comes with it. For an arm of your own, write what `picking.arm.Arm` asks for and call
`main(open_rig=...)` with a function that makes a `Rig` of it.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from molmo_point.picking.drop_zones import PutDownPlaces
from molmo_point_msgs.action import PickObject
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from molmo_point.errors import MolmoPointError
from molmo_point.pointer import Pointer
from molmo_point_ros.arms.arm_session import ArmThread, Rig
from molmo_point_ros.arms.simulated import open_simulated_rig
from molmo_point_ros.nodes.goal_server import end_goal
from molmo_point_ros.nodes.parameters import declare, read
from molmo_point_ros.nodes.pick_parameters import PickSettings
from molmo_point_ros.nodes.spinning import make_node, spin
from molmo_point_ros.outputs.arm_publisher import ArmPublisher
from molmo_point_ros.picking.pick_goal import CODES, PickGoal

THREADS = 4
OpenRig = Callable[[PickSettings, ArmPublisher], Rig]


class PickNode(Node):
    """Answers PickObject goals, one at a time; while one is at work, others are rejected.

    Args:
        open_rig: Makes the arm, in the thread that will move it; None is the simulated one.
        load_pointer: As `Pointer.from_pretrained`, for the simulated arm; tests give a scripted one.
        options: Further arguments for the node, such as its `namespace`.
    """

    def __init__(
        self,
        open_rig: OpenRig | None = None,
        load_pointer: Callable[..., Any] = Pointer.from_pretrained,
        **options: Any,
    ) -> None:
        # rclpy destroys a node of which no more was made than itself, say because a parameter is out of its range.
        self._goal: PickGoal | None = None
        self._server: ActionServer | None = None
        self._load_pointer = load_pointer
        opens = open_rig or self._simulated
        self._thread = ArmThread(lambda: opens(self._settings, self._publisher))
        super().__init__("molmo_pick", **options)
        declare(self, PickSettings)
        self._settings: PickSettings = read(self, PickSettings)
        self._publisher = ArmPublisher(self, self._settings.camera_fps)
        self._places = PutDownPlaces(self._settings.aside_xy_m, self._settings.hand_over_xy_m, self._settings.place_spacing_m)
        self._turn = threading.Lock()
        self._arm_now_ns: Callable[[], int] = lambda: 0
        self._is_ready = False

    def start(self) -> None:
        """Load the model and open the arm; goals are taken from then on.

        Raises:
            MolmoPointError: If that cannot be done.
        """
        self.get_logger().info(f"loading the model {self._settings.model!r} and opening the arm")
        self._thread.start()
        self._is_ready = True
        self._serve()
        self.get_logger().info(f"ready: {self.get_fully_qualified_name()}/pick_object")

    def _serve(self) -> None:
        """Advertised when goals can be taken, and not before: who waits for the server then waits for the arm."""
        group = ReentrantCallbackGroup()
        self._stop_service = self.create_service(Trigger, "~/stop", self._on_stop, callback_group=group)
        self._server = ActionServer(
            self,
            PickObject,
            "~/pick_object",
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
            callback_group=group,
        )

    def close(self) -> None:
        """Stop the arm and free it; may be called more than once."""
        self._is_ready = False
        if self._goal is not None:
            self._goal.stop("the node shuts down")
        self._thread.close()

    def destroy_node(self) -> None:
        """End the node; nothing may spin it any more."""
        self.close()
        if self._server is not None:
            self._server.destroy()
        super().destroy_node()

    def _simulated(self, settings: PickSettings, publisher: ArmPublisher) -> Rig:
        recorder_for = None
        if settings.video_folder:
            from molmo_point.viz.goal_video import GoalVideo

            def recorder_for(*parts: Any) -> Any:
                return GoalVideo(settings.video_folder, settings.video_fps, self.get_logger().info, *parts)

        return open_simulated_rig(settings, publisher, self._load_pointer, recorder_for)

    def _on_goal(self, _: PickObject.Goal) -> GoalResponse:
        if self._is_ready and self._goal is None:
            return GoalResponse.ACCEPT
        why = "the arm is busy" if self._is_ready else "the arm is not ready"
        self.get_logger().warning(f"a goal was rejected: {why}")
        return GoalResponse.REJECT

    def _on_cancel(self, _: Any) -> CancelResponse:
        goal = self._goal
        if goal is not None:
            goal.stop("cancelled by the client")
        self._thread.stop()
        return CancelResponse.ACCEPT

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        goal = self._goal
        if goal is not None:
            goal.stop("stopped by ~/stop")
        self._thread.stop()
        response.success, response.message = True, "stopping" if goal is not None else "nothing was moving"
        return response

    def _execute(self, goal_handle: Any) -> PickObject.Result:
        """Runs in a thread of the executor while the arm's thread works."""
        settings: PickSettings = read(self, PickSettings)
        log = self.get_logger().error
        goal = PickGoal(goal_handle, self._places, settings.attempts, settings.timeout_s, self._stamp_offset_ns, log)
        if not self._turn.acquire(blocking=False):
            goal_handle.abort()
            return PickObject.Result(error_code=CODES.GOAL_REJECTED, error_msg="The arm is busy. Fix: send one goal at a time.")
        try:
            self._goal = goal
            result = self._thread.do(lambda rig: self._work(rig, goal))
        except MolmoPointError as error:
            result = PickObject.Result(error_code=CODES.GOAL_REJECTED, error_msg=str(error))
        finally:
            self._goal = None
            self._turn.release()
        end_goal(goal_handle, result.error_code)
        if result.error_code != CODES.NONE:
            self.get_logger().warning(f"goal ended with {result.failure or result.error_code}: {result.error_msg}")
        return result

    def _work(self, rig: Rig, goal: PickGoal) -> PickObject.Result:
        self._arm_now_ns = rig.arm.now_ns
        result = goal.carry_out(rig)
        recorder = rig.recorder
        if recorder is not None:
            outcome = result.error_msg if result.error_code else "done"
            # Drawing takes longer than picking; whoever waits for the result shall not wait for that.
            self._thread.post(lambda _: recorder.end(outcome))
        return result

    def _stamp_offset_ns(self) -> int:
        return self.get_clock().now().nanoseconds - self._arm_now_ns()


def main(
    args: Sequence[str] | None = None,
    open_rig: OpenRig | None = None,
    load_pointer: Callable[..., Any] = Pointer.from_pretrained,
) -> int:
    """Run the node until it is told to end. Returns 1 where it could not start."""
    node = executor = None
    try:
        node = make_node("molmo_pick", args, lambda: PickNode(open_rig, load_pointer))
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
