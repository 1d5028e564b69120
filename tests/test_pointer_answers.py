"""Counts, free questions and captions with scripted models."""

from typing import Any

import pytest

from molmo_point.errors import CancelledError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.pointer import Pointer

from .scripted_backend import FRAME, MUG, TWO, Scripted

COUNTED = ' Counting the <points x1="1" y1="2" x2="3" y2="4" alt="a">a</points> shows a total of '


@pytest.mark.parametrize(
    ("text", "finish_reason", "count", "stated", "consistent"),
    [
        (COUNTED + "2.", "stop", 2, 2, True),
        (COUNTED + "3.", "stop", 2, 3, False),
        (COUNTED[:-20], "stop", 2, None, False),
        (COUNTED + "2.", "length", 2, 2, False),
        (TWO, "stop", 2, None, True),
        (" There are none.", "stop", 0, 0, True),
        (" Counting the mugs shows a total of 5.", "stop", 5, 5, False),
        (" I cannot tell.", "stop", 0, None, False),
        ("", "stop", 0, None, False),
    ],
)
def test_count(text: str, finish_reason: str, count: int, stated: int | None, consistent: bool) -> None:
    backend = Scripted(text, finish_reason)
    result = Pointer(backend).count(FRAME, "screws")
    assert backend.calls[0]["prompt"] == "How many screws are there?"
    assert (result.count, result.stated_count, result.consistent) == (count, stated, consistent)
    assert result.text == text


def test_a_free_question_is_asked_as_it_is() -> None:
    backend, told = Scripted(" A mug."), []
    answer = Pointer(backend).ask(FRAME, "  What is this?\nA: mug\nB: cup\n", max_new_tokens=9, on_text=told.append)
    assert backend.calls[0] == {"image": FRAME.color, "prompt": "What is this?\nA: mug\nB: cup", "max_new_tokens": 9}
    assert (answer.text, answer.finish_reason, told[-1]) == (" A mug.", "stop", " A mug.")
    Pointer(backend).ask(FRAME, "What colour?", style="eval_short_answer")
    assert backend.calls[1]["prompt"] == "vqa2: What colour?"


ASKED = ("point", "point_many", "count", "ask", "caption")


@pytest.mark.parametrize("method", ASKED)
def test_a_bare_image_is_asked_about_as_a_frame_without_depth(method: str) -> None:
    words = {"point_many": [["mug"]], "caption": []}.get(method, ["mug"])
    bare, framed = Scripted(MUG), Scripted(MUG)
    answer = getattr(Pointer(bare), method)(FRAME.color, *words)
    same = getattr(Pointer(framed), method)(RgbdFrame(FRAME.color, None, None, 0), *words)
    assert bare.calls == framed.calls
    assert bare.calls[0]["image"] is FRAME.color
    first, other = (each[0] if method == "point_many" else each for each in (answer, same))
    assert first.text == other.text == MUG
    assert getattr(first, "unreachable", ()) == getattr(other, "unreachable", ())


@pytest.mark.parametrize("method", ASKED)
@pytest.mark.parametrize("image", ["color.png", None, FRAME.color[..., 0]])
def test_what_is_no_image_is_refused_before_the_model_is_asked(method: str, image: object) -> None:
    words = {"point_many": [["mug"]], "caption": []}.get(method, ["mug"])
    backend = Scripted(MUG)
    with pytest.raises(InputError, match=r"image|color"):
        getattr(Pointer(backend), method)(image, *words)
    assert backend.calls == []


def test_a_caption_is_asked_for() -> None:
    backend = Scripted(" A table.")
    assert Pointer(backend).caption(FRAME).text == " A table."
    assert backend.calls[0] == {"image": FRAME.color, "prompt": "Describe this image.", "max_new_tokens": 512}


def test_answers_can_be_cancelled() -> None:
    asked = iter([False, False, False, True])
    with pytest.raises(CancelledError, match="after 3 tokens"):
        Pointer(Scripted(" A table.")).caption(FRAME, should_stop=lambda: next(asked))
    with pytest.raises(CancelledError):
        Pointer(Scripted(" A table.")).ask(FRAME, "What?", should_stop=lambda: True)


@pytest.mark.parametrize(
    ("options", "part"),
    [({"question": " "}, "empty"), ({"question": "x" * 4001}, "4001"), ({"question": "a\x00"}, "control"),
     ({"style": "haiku"}, "style"), ({"max_new_tokens": 0}, "max_new_tokens"), ({"max_new_tokens": True}, "max_new_tokens")],
)  # fmt: skip
def test_questions_that_are_refused(options: dict[str, Any], part: str) -> None:
    backend = Scripted(MUG)
    with pytest.raises(InputError, match=part) as caught:
        Pointer(backend).ask(FRAME, **({"question": "What?"} | options))
    assert caught.value.fix
    assert backend.calls == []


class Layered(Scripted):
    """A model with a layer that knows cups, in a dialect of its own."""

    name = "below"

    def __init__(self, text: str, layer: Scripted) -> None:
        super().__init__(text)
        self.layer = layer

    def for_words(self, words: str) -> Scripted:
        return self.layer if "cup" in words else self


def test_each_query_is_answered_by_its_layer_and_the_result_names_it() -> None:
    layer = Scripted('<points coords="1 1 250 750">cup</points>')
    layer.name, layer.dialect = "taught", "molmo2"
    pointer = Pointer(Layered(MUG, layer))
    mug, cup = pointer.point_many(FRAME, ["mug", "my cup"])
    assert (mug.model, cup.model) == ("below", "taught")
    assert (mug.best.point.u, mug.best.point.v) == (319.5, 239.5)
    assert cup.best.point.uv == pytest.approx((0.25 * 640, 0.75 * 480), abs=1)
    assert pointer.point(FRAME, "my cup").model == pointer.count(FRAME, "cups").model == "taught"
    assert [call["prompt"] for call in pointer.backend.calls] == ["Point to mug"]
