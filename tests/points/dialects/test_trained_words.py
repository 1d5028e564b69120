"""Wordings of one question: the model reads what it was trained on, and the results keep the words of the user."""

import pytest

from molmo_point import Pointer, PointRequest
from molmo_point.points.dialects import DIALECTS, dialect_of
from molmo_point.points.dialects.dialect import Dialect
from molmo_point.request import Kind

from ...scripted_backend import FRAME, MUG, Scripted

SAME = (
    *("THE RED MUG", "The Red Mug", "The red mug", "the red mug.", "the red mug!", "the red mug ?", "the red mug..."),
    *("the  red mug", "the red\u00a0mug", "the red\u3000mug", "the\u2009red mug", "ｔｈｅ　ｒｅｄ　ＭＵＧ", "the red mug。"),
    *('"the red mug"', "“The red mug.”", "'the red mug'", "the red mug,", "The Red Mug ;"),
)


@pytest.mark.parametrize("name", sorted(DIALECTS))
@pytest.mark.parametrize("kind", [Kind.POINT, Kind.COUNT])
def test_a_wording_does_not_change_the_prompt(name: str, kind: Kind) -> None:
    dialect = dialect_of(name)
    plain = dialect.prompt(PointRequest("the red mug", kind))
    for words in SAME:
        request = PointRequest(words, kind)
        assert dialect.prompt(request) == plain, words
        assert request.words == words


@pytest.mark.parametrize(
    ("words", "trained"),
    [
        ("the USB plug of the UR5e", "the usb plug of the ur5e"),
        ("mug no. 5", "mug no. 5"),
        ('the "red" cube', 'the "red" cube'),
        ('"a" and "b"', '"a" and "b"'),
        ("the 2.5 mm screw", "the 2.5 mm screw"),
        ("l'assiette", "l'assiette"),
        ("CAFE\u0301", "café"),
        ("die Straße", "die straße"),
        ("...", "..."),
        ("?", "?"),
    ],
)
def test_what_carries_meaning_stays(words: str, trained: str) -> None:
    assert dialect_of("molmo").trained_words(words) == trained


def test_a_dialect_may_keep_capitals() -> None:
    class Names(Dialect):
        name = "names"
        lower_case = False

        def find_points(self, text, problems, *, growing=False):
            return iter(())

    assert Names().prompt(PointRequest("The  USB plug.")).text == "Point to The USB plug"


def test_a_count_has_no_article() -> None:
    dialect = dialect_of("molmo")
    for words in ("mugs", "the mugs", "THE MUGS?", "all the mugs"):
        assert dialect.prompt(PointRequest(words, Kind.COUNT)).text == "How many mugs are there?"
    assert dialect.prompt(PointRequest("the", Kind.COUNT)).text == "How many the are there?"


def test_results_keep_the_words_of_the_user() -> None:
    backend = Scripted(MUG)
    pointing = Pointer(backend).point(FRAME, "The RED Mug.", labels=False)
    assert pointing.query == "The RED Mug."
    assert pointing.points[0].label == "The RED Mug."
    assert Pointer(backend).count(FRAME, "MUGS").query == "MUGS"
    assert [call["prompt"] for call in backend.calls] == ["Point to the red mug", "How many mugs are there?"]
