"""Training of a Molmo on labels: stages of captions and pointing, in full or through adapters."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molmo_point.errors import InputError
from molmo_point.files import write_file
from molmo_point.finetuning.checks import ANSWER_COLUMNS, VALID_COLUMN, answer_scores, validation_loss
from molmo_point.finetuning.loop import Losses, TrainingLoop, TrainingTask
from molmo_point.finetuning.mixture import Mixture
from molmo_point.finetuning.packed_batch import PackedImage, packed_image, summed_loss
from molmo_point.finetuning.run_settings import TuneSettings
from molmo_point.finetuning.sample import TrainingSample
from molmo_point.finetuning.taught import described
from molmo_point.finetuning.trained_model import TrainedModel

_VALIDATION_SEED = 96817
_TRIES = 50


class TuningTask(TrainingTask):
    """Labels and a model to train on them; ``say`` receives lines about the labels.

    Attributes:
        mixture: Sources of images.
        trained_model: The model.
        images_too_long: Images passed over because not one question fitted beside them.
    """

    columns = ("token", VALID_COLUMN, *ANSWER_COLUMNS)

    def __init__(self, settings: TuneSettings, say: Callable[[str], None] = lambda line: None) -> None:
        self.settings: TuneSettings = settings
        self.total_steps = settings.total_steps
        self.mixture = Mixture(settings)
        report = self.mixture.report()
        for line in report:
            say(line)
        self.trained_model = TrainedModel(settings)
        self.parts = {"trained": self.trained_model}
        self.images_too_long = 0
        out = Path(settings.out)
        out.mkdir(parents=True, exist_ok=True)
        write_file(out / "bad_rows.txt", "".join(line + "\n" for line in report).encode("utf-8", "backslashreplace"))

    def stage(self, step: int) -> str:
        return self.settings.at(step)[0].stage

    def begins(self, step: int) -> bool:
        """Return True at the first step of a stage: every stage has its own optimizer, as Molmo's two stages had."""
        return self.settings.at(step)[1] == 0

    def trained(self, step: int) -> dict[str, list[torch.nn.Parameter]]:
        return self.trained_model.groups(self.settings.at(step)[0])

    def rates(self, step: int) -> Mapping[Any, float]:
        return self.settings.rates(step)

    def losses(self, step: int, rng: np.random.Generator) -> Iterator[Losses]:
        """Yield the loss of the answers, for so many images at once as fit."""
        settings, trained = self.settings, self.trained_model
        packed = [self.draw(self.stage(step), rng) for _ in range(settings.batch)]
        weight = sum(one.weight for one in packed)
        trained.model.train()
        for start in range(0, len(packed), settings.micro_batch):
            part = packed[start : start + settings.micro_batch]
            with trained.precision():
                loss = summed_loss(trained.model, part, trained.processor.eos_id, settings.z_loss, trained.device) / weight
            yield {"token": loss}

    def draw(self, stage: str, rng: np.random.Generator) -> PackedImage:
        """Draw an image with the questions that fit beside it; InputError if none fits many times in a row."""
        for _ in range(_TRIES):
            sample = self.mixture.draw(stage, rng)
            if sample is None:
                continue
            packed = packed_image(self.trained_model.processor, sample.pixels, sample.examples, self.settings.max_tokens)
            if packed is not None:
                return packed
            self.images_too_long += 1
        given = f"max_tokens = {self.settings.max_tokens}, {_TRIES} images in a row were longer"
        raise InputError("The images must leave room for questions", given, "raise max_tokens, or lower max_crops")

    def check(self, step: int) -> dict[str, Any]:
        """Measure the loss on images kept out of training and, in the stage that points, the answers."""
        stage = self.stage(step)
        samples = list(self._kept_out(stage))
        row = {VALID_COLUMN: validation_loss(self.trained_model, samples, self.settings.max_tokens)}
        return row | (answer_scores(self.trained_model.backend(), samples) if stage == "point" else {})

    def save(self) -> Path:
        self.trained_model.save(self.folder, described(self.trained_model.base_training, self.mixture.taught()))
        return self.folder

    @property
    def folder(self) -> Path:
        return Path(self.settings.out) / ("checkpoint" if self.settings.lora is None else "adapter")

    def _kept_out(self, stage: str) -> Iterator[TrainingSample]:
        rng = np.random.default_rng(_VALIDATION_SEED)
        for _ in range(self.settings.check_images):
            sample = self.mixture.draw(stage, rng, validation=True)
            if sample is not None:
                yield sample


def tune(
    settings: TuneSettings,
    say: Callable[[str], None] = lambda line: None,
    after_check: Callable[[Path], None] | None = None,
) -> Path:
    """Train a Molmo on labels, or resume such a run, and return the folder of the checkpoint or adapter.

    ``say`` receives lines about the run, ``after_check`` its folder after every checkpoint.

    Raises:
        InputError: Labels or settings cannot be used, or the folder holds another run.
        CheckpointError: The base cannot be loaded.
        DependencyError: A library is missing.
    """
    loop = TrainingLoop(settings, lambda: TuningTask(settings, say), say, after_check)
    folder = loop.run()
    if loop.task.images_too_long:
        say(f"{loop.task.images_too_long} images were passed over: no question fitted beside them (max_tokens)")
    return folder
