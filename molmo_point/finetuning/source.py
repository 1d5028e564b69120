"""The interface of a source of images and questions."""

from abc import ABC, abstractmethod

import numpy as np

from molmo_point.finetuning.sample import TrainingSample


class Source(ABC):
    """Images with questions that a run draws from."""

    @abstractmethod
    def draw(self, stage: str, count: int, rng: np.random.Generator, validation: bool = False) -> TrainingSample | None:
        """Draw a random image with questions; None if no image fits.

        Args:
            stage: Name of the stage, one of `run_settings.STAGES`.
            count: Largest number of questions.
            rng: Source of all randomness.
            validation: True draws from the images kept out of training.
        """

    @abstractmethod
    def report(self) -> list[str]:
        """Describe the contents in lines for a user, left-out rows included."""

    def serves(self, stage: str) -> bool:
        """Return True if the source has images for a stage; by default for every stage."""
        return True
