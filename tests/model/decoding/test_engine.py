"""The engine remembers images and answers, and nothing of that changes what it says.

One call at a time: an engine belongs to one thread, or to callers that take turns.
"""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from molmo_point.backend import Prompt
from molmo_point.errors import InputError
from molmo_point.model import MolmoBackend, load_backend
from molmo_point.model.decoding.engine import AnswerEngine, Options
from molmo_point.request import Kind

RNG = np.random.default_rng(3)
IMAGE, OTHER = (RNG.integers(0, 256, (40, 70, 3), dtype=np.uint8) for _ in range(2))
PROMPTS = ("hi", "Point to the mug", "How many?")


@pytest.fixture
def backend(tiny_folder: Path) -> MolmoBackend:
    loaded = load_backend(tiny_folder, device="cpu")
    assert isinstance(loaded, MolmoBackend)
    return loaded


@pytest.fixture
def looks(backend: MolmoBackend, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each pass of the vision backbone."""
    passes: list[int] = []
    vision: Any = backend.model.model.vision_backbone
    vision.register_forward_hook(lambda module, given, result: passes.append(1))
    return passes


def asked(*texts: str) -> tuple[Prompt, ...]:
    return tuple(Prompt(t, Kind.POINT, t.removeprefix("Point to ")) if t.startswith("Point to ") else Prompt(t) for t in texts)


def said(engine: AnswerEngine, image: np.ndarray, *texts: str, count: int = 10) -> list[list[int]]:
    return [row.token_ids for row in engine.complete(image, asked(*texts), count).rows]


def plain(backend: MolmoBackend, image: np.ndarray, prompt: str, count: int = 10) -> list[int]:
    """Without anything remembered or drafted."""
    engine = AnswerEngine(backend.model, backend.processor, Options(False, False, False, False))
    return said(engine, image, prompt, count=count)[0]


def test_an_image_is_read_once_and_another_of_its_size_again(backend: MolmoBackend, looks: list[int]) -> None:
    engine = backend.engine
    for image, expected in ((IMAGE, 1), (IMAGE.copy(), 1), (OTHER, 2), (IMAGE, 3)):
        for prompt in PROMPTS[:2]:
            assert said(engine, image, prompt) == [said(engine, image, prompt)[0]]
        assert len(looks) == expected
    assert said(engine, IMAGE, "hi")[0] == plain(backend, IMAGE, "hi")
    assert said(engine, OTHER, "hi")[0] == plain(backend, OTHER, "hi")
    changed = IMAGE.copy()
    changed[-1, -1, -1] ^= 1
    before = len(looks)
    said(engine, changed, "hi")
    assert len(looks) == before + 1
    assert engine.complete(changed, asked("hi"), 2).image_reused


def test_the_shape_belongs_to_an_image(backend: MolmoBackend, looks: list[int]) -> None:
    said(backend.engine, IMAGE, "hi")
    said(backend.engine, IMAGE.reshape(70, 40, 3), "hi")
    assert len(looks) == 2


def test_other_settings_of_the_processor_read_the_image_again(backend: MolmoBackend, looks: list[int]) -> None:
    said(backend.engine, IMAGE, "hi")
    backend.processor.layout = replace(backend.processor.layout, max_crops=1)
    fewer = said(backend.engine, IMAGE, "hi")
    assert len(looks) == 2
    assert fewer[0] == plain(backend, IMAGE, "hi")


def test_nothing_is_reused_where_that_is_switched_off(backend: MolmoBackend, looks: list[int]) -> None:
    engine = AnswerEngine(backend.model, backend.processor, Options(reuse_image=False))
    assert said(engine, IMAGE, "hi") == said(engine, IMAGE, "hi")
    assert len(looks) == 2 and engine._image is None


def test_a_batch_says_what_each_would_alone(backend: MolmoBackend, looks: list[int]) -> None:
    alone = [plain(backend, IMAGE, prompt) for prompt in PROMPTS]
    before = len(looks)
    assert said(backend.engine, IMAGE, *PROMPTS) == alone
    assert len(looks) == before + 1
    # Once more, now with the image remembered, and in another order.
    assert said(backend.engine, IMAGE, *PROMPTS[::-1]) == alone[::-1]
    assert said(backend.engine, IMAGE, PROMPTS[1]) == alone[1:2]
    assert len(looks) == before + 1


def test_forgetting_forgets_all(backend: MolmoBackend, looks: list[int]) -> None:
    said(backend.engine, IMAGE, "hi")
    backend.engine._answers["hi"] = "ho"
    backend.engine.forget()
    assert backend.engine._image is None and not backend.engine._answers
    said(backend.engine, IMAGE, "hi")
    assert len(looks) == 2


@pytest.mark.parametrize("prompts", [PROMPTS[:1], PROMPTS])
def test_a_cancelled_first_pass_leaves_no_half_read_image(backend: MolmoBackend, prompts: tuple[str, ...]) -> None:
    backend.engine.answers(IMAGE, asked(*prompts), 10).close()
    assert said(backend.engine, IMAGE, *prompts) == [plain(backend, IMAGE, prompt) for prompt in prompts]


def test_an_error_in_the_first_pass_leaves_no_half_read_image(backend: MolmoBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    said(backend.engine, IMAGE, "hi")
    with monkeypatch.context() as broken:
        broken.setattr(backend.model.model, "embed", lambda *_: torch.zeros(1) / [])  # type: ignore[operator]
        with pytest.raises(TypeError):
            said(backend.engine, OTHER, "hi")
    assert said(backend.engine, OTHER, "hi")[0] == plain(backend, OTHER, "hi")


def test_cancelling_later_keeps_the_image(backend: MolmoBackend, looks: list[int]) -> None:
    with closing(backend.engine.answers(IMAGE, asked("hi"), 10)) as growing:
        next(growing)
        next(growing)
    assert not backend.engine._answers, "what was cancelled is no answer to draft from"
    assert said(backend.engine, IMAGE, "hi")[0] == plain(backend, IMAGE, "hi")
    assert len(looks) == 2  # one of them for the plain reference


def ending(backend: MolmoBackend, token: int) -> AnswerEngine:
    """An engine for which a token that the model does say ends the answer."""
    engine = AnswerEngine(backend.model, backend.processor)
    engine._vocabulary = replace(engine._vocabulary, eos_id=token)
    return engine


def test_the_last_answer_is_drafted_and_changes_nothing(backend: MolmoBackend) -> None:
    ids = plain(backend, IMAGE, "hi", 40)
    printable = [i for i, token in enumerate(ids) if all(t < 256 for t in ids[: i + 1]) and token not in ids[:i] and i > 2]
    engine = ending(backend, ids[printable[-1]])
    first, again = (engine.complete(IMAGE, asked("hi"), 40).rows[0] for _ in range(2))
    assert first.finish_reason == again.finish_reason == "stop"
    assert again.token_ids == first.token_ids == ids[: printable[-1]]
    assert set(engine._answers) == {"hi"}
    text = backend.processor.decode(first.token_ids)
    if backend.processor.encode_text(text) == first.token_ids:
        assert again.passes < first.passes
    # A wrong memory costs passes, never the answer.
    engine._answers["hi"] = "something else"
    assert engine.complete(IMAGE, asked("hi"), 40).rows[0].token_ids == first.token_ids


def test_only_so_many_answers_are_remembered(backend: MolmoBackend) -> None:
    first = plain(backend, IMAGE, "q0", 1)[0]
    engine = ending(backend, first)
    for index in range(70):
        engine._remember(asked(f"q{index}"), [_Done([33 + index % 60])])  # type: ignore[list-item]
    engine._remember(asked("q20"), [_Done([40])])  # type: ignore[list-item]
    assert len(engine._answers) == 64 and "q5" not in engine._answers
    assert list(engine._answers)[-1] == "q20", "asked again, it is the youngest"


class _Done:
    """As much of a finished row as is remembered."""

    finish_reason = "stop"

    def __init__(self, token_ids: list[int]) -> None:
        self.token_ids = token_ids


def test_characters_of_several_tokens_are_remembered_whole(backend: MolmoBackend) -> None:
    ids = backend.processor.encode_text("tassé äöü")
    assert len(ids) > len("tassé äöü")
    backend.engine._remember(asked("hi"), [_Done(ids)])  # type: ignore[list-item]
    assert backend.engine._answers["hi"] == "tassé äöü"


def test_the_remembered_image_takes_bounded_memory(backend: MolmoBackend) -> None:
    def held() -> int:
        cache: Any = backend.engine._image and backend.engine._image.cache
        return sum(buffer.numel() for buffer in (*cache._keys, *cache._values))

    said(backend.engine, IMAGE, PROMPTS[1])
    first = held()
    for seed in range(2):
        image = np.random.default_rng(seed).integers(0, 256, IMAGE.shape, dtype=np.uint8)
        said(backend.engine, image, PROMPTS[1])
        said(backend.engine, image, *PROMPTS)
        assert held() <= first, "neither images nor questions pile up"
        assert backend.engine._image is not None and backend.engine._image.tensors is None


def test_a_spread_neither_reads_again_nor_disturbs(backend: MolmoBackend, looks: list[int]) -> None:
    before = said(backend.engine, IMAGE, "hi")
    text = ' <points x1="61.5" y1="40.4" x2="7.1" y2="99.9" alt="a">a</points>'
    once = backend.engine.spreads(IMAGE, asked("hi")[0], text)
    assert [spread.written for spread in once] == [("61.5", "40.4"), ("7.1", "99.9")]
    assert said(backend.engine, IMAGE, "hi") == before and len(looks) == 1
    backend.engine.forget()
    fresh = backend.engine.spreads(IMAGE, asked("hi")[0], text)
    assert [spread.mass for spread in fresh] == pytest.approx([spread.mass for spread in once], rel=1e-3)
    assert len(looks) == 2
    said(backend.engine, IMAGE, "hi")
    assert len(looks) == 2, "what a spread has read is remembered as well"


def test_words_that_do_not_fit_are_refused_and_the_image_stays(backend: MolmoBackend, looks: list[int]) -> None:
    said(backend.engine, IMAGE, "hi")
    with pytest.raises(InputError, match="fit into the model"):
        said(backend.engine, IMAGE, "word " * 60)
    said(backend.engine, IMAGE, "hi")
    assert len(looks) == 1
