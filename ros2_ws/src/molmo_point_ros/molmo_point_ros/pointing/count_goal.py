"""One CountObjects goal: the same question about several images, and how far the answers agree."""

import math
import time
from collections import Counter

from molmo_point_msgs.action import CountObjects
from molmo_point_msgs.msg import PointTargetArray

from molmo_point.depth.lift import lift_points
from molmo_point.results import Count, ImagePoint, Pointing
from molmo_point_ros.nodes.goal_error import CODES, GoalError
from molmo_point_ros.pointing.action_goal import ActionGoal, checked_queries
from molmo_point_ros.pointing.answers import answer_of
from molmo_point_ros.pointing.stamped_frame import Capture

MAX_SAMPLES = 100
_CHECK_S = 0.05


def agreed_count(counts: list[int]) -> tuple[int, float]:
    """The count to believe, and the share of images that have it.

    The most frequent one is taken; of several alike that which is nearest to the median, the lower of two.

    Args:
        counts: One for each image, at least one.
    """
    frequencies = Counter(counts)
    most = max(frequencies.values())
    ordered = sorted(counts)
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    best = min((count for count, times in frequencies.items() if times == most), key=lambda count: (abs(count - median), count))
    return best, most / len(counts)


class CountGoal(ActionGoal):
    """A CountObjects goal; see `ActionGoal`."""

    Result, Feedback = CountObjects.Result, CountObjects.Feedback

    def _answer_into(self, result: CountObjects.Result) -> None:
        result.agreement = math.nan
        (query,) = checked_queries([self._request.query], self._settings.max_query_length)
        samples = int(self._request.samples) or 1
        if samples > MAX_SAMPLES:
            given = f"{samples} samples"
            raise GoalError(CODES.GOAL_REJECTED, "Too many images are asked for", given, f"ask for at most {MAX_SAMPLES}")
        interval_ns = self._request.interval.sec * 1_000_000_000 + self._request.interval.nanosec
        after_ns, agree = self._accepted_ns, True
        for _ in range(samples):
            self.tell(state=CountObjects.Feedback.WAITING_IMAGE, samples_so_far=len(result.counts))
            self._wait_until(after_ns)
            capture = self._freeze(self._frame(after_ns))
            count = self._count(capture, query)
            if self.should_stop():
                raise self._stopped()
            agree = agree and count.consistent
            result.counts = [*result.counts, count.count]
            result.count, result.agreement = agreed_count(list(result.counts))
            result.count_min, result.count_max = min(result.counts), max(result.counts)
            result.points_agree = agree
            if self._request.return_points:
                self.tell(state=CountObjects.Feedback.LIFTING)
                result.points = self._published(count, capture)
            after_ns = capture.frame.stamp_ns + max(interval_ns, 1)

    def _wait_until(self, after_ns: int) -> None:
        """An image that is only to be captured later is not waited for by the camera's time-out."""
        while self._parts.now_ns() < after_ns:
            if self.should_stop():
                raise self._stopped()
            time.sleep(_CHECK_S)

    def _count(self, capture: Capture, query: str) -> Count:
        def on_points(points: tuple[ImagePoint, ...]) -> None:
            self.tell(state=CountObjects.Feedback.GENERATING, points_so_far=len(points))

        self.tell(state=CountObjects.Feedback.ENCODING, points_so_far=0)
        return self._asked(
            lambda: self._parts.pointer.count(
                capture.frame, query, max_points=self._max_points(), should_stop=self._told_stop(), on_points=on_points
            )
        )

    def _published(self, count: Count, capture: Capture) -> PointTargetArray:
        frame = capture.frame
        absent = not count.points and count.count == 0
        pointing = Pointing(
            query=count.query,
            model=count.model,
            text=count.text,
            absent=absent,
            found=lift_points(count.points, frame, max_skew_s=self._settings.max_skew_s),
            timing_ms=count.timing_ms,
            problems=count.problems,
            stamp_ns=frame.stamp_ns,
            frame=frame.frame,
        )
        now_ns = self._parts.now_ns()
        answer = answer_of(pointing, capture, self._gates, now_ns)
        self._parts.publisher.publish_answers([answer], frame)
        self._parts.monitor.published((now_ns - frame.stamp_ns) * 1e-9, answer.stopped)
        return answer.message
