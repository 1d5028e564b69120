"""`Backend`: the interface of a model, and the registries of model families and URL schemes."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from molmo_point.arrays import ColorArray
from molmo_point.errors import InputError
from molmo_point.patch_features import PatchFeatures
from molmo_point.request import Kind
from molmo_point.results import Completion, PointMode
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration
from molmo_point.trust.training_description import UNDESCRIBED, TrainingDescription

_CHECKPOINTS = Path(__file__).resolve().parent / "checkpoints"


@dataclass(frozen=True)
class Prompt:
    """One prompt, with what it asks for.

    Attributes:
        text: The words for the model, without the frame of a turn.
        kind: The kind of the question.
        words: Words for the object, as `text` has them; empty for free questions.
        asked: Words for the object as the user gave them; empty for free questions, and where nobody tells.
    """

    text: str
    kind: Kind = Kind.ASK
    words: str = ""
    asked: str = ""


@dataclass(frozen=True)
class Limits:
    """Bounds of an answer.

    Attributes:
        max_new_tokens: Most tokens of each answer.
    """

    max_new_tokens: int


@dataclass(frozen=True)
class Growth:
    """An answer as far as it has grown.

    Attributes:
        prompt: Index of the prompt.
        text: The whole text so far; empty while the model still reads.
        finished: Whether the answer is complete or its limit is reached.
        snapshot: Makes the completion so far; it stays valid after the iterator was closed.
        label: The model's own name of its points, where it is known before the text has it; else empty.
        label_is_whole: False if only the beginning of `label` is known.
    """

    prompt: int
    text: str
    finished: bool
    snapshot: Callable[[], Completion]
    label: str = ""
    label_is_whole: bool = True

    @property
    def completion(self) -> Completion:
        """The completion so far; its finish reason is "unfinished" until the answer is complete."""
        return self.snapshot()


@dataclass(frozen=True)
class PointSpread:
    """The distribution of one point.

    Attributes:
        written: x and y as the answer has them.
        modes: Places where the point may be, likeliest first, in pixels.
    """

    written: tuple[str, str]
    modes: tuple[PointMode, ...]


class Backend(ABC):
    """A model as `Pointer` uses it; whatever a backend cannot tell has a default.

    Attributes:
        name: Name that results carry.
        dialect: Name of the pointing syntax of its answers; see `molmo_point.points.dialects`.
        sigma_px: Standard deviation of its points along u and v, in pixels of an image 640 pixels
            wide; NaN when nobody measured it.
        calibration: Calibration of its probabilities; by default they stay as they are.
        training: Description of its training, by which answers outside of it are known; by default nothing is known.
        batches: Whether several prompts of one call are answered together; else the caller asks one by one.
        tells_spread: Whether `spreads` gives the distribution of each point.
    """

    name: str
    dialect: str = "molmo"
    sigma_px: float = math.nan
    calibration: Calibration = UNCALIBRATED
    training: TrainingDescription = UNDESCRIBED
    batches: bool = False
    tells_spread: bool = False

    @abstractmethod
    def answers(self, image: ColorArray, prompts: Sequence[Prompt], limits: Limits) -> Iterator[Growth]:
        """Answer prompts about one image, and yield every growth of every answer.

        The caller stops all answers by closing the iterator. Each answer ends with a growth that is
        finished.

        Args:
            image: (h, w, 3) uint8, RGB.
            prompts: One or more.
            limits: Bounds of each answer.

        Raises:
            InputError: The image or a prompt cannot be used.
        """

    def complete(self, image: ColorArray, prompt: Prompt, limits: Limits) -> Completion:
        """Answer one prompt to its end; arguments and errors as `answers`."""
        last: Growth | None = None
        for last in self.answers(image, (prompt,), limits):  # noqa: B007 (the last one is wanted)
            pass
        assert last is not None
        return last.completion

    def for_words(self, words: str) -> "Backend":
        """Return the model that answers about an object in words: itself by default, one of its layers if it has several."""
        return self

    def image_features(self, image: ColorArray) -> PatchFeatures | None:
        """Return the vision features of an image (h, w, 3) uint8 RGB; None by default, if the backend does not tell them.

        Raises:
            InputError: The image cannot be used.
        """
        return None

    def spreads(self, image: ColorArray, prompt: Prompt, completion: Completion) -> tuple[PointSpread, ...]:
        """Tell the distribution of each point of a completion; nothing by default.

        Args:
            image: The image that was asked about.
            prompt: The prompt.
            completion: The answer.

        Returns:
            One for each pair of coordinates in the order of the text; empty where the tokenizer
            joins digits.
        """
        return ()


class WholeAnswerBackend(Backend):
    """A model that gives each answer as a whole: implement `answer`."""

    @abstractmethod
    def answer(self, image: ColorArray, prompt: Prompt, limits: Limits) -> Completion:
        """Answer one prompt; arguments and errors as `answers`."""

    def answers(self, image: ColorArray, prompts: Sequence[Prompt], limits: Limits) -> Iterator[Growth]:
        """Answer prompts one after another, each with a single growth."""
        for index, prompt in enumerate(prompts):
            completion = self.answer(image, prompt, limits)
            yield Growth(index, completion.text, True, lambda completion=completion: completion)


@dataclass(frozen=True)
class Family:
    """A family of models that this package loads.

    Attributes:
        loader: "module:function" that takes a `molmo_point.model.load.CheckpointSource`.
        description: One line for listings.
        dialect: Name of the pointing syntax of its answers.
    """

    loader: str
    description: str
    dialect: str


FAMILIES: dict[str, Family] = {
    "molmo": Family("molmo_point.model.molmo_backend:load_molmo", "Molmo v1, released and embedded", "molmo"),
    "read_out": Family(
        "molmo_point.model.read_out.read_out_backend:load_read_out_backend", "names read out of image features", "molmo"
    ),
    "molmo2": Family("molmo_point.model.molmo2.molmo2_backend:load_molmo2_backend", "Molmo2, through transformers", "molmo2"),
}
"""Model families by the `model_type` of their `config.json`."""

SCHEMES: dict[str, str] = {}
"""URL schemes of models that run elsewhere: "module:function" that takes the URL and keyword options."""


NO_MODEL = "none"
"""Name of a model that knows only taught objects."""


def open_backend(source: str | Path, *, taught: str | Path | Sequence[str | Path] | None = None, **options: Any) -> Backend:
    """Open a model by one string: an embedded name, a folder, a Hugging Face id, or a URL.

    Args:
        source: The model; with taught objects also "none", which knows nothing else.
        taught: Library files of taught objects, which answer about those; None goes without.
        options: Settings of its loader; see `Pointer.from_pretrained`.

    Raises:
        InputError: The source is none of these, a library cannot be used, or an option has an impossible value.
        CheckpointError: The checkpoint cannot be used.
        DependencyError: The model's dependencies are not installed.
    """
    if taught is not None:
        open_taught = resolve("molmo_point.model.taught.layered_backend:open_taught")
        return open_taught(taught, None if source == NO_MODEL else lambda: open_backend(source, **options))
    scheme, separator, _ = str(source).partition("://")
    if separator and isinstance(source, str):
        if scheme not in SCHEMES:
            known = ", ".join(f"{name}://" for name in sorted(SCHEMES)) or "none is installed"
            fix = f"use a folder, a Hugging Face id, an embedded checkpoint, or a known scheme ({known})"
            raise InputError("model must have a URL of a known scheme", repr(source), fix)
        return resolve(SCHEMES[scheme])(source, **options)
    load = resolve("molmo_point.model:load_backend")
    return load(resolve_checkpoint(source), **options)


def resolve(place: str) -> Any:
    """Import what "module:name" names."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def available_checkpoints() -> tuple[str, ...]:
    """List the names of the checkpoints that are embedded in this package."""
    return tuple(sorted(path.parent.name for path in _CHECKPOINTS.glob("*/config.json")))


def resolve_checkpoint(name_or_folder: str | Path) -> str | Path:
    """Turn an embedded name or a folder into its path; a Hugging Face id stays as it is.

    Raises:
        InputError: The source is none of these.
    """
    name = str(name_or_folder)
    if name in available_checkpoints():
        return _CHECKPOINTS / name
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        return folder
    parts = name.split("/")
    looks_like_id = len(parts) == 2 and all(parts) and not name.startswith((".", "~")) and "\\" not in name
    if isinstance(name_or_folder, str) and looks_like_id:
        return name
    raise InputError(
        "model must be an embedded checkpoint, an existing folder, or a Hugging Face id",
        repr(name),
        f"use an embedded one ({', '.join(available_checkpoints()) or 'none is installed'}), the path of an "
        "existing folder, or an id such as 'allenai/Molmo-7B-D-0924'",
    )
