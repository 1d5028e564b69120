"""Comparison of every token with plain greedy decoding, scene after scene."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.decoding.material import counting, pointing
from molmo_point.backend import Prompt
from molmo_point.evaluation.tabletop import FIRST_SEED, absent_name
from molmo_point.sim.tabletop.objects import SHAPES
from molmo_point.sim.tabletop.scene import TabletopScene

_MOST_TOKENS = 200


@dataclass
class Identity:
    """Result of the comparison.

    Attributes:
        scenes: Number of scenes.
        answers: Number of answers, four a scene: an object, then an object, a count and an absent object in one batch.
        different: Number of answers whose tokens are not those of plain greedy decoding.
        points: Number of points in the plain answers.
        passes: Number of our forward passes after the prefills.
        plain_passes: Number of forward passes of plain decoding after the prefills.
        examples: Texts of the first answers that differ, plain and ours.
    """

    scenes: int = 0
    answers: int = 0
    different: int = 0
    points: int = 0
    passes: int = 0
    plain_passes: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


def questions(scene: TabletopScene, rng: np.random.Generator) -> list[Prompt]:
    """Prompts about an object of the scene, a shape to count, and an absent object."""
    return [pointing(scene.objects[0].name), counting(f"{rng.choice(SHAPES)}s"), pointing(absent_name(scene, rng))]


def pictures(scenes: int, first_seed: int = FIRST_SEED) -> Iterator[tuple[np.ndarray, list[Prompt]]]:
    """Images (h, w, 3) uint8 of the evaluation's scenes, each with prompts that fit it."""
    for seed in range(first_seed, first_seed + scenes):
        with TabletopScene.random(seed) as scene:
            yield scene.render_color(), questions(scene, np.random.default_rng(seed))


def compare(subject: Any, scenes: int, first_seed: int = FIRST_SEED) -> Identity:
    """Asks about every scene in the ways that draft, and plainly.

    The first question is asked alone, then all of them in one batch over the same image; answers to
    the same question about earlier scenes are drafted along, as in a camera's stream.

    Args:
        subject: A `Subject` with trained weights.
        scenes: How many.
        first_seed: Seed of the first.
    """
    from benchmarks.decoding.oracle import OracleEngine
    from benchmarks.decoding.paths import engine_answers, generate_answer
    from molmo_point.model.decoding.templates import complete_points

    engine = OracleEngine(subject.model, subject.processor)
    result = Identity()
    for image, prompts in tqdm(pictures(scenes, first_seed), total=scenes, desc="identity", unit="scene"):
        plain = [generate_answer(subject, image, prompt, _MOST_TOKENS) for prompt in prompts]
        alone = engine_answers(engine, image, prompts[:1], _MOST_TOKENS)
        together = engine_answers(engine, image, prompts, _MOST_TOKENS)
        result.scenes += 1
        for theirs, ours in [(plain[0], alone[0]), *zip(plain, together, strict=True)]:
            texts = [subject.processor.decode(list(outcome.token_ids)) for outcome in (theirs, ours)]
            result.answers += 1
            result.points += complete_points(texts[0])
            result.passes += ours.passes
            result.plain_passes += theirs.passes
            if theirs.token_ids != ours.token_ids:
                result.different += 1
                if len(result.examples) < 3:
                    result.examples.append((texts[0], texts[1]))
    return result
