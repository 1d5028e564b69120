"""One CountObjects goal: the same question about several images, and the agreement of the answers."""

import math
import time
from typing import Any

from molmo_point_msgs.action import CountObjects
from molmo_point_msgs.msg import PointTargetArray

from molmo_point.depth.lift import lift_points
from molmo_point.points.agreed_count import agreed_count
from molmo_point.request import Kind, PointRequest
from molmo_point.results import Count, ImagePoint, Pointing
from molmo_point_ros.conversions import set_cautions
from molmo_point_ros.conversions.field_checks import checked_duration_s, checked_queries
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError
from molmo_point_ros.pointing.answers import answer_of
from molmo_point_ros.pointing.frame_goal import FrameGoal
from molmo_point_ros.pointing.stamped_frame import StampedFrame

MAX_SAMPLES = 100
_CHECK_S = 0.05


class CountGoal(FrameGoal):
    """A CountObjects goal; see `FrameGoal`."""

    Result, Feedback = CountObjects.Result, CountObjects.Feedback

    def answer_into(self, result: Any) -> None:
        """Count in every image; after an error the counts before it stay in the result."""
        result.agreement = result.confidence = math.nan
        (query,) = checked_queries([self.request.query], self._parameters.max_query_length)
        samples = int(self.request.samples) or 1
        if samples > MAX_SAMPLES:
            fix = f"ask for at most {MAX_SAMPLES} images"
            raise GoalError(ErrorCode.GOAL_REJECTED, f"samples must be at most {MAX_SAMPLES}", str(samples), fix)
        interval_ns = round(checked_duration_s(self.request.interval, "interval") * 1e9)
        after_ns, agree = self._accepted_ns, True
        for _ in range(samples):
            self.tell(state=CountObjects.Feedback.WAITING_IMAGE, samples_so_far=len(result.counts))
            self._wait_until(after_ns)
            stamped = self._stamped(self._frame(after_ns))
            count = self._count(stamped, query)
            if self.should_stop():
                raise self.stopped_error()
            agree = agree and count.consistent
            result.counts = [*result.counts, count.count]
            result.count, result.agreement = agreed_count(list(result.counts))
            result.count_min, result.count_max = min(result.counts), max(result.counts)
            result.points_agree = agree
            # Images that disagree were not part of the calibration.
            result.confidence = count.confidence if len(set(result.counts)) == 1 else math.nan
            if self.request.return_points:
                self.tell(state=CountObjects.Feedback.LIFTING)
                result.points = self._published(count, stamped)
            else:
                set_cautions(result.points, count.cautions)
            after_ns = stamped.frame.stamp_ns + max(interval_ns, 1)

    def _wait_until(self, after_ns: int) -> None:
        """Wait for the time of the next image; the camera's timeout begins then."""
        while self._resources.now_ns() < after_ns:
            if self.should_stop():
                raise self.stopped_error()
            time.sleep(_CHECK_S)

    def _count(self, stamped: StampedFrame, query: str) -> Count:
        def on_points(points: tuple[ImagePoint, ...]) -> None:
            self.tell(state=CountObjects.Feedback.GENERATING, points_so_far=len(points))

        self.tell(state=CountObjects.Feedback.ENCODING, points_so_far=0)
        request = PointRequest(query, Kind.COUNT, max_points=self._max_points())
        return self._asked(
            lambda: self._pointer.count(stamped.frame, request, should_stop=self._told_stop(), on_points=on_points)
        )

    def _published(self, count: Count, stamped: StampedFrame) -> PointTargetArray:
        frame = stamped.frame
        absent = not count.points and count.count == 0
        pointing = Pointing(
            query=count.query,
            model=count.model,
            text=count.text,
            absent=absent,
            found=lift_points(count.points, frame, max_skew_s=self._parameters.max_skew_s),
            timing_ms=count.timing_ms,
            problems=count.problems,
            cautions=count.cautions,
            stamp_ns=frame.stamp_ns,
            frame=frame.frame,
        )
        now_ns = self._resources.now_ns()
        answer = answer_of(pointing, stamped, self._gates, now_ns)
        self._resources.publisher.publish_answers([answer], frame)
        self._resources.monitor.published((now_ns - frame.stamp_ns) * 1e-9, answer.stopped)
        return answer.message
