"""What a tuning run is told: data, stages, rates, adapters; with defaults from Molmo's own recipe."""

import math
from dataclasses import dataclass, field

from molmo_point.finetuning.parameter_groups import GROUPS

STAGES = ("caption", "point")
_FLOOR = 0.1  # of the peak rate, at the end of a stage
_WARM_SHARE = 0.1  # of a short stage, at most, where the warm-up is not given
RATES = {
    "caption": {"connector": 2e-4, "vision": 6e-6, "language": 2e-5},
    "point": {"connector": 5e-6, "vision": 5e-6, "language": 1e-5},
}
"""Molmo-7B's peak learning rates, by stage."""
LORA_RATE = 1e-4
"""Peak learning rate of adapters where none is given: full tuning's rates hardly move them."""
WARMUP = {
    "caption": {"connector": 200, "vision": 2000, "language": 2000},
    "point": {"connector": 200, "vision": 200, "language": 200},
}
"""Molmo's warm-up, optimiser steps, by stage."""


@dataclass(frozen=True)
class Data:
    """One source of images.

    Attributes:
        path: File or folder of rows; empty for scenes.
        scenes: Folder of rendered shards; empty for rows.
        format: Of the rows, one of `labels.formats.FORMATS`; empty tells it from their columns.
        images: Folder of images named by hash; empty takes ``images/`` beside the rows.
        unit: ``"percent"`` or ``"pixels"`` of the points; empty as PixMo has it for the format.
        weight: How often images of it are drawn, relative to the others; 0 leaves it out of the stage "point".
        short_answers: Of scenes: share of the questions that want a word or a number.
    """

    path: str = ""
    scenes: str = ""
    format: str = ""
    images: str = ""
    unit: str = ""
    weight: float = 1.0
    short_answers: float = 0.2


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Attributes:
        stage: ``"caption"``: descriptions only; ``"point"``: everything.
        images: Images to be seen.
        rates: Peak learning rate of each of `GROUPS`; 0 freezes the part.
        warmup: Optimiser steps over which each group's rate rises from 0.
    """

    stage: str
    images: int
    rates: dict[str, float] = field(default_factory=dict)
    warmup: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Lora:
    """Adapters instead of the weights themselves.

    Attributes:
        rank: Rank.
        alpha: Scale: what adapters add is multiplied by alpha / rank.
        dropout: Of what enters an adapter.
        targets: ``"decoder"``, ``"all"`` (decoder, image encoder and connector), or a regular expression over the
            names of linear layers.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.05
    targets: str = "decoder"


@dataclass(frozen=True)
class TuneSettings:
    """A run; a fixed seed and the same files give the same run.

    Attributes:
        base: Checkpoint to start from: embedded name, folder, or Hugging Face id.
        out: Folder of the run.
        data: Where images and labels come from.
        stages: What is done, one after another.
        lora: Adapters; None trains the weights themselves.
        quantization: ``"nf4"`` or ``"int8"`` base below adapters; empty for none.
        batch: Images a step.
        micro_batch: Images that go through the model at once; more need more memory and change nothing else.
        annotations: Questions about one image, packed into one row, at most.
        max_tokens: Longest row, image included.
        max_crops: High-resolution crops of an image at most; None as the base has it.
        validation_share: Share of the labelled images that are kept out.
        check_every: Images between two checkpoints with validation.
        check_images: Images of a validation.
        seed: Seed of images, questions, wordings and adapters.
        z_loss: Weight of the squared log of the softmax's normaliser.
        skip_bad: Whether bad rows are left out and counted.
        device: Where; empty takes a GPU where there is one.
        gradient_checkpointing: Whether to compute activations twice instead of keeping them.
    """

    base: str
    out: str
    data: tuple[Data, ...]
    stages: tuple[Stage, ...]
    lora: Lora | None = None
    quantization: str = ""
    batch: int = 8
    micro_batch: int = 1
    annotations: int = 8
    max_tokens: int = 2304
    max_crops: int | None = None
    validation_share: float = 0.05
    check_every: int = 500
    check_images: int = 32
    seed: int = 0
    z_loss: float = 1e-4
    skip_bad: bool = False
    device: str = ""
    gradient_checkpointing: bool = False

    def steps(self, stage: Stage) -> int:
        """Optimiser steps of a stage."""
        return math.ceil(stage.images / self.batch)

    @property
    def total_steps(self) -> int:
        """Optimiser steps of all stages."""
        return sum(map(self.steps, self.stages))

    def at(self, step: int) -> tuple[Stage, int]:
        """The stage that a step of the run (from 0) belongs to, and its number in that stage."""
        for stage in self.stages:
            if step < self.steps(stage):
                return stage, step
            step -= self.steps(stage)
        raise IndexError(step)

    def peak(self, stage: Stage, group: str) -> float:
        """Peak learning rate of a part of the model in a stage."""
        return stage.rates.get(group, RATES[stage.stage][group] if self.lora is None else LORA_RATE)

    def rates(self, step: int) -> dict[str, float]:
        """Learning rate of every group at a step of the run: linear warm-up, then half a cosine to a tenth."""
        stage, done = self.at(step)
        total, found = self.steps(stage), {}
        for group in GROUPS:
            default = min(WARMUP[stage.stage][group], math.ceil(_WARM_SHARE * total))
            warmup = stage.warmup.get(group, default)
            warm = min(1.0, (done + 1) / max(warmup, 1))
            along = min(1.0, max(0.0, (done - warmup) / max(total - warmup, 1)))
            wave = _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * along))
            found[group] = self.peak(stage, group) * warm * wave
        return found
