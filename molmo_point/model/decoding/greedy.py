"""Greedy decoding with a key-value cache, token by token."""

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

from molmo_point.model.decoding.finite_answers import refuse_non_finite


@dataclass
class Generated:
    """A sequence as far as it was generated.

    Attributes:
        token_ids: Generated ids, end-of-sequence left out.
        probabilities: The model's probability of each of them.
        digit_probabilities: Probabilities of "0" to "9" in the place of each digit; empty for other tokens.
        finish_reason: ``"stop"`` or ``"length"``; empty while it grows.
        prefill_ms: Time for image, prompt and first token, in milliseconds.
        decode_ms: Time for all further tokens, in milliseconds.
    """

    token_ids: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    digit_probabilities: list[tuple[float, ...]] = field(default_factory=list)
    finish_reason: str = ""
    prefill_ms: float = 0.0
    decode_ms: float = 0.0


@torch.inference_mode()
def greedy(
    model: Any,
    inputs: Mapping[str, Any],
    eos_id: int | Collection[int],
    max_new_tokens: int,
    digit_ids: tuple[int, ...] = (),
) -> Iterator[Generated]:
    """Generate greedily until end of sequence, and yield the same growing object after every token.

    Args:
        model: A transformers model of the Molmo family, in eval mode.
        inputs: Tensors of one sequence without padding, by name, as ``forward`` takes them.
        eos_id: End-of-sequence token, or several.
        max_new_tokens: Most tokens to generate.
        digit_ids: Ids of "0" to "9" if the tokenizer has one token per digit.
    """
    started = time.perf_counter()
    ends = {eos_id} if isinstance(eos_id, int) else set(eos_id)
    out = Generated()
    cache = DynamicCache(config=model.config)
    step_out = model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
    step_out.logits[0, -1, 0].item()  # a GPU only queues its work: wait, or the time would count as decoding
    prefilled = time.perf_counter()
    out.prefill_ms = (prefilled - started) * 1e3
    while not out.finish_reason:
        if len(out.token_ids) < max_new_tokens:
            distribution = step_out.logits[0, -1].float().softmax(-1)
            token = int(distribution.argmax())
            probability = float(distribution[token])
            refuse_non_finite(probability, model)
            if token in ends:
                out.finish_reason = "stop"
            else:
                out.token_ids.append(token)
                out.probabilities.append(probability)
                out.digit_probabilities.append(tuple(distribution[list(digit_ids)].tolist() if token in digit_ids else ()))
        if not out.finish_reason and len(out.token_ids) >= max_new_tokens:
            out.finish_reason = "length"  # nobody would read the next distribution
        out.decode_ms = (time.perf_counter() - prefilled) * 1e3
        yield out
        if not out.finish_reason:
            step = torch.tensor([[out.token_ids[-1]]], device=inputs["input_ids"].device)
            step_out = model(input_ids=step, past_key_values=cache, use_cache=True)
