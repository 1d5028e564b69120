"""Colors of the training images: they tell pictures with swapped channels, and pictures without color.

The hues of saturated pixels are counted, and a linear classifier tells the training images from copies with red and blue
swapped. An image with objects of one or two colors may look right either way; nothing is said about it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import ColorArray, FloatArray
from molmo_point.cautions import Caution, CautionKind
from molmo_point.trust.image_checks import sampled, whole_quantile
from molmo_point.trust.image_familiarity import fit_classifier

_HUES, _SATURATIONS, _LEAST_VALUE = 36, (0.35, 0.65), 0.12
_BINS = 1 + _HUES * len(_SATURATIONS)
_BITS = 5
"""Bits of a channel in the table from colors to bins."""
_RARE = 1 / 3000
"""Share of the pixels from which on a color counts as seen."""
_STRONGEST = 0.999
_FOLDS, _FAMILIAR_SHARE, _DECAY = 5, 0.98, 0.015
_LEAST_LIMIT = 1.5
"""Least log-odds that count as swapped, however clear the training images are."""


@dataclass(frozen=True, eq=False)
class TrainedColors:
    """Colors of the images that a model was trained on.

    Attributes:
        weights: (n,) weights of the hue bins; their sum with the offset is the log-odds of swapped channels.
        offset: Offset of the log-odds.
        limit: Log-odds beyond which the channels count as swapped.
        least_chroma: Difference of the largest and the smallest channel, levels of 255, that the strongest color of an
            image exceeds in the training.
    """

    weights: FloatArray
    offset: float
    limit: float
    least_chroma: float

    @classmethod
    def fit(cls, images: Iterable[ColorArray]) -> "TrainedColors":
        """Fit the colors of training images (h, w, 3); the limit comes from images that a fit did not see."""
        samples = (_sample(image) for image in images)
        kept = [(_seen_colors(each), _seen_colors(each[..., ::-1]), _chroma(each)) for each in samples]
        seen, swapped, chroma = (np.array(each) for each in zip(*kept, strict=True))
        fold, odds = np.arange(len(seen)) % _FOLDS, np.zeros(len(seen))
        for left_out in range(_FOLDS):
            theta = fit_classifier(seen[fold != left_out], swapped[fold != left_out], _DECAY)
            odds[fold == left_out] = seen[fold == left_out] @ theta[:-1] + theta[-1]
        theta = fit_classifier(seen, swapped, _DECAY)
        limit = max(float(np.quantile(odds, _FAMILIAR_SHARE)), _LEAST_LIMIT)
        return cls(theta[:-1], float(theta[-1]), limit, float(chroma.min()) / 2)

    def check(self, color: ColorArray) -> Caution | None:
        """Check the colors of an image (h, w, 3); None if they may be those of the training."""
        color = _sample(color)
        chroma = _chroma(color)
        if chroma < self.least_chroma:
            text = f"the picture has no color: its strongest color is {chroma:.0f} of 255 away from gray"
            return Caution(CautionKind.POOR_IMAGE, text)
        if self._odds(color) > self.limit:
            text = "red and blue look swapped in the picture: its colors are more typical of the training with BGR read as RGB"
            return Caution(CautionKind.POOR_IMAGE, text)
        return None

    def swap_odds(self, color: ColorArray) -> float:
        """Return the log-odds of swapped channels for an image (h, w, 3)."""
        return self._odds(_sample(color))

    def _odds(self, sample: ColorArray) -> float:
        return float(self.weights @ _seen_colors(sample)) + self.offset

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "TrainedColors":
        """Read the form of `to_settings`; ValueError, KeyError or TypeError if it is another."""
        weights = np.array(settings["weights"], float)
        numbers = [float(settings[name]) for name in ("offset", "limit", "least_chroma")]
        if weights.shape != (_BINS - 1,) or not np.all(np.isfinite([*weights, *numbers])):
            raise ValueError(f"colors: {_BINS - 1} finite weights are needed, with offset, limit and least_chroma")
        return cls(weights, *numbers)

    def to_settings(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        numbers = {name: round(float(vars(self)[name]), 3) for name in ("offset", "limit", "least_chroma")}
        return {"weights": [round(float(weight), 3) for weight in self.weights], **numbers}


def _sample(color: ColorArray) -> ColorArray:
    return np.ascontiguousarray(sampled(color)[1::8, 1::4]) if min(color.shape[:2]) > 8 else color


def _seen_colors(sample: ColorArray) -> FloatArray:
    """Return the logarithm of the share of each hue bin, from zero on; colors without saturation are left out."""
    red, green, blue = (sample[..., channel].astype(np.uint16) >> (8 - _BITS) for channel in range(3))
    codes = (red << 2 * _BITS) | (green << _BITS) | blue
    counts = np.bincount(_bin_table()[codes.ravel()], minlength=_BINS)[1:]
    return np.log1p(counts / codes.size / _RARE)


def _chroma(sample: ColorArray) -> float:
    """Return the distance of the strongest color from gray, levels of 255."""
    red, green, blue = (sample[..., channel] for channel in range(3))
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return whole_quantile(spread.ravel(), _STRONGEST)


@lru_cache(maxsize=1)
def _bin_table() -> NDArray[np.uint8]:
    """Return the bin of every color of `_BITS` bits: 0 for gray and black, then the hues by saturation."""
    red, green, blue = ((np.indices((2**_BITS,) * 3) + 0.5) / 2**_BITS).reshape(3, -1)
    value = np.maximum(np.maximum(red, green), blue)
    chroma = value - np.minimum(np.minimum(red, green), blue)
    part = np.maximum(chroma, 1e-9)
    sixths = np.where(
        value == red, (green - blue) / part % 6, np.where(value == green, (blue - red) / part + 2, (red - green) / part + 4)
    )
    hue = np.floor(sixths / 6 * _HUES + 0.5).astype(int) % _HUES
    strength = np.searchsorted(_SATURATIONS, chroma / value)
    return np.where((strength == 0) | (value < _LEAST_VALUE), 0, 1 + (strength - 1) * _HUES + hue).astype(np.uint8)
