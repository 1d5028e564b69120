"""Images with their questions as tensors, and the loss of the answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from molmo_point.arrays import ColorArray
from molmo_point.finetuning.packing import PackedRow, pack_examples, segment_mask, stacked_rows
from molmo_point.finetuning.sample import TrainingExample
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.inputs.batch import TokenRow, padded_batch
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import PreparedImage, prepare_image


@dataclass(frozen=True)
class PackedImage:
    """One image, and the row of its questions."""

    image: PreparedImage
    row: PackedRow

    @property
    def weight(self) -> float:
        """Sum of the loss weights of its places."""
        return float(self.row.weights.sum())


def packed_image(
    processor: MolmoProcessor, pixels: ColorArray, examples: Sequence[TrainingExample], max_tokens: int
) -> PackedImage | None:
    """Pack an image with as many of the questions as fit; None if not even the first one fits."""
    image = prepare_image(pixels, processor.layout)
    for count in range(len(examples), 0, -1):
        row = pack_examples(processor, image.tiling, examples[:count])
        if len(row.input_ids) <= max_tokens:
            return PackedImage(image, row)
    return None


def summed_loss(
    model: MolmoForCausalLM, packed: Sequence[PackedImage], pad_id: int, z_loss: float, device: torch.device
) -> torch.Tensor:
    """Sum the cross-entropy of the answers with Molmo's weights: each question counts 1/√(questions of its image).

    ``pad_id`` is the token of padding, ``z_loss`` the weight of the squared log of the softmax's normalizer.
    """
    rows = {name: tensor.to(device) for name, tensor in stacked_rows([one.row for one in packed], pad_id).items()}
    arrays = padded_batch([TokenRow(one.row.input_ids.tolist(), one.image) for one in packed], pad_id, "right")
    images = {name: torch.from_numpy(arrays[name]).to(device) for name in ("images", "image_masks", "image_input_idx")}
    inner = model.model
    x = inner.embed(rows["input_ids"], **images)
    hidden = inner(x, segment_mask(rows["segments"]), rows["position_ids"], None)
    chosen = rows["weights"] > 0
    logits = inner.transformer["ff_out"](hidden[chosen]).float()
    weights, labels = rows["weights"][chosen], rows["labels"][chosen]
    loss = F.cross_entropy(logits, labels, reduction="none")
    if z_loss:
        loss = loss + z_loss * torch.logsumexp(logits, dim=-1).square()
    return (loss * weights).sum()
