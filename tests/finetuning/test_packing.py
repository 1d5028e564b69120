"""Packed questions: segments, positions, targets and weights as the official collator makes them."""

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from molmo_point.finetuning.packing import IMAGE_SEGMENT, PackedRow, pack_examples, segment_mask
from molmo_point.finetuning.queries import Example
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

    def __call__(self, text: str, add_special_tokens: bool, return_offsets_mapping: bool) -> dict[str, Any]:
        return {"input_ids": self.encode(text, False), "offset_mapping": [(i, i + 1) for i in range(len(text))]}


@pytest.fixture(scope="module")
def ord_processor() -> MolmoProcessor:
    return MolmoProcessor(OrdTokenizer(), ImageLayout())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def packed(ord_processor: MolmoProcessor) -> PackedRow:
    return pack_examples(ord_processor, (1, 1), [Example("a", "b", ()), Example("cc", "dd", ())])


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
    assert packed.coordinates.shape == (0, 5)


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


def test_coordinates_are_the_characters_of_the_numbers(ord_processor: MolmoProcessor) -> None:
    answer = '<points x1="5.0" y1="100.0" x2="61.5" y2="40.4" alt="x9">x9</points>'
    row = pack_examples(ord_processor, (0, 0), [Example("q", "There are none.", ()), Example("p", answer, (3, 1))])
    read: dict[tuple[int, int], str] = {}
    for place, target, axis, value, character in row.coordinates:
        key = (int(target), int(axis))
        assert character == len(read.get(key, ""))
        # The place *before* a character predicts it.
        assert row.labels[place] == row.input_ids[place + 1]
        read[key] = read.get(key, "") + chr(row.labels[place])
        assert value == round(float({(3, 0): "5.0", (3, 1): "100.0", (1, 0): "61.5", (1, 1): "40.4"}[key]) * 10)
    assert read == {(3, 0): "5.0", (3, 1): "100.0", (1, 0): "61.5", (1, 1): "40.4"}


def test_real_tokenizer_gives_one_place_a_character(processor: MolmoProcessor) -> None:
    answer = '<point x="61.5" y="100.0" alt="red cube">red cube</point>'
    row = pack_examples(processor, (0, 0), [Example("Point to the red cube", answer, (0,))])
    text = "".join(processor.decode([int(row.labels[place])]) for place in row.coordinates[:, 0])
    assert text == "61.5100.0"
    targets = row.labels[row.labels >= 0].tolist()
    assert targets[-1] == processor.eos_id
    assert processor.decode(targets) == f" {answer}"
    assert row.weights[row.weights > 0].tolist() == [1.0] * len(targets)


def test_mentions_end_where_the_words_do(processor: MolmoProcessor) -> None:
    near = Example(
        "Point to the red cube left of the red ball", "There are none.", (), mentions=(("red ball", (2, 4)), ("red cube", (0,)))
    )
    row = pack_examples(processor, (0, 0), [Example("Point to it", "There are none.", ()), near])
    assert row.mentions[:, 1].tolist() == [2, 4, 0]
    for place, target in row.mentions:
        told = processor.decode(row.input_ids[: place + 1].tolist())
        assert told.endswith("the red cube" if target == 0 else "left of the red ball")
        assert row.segments[place] == 2
