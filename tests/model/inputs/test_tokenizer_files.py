"""Distributions over a digit are told only where every number is written digit by digit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from molmo_point.model.inputs.molmo_processor import IMAGE_TOKENS, MolmoProcessor
from molmo_point.model.inputs.preprocess import ImageLayout
from molmo_point.model.inputs.tokenizer_files import single_digit_ids
from molmo_point.model.molmo_backend import MolmoBackend

IMAGE = np.random.default_rng(3).integers(0, 256, (40, 70, 3), dtype=np.uint8)


def tokenizer_with(*merges: tuple[str, str]) -> PreTrainedTokenizerFast:
    """Bytes, and whatever the merges join."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*letters, *("".join(merge) for merge in merges)])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokens = ("<|endoftext|>", *IMAGE_TOKENS, "<|image|>")
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", clean_up_tokenization_spaces=False)


def test_joined_words_leave_digits_alone() -> None:
    processor = MolmoProcessor(tokenizer_with(("p", "o"), ("=", '"')), ImageLayout())
    assert processor.decode(list(processor.digit_ids)) == "0123456789"


@pytest.mark.parametrize("pair", ["61", "00", "10", "99"])
def test_a_tokenizer_that_joins_one_pair_has_no_digits(pair: str) -> None:
    processor = MolmoProcessor(tokenizer_with((pair[0], pair[1])), ImageLayout())
    assert len(processor.encode_text(pair)) == 1 and len(processor.encode_text("7")) == 1
    assert processor.digit_ids == ()


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: [1, 2] if text == "7" else [ord(c) for c in text],
        lambda text: [5 if c in "17" else ord(c) for c in text],
        lambda text: [0, *(ord(c) for c in text)],
        lambda text: [],
    ],
)
def test_digits_that_cannot_be_told_apart_are_none(encode: Callable[[str], list[int]]) -> None:
    assert single_digit_ids(encode) == ()
    assert single_digit_ids(lambda text: [ord(c) for c in text]) == tuple(range(48, 58))


def test_answers_of_a_joining_tokenizer_carry_no_distributions(golden: Callable[[str], Any]) -> None:
    model = golden("qwen2").model()
    told = []
    for merges in ((), (("6", "1"),)):
        processor = MolmoProcessor(tokenizer_with(*merges), ImageLayout(56, 14, 0, 0))
        backend = MolmoBackend(model, processor, "tiny")
        told.append(backend.engine._vocabulary.digit_ids)
    assert len(told[0]) == 10 and told[1] == ()
