"""Packed questions: segments, positions, targets and weights as the official collator makes them."""

import json
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch

from molmo_point.finetuning.packing import IMAGE_SEGMENT, PackedRow, pack_examples, segment_mask
from molmo_point.finetuning.sample import AnswerKind, TrainingExample
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import ImageLayout

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "golden.json").read_text())
EOS = 151643


class OrdTokenizer:
    """The tokenizer that the golden cases were made with: one id per character."""

    eos_token_id = EOS

    def get_vocab(self) -> dict[str, int]:
        return dict(GOLDEN["special_ids"])

    def encode(self, text: str, add_special_tokens: bool, split_special_tokens: bool = True) -> list[int]:
        return [ord(character) for character in text]


@pytest.fixture(scope="module")
def ord_processor() -> MolmoProcessor:
    return MolmoProcessor(OrdTokenizer(), ImageLayout())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def packed(ord_processor: MolmoProcessor) -> PackedRow:
    return pack_examples(
        ord_processor, (1, 1), [TrainingExample(q, a, kind=AnswerKind.TEXT) for q, a in (("a", "b"), ("cc", "dd"))]
    )


def golden_tail() -> dict[str, np.ndarray]:
    """The end of the official row."""
    case = GOLDEN["packing_2_branches_32x32"]
    return {name: np.array(case[f"tail_{name}"]) for name in ("input", "target", "loss", "pos", "seg")}


def test_golden_case(packed: PackedRow) -> None:
    tail = golden_tail()
    n = len(tail["input"])
    np.testing.assert_array_equal(packed.input_ids[-n:], tail["input"])
    np.testing.assert_array_equal(packed.position_ids[-n:], tail["pos"])
    np.testing.assert_array_equal(packed.segments[-n:], tail["seg"])
    np.testing.assert_allclose(packed.weights[-n:], tail["loss"], atol=1e-6)
    with_loss = tail["loss"] > 0
    np.testing.assert_array_equal(packed.labels[-n:], np.where(with_loss, tail["target"], -100))
    assert with_loss.sum() == 7


def test_golden_lengths(packed: PackedRow) -> None:
    case = GOLDEN["packing_2_branches_32x32"]
    assert len(packed.input_ids) == case["n"]
    ours = sorted([int(k), len(list(group))] for k, group in groupby(packed.segments))
    assert ours == case["subsegments_runs"]
    assert packed.input_ids[0] == EOS
    assert (packed.weights[:317] == 0).all() and (packed.labels[:317] == -100).all()


def test_every_array_is_as_long_as_the_row(packed: PackedRow) -> None:
    arrays = (packed.segments, packed.position_ids, packed.labels, packed.weights)
    assert {len(array) for array in arrays} == {len(packed.input_ids)}


def test_who_sees_whom_is_the_official_rule(packed: PackedRow) -> None:
    allowed = segment_mask(torch.from_numpy(packed.segments)[None])[0, 0].numpy()
    segments = packed.segments
    for i in (0, 5, 316, 317, 337, 338, 345, 360):
        for j in (0, 5, 316, 317, 330, 337, 338, 345, 360):
            same = segments[i] == segments[j]
            image = segments[j] == IMAGE_SEGMENT
            assert allowed[i, j] == (j <= i and bool(same or image)), (i, j)


def test_padding_is_seen_by_nothing_real() -> None:
    allowed = segment_mask(torch.tensor([[IMAGE_SEGMENT, IMAGE_SEGMENT, 1, 1, 0, 0]]))[0, 0]
    assert not allowed[:4, 4:].any()
    assert allowed.diagonal().all()  # a row that sees nothing would be NaN
