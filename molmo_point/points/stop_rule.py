"""An answer in the making: it reads the growing text and decides when the model need not go on."""

import time
from dataclasses import replace

from molmo_point.backend import Backend, Growth, Prompt
from molmo_point.points.dialects import dialect_of
from molmo_point.points.dialects.dialect import Dialect
from molmo_point.points.incremental_parser import IncrementalParser
from molmo_point.request import PointRequest
from molmo_point.results import Completion, ImagePoint


class GrowingAnswer:
    """An answer as far as the model has written it.

    Args:
        request: The question; its `max_points` and `labels` decide when the answer is enough.
        backend: The model that answers.
        size_wh: Width and height in pixels of the image that the model sees.

    Attributes:
        request: The question.
        backend: The model that answers.
        dialect: Syntax of the prompt and of the answer.
        prompt: The question in the words for the model.
        enough: Whether the answer holds everything that was asked for.
    """

    def __init__(self, request: PointRequest, backend: Backend, size_wh: tuple[int, int]) -> None:
        self.request, self.backend = request, backend
        self.dialect: Dialect = dialect_of(backend.dialect)
        # The words of its training tell what is harmless in a query.
        known = backend.training.vocabulary
        asked = request if known is None else replace(request, words=known.names(request.words))
        self.prompt: Prompt = replace(self.dialect.prompt(asked), asked=request.words)
        self.enough = False
        self._parser = IncrementalParser(size_wh, self.dialect, eager=True)
        self._growth: Growth | None = None
        self._ended = ""
        self._points_are_out = False

    @property
    def points(self) -> tuple[ImagePoint, ...]:
        """The wanted points so far, in pixels of the image that the model sees."""
        return self._parser.points[: self.request.max_points]

    def take(self, growth: Growth) -> bool:
        """Take a growth in, and return whether a wanted point is new."""
        self._growth = growth
        return self.read(growth.text)

    def read(self, text: str) -> bool:
        """Read the whole text so far, and return whether a wanted point is new."""
        told = len(self._parser.points)
        fresh = bool(self._parser.follow(text)) and told < self.request.max_points
        count = len(self._parser.points)
        if self.request.labels:
            # The tag of the last wanted point is complete only when another follows or it ends.
            self._points_are_out = count > self.request.max_points
        else:
            self._points_are_out = count >= self.request.max_points or (count > 0 and self.dialect.has_all_coordinates(text))
        known = self._growth is not None and self._growth.label and self._growth.label_is_whole
        self.enough = self._points_are_out and bool(known or not self.dialect.awaits_label(text))
        return fresh

    @property
    def label(self) -> str:
        """The model's own name of its points, where it is known before the text has it; else empty."""
        if self._growth is None or not self._growth.label:
            return ""
        return self._growth.label.strip() + ("" if self._growth.label_is_whole else "…")

    def is_done(self, deadline: float) -> bool:
        """Tell whether the model need not go on, and note the reason.

        Args:
            deadline: `time.perf_counter` value at which the time budget is used up.
        """
        if self._growth is None or self._growth.finished:
            return self._growth is not None
        if not self._ended:
            late = time.perf_counter() >= deadline
            self._ended = "points" if self.enough else "time" if late else ""
        return bool(self._ended)

    @property
    def completion(self) -> Completion:
        """The completion with the reason of its end."""
        assert self._growth is not None
        completion = self._growth.completion
        if not self._growth.finished:
            return replace(completion, finish_reason=self._ended)
        # Only the label was still to come, so the answer has all its points.
        cut = completion.finish_reason == "length" and self._points_are_out
        return replace(completion, finish_reason="points") if cut else completion
