"""`Dialect`: how a model family is asked, and how its answers are read."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from molmo_point.backend import Prompt
from molmo_point.points.answer import CoordinatePair, Problems, Size
from molmo_point.points.dialects.prompts import counting_prompt, pointing_prompt
from molmo_point.points.tags import ends_in_tag
from molmo_point.query_words import named_objects, tidy_words
from molmo_point.request import Kind, PointRequest


class Dialect(ABC):
    """The pointing syntax of a model family.

    Attributes:
        name: Name in the registry.
        full: Numbers that make up the width and the height of an image, e.g. (100, 100) for percent.
        lower_case: True if the family was trained on names of objects in lower case.
        bare_names: True if the family was trained on names of objects without article, and without a request around them.
    """

    name: ClassVar[str]
    full: ClassVar[Size] = (100.0, 100.0)
    lower_case: ClassVar[bool] = True
    bare_names: ClassVar[bool] = True

    def prompt(self, request: PointRequest) -> Prompt:
        """Word a request as the family was trained to read it; the request keeps the user's words."""
        words = self.trained_words(request.words)
        text = self.ask_to_count(words) if request.kind is Kind.COUNT else self.ask_to_point(words)
        return Prompt(text, request.kind, words)

    def trained_words(self, words: str) -> str:
        """Write a user's words for an object as the family was trained on them."""
        names = named_objects(words) if self.bare_names else tidy_words(words)
        return names.lower() if self.lower_case else names

    def ask_to_point(self, words: str) -> str:
        """Word the request for points on objects."""
        return pointing_prompt(words)

    def ask_to_count(self, words: str) -> str:
        """Word the request for a count of objects."""
        return counting_prompt(words)

    def ask_to_describe(self) -> str:
        """Word the request for a description of the image."""
        return "Describe this image."

    @abstractmethod
    def find_points(self, text: str, problems: Problems, *, growing: bool = False) -> Iterator[CoordinatePair]:
        """Yield the coordinate pairs of an answer in the order of the text.

        Args:
            text: The answer so far.
            problems: Collects what cannot be used.
            growing: Whether more text is to come; a pair that it could change is left out.
        """

    def is_cut_off(self, text: str) -> bool:
        """Tell whether the text stops inside its last tag."""
        return ends_in_tag(text)

    def has_all_coordinates(self, text: str) -> bool:
        """Tell whether the coordinates are complete while the model still writes labels."""
        return False

    def awaits_label(self, text: str) -> bool:
        """Tell whether the label of the last tag is still to come or incomplete."""
        return self.is_cut_off(text)

    def closed(self, text: str) -> str:
        """Complete a last number that can have no more digits, so that its point can be read at once."""
        return text

    def mark(self, text: str, *, growing: bool = False) -> int | None:
        """Return the place where the text first shows this dialect; None when it does not."""
        first = next(self.find_points(text, Problems(), growing=growing), None)
        return None if first is None else max(first.x_span[1], first.y_span[1])
