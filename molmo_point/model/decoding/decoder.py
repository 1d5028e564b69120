"""Greedy decoding that verifies drafts: the same tokens in fewer passes.

A pass feeds each row's pending tokens (at first the prompt, later the one token that the model
added) and a tree of drafted tokens behind them. The walk from the root along the model's own
choices is accepted; the first choice that was not drafted becomes the next pending token.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from molmo_point.model.decoding.drafts import Drafter
from molmo_point.model.decoding.kv_cache import KeyValueCache
from molmo_point.model.decoding.token_tree import ROOT, TokenTree


@dataclass
class Row:
    """One answer in the making.

    Attributes:
        prompt: Tokens that the model has not read yet.
        drafter: Proposes continuations; None for plain greedy decoding.
        max_new_tokens: Most tokens of the answer.
        on_token: Told about every new token; True from it ends the answer early.
        token_ids: The answer so far, end-of-sequence left out.
        probabilities: The model's probability of each token.
        digit_probabilities: For each token that is a digit, the probabilities of "0" to "9" in its
            place; empty for the others.
        absent_probability: The model's probability, at the first token, of an answer that says
            that nothing is there; NaN before.
        finish_reason: ``"stop"``, ``"length"`` or ``"early"``; empty while the answer grows.
        passes: Forward passes after the prefill that served this row.
        passes_at: For each token the passes that had been made when it was known.
        drafted: Tokens that were drafted.
        accepted: Drafted tokens that the model confirmed.
    """

    prompt: list[int]
    drafter: Drafter | None
    max_new_tokens: int
    on_token: Callable[["Row"], bool] | None = None
    token_ids: list[int] = field(default_factory=list)
    text: str = ""
    probabilities: list[float] = field(default_factory=list)
    digit_probabilities: list[tuple[float, ...]] = field(default_factory=list)
    finish_reason: str = ""
    passes: int = 0
    passes_at: list[int] = field(default_factory=list)
    drafted: int = 0
    accepted: int = 0
    absent_probability: float = float("nan")


@dataclass(frozen=True)
class Vocabulary:
    """What the decoder must know of a tokenizer.

    Attributes:
        eos_id: End of sequence.
        digit_ids: Ids of "0" to "9" where each digit is a token of its own; else empty.
        token_text: One token id to its text.
        absent_ids: First tokens of the answers that say that nothing is there.
        dot_id: The decimal dot between two digits.
    """

    eos_id: int
    digit_ids: tuple[int, ...]
    token_text: Callable[[int], str]
    absent_ids: tuple[int, ...] = ()
    dot_id: int = -1


class Decoder:
    """Decodes rows that share a cache.

    Args:
        model: `MolmoForCausalLM`, in eval mode.
        vocabulary: Its tokenizer's facts.
    """

    def __init__(self, model: Any, vocabulary: Vocabulary) -> None:
        self.model = model
        self.vocabulary = vocabulary

    @torch.inference_mode()
    def run(self, rows: Sequence[Row], cache: KeyValueCache, image: dict[str, torch.Tensor] | None = None) -> Iterator[None]:
        """Decode all rows to their ends, and yield after every pass.

        The caller stops by asking for no further pass.

        Args:
            rows: As many as the cache has; they grow in place.
            cache: Tokens that were read already; grows.
            image: Image tensors of the prompts, when they are part of the first pass.
        """
        active = list(rows)
        while active:
            self._pass(active, cache, image)
            image = None
            going_on = [i for i, row in enumerate(active) if not row.finish_reason]
            if 0 < len(going_on) < len(active):
                cache.select(going_on)
            active = [active[i] for i in going_on]
            yield

    @torch.inference_mode()
    def read(self, ids: Sequence[int], cache: KeyValueCache, image: dict[str, torch.Tensor]) -> None:
        """Reads tokens into the cache's only row, without asking what follows.

        Args:
            ids: Beginning of a sequence.
            cache: Empty.
            image: Image tensors that belong to the tokens.
        """
        self._hidden([ids], [TokenTree()], cache, image)
        cache.accept([range(len(ids))])

    @torch.inference_mode()
    def _pass(self, rows: Sequence[Row], cache: KeyValueCache, image: dict[str, torch.Tensor] | None) -> None:
        trees = [self._draft(row) for row in rows]
        pending = [row.prompt for row in rows]
        hidden = self.logits(pending, trees, cache, image)
        chosen, probability, digits, absent = self._read(hidden)
        kept: list[list[int]] = []
        for index, (row, tree) in enumerate(zip(rows, trees, strict=True)):
            if not row.token_ids:
                row.absent_probability = absent[index]
            path = self._walk(row, tree, chosen[index], probability[index], digits[index])
            count = len(row.prompt)
            kept.append([*range(count), *(count + node for node in path)])
            row.drafted += len(tree)
            row.accepted += len(path)
            row.prompt = row.token_ids[-1:]
        cache.accept(kept)

    def _draft(self, row: Row) -> TokenTree:
        left = row.max_new_tokens - len(row.token_ids)
        if row.drafter is None or left <= 1:
            return TokenTree()
        return row.drafter.draft(row.token_ids, row.text)

    def logits(
        self,
        pending: Sequence[Sequence[int]],
        trees: Sequence[TokenTree],
        cache: KeyValueCache,
        image: dict[str, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Logits (rows, 1 + widest tree, vocabulary) of the last pending token and of the nodes."""
        hidden = self._hidden(pending, trees, cache, image)
        wanted = 1 + max(len(tree) for tree in trees)
        first = torch.tensor([len(tokens) - 1 for tokens in pending], device=hidden.device)
        columns = (first[:, None] + torch.arange(wanted, device=hidden.device)).clamp(max=hidden.shape[1] - 1)
        picked = hidden.gather(1, columns[..., None].expand(-1, -1, hidden.shape[-1]))
        return self.model.model.transformer["ff_out"](picked)

    def _hidden(
        self,
        pending: Sequence[Sequence[int]],
        trees: Sequence[TokenTree],
        cache: KeyValueCache,
        image: dict[str, torch.Tensor] | None,
    ) -> torch.Tensor:
        """Hidden states (rows, width, hidden) of the pending tokens and of the nodes behind them."""
        model, device = self.model, self.model.device
        width = max(len(p) + len(t) for p, t in zip(pending, trees, strict=True))
        ids = np.zeros((len(pending), width), np.int64)
        positions = np.zeros((len(pending), width), np.int64)
        for row, (tokens, tree) in enumerate(zip(pending, trees, strict=True)):
            n, m, start = len(tokens), len(tree), cache.lengths[row]
            ids[row, : n + m] = [*tokens, *tree.tokens]
            positions[row, :n] = np.arange(start, start + n)
            positions[row, n : n + m] = start + n - 1 + tree.depths()
        mask = attention_mask(pending, trees, cache.lengths)
        tensors = (None if image is None else image[name] for name in ("images", "image_masks", "image_input_idx"))
        embedded = model.model.embed(torch.from_numpy(ids).to(device), *tensors)
        place = torch.from_numpy(positions).to(device)
        return model.model(embedded, None if mask is None else mask.to(device), place, cache)

    def _read(self, logits: torch.Tensor) -> tuple[list[list[int]], list[list[float]], list[list[list[float]]], list[float]]:
        """Choices, their probabilities, those of the digits, and each row's of absence; one transfer from the device."""
        logits = logits.float()
        top, chosen = logits.max(-1)
        vocabulary = self.vocabulary
        watched = [*vocabulary.digit_ids, *vocabulary.absent_ids]
        values = torch.cat([top[..., None], logits[..., watched]], -1) - logits.logsumexp(-1, keepdim=True)
        packed = torch.cat([chosen[..., None].double(), values.double().exp()], -1).cpu().numpy()
        digits = packed[..., 2 : 2 + len(vocabulary.digit_ids)]
        absent = packed[:, 0, 2 + len(vocabulary.digit_ids) :].sum(-1)
        return packed[..., 0].astype(int).tolist(), packed[..., 1].tolist(), digits.tolist(), absent.tolist()

    def _walk(
        self, row: Row, tree: TokenTree, chosen: list[int], probability: list[float], digits: list[list[float]]
    ) -> list[int]:
        """Follows the model's choices down the tree; returns the accepted nodes."""
        path: list[int] = []
        node = ROOT
        if row.token_ids:
            row.passes += 1
        passes = row.passes
        if row.max_new_tokens <= 0:
            row.finish_reason = "length"
            return path
        while True:
            token = chosen[node + 1]
            if token == self.vocabulary.eos_id:
                row.finish_reason = "stop"
                return path
            is_digit = token in self.vocabulary.digit_ids
            row.token_ids.append(token)
            row.text += self.vocabulary.token_text(token)
            row.probabilities.append(probability[node + 1])
            row.digit_probabilities.append(tuple(digits[node + 1]) if is_digit else ())
            row.passes_at.append(passes)
            if row.on_token is not None and row.on_token(row):
                row.finish_reason = "early"
            elif len(row.token_ids) >= row.max_new_tokens:
                row.finish_reason = "length"
            child = tree.child(node, token)
            if row.finish_reason or child is None:
                return path
            path.append(child)
            node = child


def attention_mask(pending: Sequence[Sequence[int]], trees: Sequence[TokenTree], lengths: Sequence[int]) -> torch.Tensor | None:
    """Which position sees which: (rows, 1, width, longest row + width) bool, or None for plain causal.

    Args:
        pending: Tokens of each row that follow one another.
        trees: What is drafted behind them.
        lengths: Positions of each row that are in the cache.
    """
    width = max(len(p) + len(t) for p, t in zip(pending, trees, strict=True))
    alone = len(pending) == 1 and not len(trees[0])
    if alone and (lengths[0] == 0 or width == 1):
        return None
    mask = np.zeros((len(pending), width, max(lengths) + width), bool)
    # Rows of padding see the first position: a row that sees nothing would be NaN.
    mask[:, :, 0] = True
    for row, (tokens, tree) in enumerate(zip(pending, trees, strict=True)):
        n, m, start = len(tokens), len(tree), lengths[row]
        mask[row, : n + m, :start] = True
        mask[row, :n, start : start + n] = np.tri(n, dtype=bool)
        mask[row, n : n + m, start : start + n] = True
        mask[row, n : n + m, start + n : start + n + m] = tree.ancestors()
    return torch.from_numpy(mask[:, None])
