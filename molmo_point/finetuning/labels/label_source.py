"""Labels from files as a source of a run."""

from pathlib import Path

import numpy as np

from molmo_point.errors import InputError
from molmo_point.finetuning.labels.formats import Caption
from molmo_point.finetuning.labels.label_set import LabeledImage, LabelSet
from molmo_point.finetuning.labels.wording import caption_examples, example_of
from molmo_point.finetuning.sample import Source, TrainingExample, TrainingSample
from molmo_point.finetuning.taught import Taught, taught_by

_TRIES = 100


class LabelSource(Source):
    """Labels from files; ``skip_bad`` leaves out and counts an image that proves broken, instead of raising."""

    def __init__(self, labels: LabelSet, skip_bad: bool) -> None:
        self.labels, self._skip_bad = labels, skip_bad
        self._captioned = {
            validation: [image for image in images if any(isinstance(a, Caption) for a in image.annotations)]
            for validation, images in ((False, labels.train), (True, labels.validation))
        }
        self._broken: set[Path] = set()

    def serves(self, stage: str) -> bool:
        """Return True if the source has images for a stage: captions need rows with captions."""
        return stage != "caption" or bool(self._captioned[False])

    def draw(self, stage: str, count: int, rng: np.random.Generator, validation: bool = False) -> TrainingSample | None:
        """Draw a random image with up to ``count`` of its labels, each in a random wording; InputError if it is broken."""
        images = self._captioned[validation] if stage == "caption" else (self.labels.train, self.labels.validation)[validation]
        for _ in range(_TRIES if images else 0):
            image = images[int(rng.integers(len(images)))]
            try:
                return TrainingSample(image.pixels(), _examples(image, stage, count, rng))
            except InputError as error:
                if not self._skip_bad:
                    raise
                if image.path not in self._broken:
                    self._broken.add(image.path)
                    self.labels.bad.add(error.given)
        return None

    def taught(self, stage: str) -> Taught:
        """Return the content of the images to train on."""
        return taught_by((annotation for image in self.labels.train for annotation in image.annotations), stage)

    def report(self) -> list[str]:
        """Count rows and images in lines for a user, and list bad rows."""
        labels = self.labels
        found = f"{labels.rows} labels, {len(labels.train)} images to train on, {len(labels.validation)} kept out"
        return [f"{labels.path}: {found}, {labels.bad.count} bad rows left out", *(f"  {text}" for text in labels.bad.told)]


def _examples(image: LabeledImage, stage: str, count: int, rng: np.random.Generator) -> list[TrainingExample]:
    order = [image.annotations[int(k)] for k in rng.permutation(len(image.annotations))]
    if stage != "caption":
        return [example_of(annotation, rng) for annotation in order[:count]]
    caption = next(annotation for annotation in order if isinstance(annotation, Caption))
    return caption_examples(caption, rng)
