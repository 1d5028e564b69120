"""Images with questions and answers, as every source of a run hands them out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from molmo_point.arrays import ColorArray
from molmo_point.finetuning.taught import Taught


class AnswerKind(Enum):
    """Content of an answer, which decides how it is scored."""

    POINTS = "points"
    COUNT = "count"
    """Points, with their total stated."""
    ABSENT = "absent"
    """A statement that the image holds no such object."""
    CAPTION = "caption"
    EXPLANATION = "explanation"
    """Text with points in it."""
    TEXT = "text"


@dataclass(frozen=True)
class TrainingExample:
    """One question about one image with its answer.

    Attributes:
        prompt: Words of the user.
        answer: Full text of the answer, without leading space.
        kind: Content of the answer.
        percent: Points (x, y) of the answer, percent of image width and height; None if the answer is not about points.
    """

    prompt: str
    answer: str
    kind: AnswerKind = field(kw_only=True)
    percent: tuple[tuple[float, float], ...] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class TrainingSample:
    """One image, pixels (h, w, 3) RGB, with questions about it."""

    pixels: ColorArray
    examples: list[TrainingExample]


class Source(ABC):
    """Images with questions that a run draws from."""

    @abstractmethod
    def draw(self, stage: str, count: int, rng: np.random.Generator, validation: bool = False) -> TrainingSample | None:
        """Draw a random image with up to ``count`` questions for a stage of `run_settings.STAGES`; None if no image fits.

        With ``validation`` it is one of the images kept out of training.
        """

    @abstractmethod
    def report(self) -> list[str]:
        """Describe the contents in lines for a user, left-out rows included."""

    @abstractmethod
    def taught(self, stage: str) -> Taught:
        """Return the words and the kinds of questions that a stage takes from the source."""

    def serves(self, stage: str) -> bool:
        """Return True if the source has images for a stage; by default for every stage."""
        return True
