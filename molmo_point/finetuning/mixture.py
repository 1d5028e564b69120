"""Images with questions out of several sources, drawn by weight."""

from pathlib import Path
from typing import Protocol

import numpy as np

from molmo_point.errors import InputError
from molmo_point.finetuning.labels.formats import Caption
from molmo_point.finetuning.labels.label_set import LabelledImage, LabelSet
from molmo_point.finetuning.labels.wording import LabelledExample, caption_examples, example_of
from molmo_point.finetuning.sample import Asked
from molmo_point.finetuning.scene_pool import ScenePool
from molmo_point.finetuning.settings import Data, TuneSettings

_TRIES = 100


class Pool(Protocol):
    """One source."""

    def serves(self, stage: str) -> bool:
        """Whether it has anything for a stage."""
        ...

    def draw(self, stage: str, count: int, rng: np.random.Generator, validation: bool = False) -> Asked | None:
        """A random image with up to ``count`` questions; None where there is no image."""
        ...


class LabelPool:
    """Labels from files.

    Args:
        labels: The labels.
        skip_bad: Whether an image that turns out to be broken is left out and counted.
    """

    def __init__(self, labels: LabelSet, skip_bad: bool) -> None:
        self.labels, self._skip_bad = labels, skip_bad
        self._captioned = {
            validation: [image for image in images if any(isinstance(a, Caption) for a in image.annotations)]
            for validation, images in ((False, labels.train), (True, labels.validation))
        }
        self._broken: set[Path] = set()

    def serves(self, stage: str) -> bool:
        """Whether it has anything for a stage."""
        return stage != "caption" or bool(self._captioned[False])

    def draw(self, stage: str, count: int, rng: np.random.Generator, validation: bool = False) -> Asked | None:
        """A random image with up to ``count`` of its labels, each in a random wording."""
        images = self._captioned[validation] if stage == "caption" else (self.labels.train, self.labels.validation)[validation]
        for _ in range(_TRIES if images else 0):
            image = images[int(rng.integers(len(images)))]
            try:
                return Asked(image.pixels(), self._examples(image, stage, count, rng))
            except InputError as error:
                if not self._skip_bad:
                    raise
                if image.path not in self._broken:
                    self._broken.add(image.path)
                    self.labels.bad.add(error.given)
        return None

    def _examples(self, image: LabelledImage, stage: str, count: int, rng: np.random.Generator) -> list[LabelledExample]:
        order = [image.annotations[int(k)] for k in rng.permutation(len(image.annotations))]
        if stage != "caption":
            return [example_of(annotation, rng) for annotation in order[:count]]
        caption = next(annotation for annotation in order if isinstance(annotation, Caption))
        return caption_examples(caption, rng)


class Mixture:
    """All sources of a run.

    Args:
        settings: The run's.

    Attributes:
        pools: A source for each entry of ``settings.data``.

    Raises:
        InputError: Files or scenes are missing or bad, or a stage has no images.
    """

    def __init__(self, settings: TuneSettings) -> None:
        self.settings = settings
        self.pools: list[Pool] = [_pool(data, settings) for data in settings.data]
        for stage in {stage.stage for stage in settings.stages}:
            if not any(self._weights(stage)):
                fix = "add rows with captions, or scenes" if stage == "caption" else "give an entry of data a weight"
                raise InputError("A stage has nothing to train on", stage, fix)

    def draw(self, stage: str, rng: np.random.Generator, validation: bool = False) -> Asked | None:
        """An image of one of the sources; None only where the chosen one has none.

        Raises:
            InputError: An image is broken and bad rows are not to be left out.
        """
        weights = np.array(self._weights(stage))
        chosen = self.pools[int(rng.choice(len(self.pools), p=weights / weights.sum()))]
        return chosen.draw(stage, self.settings.annotations, rng, validation)

    def _weights(self, stage: str) -> list[float]:
        """In the stage of captions all that have any count alike unless a weight says otherwise."""
        return [
            (data.weight or float(stage == "caption")) * pool.serves(stage)
            for data, pool in zip(self.settings.data, self.pools, strict=True)
        ]

    def report(self) -> list[str]:
        """What was found, a line for each source, and the rows that were left out."""
        lines = []
        for data, pool in zip(self.settings.data, self.pools, strict=True):
            if isinstance(pool, LabelPool):
                labels = pool.labels
                kept_out = len(labels.validation)
                found = f"{labels.rows} labels, {len(labels.train)} images to train on, {kept_out} kept out"
                lines.append(f"{data.path}: {found}, {labels.bad.count} bad rows left out")
                lines += [f"  {text}" for text in labels.bad.told]
            elif isinstance(pool, ScenePool):
                lines.append(f"{data.scenes}: {len(pool.train)} rendered scenes")
        return lines


def _pool(data: Data, settings: TuneSettings) -> Pool:
    if data.scenes:
        return ScenePool(Path(data.scenes), data.short_answers)
    images = Path(data.images) if data.images else None
    labels = LabelSet(
        Path(data.path), data.format or None, images, data.unit or None, settings.skip_bad, settings.validation_share
    )
    return LabelPool(labels, settings.skip_bad)
