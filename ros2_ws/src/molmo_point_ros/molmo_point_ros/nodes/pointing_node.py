"""The pointing node: image topics or a camera in, the action `~/point_at`, and target topics out.

A lifecycle node: the model loads in configure, goals are taken while it is active, memory is freed in cleanup. With the
parameter `autostart` (the default) it configures and activates itself.
"""

import gc
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import rclpy
from molmo_point_msgs.action import CountObjects, PointAt
from molmo_point_msgs.srv import Deproject, SetQuery
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from molmo_point.errors import MolmoPointError
from molmo_point.pointer import Pointer
from molmo_point_ros.inputs.camera_source import CameraSource
from molmo_point_ros.inputs.input_node import InputNode
from molmo_point_ros.inputs.tf_listener import StaticTransformSender, listen
from molmo_point_ros.inputs.topic_source import TopicSource
from molmo_point_ros.nodes.diagnostics import Diagnostics
from molmo_point_ros.nodes.goal_queue import GoalQueue
from molmo_point_ros.nodes.goal_server import GoalServer
from molmo_point_ros.nodes.node_resources import Parts
from molmo_point_ros.nodes.parameters import TOPICS, PointingNodeParameters, declare, gripper_of, read
from molmo_point_ros.nodes.spinning import make_node, spin
from molmo_point_ros.outputs.publisher import open_publisher
from molmo_point_ros.pointing.action_goal import ActionGoal
from molmo_point_ros.pointing.count_goal import CountGoal
from molmo_point_ros.pointing.deproject import deproject
from molmo_point_ros.pointing.pointing_goal import PointingGoal
from molmo_point_ros.pointing.query_service import QueryKeeper

HEARTBEAT_S = 0.4
SWITCH_INTERVAL_S = 0.0005
"""Python gives a thread 5 ms before another one may run: as long as a target takes from the image to its message."""
THREADS = 6
"""One thread works on the goal; the others keep services, cancel requests and new goals flowing. Images and transforms have
the thread of `InputNode`."""
NOT_ACTIVE = "The node is not active: configure and activate it first."

LoadPointer = Callable[..., Pointer]


class PointingNode(LifecycleNode):
    """Answers PointAt goals.

    Args:
        load_pointer: Called in configure as `Pointer.from_pretrained` is; tests give a scripted one.
        options: Further arguments for the node, such as its `namespace`.
    """

    def __init__(self, load_pointer: LoadPointer = Pointer.from_pretrained, **options: Any) -> None:
        super().__init__("molmo_point", **options)
        self._load_pointer = load_pointer
        self._goals_group = ReentrantCallbackGroup()
        self._service_group = MutuallyExclusiveCallbackGroup()
        self._queue = GoalQueue()
        self._keeper = QueryKeeper(lambda: self.settings, self.get_logger())
        self._parts: Parts | None = None
        self._is_active = False
        self._servers: list[GoalServer] = []
        self._static_sender: StaticTransformSender | None = None
        # After what `close` needs: a value that is refused here ends the node.
        declare(self, PointingNodeParameters)
        period_s = float(self.get_parameter("diagnostics_period_s").value or 0.0)
        self._diagnostics = Diagnostics(self, period_s, lambda: self._parts, self._state_name, self._doing, self._goals_group)
        self._heartbeat = self.create_timer(HEARTBEAT_S, self._on_heartbeat, callback_group=self._goals_group)

    @property
    def settings(self) -> PointingNodeParameters:
        """The parameters as they are now."""
        return read(self, PointingNodeParameters)

    def _state_name(self) -> str:
        return "unconfigured" if self._parts is None else ("active" if self._is_active else "inactive")

    def _doing(self) -> dict[str, str]:
        goal = self._queue.running()
        return {"goal": "" if goal is None else type(goal).__name__, "looks for": "; ".join(self._keeper.queries)}

    def start(self) -> bool:
        """Configure and activate, as `autostart` does. Returns whether both worked."""
        success = TransitionCallbackReturn.SUCCESS
        return self.trigger_configure() == success and self.trigger_activate() == success

    # ---------------------------------------------------------------------------------------------------- lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model, then subscribe (or open the camera), advertise, and serve the action."""
        settings = self.settings
        inputs = transforms = None
        try:
            self.get_logger().info(f"loading the model {settings.model!r}")
            pointer = self._load_pointer(
                settings.model, device=settings.device or None, quantization=settings.quantization or None
            )
            gripper_of(settings)
            inputs = InputNode(self)
            transforms = listen(self, settings.tf_cache_s, inputs)
            frames = TopicSource(inputs, settings) if settings.camera == TOPICS else CameraSource(self, settings)
        except Exception as error:
            for made in (transforms, inputs):
                if made is not None:
                    made.close()
            reason = str(error) if isinstance(error, MolmoPointError) else repr(error)
            self.get_logger().error(f"cannot configure: {reason}")
            return TransitionCallbackReturn.FAILURE
        publisher = open_publisher(self, settings)
        clock = self.get_clock()
        self._parts = Parts(pointer, frames, transforms, publisher, inputs, lambda: clock.now().nanoseconds, self.context.ok)
        if frames.pose is not None:
            self._static_sender = self._static_sender or StaticTransformSender(self)
            self._static_sender.send(frames.pose)
        self._servers = self._servers or self._serve()
        # What is there now stays: going over all of it for garbage would hold up a frame now and then.
        gc.collect()
        gc.freeze()
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take goals from now on."""
        result = super().on_activate(state)
        self._is_active = result == TransitionCallbackReturn.SUCCESS
        if self._parts is not None:
            self._keeper.follow_parameter(str(self.get_parameter("query").value), self._parts)
        self.get_logger().info(f"ready: {self.get_fully_qualified_name()}/point_at")
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take no more goals, and end the one at work."""
        self._is_active = False
        self._queue.stop_all("the node was deactivated")
        self._keeper.stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model, the camera and the subscriptions."""
        result = super().on_cleanup(state)
        self.close()
        return result

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As cleanup."""
        result = super().on_shutdown(state)
        self.close()
        return result

    def close(self) -> None:
        """Free everything that configure made; may be called at any time and more than once."""
        self._is_active = False
        self._queue.stop_all("the node shuts down")
        self._keeper.stop()
        parts, self._parts = self._parts, None
        if parts is not None:
            parts.frames.close()
            parts.transforms.close()
            parts.inputs.close()
            parts.publisher.close()
            del parts
            gc.unfreeze()
            gc.collect()
            # Not imported here: only a model that uses torch has memory of it to give back.
            torch = sys.modules.get("torch")
            if torch is not None and torch.cuda.is_available():
                torch.cuda.empty_cache()

    def destroy_node(self) -> None:
        """End the node; nothing may spin it any more."""
        self.close()
        for server in self._servers:
            server.destroy()
        super().destroy_node()

    # -------------------------------------------------------------------------------------------------------- goals

    def _serve(self) -> list[GoalServer]:
        """Made once, and kept idle by cleanup; the service as well."""
        group = self._service_group
        self._deproject = self.create_service(Deproject, "~/deproject", self._on_deproject, callback_group=group)
        self._set_query = self.create_service(SetQuery, "~/set_query", self._on_set_query, callback_group=group)
        kinds = {"~/point_at": (PointAt, PointingGoal), "~/count_objects": (CountObjects, CountGoal)}
        return [
            GoalServer(
                self, action, name, self._queue, partial(self._make_goal, kind), lambda: self._is_active, self._goals_group
            )
            for name, (action, kind) in kinds.items()
        ]

    def _make_goal(self, kind: Callable[..., ActionGoal], goal_handle: Any) -> ActionGoal | None:
        parts = self._parts
        return None if parts is None else kind(goal_handle, parts, self.settings)

    def _on_deproject(self, request: Deproject.Request, response: Deproject.Response) -> Deproject.Response:
        parts = self._parts
        if parts is None or not self._is_active:
            response.message = NOT_ACTIVE
            return response
        return deproject(request, parts, self.settings)

    def _on_set_query(self, request: SetQuery.Request, response: SetQuery.Response) -> SetQuery.Response:
        parts = self._parts
        if parts is None or not self._is_active:
            response.message = NOT_ACTIVE
            return response
        return self._keeper.serve(request, response, parts)

    def _on_heartbeat(self) -> None:
        parts = self._parts
        if parts is not None and self._is_active:
            self._keeper.follow_parameter(str(self.get_parameter("query").value), parts)
        running = self._queue.running()
        if isinstance(running, ActionGoal):
            running.tell()


def _keep_opencv_to_one_thread() -> None:
    """What is done for each image is so little that a second thread costs more than it saves, most of all where it waits."""
    try:
        import cv2
    except ImportError:
        return
    cv2.setNumThreads(1)


def main(args: Sequence[str] | None = None, load_pointer: LoadPointer = Pointer.from_pretrained) -> int:
    """Run the node until it is told to end. Returns 1 where it could not start."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    _keep_opencv_to_one_thread()
    node = make_node("molmo_point", args, lambda: PointingNode(load_pointer))
    if node is None:
        return 1
    executor = MultiThreadedExecutor(num_threads=THREADS)
    executor.add_node(node)
    try:
        if node.settings.autostart and not node.start():
            return 1
        spin(executor, node)
    except KeyboardInterrupt:
        pass
    finally:
        executor.shutdown(timeout_sec=5.0)
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
