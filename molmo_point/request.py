"""One pointing question from what was asked to how it ended: its settings, its part of the image, its time."""

import math
import time
from dataclasses import dataclass, replace

from molmo_point.crop import Region
from molmo_point.errors import CancelledError
from molmo_point.frame import RgbdFrame
from molmo_point.points.parse import ParsedAnswer
from molmo_point.points.stop_rule import AnswerWatch
from molmo_point.request_checks import checked_seconds
from molmo_point.results import Completion, ImagePoint


@dataclass(frozen=True)
class Asked:
    """A pointing question's settings.

    Attributes:
        frame: The whole image, with its depth.
        region: The part of it to look at; None for all of it.
        max_points: Points to keep.
        labels: Whether the model may write out its labels.
        spread: Whether to follow the other coordinates that the model considered.
        start: `time.perf_counter` when it was asked.
        prefer: Which surface to lift to; see `lift_point`.
        reference_depth_m: See `lift_point`.
    """

    frame: RgbdFrame
    region: Region | None
    max_points: int
    labels: bool
    spread: bool
    start: float
    prefer: str
    reference_depth_m: float | None

    def view(self) -> RgbdFrame:
        """What the model sees."""
        return self.frame if self.region is None else self.region.crop(self.frame)

    def to_image(self, points: tuple[ImagePoint, ...]) -> tuple[ImagePoint, ...]:
        """Points of the view as points of the frame."""
        if self.region is None:
            return points
        # Measured: seen from closer by, points are no more precise, so their error is that of the whole image.
        closer = self.frame.size_wh[0] / self.region.w
        found = (point if point.modes else replace(point, sigma_px=point.sigma_px * closer) for point in points)
        return tuple(map(self.region.to_image, found))


def deadline(start: float, time_budget_s: float | None) -> float:
    """When the time is over, as `time.perf_counter` counts; infinite without a budget.

    Raises:
        InputError: The budget is not above zero.
    """
    return math.inf if time_budget_s is None else start + checked_seconds("time_budget_s", time_budget_s)


def ended(prompt: str, completion: Completion, watch: AnswerWatch) -> Completion:
    """The completion with the reason why it was stopped, if it was."""
    if completion.finish_reason != "cancelled":
        return completion
    if watch.reason in ("points", "time"):
        return replace(completion, finish_reason=watch.reason)
    raise cancelled(prompt, completion.token_count)


def cancelled(prompt: str, token_count: int) -> CancelledError:
    """The error of a question that was given up."""
    return CancelledError(
        "The work was cancelled before the answer was complete",
        f"{prompt!r} after {token_count} tokens",
        "ask again, or do not let should_stop return True",
    )


def problems(answer: ParsedAnswer, completion: Completion, max_points: int, labels: bool) -> tuple[str, ...]:
    """What is to be said about an answer: of its text, and of what was cut off."""
    found = answer.problems
    if completion.finish_reason == "time":
        found = (*found, "the time budget was used up before the answer was complete")
    if len(answer.points) > max_points:
        return (*found, f"{len(answer.points)} points, of which the first {max_points} are kept")
    if completion.finish_reason == "points" and labels:
        return (*found, f"more than {max_points} points, of which the first {max_points} are kept")
    return found


def timing(completion: Completion, start: float, generated: float, parsed: float) -> dict[str, float]:
    """Milliseconds of each stage, from `time.perf_counter` at the start, after generation and after parsing."""
    end = time.perf_counter()
    return {
        **completion.timing_ms,
        "generate": (generated - start) * 1e3,
        "parse": (parsed - generated) * 1e3,
        "lift": (end - parsed) * 1e3,
        "total": (end - start) * 1e3,
    }
