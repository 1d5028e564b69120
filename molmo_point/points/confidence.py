"""How sure the model was of each point: the probabilities of its coordinates' digits."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

Span = tuple[int, int]


def point_confidences(
    text: str,
    spans: Sequence[tuple[Span, Span]],
    tokens: Sequence[str],
    token_probabilities: Sequence[float],
) -> tuple[float, ...]:
    """Probability of each point's digits: the product over the tokens that hold them.

    Tokens of quotes, names and decimal points are certain once the format is, so they are left out.

    Args:
        text: The text that was parsed.
        spans: For each point the (start, end) of its x and of its y in `text`
            (`ParsedAnswer.spans`).
        tokens: Text of each generated token, in order.
        token_probabilities: Probability of each token, 0 to 1.

    Returns:
        One number per point, 0 to 1; NaN when the backend gave no probabilities, or gave tokens
        that do not make up the text.
    """
    unknown = (math.nan,) * len(spans)
    if not tokens or len(tokens) != len(token_probabilities):
        return unknown
    shift = "".join(tokens).find(text)
    if shift < 0:
        return unknown
    starts = [0, *accumulate(len(token) for token in tokens)]
    return tuple(
        math.prod(
            token_probabilities[index]
            for index in sorted({i for span in pair for i in _tokens_of(span, shift, starts)})
            if any(character.isdigit() for character in tokens[index])
        )
        for pair in spans
    )


def _tokens_of(span: Span, shift: int, starts: list[int]) -> range:
    """Indices of the tokens that overlap a span of the text."""
    first = bisect_right(starts, span[0] + shift) - 1
    last = bisect_right(starts, span[1] + shift - 1) - 1
    return range(first, last + 1)
