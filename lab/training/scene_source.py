"""Rendered scenes as a source of a tuning run, and their entry in a run file."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Discriminator, Tag

from lab.training.lesson import Lesson
from lab.training.views import SceneViews
from molmo_point.finetuning.run_settings import NOT_EMPTY, DataEntry, LabelData, Share, TuneSettings
from molmo_point.finetuning.sample import Source, TrainingSample
from molmo_point.finetuning.taught import Taught
from molmo_point.request import Kind

_TRIES = 100


class SceneSource(Source):
    """Scenes with questions from their truth.

    Args:
        folder: Rendered shards.
        short_share: Share of the questions that want a word or a number.

    Raises:
        InputError: The folder holds no complete shard.
    """

    def __init__(self, folder: Path, short_share: float) -> None:
        self.train, self._kept_out = SceneViews(folder), SceneViews(folder, validation=True)
        self._lessons = {"caption": Lesson(captions=True), "point": Lesson(short_share=short_share)}

    def draw(self, stage: str, count: int, rng: np.random.Generator, validation: bool = False) -> TrainingSample | None:
        """Draw a random view, cropped and mirrored for training, with up to ``count`` questions."""
        source, lesson = (self._kept_out if validation else self.train), self._lessons[stage]
        for _ in range(_TRIES):
            view = lesson.draw(source, rng, augment=not validation)
            examples = lesson.ask(view, count, rng)
            if examples:
                return TrainingSample(view.color, examples)
        return None

    def taught(self, stage: str) -> Taught:
        """Return the kinds of questions of the stage's lesson; its words are those of the embedded models."""
        return Taught(kinds=frozenset((Kind.CAPTION,) if stage == "caption" else Kind))

    def report(self) -> list[str]:
        """Count the scenes in a line for a user."""
        return [f"{self.train.shards.folder}: {len(self.train)} rendered scenes"]


class SceneData(DataEntry):
    """Rendered scenes."""

    scenes: str
    """Folder of rendered shards."""
    short_answers: Share = 0.2
    """Share of the questions that want a word or a number."""

    def open(self, run: TuneSettings) -> Source:
        """Open the shards."""
        return SceneSource(Path(self.scenes), self.short_answers)


def _kind_of(entry: Any) -> str:
    named = entry if isinstance(entry, dict) else {}
    return "<scenes>" if isinstance(entry, SceneData) or "scenes" in named else "<rows>"


_Entry = Annotated[
    Annotated[LabelData, Tag("<rows>")] | Annotated[SceneData, Tag("<scenes>")],
    Discriminator(_kind_of),
]


class SceneTuneSettings(TuneSettings):
    """A run on labels, rendered scenes, or both."""

    data: Annotated[tuple[_Entry, ...], NOT_EMPTY]  # type: ignore[assignment]  # pyright: ignore
    """Sources of images and labels."""
