"""Record of a picking arm: command, looks, answers and decisions with their times, for a video or a live view."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from molmo_point.frame import FrameOrImage, RgbdFrame
from molmo_point.picking.states import PickEvent
from molmo_point.pointer import Pointer
from molmo_point.results import Count, Pointing

OnAnswer = Callable[[RgbdFrame, "Pointing | Count"], None]


@dataclass(frozen=True, eq=False)
class Look:
    """An image that the model was asked about, and what it answered."""

    frame: RgbdFrame
    answer: Pointing | Count


@dataclass
class RunLog:
    """One command from its begin to its end.

    Attributes:
        caption: The command in words.
        looks: In order; their times are those of the frames.
        events: In order.
        outcome: How it ended, in words; "" while it goes on.
        began_ns: By the arm's clock.
    """

    caption: str = ""
    looks: list[Look] = field(default_factory=list)
    events: list[PickEvent] = field(default_factory=list)
    outcome: str = ""
    began_ns: int = 0

    def begin(self, caption: str, now_ns: int) -> None:
        """Forget what was before."""
        self.caption, self.outcome, self.began_ns = caption, "", now_ns
        self.looks.clear()
        self.events.clear()

    def at(self, stamp_ns: int) -> PickEvent | None:
        """The last event at a time; None before the first."""
        return next((event for event in reversed(self.events) if event.stamp_ns <= stamp_ns), None)

    def target_at(self, stamp_ns: int) -> PickEvent | None:
        """The last event at a time that named a target; None before the first."""
        named = (event for event in reversed(self.events) if event.target is not None)
        return next((event for event in named if event.stamp_ns <= stamp_ns), None)

    def look_at(self, stamp_ns: int, frame: str) -> Look | None:
        """The last look through a camera at a time; None before the first."""
        seen = (look for look in reversed(self.looks) if look.frame.frame == frame)
        return next((look for look in seen if look.frame.stamp_ns <= stamp_ns), None)


class WatchedPointer(Pointer):
    """A pointer whose every answer is told to somebody, with the image.

    Args:
        pointer: Its model is used.
        on_answer: Called after every answer, from the thread that asked.
    """

    def __init__(self, pointer: Pointer, on_answer: OnAnswer) -> None:
        super().__init__(pointer.backend)
        self._on_answer = on_answer

    def point(self, frame: FrameOrImage, query: str, **options: Any) -> Pointing:
        """As `Pointer.point`."""
        frame = RgbdFrame.of(frame)
        answer = super().point(frame, query, **options)
        self._on_answer(frame, answer)
        return answer

    def point_many(self, frame: FrameOrImage, queries: Sequence[str], **options: Any) -> tuple[Pointing, ...]:
        """As `Pointer.point_many`."""
        frame = RgbdFrame.of(frame)
        answers = super().point_many(frame, queries, **options)
        for answer in answers:
            self._on_answer(frame, answer)
        return answers

    def count(self, frame: FrameOrImage, query: str, **options: Any) -> Count:
        """As `Pointer.count`."""
        frame = RgbdFrame.of(frame)
        answer = super().count(frame, query, **options)
        self._on_answer(frame, answer)
        return answer


def sky_filled(picture: np.ndarray, top: tuple[int, int, int], bottom: tuple[int, int, int]) -> np.ndarray:
    """The picture with a gradient where nothing was drawn (pure black)."""
    empty = np.asarray(picture.max(axis=2) == 0)
    share = np.linspace(0.0, 1.0, picture.shape[0])[:, None, None]
    sky = ((1 - share) * np.array(top) + share * np.array(bottom)).astype(np.uint8)
    return np.where(empty[..., None], sky, picture)
