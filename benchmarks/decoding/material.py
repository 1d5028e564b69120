"""Material of the benchmark: a frame, its questions, and scripts of answers with many points."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.backend import Prompt
from molmo_point.evaluation.tabletop import FIRST_SEED
from molmo_point.points.dialects import dialect_of
from molmo_point.points.dialects.written import format_points
from molmo_point.request import Kind, PointRequest

COUNTS = (1, 5, 10, 20, 40)
QUERY_COUNTS = (1, 2, 4, 8, 16)
MOTIONS_PERCENT = (0.0, 0.05, 0.3)
_LABEL = "red mugs"


@dataclass(frozen=True)
class Material:
    """A frame and what is asked about it.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        scene: Where it comes from, in words.
        prompts: Questions for one object each, the first ones about visible objects.
        counting: A question for a number.
    """

    image: np.ndarray
    scene: str
    prompts: tuple[Prompt, ...]
    counting: Prompt


@dataclass(frozen=True)
class Scripted:
    """An answer that an oracle gives.

    Attributes:
        count: Points.
        prompt: The question.
        tokens: The answer's tokens.
        before: Texts of earlier answers to the same question, one for each of `MOTIONS_PERCENT`.
    """

    count: int
    prompt: Prompt
    tokens: tuple[int, ...]
    before: tuple[str, ...]


def material(size_wh: tuple[int, int] | None = None, seed: int = FIRST_SEED) -> Material:
    """A simulated table; a drawn picture where there is no simulator.

    Args:
        size_wh: Stretches the picture to this size in pixels; None leaves it as rendered.
        seed: Of the scene.
    """
    try:
        from molmo_point.sim.tabletop.objects import COLORS, SHAPES
        from molmo_point.sim.tabletop.scene import TabletopScene

        with TabletopScene.random(seed) as scene:
            image, names, where = scene.render_color(), [item.name for item in scene.objects], f"simulated table {seed}"
        names = list(dict.fromkeys([*names, *(f"{color} {shape}" for color in COLORS for shape in SHAPES)]))
        kind = f"{next(iter(SHAPES))}s"
    except ImportError:
        rows, columns = np.mgrid[:480, :640]
        image = np.stack([rows % 256, columns % 256, (rows * columns // 64) % 256], -1).astype(np.uint8)
        names, kind, where = [f"red mug {i}" for i in range(max(QUERY_COUNTS))], "mugs", "drawn picture (no simulator here)"
    if size_wh is not None:
        image = _stretched(image, size_wh)
    prompts = tuple(pointing(name) for name in names[: max(QUERY_COUNTS)])
    return Material(image, f"{where}, {image.shape[1]}x{image.shape[0]}", prompts, counting(kind))


def pointing(words: str) -> Prompt:
    """Ask for points, as Molmo v1 is asked."""
    return dialect_of("molmo").prompt(PointRequest(words))


def counting(words: str) -> Prompt:
    """Ask for a count, as Molmo v1 is asked."""
    return dialect_of("molmo").prompt(PointRequest(words, Kind.COUNT))


def scripted_answers(encode: Callable[[str], Sequence[int]], counts: Sequence[int] = COUNTS, seed: int = 0) -> list[Scripted]:
    """Answers with random points as a model that echoes the label writes them.

    Args:
        encode: Text to token ids.
        counts: Points of each.
        seed: Of the points.
    """
    rng = np.random.default_rng(seed)
    found = []
    for count in counts:
        points = rng.uniform(0.5, 99.5, (count, 2))
        points = points[np.argsort(points[:, 0] * 10_000 + points[:, 1])]
        moved = [np.clip(points + rng.normal(0, sigma, points.shape), 0, 100) for sigma in MOTIONS_PERCENT]
        texts = [" " + format_points(each.tolist(), _LABEL) for each in (points, *moved)]
        found.append(Scripted(count, pointing(_LABEL), tuple(encode(texts[0])), tuple(texts[1:])))
    return found


def one_point_script(encode: Any, prompt: Prompt, seed: int) -> tuple[int, ...]:
    """Tokens of an answer with one point to a pointing prompt."""
    x, y = np.random.default_rng(seed).uniform(0.5, 99.5, 2)
    return tuple(encode(" " + format_points([(float(x), float(y))], prompt.words.lower())))


def _stretched(image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    rows = np.arange(size_wh[1]) * image.shape[0] // size_wh[1]
    columns = np.arange(size_wh[0]) * image.shape[1] // size_wh[0]
    return np.ascontiguousarray(image[rows][:, columns])
