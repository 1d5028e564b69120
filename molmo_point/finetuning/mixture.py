"""Images with questions out of several sources, drawn by weight."""

import numpy as np

from molmo_point.errors import InputError
from molmo_point.finetuning.run_settings import TuneSettings
from molmo_point.finetuning.sample import TrainingSample
from molmo_point.finetuning.taught import Taught


class Mixture:
    """All sources of a run, one for each entry of ``settings.data``; InputError if files are bad, or a stage has no images."""

    def __init__(self, settings: TuneSettings) -> None:
        self.settings = settings
        self.sources = [entry.open(settings) for entry in settings.data]
        for stage in {stage.stage for stage in settings.stages}:
            if not any(self._weights(stage)):
                fix = "add rows with captions" if stage == "caption" else "give an entry of data a weight"
                raise InputError("Every stage must have something to train on", f"nothing to train on in stage {stage}", fix)

    def draw(self, stage: str, rng: np.random.Generator, validation: bool = False) -> TrainingSample | None:
        """Draw an image of one of the sources; None if that source has none, InputError if it is broken."""
        weights = np.array(self._weights(stage))
        chosen = self.sources[int(rng.choice(len(self.sources), p=weights / weights.sum()))]
        return chosen.draw(stage, self.settings.annotations, rng, validation)

    def report(self) -> list[str]:
        """Describe every source in lines for a user."""
        return [line for source in self.sources for line in source.report()]

    def taught(self) -> list[Taught]:
        """Return the content of every source that a stage of the run draws from."""
        stages = {stage.stage for stage in self.settings.stages}
        return [s.taught(stage) for stage in stages for s, weight in zip(self.sources, self._weights(stage)) if weight]

    def _weights(self, stage: str) -> list[float]:
        """Return the weight of every source; a weight of 0 counts as 1 for captions, which are rare."""
        return [
            (entry.weight or float(stage == "caption")) * source.serves(stage)
            for entry, source in zip(self.settings.data, self.sources, strict=True)
        ]
