"""The naive reference wastes time, not accuracy: its logits and tokens are the model's."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.decoding.material import pointing
from benchmarks.decoding.naive import NaiveMolmo, Wastes
from benchmarks.decoding.naive_image import official_prepare
from benchmarks.decoding.paths import generate_answer, ladder, naive_answer
from molmo_point.model.inputs.preprocess import ImageLayout, prepare_image

ALL_OFF = dict.fromkeys(("embedding", "cache", "bias", "vision", "connector", "image"), False)
SWITCHES = [Wastes(), Wastes(**ALL_OFF), *(Wastes(**(ALL_OFF | {name: True})) for name in ALL_OFF)]


@pytest.mark.parametrize("flavor", ["qwen2", "olmo", "olmoe"])
@pytest.mark.parametrize("wastes", [Wastes(), Wastes(**ALL_OFF)], ids=["naive", "lean"])
def test_logits_are_those_of_the_official_code(golden: Callable[[str], Any], flavor: str, wastes: Wastes) -> None:
    """Step by step after a prefill with the image, against our model, which is tested against the golden ones."""
    case = golden(flavor)
    model, ids = case.model(), case.inputs["input_ids"][:1]
    image = {name: case.inputs[name][:1] for name in ("images", "image_masks", "image_input_idx")}
    with torch.inference_mode():
        expected = model(input_ids=ids, **image).logits[0]
    naive = NaiveMolmo(model, wastes, capacity=ids.shape[1] + 1)
    first = ids.shape[1] - 3
    np.testing.assert_allclose(naive.logits(ids[:, :first], image)[0], expected[first - 1], rtol=0, atol=1e-4)
    for place in range(first, ids.shape[1]):
        np.testing.assert_allclose(naive.logits(ids[:, place : place + 1])[0], expected[place], rtol=0, atol=1e-4)
    naive.reset()
    np.testing.assert_allclose(naive.logits(ids[:, :first], image)[0], expected[first - 1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("wastes", SWITCHES, ids=[str([k for k, v in vars(w).items() if v]) for w in SWITCHES])
def test_every_switch_leaves_the_tokens(subject: Any, picture: np.ndarray, wastes: Wastes) -> None:
    plain = generate_answer(subject, picture, pointing("the red things"), 12)
    naive = naive_answer(subject, NaiveMolmo(subject.model, wastes, 512), picture, pointing("the red things"), 12)
    assert naive.token_ids == plain.token_ids
    assert len(naive.token_ids) >= 4
    assert naive.passes == plain.passes


def test_the_wastes_are_there(subject: Any, monkeypatch: pytest.MonkeyPatch, picture: np.ndarray) -> None:
    """Counted where they happen: tables joined in every pass, the dead block run, the static cache untouched."""
    joined, blocks, original = [], [], torch.cat
    table = subject.model.model.transformer["wte"]
    last = subject.model.model.vision_backbone.image_vit.transformer.resblocks[-1]
    hook = last.register_forward_hook(lambda *_: blocks.append(1))

    def cat(tensors: Any, *args: Any, **options: Any) -> torch.Tensor:
        joined.append(tensors[0] is table.embedding)
        return original(tensors, *args, **options)

    monkeypatch.setattr(torch, "cat", cat)
    counts = {}
    for name, wastes in (("naive", Wastes()), ("lean", Wastes(**ALL_OFF))):
        joined.clear()
        blocks.clear()
        out = naive_answer(subject, NaiveMolmo(subject.model, wastes, 512), picture, pointing("the red things"), 5)
        counts[name] = sum(joined), len(blocks), out.passes
    hook.remove()
    assert counts["naive"] == (5, 1, 4)
    assert counts["lean"] == (0, 0, 4)


def test_the_ladder_takes_one_waste_a_rung(subject: Any) -> None:
    rungs = [naive.wastes for _, naive in ladder(subject, 64)]
    assert rungs[0] == Wastes() and rungs[-1] == Wastes(**ALL_OFF)
    for above, below in pairwise(rungs):
        assert sum(a != b for a, b in zip(vars(above).values(), vars(below).values())) == 1


@pytest.mark.parametrize("size", [(720, 1280), (480, 640), (300, 200), (33, 500)])
@pytest.mark.parametrize("max_crops", [12, 0])
def test_the_official_recipe_gives_our_crops(size: tuple[int, int], max_crops: int) -> None:
    image = np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)
    layout = ImageLayout(max_crops=max_crops)
    theirs, ours = official_prepare(image, layout), prepare_image(image, layout)
    assert theirs.tiling == ours.tiling
    np.testing.assert_allclose(theirs.images, ours.images, rtol=0, atol=2e-5)
    np.testing.assert_allclose(theirs.image_masks, ours.image_masks, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(theirs.image_input_idx, ours.image_input_idx)
