"""Features of an answer, and the logistic model from them to the probability that it is right."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray

_SMALLEST = 1e-6
_STEEPEST = 1000.0


@dataclass(frozen=True)
class AnswerFeatures:
    """Numbers of an answer from which its quality is judged; NaN for what is unknown.

    Attributes:
        digit: Log-odds of `ImagePoint.digit_probability`; of several points the largest.
        absent: Log-odds of the probability of denying the object.
        entropy: Largest entropy of a leading digit of a point, in nats.
        margin: Smallest lead of a leading digit over the second likeliest, 0 to 1.
        label_differs: Share of the words of the label that the query lacks, 0 to 1.
        weakest: Log-odds of the smallest probability of a token of the answer, or of the stated one of all its points.
        points: Logarithm of the number of points.
        distance: Distance of the image from the training.
        at: Evidence at the points; see `molmo_point.trust.word_readout.Evidence`.
        around: Evidence at the points and next to them.
        elsewhere: Evidence away from the points.
        anywhere: Evidence anywhere.
    """

    digit: float = math.nan
    absent: float = math.nan
    entropy: float = math.nan
    margin: float = math.nan
    label_differs: float = math.nan
    weakest: float = math.nan
    points: float = math.nan
    distance: float = math.nan
    at: float = math.nan
    around: float = math.nan
    elsewhere: float = math.nan
    anywhere: float = math.nan

    @property
    def known(self) -> dict[str, float]:
        """The features that are known, by name."""
        return {name: value for name, value in vars(self).items() if math.isfinite(value)}

    def values(self, names: Sequence[str]) -> FloatArray:
        """Return the features of the given names, (n,)."""
        held = vars(self)
        return np.array([held[name] for name in names], float)


FEATURES = tuple(field.name for field in fields(AnswerFeatures))


def log_odds(probability: float) -> float:
    """Return the log-odds of a probability, which is kept off 0 and 1; NaN stays NaN."""
    held = min(max(probability, _SMALLEST), 1 - _SMALLEST)
    return math.nan if math.isnan(probability) else math.log(held / (1 - held))


@dataclass(frozen=True, eq=False)
class AnswerModel:
    """Logistic regression on features of an answer.

    Attributes:
        names: Names of the features.
        mean: (n,) their means in the fit; an unknown feature counts as its mean.
        weights: (n,) weights of the features.
        offset: Log-odds at the means.
    """

    names: tuple[str, ...]
    mean: FloatArray
    weights: FloatArray
    offset: float

    def probability(self, features: AnswerFeatures) -> float:
        """Return the probability, 0 to 1; NaN if every feature is unknown."""
        values = features.values(self.names)
        known = np.isfinite(values)
        if not known.any():
            return math.nan
        score = float(self.weights[known] @ (values - self.mean)[known]) + self.offset
        return 1 / (1 + math.exp(-min(max(score, -700.0), 700.0)))

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "AnswerModel":
        """Read the form of `to_settings`; ValueError, KeyError or TypeError if it is another."""
        rows = settings["features"]
        names = tuple(str(name) for name in rows)
        unknown = sorted(set(names) - set(FEATURES))
        if unknown:
            raise ValueError(f"calibration: {unknown[0]!r} is no feature of an answer")
        numbers = np.array([[float(rows[name]["mean"]), float(rows[name]["weight"])] for name in names]).reshape(-1, 2)
        offset = float(settings["offset"])
        if not np.all(np.isfinite(numbers)) or np.any(np.abs(numbers) > _STEEPEST) or not abs(offset) <= _STEEPEST:
            raise ValueError(f"calibration: means, weights and offsets must be finite and at most {_STEEPEST:g}")
        return cls(names, numbers[:, 0], numbers[:, 1], offset)

    def to_settings(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        rows = zip(self.names, self.mean, self.weights, strict=True)
        features = {name: {"mean": round(float(mean), 5), "weight": round(float(weight), 5)} for name, mean, weight in rows}
        return {"features": features, "offset": round(self.offset, 5)}
