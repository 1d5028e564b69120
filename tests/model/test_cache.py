"""One answer whatever the route: cached, in chunks, padded, packed, with transformers' own generation."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import DynamicCache

from molmo_point.model.generate import Generated, greedy
from molmo_point.model.molmo import MolmoForCausalLM
from molmo_point.model.processing import ModelInputs
from molmo_point.training.packing import segment_mask

GOAL = 3e-5
FLAVOURS = ("qwen2", "olmo", "olmoe")
IMAGE_NAMES = ("images", "image_masks", "image_input_idx")


@pytest.fixture
def case(golden: Callable[[str], Any]) -> Any:
    return golden("qwen2")


def in_pieces(model: MolmoForCausalLM, inputs: dict[str, torch.Tensor], lengths: list[int]) -> torch.Tensor:
    """Logits of a sequence fed piece by piece; the image comes with the first piece."""
    cache = DynamicCache(config=model.config)
    start, logits = 0, []
    for length in lengths:
        piece = {"input_ids": inputs["input_ids"][:, start : start + length]}
        if start == 0:
            piece |= {name: inputs[name] for name in IMAGE_NAMES}
        logits.append(model(**piece, past_key_values=cache).logits)
        start += length
    assert start == inputs["input_ids"].shape[1] and cache.get_seq_length() == start
    return torch.cat(logits, dim=1)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("lengths", [[20] + [1] * 20, [17, 13, 10], [13, 1, 25, 1], [40]])
def test_cache_and_chunks_give_the_same_logits(golden: Callable[[str], Any], flavour: str, lengths: list[int]) -> None:
    case = golden(flavour)
    with torch.inference_mode():
        torch.testing.assert_close(in_pieces(case.model(), case.inputs, lengths), case.logits, rtol=0, atol=GOAL)


def test_a_wrong_position_would_be_noticed(case: Any) -> None:
    model, ids = case.model(), case.inputs["input_ids"]
    with torch.inference_mode():
        right = model(**case.inputs, position_ids=torch.arange(40)[None]).logits
        # Rotary attention knows differences of positions alone: all shifted is the same, one shifted is not.
        shifted = model(**case.inputs, position_ids=torch.arange(40)[None] + 9).logits
        one = torch.arange(40)[None].clone()
        one[0, -1] += 1
        off = model(**case.inputs, position_ids=one).logits
    assert ids.shape == (1, 40)
    torch.testing.assert_close(right, case.logits, rtol=0, atol=GOAL)
    torch.testing.assert_close(shifted, case.logits, rtol=0, atol=1e-4)
    assert float((off[0, -1] - case.logits[0, -1]).abs().max()) > 1e-3


def test_only_the_asked_logits_are_made(case: Any) -> None:
    with torch.inference_mode():
        for keep in (1, 7):
            logits = case.model()(**case.inputs, logits_to_keep=keep).logits
            assert logits.shape == (1, keep, 320)
            torch.testing.assert_close(logits, case.logits[:, -keep:], rtol=0, atol=GOAL)


# --- Padding ----------------------------------------------------------------------------------------------------


def padded_pair(inputs: dict[str, torch.Tensor], short: int, side: str) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """A batch of the whole sequence and its first ``short`` tokens; (inputs, real tokens of the short one)."""
    ids, missing = inputs["input_ids"], 40 - short
    shift = missing if side == "left" else 0
    row, mask = torch.full_like(ids, 7), torch.zeros_like(ids)
    real = torch.arange(short) + shift
    row[0, real], mask[0, real] = ids[0, :short], 1
    places = inputs["image_input_idx"]
    batch = {
        "input_ids": torch.cat([ids, row]),
        "attention_mask": torch.cat([torch.ones_like(mask), mask]),
        "images": torch.cat([inputs["images"]] * 2),
        "image_masks": torch.cat([inputs["image_masks"]] * 2),
        "image_input_idx": torch.cat([places, torch.where(places >= 0, places + shift, places)]),
    }
    return batch, real


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(case: Any, side: str) -> None:
    batch, real = padded_pair(case.inputs, 26, side)
    with torch.inference_mode():
        logits = case.model()(**batch).logits
        # What stands in the padding must not matter either.
        padding = batch["attention_mask"] == 0
        other = case.model()(**(batch | {"input_ids": batch["input_ids"].masked_fill(padding, 201)})).logits
        unmasked = case.model()(**{k: v for k, v in batch.items() if k != "attention_mask"}).logits
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits[0], case.logits[0], rtol=0, atol=GOAL)
    torch.testing.assert_close(logits[1, real], case.logits[0, :26], rtol=0, atol=GOAL)
    torch.testing.assert_close(other[1, real], case.logits[0, :26], rtol=0, atol=GOAL)
    if side == "left":
        assert float((unmasked[1, real] - case.logits[0, :26]).abs().max()) > 1e-3


def test_padded_ids_of_minus_one_as_the_official_collator_writes_them(case: Any) -> None:
    batch, real = padded_pair(case.inputs, 26, "right")
    batch["input_ids"] = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -1)
    with torch.inference_mode():
        logits = case.model()(**batch).logits
    torch.testing.assert_close(logits[1, real], case.logits[0, :26], rtol=0, atol=GOAL)


def test_padding_crops_change_nothing(case: Any) -> None:
    pad = {"images": -1.0, "image_masks": -1.0, "image_input_idx": -100}
    more = {k: torch.cat([case.inputs[k], torch.full_like(case.inputs[k][:, :2], v)], 1) for k, v in pad.items()}
    with torch.inference_mode():
        logits = case.model()(**(case.inputs | more)).logits
    torch.testing.assert_close(logits, case.logits, rtol=0, atol=GOAL)


def test_a_left_padded_batch_generates_what_each_would_alone(case: Any) -> None:
    model = case.model()
    batch, _ = padded_pair(case.inputs, 26, "left")
    options: dict[str, Any] = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0}
    together = model.generate(**batch, **options)[:, 40:]
    short = case.inputs | {"input_ids": case.inputs["input_ids"][:, :26]}
    assert together[0].tolist() == model.generate(**case.inputs, **options)[0, 40:].tolist()
    assert together[1].tolist() == model.generate(**short, **options)[0, 26:].tolist()


# --- Packing ----------------------------------------------------------------------------------------------------


def test_packed_questions_answer_as_if_alone(case: Any) -> None:
    model, ids = case.model(), case.inputs["input_ids"][0]
    # The image takes the first 13 places, the questions follow.
    questions = [ids[13:22], ids[22:36], ids[36:40]]
    row = torch.cat([ids[:13], *questions])[None]
    segments = torch.cat([torch.full((13,), 10_000)] + [torch.full((len(q),), k) for k, q in enumerate(questions, 1)])
    positions = torch.cat([torch.arange(13), *(torch.arange(13, 13 + len(q)) for q in questions)])[None]
    images = {name: case.inputs[name] for name in IMAGE_NAMES}
    mask = segment_mask(segments[None])
    with torch.inference_mode():
        packed = model(input_ids=row, attention_mask=mask, position_ids=positions, **images).logits[0]
        alone = [model(input_ids=torch.cat([ids[:13], q])[None], **images).logits[0, 13:] for q in questions]
        leaking = model(input_ids=row, position_ids=positions, **images).logits[0]
    torch.testing.assert_close(packed[13:], torch.cat(alone), rtol=0, atol=GOAL)
    assert float((leaking[22:] - torch.cat(alone)[9:]).abs().max()) > 1e-3


# --- Generation -------------------------------------------------------------------------------------------------


def run_greedy(case: Any, eos: int = -1, count: int = 8, **options: Any) -> Generated:
    with torch.inference_mode():
        return greedy(case.model(), ModelInputs(**case.inputs), eos, count, **options)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_greedy_is_what_transformers_generates(golden: Callable[[str], Any], flavour: str) -> None:
    case = golden(flavour)
    expected = case.model().generate(**case.inputs, max_new_tokens=12, do_sample=False)[0, 40:].tolist()
    out = run_greedy(case, count=12)
    assert out.token_ids == expected
    assert out.finish_reason == "length"
    if flavour == "qwen2":
        assert out.token_ids[:5] == [8, 224, 8, 224, 181]


def test_probabilities_are_the_softmax_of_the_whole_sequence(case: Any) -> None:
    out = run_greedy(case, count=6)
    with torch.inference_mode():
        ids = torch.cat([case.inputs["input_ids"], torch.tensor([out.token_ids])], 1)
        logits = case.model()(**(case.inputs | {"input_ids": ids})).logits[0, 39:-1]
    chosen = logits.softmax(-1)[torch.arange(6), torch.tensor(out.token_ids)]
    assert out.probabilities == pytest.approx(chosen.tolist(), abs=1e-5)
    assert all(0 < p <= 1 for p in out.probabilities)


def test_digits_come_with_the_probabilities_of_all_digits(case: Any) -> None:
    digit_ids = (224, 3, 5, 11, 12, 13, 14, 15, 16, 181)
    out = run_greedy(case, count=5, digit_ids=digit_ids)
    assert out.token_ids == [8, 224, 8, 224, 181]
    assert [len(d) for d in out.digit_probabilities] == [0, 10, 0, 10, 10]
    for place in (1, 3, 4):
        of_all = out.digit_probabilities[place]
        assert of_all[digit_ids.index(out.token_ids[place])] == max(of_all) == pytest.approx(out.probabilities[place])
        assert sum(of_all) < 1
    assert run_greedy(case, count=2).digit_probabilities == [(), ()]


def test_end_of_sequence_stops_and_is_left_out(case: Any) -> None:
    out = run_greedy(case, eos=181)
    assert (out.token_ids, out.finish_reason) == ([8, 224, 8, 224], "stop")
    first = run_greedy(case, eos=8)
    assert (first.token_ids, first.probabilities, first.finish_reason) == ([], [], "stop")


def test_every_token_is_told_as_it_comes_and_cancelling_keeps_what_there_is(case: Any) -> None:
    told: list[int] = []
    out = run_greedy(case, on_token=told.append, should_stop=lambda: len(told) == 3)
    assert out.finish_reason == "cancelled"
    assert out.token_ids == told == [8, 224, 8]
    assert len(out.probabilities) == 3
    at_once = run_greedy(case, should_stop=lambda: True)
    assert (at_once.token_ids, at_once.finish_reason) == ([], "cancelled")


@pytest.mark.parametrize("count", [0, 1, 4])
def test_no_more_work_is_done_than_asked_for(case: Any, count: int) -> None:
    model, calls = case.model(), []
    model.register_forward_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        out = greedy(model, ModelInputs(**case.inputs), -1, count)
    assert (len(out.token_ids), out.finish_reason) == (count, "length")
    assert len(calls) == max(count, 1)
    assert out.prefill_ms > 0 and out.decode_ms >= 0
