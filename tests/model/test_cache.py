"""One answer whatever the route: cached, in chunks, padded, packed, with transformers' own generation."""

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import DynamicCache, StaticCache

from molmo_point.finetuning.packing import segment_mask
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.decoding.greedy import Generated, greedy

GOAL = 3e-5
FLAVORS = ("qwen2", "olmo", "olmoe")
IMAGE_NAMES = ("images", "image_masks", "image_input_idx")


@pytest.fixture
def case(golden: Callable[[str], Any]) -> Any:
    return golden("qwen2")


def in_pieces(model: MolmoForCausalLM, inputs: dict[str, torch.Tensor], lengths: list[int], cache: Any = None) -> torch.Tensor:
    """Logits of a sequence fed piece by piece; the image comes with the first piece."""
    cache = DynamicCache(config=model.config) if cache is None else cache
    start, logits = 0, []
    for length in lengths:
        piece = {"input_ids": inputs["input_ids"][:, start : start + length]}
        if start == 0:
            piece |= {name: inputs[name] for name in IMAGE_NAMES}
        logits.append(model(**piece, past_key_values=cache).logits)
        start += length
    assert start == inputs["input_ids"].shape[1] and cache.get_seq_length() == start
    return torch.cat(logits, dim=1)


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("lengths", [[20] + [1] * 20, [17, 13, 10], [13, 1, 25, 1], [40]])
def test_cache_and_chunks_give_the_same_logits(golden: Callable[[str], Any], flavor: str, lengths: list[int]) -> None:
    case = golden(flavor)
    with torch.inference_mode():
        torch.testing.assert_close(in_pieces(case.model(), case.inputs, lengths), case.logits, rtol=0, atol=GOAL)


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("places", [40, 64])
def test_a_preallocated_cache_gives_the_same_logits(golden: Callable[[str], Any], flavor: str, places: int) -> None:
    case = golden(flavor)
    model = case.model()
    for lengths in ([40], [17, 13, 10], [38, 1, 1]):
        cache = StaticCache(config=model.config, max_cache_len=places)
        with torch.inference_mode():
            torch.testing.assert_close(in_pieces(model, case.inputs, lengths, cache), case.logits, rtol=0, atol=GOAL)


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


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(golden: Callable[[str], Any], flavor: str, side: str) -> None:
    case = golden(flavor)
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


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("with_mask", [True, False])
def test_ids_of_minus_one_are_padding(case: Any, side: str, with_mask: bool) -> None:
    batch, real = padded_pair(case.inputs, 26, side)
    batch["input_ids"] = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -1)
    if not with_mask:  # the official collator writes none
        batch.pop("attention_mask")
    with torch.inference_mode():
        logits = case.model()(**batch).logits
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits[1, real], case.logits[0, :26], rtol=0, atol=GOAL)


def test_padding_in_the_cache_stays_masked(case: Any) -> None:
    model = case.model()
    batch, real = padded_pair(case.inputs, 26, "left")
    mask = batch["attention_mask"]
    for cache in (DynamicCache(config=model.config), StaticCache(config=model.config, max_cache_len=50)):
        with torch.inference_mode():
            first = {k: batch[k] for k in IMAGE_NAMES} | {"input_ids": batch["input_ids"][:, :30]}
            out = [model(**first, attention_mask=mask[:, :30], past_key_values=cache).logits]
            for start, end in ((30, 39), (39, 40)):
                piece = {"input_ids": batch["input_ids"][:, start:end], "attention_mask": mask[:, :end]}
                out.append(model(**piece, past_key_values=cache).logits)
        logits = torch.cat(out, 1)
        torch.testing.assert_close(logits[0], case.logits[0], rtol=0, atol=GOAL)
        torch.testing.assert_close(logits[1, real], case.logits[0, :26], rtol=0, atol=GOAL)


@pytest.mark.parametrize("pixel", [-1.0, 0.3, float("nan")])
def test_padding_crops_change_nothing(case: Any, pixel: float) -> None:
    pad = {"images": pixel, "image_masks": -1.0, "image_input_idx": -100}
    more = {k: torch.cat([torch.full_like(case.inputs[k][:, :2], v), case.inputs[k]], 1) for k, v in pad.items()}
    with torch.inference_mode():
        logits = case.model()(**(case.inputs | more)).logits
    torch.testing.assert_close(logits, case.logits, rtol=0, atol=GOAL)


def test_padding_crops_are_not_run(case: Any) -> None:
    model, crops = case.model(), []
    model.model.vision_backbone.image_vit.register_forward_hook(lambda _m, args, _o: crops.append(len(args[0])))
    pad = {"images": -1.0, "image_masks": -1.0, "image_input_idx": -100}
    more = {k: torch.cat([case.inputs[k], torch.full_like(case.inputs[k], v)], 1) for k, v in pad.items()}
    nothing = {k: torch.full_like(case.inputs[k], v) for k, v in pad.items()}
    with torch.inference_mode():
        model(**(case.inputs | more))
        without = model(**(case.inputs | nothing)).logits
        text = model(input_ids=case.inputs["input_ids"]).logits
    assert crops == [3]
    torch.testing.assert_close(without, text, rtol=0, atol=0)


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("cache", [None, "static"])
def test_a_left_padded_batch_generates_what_each_would_alone(
    golden: Callable[[str], Any], flavor: str, cache: str | None
) -> None:
    case = golden(flavor)
    model = case.model()
    batch, _ = padded_pair(case.inputs, 26, "left")
    options: dict[str, Any] = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0}
    together = model.generate(**batch, **options, cache_implementation=cache)[:, 40:]
    short = case.inputs | {"input_ids": case.inputs["input_ids"][:, :26]}
    assert together[0].tolist() == model.generate(**case.inputs, **options)[0, 40:].tolist()
    assert together[1].tolist() == model.generate(**short, **options)[0, 26:].tolist()


@pytest.mark.parametrize("flavor", FLAVORS)
def test_every_way_of_generating_gives_the_same_tokens(golden: Callable[[str], Any], flavor: str) -> None:
    case = golden(flavor)
    model = case.model()
    options: dict[str, Any] = {"max_new_tokens": 8, "do_sample": False}
    expected = model.generate(**case.inputs, **options, use_cache=False)
    for way in ({}, {"cache_implementation": "static"}, {"cache_implementation": "dynamic"}):
        assert torch.equal(model.generate(**case.inputs, **options, **way), expected)
    with_mask = model.generate(**case.inputs, **options, attention_mask=torch.ones(1, 40, dtype=torch.long))
    assert torch.equal(with_mask, expected)
    beams = [model.generate(**case.inputs, **options, num_beams=3, use_cache=use) for use in (True, False)]
    assert torch.equal(*beams)


def test_a_mask_of_numbers_to_add_is_read_as_such(case: Any) -> None:
    pattern = torch.ones(1, 1, 40, 40).tril().bool()
    pattern[..., 3] = False
    pattern[..., 3, 3] = True
    added = torch.zeros(1, 1, 40, 40).masked_fill(~pattern, torch.finfo(torch.float32).min)
    with torch.inference_mode():
        as_bool, as_numbers = (case.model()(**case.inputs, attention_mask=mask).logits for mask in (pattern, added))
    torch.testing.assert_close(as_bool, as_numbers, rtol=0, atol=0)
    assert float((as_bool - case.logits).abs().max()) > 1e-3


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
    return deque(greedy(case.model(), case.inputs, eos, count, **options), maxlen=1).pop()


@pytest.mark.parametrize("flavor", FLAVORS)
def test_greedy_is_what_transformers_generates(golden: Callable[[str], Any], flavor: str) -> None:
    case = golden(flavor)
    expected = case.model().generate(**case.inputs, max_new_tokens=12, do_sample=False)[0, 40:].tolist()
    out = run_greedy(case, count=12)
    assert out.token_ids == expected
    assert out.finish_reason == "length"
    if flavor == "qwen2":
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
    told: list[list[int]] = []
    for out in greedy(case.model(), case.inputs, -1, 8):
        told.append(list(out.token_ids))
        if len(told) == 3:
            break
    assert told == [[8], [8, 224], [8, 224, 8]]
    assert (len(out.probabilities), out.finish_reason) == (3, "")


@pytest.mark.parametrize("count", [0, 1, 4])
def test_no_more_work_is_done_than_asked_for(case: Any, count: int) -> None:
    model, calls = case.model(), []
    model.register_forward_hook(lambda *_: calls.append(1))
    out = deque(greedy(model, case.inputs, -1, count), maxlen=1).pop()
    assert (len(out.token_ids), out.finish_reason) == (count, "length")
    assert len(calls) == max(count, 1)
    assert out.prefill_ms > 0 and out.decode_ms >= 0
