"""The spread of a point against every string enumerated with the plain model, and against known beliefs."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import DynamicCache

from molmo_point.model.decoding import spread as spread_module
from molmo_point.model.decoding.decoder import Decoder, Vocabulary
from molmo_point.model.decoding.kv_cache import KeyValueCache
from molmo_point.model.decoding.spread import Spread, spread_points
from molmo_point.model.decoding.token_tree import ROOT, TokenTree

DIGITS, DOT = tuple(range(30, 40)), 40
TEXTS = {token: str(token - 30) for token in DIGITS} | {DOT: "."}
TEXTS |= {41: ' <points x1="', 42: '" y1="', 43: '" x2="', 44: '" y2="', 45: '" alt="'}
ANSWER = [41, 36, 31, 40, 35, 42, 34, 40, 34, 43, 37, 30, 40, 33, 44, 32, 39, 40, 31, 45]
"""x1 61.5, y1 4.4, x2 70.3, y2 29.1."""


class PlainDigits:
    """What a random model, made to like digits, says after any tokens: by its own forward and transformers' cache."""

    def __init__(self, case: Any) -> None:
        self.case, self.model = case, case.model()
        bias = torch.zeros(self.model.model.transformer["ff_out"].weight.shape[0])
        bias[[*DIGITS, DOT]] = 7.0
        self.model.model.transformer["ff_out"].register_forward_hook(
            lambda module, given, logits: logits + bias[: logits.shape[-1]]
        )
        self._read = DynamicCache(config=self.model.config)
        with torch.inference_mode():
            inputs = {name: tensor[:1] for name, tensor in case.inputs.items() if name.startswith("image")}
            self.model(input_ids=case.inputs["input_ids"][:1], **inputs, past_key_values=self._read, use_cache=True)

    @torch.inference_mode()
    def after(self, tokens: list[int]) -> np.ndarray:
        """Probabilities of the ten digits and the dot behind the prompt and these tokens."""
        logits = self.model(input_ids=torch.tensor([tokens]), past_key_values=deepcopy(self._read)).logits[0, -1]
        return logits.double().softmax(-1)[[*DIGITS, DOT]].numpy()

    def wholes(self, before: list[int]) -> Iterator[tuple[float, list[int], int, np.ndarray]]:
        """Probability, tokens and value of all whole numbers below 100, and the distribution of their tenths."""
        first = self.after(before)
        for d in range(10):
            second = self.after([*before, DIGITS[d]])
            yield first[d] * second[10], [DIGITS[d]], d, self.after([*before, DIGITS[d], DOT])[:10]
            for e in range(10):
                tokens = [DIGITS[d], DIGITS[e]]
                dot = self.after([*before, *tokens])[10]
                yield first[d] * second[e] * dot, tokens, 10 * d + e, self.after([*before, *tokens, DOT])[:10]


@pytest.fixture(scope="module")
def plain(golden: Callable[[str], Any]) -> PlainDigits:
    return PlainDigits(golden("qwen2"))


def enumerated(plain: PlainDigits, before: list[int], between: list[int], cells: int) -> tuple[float, np.ndarray]:
    """Mass and mean of x and y over all strings whose x is one of the likeliest ``cells``, tenth for tenth."""
    xs = sorted(plain.wholes(before), key=lambda whole: -whole[0])[:cells]
    mass, total = 0.0, np.zeros(2)
    for weight, tokens, value, tenths in xs:
        x = value + float(tenths @ np.arange(10)) / 10 / tenths.sum()
        path = [*before, *tokens, DOT, DIGITS[int(tenths.argmax())], *between]
        for y_weight, _, y_value, y_tenths in plain.wholes(path):
            y = y_value + float(y_tenths @ np.arange(10)) / 10 / y_tenths.sum()
            mass += weight * y_weight
            total += weight * y_weight * np.array([x, y])
    return mass, total / mass


def test_all_strings_of_both_points_are_followed_as_the_plain_model_says_them(
    plain: PlainDigits, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "_LIKELY_X": 0.0,
        "_LIKELY_Y": 0.0,
        "_MOST_FIRST_DIGITS": 10,
        "_MOST_CELLS": 2,
        "_LINK_PERCENT": 200,
    }.items():
        monkeypatch.setattr(spread_module, name, value)
    mixtures = []
    monkeypatch.setattr(spread_module, "_mixture", lambda parts: mixtures.append(parts) or Spread((), float(parts[:, 0].sum())))
    vocabulary = Vocabulary(0, DIGITS, lambda token: TEXTS.get(token, "?"), (), DOT)
    prompt, cache = plain.case.inputs["input_ids"][0].tolist(), KeyValueCache(1200)
    decoder = Decoder(plain.model, vocabulary)
    image = {name: plain.case.inputs[name][:1] for name in ("images", "image_masks", "image_input_idx")}
    with torch.inference_mode():
        decoder.read(prompt[:-3], cache, image)
    spreads = spread_points(decoder, cache, prompt[-3:], ANSWER)
    assert [spread.written for spread in spreads] == [("61.5", "4.4"), ("70.3", "29.1")]
    for index, (x, between) in enumerate(((1, ANSWER[5:6]), (10, ANSWER[14:15]))):
        mass, mean = enumerated(plain, ANSWER[:x], between, 2)
        parts = mixtures[index]
        assert spreads[index].mass == pytest.approx(mass, rel=1e-4)
        np.testing.assert_allclose(parts[:, 0] @ parts[:, 1:3] / parts[:, 0].sum(), mean, rtol=1e-4)
        assert 0 < spreads[index].mass <= 1


class Belief:
    """A decoder whose model believes in points with given probabilities, one character a token."""

    def __init__(self, belief: dict[tuple[str, str], float]) -> None:
        total = sum(belief.values())
        self.strings = {f'{x}" y="{y}"': p / total for (x, y), p in belief.items()}
        self.beginning: Counter[str] = Counter()
        for string, p in self.strings.items():
            for end in range(len(string) + 1):
                self.beginning[string[:end]] += p  # type: ignore[assignment]
        digits = tuple(map(ord, "0123456789"))
        self.vocabulary = Vocabulary(0, digits, chr, (), ord("."))
        self.cache = SimpleNamespace(lengths=[0])
        self.passes, self.model = 0, None

    def logits(self, pending: Any, trees: list[TokenTree], cache: Any) -> torch.Tensor:
        self.passes += 1
        # All queries begin behind the opening quote, which is read again by every pass.
        behind = "" if cache.lengths[0] or len(pending[0]) > 1 else None
        assert behind == "" and chr(pending[0][-1]) == '"'
        tree, texts = trees[0], [""]
        for token, parent in zip(tree.tokens, tree.parents, strict=True):
            texts.append(texts[parent + 1 if parent != ROOT else 0] + chr(token))
        rows = torch.full((1, len(texts), 128), 1e-12)
        for row, text in enumerate(texts):
            for character in '0123456789." y=':
                if self.beginning[text]:
                    rows[0, row, ord(character)] += self.beginning[text + character] / self.beginning[text]
        return rows.log()

    def spread(self) -> Spread:
        mode = max(self.strings, key=self.strings.__getitem__)
        answer = [*map(ord, f' <point x="{mode} alt="a">')]
        (spread,) = spread_points(self, self.cache, [ord("?")], answer)  # type: ignore[arg-type]
        return spread


def gaussian(mean: tuple[float, float], sigma: tuple[float, float], correlation: float = 0.0) -> dict[tuple[str, str], float]:
    """A belief on the grid of tenths."""
    covariance = np.diag(np.square(sigma)) + correlation * math.prod(sigma) * (1 - np.eye(2))
    inverse, found = np.linalg.inv(covariance), {}
    axes = [np.arange(max(0, round(10 * (m - 3 * s))), min(999, round(10 * (m + 3 * s))) + 1) / 10 for m, s in zip(mean, sigma)]
    for x in axes[0]:
        for y in axes[1]:
            off = np.array([x, y]) - mean
            found[f"{x:.1f}", f"{y:.1f}"] = float(np.exp(-0.5 * off @ inverse @ off))
    return found


@pytest.mark.parametrize("mean", [(61.5, 40.4), (49.95, 29.95), (9.9, 10.0)])
def test_a_narrow_belief_is_one_place_also_across_a_carry(mean: tuple[float, float]) -> None:
    belief = Belief(gaussian(mean, (0.5, 0.3)))
    spread = belief.spread()
    (mode,) = spread.modes
    assert mode.weight == pytest.approx(1)
    np.testing.assert_allclose(mode.mean, mean, atol=0.1)
    np.testing.assert_allclose(np.sqrt(np.diag(mode.covariance)), (0.5, 0.3), rtol=0.2)
    assert 0.95 < spread.mass <= 1
    assert belief.passes == 4


def test_two_places_are_two_modes_with_their_shares() -> None:
    left, right = gaussian((20.0, 50.0), (0.4, 0.4)), gaussian((80.0, 30.0), (0.4, 0.4))
    spread = Belief({place: 0.65 * p for place, p in left.items()} | {place: 0.35 * p for place, p in right.items()}).spread()
    assert [mode.weight for mode in spread.modes] == pytest.approx([0.65, 0.35], abs=0.02)
    np.testing.assert_allclose([mode.mean for mode in spread.modes], [(20, 50), (80, 30)], atol=0.1)


def test_x_and_y_that_move_together_are_seen_to() -> None:
    # Whole per cents are the finest that branches are followed in, so the belief is wider than one.
    for sign in (1, -1):
        (mode,) = Belief(gaussian((61.5, 44.5), (1.5, 1.5), 0.8 * sign)).spread().modes
        assert sign * mode.covariance[0, 1] > 0.5 * 1.5**2 * 0.8
        np.testing.assert_allclose(np.sqrt(np.diag(mode.covariance)), (1.5, 1.5), rtol=0.3)


def test_what_is_not_followed_is_missing_from_the_mass() -> None:
    narrow, even = gaussian((61.5, 40.4), (0.3, 0.3)), {(f"{x}.5", f"{x}.5"): 1.0 for x in range(10, 100)}
    total = sum(narrow.values())
    spread = Belief({place: 0.5 * p / total for place, p in narrow.items()} | dict.fromkeys(even, 0.5 / 90)).spread()
    assert 0.4 < spread.mass < 0.9
    assert sum(mode.weight for mode in spread.modes) == pytest.approx(1)
    np.testing.assert_allclose(spread.modes[0].mean, (61.5, 40.4), atol=0.3)


def test_without_single_digits_there_is_no_spread() -> None:
    decoder = SimpleNamespace(vocabulary=Vocabulary(0, (), chr))
    assert spread_points(decoder, SimpleNamespace(lengths=[0]), [1], [*map(ord, ' <point x="1.0" y="2.0"')]) == ()  # type: ignore[arg-type]


def test_text_without_coordinates_has_no_spread() -> None:
    belief = Belief({("1.0", "1.0"): 1.0})
    assert spread_points(belief, belief.cache, [1], [*map(ord, " There are none.")]) == ()  # type: ignore[arg-type]
