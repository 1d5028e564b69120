"""Distribution of a point over the image, from branches that greedy decoding skips.

The greedy path is one branch of P(x) and P(y | x): at a carry (49.9 or 50.0) it covers half of the mass. The other
likely branches are followed in three passes per point. Separate maxima stay separate modes of the mixture.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from molmo_point.model.decoding.decoder import Decoder
from molmo_point.model.decoding.finite_answers import refuse_non_finite
from molmo_point.model.decoding.kv_cache import KeyValueCache
from molmo_point.model.decoding.token_tree import ROOT, TokenTree

_PAIR = re.compile(r' x(\d{0,6})="(\d{1,3}(?:\.\d)?)"[^"]{0,8} y\1="(\d{1,3}(?:\.\d)?)(?!\d)')
_LIKELY_X, _LIKELY_Y = 0.02, 0.03
_MOST_FIRST_DIGITS, _MOST_CELLS = 4, 8
_LINK_PERCENT = 2.5
# Variance of the rounding to a tenth.
_ROUNDING = 0.1**2 / 12


@dataclass(frozen=True)
class Mode:
    """One possible place of a point, in percent of the image.

    Attributes:
        weight: Share of the probability that was followed, 0 to 1.
        mean: (2,) x and y in percent.
        covariance: (2, 2) in percent².
    """

    weight: float
    mean: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class Spread:
    """Distribution of one point.

    Attributes:
        modes: Possible places, likeliest first.
        mass: Probability that was followed, 0 to 1; the rest is in skipped branches.
        written: Text of x and y in the answer.
    """

    modes: tuple[Mode, ...]
    mass: float
    written: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class _Cell:
    """One integer value with the distribution of its tenths."""

    path: tuple[int, ...]
    weight: float
    mean: float
    variance: float
    tenth: int


def spread_points(decoder: Decoder, cache: KeyValueCache, prompt: Sequence[int], answer: Sequence[int]) -> tuple[Spread, ...]:
    """Compute the distribution of every point of an answer, each given the points before it; empty if digits are joined.

    The cache holds the tokens before ``prompt`` in one row, with room for the answer and 512 more.
    """
    if not decoder.vocabulary.digit_ids:
        return ()
    explorer = _Explorer(decoder, cache)
    fed, results = 0, []
    tokens = [*prompt, *answer]
    for x, y, written in _places(answer, decoder, len(prompt)):
        results.append(replace(explorer.explore(tokens[fed : x.start], tokens[x.stop : y.start]), written=written))
        # Every pass reads the last token before a number again, so it is not in the cache.
        fed = x.start - 1
    return tuple(results)


def _places(answer: Sequence[int], decoder: Decoder, shift: int) -> Iterator[tuple[range, range, tuple[str, str]]]:
    """Find the token ranges of the coordinates, counted from the prompt."""
    texts = [decoder.vocabulary.token_text(token) for token in answer]
    starts = np.cumsum([0, *(len(text) for text in texts)])
    for match in _PAIR.finditer("".join(texts)):
        ranges = []
        for group in (2, 3):
            first, last = np.searchsorted(starts, match.span(group))
            ranges.append(range(int(first) + shift, int(last) + shift))
        yield ranges[0], ranges[1], (match[2], match[3])


class _Explorer:
    """Explorer of the branches of one answer."""

    def __init__(self, decoder: Decoder, cache: KeyValueCache) -> None:
        self.decoder = decoder
        self.cache = cache
        self.digits = list(decoder.vocabulary.digit_ids)
        self.dot = decoder.vocabulary.dot_id

    @torch.inference_mode()
    def explore(self, before: Sequence[int], between: Sequence[int]) -> Spread:
        """Compute the mixture of one point from the tokens up to x, which enter the cache, and those from x to y."""
        root, *_ = self._distributions(before, TokenTree())
        self.cache.lengths = [self.cache.lengths[0] + len(before) - 1]
        last = before[-1:]
        x_cells = self._cells(last, [(ROOT, (), root)], _LIKELY_X)[0]
        x_cells = sorted(x_cells, key=lambda cell: -cell.weight)[:_MOST_CELLS]
        tree = TokenTree(4096)
        prefixes = [(*cell.path, self.dot, self.digits[cell.tenth], *between) for cell in x_cells]
        ends = [tree.add(prefix) for prefix in prefixes]
        heads = self._distributions(last, tree)
        starts = [(end, prefix, heads[end + 1]) for end, prefix in zip(ends, prefixes, strict=True)]
        components = []
        for x, y_cells in zip(x_cells, self._cells(last, starts, _LIKELY_Y), strict=True):
            components += [(x.weight * y.weight, x.mean, y.mean, x.variance, y.variance) for y in y_cells]
        return _mixture(np.array(components, float).reshape(-1, 5))

    def _cells(
        self, last: Sequence[int], starts: Sequence[tuple[int, tuple[int, ...], np.ndarray]], likely: float
    ) -> list[list[_Cell]]:
        """Find the integers that may follow each start, in one pass over all of them."""
        tree = TokenTree(4096)
        nodes: list[list[tuple[int, int, int, tuple[int, ...], float]]] = []
        for _, prefix, first in starts:
            base = tree.add(prefix)
            order = [int(d) for d in np.argsort(-first[:10])[:_MOST_FIRST_DIGITS] if first[d] >= likely]
            mine = []
            for d in order or [int(first[:10].argmax())]:
                node = tree.add((self.digits[d],), base)
                mine.append((node, tree.add((self.dot,), node), d, (self.digits[d],), float(first[d])))
                for e in range(10):
                    second = tree.add((self.digits[e],), node)
                    path = (self.digits[d], self.digits[e])
                    mine.append((second, tree.add((self.dot,), second), 10 * d + e, path, float(first[d])))
            nodes.append(mine)
        told = self._distributions(last, tree)
        return [[self._cell(told, tree, *entry) for entry in mine] for mine in nodes]

    def _cell(
        self, told: np.ndarray, tree: TokenTree, node: int, dot: int, whole: int, path: tuple[int, ...], first: float
    ) -> _Cell:
        weight = first * told[node + 1][10]
        if len(path) == 2:
            weight *= told[tree.parents[node] + 1][self.digits.index(path[1])]
        tenths = told[dot + 1][:10] / max(told[dot + 1][:10].sum(), 1e-9)
        values = whole + np.arange(10) / 10
        mean = float(tenths @ values)
        return _Cell(path, float(weight), mean, float(tenths @ (values - mean) ** 2) + _ROUNDING, int(tenths.argmax()))

    def _distributions(self, pending: Sequence[int], tree: TokenTree) -> np.ndarray:
        """Compute (1 + nodes, 11) probabilities of digits and dot after the pending tokens and after each node."""
        logits = self.decoder.logits([pending], [tree], self.cache)[0].float()
        wanted = logits[:, [*self.digits, self.dot]] - logits.logsumexp(-1, keepdim=True)
        found = wanted.double().exp().cpu().numpy()
        refuse_non_finite(found, self.decoder.model)
        return found


def _mixture(components: np.ndarray) -> Spread:
    """Group (n, 5) components (weight, x, y, variance of x, of y) into modes by single linkage."""
    components = components[np.argsort(-components[:, 0])]
    mass = min(1.0, float(components[:, 0].sum()))
    kept = components[np.cumsum(components[:, 0]) - components[:, 0] <= 0.99 * mass]
    near = np.abs(kept[:, None, 1:3] - kept[None, :, 1:3]).max(-1) <= _LINK_PERCENT
    group = np.arange(len(kept))
    for _ in range(len(kept)):
        lowest = np.where(near, group[None, :], len(kept)).min(1)
        if (lowest == group).all():
            break
        group = lowest
    modes = []
    for label in np.unique(group):
        part = kept[group == label]
        share = part[:, 0] / part[:, 0].sum()
        mean = share @ part[:, 1:3]
        apart = part[:, 1:3] - mean
        covariance = (share[:, None] * apart).T @ apart + np.diag(share @ part[:, 3:5])
        modes.append(Mode(float(part[:, 0].sum() / kept[:, 0].sum()), mean, covariance))
    return Spread(tuple(sorted(modes, key=lambda mode: -mode.weight)), mass)
