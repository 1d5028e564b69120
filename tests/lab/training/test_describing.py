"""What is said of a scene is true of it, and nothing doubtful is asked."""

import re
from dataclasses import replace

import numpy as np
import pytest

from lab.training.describing import SHORT_STYLE, describe, short_answers
from lab.training.questions import Vocabulary
from lab.training.referring import SeenObject
from molmo_point.finetuning.sample import AnswerKind

NOUNS = ["mug", "scissors", "butter", "banana", "key"]
WORDS = Vocabulary(tuple(NOUNS))
MUG = SeenObject(
    noun="mug", nouns=frozenset({"mug", "cup"}), doubtful=frozenset({"glass"}), category="dishes",
    categories=frozenset({"dishes"}), colors=frozenset({"red"}), maybe_colors=frozenset(), x_percent=10, y_percent=10,
    left_percent=5, right_percent=15, depth_m=1.0, position_m=(0, 0, 0), size_m=(0.1, 0.1, 0.1), edge_m=0.2,
)  # fmt: skip
BANANA = replace(
    MUG, noun="banana", nouns=frozenset({"banana"}), doubtful=frozenset(), colors=frozenset({"yellow"}), x_percent=90,
    y_percent=50,
)  # fmt: skip


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def said(things: list[SeenObject]) -> set[str]:
    return {describe(things, rng(seed)) for seed in range(60)}


def test_names_colours_places_and_numbers() -> None:
    texts = said([BANANA, MUG])
    assert all("a red mug at the top left and a yellow banana on the right" in text.lower() for text in texts)
    assert {"There are two things on the table", "Two things are on the table", "I see two things on a table"} <= {
        text.split(":")[0] for text in texts
    }
    assert all("two red mugs" in text.lower() for text in said([MUG, replace(MUG, x_percent=40), BANANA]))
    assert any("three things" in text.lower() for text in said([MUG, replace(MUG, x_percent=40), BANANA]))


@pytest.mark.parametrize(
    ("x", "y", "where"),
    [(10, 90, "at the bottom left"), (50, 50, "in the middle"), (50, 10, "at the top"), (50, 99.9, "at the bottom"),
     (99.9, 40, "on the right"), (34, 34, "in the middle"), (33, 50, "on the left")],
)  # fmt: skip
def test_places(x: float, y: float, where: str) -> None:
    for text in said([replace(MUG, x_percent=x, y_percent=y)]):
        assert re.search(rf"red mug {where}\.", text), text


def test_what_is_hardly_seen_is_not_named_and_no_total_is_given() -> None:
    for text in said([MUG, replace(BANANA, usable=False)]):
        assert "banana" not in text and "things" not in text and "largest" not in text
    for text in said([MUG, replace(BANANA, seen=False)]):
        assert "banana" not in text
    assert any(text == "The table is empty." for text in said([]))
    assert said([replace(MUG, usable=False)]) == {"Something on a table, hardly in the picture."}


def test_words_that_have_no_plural_or_no_singular() -> None:
    scissors = replace(MUG, noun="scissors", nouns=frozenset({"scissors"}))
    butter = replace(BANANA, noun="butter", nouns=frozenset({"butter"}))
    for text in said([scissors, butter, replace(butter, x_percent=60)]):
        assert "some red scissors" in text.lower() and "some yellow butter" in text.lower()
        assert "two yellow butter" not in text.lower()


def test_the_largest_is_the_largest() -> None:
    big = replace(BANANA, size_m=(0.3, 0.3, 0.3), depth_m=2.0)
    remarks = {text.partition(". ")[2] for text in said([MUG, big])}
    assert remarks == {"", "The banana is the largest.", "The mug is closest to the camera."}


def answers(things: list[SeenObject]) -> dict[str, str]:
    found = {}
    for seed in range(80):
        for example in short_answers(things, 4, rng(seed), WORDS):
            assert example.kind is AnswerKind.TEXT
            assert found.setdefault(example.prompt, example.answer) == example.answer, "an answer depends on the scene alone"
    return found


def test_short_answers_are_true() -> None:
    found = answers([MUG, replace(MUG, x_percent=40), BANANA])
    assert found[f"{SHORT_STYLE}: How many mugs are there?"] == "2"
    assert any(prompt.startswith("No pointing: ") and "red mugs" in prompt and found[prompt] == "2" for prompt in found)
    assert found[f"{SHORT_STYLE}: What colour is the banana?"] == "yellow"
    assert found[f"{SHORT_STYLE}: Is there a yellow banana?"] == "yes"
    assert found[f"{SHORT_STYLE}: Is there a key?"] == "no"
    for prompt, answer in found.items():
        assert prompt.startswith((f"{SHORT_STYLE}: ", "No pointing: "))
        assert answer in ("yes", "no", "0", "1", "2", "red", "yellow")
        assert not re.search("colou?r is the mug", prompt), "there are two"
    assert 0.25 < np.mean([answer == "no" for answer in found.values() if answer in ("yes", "no")]) < 0.85


def test_doubt_is_not_asked_about() -> None:
    doubtful = replace(MUG, maybe_colors=frozenset({"orange"}))
    found = answers([doubtful])
    assert not any("colour" in prompt or "color" in prompt for prompt in found)
    assert not any("orange mug" in prompt for prompt in found)
    assert not any("glass" in prompt for prompt in answers([MUG]))
    hidden = answers([replace(BANANA, usable=False), MUG])
    # In another colour than the hidden one's it is certainly not there.
    assert not any(re.search("a banana|yellow banana|the banana|any bananas| bananas", prompt) for prompt in hidden)


def test_an_empty_table_has_answers_too() -> None:
    found = answers([])
    assert found[f"{SHORT_STYLE}: How many mugs are there?"] == "0" and f"{SHORT_STYLE}: Are there any scissors?" in found
    assert set(found.values()) == {"0", "no"}
