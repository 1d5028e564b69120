"""Continuous mode: the model answers about the newest frame as fast as it goes, and its points are followed in between.

Two threads: one asks the model, and lets go of it whenever a goal wants it; the other follows the points through every
frame of the camera and publishes them, each frame with the transforms of its own capture time.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from molmo_point.errors import CancelledError, MolmoPointError
from molmo_point.frame import RgbdFrame
from molmo_point.results import Pointing
from molmo_point.tracking import PointTracker, Tracks
from molmo_point_ros.inputs.tf_buffer import NotYetKnownError
from molmo_point_ros.nodes.goal_error import GoalError
from molmo_point_ros.nodes.node_resources import Parts
from molmo_point_ros.nodes.parameters import PointingNodeParameters
from molmo_point_ros.pointing.answers import Answer, answer_of, answer_of_tracks
from molmo_point_ros.pointing.follower import Follower
from molmo_point_ros.pointing.gates import Gates
from molmo_point_ros.pointing.stamped_frame import freeze

_FRAME_WAIT_S = 0.5
_LATE_WAIT_S = 0.01
_AFTER_FAILURE_S = 0.5
_AFTER_BAD_FRAME_S = 0.05
_END_S = 10.0


@dataclass(frozen=True)
class Task:
    """What to look for.

    Attributes:
        queries: One or several, asked together.
        target_frame: Frame of the positions; "" is the optical frame.
        max_rate_hz: Answers per second at most; 0 is no limit.
        prefer: Which surface an answer is lifted to, see `lift_point`; what is followed stays on that surface.
    """

    queries: tuple[str, ...]
    target_frame: str = ""
    max_rate_hz: float = 0.0
    prefer: str = "near"


class ContinuousMode:
    """Looks for one task until it is stopped.

    Args:
        number: Of this run, the first part of every id: no id is given twice while the node runs.
        task: What to look for.
        parts: The node's parts.
        settings: The parameters.
        logger: The node's.

    Raises:
        DependencyError: If points are to be followed and OpenCV is not installed.
    """

    def __init__(self, number: int, task: Task, parts: Parts, settings: PointingNodeParameters, logger: Any) -> None:
        self.task = task
        self._number, self._parts, self._settings, self._logger = number, parts, settings, logger
        self._gates = Gates.from_settings(settings)
        self._stop = threading.Event()
        self._follower: Follower | None = None
        if settings.tracking:
            tracker = PointTracker(history_s=settings.track_history_s, hold_s=settings.track_hold_s)
            self._follower = Follower(tracker)
        self._received = 0
        self._due = threading.Lock()
        self._told: set[int] = set()
        self._last: dict[str, Pointing] = {}
        self._late: deque[tuple[RgbdFrame, Tracks, float]] = deque()
        work = [self._ask] + ([self._follow] if self._follower is not None else [])
        self._threads = [threading.Thread(target=self._kept_up, args=(each,), daemon=True) for each in work]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; nothing is published afterwards. A model in the middle of an answer stops between two tokens."""
        self._stop.set()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_END_S)

    def _should_stop(self) -> bool:
        return self._stop.is_set() or not self._parts.is_alive()

    def _kept_up(self, step: Callable[[], None]) -> None:
        """Repeat one step of a thread's work; what goes wrong is told, and the work goes on."""
        while not self._should_stop():
            try:
                step()
            except Exception as error:
                self._tell(error)
                self._stop.wait(_AFTER_FAILURE_S if step == self._ask else _AFTER_BAD_FRAME_S)

    def _tell(self, error: Exception) -> None:
        reason = str(error) if isinstance(error, MolmoPointError) else repr(error)
        self._parts.monitor.failed(reason)
        self._logger.warning(f"continuous mode goes on after: {reason}", throttle_duration_sec=5.0)

    # ---------------------------------------------------------------------------------------------------- the model

    def _ask(self) -> None:
        """One answer about the newest frame."""
        started_s = time.monotonic()
        last_ns = next((pointing.stamp_ns for pointing in self._last.values()), 0)
        if self._follower is not None:
            frame = self._follower.newest(last_ns, _FRAME_WAIT_S)
        else:
            frame = self._parts.frames.newer(last_ns, _FRAME_WAIT_S, self._should_stop)
        if frame is None:
            return
        if self._answer(frame) and self.task.max_rate_hz > 0:
            self._stop.wait(max(1.0 / self.task.max_rate_hz - (time.monotonic() - started_s), 0.0))

    def _answer(self, frame: RgbdFrame) -> bool:
        """Ask about a frame and take the answers in. Returns False where a goal took the model over."""
        parts = self._parts
        # Frozen before the model starts. Where points are followed, each later frame has its own.
        capture = None if self._follower is not None else self._frozen(frame, self._settings.tf_timeout_s)
        pointings = self._asked(frame)
        if not pointings:
            return False
        parts.monitor.answered(max(float(pointing.timing_ms.get("total", 0.0)) for pointing in pointings) * 1e-3)
        parts.remembered.append(frame)
        readable = [pointing for pointing in pointings if pointing.points or pointing.absent]
        if len(readable) < len(pointings):
            parts.monitor.count("answers without points", len(pointings) - len(readable))
        followed = None if self._follower is None else self._follower.take_in(readable, self._should_stop)
        self._last.update({pointing.query: pointing for pointing in readable})
        if followed is not None:
            self._publish_anew(*followed)
        elif self._follower is None and capture is not None:
            now_ns = parts.now_ns()
            self._publish(frame, [answer_of(pointing, capture, self._gates, now_ns) for pointing in readable], now_ns)
        return True

    def _asked(self, frame: RgbdFrame) -> tuple[Pointing, ...]:
        """The model's answers, one for each query; none where a goal wants the model."""
        model = self._parts.model
        with model.spare_turn(self._should_stop) as had:
            if not had:
                return ()
            try:
                return self._parts.pointer.point_many(
                    frame,
                    self.task.queries,
                    max_points=self._settings.max_points,
                    prefer=self.task.prefer,
                    should_stop=lambda: self._should_stop() or model.is_wanted,
                )
            except CancelledError:
                return ()

    # ------------------------------------------------------------------------------------------------- the camera

    def _follow(self) -> None:
        """One frame of the camera: follow the points, and publish what is due."""
        assert self._follower is not None
        frames = self._parts.frames
        frame = frames.newer(self._follower.newest_ns, _LATE_WAIT_S if self._late else _FRAME_WAIT_S, self._should_stop)
        if frame is not None:
            tracks = self._follower.update(frame)
            self._parts.monitor.count("frames followed")
            self._parts.monitor.used(frame)
            self._late.append((frame, tracks, time.monotonic() + self._settings.tf_timeout_s))
            received, self._received = self._received, frames.received()
            if received:
                self._parts.monitor.count("frames left out", max(self._received - received - 1, 0))
        elif not self._late:
            self._logger.warning("continuous mode: no frame comes", throttle_duration_sec=5.0)
        self._publish_due()

    def _publish_anew(self, frame: RgbdFrame, tracks: Tracks) -> None:
        """Publish a frame again where the answer has brought new targets: the next frame of a slow camera is far."""
        new = {track.id for track in tracks.tracks if track.target is not None} - self._told
        if new:
            self._late.append((frame, tracks, time.monotonic() + self._settings.tf_timeout_s))
            self._publish_due()

    def _publish_due(self) -> None:
        """Publish, in order, the frames whose transforms are known; give up those that have waited too long."""
        with self._due:
            self._publish_in_order()

    def _publish_in_order(self) -> None:
        while self._late and not self._should_stop():
            frame, tracks, deadline_s = self._late[0]
            try:
                capture = self._frozen(frame, 0.0)
            except GoalError as error:
                if isinstance(error.__cause__, NotYetKnownError) and time.monotonic() < deadline_s:
                    return
                self._late.popleft()
                self._parts.monitor.count("frames without transform")
                self._tell(error)
                continue
            self._late.popleft()
            self._told = {track.id for track in tracks.tracks if track.target is not None}
            now_ns = self._parts.now_ns()
            answers = []
            for query, last in tuple(self._last.items()):
                of_query = [track for track in tracks.tracks if track.query == query]
                answers.append(answer_of_tracks(last, of_query, capture, self._gates, now_ns, f"{self._number}."))
            self._publish(frame, answers, now_ns)

    def _frozen(self, frame: RgbdFrame, timeout_s: float) -> Any:
        parts = self._parts
        return freeze(frame, self.task.target_frame, self._gates, parts.transforms, timeout_s, self._should_stop)

    def _publish(self, frame: RgbdFrame, answers: list[Answer], now_ns: int) -> None:
        if not answers or self._should_stop():
            return
        self._parts.publisher.publish_answers(answers, frame)
        self._parts.monitor.published(
            (now_ns - frame.stamp_ns) * 1e-9, [target for answer in answers for target in answer.stopped]
        )
