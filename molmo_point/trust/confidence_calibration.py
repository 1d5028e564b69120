"""From what a model says of itself to what that turned out to mean on validation scenes.

Two parameters for each probability: a line in log-odds (Platt scaling), which keeps the order of
the answers. What nobody measured stays as the model says it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_SMALLEST = 1e-6


@dataclass(frozen=True)
class LogitLine:
    """log-odds → slope · log-odds + offset.

    Attributes:
        slope: Above zero; below one where the model is too sure of itself.
        offset: Above zero where the model is too modest.
    """

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, probability: float) -> float:
        """The calibrated probability, 0 to 1; NaN stays NaN."""
        if math.isnan(probability) or (self.slope, self.offset) == (1.0, 0.0):
            return probability
        held = min(max(probability, _SMALLEST), 1 - _SMALLEST)
        odds = self.slope * math.log(held / (1 - held)) + self.offset
        return 1 / (1 + math.exp(-max(min(odds, 700.0), -700.0)))


@dataclass(frozen=True)
class Calibration:
    """What was measured of a checkpoint's statements about itself; by default they stay as they are.

    Attributes:
        confidence: Makes the confidence of a point the probability that it lies on the thing.
        absent: Makes the probability of saying that nothing is there that of nothing being there,
            if half of all questions were about absent things.
        spread_scale: Factor on the standard deviations of a point's modes.
    """

    confidence: LogitLine = field(default_factory=LogitLine)
    absent: LogitLine = field(default_factory=LogitLine)
    spread_scale: float = 1.0

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Calibration":
        """Reads the form of `to_settings`; other keys are left alone.

        Raises:
            ValueError: A number is missing, not finite, or a slope or scale is not above zero.
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
        """What ``pointing.json`` holds under ``calibration``."""
        lines = {"confidence": self.confidence, "absent_probability": self.absent}
        numbers = {name: {"slope": round(line.slope, 4), "offset": round(line.offset, 4)} for name, line in lines.items()}
        return {**numbers, "spread_scale": round(self.spread_scale, 4)}


UNCALIBRATED = Calibration()


def _finite(settings: Any, *keys: str) -> float:
    try:
        for key in keys:
            settings = settings[key]
        value = float(settings)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"calibration: no number {'.'.join(keys)}") from error
    if not math.isfinite(value):
        raise ValueError(f"calibration: {'.'.join(keys)} is {value}")
    return value
