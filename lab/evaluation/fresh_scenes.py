"""Fresh household scenes with questions, for measuring: tables, lights, cameras and objects that training never shows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.household.arrangement import MAX_OBJECTS
from lab.household.arranging import random_arrangement
from lab.household.scene_set import household_assets
from lab.household.stage import Stage
from lab.household.truth import scene_truth, thing_words
from lab.training.questions import TOPICS, Vocabulary, draw_questions
from lab.training.referring import SeenObject
from lab.training.shards import seen_objects
from molmo_point.frame import RgbdFrame

FIRST_SEED = 500
"""Seed of the evaluation's scenes; `lab.household.scene_set` draws from other generators."""
UNSEEN = "_unseen"
"""End of the kind of a question by name, about an object of a known name that training did not show."""
_UNSEEN_SHARE = 0.2


@dataclass(frozen=True)
class FreshQuestion:
    """One question about one fresh scene.

    Attributes:
        frame: The picture, without depth.
        mask: (h, w) instance mask, −1 for none.
        kind: One of `TOPICS`, ``"unseen"``, or a topic that ends in `UNSEEN`.
        phrase: Words for the wanted objects.
        targets: Indices in the mask of all objects that fit.
        middles_px: (targets, 2) places to point at, pixels.
        scene: Number of the scene.
    """

    frame: RgbdFrame
    mask: np.ndarray
    kind: str
    phrase: str
    targets: tuple[int, ...]
    middles_px: np.ndarray
    scene: int


def fresh_questions(
    scenes: int, seed: int = FIRST_SEED, questions: int = 4, size_wh: tuple[int, int] = (640, 480), pack: Path | None = None
) -> Iterator[FreshQuestion]:
    """Render scenes one by one and ask about each.

    Args:
        scenes: Number of scenes.
        seed: Seed of all of them; scene k does not depend on their number.
        questions: Largest number of questions about one scene.
        size_wh: Size of the pictures.
        pack: Asset pack; None takes the default one.

    Raises:
        DependencyError: MuJoCo is not installed or cannot render.
    """
    assets = household_assets(pack)
    words = {asset.key: thing_words(asset) for asset in assets}
    nouns = sorted({noun for row in words.values() if not row["held_out"] for noun in row["nouns"]})
    vocabulary = Vocabulary(tuple(nouns), topics={**TOPICS, "unseen": _UNSEEN_SHARE})
    width, height = size_wh
    with Stage(assets, width, height) as stage:
        for scene in range(scenes):
            rng = np.random.default_rng([seed, scene])
            arrangement = random_arrangement(rng, assets, True, int(rng.integers(1, MAX_OBJECTS + 1)), width / height)
            stage.show(arrangement)
            mask = stage.render_masks()
            frame = RgbdFrame(stage.render_color(), None, None, stamp_ns=scene)
            objects = seen_objects(mask, scene_truth(arrangement, stage, mask), words)
            for question in draw_questions(objects, questions, rng, vocabulary):
                middles = np.array([objects[k].percent for k in question.targets]).reshape(-1, 2) / 100 * size_wh - 0.5
                kind = _kind(question.topic, [objects[k] for k in question.targets])
                yield FreshQuestion(frame, mask, kind, question.phrase, question.targets, middles, scene)


def _kind(topic: str, targets: list[SeenObject]) -> str:
    hidden = topic in ("name", "color_name") and any(seen.held_out for seen in targets)
    return topic + UNSEEN if hidden else topic
