"""`LocalBackend`: the part that all models in this process share."""

from collections.abc import Callable, Sequence
from typing import Any

from molmo_point.backend import Backend, Growth
from molmo_point.model.decoding.decoder import Row
from molmo_point.model.decoding.greedy import Generated
from molmo_point.results import Completion
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration


class LocalBackend(Backend):
    """A model in this process with its processor.

    Args:
        model: The model, in eval mode.
        processor: Its tokenizer and image settings.
        name: Name that results carry.
        sigma_px: Measured standard deviation of its points, in pixels of an image 640 pixels wide; NaN if not measured.
        calibration: Calibration of its probabilities.
    """

    def __init__(
        self, model: Any, processor: Any, name: str, sigma_px: float = float("nan"), calibration: Calibration = UNCALIBRATED
    ) -> None:
        self.model, self.processor, self.name, self.sigma_px, self.calibration = model, processor, name, sigma_px, calibration

    def growth(self, prompt: int, answer: Row | Generated, measured: Callable[[], dict[str, Any]], **label: Any) -> Growth:
        """Return an answer as it is now; ``measured`` gives the other fields of its completion, ``label`` those of a label."""
        ids, reason, decode = list(answer.token_ids), answer.finish_reason, self.processor.decode

        def completion() -> Completion:
            return Completion(
                text=decode(ids),
                token_count=len(ids),
                finish_reason=reason or "unfinished",
                tokens=self.token_texts(ids),
                token_probabilities=tuple(answer.probabilities[: len(ids)]),
                digit_probabilities=tuple(answer.digit_probabilities[: len(ids)]),
                **measured(),
            )

        return Growth(prompt, decode(ids), bool(reason), completion, **label)

    def token_texts(self, ids: Sequence[int]) -> tuple[str, ...]:
        """Return the text of each token."""
        return tuple(self.processor.decode([token]) for token in ids)
