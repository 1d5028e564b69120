"""The frame of a turn, styles, requests and conversations."""

from typing import Any

import pytest

from molmo_point.errors import InputError
from molmo_point.points.dialects.prompts import (
    STYLE_ALIASES,
    STYLES,
    caption_prompt,
    chat_turns,
    checked_style,
    counting_prompt,
    framed,
    pointing_prompt,
    question_prompt,
    user_turn,
)


def test_the_frame_of_a_turn() -> None:
    assert user_turn("Point to the dog.") == " User: Point to the dog. Assistant:"
    assert user_turn("What is it?", "okvqa") == " User: okvqa: What is it? Assistant:"
    assert framed("a b", message_format="none") == " a b"
    assert framed("a b", always_start_with_space=False) == "User: a b Assistant:"
    with pytest.raises(InputError, match="role, none"):
        framed("a", message_format="system")


def test_requests() -> None:
    assert pointing_prompt(" the red mug. ") == "Point to the red mug"
    assert counting_prompt("mugs?") == "How many mugs are there?"
    assert caption_prompt() == "Describe this image."
    assert caption_prompt(80) == "long_caption 80:"
    assert caption_prompt(65, "transcript") == "transcript 65:"
    assert question_prompt(" Who? ") == "Who?"
    assert question_prompt("Who?", pointing=False) == "No pointing: Who?"


@pytest.mark.parametrize("length", [0, -3, 1.5, "65", True])
def test_a_caption_has_a_length(length: Any) -> None:
    with pytest.raises(InputError, match="positive integer"):
        caption_prompt(length)


def test_requests_that_cannot_be_made() -> None:
    with pytest.raises(InputError, match="long_caption or transcript"):
        caption_prompt(65, "poem")
    for text in (None, 3, b"a"):
        with pytest.raises(InputError, match="must be text"):
            user_turn(text)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="valid Unicode"):
        user_turn("\ud83d")


def test_styles() -> None:
    assert len(STYLES) == len(set(STYLES)) == 33
    assert all(checked_style(style) == style for style in STYLES)
    assert {alias: checked_style(alias) for alias in STYLE_ALIASES} == {
        "eval_short_answer": "vqa2",
        "eval_multiple_choice": "a_okvqa_mc",
    }


@pytest.mark.parametrize(("wrong", "nearest"), [("vqa", "vqa2"), ("long caption", "long_caption"), ("point", "pointing")])
def test_an_unknown_style_is_refused_and_the_nearest_named_first(wrong: str, nearest: str) -> None:
    with pytest.raises(InputError) as caught:
        user_turn("hi", wrong)
    listed = caught.value.fix.removeprefix("use one of ").split(", ")
    assert nearest in listed[:2] and set(STYLES) <= set(listed)


def test_the_turns_of_a_conversation() -> None:
    messages = [
        {"role": "user", "content": [{"type": "image", "image": None}, {"type": "text", "text": "What is it?"}]},
        {"role": "assistant", "content": "A mug."},
        {"role": "user", "content": "Point to it."},
    ]
    assert chat_turns(messages) == [" User: What is it? Assistant:", " A mug.", " User: Point to it. Assistant:"]
    assert chat_turns(messages[2:]) == [" User: Point to it. Assistant:"]


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "messages must not be empty"),
        ("hi", "messages must not be empty"),
        (["hi"], "role None"),
        ([{"role": "system", "content": "be kind"}], "no system role"),
        ([{"role": "assistant", "content": "a"}], "'user'"),
        ([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], "message 1"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "must be the user"),
        ([{"role": "user"}], "must be text"),
        ([{"role": "user", "content": [{"type": "text", "text": 5}]}], "must be text"),
    ],
)
def test_a_conversation_out_of_order_is_refused(messages: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        chat_turns(messages)
