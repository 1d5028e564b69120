"""Greedy decoding with a key-value cache, token by token, cancellable."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache


@dataclass(frozen=True)
class Generated:
    """What came out of the model.

    Attributes:
        token_ids: Generated ids, end-of-sequence left out.
        probabilities: The model's probability of each of them.
        digit_probabilities: For each of them that is a digit, the probabilities of "0" to "9" in
            its place; empty for all others, and where no ``digit_ids`` were given.
        finish_reason: ``"stop"``, ``"length"`` or ``"cancelled"``.
        prefill_ms: Image, prompt and first token.
        decode_ms: All further tokens.
    """

    token_ids: list[int]
    probabilities: list[float]
    digit_probabilities: list[tuple[float, ...]]
    finish_reason: str
    prefill_ms: float
    decode_ms: float


def greedy(
    model: Any,
    inputs: Mapping[str, Any],
    eos_id: int | Collection[int],
    max_new_tokens: int,
    should_stop: Callable[[], bool] | None = None,
    on_token: Callable[[int], None] | None = None,
    digit_ids: tuple[int, ...] = (),
) -> Generated:
    """Generates greedily until end of sequence.

    Args:
        model: A transformers model of the Molmo family, in eval mode.
        inputs: The tensors of one sequence without padding, by name: everything that the first
            ``forward`` takes. Later ones take the new token and the cache.
        eos_id: End-of-sequence token, or several.
        max_new_tokens: Most tokens to generate.
        should_stop: Asked before every token; True ends with ``"cancelled"``.
        on_token: Told every token as it comes.
        digit_ids: Ids of "0" to "9" where the tokenizer has one token per digit.
    """
    started = time.perf_counter()
    ends = {eos_id} if isinstance(eos_id, int) else set(eos_id)
    cache = DynamicCache(config=model.config)
    out = model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
    out.logits[0, -1, 0].item()  # a GPU only queues its work: wait for it, or the time would count as decoding
    prefilled = time.perf_counter()
    ids: list[int] = []
    probabilities: list[float] = []
    digit_probabilities: list[tuple[float, ...]] = []
    reason = "length"
    while len(ids) < max_new_tokens:
        if should_stop is not None and should_stop():
            reason = "cancelled"
            break
        distribution = out.logits[0, -1].float().softmax(-1)
        token = int(distribution.argmax())
        if token in ends:
            reason = "stop"
            break
        ids.append(token)
        probabilities.append(float(distribution[token]))
        digits = distribution[list(digit_ids)].tolist() if token in digit_ids else ()
        digit_probabilities.append(tuple(digits))
        if on_token is not None:
            on_token(token)
        if len(ids) == max_new_tokens:
            break  # nobody would read the next distribution
        step = torch.tensor([[token]], device=inputs["input_ids"].device)
        out = model(input_ids=step, past_key_values=cache, use_cache=True)
    finished = time.perf_counter()
    return Generated(
        token_ids=ids,
        probabilities=probabilities,
        digit_probabilities=digit_probabilities,
        finish_reason=reason,
        prefill_ms=(prefilled - started) * 1e3,
        decode_ms=(finished - prefilled) * 1e3,
    )
