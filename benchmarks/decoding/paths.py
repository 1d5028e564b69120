"""The compared ways from a frame and words to tokens: naive, plain, peer and ours."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor, LogitsProcessorList

from benchmarks.decoding.naive import NaiveMolmo, Wastes
from benchmarks.decoding.naive_image import official_prepare
from benchmarks.decoding.oracle import OracleEngine, script_at
from benchmarks.decoding.subject import Subject
from molmo_point.backend import Prompt
from molmo_point.model.decoding.engine import Options
from molmo_point.model.decoding.templates import complete_points
from molmo_point.model.inputs.preprocess import image_token_ids, prepare_image
from molmo_point.points.dialects.prompts import user_turn

PLAIN = Options(template=False, fans=False, last_answer=False, reuse_image=False)
NO_MEMORY = Options(last_answer=False, reuse_image=False)
Script = Sequence[int] | None


@dataclass(frozen=True)
class Outcome:
    """Answer of one way.

    Attributes:
        token_ids: The answer, end of sequence left out.
        passes: Forward passes after the prefill.
        first_point_ms: When the first point's coordinates were known; NaN if nobody asked or none was.
        image_reused: Whether nothing of the image had to be read.
    """

    token_ids: tuple[int, ...]
    passes: int
    first_point_ms: float = float("nan")
    image_reused: bool = False


def sequence(
    subject: Subject, image: np.ndarray, prompt: Prompt, prepare: Callable[..., Any] = prepare_image
) -> tuple[list[int], dict[str, torch.Tensor]]:
    """Token ids of image and turn, and the image's tensors on the device."""
    processor = subject.processor
    prepared = prepare(image, processor.layout)
    ids = [processor.eos_id, *image_token_ids(prepared.tiling, processor.layout, processor.image_ids).tolist()]
    ids += processor.encode_text(user_turn(prompt.text))
    names = ("images", "image_masks", "image_input_idx")
    return ids, {name: torch.from_numpy(getattr(prepared, name))[None].to(subject.device) for name in names}


def naive_answer(
    subject: Subject, naive: NaiveMolmo, image: np.ndarray, prompt: Prompt, count: int, script: Script = None
) -> Outcome:
    """Greedy decoding, token by token, with the wastes of ``naive``.

    Args:
        subject: Model and processor.
        naive: The reference; it is reset.
        image: (h, w, 3) uint8 RGB.
        prompt: What the user says.
        count: Most tokens.
        script: What is said instead of the model's choice, which is computed nevertheless.
    """
    ids, tensors = sequence(subject, image, prompt, official_prepare if naive.wastes.image else prepare_image)
    naive.reset()
    eos, answer = subject.processor.eos_id, []
    step = torch.tensor([ids], device=subject.device)
    passes, given = 0, tensors
    while True:
        token = int(naive.logits(step, given).argmax())
        if script is not None:
            token = script_at(script, len(answer), eos)
        if token == eos:
            break
        answer.append(token)
        if len(answer) >= count:
            break
        step, given, passes = torch.tensor([[token]], device=subject.device), None, passes + 1
    return Outcome(tuple(answer), passes)


class _Scripted(LogitsProcessor):
    """Replaces the choice of `generate` by the script's."""

    def __init__(self, script: Sequence[int], eos_id: int) -> None:
        self.script, self.eos_id, self.place = script, eos_id, 0

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        token = script_at(self.script, self.place, self.eos_id)
        self.place += 1
        forced = torch.full_like(scores, float("-inf"))
        forced[:, token] = scores.amax(-1)
        return forced  # pyright: ignore[reportReturnType]


@torch.inference_mode()
def generate_answer(
    subject: Subject, image: np.ndarray, prompt: Prompt, count: int, script: Script = None, peer: Any = None
) -> Outcome:
    """The same through transformers' `generate`.

    Args:
        subject: Model and processor.
        image: (h, w, 3) uint8 RGB.
        prompt: What the user says.
        count: Most tokens.
        script: As for `naive_answer`.
        peer: A Qwen2 that is fed with our embeddings; None asks the model itself.
    """
    ids, tensors = sequence(subject, image, prompt)
    eos = subject.processor.eos_id
    tokens = torch.tensor([ids], device=subject.device)
    options: dict[str, Any] = {"max_new_tokens": count, "do_sample": False, "eos_token_id": eos, "pad_token_id": eos}
    if script is not None:
        options["logits_processor"] = LogitsProcessorList([_Scripted(script, eos)])
    options["attention_mask"] = torch.ones_like(tokens)
    if peer is None:
        out = subject.model.generate(input_ids=tokens, **tensors, **options)[0, len(ids) :].tolist()
    else:
        embedded = subject.model.model.embed(tokens, *tensors.values())
        out = peer.generate(inputs_embeds=embedded, **options)[0].tolist()
    answer = out[: out.index(eos)] if eos in out else out
    return Outcome(tuple(answer), len(out) - 1)


def engine_answers(
    engine: OracleEngine, image: np.ndarray, prompts: Sequence[Prompt], count: int, scripts: Sequence[Sequence[int]] = ()
) -> list[Outcome]:
    """Our answers to all prompts, in one batch.

    Args:
        engine: What decodes; what it remembers is used.
        image: (h, w, 3) uint8 RGB.
        prompts: What the user says.
        count: Most tokens of each.
        scripts: As for `naive_answer`, one for each prompt.
    """
    engine.scripts = scripts
    state = engine.complete(image, prompts, count)
    return [Outcome(tuple(row.token_ids), row.passes, image_reused=state.image_reused) for row in state.rows]


def engine_first_point(
    engine: OracleEngine, image: np.ndarray, prompt: Prompt, count: int, scripts: Sequence[Sequence[int]] = ()
) -> Outcome:
    """Our answer up to its first point: decoding ends as soon as both coordinates are known."""
    engine.scripts = scripts
    started, first_ms, tokens, passes = time.perf_counter(), float("nan"), (), 0
    growing: Any = engine.answers(image, [prompt], count)
    with closing(growing):
        for state in growing:
            tokens, passes = tuple(state.rows[0].token_ids), state.rows[0].passes
            if complete_points(engine.processor.decode(list(tokens))):
                first_ms = (time.perf_counter() - started) * 1e3
                break
    return Outcome(tokens, passes, first_ms)


def token_texts(processor: Any) -> Callable[[int], str]:
    """One token id to its text, each decoded once."""
    return lru_cache(65536)(lambda token: processor.decode([token]))


def tokens_to_first_point(processor: Any, token_ids: Sequence[int]) -> int:
    """Number of an answer's tokens until its first point is known; all of them without a point."""
    for count in range(1, len(token_ids) + 1):
        if complete_points(processor.decode(list(token_ids[:count]))):
            return count
    return len(token_ids)


def ladder(subject: Subject, capacity: int) -> list[tuple[str, NaiveMolmo]]:
    """The naive reference, then one waste fewer on every line."""
    steps = (
        ("naive: every waste of the official code", {}),
        ("embedding tables not joined", {"embedding": False}),
        ("static cache, grouped heads", {"cache": False}),
        ("no dense float mask", {"bias": False}),
        ("no dead vision block, two outputs kept", {"vision": False}),
        ("dropped pooled tokens not projected", {"connector": False}),
        ("crops by two small matrix products", {"image": False}),
    )
    flags: dict[str, bool] = {}
    rungs = []
    for name, change in steps:
        flags |= change
        rungs.append((name, NaiveMolmo(subject.model, Wastes(**flags), capacity)))
    return rungs
