"""The embedded model's answers about simulated scenes: whatever is drafted, those of plain greedy decoding."""

from typing import Any

import numpy as np
import pytest
import torch

from molmo_point.model.decoding.decoder import Decoder, Row
from molmo_point.model.decoding.kv_cache import KeyValueCache
from molmo_point.model.decoding.templates import ExpectedAnswer, complete_points

IMAGE_NAMES = ("images", "image_masks", "image_input_idx")
QUERIES = (
    ("Point to the red things", ExpectedAnswer("pointing", "the red things")),
    ("How many objects are there?", ExpectedAnswer("counting", "objects")),
    ("Point to the {0}", ExpectedAnswer("pointing", "the {0}")),
    ("Point to the {1}", ExpectedAnswer("pointing", "the {1}")),  # what is not there
    ("How many blue things are there?", ExpectedAnswer("counting", "blue things")),
    ("What is on the table?", ExpectedAnswer()),
)


@pytest.fixture(scope="module")
def scenes() -> list[tuple[np.ndarray, list[str]]]:
    """8 images, and the names of something that is in them and of something that is not."""
    from molmo_point.sim.tabletop.objects import COLORS, SHAPES
    from molmo_point.sim.tabletop.scene import TabletopScene

    found = []
    for seed in range(8):
        scene = TabletopScene.random(9000 + seed)
        colors = {item.color for item in scene.objects}
        absent, item = next(c for c in COLORS if c not in colors), scene.objects[0]
        found.append((scene.render_color(), [f"{item.color} {item.shape}", f"{absent} {next(iter(SHAPES))}"]))
        scene.close()
    return found


def read_image(tabletop: Any, image: np.ndarray, question: str) -> tuple[dict[str, torch.Tensor], KeyValueCache, int]:
    """Tensors of a question, a cache that holds all but the last 4 of its tokens, and how many it holds."""
    batch = dict(tabletop.processor(images=image, text=question))
    inputs = {name: batch[name] for name in ("input_ids", *IMAGE_NAMES)}
    held = inputs["input_ids"].shape[1] - 4
    cache = KeyValueCache(held)
    decoder = Decoder(tabletop.model, tabletop.words.vocabulary)
    decoder.read(inputs["input_ids"][0, :held].tolist(), cache, {name: inputs[name] for name in IMAGE_NAMES})
    return inputs, cache, held


def answer(tabletop: Any, read: Any, drafter: Any) -> Row:
    inputs, cache, held = read
    row = Row(inputs["input_ids"][0, held:].tolist(), drafter, 120)
    list(Decoder(tabletop.model, tabletop.words.vocabulary).run([row], cache.forked(1, held, held + 4 + 120 + 300)))
    return row


def test_the_embedded_model_answers_as_ever(tabletop: Any, scenes: Any, greedy_reference: Any, assert_same: Any) -> None:
    words, before = tabletop.words, ""
    kinds = []
    for index, (image, names) in enumerate(scenes):
        question, request = QUERIES[index % len(QUERIES)]
        question, request = question.format(*names), ExpectedAnswer(request.style, request.label.format(*names))
        read = read_image(tabletop, image, question)
        plain = greedy_reference(tabletop.model, read[0], words.vocabulary.eos_id, 120)
        text = words.text(plain.ids)
        moved = text.replace("1", "2").replace("4", "3")
        passes = {}
        for name, last in (("none", ""), ("same", text), ("moved", moved) if index % 2 else ("unrelated", before)):
            row = answer(tabletop, read, words.drafter(request, last_answer=last, fans=name != "moved"))
            assert_same(row, plain, words.vocabulary.digit_ids)
            assert row.text == text
            passes[name] = row.passes
        assert passes["same"] == 0
        points = complete_points(text)
        kinds.append(points if request.style else -1)
        if points:
            assert passes["none"] <= 4 * points + 8
            assert passes["none"] < len(plain.ids) / 2
        before = text
    assert max(kinds) > 1 and {-1, 0, 1} <= set(kinds)


def test_many_questions_about_one_scene(tabletop: Any, scenes: Any, greedy_reference: Any, assert_same: Any) -> None:
    image, names = scenes[0]
    words, device_rows, plains = tabletop.words, [], []
    shared: tuple[int, KeyValueCache] | None = None
    for question, request in QUERIES[:4]:
        question, request = question.format(*names), ExpectedAnswer(request.style, request.label.format(*names))
        batch = dict(tabletop.processor(images=image, text=question))
        inputs = {name: batch[name] for name in ("input_ids", *IMAGE_NAMES)}
        ids = inputs["input_ids"][0].tolist()
        plains.append(greedy_reference(tabletop.model, inputs, words.vocabulary.eos_id, 120))
        if shared is None:
            prefix = int(inputs["image_input_idx"].max()) + 1
            shared = prefix, KeyValueCache(prefix)
            decoder = Decoder(tabletop.model, words.vocabulary)
            decoder.read(ids[:prefix], shared[1], {name: inputs[name] for name in IMAGE_NAMES})
        device_rows.append(Row(ids[shared[0] :], words.drafter(request), 120))
    assert shared is not None
    list(decoder.run(device_rows, shared[1].forked(4, shared[0], shared[0] + 300)))
    for row, plain in zip(device_rows, plains):
        assert_same(row, plain, words.vocabulary.digit_ids)
    assert len({tuple(row.token_ids) for row in device_rows}) >= 3
