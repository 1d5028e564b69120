"""Refusal of answers from logits that are not finite."""

from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor

from molmo_point.errors import CheckpointError


def refuse_non_finite(probabilities: Any, model: Any) -> None:
    """Check probabilities of a model; CheckpointError if one is NaN, with the remedy for the precision of the model."""
    if np.isfinite(probabilities).all():
        return
    dtype = str(model.dtype).removeprefix("torch.")
    narrow = dtype in ("float16", "bfloat16")
    known = model.name_or_path or "FOLDER"
    fix = "load the checkpoint with dtype='float32'" if narrow else f"check its files: molmo-point doctor --model {known}"
    given = f"NaN in an answer of {model.name_or_path or type(model).__name__} in {dtype}"
    raise CheckpointError("The numbers that the model computes must be finite", given, fix)


class FiniteLogits(LogitsProcessor):
    """Step of transformers' ``generate`` that refuses logits that are not finite; it changes none."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        # Other steps exclude tokens by a logit of minus infinity, so the largest one counts.
        refuse_non_finite(scores.amax(-1).float().cpu().numpy(), self._model)
        return scores
