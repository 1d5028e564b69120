"""Names of taught objects: forms that people use for one object, and names that no answer can carry."""

import pytest

from molmo_point.errors import InputError
from molmo_point.model.taught.object_names import checked_name, loose_key, name_key, nearest_name, query_keys

MUG = ("my", "mug")


@pytest.mark.parametrize(
    "words",
    ["my mug", "My Mug", "  my   mug. ", "my_mug", "point to my mug", "Where is my mug?", "Could you pick up my mug, please?",
     "my mugs", "all of my mugs", "how many of my mugs are there?", "the my mug"],
)  # fmt: skip
def test_forms_of_one_name_have_a_key_in_common(words: str) -> None:
    assert MUG in [loose_key(key) for key in query_keys(words)]


@pytest.mark.parametrize("words", ["mug", "the mug", "your mug", "Anna's mug", "a mug of my sister"])
def test_another_owner_is_another_name(words: str) -> None:
    assert MUG not in [loose_key(key) for key in query_keys(words)]


def test_apostrophes_and_alphabets_are_those_of_people() -> None:
    assert name_key("Anna’s Mug") == name_key("anna's mug")
    assert name_key("ГОЛУБАЯ чашка") == ("голубая", "чашка")
    assert name_key("the cup") == ("cup",) and name_key("the") == ("the",)


@pytest.mark.parametrize("name", ["", "  ", "a<b", 'say "x" y="3.0"', "the", "🦆", "mug\n2", "x" * 81, 7, None])
def test_names_that_no_answer_can_carry_are_refused(name: object) -> None:
    with pytest.raises(InputError, match=r"^name must"):
        checked_name(name)


def test_a_name_is_tidied() -> None:
    assert checked_name("  my   Mug ") == "my Mug"


@pytest.mark.parametrize(
    ("words", "near"),
    [("my mgu", "my mug"), ("mug", "my mug"), ("your mug", "my mug"), ("the screwdrivr", "screwdriver"), ("banana", "")],
)
def test_a_name_that_was_meant_is_suggested(words: str, near: str) -> None:
    assert nearest_name(words, ["my mug", "screwdriver"]) == near
