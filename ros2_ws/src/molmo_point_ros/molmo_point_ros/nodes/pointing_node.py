"""The pointing node: image topics or a camera in, actions and services, and target topics out.

A lifecycle node: configure loads the model, goals are accepted while it is active, cleanup frees the memory. With the
parameter `autostart` (the default) it configures and activates itself.
"""

import contextlib
import gc
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from molmo_point_msgs.action import CountObjects, PointAt, Teach
from molmo_point_msgs.srv import Deproject, ForgetTaught, ListTaught, SetQuery
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from molmo_point.depth.alignment_monitor import PERIOD_S, AlignmentMonitor
from molmo_point.errors import MolmoPointError
from molmo_point.frame import RgbdFrame
from molmo_point.pointer import Pointer
from molmo_point_ros.inputs.camera_source import CameraSource
from molmo_point_ros.inputs.input_node import InputNode
from molmo_point_ros.inputs.optical_frame import OpticalSource
from molmo_point_ros.inputs.tf_listener import StaticTransformSender, TransformListener
from molmo_point_ros.inputs.topic_source import TopicSource
from molmo_point_ros.nodes.action_goal import ActionGoal
from molmo_point_ros.nodes.diagnostics import Diagnostics, NodeState
from molmo_point_ros.nodes.goal_error import brief
from molmo_point_ros.nodes.goal_queue import GoalQueue, QueuedGoal, StopReason
from molmo_point_ros.nodes.goal_server import GoalServer
from molmo_point_ros.nodes.node_resources import NodeResources
from molmo_point_ros.nodes.node_run import RunnableNode, run_node
from molmo_point_ros.nodes.parameters import TOPICS, PointingNodeParameters, gripper_of
from molmo_point_ros.outputs.publisher import open_publisher
from molmo_point_ros.parameter_declaration import declare, read
from molmo_point_ros.pointing.count_goal import CountGoal
from molmo_point_ros.pointing.deproject import deproject
from molmo_point_ros.pointing.pointing_goal import PointingGoal
from molmo_point_ros.pointing.query_service import QueryKeeper
from molmo_point_ros.teaching.taught_services import forget_taught, list_taught, open_taught_layer
from molmo_point_ros.teaching.teach_goal import TeachGoal

HEARTBEAT_S = 0.4
SWITCH_INTERVAL_S = 0.0005
"""Python's default of 5 ms is as long as a target takes from the image to its message."""
THREADS = 6
"""One thread works on the goal; the others serve services, cancel requests and new goals. `InputNode` has its own thread."""
_GOAL_END_S, _CHECK_S = 5.0, 0.02
NOT_ACTIVE = "The node is not active: configure and activate it first."

LoadPointer = Callable[..., Pointer]


class PointingNode(LifecycleNode, RunnableNode):
    """Answers PointAt goals.

    Args:
        load_pointer: Called in configure with the arguments of `Pointer.from_pretrained`; tests give a scripted one.
        options: Further arguments for the node, such as its `namespace`.
    """

    def __init__(self, load_pointer: LoadPointer = Pointer.from_pretrained, **options: Any) -> None:
        super().__init__("molmo_point", **options)
        self._load_pointer = load_pointer
        self._goals_group = ReentrantCallbackGroup()
        self._service_group = MutuallyExclusiveCallbackGroup()
        self._queue = GoalQueue()
        # A goal that points does not end a person's teaching, nor the reverse.
        self._queues = (self._queue, GoalQueue(preempts=False))
        self._keeper = QueryKeeper(lambda: self.parameters, self.get_logger())
        self._resources: NodeResources | None = None
        self._is_active = self._is_ending = False
        self._servers: list[GoalServer] = []
        self._static_sender: StaticTransformSender | None = None
        # After the attributes that `close` needs: a refused value ends the node here.
        declare(self, PointingNodeParameters)
        period_s = float(self.get_parameter("diagnostics_period_s").value or 0.0)
        self._diagnostics = Diagnostics(self, period_s, lambda: self._resources, self._state, self._doing, self._goals_group)
        self._alignment_timer = self.create_timer(PERIOD_S, self._show_frame, callback_group=MutuallyExclusiveCallbackGroup())
        self._heartbeat = self.create_timer(HEARTBEAT_S, self._on_heartbeat, callback_group=self._goals_group)

    @property
    def parameters(self) -> PointingNodeParameters:
        """Current parameters."""
        return read(self, PointingNodeParameters)

    def _state(self) -> NodeState:
        if self._resources is None:
            return NodeState.UNCONFIGURED
        return NodeState.ACTIVE if self._is_active else NodeState.INACTIVE

    def _doing(self) -> dict[str, str]:
        goals = [type(goal).__name__ for goal in self._running()]
        return {"goal": ", ".join(goals), "queries": "; ".join(self._keeper.queries)}

    def start(self) -> bool:
        """Configure and activate with the parameter `autostart`. Returns True if both succeeded."""
        success = TransitionCallbackReturn.SUCCESS
        if not self.parameters.autostart:
            return True
        return self.trigger_configure() == success and self.trigger_activate() == success

    @property
    def is_idle(self) -> bool:
        """True if every accepted goal has ended."""
        return all(server.is_idle for server in self._servers)

    def end_work(self) -> None:
        """Take no more goals and requests, and end the goals and the continuous mode."""
        self._is_active, self._is_ending = False, True
        for queue in self._queues:
            queue.close(StopReason.SHUTDOWN)
        self._keeper.stop()

    def _is_alive(self) -> bool:
        return not self._is_ending and self.context.ok()

    # ---------------------------------------------------------------------------------------------------- lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model, then subscribe (or open the camera), advertise, and serve the action."""
        parameters = self.parameters
        inputs = transforms = None
        try:
            self.get_logger().info(f"loading the model {parameters.model!r}")
            pointer = self._load_pointer(
                parameters.model, device=parameters.device or None, quantization=parameters.quantization or None
            )
            taught = open_taught_layer(pointer, parameters.taught, self.get_logger())
            gripper_of(parameters)
            inputs = InputNode(self)
            clock = self.get_clock()
            limits, level_frame = parameters.transform_limits(), parameters.level_frame.lstrip("/")
            transforms = TransformListener(inputs, lambda: clock.now().nanoseconds, limits, parameters.optical_frame, level_frame)
            alignment = AlignmentMonitor(parameters.alignment_period_s)
            frames = self._open_frames(inputs, transforms, alignment)
        except BaseException as error:
            for made in (transforms, inputs):
                if made is not None:
                    made.close()
            if not isinstance(error, Exception):
                raise
            reason = str(error) if isinstance(error, MolmoPointError) else repr(error)
            self.get_logger().error(f"cannot configure: {brief(reason)}")
            return TransitionCallbackReturn.FAILURE
        publisher = open_publisher(self, parameters)
        self._resources = NodeResources(
            pointer,
            frames,
            transforms,
            publisher,
            inputs,
            lambda: clock.now().nanoseconds,
            self._is_alive,
            alignment=alignment,
            taught=taught,
        )
        if frames.pose is not None:
            self._static_sender = self._static_sender or StaticTransformSender(self)
            self._static_sender.send(frames.pose)
        self._servers = self._servers or self._serve()
        # These objects stay: collecting garbage among them would delay a frame now and then.
        gc.collect()
        gc.freeze()
        return super().on_configure(state)

    def _open_frames(self, inputs: InputNode, transforms: TransformListener, alignment: AlignmentMonitor) -> OpticalSource:
        """Open the source of frames: in their optical frame, and watched for depth that does not fit."""
        parameters = self.parameters
        source = TopicSource(inputs, parameters) if parameters.camera == TOPICS else CameraSource(self, parameters)

        def watched(frame: RgbdFrame) -> RgbdFrame:
            return alignment.watched(transforms.in_optical_frame(frame))

        return OpticalSource(source, watched, parameters.tf_timeout_s)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Accept goals from now on."""
        result = super().on_activate(state)
        self._is_active = result == TransitionCallbackReturn.SUCCESS
        if self._resources is not None:
            self._keeper.follow_parameter(str(self.get_parameter("query").value), self._resources)
        self.get_logger().info(f"ready: {self.get_fully_qualified_name()}/point_at")
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Accept no more goals, and end the one at work."""
        self._is_active = False
        self._stop_goals(StopReason.DEACTIVATED)
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
        """Free everything that configure made; may be called at any time and repeatedly."""
        self._is_active = False
        self._stop_goals(StopReason.SHUTDOWN)
        self._keeper.stop()
        self._await_goal()
        resources, self._resources = self._resources, None
        if resources is not None:
            resources.frames.close()
            resources.transforms.close()
            resources.inputs.close()
            resources.publisher.close()
            del resources
            gc.unfreeze()
            gc.collect()
            # Not imported here: only a model that uses torch holds memory of it.
            torch = sys.modules.get("torch")
            if torch is not None and torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _stop_goals(self, reason: StopReason) -> None:
        for queue in self._queues:
            queue.stop_all(reason)

    def _running(self) -> list[QueuedGoal]:
        return [goal for queue in self._queues if (goal := queue.running()) is not None]

    def _await_goal(self) -> None:
        """Wait for the end of the goals at work: they publish on what `close` destroys."""
        deadline_s = time.monotonic() + _GOAL_END_S
        while self._running() and time.monotonic() < deadline_s:
            time.sleep(_CHECK_S)

    def destroy_node(self) -> None:
        """End the node; nothing may spin it any more."""
        self.close()
        for server in self._servers:
            server.destroy()
        super().destroy_node()

    # -------------------------------------------------------------------------------------------------------- goals

    def _serve(self) -> list[GoalServer]:
        """Advertise services and actions, once; cleanup keeps them idle."""
        group = self._service_group
        self._deproject = self.create_service(Deproject, "~/deproject", self._on_deproject, callback_group=group)
        self._set_query = self.create_service(SetQuery, "~/set_query", self._on_set_query, callback_group=group)
        self._taught = [
            self.create_service(kind, name, partial(self._on_taught, serve), callback_group=group)
            for name, kind, serve in (
                ("~/list_taught", ListTaught, list_taught),
                ("~/forget_taught", ForgetTaught, forget_taught),
            )
        ]
        pointing, teaching = self._queues
        servers = (
            ("~/point_at", PointAt, PointingGoal, pointing),
            ("~/count_objects", CountObjects, CountGoal, pointing),
            ("~/teach", Teach, TeachGoal, teaching),
        )
        return [
            GoalServer(self, action, name, queue, partial(self._make_goal, kind), self._refusal, self._goals_group)
            for name, action, kind, queue in servers
        ]

    def _refusal(self) -> str:
        return "" if self._is_active else NOT_ACTIVE

    def _make_goal(self, kind: Callable[..., ActionGoal], goal_handle: Any, _: None) -> ActionGoal | None:
        resources = self._resources
        return (
            None if resources is None or not self._is_active else kind(goal_handle, resources, self.parameters, self.get_logger())
        )

    def _on_deproject(self, request: Deproject.Request, response: Deproject.Response) -> Deproject.Response:
        resources = self._resources
        if resources is None or not self._is_active:
            response.message = NOT_ACTIVE
            return response
        return deproject(request, resources, self.parameters)

    def _on_set_query(self, request: SetQuery.Request, response: SetQuery.Response) -> SetQuery.Response:
        resources = self._resources
        if resources is None or not self._is_active:
            response.message = NOT_ACTIVE
            return response
        return self._keeper.serve(request, response, resources)

    def _on_taught(self, serve: Callable[..., Any], request: Any, response: Any) -> Any:
        resources = self._resources
        if resources is None or not self._is_active:
            response.message = NOT_ACTIVE
            return response
        return serve(request, response, resources.taught)

    def _show_frame(self) -> None:
        """Take a frame, so that its depth is compared with color also while nobody asks."""
        resources = self._resources
        if resources is not None and self._is_active and self.parameters.alignment_period_s > 0:
            with contextlib.suppress(Exception):  # A goal tells what is wrong with the frames.
                resources.frames.newer(0, 0.0, lambda: self._is_ending)

    def _on_heartbeat(self) -> None:
        resources = self._resources
        if resources is not None and self._is_active:
            self._keeper.follow_parameter(str(self.get_parameter("query").value), resources)
        for running in self._running():
            if isinstance(running, ActionGoal):
                running.tell()


def _keep_opencv_to_one_thread() -> None:
    """Limit OpenCV to one thread: the work per image is too small for a second one."""
    try:
        import cv2
    except ImportError:
        return
    cv2.setNumThreads(1)


def main(args: Sequence[str] | None = None, load_pointer: LoadPointer = Pointer.from_pretrained) -> int:
    """Run the node until it is told to end. Returns 1 if it cannot start."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    _keep_opencv_to_one_thread()
    return run_node("molmo_point", args, lambda: PointingNode(load_pointer), THREADS)


if __name__ == "__main__":
    sys.exit(main())
