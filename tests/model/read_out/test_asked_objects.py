"""Queries that the read-out answers itself, and those that it leaves to the model below."""

import pytest

from molmo_point.model.read_out.asked_objects import KnownWords

WORDS = KnownWords(
    ("mug", "coffee mug", "ball", "knife"),
    ("fruit", "tools"),
    ("red", "dark blue", "blue"),
    {"mugs": "mug", "coffee mugs": "coffee mug", "knives": "knife", "tool": "tools", "pieces of fruit": "fruit"},
)


@pytest.mark.parametrize(
    ("query", "color", "noun", "category"),
    [
        ("mug", None, 0, None),
        ("the red mug", 0, 0, None),
        ("Point to all the RED coffee mugs.", 0, 1, None),
        ("a blue ball", 2, 2, None),
        ("knives", None, 3, None),
        ("pieces of fruit", None, None, 0),
        ("the red tool", 0, None, 1),
        ("the red object", 0, None, None),
        ("the red things", 0, None, None),
    ],
)
def test_one_color_and_one_name_are_read(query: str, color: int | None, noun: int | None, category: int | None) -> None:
    asked = WORDS.asked(query)
    assert asked is not None and (asked.color, asked.noun, asked.category) == (color, noun, category)


@pytest.mark.parametrize(
    "query",
    [
        "the elephant",
        "the mug left of the ball",
        "not the mug",
        "the largest mug",
        "objects",
        "red",
        "the red blue mug",
        "mug and ball",
        "mug?!x",
        "the mug's handle",
    ],
)
def test_everything_else_is_left_to_the_model_below(query: str) -> None:
    assert WORDS.asked(query) is None
