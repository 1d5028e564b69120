"""Continuous mode: the model answers about the newest frame again and again, and its points are tracked between answers.

One thread asks the model, and releases it for every goal. The other tracks the points through every frame of the camera,
and publishes them with the transforms of the capture time of each frame.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from molmo_point.errors import CancelledError, FrameError, MolmoPointError
from molmo_point.frame import RgbdFrame
from molmo_point.request import PointRequest
from molmo_point.results import Pointing
from molmo_point.tracking import PointTracker, Tracks
from molmo_point_ros.inputs.tf_buffer import NotYetKnownError
from molmo_point_ros.nodes.goal_error import brief
from molmo_point_ros.nodes.node_resources import NodeResources
from molmo_point_ros.nodes.parameters import PointingNodeParameters
from molmo_point_ros.pointing.answers import QueryAnswer, answer_of, answer_of_tracks
from molmo_point_ros.pointing.follower import Follower
from molmo_point_ros.pointing.gates import Gates
from molmo_point_ros.pointing.stamped_frame import stamped_frame

_FRAME_WAIT_S = 0.5
_LATE_WAIT_S = 0.01
_AFTER_FAILURE_S = 0.5
_AFTER_BAD_FRAME_S = 0.05
_END_S = 10.0


@dataclass(frozen=True)
class ContinuousTask:
    """The queries of continuous mode.

    Attributes:
        requests: One or several questions, asked together; tracked points stay on the surface of their question.
        target_frame: Frame of the positions; "" is the optical frame.
        max_rate_hz: Most answers per second, in hertz; 0 is no limit.
    """

    requests: tuple[PointRequest, ...]
    target_frame: str = ""
    max_rate_hz: float = 0.0


class ContinuousMode:
    """Answers the queries of one task until it is stopped.

    Args:
        number: Number of this run, the first part of every id: no id is given twice while the node runs.
        task: The queries.
        resources: Of the node.
        parameters: Of the node.
        logger: Of the node.

    Raises:
        DependencyError: If points are to be tracked and OpenCV is not installed.
    """

    def __init__(
        self, number: int, task: ContinuousTask, resources: NodeResources, parameters: PointingNodeParameters, logger: Any
    ) -> None:
        self.task = task
        self._number, self._resources, self._parameters, self._logger = number, resources, parameters, logger
        self._gates = Gates.from_parameters(parameters)
        self._stop = threading.Event()
        self._follower: Follower | None = None
        if parameters.tracking:
            tracker = PointTracker(history_s=parameters.track_history_s, hold_s=parameters.track_hold_s)
            self._follower = Follower(tracker)
        self._received = 0
        self._due = threading.Lock()
        self._told: set[int] = set()
        self._last: dict[str, Pointing] = {}
        self._late: deque[tuple[RgbdFrame, Tracks, float]] = deque()
        work = [self._ask] + ([self._follow] if self._follower is not None else [])
        self._threads = [threading.Thread(target=self._repeat, args=(each,), daemon=True) for each in work]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads; nothing is published afterwards. The model stops between two tokens."""
        self._stop.set()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_END_S)

    def _should_stop(self) -> bool:
        return self._stop.is_set() or not self._resources.is_alive()

    def _repeat(self, step: Callable[[], None]) -> None:
        """Repeat one step of a thread's work; an error is logged, and the work continues."""
        while not self._should_stop():
            try:
                step()
            except Exception as error:
                self._tell(error)
                self._stop.wait(_AFTER_FAILURE_S if step == self._ask else _AFTER_BAD_FRAME_S)

    def _tell(self, error: Exception) -> None:
        reason = brief(str(error) if isinstance(error, MolmoPointError) else repr(error))
        self._resources.monitor.failed(reason)
        self._logger.warning(f"continuous mode continues after: {reason}", throttle_duration_sec=5.0)

    # ---------------------------------------------------------------------------------------------------- the model

    def _ask(self) -> None:
        """Get one answer about the newest frame."""
        started_s = time.monotonic()
        last_ns = next((pointing.stamp_ns for pointing in self._last.values()), 0)
        if self._follower is not None:
            frame = self._follower.newest(last_ns, _FRAME_WAIT_S)
        else:
            frame = self._resources.frames.newer(last_ns, _FRAME_WAIT_S, self._should_stop)
        if frame is None:
            return
        if self._answer(frame) and self.task.max_rate_hz > 0:
            self._stop.wait(max(1.0 / self.task.max_rate_hz - (time.monotonic() - started_s), 0.0))

    def _answer(self, frame: RgbdFrame) -> bool:
        """Ask about a frame and use the answers. Returns False if a goal took the model over."""
        resources = self._resources
        # Looked up before the model starts. With tracking, each later frame has transforms of its own.
        stamped = None if self._follower is not None else self._stamped(frame, self._parameters.tf_timeout_s)
        pointings = self._asked(frame)
        if not pointings:
            return False
        took_s = max(float(pointing.timing_ms.get("total", 0.0)) for pointing in pointings) * 1e-3
        resources.monitor.answered(took_s, *(pointing.cautions for pointing in pointings))
        resources.remembered.append(frame)
        readable = [pointing for pointing in pointings if pointing.points or pointing.absent]
        if len(readable) < len(pointings):
            resources.monitor.count("answers without points", len(pointings) - len(readable))
        followed = None if self._follower is None else self._follower.take_in(readable, self._should_stop)
        self._last.update({pointing.query: pointing for pointing in readable})
        if followed is not None:
            self._publish_again(*followed)
        elif self._follower is None and stamped is not None:
            now_ns = resources.now_ns()
            self._publish(frame, [answer_of(pointing, stamped, self._gates, now_ns) for pointing in readable], now_ns)
        return True

    def _asked(self, frame: RgbdFrame) -> tuple[Pointing, ...]:
        """Return the model's answers, one for each query; none if a goal wants the model."""
        model = self._resources.model
        with model.spare_turn(self._should_stop) as had:
            if not had:
                return ()
            try:
                return self._resources.pointer.point_many(
                    frame,
                    self.task.requests,
                    should_stop=lambda: self._should_stop() or model.is_wanted,
                )
            except CancelledError:
                return ()

    # ------------------------------------------------------------------------------------------------- the camera

    def _follow(self) -> None:
        """Track the points through one frame of the camera, and publish the frames that are due."""
        assert self._follower is not None
        frames = self._resources.frames
        frame = frames.newer(self._follower.newest_ns, _LATE_WAIT_S if self._late else _FRAME_WAIT_S, self._should_stop)
        if frame is not None:
            tracks = self._follower.update(frame)
            self._resources.monitor.count("frames followed")
            self._resources.monitor.used(frame)
            self._late.append((frame, tracks, time.monotonic() + self._parameters.tf_timeout_s))
            received, self._received = self._received, frames.received()
            if received:
                self._resources.monitor.count("frames left out", max(self._received - received - 1, 0))
        elif not self._late:
            self._logger.warning("continuous mode: no frame comes", throttle_duration_sec=5.0)
        self._publish_due()

    def _publish_again(self, frame: RgbdFrame, tracks: Tracks) -> None:
        """Publish a frame again if the answer has new targets: a slow camera delivers the next one late."""
        new = {track.id for track in tracks.tracks if track.target is not None} - self._told
        if new:
            self._late.append((frame, tracks, time.monotonic() + self._parameters.tf_timeout_s))
            self._publish_due()

    def _publish_due(self) -> None:
        """Publish, in order, the frames whose transforms are known; drop those that have waited too long."""
        with self._due:
            self._publish_in_order()

    def _publish_in_order(self) -> None:
        while self._late and not self._should_stop():
            frame, tracks, deadline_s = self._late[0]
            try:
                stamped = self._stamped(frame, 0.0)
            except FrameError as error:
                if isinstance(error, NotYetKnownError) and time.monotonic() < deadline_s:
                    return
                self._late.popleft()
                self._resources.monitor.count("frames without transform")
                self._tell(error)
                continue
            self._late.popleft()
            self._told = {track.id for track in tracks.tracks if track.target is not None}
            now_ns = self._resources.now_ns()
            answers = []
            for query, last in tuple(self._last.items()):
                of_query = [track for track in tracks.tracks if track.query == query]
                answers.append(answer_of_tracks(last, of_query, stamped, self._gates, now_ns, f"{self._number}."))
            self._publish(frame, answers, now_ns)

    def _stamped(self, frame: RgbdFrame, timeout_s: float) -> Any:
        transforms = self._resources.transforms
        wanted, gates, ended = self.task.target_frame, self._gates, self._should_stop
        flat = self._parameters.without_depth(wanted)
        return stamped_frame(frame, wanted, gates, transforms, timeout_s, ended, without_depth=flat)

    def _publish(self, frame: RgbdFrame, answers: list[QueryAnswer], now_ns: int) -> None:
        if not answers or self._should_stop():
            return
        self._resources.publisher.publish_answers(answers, frame)
        self._resources.monitor.published(
            (now_ns - frame.stamp_ns) * 1e-9, [target for answer in answers for target in answer.stopped]
        )
