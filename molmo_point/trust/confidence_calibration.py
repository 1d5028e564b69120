"""Confidence calibration: maps from a model's own probabilities to observed frequencies on validation scenes.

Each probability has two parameters: a line in log-odds (Platt scaling), which keeps the order of
the answers. Without a calibration a probability stays as the model states it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_SMALLEST = 1e-6


@dataclass(frozen=True)
class LogitLine:
    """Line in log-odds: log-odds → slope · log-odds + offset.

    Attributes:
        slope: Above zero; below one for an overconfident model.
        offset: Above zero for an underconfident model.
    """

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, probability: float) -> float:
        """Calibrate a probability, 0 to 1; NaN stays NaN."""
        if math.isnan(probability) or (self.slope, self.offset) == (1.0, 0.0):
            return probability
        held = min(max(probability, _SMALLEST), 1 - _SMALLEST)
        odds = self.slope * math.log(held / (1 - held)) + self.offset
        return 1 / (1 + math.exp(-max(min(odds, 700.0), -700.0)))


@dataclass(frozen=True)
class Calibration:
    """Confidence calibration of a checkpoint; `UNCALIBRATED` changes nothing.

    Attributes:
        confidence: Maps the confidence of a point to the probability that it lies on the object.
        absent: Maps the probability of the answer "none" to the probability that the object is absent,
            if half of all questions were about absent objects.
        spread_scale: Factor on the standard deviations of a point's modes.
        is_fitted: False if nobody fitted it, so that its probabilities are those that the model states.
    """

    confidence: LogitLine = field(default_factory=LogitLine)
    absent: LogitLine = field(default_factory=LogitLine)
    spread_scale: float = 1.0
    is_fitted: bool = True

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Calibration":
        """Read the form of `to_settings`; other keys are ignored.

        Raises:
            ValueError: If a number is missing or not finite, or a slope or scale is not above zero.
        """
        confidence, absent = (
            LogitLine(_finite(settings, name, "slope"), _finite(settings, name, "offset"))
            for name in ("confidence", "absent_probability")
        )
        scale = _finite(settings, "spread_scale")
        if min(scale, confidence.slope, absent.slope) <= 0:
            raise ValueError("calibration: slopes and spread_scale must be above zero")
        return cls(confidence, absent, scale)

    def to_settings(self) -> dict[str, Any]:
        """Return the entry ``calibration`` of ``pointing.json``."""
        lines = {"confidence": self.confidence, "absent_probability": self.absent}
        numbers = {name: {"slope": round(line.slope, 4), "offset": round(line.offset, 4)} for name, line in lines.items()}
        return {**numbers, "spread_scale": round(self.spread_scale, 4)}


UNCALIBRATED = Calibration(is_fitted=False)


def _finite(settings: Any, *keys: str) -> float:
    try:
        for key in keys:
            settings = settings[key]
        value = float(settings)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"calibration: {'.'.join(keys)} must be a number") from error
    if not math.isfinite(value):
        raise ValueError(f"calibration: {'.'.join(keys)} must be finite, not {value}")
    return value
