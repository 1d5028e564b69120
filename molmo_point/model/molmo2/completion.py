"""One answer of any model of the family: text as it grows, tokens with their probabilities, times."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import torch

from molmo_point.errors import InputError
from molmo_point.model.decoding.greedy import greedy
from molmo_point.results import Completion


class TextDecoder(Protocol):
    """What a processor knows of the answer's tokens."""

    digit_ids: tuple[int, ...]

    def decode(self, ids: list[int]) -> str:
        """Text of token ids, special tokens left out."""
        ...


def complete(
    model: Any,
    prepare: Callable[[], Mapping[str, Any]],
    decoder: TextDecoder,
    *,
    eos_ids: Collection[int],
    longest: int,
    max_new_tokens: int,
    should_stop: Callable[[], bool] | None = None,
    on_text: Callable[[str], None] | None = None,
) -> Completion:
    """Prepares one sequence, generates greedily, and says what came out.

    Args:
        model: In eval mode.
        prepare: Makes the tensors of the sequence by name, on the CPU; it is timed as ``preprocess``.
        decoder: Tokens to text.
        eos_ids: Tokens that end the answer.
        longest: Tokens that the model can read and write together.
        max_new_tokens: Most tokens to generate.
        should_stop: Asked before every token; True ends the completion as ``"cancelled"``.
        on_text: Told the whole text so far whenever it has grown.

    Raises:
        InputError: The sequence would be too long.
    """
    started = time.perf_counter()
    inputs = prepare()
    length = inputs["input_ids"].shape[1]
    if length >= longest:
        raise InputError(
            "Image and words together are longer than the model can read",
            f"{length} tokens, of {longest} possible",
            "ask in fewer words",
        )
    prepared = time.perf_counter()
    so_far: list[int] = []

    def on_token(token: int) -> None:
        so_far.append(token)
        if on_text is not None:
            on_text(decoder.decode(so_far))

    limit = min(max_new_tokens, longest - length)
    with torch.inference_mode():
        placed = {name: tensor.to(model.device) for name, tensor in inputs.items()}
        out = greedy(model, placed, eos_ids, limit, should_stop, on_token, decoder.digit_ids)
    return Completion(
        text=decoder.decode(out.token_ids),
        token_count=len(out.token_ids),
        finish_reason=out.finish_reason,
        timing_ms={
            "preprocess": (prepared - started) * 1e3,
            "prefill": out.prefill_ms,
            "decode": out.decode_ms,
        },
        tokens=tuple(decoder.decode([token]) for token in out.token_ids),
        token_probabilities=tuple(out.probabilities),
        digit_probabilities=tuple(out.digit_probabilities),
    )
