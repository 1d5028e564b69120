"""Labeled pictures of bright squares, and a model that finds them, is sure, and is often wrong."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from molmo_point.arrays import ColorArray
from molmo_point.backend import Limits, Prompt, WholeAnswerBackend
from molmo_point.results import Completion

NAMES = ("square", "disc", "star", "ring")
SIZE_WH = (80, 60)


def write_pictures(folder: Path, count: int, first: int = 0) -> Path:
    """Write pictures of one bright square each, and one row for each; its name follows from its brightness."""
    rows = []
    for k in range(first, first + count):
        rng = np.random.default_rng(k)
        pixels = rng.integers(0, 40, (*SIZE_WH[::-1], 3), dtype=np.uint8)
        x, y, name = int(rng.integers(5, 70)), int(rng.integers(5, 50)), k % len(NAMES)
        pixels[y : y + 5, x : x + 5] = 100 + 40 * name
        Image.fromarray(pixels).save(folder / f"{k}.png")
        percent = [(x + 2.5) / SIZE_WH[0] * 100, (y + 2.5) / SIZE_WH[1] * 100]
        rows.append({"image": f"{k}.png", "label": NAMES[name], "points": [percent]})
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class SureModel(WholeAnswerBackend):
    """Points at the square if the name fits; else it denies, or points there nevertheless, a little less sure.

    Args:
        tells: True tells probabilities.
        misled: Share of the questions about absent objects that get a point.
    """

    name = "sure"

    def __init__(self, tells: bool = True, misled: float = 0.5) -> None:
        self._tells, self._misled = tells, misled
        self.asked: list[str] = []

    def answer(self, image: ColorArray, prompt: Prompt, limits: Limits) -> Completion:
        rng = np.random.default_rng([len(self.asked), *image[0, 0].tolist()])
        self.asked.append(prompt.text)
        rows, columns = np.nonzero(image[..., 0] >= 100)
        fits = NAMES[(int(image[rows[0], columns[0], 0]) - 100) // 40] in prompt.text
        if not fits and rng.random() >= self._misled:
            return self._completion(" There are none.", 0.9, 0.8)
        x, y = (columns.mean() + 0.5) / SIZE_WH[0] * 100, (rows.mean() + 0.5) / SIZE_WH[1] * 100
        text = f' <point x="{x:.1f}" y="{y:.1f}" alt="it">it</point>'
        return self._completion(text, 0.99 if fits else 0.97, 0.1 if fits else 0.3)

    def _completion(self, text: str, probability: float, absent: float) -> Completion:
        if not self._tells:
            return Completion(text, len(text), "stop")
        return Completion(text, len(text), "stop", {}, tuple(text), (probability,) * len(text), (), absent)
