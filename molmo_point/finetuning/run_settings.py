"""Settings of training runs, checked by pydantic; defaults are from Molmo's own recipe."""

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from molmo_point.finetuning.labels.formats import FORMATS
from molmo_point.finetuning.labels.label_set import LabelSet
from molmo_point.finetuning.labels.label_source import LabelSource
from molmo_point.finetuning.parameter_groups import GROUPS, Group
from molmo_point.finetuning.sample import Source

STAGES = ("caption", "point")
_FLOOR = 0.1  # of the peak rate, at the end of a stage
_WARM_SHARE = 0.1  # of a short stage, at most, if no warm-up is given
RATES: dict[str, dict[Group, float]] = {
    "caption": {"connector": 2e-4, "vision": 6e-6, "language": 2e-5},
    "point": {"connector": 5e-6, "vision": 5e-6, "language": 1e-5},
}
"""Molmo-7B's peak learning rates, by stage."""
LORA_RATE = 1e-4
"""Peak learning rate of adapters if none is given: the rates of full tuning hardly move them."""
WARMUP: dict[str, dict[Group, int]] = {
    "caption": {"connector": 200, "vision": 2000, "language": 2000},
    "point": {"connector": 200, "vision": 200, "language": 200},
}
"""Molmo's warm-up, optimizer steps, by stage."""


def _as_number(value: Any) -> Any:
    """Read text as a number, because YAML reads 1e-3 as text; refuse true and false, which Python takes for numbers."""
    if isinstance(value, bool):
        raise PydanticCustomError("number", "Input should be a number")
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _one_of(*choices: str) -> AfterValidator:
    def check(value: str) -> str:
        if value and value not in choices:
            raise PydanticCustomError("choice", "Input should be one of {choices}", {"choices": ", ".join(choices)})
        return value

    return AfterValidator(check)


def _not_empty(entries: tuple[Any, ...]) -> tuple[Any, ...]:
    if not entries:
        raise PydanticCustomError("empty", "Input should be a list with at least one entry")
    return entries


NOT_EMPTY = AfterValidator(_not_empty)
Whole = Annotated[int, BeforeValidator(_as_number), Field(ge=0)]
"""A whole number from 0."""
AtLeastOne = Annotated[int, BeforeValidator(_as_number), Field(ge=1)]
"""A whole number from 1."""
Amount = Annotated[float, BeforeValidator(_as_number), Field(ge=0)]
"""A number from 0."""
Share = Annotated[float, BeforeValidator(_as_number), Field(ge=0, le=1)]
"""A number from 0 to 1."""


class RunModel(BaseModel):
    """Base of all settings: frozen, no unknown names, no NaN; a string below a field describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class RunSettings(RunModel):
    """Settings that every run has; a fixed seed and the same files give the same run."""

    changeable: ClassVar[frozenset[str]] = frozenset(("out", "check_every"))
    """Settings that may differ when a run is resumed."""
    replannable: ClassVar[frozenset[str]] = frozenset()
    """Settings that may also differ if the user asks for another plan."""

    out: str
    """Folder of the run."""
    batch: AtLeastOne = 8
    """Images a step."""
    seed: Whole = 0
    """Seed of everything random."""
    check_every: AtLeastOne = 500
    """Images between two checkpoints with validation."""

    def differing(self, saved: dict[str, Any]) -> list[str]:
        """Return the names of settings that differ from a saved run's and may not; new names do not differ."""
        mine = self.model_dump(mode="json")
        return sorted(name for name in mine if name not in self.changeable and saved.get(name, mine[name]) != mine[name])


class DataEntry(RunModel, ABC):
    """One entry of ``data``: a source of images with its weight."""

    weight: Amount = 1.0
    """Relative frequency of its images; 0 leaves it out of the stage "point"."""

    @abstractmethod
    def open(self, run: "TuneSettings") -> Source:
        """Open the source.

        Raises:
            InputError: Its files cannot be used.
        """


class LabelData(DataEntry):
    """Rows of labels."""

    path: str
    """File or folder of rows."""
    format: Annotated[str, _one_of(*FORMATS)] = ""
    """Format of the rows; empty tells it from their columns."""
    images: str = ""
    """Folder of images named by hash; empty takes ``images/`` in the folder of the rows."""
    unit: Annotated[str, _one_of("percent", "pixels")] = ""
    """Unit of the points; empty takes PixMo's for the format."""

    def open(self, run: "TuneSettings") -> Source:
        """Read and check all rows."""
        images = Path(self.images) if self.images else None
        unit, kind = self.unit or None, self.format or None
        return LabelSource(LabelSet(Path(self.path), kind, images, unit, run.skip_bad, run.validation_share), run.skip_bad)


class Stage(RunModel):
    """One stage of a run."""

    stage: Literal["caption", "point"]
    """``caption``: descriptions only; ``point``: everything."""
    images: AtLeastOne
    """Images to be seen."""
    rates: dict[Group, Amount] = {}
    """Peak learning rate of each part; 0 freezes the part."""
    warmup: dict[Group, Whole] = {}
    """Optimizer steps over which the rate of each part rises from 0."""


class Lora(RunModel):
    """Adapters instead of the weights themselves."""

    rank: AtLeastOne = 16
    """Rank of the adapters."""
    alpha: Amount = 32.0
    """Scale: the output of adapters is multiplied by alpha / rank."""
    dropout: Share = 0.05
    """Dropout of the input of adapters."""
    targets: str = "decoder"
    """``decoder``, ``all`` (also image encoder and connector), or a regular expression over names of linear layers."""


def _lora_values(value: Any) -> Any:
    return {} if value is True else None if value is False else value


class TuneSettings(RunSettings):
    """A run on a user's labels."""

    changeable: ClassVar[frozenset[str]] = RunSettings.changeable | {
        "device", "micro_batch", "gradient_checkpointing", "check_images"
    }  # fmt: skip

    base: str
    """Checkpoint to start from: embedded name, folder, or Hugging Face id."""
    data: Annotated[tuple[LabelData, ...], NOT_EMPTY]
    """Sources of images and labels."""
    stages: Annotated[tuple[Stage, ...], NOT_EMPTY]
    """Stages, one after another."""
    lora: Annotated[Lora | None, BeforeValidator(_lora_values)] = None
    """Adapters; None trains the weights themselves."""
    quantization: Annotated[str, _one_of("nf4", "int8")] = ""
    """Quantization of the base below adapters; empty for none."""
    micro_batch: AtLeastOne = 1
    """Images that go through the model at once; more need more memory and change nothing else."""
    annotations: AtLeastOne = 8
    """Largest number of questions about one image, packed into one row."""
    max_tokens: AtLeastOne = 2304
    """Longest row, image included."""
    max_crops: Whole | None = None
    """Largest number of high-resolution crops of an image; None takes the base's."""
    validation_share: Share = 0.05
    """Share of the labeled images that are kept out."""
    check_images: Whole = 32
    """Images of a validation."""
    z_loss: Amount = 1e-4
    """Weight of the squared log of the softmax's normalizer."""
    skip_bad: StrictBool = False
    """True leaves out bad rows and counts them."""
    device: str = ""
    """Device; empty takes a GPU if there is one."""
    gradient_checkpointing: StrictBool = False
    """True computes activations twice instead of keeping them."""

    @model_validator(mode="after")
    def _check_together(self) -> "TuneSettings":
        if self.quantization and self.lora is None:
            raise ValueError("quantization needs adapters (lora: {}), because rounded weights are not trained")
        for stage in self.stages:
            if stage.stage == "point" and not any(entry.weight for entry in self.data):
                raise ValueError("all weights of data are 0; one must be above 0")
            if all(self.peak(stage, group) == 0 for group in GROUPS):
                raise ValueError(f"stages: {stage.stage}: all rates are 0; one must be above 0")
        return self

    def steps(self, stage: Stage) -> int:
        """Return the optimizer steps of a stage."""
        return math.ceil(stage.images / self.batch)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of all stages."""
        return sum(map(self.steps, self.stages))

    def at(self, step: int) -> tuple[Stage, int]:
        """Return the stage that a step of the run (from 0) belongs to, and its number in that stage."""
        for stage in self.stages:
            if step < self.steps(stage):
                return stage, step
            step -= self.steps(stage)
        raise IndexError(step)

    def peak(self, stage: Stage, group: Group) -> float:
        """Return the peak learning rate of a part of the model in a stage."""
        default = RATES[stage.stage][group] if self.lora is None else LORA_RATE
        return stage.rates.get(group, default)

    def rates(self, step: int) -> dict[Group, float]:
        """Return the learning rate of every group at a step: linear warm-up, then half a cosine to a tenth."""
        stage, done = self.at(step)
        total = self.steps(stage)
        found: dict[Group, float] = {}
        for group in GROUPS:
            default = min(WARMUP[stage.stage][group], math.ceil(_WARM_SHARE * total))
            warmup = stage.warmup.get(group, default)
            warm = min(1.0, (done + 1) / max(warmup, 1))
            along = min(1.0, max(0.0, (done - warmup) / max(total - warmup, 1)))
            wave = _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * along))
            found[group] = self.peak(stage, group) * warm * wave
        return found
