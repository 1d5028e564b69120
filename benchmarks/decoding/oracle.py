"""Decoding that computes everything and then follows a script.

A small model does not emit forty points and random weights emit nothing readable, but what a pass
costs does not depend on what it says. Every forward pass runs in full; only the choice is replaced.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from molmo_point.model.decoding.decoder import Decoder, Row
from molmo_point.model.decoding.drafts import Drafter
from molmo_point.model.decoding.engine import AnswerEngine
from molmo_point.model.decoding.kv_cache import KeyValueCache
from molmo_point.model.decoding.token_tree import ROOT, TokenTree


def script_at(script: Sequence[int], place: int, eos_id: int) -> int:
    """The script's token at a place; the end of sequence behind its end."""
    return script[place] if place < len(script) else eos_id


class OracleDecoder(Decoder):
    """A decoder whose rows say their scripts.

    Attributes:
        scripts: Token ids of each row, by the row's identity.
    """

    scripts: dict[int, Sequence[int]]
    _rows: Sequence[Row] = ()

    def _pass(self, rows: Sequence[Row], cache: KeyValueCache, image: dict[str, torch.Tensor] | None) -> None:
        self._rows = rows
        super()._pass(rows, cache, image)

    def logits(
        self,
        pending: Sequence[Sequence[int]],
        trees: Sequence[TokenTree],
        cache: KeyValueCache,
        image: dict[str, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """The model's logits with the script's tokens on top."""
        logits = super().logits(pending, trees, cache, image)
        eos = self.vocabulary.eos_id
        said = np.full(logits.shape[:2], eos, np.int64)
        for index, (row, tree) in enumerate(zip(self._rows, trees, strict=True)):
            script, done = self.scripts[id(row)], len(row.token_ids)
            depths = (0, *tree.depths().tolist())
            said[index, : len(depths)] = [script_at(script, done + depth, eos) for depth in depths]
        chosen = torch.from_numpy(said).to(logits.device)[..., None]
        return logits.scatter(-1, chosen, logits.amax(-1, keepdim=True) + 1)


class OracleEngine(AnswerEngine):
    """An engine whose answers follow `scripts` while there are any; otherwise the model answers.

    Attributes:
        scripts: Token ids of the answer to each prompt of the next call.
    """

    scripts: Sequence[Sequence[int]] = ()

    def _decoder(self, rows: Sequence[Row]) -> Decoder:
        if not self.scripts:
            return super()._decoder(rows)
        scripted = OracleDecoder(self.model, self._vocabulary)
        scripted.scripts = {id(row): script for row, script in zip(rows, self.scripts, strict=True)}
        return scripted


class NgramDrafter:
    """Prompt look-up: what followed the last few tokens when they last occurred.

    Args:
        prompt: Tokens before the answer.
        longest: Most tokens to match.
        shortest: Fewest tokens to match.
        count: Tokens to draft.
    """

    def __init__(self, prompt: Sequence[int], longest: int = 4, shortest: int = 2, count: int = 5) -> None:
        self.prompt, self.longest, self.shortest, self.count = list(prompt), longest, shortest, count
        self._seen: dict[tuple[int, ...], int] = {}
        self._indexed = 0

    def draft(self, ids: Sequence[int], text: str) -> TokenTree:
        """Draft the tokens that may follow; arguments as of `Drafter.draft`."""
        known, tree = [*self.prompt, *ids], TokenTree()
        # Every match but the one that ends here, the latest of each kind.
        for end in range(self._indexed + 1, len(known)):
            for n in range(self.shortest, min(self.longest, end) + 1):
                self._seen[tuple(known[end - n : end])] = end
        self._indexed = max(len(known) - 1, 0)
        for n in range(min(self.longest, len(known)), self.shortest - 1, -1):
            end = self._seen.get(tuple(known[-n:]))
            if end is not None:
                tree.add(known[end : end + self.count])
                break
        return tree


def count_passes(script: Sequence[int], drafter: Drafter | NgramDrafter | None, token_text: Any, eos_id: int) -> list[int]:
    """Passes after the prefill when each token was known, and last when the end was.

    Args:
        script: The answer's tokens.
        drafter: What is drafted; None for plain decoding.
        token_text: One token id to its text.
        eos_id: End of sequence.

    Returns:
        (tokens + 1,) passes, no model asked: acceptance follows from the script alone.
    """
    known, text, at, passes = 0, "", [], 0
    while True:
        tree = TokenTree() if drafter is None else drafter.draft(script[:known], text)
        node: int | None = ROOT
        while node is not None:
            token = script_at(script, known, eos_id)
            at.append(passes)
            if known == len(script):
                return at
            text += token_text(token)
            known += 1
            node = tree.child(node, token)
        passes += 1
