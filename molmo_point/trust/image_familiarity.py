"""Familiarity of an image: its distance from the images of the training, in the features of the vision encoder.

Two measures are taken over the mean and the spread of the features of all patches. One is the distance of Mahalanobis under
a Gaussian with few principal directions and an equal rest (probabilistic PCA, Tipping and Bishop 1999), which tells other
worlds. The other is a linear classifier between images of the training and spoiled copies of them (blurred, turned, noisy),
which tells faults that move the features little, but always the same way.
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
_FAMILIAR_SHARE = 0.99
_LEAST_SPREAD = 1e-3
_RIDGE, _NEWTON_STEPS = 3e-3, 25
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
        limit: Distance of Mahalanobis beyond which an image is unfamiliar.
        contrast: (n + 1,) weights of the classifier of spoiled images, and its offset; all zero without one.
        contrast_limit: Measure of the classifier beyond which an image is unfamiliar.
    """

    mean: FloatArray
    spread: FloatArray
    axes: FloatArray
    deviations: FloatArray
    rest: float
    limit: float
    contrast: FloatArray
    contrast_limit: float

    @classmethod
    def fit(
        cls, features: FloatArray, spoiled: FloatArray | None = None, familiar_share: float = _FAMILIAR_SHARE
    ) -> "ImageFamiliarity":
        """Fit the distribution of features (images, n); a fifth of the images, drawn by a fixed seed, sets the limits.

        Args:
            features: Summaries of training images (`PatchFeatures.summary`), at least `LEAST_IMAGES`.
            spoiled: Summaries of spoiled copies; None goes without the classifier.
            familiar_share: Share of the held-out images that each limit keeps familiar.

        Raises:
            ValueError: There are too few images.
        """
        # Drawn, because images often come in a fixed sequence of kinds.
        held_out = np.random.default_rng(0).permutation(len(features)) % 5 == 0
        values, held = np.asarray(features, float)[~held_out], np.asarray(features, float)[held_out]
        if len(features) < LEAST_IMAGES:
            raise ValueError(f"{len(features)} images, at least {LEAST_IMAGES} are needed")
        mean, spread = values.mean(0), values.std(0) + _LEAST_SPREAD
        standard = (values - mean) / spread
        _, singular, axes = np.linalg.svd(standard, full_matrices=False)
        variances = singular**2 / len(standard)
        k = min(_DIRECTIONS, len(values) // 4, values.shape[1] // 2)
        rest = math.sqrt(max(float(variances[k:].sum()) / max(values.shape[1] - k, 1), 1e-6))
        # Of few images the smallest variances come out too small.
        deviations = np.sqrt(np.maximum(variances[:k], rest**2))
        arrays = [np.asarray(each, np.float32) for each in (mean, spread, axes[:k], deviations)]
        contrast = np.zeros(values.shape[1] + 1)
        if spoiled is not None and len(spoiled) >= LEAST_IMAGES:
            contrast = fit_classifier(standard, (np.asarray(spoiled, float) - mean) / spread)
        fitted = cls(*arrays, rest, 1.0, np.asarray(contrast, np.float32), math.inf)  # pyright: ignore[reportCallIssue]
        rows = [fitted._measures(row) for row in np.asarray(held, np.float32)]
        limits = np.quantile(rows, familiar_share, axis=0)
        return replace(fitted, limit=float(limits[0]), contrast_limit=float(limits[1]) if contrast.any() else math.inf)

    def distance(self, features: FloatArray) -> float:
        """Return the distance of the features (n,) of an image; 1 is the limit. NaN for features of another length."""
        if features.shape != self.mean.shape:
            return math.nan
        away, spoiled = self._measures(features)
        return max(away / self.limit, spoiled / self.contrast_limit)

    def _measures(self, features: FloatArray) -> tuple[float, float]:
        """Return the distance of Mahalanobis, over the square root of n, and the odds of a spoiled image."""
        standard = (features - self.mean) / self.spread
        along = self.axes @ standard
        beyond = standard - along @ self.axes
        squared = float(np.sum((along / self.deviations) ** 2)) + float(beyond @ beyond) / self.rest**2
        score = float(self.contrast[:-1] @ standard) + float(self.contrast[-1])
        # The root of the odds grows about as fast as a distance.
        return math.sqrt(squared / len(standard)), math.exp(min(max(score, -60.0), 60.0) / 4)

    def caution(self, distance: float, model: str) -> Caution | None:
        """Return the caution for a distance; None for a familiar image, and where the distance is unknown."""
        if not distance > 1.0:
            return None
        said = f"the image is unlike those that {model} was trained on ({distance:.1f} times as far as its limit)"
        return Caution(CautionKind.UNFAMILIAR_IMAGE, said)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "ImageFamiliarity":
        """Read the form of `to_settings`; ValueError, KeyError or TypeError if it is another."""
        names = ("mean", "spread", "axes", "deviations", "contrast")
        mean, spread, axes, deviations, contrast = (from_text(settings[name]) for name in names)
        rest, limit = float(settings["rest"]), float(settings["limit"])
        contrast_limit = float(settings["contrast_limit"]) if contrast.any() else math.inf
        n, k = len(mean), len(deviations)
        if (
            mean.ndim != 1
            or spread.shape != (n,)
            or axes.shape != (k, n)
            or deviations.shape != (k,)
            or contrast.shape != (n + 1,)
        ):
            raise ValueError("familiarity: the arrays do not belong together")
        if not (np.all(spread > 0) and np.all(deviations > 0) and 0 < rest < math.inf and 0 < limit < math.inf):
            raise ValueError("familiarity: spreads, deviations, rest and limit must be above zero")
        if not contrast_limit > 0:
            raise ValueError("familiarity: contrast_limit must be above zero")
        return cls(mean, spread, axes, deviations, rest, limit, contrast, contrast_limit)

    def to_settings(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        names = ("mean", "spread", "axes", "deviations", "contrast")
        numbers = {"rest": round(self.rest, 6), "limit": round(self.limit, 4)}
        if math.isfinite(self.contrast_limit):
            numbers["contrast_limit"] = round(self.contrast_limit, 4)
        return {**{name: to_text(vars(self)[name]) for name in names}, **numbers}


def fit_classifier(familiar: FloatArray, spoiled: FloatArray, decay: float = _RIDGE) -> FloatArray:
    """Fit a ridge logistic regression between two sets of standardized features (m, n), which count half each: (n + 1,).

    The result are weights and an offset; their sum is the log-odds of the second set.
    """
    columns = np.c_[np.concatenate([familiar, spoiled]), np.ones(len(familiar) + len(spoiled))]
    true = np.r_[np.zeros(len(familiar)), np.ones(len(spoiled))]
    mass = np.r_[np.full(len(familiar), 0.5 / len(familiar)), np.full(len(spoiled), 0.5 / len(spoiled))]
    ridge = np.diag(np.r_[np.full(columns.shape[1] - 1, 2 * decay), 1e-9])
    theta = np.zeros(columns.shape[1])
    for _ in range(_NEWTON_STEPS):
        told = 1 / (1 + np.exp(-np.clip(columns @ theta, -30, 30)))
        slope = columns.T @ (mass * (true - told)) - ridge @ theta
        bend = (columns * (mass * np.maximum(told * (1 - told), 1e-6))[:, None]).T @ columns + ridge
        step = np.linalg.solve(bend, slope)
        theta += step * min(1.0, 5.0 / float(np.abs(columns @ step).max() + 1e-9))
    return theta
