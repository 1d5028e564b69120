"""Quick checks during training from nothing, on views that training leaves out."""

import itertools
from collections.abc import Iterator

import numpy as np
import torch

from lab.training.batches import draw_batch
from lab.training.lesson import POINTING
from lab.training.losses import AuxiliaryHeads
from lab.training.questions import TOPICS, Question
from lab.training.views import ViewSource
from molmo_point.finetuning.checks import answer_scores
from molmo_point.finetuning.sample import TrainingExample, TrainingSample
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.molmo_backend import MolmoBackend

_SEED = 96817
_MOST_OF_A_TOPIC = 16
_VIEWS = 8 * _MOST_OF_A_TOPIC
SEEING_COLUMNS = ("see_color", "see_shape", "see_noun", "see_category")
TOPIC_COLUMNS = tuple(TOPICS)


@torch.inference_mode()
def seeing_scores(
    model: MolmoForCausalLM,
    heads: AuxiliaryHeads,
    source: ViewSource,
    processor: MolmoProcessor,
    places: np.ndarray,
    count: int = 64,
) -> dict[str, float]:
    """Return the share of filled image tokens with a right class, ``see_…`` for each read-out."""
    torch_state = torch.get_rng_state()
    batch = draw_batch(source, processor, places, count, 1, np.random.default_rng(_SEED))
    torch.set_rng_state(torch_state)
    backbone = model.model.vision_backbone
    features = backbone.encode(batch.images.flatten(0, 1), batch.image_masks.flatten(0, 1))
    right = heads.right(backbone.image_projector(backbone.pool(features)), batch.token_cells.classes, batch.token_cells.filled)
    return {f"see_{name}": score for name, score in zip(source.classes, right, strict=True)}


def topic_scores(
    model: MolmoForCausalLM, processor: MolmoProcessor, source: ViewSource, most: int = _MOST_OF_A_TOPIC
) -> dict[str, float]:
    """Return the scores of greedy answers by topic of the question; see `molmo_point.finetuning.checks.answer_scores`."""
    backend = MolmoBackend(model.eval(), processor, "trained")
    scores = answer_scores(backend, itertools.islice(_samples(source), _VIEWS), TOPIC_COLUMNS, _topic, most)
    model.train()
    return scores


def _samples(source: ViewSource) -> Iterator[TrainingSample]:
    rng = np.random.default_rng(_SEED)
    while True:
        view = source.draw(rng, augment=False)
        yield TrainingSample(view.color, POINTING.ask(view, 4, rng))


def _topic(example: TrainingExample) -> str | None:
    return example.topic if isinstance(example, Question) else None
