"""A model that writes what it is told, and a frame to ask it about."""

from collections.abc import Callable

import numpy as np

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.results import Completion

CAMERA = Intrinsics(640, 480, 600.0, 600.0, 319.5, 239.5)
DEPTH = np.full((480, 640), 0.6, np.float32)
DEPTH[:100, :100] = np.nan
FRAME = RgbdFrame(np.zeros((480, 640, 3), np.uint8), DEPTH, CAMERA, stamp_ns=77)
MUG = ' <point x="50.0" y="50.0" alt="mug">mug</point>'
TWO = ' <points x1="5.0" y1="5.0" x2="50.0" y2="50.0" alt="mugs">mugs</points>'


class Scripted:
    """Writes a given text, character by character."""

    name = "scripted"

    def __init__(self, text: str, finish_reason: str = "stop", probability: float | None = None) -> None:
        self.text, self.finish_reason, self.probability = text, finish_reason, probability
        self.calls: list[dict] = []

    def generate(
        self,
        image: np.ndarray,
        prompt: str,
        *,
        max_new_tokens: int,
        should_stop: Callable[[], bool] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        self.calls.append({"image": image, "prompt": prompt, "max_new_tokens": max_new_tokens})
        for end in range(1, len(self.text) + 1):
            if should_stop is not None and should_stop():
                return Completion(self.text[: end - 1], end - 1, "cancelled", {})
            if on_text is not None:
                on_text(self.text[:end])
        known = self.probability is not None
        return Completion(
            self.text,
            len(self.text),
            self.finish_reason,
            {"prefill": 12.0},
            tuple(self.text) if known else (),
            tuple(self.probability if c.isdigit() else 0.1 for c in self.text) if known else (),
        )
