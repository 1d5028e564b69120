"""Greedy decoding that verifies drafts: the same tokens in fewer passes.

A pass feeds the pending tokens of each row (the prompt, later the last token), then a tree of drafted tokens. The path
along the model's own choices is accepted; its first choice that was not drafted becomes the next pending token.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from molmo_point.model.decoding.drafts import Drafter
from molmo_point.model.decoding.finite_answers import refuse_non_finite
from molmo_point.model.decoding.kv_cache import KeyValueCache
from molmo_point.model.decoding.token_tree import ROOT, TokenTree


@dataclass
class Row:
    """State of one answer during decoding.

    Attributes:
        prompt: Tokens that the model has not read yet.
        drafter: Source of drafts; None for plain greedy decoding.
        max_new_tokens: Largest number of tokens of the answer.
        token_ids: Tokens of the answer so far, without end-of-sequence.
        probabilities: The model's probability of each token.
        digit_probabilities: Probabilities of "0" to "9" in the place of each token that is a digit; empty for other tokens.
        absent_probability: Probability, at the first token, that the object is stated absent; NaN before the first token.
        finish_reason: ``"stop"`` or ``"length"``; empty while the answer grows.
        passes: Forward passes after the prefill that served this row.
        passes_at: For each token the passes that had been made when it was known.
        drafted: Tokens that were drafted.
        accepted: Drafted tokens that the model confirmed.
        label: Label that the model would write behind its coordinates so far; empty while unknown.
        label_is_whole: False if only the beginning of the label is known, which differs from the drafted ones.
    """

    prompt: list[int]
    drafter: Drafter | None
    max_new_tokens: int
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
    label: str = ""
    label_is_whole: bool = True


@dataclass(frozen=True)
class Vocabulary:
    """Facts about a tokenizer for the decoder.

    Attributes:
        eos_id: Token id of end-of-sequence.
        digit_ids: Ids of "0" to "9" if numbers are written digit by digit; else empty.
        token_text: Function from a token id to its text.
        absent_ids: First tokens of the answers that the object is absent.
        dot_id: Token id of the decimal point between two digits.
    """

    eos_id: int
    digit_ids: tuple[int, ...]
    token_text: Callable[[int], str]
    absent_ids: tuple[int, ...] = ()
    dot_id: int = -1


class Decoder:
    """Decoder of rows that share a cache, for a `MolmoForCausalLM` in eval mode and facts about its tokenizer."""

    def __init__(self, model: Any, vocabulary: Vocabulary) -> None:
        self.model = model
        self.vocabulary = vocabulary

    @torch.inference_mode()
    def run(self, rows: Sequence[Row], cache: KeyValueCache, image: dict[str, torch.Tensor] | None = None) -> Iterator[None]:
        """Decode all rows, as many as the cache has, to their ends, and yield after every pass; rows and cache grow in place.

        ``image`` has the image tensors of the prompts, if they are part of the first pass.
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
        """Read the beginning of a sequence, with its image tensors, into the only row of an empty cache."""
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
            if tree.label_start is not None:
                row.label, row.label_is_whole = self._label(tree, tree.label_start, chosen[index])
            count = len(row.prompt)
            kept.append([*range(count), *(count + node for node in path)])
            row.drafted += len(tree)
            row.accepted += len(path)
            row.prompt = row.token_ids[-1:]
        cache.accept(kept)

    def _draft(self, row: Row) -> TokenTree:
        if row.drafter is None or row.max_new_tokens - len(row.token_ids) <= 1:
            return TokenTree()
        return row.drafter.draft(row.token_ids, row.text)

    def logits(
        self,
        pending: Sequence[Sequence[int]],
        trees: Sequence[TokenTree],
        cache: KeyValueCache,
        image: dict[str, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Compute the logits (rows, 1 + widest tree, vocabulary) of the last pending token and the nodes."""
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
        """Compute the hidden states (rows, width, hidden) of the pending tokens and the nodes after them."""
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
        """Read choices, their probabilities, those of digits and of absence, in one transfer from the device."""
        logits = logits.float()
        top, chosen = logits.max(-1)
        vocabulary = self.vocabulary
        watched = [*vocabulary.digit_ids, *vocabulary.absent_ids]
        values = torch.cat([top[..., None], logits[..., watched]], -1) - logits.logsumexp(-1, keepdim=True)
        packed = torch.cat([chosen[..., None].double(), values.double().exp()], -1).cpu().numpy()
        # One NaN or infinite logit makes the probability of the largest one NaN.
        refuse_non_finite(packed[..., 1], self.model)
        digits = packed[..., 2 : 2 + len(vocabulary.digit_ids)]
        absent = packed[:, 0, 2 + len(vocabulary.digit_ids) :].sum(-1)
        return packed[..., 0].astype(int).tolist(), packed[..., 1].tolist(), digits.tolist(), absent.tolist()

    def _walk(
        self, row: Row, tree: TokenTree, chosen: list[int], probability: list[float], digits: list[list[float]]
    ) -> list[int]:
        """Follow the model's choices down the tree, and return the accepted nodes."""
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
            if len(row.token_ids) >= row.max_new_tokens:
                row.finish_reason = "length"
            child = tree.child(node, token)
            if row.finish_reason or child is None:
                return path
            path.append(child)
            node = child

    def _label(self, tree: TokenTree, node: int | None, chosen: list[int]) -> tuple[str, bool]:
        """Follow the model's choices from the start of the drafted labels to the closing quote, or out of the draft."""
        label = ""
        while node is not None:
            token = chosen[node + 1]
            label += self.vocabulary.token_text(token)
            if '"' in label:
                return label.partition('"')[0], True
            node = tree.child(node, token)
        return label, False


def attention_mask(pending: Sequence[Sequence[int]], trees: Sequence[TokenTree], lengths: Sequence[int]) -> torch.Tensor | None:
    """Build the attention mask (rows, 1, width, longest row + width) bool; None means plain causal."""
    width = max(len(p) + len(t) for p, t in zip(pending, trees, strict=True))
    alone = len(pending) == 1 and not len(trees[0])
    if alone and (lengths[0] == 0 or width == 1):
        return None
    mask = np.zeros((len(pending), width, max(lengths) + width), bool)
    # Rows of padding attend to the first position, because a row without any would be NaN.
    mask[:, :, 0] = True
    for row, (tokens, tree) in enumerate(zip(pending, trees, strict=True)):
        n, m, start = len(tokens), len(tree), lengths[row]
        mask[row, : n + m, :start] = True
        mask[row, :n, start : start + n] = np.tri(n, dtype=bool)
        mask[row, n : n + m, start : start + n] = True
        mask[row, n : n + m, start + n : start + n + m] = tree.ancestors()
    return torch.from_numpy(mask[:, None])
