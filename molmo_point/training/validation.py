"""Quick check during training: greedy answers on views as rendered, no augmentation."""

import numpy as np
import torch

from molmo_point.model.generate import greedy
from molmo_point.model.molmo import MolmoForCausalLM
from molmo_point.model.processing import MolmoProcessor
from molmo_point.points.parse import parse_answer
from molmo_point.training.dataset import SceneShards
from molmo_point.training.queries import draw_examples

_SEED = 96817


def hit_rate(model: MolmoForCausalLM, processor: MolmoProcessor, shards: SceneShards, count: int) -> dict[str, float]:
    """Share of single things hit, of counts and absences right, over ``count`` questions.

    Returns:
        ``hit_rate`` (point on a visible pixel of the object), ``median_error_percent`` (distance
        to the centroid, per cent of the image width), ``count_exact``, ``absent``; NaN where no
        such question was drawn.
    """
    rng = np.random.default_rng(_SEED)
    hits: list[bool] = []
    errors: list[float] = []
    counts: list[bool] = []
    absences: list[bool] = []
    model.eval()
    for _ in range(count):
        sample = shards.draw(rng, augment=False)
        size_wh = (sample.color.shape[1], sample.color.shape[0])
        for example in draw_examples(sample.objects, 1, rng):
            with torch.inference_mode():
                inputs = processor(sample.color, example.prompt)
                text = processor.decode(greedy(model, inputs, processor.eos_id, 160).token_ids)
            answer = parse_answer(text, size_wh)
            if not example.targets:
                absences.append(answer.absent)
            elif example.answer.startswith("Counting"):
                counts.append(len(answer.points) == len(example.targets))
            elif len(example.targets) == 1:
                thing = sample.objects[example.targets[0]]
                centre = np.array([thing.x_percent, thing.y_percent]) / 100 * size_wh - 0.5
                point = answer.points[0] if answer.points else None
                error = np.hypot(point.u - centre[0], point.v - centre[1]) if point else np.inf
                errors.append(float(error / size_wh[0] * 100))
                hits.append(bool(point and _on_object(point.u, point.v, sample.mask, example.targets[0])))
    model.train()
    return {
        "hit_rate": _mean(hits),
        "median_error_percent": round(float(np.median(errors)), 2) if errors else float("nan"),
        "count_exact": _mean(counts),
        "absent": _mean(absences),
    }


def _on_object(u: float, v: float, mask: np.ndarray, index: int) -> bool:
    row = int(np.clip(round(v), 0, mask.shape[0] - 1))
    column = int(np.clip(round(u), 0, mask.shape[1] - 1))
    return bool(mask[row, column] == index)


def _mean(values: list[bool]) -> float:
    return round(float(np.mean(values)), 3) if values else float("nan")
