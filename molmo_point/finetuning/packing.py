"""Several questions about one image in one sequence, each blind to the others.

Image and BOS belong to segment 10000, question k to segment k (from 1). A token sees earlier tokens of segments at least
its own; positions of every question start again right after the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from molmo_point.finetuning.sample import TrainingExample
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import image_token_ids
from molmo_point.points.dialects.prompts import user_turn

IMAGE_SEGMENT = 10_000


@dataclass(frozen=True)
class PackedRow:
    """One image with its questions; all arrays (length,).

    Attributes:
        input_ids: Token ids.
        segments: 10000 for BOS and image, k for question k.
        position_ids: Positions, restarting for every question.
        labels: Next token to predict at each place, −100 without loss.
        weights: Loss weight at each place, 0 without loss.
    """

    input_ids: np.ndarray
    segments: np.ndarray
    position_ids: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


def pack_examples(processor: MolmoProcessor, tiling: tuple[int, int], examples: Sequence[TrainingExample]) -> PackedRow:
    """Pack the questions about one image, whose crop tiling is (rows, columns), or (0, 0) for the overview alone."""
    image = image_token_ids(tiling, processor.layout, processor.image_ids)
    ids = [processor.eos_id, *image.tolist()]
    start = len(ids)
    segments, positions = [IMAGE_SEGMENT] * start, list(range(start))
    targets = [-100] * start
    weight = 1.0 / np.sqrt(max(len(examples), 1))
    for number, example in enumerate(examples, start=1):
        prompt = processor.encode_text(user_turn(example.prompt))
        answer = processor.encode_text(f" {example.answer}")
        ids += [*prompt, *answer]
        # The place before a token predicts it: hence the −1, and EOS as the last target.
        targets += [-100] * (len(prompt) - 1) + [*answer, processor.eos_id]
        # The official collator feeds the end token, too, except after the last question: nothing with a
        # loss sees it.
        end = int(number < len(examples))
        ids += [processor.eos_id] * end
        targets += [-100] * end
        segments += [number] * (len(prompt) + len(answer) + end)
        positions += list(range(start, start + len(prompt) + len(answer) + end))
    labels = np.array(targets)
    weights = np.where(labels >= 0, weight, 0.0).astype(np.float32)
    return PackedRow(np.array(ids), np.array(segments), np.array(positions), labels, weights)


def segment_mask(segments: torch.Tensor) -> torch.Tensor:
    """Return the attention (batch, 1, length, length) bool allowed between places of segments (batch, length); 0 is padding."""
    length = segments.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    return (causal & (segments[:, :, None] <= segments[:, None, :]))[:, None]


def stacked_rows(rows: Sequence[PackedRow], pad_id: int) -> dict[str, torch.Tensor]:
    """Stack rows into tensors (batch, length), padded on the right, by the name of the array."""
    length = max(len(row.input_ids) for row in rows)

    def stack(arrays: list[np.ndarray], fill: float) -> torch.Tensor:
        out = np.full((len(rows), length), fill, arrays[0].dtype)
        for k, array in enumerate(arrays):
            out[k, : len(array)] = array
        return torch.from_numpy(out)

    fills = {"input_ids": pad_id, "segments": 0, "position_ids": 0, "labels": -100, "weights": 0.0}
    return {name: stack([getattr(row, name) for row in rows], fill) for name, fill in fills.items()}
