"""The part of a goal that all questions about frames share: the frame, its transforms, and a turn at the model."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from molmo_point.errors import CancelledError, InputError, MolmoPointError
from molmo_point.frame import RgbdFrame
from molmo_point_ros.conversions.field_checks import checked_frame
from molmo_point_ros.nodes.action_goal import ActionGoal
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError
from molmo_point_ros.nodes.node_resources import NodeResources
from molmo_point_ros.nodes.parameters import PointingNodeParameters
from molmo_point_ros.pointing.gates import Gates
from molmo_point_ros.pointing.stamped_frame import StampedFrame, stamped_frame

MOST_AHEAD_S = 1.0
"""An image captured later than this after now has another clock: "captured after the goal" would mean nothing."""


class FrameGoal(ActionGoal):
    """A goal about frames of the camera.

    Args:
        goal_handle: rclpy's handle of the accepted goal.
        resources: Of the node.
        parameters: At the time of acceptance.
        logger: Of the node.
        timeout_s: Used if the goal names none; None takes that of the parameters.
    """

    def __init__(
        self,
        goal_handle: Any,
        resources: NodeResources,
        parameters: PointingNodeParameters,
        logger: Any,
        timeout_s: float | None = None,
    ) -> None:
        super().__init__(goal_handle, timeout_s or parameters.timeout_s, logger, resources.is_alive)
        self._resources, self._parameters = resources, parameters
        self._accepted_ns = resources.now_ns()
        # The library of taught objects of this moment: it stays the same until the end of the goal.
        self._pointer = resources.pointer
        self._gates = Gates.from_parameters(parameters)
        try:
            self._wanted = checked_frame(self._target_frame()) or checked_frame(parameters.target_frame)
        except InputError as error:
            self._refused = self._refused or error

    def answer(self) -> Any:
        """Do the work, and count its error in the diagnostics; see `ActionGoal.answer`."""
        result = super().answer()
        if result.error_msg:
            self._resources.monitor.failed(result.error_msg)
        return result

    @abstractmethod
    def answer_into(self, result: Any) -> None:
        """See `ActionGoal.answer_into`."""

    def _target_frame(self) -> str:
        """Return the frame of the positions that the goal names; "" names none."""
        return str(self.request.target_frame)

    def _max_points(self) -> int:
        return min(int(self.request.max_points) or self._parameters.max_points, self._parameters.max_points)

    def _frame(self, after_ns: int) -> RgbdFrame:
        """Wait for a frame captured at this time or later."""
        timeout_s = max(min(self._parameters.image_timeout_s, self.left_s), 0.0)
        frame = self._resources.frames.frame(max(after_ns, 0), timeout_s, self.should_stop)
        if frame is None:
            raise self.stopped_error()
        ahead_s = (frame.stamp_ns - self._resources.now_ns()) * 1e-9
        if ahead_s > MOST_AHEAD_S:
            fix = "synchronize the clocks of camera and node (chrony, PTP), or set use_sim_time on both"
            raise GoalError(ErrorCode.NO_IMAGE, "The image is from the future", f"{ahead_s:.3f} s ahead of the node's clock", fix)
        return frame

    def _stamped(self, frame: RgbdFrame, level_frame: str = "") -> StampedFrame:
        """Look up the transforms that the goal and the gates need, at the capture time."""
        timeout_s, transforms = self._parameters.tf_timeout_s, self._resources.transforms
        stamped = stamped_frame(
            frame,
            self._wanted,
            self._gates,
            transforms,
            timeout_s,
            self.should_stop,
            level_frame,
            self._parameters.without_depth(self._wanted),
        )
        if stamped is None:
            raise self.stopped_error()
        self._resources.monitor.used(frame)
        self._resources.remembered.append(frame)
        return stamped

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """Ask the model in this goal's turn."""
        try:
            with self._resources.model.goal_turn(self.should_stop) as had:
                if not had:
                    raise self.stopped_error()
                answer = ask()
        except CancelledError:
            self.should_stop()
            raise self.stopped_error() from None
        except MolmoPointError:
            raise
        except Exception as error:
            raise GoalError(ErrorCode.MODEL_ERROR, "The model failed", repr(error), "see the node's log") from error
        self._resources.monitor.answered(float(answer.timing_ms.get("total", 0.0)) * 1e-3, answer.cautions)
        return answer

    def _told_stop(self) -> Callable[[], bool]:
        """Return `should_stop` for the model; its second call means that the image is encoded.

        The model asks once before it starts, then between tokens.
        """
        calls = 0

        def should_stop() -> bool:
            nonlocal calls
            calls += 1
            if calls == 2:
                self.tell(state=self.Feedback.GENERATING)
            return self.should_stop()

        return should_stop
