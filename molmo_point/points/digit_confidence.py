"""Confidence of each point, from the distributions of its coordinates' digits.

A model writes "61.5" digit by digit, so it states P(6), then P(1 | 6), then P(5 | 61.). The
probability of exactly that string is small even for a perfect point. The confidence is therefore the
probability of all values nearby.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from molmo_point.points.answer import ParsedAnswer, Span
from molmo_point.results import Completion

RADIUS_PERCENT = 2.0
"""Half the side of the square around a point whose probability is its confidence, per cent of the
image's width and height: 13 pixels of 640."""


def answer_confidences(completion: Completion, answer: ParsedAnswer) -> tuple[float, ...]:
    """Return the probability of each point being within `RADIUS_PERCENT` along both axes.

    Values with other leading digits than the written ones are unknown and count as zero. The result is a lower bound, too
    low by up to one half next to a carry (49.9). Without distributions of digits, as of MolmoPoint, which chooses places,
    it is the product of the probabilities of the tokens with digits.

    Args:
        completion: The answer with its tokens and their probabilities.
        answer: The parsed text.

    Returns:
        One number per point, 0 to 1; NaN without probabilities, or with tokens that do not make up the text.
    """
    spans, per_mille = answer.spans, answer.full == (1000.0, 1000.0)
    located = coordinate_tokens(completion, answer)
    if located is None or len(completion.tokens) != len(completion.token_probabilities):
        return (math.nan,) * len(spans)
    results = []
    for places in located:
        masses = [_mass_near(completion, place, per_mille) for place in places]
        if any(math.isnan(mass) for mass in masses):
            results.append(_product(completion, sorted({i for place in places for i in place})))
        else:
            results.append(math.prod(masses))
    return tuple(results)


def _mass_near(completion: Completion, places: range, per_mille: bool) -> float:
    """Return the probability of all values within `RADIUS_PERCENT` of the written one; NaN when unknown."""
    text = "".join(completion.tokens[i] for i in places)
    whole, dot, fraction = text.partition(".")
    if not dot and (per_mille or (len(text) == 3 and text != "100")):
        # 555 thousandths are 55.5 percent; v1's older forms are written like that, too.
        whole, fraction = text[:-1], text[-1:]
    digits = completion.digit_probabilities
    one_each = len(text) == len(places) and len(digits) == len(completion.tokens) and whole.isdigit()
    if not one_each or len(fraction) > 1 or (fraction and not fraction.isdigit()):
        return math.nan
    written, last = float(f"{whole}.{fraction}"), places.start + len(whole) - 1
    tenths_at = last + 1 + len(dot)
    path = math.prod(completion.token_probabilities[i] for i in range(places.start, last))
    mass = 0.0
    for digit, probability in enumerate(digits[last]):
        start = float(f"{whole[:-1]}{digit}")
        # Tenths after the written digit are known, after any other they are taken as even.
        tenths: Sequence[float] = (0.1,) * 10
        if digit == int(whole[-1]):
            tenths = digits[tenths_at] if fraction else (1.0,)
            probability *= completion.token_probabilities[last + 1] if dot else 1.0
        near = sum(p for k, p in enumerate(tenths) if abs(start + k / 10 - written) <= RADIUS_PERCENT + 1e-9)
        mass += probability * near
    return min(1.0, path * mass)


def _product(completion: Completion, places: list[int]) -> float:
    """Return the product over the tokens with digits; quotes, names and dots are certain anyway."""
    return math.prod(
        completion.token_probabilities[i] for i in places if any(character.isdigit() for character in completion.tokens[i])
    )


def coordinate_tokens(completion: Completion, answer: ParsedAnswer) -> list[tuple[range, range]] | None:
    """Return the indices of the tokens of x and of y of each point; None if the tokens do not make up the text."""
    tokens = completion.tokens
    shift = "".join(tokens).find(completion.text) if tokens else -1
    if shift < 0:
        return None
    starts = [0, *accumulate(len(token) for token in tokens)]
    return [(_tokens_of(x, shift, starts), _tokens_of(y, shift, starts)) for x, y in answer.spans]


def _tokens_of(span: Span, shift: int, starts: list[int]) -> range:
    """Return the indices of the tokens that overlap a span of the text."""
    first = bisect_right(starts, span[0] + shift) - 1
    last = bisect_right(starts, span[1] + shift - 1) - 1
    return range(first, last + 1)
