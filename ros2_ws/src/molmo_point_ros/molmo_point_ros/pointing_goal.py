"""One PointAt goal from its acceptance to its result."""

import dataclasses
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from molmo_point_msgs.action import PointAt
from molmo_point_msgs.msg import PointTargetArray

from molmo_point.errors import CancelledError, FrameError, InputError, MolmoPointError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.lift import lift_points
from molmo_point.pointer import Pointer
from molmo_point.results import ImagePoint, Pointing
from molmo_point_ros.conversions import color_from_message, image_points_message, stamp_to_ns
from molmo_point_ros.frame_sources import FrameSource
from molmo_point_ros.goal_error import CODES, GoalError
from molmo_point_ros.goal_queue import PREEMPTED
from molmo_point_ros.parameters import PointingSettings
from molmo_point_ros.publisher import TargetPublisher
from molmo_point_ros.tf_listener import TransformSource, wait_for_transform

MAX_QUERIES = 16
TIMED_OUT = "timed out"

_WHY_STOPPED = {
    PREEMPTED: (CODES.CANCELED, "The goal was preempted by a newer one", "send one goal at a time, with all its queries"),
    TIMED_OUT: (CODES.TIMEOUT, "The goal took longer than it may", "raise the goal's timeout or the parameter timeout_s"),
}


@dataclass(frozen=True)
class Parts:
    """What a configured node has."""

    pointer: Pointer
    frames: FrameSource
    transforms: TransformSource
    publisher: TargetPublisher


class PointingGoal:
    """A goal that is worked on in the thread that calls `answer`, and stopped from any other.

    Args:
        goal_handle: rclpy's handle of the accepted goal.
        parts: The node's parts.
        settings: The parameters at the time of acceptance.
        accepted_ns: The node's time at acceptance, in nanoseconds.
        is_alive: Whether the node still runs.
    """

    def __init__(
        self, goal_handle: Any, parts: Parts, settings: PointingSettings, accepted_ns: int, is_alive: Callable[[], bool]
    ) -> None:
        self.goal_handle = goal_handle
        self._request: PointAt.Goal = goal_handle.request
        self._parts, self._settings, self._accepted_ns, self._is_alive = parts, settings, accepted_ns, is_alive
        self._started_s = time.monotonic()
        asked_s = self._request.timeout.sec + self._request.timeout.nanosec * 1e-9
        self._timeout_s = asked_s if asked_s > 0 else settings.timeout_s
        self._stop_reason = ""
        self._feedback = PointAt.Feedback(state=PointAt.Feedback.WAITING_IMAGE)
        self._lock = threading.Lock()

    # ------------------------------------------------------------------------------------------------ for the queue

    def start(self) -> None:
        """Have the node's executor run the action server's execute callback."""
        self.goal_handle.execute()

    def stop(self, reason: str) -> None:
        """Ask for the end; the first reason counts."""
        self._stop_reason = self._stop_reason or reason

    def should_stop(self) -> bool:
        """Whether the work is to end: asked between tokens and while waiting."""
        if time.monotonic() - self._started_s > self._timeout_s:
            self.stop(TIMED_OUT)
        if self.goal_handle.is_cancel_requested:
            self.stop("cancelled by the client")
        if not self._is_alive():
            self.stop("the node shuts down")
        return bool(self._stop_reason)

    # ----------------------------------------------------------------------------------------------------- the work

    def answer(self) -> PointAt.Result:
        """Do the work. Never raises: what went wrong is in the result's error_code and error_msg."""
        result = PointAt.Result()
        try:
            self._answer_into(result)
        except GoalError as error:
            result.error_code, result.error_msg = error.code, str(error)
        except Exception as error:
            result.error_code, result.error_msg = CODES.UNKNOWN, f"Unexpected: {error!r}. Please report it."
        return result

    def _answer_into(self, result: PointAt.Result) -> None:
        queries, max_points = self._checked()
        frame = self._frame()
        wanted = (self._request.target_frame or self._settings.target_frame).lstrip("/")
        # Frozen now, at the capture time: when the model has answered, the camera may be elsewhere.
        transform = self._transform(wanted, frame)
        texts = []
        for query in queries:
            pointing = self._point(frame, query, max_points)
            texts.append(pointing.text)
            result.raw_output = "\n".join(texts)
            self._check_motion(transform, frame)
            if self.should_stop():
                raise self._stopped()
            result.results.append(self._parts.publisher.publish(pointing, frame, transform))
            if not pointing.points and not pointing.absent:
                given = f"{pointing.text[:200]!r} ({'; '.join(pointing.problems) or 'no points'})"
                raise GoalError(CODES.PARSE_ERROR, "The model's answer has no points", given, "ask in other words")

    def _checked(self) -> tuple[list[str], int]:
        request = self._request
        queries = list(request.queries)
        if not 1 <= len(queries) <= MAX_QUERIES or not all(query.strip() for query in queries):
            given = f"{len(queries)} queries, {sum(not query.strip() for query in queries)} of them empty"
            raise GoalError(
                CODES.GOAL_REJECTED, "The queries cannot be used", given, f"send 1 to {MAX_QUERIES} with words in them"
            )
        if request.compute_grasp:
            raise GoalError(CODES.GOAL_REJECTED, "Grasps are not computed here", "compute_grasp true", "send compute_grasp false")
        return queries, min(int(request.max_points) or self._settings.max_points, self._settings.max_points)

    def _frame(self) -> RgbdFrame:
        self.tell(PointAt.Feedback.WAITING_IMAGE)
        if self._request.image.data:
            return self._given_frame()
        age_ns = 0 if self._request.use_next_image else round(self._settings.max_image_age_s * 1e9)
        left_s = self._timeout_s - (time.monotonic() - self._started_s)
        timeout_s = max(min(self._settings.image_timeout_s, left_s), 0.0)
        frame = self._parts.frames.frame(max(self._accepted_ns - age_ns, 0), timeout_s, self.should_stop)
        if frame is None:
            raise self._stopped()
        return frame

    def _given_frame(self) -> RgbdFrame:
        image = self._request.image
        stamp_ns = stamp_to_ns(image.header.stamp)
        if stamp_ns <= 0 or not image.header.frame_id:
            given = f"stamp {stamp_ns} ns, frame_id {image.header.frame_id!r}"
            raise GoalError(CODES.GOAL_REJECTED, "The goal's image has no capture time or frame", given, "fill its header")
        try:
            return RgbdFrame(color_from_message(image), None, None, stamp_ns, image.header.frame_id)
        except InputError as error:
            raise GoalError(CODES.GOAL_REJECTED, error.what, error.given, error.fix) from error

    def _transform(self, wanted: str, frame: RgbdFrame) -> Transform | None:
        if not wanted or wanted == frame.frame:
            return None
        timeout_s = self._settings.tf_timeout_s
        try:
            found = wait_for_transform(self._parts.transforms, wanted, frame.frame, frame.stamp_ns, timeout_s, self.should_stop)
        except FrameError as error:
            raise GoalError(CODES.TF_ERROR, error.what, error.given, error.fix) from error
        if found is None:
            raise self._stopped()
        return found

    def _point(self, frame: RgbdFrame, query: str, max_points: int) -> Pointing:
        def on_points(points: tuple[ImagePoint, ...]) -> None:
            partial = image_points_message(query, self._parts.pointer.backend.name, points, frame)
            self.tell(PointAt.Feedback.GENERATING, partial)

        calls = 0

        def should_stop() -> bool:
            # Asked once before the model starts, then between tokens: the second time, the image is encoded.
            nonlocal calls
            calls += 1
            if calls == 2:
                self.tell(PointAt.Feedback.GENERATING)
            return self.should_stop()

        self.tell(PointAt.Feedback.ENCODING, PointTargetArray())
        try:
            pointing = self._parts.pointer.point(
                frame, query, max_points=max_points, should_stop=should_stop, on_points=on_points
            )
        except CancelledError:
            self.should_stop()
            raise self._stopped() from None
        except InputError as error:
            raise GoalError(CODES.GOAL_REJECTED, error.what, error.given, error.fix) from error
        except MolmoPointError as error:
            raise GoalError(CODES.MODEL_ERROR, error.what, error.given, error.fix) from error
        except Exception as error:
            raise GoalError(CODES.MODEL_ERROR, "The model failed", repr(error), "see the node's log") from error
        self.tell(PointAt.Feedback.LIFTING)
        # Again with this node's limit: the pointer lifts with the SDK's own.
        targets, unreachable = lift_points(pointing.points, frame, max_skew_s=self._settings.max_skew_s)
        return dataclasses.replace(pointing, targets=targets, unreachable=unreachable)

    def _check_motion(self, at_capture: Transform | None, frame: RgbdFrame) -> None:
        limit_m = self._settings.max_camera_motion_m
        if at_capture is None or limit_m <= 0:
            return
        try:
            now = self._parts.transforms.lookup(at_capture.target, frame.frame, None)
        except FrameError as error:
            raise GoalError(CODES.TF_ERROR, error.what, error.given, error.fix) from error
        moved_m = float(np.linalg.norm(now.translation_m - at_capture.translation_m))
        if moved_m > limit_m:
            given = f"{moved_m * 1e3:.1f} mm in {at_capture.target!r}, allowed {limit_m * 1e3:.1f} mm"
            fix = "hold the camera still, or raise max_camera_motion_m"
            raise GoalError(CODES.CAMERA_MOVED, "The camera moved between capture and answer", given, fix)

    def _stopped(self) -> GoalError:
        reason = self._stop_reason or "stopped"
        code, what, fix = _WHY_STOPPED.get(reason, (CODES.CANCELED, "The goal was cancelled", "send it again"))
        return GoalError(code, what, f"{reason} after {time.monotonic() - self._started_s:.2f} s", fix)

    # ----------------------------------------------------------------------------------------------------- feedback

    def tell(self, state: int | None = None, partial: PointTargetArray | None = None) -> None:
        """Publish feedback: a new state, new points, or (without either) a sign of life."""
        with self._lock:
            if state is not None:
                self._feedback.state = state
            if partial is not None:
                self._feedback.partial = partial
                self._feedback.points_so_far = len(partial.targets)
            self._feedback.elapsed = time.monotonic() - self._started_s
            if self.goal_handle.is_active:
                self.goal_handle.publish_feedback(self._feedback)
