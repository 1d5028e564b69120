"""What every action of the node shares: stopping, time-out, feedback, the frame, and its turn at the model."""

import threading
import time
from collections.abc import Callable
from typing import Any

from molmo_point.errors import CancelledError, InputError, MolmoPointError
from molmo_point.frame import RgbdFrame
from molmo_point_ros.nodes.goal_error import CODES, GoalError
from molmo_point_ros.nodes.goal_queue import PREEMPTED
from molmo_point_ros.nodes.node_resources import Parts
from molmo_point_ros.nodes.parameters import PointingNodeParameters
from molmo_point_ros.pointing.gates import Gates
from molmo_point_ros.pointing.stamped_frame import Capture, freeze

MAX_QUERIES = 16
TIMED_OUT = "timed out"
MOST_AHEAD_S = 1.0
"""An image captured later than this after now has another clock: "captured after the goal" would mean nothing."""

_WHY_STOPPED = {
    PREEMPTED: (CODES.CANCELED, "The goal was preempted by a newer one", "send one goal at a time, with all its queries"),
    TIMED_OUT: (CODES.TIMEOUT, "The goal took longer than it may", "raise the goal's timeout or the parameter timeout_s"),
}


def checked_queries(queries: list[str], longest: int) -> list[str]:
    """What to point at.

    Args:
        queries: As they came.
        longest: Characters of a query at most.

    Raises:
        GoalError: GOAL_REJECTED where there are none or too many, or one is empty or too long.
    """
    given = ""
    if not 1 <= len(queries) <= MAX_QUERIES or not all(query.strip() for query in queries):
        given = f"{len(queries)} queries, {sum(not query.strip() for query in queries)} of them empty"
    elif max(len(query) for query in queries) > longest:
        given = f"a query of {max(len(query) for query in queries)} characters"
    if given:
        fix = f"send 1 to {MAX_QUERIES} with words in them, each of at most {longest} characters"
        raise GoalError(CODES.GOAL_REJECTED, "The queries cannot be used", given, fix)
    return queries


class ActionGoal:
    """A goal that is worked on in the thread that calls `answer`, and stopped from any other.

    A subclass has the action's `Result` and `Feedback` and does the work in `_answer_into`.

    Args:
        goal_handle: rclpy's handle of the accepted goal.
        parts: The node's parts.
        settings: The parameters at the time of acceptance.
    """

    Result: Any
    Feedback: Any

    def __init__(self, goal_handle: Any, parts: Parts, settings: PointingNodeParameters) -> None:
        self.goal_handle = goal_handle
        self._request = goal_handle.request
        self._parts, self._settings, self._accepted_ns = parts, settings, parts.now_ns()
        self._gates = Gates.from_settings(settings)
        self._started_s = time.monotonic()
        asked_s = self._request.timeout.sec + self._request.timeout.nanosec * 1e-9
        self._timeout_s = asked_s if asked_s > 0 else settings.timeout_s
        self._stop_reason = ""
        self._feedback = self.Feedback()
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
        if not self._parts.is_alive():
            self.stop("the node shuts down")
        return bool(self._stop_reason)

    # ----------------------------------------------------------------------------------------------------- the work

    def answer(self) -> Any:
        """Do the work. Never raises: what went wrong is in the result's error_code and error_msg."""
        result = self.Result()
        try:
            self._answer_into(result)
        except GoalError as error:
            result.error_code, result.error_msg = error.code, str(error)
        except Exception as error:
            result.error_code, result.error_msg = CODES.UNKNOWN, f"Unexpected: {error!r}. Please report it."
        if result.error_msg:
            self._parts.monitor.failed(result.error_msg)
        return result

    def _answer_into(self, result: Any) -> None:
        raise NotImplementedError

    def _max_points(self) -> int:
        return min(int(self._request.max_points) or self._settings.max_points, self._settings.max_points)

    def _frame(self, after_ns: int) -> RgbdFrame:
        """A frame captured at this time or later."""
        left_s = self._timeout_s - (time.monotonic() - self._started_s)
        timeout_s = max(min(self._settings.image_timeout_s, left_s), 0.0)
        frame = self._parts.frames.frame(max(after_ns, 0), timeout_s, self.should_stop)
        if frame is None:
            raise self._stopped()
        ahead_s = (frame.stamp_ns - self._parts.now_ns()) * 1e-9
        if ahead_s > MOST_AHEAD_S:
            fix = "synchronise the clocks of camera and node (chrony, PTP), or set use_sim_time on both"
            raise GoalError(CODES.NO_IMAGE, "The image is from the future", f"{ahead_s:.3f} s ahead of the node's clock", fix)
        return frame

    def _freeze(self, frame: RgbdFrame, level_frame: str = "") -> Capture:
        """The capture with its transforms into the frames that the goal and the gates want."""
        wanted = (self._request.target_frame or self._settings.target_frame).lstrip("/")
        capture = freeze(
            frame, wanted, self._gates, self._parts.transforms, self._settings.tf_timeout_s, self.should_stop, level_frame
        )
        if capture is None:
            raise self._stopped()
        self._parts.monitor.used(frame)
        self._parts.remembered.append(frame)
        return capture

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """What the model answers in this goal's turn, its errors as ours."""
        try:
            with self._parts.model.goal_turn(self.should_stop) as had:
                if not had:
                    raise self._stopped()
                answer = ask()
        except GoalError:
            raise
        except CancelledError:
            self.should_stop()
            raise self._stopped() from None
        except InputError as error:
            raise GoalError(CODES.GOAL_REJECTED, error.what, error.given, error.fix) from error
        except MolmoPointError as error:
            raise GoalError(CODES.MODEL_ERROR, error.what, error.given, error.fix) from error
        except Exception as error:
            raise GoalError(CODES.MODEL_ERROR, "The model failed", repr(error), "see the node's log") from error
        self._parts.monitor.answered(float(answer.timing_ms.get("total", 0.0)) * 1e-3)
        return answer

    def _told_stop(self) -> Callable[[], bool]:
        """`should_stop` for the model, which tells by the way that the image is encoded.

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

    def _stopped(self) -> GoalError:
        reason = self._stop_reason or "stopped"
        code, what, fix = _WHY_STOPPED.get(reason, (CODES.CANCELED, "The goal was cancelled", "send it again"))
        return GoalError(code, what, f"{reason} after {time.monotonic() - self._started_s:.2f} s", fix)

    # ----------------------------------------------------------------------------------------------------- feedback

    def tell(self, **values: Any) -> None:
        """Publish feedback with fields that changed, or (without any) as a sign of life."""
        with self._lock:
            for name, value in values.items():
                setattr(self._feedback, name, value)
            self._feedback.elapsed = time.monotonic() - self._started_s
            if self.goal_handle.is_active:
                self.goal_handle.publish_feedback(self._feedback)
