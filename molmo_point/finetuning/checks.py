"""What a tuning run measures on images kept out of it: the loss of the answers, and answers of its own."""

from collections.abc import Sequence

import numpy as np
import torch

from molmo_point.backend import Backend, Limits, Prompt
from molmo_point.finetuning.labels.wording import LabelledExample
from molmo_point.finetuning.packed_batch import packed_image, summed_loss
from molmo_point.finetuning.sample import Asked
from molmo_point.finetuning.trained_model import TrainedModel
from molmo_point.points.parse import parse_answer

ANSWER_COLUMNS = ("points_f1", "count", "absent", "short")
VALID_COLUMN = "valid_token"
NEAR_SHARE = 0.05
"""A point is right within this share of the image's diagonal: labels are points, not outlines."""
_MOST_OF_A_KIND = 24
_SHORT_LETTERS = 20
_MAX_TOKENS = 400


@torch.no_grad()
def validation_loss(model: TrainedModel, asked: Sequence[Asked], max_tokens: int) -> float:
    """Mean loss of the answers, without z-loss; NaN without images."""
    loss, weight = 0.0, 0.0
    model.model.eval()
    for one in asked:
        packed = packed_image(model.processor, one.pixels, one.examples, max_tokens)
        if packed is not None:
            with model.precision():
                loss += float(summed_loss(model.model, [packed], model.processor.eos_id, 0.0, model.device))
            weight += packed.weight
    return round(loss / weight, 4) if weight else float("nan")


def answer_scores(backend: Backend, asked: Sequence[Asked]) -> dict[str, float]:
    """How greedy answers do, on up to 24 questions of a kind.

    Args:
        backend: The model.
        asked: Images with questions.

    Returns:
        ``points_f1``: mean F1 of the points of pointing questions, a point being right within `NEAR_SHARE` of the
        image's diagonal of one in the label that no other has taken; ``count``: share of counting questions with as
        many points as the label; ``absent``: share of things that are not there and are said not to be; ``short``:
        share of answers in a word or two that are the label's. NaN where no such question was asked.
    """
    scores: dict[str, list[float]] = {name: [] for name in ANSWER_COLUMNS}
    for one in asked:
        for example in one.examples:
            name = _column(example)
            if name is None or len(scores[name]) >= _MOST_OF_A_KIND:
                continue
            text = backend.complete(one.pixels, Prompt(example.prompt), Limits(_MAX_TOKENS)).text
            scores[name].append(_score(name, text, example, one.pixels.shape[:2]))
    return {name: round(float(np.mean(values)), 3) if values else float("nan") for name, values in scores.items()}


def points_f1(found: np.ndarray, truth: np.ndarray, near: float) -> float:
    """F1 of points, each matched to the nearest one that is still free; all arrays (n, 2) in one unit."""
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


def _column(example: LabelledExample) -> str | None:
    if example.kind == "answer":
        return "short" if len(example.answer) <= _SHORT_LETTERS else None
    return {"points": "points_f1", "count": "count", "absent": "absent"}.get(example.kind)


def _score(name: str, text: str, example: LabelledExample, size: tuple[int, int]) -> float:
    if name == "short":
        return float(_bare(text) == _bare(example.answer))
    height, width = size
    answer = parse_answer(text, (width, height))
    if name == "absent":
        return float(answer.absent)
    truth = np.array(example.percent or (), np.float64).reshape(-1, 2)
    if name == "count":
        return float(len(answer.points) == len(truth))
    found = np.array([(point.u, point.v) for point in answer.points], np.float64).reshape(-1, 2)
    return points_f1(found, truth / 100 * (width, height) - 0.5, NEAR_SHARE * float(np.hypot(width, height)))


def _bare(text: str) -> str:
    return text.strip().rstrip(".").lower()
