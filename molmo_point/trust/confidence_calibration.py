"""Confidence calibration of a checkpoint: from features of an answer to observed frequencies on validation scenes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.cautions import Caution, CautionKind
from molmo_point.trust.answer_model import AnswerFeatures, AnswerModel

_STEEPEST = 1000.0
_MODELS = {"confidence": "digit", "absent_probability": "absent", "count": "weakest"}
"""Models by their names in the file, and the only feature of their older form."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Confidence calibration of a checkpoint; without a model, nothing is known.

    Attributes:
        confidence: Probability that every point of an answer lies on an object that was meant.
        absent: Probability that nothing in the image fits, if half of all questions were about absent objects.
        count: Probability that a count is right.
        spread_scale: Factor on the standard deviations of a point's modes.
        stated_under: Cautions under which the probabilities are stated, because they were truer there than none.
    """

    confidence: AnswerModel | None = None
    absent: AnswerModel | None = None
    count: AnswerModel | None = None
    spread_scale: float = 1.0
    stated_under: frozenset[CautionKind] = frozenset()

    @property
    def is_fitted(self) -> bool:
        """True if confidences are calibrated."""
        return self.confidence is not None

    @property
    def needs_distance(self) -> bool:
        """True if confidences depend on the distance of the image from the training."""
        return self.confidence is not None and "distance" in self.confidence.names

    def states_under(self, cautions: tuple[Caution, ...]) -> bool:
        """Tell whether probabilities are stated for an answer with these cautions."""
        return all(caution.kind in self.stated_under for caution in cautions)

    def of_point(self, features: AnswerFeatures, cautions: tuple[Caution, ...]) -> float:
        """Return the confidence of the points of an answer, 0 to 1; NaN if it is unknown."""
        return _stated(self.confidence, features, self.states_under(cautions))

    def of_absence(self, features: AnswerFeatures, cautions: tuple[Caution, ...]) -> float:
        """Return the probability that nothing in the image fits, 0 to 1; NaN if it is unknown."""
        return _stated(self.absent, features, self.states_under(cautions))

    def of_count(self, features: AnswerFeatures, cautions: tuple[Caution, ...]) -> float:
        """Return the probability that a count is right, 0 to 1; NaN if it is unknown."""
        return _stated(self.count, features, self.states_under(cautions))

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Calibration":
        """Read the form of `to_settings`, or the older one of a line in log-odds; other keys are ignored.

        Raises:
            ValueError: A number is missing or not finite, or a slope or scale is not above zero.
        """
        models = {name: _model(settings[name], name) for name in _MODELS if name in settings}
        scale = _finite(settings, "spread_scale")
        if not 0 < scale <= _STEEPEST:
            raise ValueError(f"calibration: spread_scale must be above zero and at most {_STEEPEST:g}")
        kinds = frozenset(CautionKind(kind) for kind in settings.get("stated_under", ()))
        return cls(models.get("confidence"), models.get("absent_probability"), models.get("count"), scale, kinds)

    def to_settings(self) -> dict[str, Any]:
        """Return the entry ``calibration`` of ``pointing.json``."""
        models = {"confidence": self.confidence, "absent_probability": self.absent, "count": self.count}
        return {
            **{name: model.to_settings() for name, model in models.items() if model is not None},
            "spread_scale": round(self.spread_scale, 4),
            "stated_under": sorted(kind.value for kind in self.stated_under),
        }


UNCALIBRATED = Calibration()


def line(feature: str, slope: float, offset: float) -> AnswerModel:
    """Make the model of a line in log-odds of one feature (Platt scaling)."""
    return AnswerModel((feature,), np.zeros(1), np.array([slope]), offset)


def _stated(model: AnswerModel | None, features: AnswerFeatures, states: bool) -> float:
    return math.nan if model is None or not states else model.probability(features)


def _model(settings: Any, name: str) -> AnswerModel:
    try:
        if "slope" not in settings:
            return AnswerModel.from_settings(settings)
    except (KeyError, TypeError) as error:
        raise ValueError(f"calibration: {name} must have features and an offset, or a slope and an offset") from error
    slope, offset = _finite(settings, "slope"), _finite(settings, "offset")
    if not 0 < slope <= _STEEPEST or abs(offset) > _STEEPEST:
        raise ValueError(f"calibration: {name}: slope must be above zero, and numbers at most {_STEEPEST:g}")
    return line(_MODELS[name], slope, offset)


def _finite(settings: Any, key: str) -> float:
    try:
        value = float(settings[key])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"calibration: {key} must be a number") from error
    if not math.isfinite(value):
        raise ValueError(f"calibration: {key} must be finite, not {value}")
    return value
