"""Familiarity of an image: its distance from the images of the training, in the features of the vision encoder.

The distance is that of Mahalanobis under a Gaussian with few principal directions and an equal rest (probabilistic PCA,
Tipping and Bishop 1999), over the mean and the spread of the features of all patches.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.cautions import Caution, CautionKind
from molmo_point.trust.float_text import from_text, to_text

_DIRECTIONS = 64
_FAMILIAR_SHARE = 0.98
LEAST_IMAGES = 30
"""Fewest images that a distribution can be fitted to."""


@dataclass(frozen=True, eq=False)
class ImageFamiliarity:
    """Distribution of image features in the training.

    Attributes:
        mean: (n,) mean of the features.
        spread: (n,) their standard deviations.
        axes: (k, n) principal directions of the standardized features, of length one.
        deviations: (k,) standard deviations along them.
        rest: Standard deviation along every other direction.
        limit: Distance beyond which an image is unfamiliar; 1 is the root mean square of the training.
    """

    mean: FloatArray
    spread: FloatArray
    axes: FloatArray
    deviations: FloatArray
    rest: float
    limit: float

    @classmethod
    def fit(cls, features: FloatArray, held_out: FloatArray | None = None) -> "ImageFamiliarity":
        """Fit the distribution of features (images, n).

        Args:
            features: Summaries of training images (`PatchFeatures.summary`), at least `LEAST_IMAGES`.
            held_out: Summaries of further images of the same kind, which set the limit: 98 % of them are familiar. None takes
                every fifth of the first.

        Raises:
            ValueError: There are too few images.
        """
        values = np.asarray(features, float)
        if held_out is None:
            chosen = np.arange(len(values)) % 5 == 4
            values, held_out = values[~chosen], values[chosen]
        if len(values) < LEAST_IMAGES or not len(held_out):
            raise ValueError(f"{len(values)} images, at least {LEAST_IMAGES} are needed")
        mean, spread = values.mean(0), values.std(0) + 1e-6
        standard = (values - mean) / spread
        _, singular, axes = np.linalg.svd(standard, full_matrices=False)
        variances = singular**2 / len(standard)
        k = min(_DIRECTIONS, len(values) // 4)
        rest = math.sqrt(max(float(variances[k:].sum()) / max(values.shape[1] - k, 1), 1e-6))
        # Of few images the smallest variances come out too small.
        deviations = np.sqrt(np.maximum(variances[:k], rest**2))
        fitted = cls(*(np.asarray(each, np.float32) for each in (mean, spread, axes[:k], deviations)), rest, math.inf)
        distances = [fitted.distance(row) for row in np.asarray(held_out, np.float32)]
        return replace(fitted, limit=float(np.quantile(distances, _FAMILIAR_SHARE)))

    def distance(self, features: FloatArray) -> float:
        """Return the distance of the features (n,) of an image from the training; NaN for features of another length."""
        if features.shape != self.mean.shape:
            return math.nan
        standard = (features - self.mean) / self.spread
        along = self.axes @ standard
        beyond = float(standard @ standard) - float(along @ along)
        squared = float(np.sum((along / self.deviations) ** 2)) + max(beyond, 0.0) / self.rest**2
        return math.sqrt(squared / len(standard))

    def caution(self, distance: float, model: str) -> Caution | None:
        """Return the caution for a distance; None for a familiar image, and where the distance is unknown."""
        if not distance > self.limit:
            return None
        said = f"the image is unlike those that {model} was trained on (distance {distance:.1f}, limit {self.limit:.1f})"
        return Caution(CautionKind.UNFAMILIAR_IMAGE, said)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "ImageFamiliarity":
        """Read the form of `to_settings`; ValueError, KeyError or TypeError if it is another."""
        mean, spread, axes, deviations = (from_text(settings[name]) for name in ("mean", "spread", "axes", "deviations"))
        rest, limit = float(settings["rest"]), float(settings["limit"])
        n, k = len(mean), len(deviations)
        if mean.ndim != 1 or spread.shape != (n,) or axes.shape != (k, n) or deviations.shape != (k,):
            raise ValueError("familiarity: the arrays do not belong together")
        if not (np.all(spread > 0) and np.all(deviations > 0) and 0 < rest < math.inf and 0 < limit < math.inf):
            raise ValueError("familiarity: spreads, deviations, rest and limit must be above zero")
        return cls(mean, spread, axes, deviations, rest, limit)

    def to_settings(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        arrays = {"mean": self.mean, "spread": self.spread, "axes": self.axes, "deviations": self.deviations}
        numbers = {"rest": round(self.rest, 6), "limit": round(self.limit, 4)}
        return {**{name: to_text(values) for name, values in arrays.items()}, **numbers}
