"""Drafted decoding gives what plain greedy decoding gives: tokens, probabilities, and why it ended."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from molmo_point.errors import InputError
from molmo_point.model.decoding.decoder import Decoder, Row, Vocabulary
from molmo_point.model.decoding.drafts import Drafter
from molmo_point.model.decoding.kv_cache import KeyValueCache
from molmo_point.model.decoding.templates import ExpectedAnswer
from molmo_point.model.decoding.token_tree import TokenTree

FLAVORS = ("qwen2", "olmo", "olmoe")
IMAGE_NAMES = ("images", "image_masks", "image_input_idx")
DIGITS = (8, 224, 181, 3, 5, 11, 12, 13, 14, 15)  # of the random models: tokens that they do say
COUNT = 24


class NoisyDrafter:
    """Drafts what will come, cut somewhere, among branches that leave it at every place."""

    def __init__(self, truth: Sequence[int], seed: int, eos_id: int = -1) -> None:
        self.truth, self.rng, self.eos_id = [*truth, max(eos_id, 0)], np.random.default_rng(seed), eos_id

    def draft(self, ids: Sequence[int], text: str) -> TokenTree:
        tree = TokenTree(int(self.rng.integers(1, 30)))
        ahead = self.truth[len(ids) :]
        chains = []
        for _ in range(int(self.rng.integers(0, 6))):
            chain = ahead[: int(self.rng.integers(0, 7))]
            if chain and self.rng.random() < 0.6:
                chain[int(self.rng.integers(len(chain)))] = int(self.rng.integers(0, 300))
            chains.append([*chain, *self.rng.integers(0, 300, int(self.rng.integers(0, 3))).tolist()])
        for chain in chains:
            tree.add(chain)
        return tree


def vocabulary_of(eos_id: int, absent: tuple[int, ...] = ()) -> Vocabulary:
    return Vocabulary(eos_id, DIGITS, lambda token: f"<{token}>", absent)


@pytest.fixture(scope="module")
def cases(golden: Callable[[str], Any], greedy_reference: Any) -> dict[str, Any]:
    """For each flavor the case, its model and what plain greedy decoding says."""
    found = {}
    for flavor in FLAVORS:
        case = golden(flavor)
        model = case.model()
        found[flavor] = (case, model, greedy_reference(model, case.inputs, -1, COUNT))
    return found


def decode(case: Any, model: Any, drafter: Any, eos_id: int = -1, count: int = COUNT, **options: Any) -> Row:
    row = Row(case.inputs["input_ids"][0].tolist(), drafter, count, **options)
    list(Decoder(model, vocabulary_of(eos_id)).run([row], KeyValueCache(110), {name: case.inputs[name] for name in IMAGE_NAMES}))
    return row


@pytest.mark.parametrize("flavor", FLAVORS)
def test_whatever_is_drafted_the_answer_is_greedy(cases: Any, flavor: str, assert_same: Any) -> None:
    case, model, plain = cases[flavor]
    assert_same(decode(case, model, None), plain, DIGITS)
    assert len(set(plain.ids)) > 2
    accepted = []
    for seed in range(8):
        row = decode(case, model, NoisyDrafter(plain.ids, seed))
        assert_same(row, plain, DIGITS)
        assert row.passes + 1 + row.accepted == len(row.token_ids)
        accepted.append(row.accepted)
    assert min(accepted) >= 3


def test_the_reference_is_that_of_transformers(cases: Any) -> None:
    case, model, plain = cases["qwen2"]
    assert model.generate(**case.inputs, max_new_tokens=COUNT, do_sample=False)[0, 40:].tolist() == plain.ids


def test_the_end_of_sequence_may_be_drafted_and_is_left_out(cases: Any, greedy_reference: Any, assert_same: Any) -> None:
    case, model, plain = cases["qwen2"]
    for eos_id in (plain.ids[0], 181):
        expected = greedy_reference(model, case.inputs, eos_id, COUNT)
        assert expected.reason == "stop" and len(expected.ids) == plain.ids.index(eos_id)
        for seed in range(6):
            row = decode(case, model, NoisyDrafter(expected.ids, seed, eos_id), eos_id)
            assert_same(row, expected, DIGITS)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_not_a_token_more_than_asked_for(cases: Any, count: int) -> None:
    case, model, plain = cases["olmo"]
    for drafter in (None, *(NoisyDrafter(plain.ids, seed) for seed in range(3))):
        row = decode(case, model, drafter, count=count)
        assert (row.token_ids, row.finish_reason) == (plain.ids[:count], "length")
        assert len(row.probabilities) == len(row.digit_probabilities) == count


def test_ends_that_the_caller_asks_for(cases: Any) -> None:
    case, model, plain = cases["qwen2"]
    drafted = [plain.ids[i : i + 5] for i in range(COUNT)]

    class Ahead:
        def draft(self, ids: Sequence[int], text: str) -> TokenTree:
            tree = TokenTree()
            tree.add(drafted[len(ids)])
            return tree

    row = Row(case.inputs["input_ids"][0].tolist(), Ahead(), COUNT)
    image = {name: case.inputs[name] for name in IMAGE_NAMES}
    passes = Decoder(model, vocabulary_of(-1)).run([row], KeyValueCache(110), image)
    grown = [len(row.token_ids) for _ in passes]
    assert grown == [6, 12, 18, 24] and row.passes == 3
    assert row.passes_at == [i // 6 for i in range(COUNT)]
    assert (row.drafted, row.accepted) == (20, 20)


@pytest.mark.parametrize("after", [1, 3])
def test_a_caller_that_asks_for_no_further_pass_keeps_what_there_is(cases: Any, after: int) -> None:
    case, model, plain = cases["qwen2"]
    image = {name: case.inputs[name] for name in IMAGE_NAMES}
    row = Row(case.inputs["input_ids"][0].tolist(), None, COUNT)
    passes = Decoder(model, vocabulary_of(-1)).run([row], KeyValueCache(110), image)
    for _ in range(after):
        next(passes)
    passes.close()
    assert (row.token_ids, row.finish_reason) == (plain.ids[:after], "")


def test_a_cache_that_is_too_small_is_a_clear_error(cases: Any) -> None:
    case, model, plain = cases["qwen2"]
    row = Row(case.inputs["input_ids"][0].tolist(), NoisyDrafter(plain.ids, 0), COUNT)
    with pytest.raises(InputError, match="cache"):
        list(Decoder(model, vocabulary_of(-1)).run([row], KeyValueCache(50), {name: case.inputs[name] for name in IMAGE_NAMES}))


def test_the_probability_that_nothing_is_there(cases: Any) -> None:
    case, model, plain = cases["qwen2"]
    for drafter in (None, NoisyDrafter(plain.ids, 3)):
        row = Row(case.inputs["input_ids"][0].tolist(), drafter, 4)
        decoder = Decoder(model, vocabulary_of(-1, absent=(8, 17)))
        assert np.isnan(row.absent_probability)
        list(decoder.run([row], KeyValueCache(110), {name: case.inputs[name] for name in IMAGE_NAMES}))
        assert row.absent_probability == pytest.approx(float(plain.distributions[0][[8, 17]].sum()), abs=1e-6)
        # Watching more than digits must not shift the digits.
        assert row.digit_probabilities[0] == pytest.approx(plain.distributions[0][list(DIGITS)].tolist(), abs=1e-6)


def test_no_digits_where_the_tokenizer_joins_them(cases: Any) -> None:
    case, model, plain = cases["qwen2"]
    row = Row(case.inputs["input_ids"][0].tolist(), None, 4)
    list(Decoder(model, Vocabulary(-1, (), str)).run([row], KeyValueCache(60), {name: case.inputs[name] for name in IMAGE_NAMES}))
    assert (row.token_ids, row.digit_probabilities) == (plain.ids[:4], [()] * 4)


# --- Batches ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavor", ["qwen2", "olmoe"])
def test_questions_that_share_an_image_are_answered_as_if_alone(
    cases: Any, greedy_reference: Any, flavor: str, assert_same: Any
) -> None:
    case, model, _ = cases[flavor]
    ids = case.inputs["input_ids"][0].tolist()
    questions = [ids[14:22], ids[22:23], ids[23:40], ids[14:16]]
    budgets = (12, 9, 17, 14)
    plains, ends = [], []
    for question, budget in zip(questions, budgets):
        inputs = case.inputs | {"input_ids": torch.tensor([[*ids[:14], *question]])}
        plains.append(greedy_reference(model, inputs, -1, budget))
        ends.append(plains[-1].ids)
    # One of them ends by itself, in the middle of the others.
    eos_id = next(t for t in ends[2][3:] if t not in ends[2][:3])
    plains = [
        greedy_reference(model, case.inputs | {"input_ids": torch.tensor([[*ids[:14], *q]])}, eos_id, b)
        for q, b in zip(questions, budgets)
    ]
    assert "stop" in {p.reason for p in plains}
    read = KeyValueCache(14)
    decoder = Decoder(model, vocabulary_of(eos_id))
    decoder.read(ids[:14], read, {name: case.inputs[name] for name in IMAGE_NAMES})
    for seed in range(3):
        rows = [
            Row(list(q), NoisyDrafter(p.ids, seed + i, eos_id) if i != 1 else None, b)
            for i, (q, b, p) in enumerate(zip(questions, budgets, plains))
        ]
        list(decoder.run(rows, read.forked(4, 14, 90)))
        for row, plain in zip(rows, plains):
            assert_same(row, plain, DIGITS)
    assert read.lengths == [14]


def test_images_of_their_own_in_one_batch(cases: Any, greedy_reference: Any, assert_same: Any) -> None:
    case, model, plain = cases["qwen2"]
    ids = case.inputs["input_ids"][0].tolist()
    other = case.inputs | {"images": case.inputs["images"].flip(2), "input_ids": torch.tensor([ids[:29]])}
    expected = [plain, greedy_reference(model, other, -1, COUNT)]
    assert expected[0].ids != expected[1].ids
    rows = [Row(ids, NoisyDrafter(expected[0].ids, 1), COUNT), Row(ids[:29], NoisyDrafter(expected[1].ids, 2), COUNT)]
    images = {name: torch.cat([case.inputs[name], other[name]]) for name in IMAGE_NAMES}
    list(Decoder(model, vocabulary_of(-1)).run(rows, KeyValueCache(120, rows=2), images))
    for row, one in zip(rows, expected):
        assert_same(row, one, DIGITS)


# --- Real drafts, garbage answers -------------------------------------------------------------------------------


def test_a_model_that_talks_garbage_is_believed(cases: Any, released: Any, assert_same: Any) -> None:
    case, model, plain = cases["qwen2"]
    texts = released.token_text
    # The model's 320 tokens read as the first of the recording, those that it has none for as nothing.
    words = [texts(i) if i < released.size else "" for i in range(320)]

    def encode(text: str) -> list[int]:
        return [i for i in released.encode(text) if i < 320]

    lasts = ("", " There are none.", ' <point x="61.5" y="40.4" alt="red mug">red mug</point>')
    for request in (ExpectedAnswer("pointing", "red mug"), ExpectedAnswer("counting", "dogs"), ExpectedAnswer()):
        for last in lasts:
            drafter = Drafter(encode, words.__getitem__, request, DIGITS, last)
            row = Row(case.inputs["input_ids"][0].tolist(), drafter, COUNT)
            decoder = Decoder(model, Vocabulary(-1, DIGITS, words.__getitem__))
            list(decoder.run([row], KeyValueCache(200), {name: case.inputs[name] for name in IMAGE_NAMES}))
            assert_same(row, plain, DIGITS)
            assert row.accepted < 12
