"""Record of a picking arm: command, looks, answers and decisions with their times, for a video or a live view."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from molmo_point.frame import FrameOrImage, RgbdFrame
from molmo_point.picking.states import PickEvent
from molmo_point.pointer import Pointer
from molmo_point.request import PointRequest
from molmo_point.results import Count, Pointing

OnAnswer = Callable[[RgbdFrame, "Pointing | Count"], None]


@dataclass(frozen=True, eq=False)
class Look:
    """A frame that the model was asked about, and its answer."""

    frame: RgbdFrame
    answer: Pointing | Count


@dataclass
class RunLog:
    """Record of one command.

    Attributes:
        caption: The command in words.
        looks: Looks in order, with the times of their frames.
        events: Events in order.
        success: True if the command was carried out; None before its end.
        message: Outcome in words, for people.
        began_ns: Start by the arm's clock, nanoseconds.
    """

    caption: str = ""
    looks: list[Look] = field(default_factory=list)
    events: list[PickEvent] = field(default_factory=list)
    success: bool | None = None
    message: str = ""
    began_ns: int = 0

    def begin(self, caption: str, now_ns: int) -> None:
        """Begin a new record."""
        self.caption, self.success, self.message, self.began_ns = caption, None, "", now_ns
        self.looks.clear()
        self.events.clear()

    def at(self, stamp_ns: int) -> PickEvent | None:
        """Last event at a time; None before the first."""
        return next((event for event in reversed(self.events) if event.stamp_ns <= stamp_ns), None)

    def target_at(self, stamp_ns: int) -> PickEvent | None:
        """Last event with a target at a time; None before the first."""
        named = (event for event in reversed(self.events) if event.target is not None)
        return next((event for event in named if event.stamp_ns <= stamp_ns), None)

    def look_at(self, stamp_ns: int, frame: str) -> Look | None:
        """Last look through a camera at a time; None before the first."""
        seen = (look for look in reversed(self.looks) if look.frame.frame == frame)
        return next((look for look in seen if look.frame.stamp_ns <= stamp_ns), None)


class GoalRecorder(ABC):
    """Records goals of an arm, for example as videos."""

    def watch(self, pointer: Pointer) -> Pointer:
        """Watch the answers of a pointer. Default: does not watch."""
        return pointer

    @abstractmethod
    def begin(self, caption: str) -> None:
        """Begin the record of a goal, named in words."""

    @abstractmethod
    def take(self, event: PickEvent) -> None:
        """Record an event."""

    @abstractmethod
    def end(self, success: bool, message: str) -> None:
        """End the record with the outcome; may take longer than the goal."""


class WatchedPointer(Pointer):
    """A pointer that reports every answer with its frame.

    Args:
        pointer: Pointer with the model to use.
        on_answer: Called after every answer, from the thread of the question.
    """

    def __init__(self, pointer: Pointer, on_answer: OnAnswer) -> None:
        super().__init__(pointer.backend)
        self._on_answer = on_answer

    def point(self, frame: FrameOrImage, query: str | PointRequest, **options: Any) -> Pointing:
        frame = RgbdFrame.of(frame)
        answer = super().point(frame, query, **options)
        self._on_answer(frame, answer)
        return answer

    def point_many(self, frame: FrameOrImage, queries: Sequence[str | PointRequest], **options: Any) -> tuple[Pointing, ...]:
        frame = RgbdFrame.of(frame)
        answers = super().point_many(frame, queries, **options)
        for answer in answers:
            self._on_answer(frame, answer)
        return answers

    def count(self, frame: FrameOrImage, query: str | PointRequest, **options: Any) -> Count:
        frame = RgbdFrame.of(frame)
        answer = super().count(frame, query, **options)
        self._on_answer(frame, answer)
        return answer
