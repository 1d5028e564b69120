"""`LayeredBackend`: taught objects answered by their library, all other words by the model below."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from molmo_point.arrays import ColorArray
from molmo_point.backend import Backend, Growth, Limits, PointSpread, Prompt
from molmo_point.model.taught.library import Library
from molmo_point.model.taught.library_file import read_libraries
from molmo_point.model.taught.taught_backend import TaughtBackend, TaughtWords
from molmo_point.patch_features import PatchFeatures
from molmo_point.request import Kind
from molmo_point.results import Completion


class LayeredBackend(Backend):
    """Two models: a library answers about its objects, the model below about everything else.

    It has the name, dialect, and description of the model below. `for_words` tells which one answers.

    Args:
        taught: The library as a model.
        below: The model for other words, for questions and for captions.

    Attributes:
        taught: The library as a model; `take` replaces it.
        below: The model below.
    """

    def __init__(self, taught: TaughtBackend, below: Backend) -> None:
        self.below = below
        self.name, self.dialect, self.sigma_px = below.name, below.dialect, below.sigma_px
        self.calibration, self.training = below.calibration, below.training
        self.batches, self.tells_spread = below.batches, below.tells_spread
        self.take(taught.library, taught)

    def take(self, library: Library, taught: TaughtBackend | None = None) -> None:
        """Answer by another library from the next question on; an answer in the making keeps its own."""
        told = self.taught.with_library(library) if taught is None else taught
        self._layers = (told, _beside(library, self.below))

    @property
    def taught(self) -> TaughtBackend:
        """The library as a model."""
        return self._layers[0]

    def for_words(self, words: str) -> Backend:
        """Return the library for the words of its objects, else the model below."""
        taught, below = self._layers
        return taught if taught.library.named(words) else below.for_words(words)

    def answers(self, image: ColorArray, prompts: Sequence[Prompt], limits: Limits) -> Iterator[Growth]:
        """Answer each prompt by its layer; arguments as `Backend.answers`."""
        by_layer: dict[int, tuple[Backend, list[int]]] = {}
        for index, prompt in enumerate(prompts):
            layer = self._layer_of(prompt)
            by_layer.setdefault(id(layer), (layer, []))[1].append(index)
        for layer, indices in by_layer.values():
            batches = [indices] if layer.batches else [[index] for index in indices]
            for batch in batches:
                for growth in layer.answers(image, [prompts[index] for index in batch], limits):
                    yield replace(growth, prompt=batch[growth.prompt])

    def image_features(self, image: ColorArray) -> PatchFeatures | None:
        """Return the features of the model below; arguments and errors as `Backend.image_features`."""
        return self.below.image_features(image)

    def spreads(self, image: ColorArray, prompt: Prompt, completion: Completion) -> tuple[PointSpread, ...]:
        """Tell the distributions by the layer that answered; arguments as `Backend.spreads`."""
        return self._layer_of(prompt).spreads(image, prompt, completion)

    def _layer_of(self, prompt: Prompt) -> Backend:
        points = prompt.kind in (Kind.POINT, Kind.COUNT)
        return self.for_words(prompt.asked or prompt.words) if points else self.below


def open_taught(paths: str | Path | Sequence[str | Path], open_below: Callable[[], Backend] | None) -> Backend:
    """Open library files as a model, above another one if there is one.

    Args:
        paths: One file or more.
        open_below: Opens the model below, once the files are known to be good; None goes without.

    Raises:
        InputError: A file cannot be used, or a name stands for two different objects.
    """
    taught = TaughtBackend(read_libraries(paths))
    return taught if open_below is None else LayeredBackend(taught, open_below())


def _beside(library: Library, below: Backend) -> Backend:
    """Return the model below with a vocabulary whose check also names and suggests taught objects."""
    if below.training.vocabulary is None:
        return below
    told = copy.copy(below)
    told.training = replace(below.training, vocabulary=TaughtWords.of(library, below.training.vocabulary))
    return told
