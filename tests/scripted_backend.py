"""A model that writes what it is told, and a frame to ask it about."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from molmo_point.backend import Backend, Growth, Limits, Prompt
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.results import Completion

CAMERA = Intrinsics(640, 480, 600.0, 600.0, 319.5, 239.5)
DEPTH = np.full((480, 640), 0.6, np.float32)
DEPTH[:100, :100] = np.nan
COLOR = np.random.default_rng(3).integers(20, 230, (30, 40, 3), np.uint8).repeat(16, 0).repeat(16, 1)
"""A picture of squares, in which a model could see."""
FRAME = RgbdFrame(COLOR, DEPTH, CAMERA, stamp_ns=77)
MUG = ' <point x="50.0" y="50.0" alt="mug">mug</point>'
TWO = ' <points x1="5.0" y1="5.0" x2="50.0" y2="50.0" alt="mugs">mugs</points>'


class Scripted(Backend):
    """A model that writes a given text, character by character."""

    name = "scripted"

    def __init__(self, text: str, finish_reason: str = "stop", probability: float | None = None) -> None:
        self.text, self.finish_reason, self.probability = text, finish_reason, probability
        self.calls: list[dict] = []

    def answers(self, image: np.ndarray, prompts: Sequence[Prompt], limits: Limits) -> Iterator[Growth]:
        for index, prompt in enumerate(prompts):
            self.calls.append({"image": image, "prompt": prompt.text, "max_new_tokens": limits.max_new_tokens})
            for end in range(1, len(self.text)):
                yield Growth(index, self.text[:end], False, partial(self._completion, end, "unfinished"))
            yield Growth(index, self.text, True, partial(self._completion, len(self.text), self.finish_reason))

    def _completion(self, end: int, finish_reason: str) -> Completion:
        text, known = self.text[:end], self.probability is not None
        return Completion(
            text,
            end,
            finish_reason,
            {"prefill": 12.0},
            tuple(text) if known else (),
            tuple(self.probability if c.isdigit() else 0.1 for c in text) if known else (),
        )
