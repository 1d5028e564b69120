"""Quick checks during training, on views that training leaves out: what the vision tells, and greedy answers."""

import numpy as np
import torch

from lab.training.batches import draw_batch
from lab.training.losses import AuxiliaryHeads
from lab.training.sources import Source, View
from molmo_point.finetuning.queries import Example
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.decoding.greedy import greedy_to_end
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.points.parse import ParsedAnswer, parse_answer

_SEED = 96817
_MAX_TOKENS = 260
_KINDS = ("name", "colour_name", "category", "relation", "superlative", "count", "absent")
SEEING_COLUMNS = ("see_color", "see_shape", "see_noun", "see_category")
ANSWER_COLUMNS = (*_KINDS, "count_within_one", "median_error_percent")


@torch.inference_mode()
def seeing_scores(
    model: MolmoForCausalLM,
    heads: AuxiliaryHeads,
    source: Source,
    processor: MolmoProcessor,
    places: np.ndarray,
    count: int = 64,
) -> dict[str, float]:
    """Share of filled image tokens whose read-outs say what the object there is, ``see_…`` each."""
    torch_state = torch.get_rng_state()
    batch = draw_batch(source, processor, places, count, 1, np.random.default_rng(_SEED))
    torch.set_rng_state(torch_state)
    backbone = model.model.vision_backbone
    vectors = backbone.image_projector(
        backbone.pool(backbone.encode(batch.images.flatten(0, 1), batch.image_masks.flatten(0, 1)))
    )
    return {
        f"see_{name}": score
        for name, score in zip(source.classes, heads.right(vectors, batch.token_cells.classes, batch.token_cells.filled))
    }


def answer_scores(model: MolmoForCausalLM, processor: MolmoProcessor, source: Source, each: int = 16) -> dict[str, float]:
    """How greedy answers do, by kind of question, on ``each`` questions of every kind.

    Returns:
        For every kind the share that is right: the first point lies on a thing that was asked for; the
        number of points is right (``count``; also ``count_within_one``); nothing is claimed where there is
        nothing (``absent``). ``median_error_percent``: distance to where a single thing should be pointed
        at, per cent of the image width. NaN where no such question was drawn.
    """
    rng = np.random.default_rng(_SEED)
    right: dict[str, list[bool]] = {kind: [] for kind in (*_KINDS, "count_within_one")}
    errors: list[float] = []
    model.eval()
    for _ in range(8 * each):
        view = source.draw(rng, augment=False)
        for example in source.ask(view, 4, rng):
            kind = kind_of(example)
            if len(right[kind]) < each:
                answer = _answer(model, processor, view, example)
                right[kind].append(is_right(answer, view, example))
                if kind == "count":
                    right["count_within_one"].append(abs(len(answer.points) - len(example.targets)) <= 1)
                elif len(example.targets) == 1:
                    errors.append(_error_percent(answer, view, example.targets[0]))
    model.train()
    scores = {kind: round(float(np.mean(values)), 3) if values else float("nan") for kind, values in right.items()}
    return scores | {"median_error_percent": round(float(np.median(errors)), 2) if errors else float("nan")}


def kind_of(example: Example) -> str:
    """What kind of question it is; those that do not say are told from their answer."""
    kind = getattr(example, "kind", None)
    if kind is not None:
        return str(kind)
    return "absent" if not example.targets else "count" if example.answer.startswith("Counting") else "name"


def is_right(answer: ParsedAnswer, view: View, example: Example) -> bool:
    """Whether the answer says that there is nothing, how many there are, or points first at a thing asked for."""
    if not example.targets:
        return answer.absent
    if example.answer.startswith("Counting"):
        return len(answer.points) == len(example.targets)
    if not answer.points:
        return False
    height, width = view.mask.shape
    point = answer.points[0]
    row, column = int(np.clip(round(point.v), 0, height - 1)), int(np.clip(round(point.u), 0, width - 1))
    return int(view.mask[row, column]) in example.targets


def _answer(model: MolmoForCausalLM, processor: MolmoProcessor, view: View, example: Example) -> ParsedAnswer:
    with torch.inference_mode():
        inputs = processor(view.color, example.prompt)
        text = processor.decode(greedy_to_end(model, inputs, processor.eos_id, _MAX_TOKENS).token_ids)
    height, width = view.mask.shape
    return parse_answer(text, (width, height))


def _error_percent(answer: ParsedAnswer, view: View, target: int) -> float:
    if not answer.points:
        return float("inf")
    height, width = view.mask.shape
    middle = view.xy[target] * (width, height) - 0.5
    point = answer.points[0]
    return float(np.hypot(point.u - middle[0], point.v - middle[1]) / width * 100)
