"""Scores on images kept out of training: the loss of the answers, and answers of the model's own."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch

from molmo_point.arrays import FloatArray
from molmo_point.backend import Backend, Limits, Prompt
from molmo_point.finetuning.packed_batch import packed_image, summed_loss
from molmo_point.finetuning.sample import AnswerKind, TrainingExample, TrainingSample
from molmo_point.finetuning.trained_model import TrainedModel
from molmo_point.points.parse import parse_answer

ANSWER_COLUMNS = ("points_f1", "count", "absent", "short")
VALID_COLUMN = "valid_token"
NEAR_SHARE = 0.05
"""A point is right within this share of the image's diagonal: labels are points, not outlines."""
_MOST_IN_A_COLUMN = 24
_SHORT_LETTERS = 20
_MAX_TOKENS = 400
_COLUMNS = {AnswerKind.POINTS: "points_f1", AnswerKind.COUNT: "count", AnswerKind.ABSENT: "absent"}


@torch.no_grad()
def validation_loss(trained: TrainedModel, samples: Sequence[TrainingSample], max_tokens: int) -> float:
    """Return the mean loss of the answers, without z-loss; NaN without images."""
    loss, weight = 0.0, 0.0
    trained.model.eval()
    for sample in samples:
        packed = packed_image(trained.processor, sample.pixels, sample.examples, max_tokens)
        if packed is not None:
            with trained.precision():
                loss += float(summed_loss(trained.model, [packed], trained.processor.eos_id, 0.0, trained.device))
            weight += packed.weight
    return round(loss / weight, 4) if weight else float("nan")


def answer_column(example: TrainingExample) -> str | None:
    """Return the column that the score of an answer belongs to; None for answers that are not scored."""
    if example.kind is AnswerKind.TEXT:
        return "short" if len(example.answer) <= _SHORT_LETTERS else None
    return _COLUMNS.get(example.kind)


def answer_scores(
    backend: Backend,
    samples: Iterable[TrainingSample],
    columns: Sequence[str] = ANSWER_COLUMNS,
    column_of: Callable[[TrainingExample], str | None] = answer_column,
    most: int = _MOST_IN_A_COLUMN,
) -> dict[str, float]:
    """Score greedy answers, at most ``most`` in each column; ``column_of`` gives None for a question that does not count.

    Returns:
        The mean score of every column; NaN if no such question was asked. Points score their F1: a point is right within
        `NEAR_SHARE` of the diagonal of a labeled point that no other has taken. All other scores are shares of right answers.
    """
    scores: dict[str, list[float]] = {name: [] for name in columns}
    for sample in samples:
        for example in sample.examples:
            name = column_of(example)
            if name is not None and len(scores[name]) < most:
                text = backend.complete(sample.pixels, Prompt(example.prompt), Limits(_MAX_TOKENS)).text
                scores[name].append(answer_score(text, example, sample.pixels.shape[:2]))
    return {name: round(float(np.mean(values)), 3) if values else float("nan") for name, values in scores.items()}


def answer_score(text: str, example: TrainingExample, size_hw: tuple[int, ...]) -> float:
    """Score one answer by the kind of the labeled answer, from 0 to 1; see `answer_scores`."""
    if example.kind is AnswerKind.TEXT:
        return float(_bare(text) == _bare(example.answer))
    height, width = size_hw
    answer = parse_answer(text, (width, height))
    if example.kind is AnswerKind.ABSENT:
        return float(answer.absent)
    truth = np.array(example.percent or (), np.float64).reshape(-1, 2)
    if example.kind is AnswerKind.COUNT:
        return float(len(answer.points) == len(truth))
    found = np.array([(point.u, point.v) for point in answer.points], np.float64).reshape(-1, 2)
    return points_f1(found, truth / 100 * (width, height) - 0.5, NEAR_SHARE * float(np.hypot(width, height)))


def points_f1(found: FloatArray, truth: FloatArray, near: float) -> float:
    """Return the F1 of points, each matched to the nearest one that is still free; all (n, 2) in one unit."""
    if not len(found) or not len(truth):
        return float(len(found) == len(truth))
    distance = np.linalg.norm(found[:, None] - truth[None], axis=-1)
    hits = 0
    for flat in np.argsort(distance, axis=None):
        i, j = np.unravel_index(flat, distance.shape)
        if np.isinf(distance[i, j]):  # either was taken
            continue
        if distance[i, j] > near:
            break
        hits += 1
        distance[i], distance[:, j] = np.inf, np.inf
    return 2 * hits / (len(found) + len(truth))


def _bare(text: str) -> str:
    return text.strip().rstrip(".").lower()
