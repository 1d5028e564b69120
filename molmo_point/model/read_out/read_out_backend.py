"""`ReadOutBackend`: names answered by the read-out network, all other words by the model below."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from molmo_point.arrays import ColorArray, FloatArray
from molmo_point.backend import Backend, Growth, Limits, PointSpread, Prompt, open_backend
from molmo_point.errors import CheckpointError
from molmo_point.model.checkpoint.released_config import read_config
from molmo_point.model.read_out.asked_objects import AskedObjects, KnownWords
from molmo_point.model.read_out.image_objects import ImageObject, image_objects
from molmo_point.model.read_out.read_out_network import ReadOutNetwork, load_read_out
from molmo_point.model.taught.feature_network import FeatureNetwork, load_feature_network
from molmo_point.patch_features import PatchFeatures
from molmo_point.points.dialects.written import ABSENT_TEXT, written_tag
from molmo_point.request import Kind
from molmo_point.results import Completion, PointMode, StatedPoint, StatedQuality

if TYPE_CHECKING:
    from molmo_point.model.load import CheckpointSource

_LEAST_FIT, _LEAST_COLORED_FIT = 0.025, 0.015
"""Shares from which on an object fits a name, and a color with a name: 5 % of the absent names were found at these."""
_LEAST_WEIGHT = 0.005
_ASKED_KINDS = (Kind.POINT, Kind.COUNT)


@dataclass(frozen=True, eq=False)
class _SeenImage:
    image: ColorArray
    features: PatchFeatures
    objects: tuple[ImageObject, ...]


@dataclass(frozen=True)
class _Fit:
    """One object, with the probability that it fits the words, and its coordinates as written."""

    probability: float
    u: float
    v: float
    written: tuple[str, str]


class ReadOutBackend(Backend):
    """A read-out of names as a model, above another one for all other words.

    Args:
        network: The read-out network.
        features: Its feature network.
        words: Words that it knows.
        name: Name that results carry.
        below: The model for other words, for questions and for captions.

    Attributes:
        below: The model below.
    """

    tells_spread = True

    def __init__(self, network: ReadOutNetwork, features: FeatureNetwork, words: KnownWords, name: str, below: Backend) -> None:
        self.network, self.feature_network, self.words, self.name, self.below = network, features, words, name, below
        self._seen: _SeenImage | None = None

    def for_words(self, words: str) -> Backend:
        """Return this backend for a name that it knows, else the model below."""
        return self if self.words.asked(words) else self.below.for_words(words)

    def answers(self, image: ColorArray, prompts: Sequence[Prompt], limits: Limits) -> Iterator[Growth]:
        """Answer the prompts that name known objects at once, and let the model below answer the others one by one."""
        for index, prompt in enumerate(prompts):
            asked = self._asked(prompt)
            if asked is None:
                for growth in self.below.answers(image, (prompt,), limits):
                    yield replace(growth, prompt=index)
            else:
                completion = self._answer(image, asked, prompt.kind)
                yield Growth(index, completion.text, True, lambda completion=completion: completion)

    def image_features(self, image: ColorArray) -> PatchFeatures:
        """Return the features of an image; arguments and errors as `Backend.image_features`."""
        return self._see(image).features

    def spreads(self, image: ColorArray, prompt: Prompt, completion: Completion) -> tuple[PointSpread, ...]:
        """Tell the distribution of each point: its place, and those of other objects that may be meant."""
        asked = self._asked(prompt)
        if asked is None:
            return self.below.spreads(image, prompt, completion)
        size_wh = (image.shape[1], image.shape[0])
        fits = _fits(self._see(image).objects, asked, size_wh)
        sigma_px = self.sigma_px * size_wh[0] / 640
        answered = _answered(fits, asked)
        others = [fit for fit in fits[len(answered) :] if fit.probability > _LEAST_WEIGHT]
        return tuple(PointSpread(fit.written, _modes(fit, others, sigma_px)) for fit in answered)

    def _asked(self, prompt: Prompt) -> AskedObjects | None:
        return self.words.asked(prompt.asked or prompt.words) if prompt.kind in _ASKED_KINDS else None

    def _answer(self, image: ColorArray, asked: AskedObjects, kind: Kind) -> Completion:
        start = time.perf_counter()
        seen = self._see(image)
        size_wh = (image.shape[1], image.shape[0])
        fits = _fits(seen.objects, asked, size_wh)
        answered = _answered(fits, asked)
        text = _text(answered, asked.words, kind)
        sigma_px = self.sigma_px * size_wh[0] / 640
        right = np.prod([fit.probability for fit in answered]) * np.prod([1 - fit.probability for fit in fits[len(answered) :]])
        return Completion(
            text=text,
            token_count=0,
            finish_reason="stop",
            timing_ms={"vision": (time.perf_counter() - start) * 1e3},
            absent_probability=float(1 - max((fit.probability for fit in fits), default=0.0)),
            features=seen.features,
            stated=StatedQuality(tuple(StatedPoint(fit.written, fit.probability, sigma_px) for fit in answered), float(right)),
        )

    def _see(self, image: ColorArray) -> _SeenImage:
        """Look at an image; the last one is kept, so that several questions about it cost one pass."""
        if self._seen is None or self._seen.image.shape != image.shape or not np.array_equal(self._seen.image, image):
            features = self.feature_network.grid(image)
            self._seen = _SeenImage(image.copy(), features, image_objects(self.network.read(features)))
        return self._seen


def load_read_out_backend(source: "CheckpointSource") -> ReadOutBackend:
    """Load a read-out and the model below it.

    Raises:
        CheckpointError: A file is missing or broken.
    """
    settings = read_config(source.folder)
    network = load_read_out(source.folder, settings)
    try:
        words = KnownWords(*(network.words[name] for name in ("nouns", "categories", "colors")), settings["forms"])
        features, below = load_feature_network(settings["features"]), open_backend(settings["below"], device=str(source.device))
    except (KeyError, TypeError, AttributeError) as error:
        given = f"{source.folder / 'config.json'}: {error}"
        raise CheckpointError(
            "config.json must name the features, the words and the model below", given, "restore the file"
        ) from error
    backend = ReadOutBackend(network, features, words, source.name, below)
    backend.sigma_px, backend.calibration = source.sigma_px, source.calibration
    return backend


def _fits(objects: Sequence[ImageObject], asked: AskedObjects, size_wh: tuple[int, int]) -> list[_Fit]:
    """Return all objects, likeliest first, with coordinates of their own."""
    found: dict[tuple[str, str], _Fit] = {}
    for each in objects:
        shares = [each.presence]
        for index, odds in ((asked.noun, each.nouns), (asked.category, each.categories), (asked.color, each.colors)):
            shares += [] if index is None else [_probability(odds[index])]
        percent = ((each.u + 0.5) / size_wh[0] * 100, (each.v + 0.5) / size_wh[1] * 100)
        x, y = (str(round(min(max(value, 0.0), 100.0), 1)) for value in percent)
        fit = _Fit(float(np.prod(shares)), each.u, each.v, (x, y))
        if (x, y) not in found or found[x, y].probability < fit.probability:
            found[x, y] = fit
    return sorted(found.values(), key=lambda fit: -fit.probability)


def _text(answered: Sequence[_Fit], label: str, kind: Kind) -> str:
    """Write an answer as Molmo does, with the likeliest point first."""
    if not answered:
        return f" {ABSENT_TEXT}"
    tag = written_tag([fit.written for fit in answered], label)
    return f" Counting the {tag} shows a total of {len(answered)}." if kind is Kind.COUNT else f" {tag}"


def _answered(fits: Sequence[_Fit], asked: AskedObjects) -> list[_Fit]:
    least = _LEAST_FIT if asked.color is None else _LEAST_COLORED_FIT
    return [fit for fit in fits if fit.probability >= least]


def _probability(odds: float | FloatArray) -> float:
    return float(1 / (1 + np.exp(-np.clip(odds, -30, 30))))


def _modes(fit: _Fit, others: Sequence[_Fit], sigma_px: float) -> tuple[PointMode, ...]:
    """Return the place of a fit, and those of objects that the answer left out, by their share."""
    total = sum(each.probability for each in (fit, *others))
    return tuple(PointMode(each.probability / total, each.u, each.v, np.eye(2) * sigma_px**2) for each in (fit, *others))
