"""What the answer's form forces: right or silent at every place of answers that Molmo was trained to write."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_point.backend import Prompt
from molmo_point.model.decoding.templates import (
    LABEL_START,
    Continuations,
    ExpectedAnswer,
    complete_points,
    continuations,
    follow_last_answer,
)
from molmo_point.points.dialects.written import format_points
from molmo_point.points.stop_rule import GrowingAnswer
from molmo_point.request import Kind, PointRequest

from ...scripted_backend import Scripted

LABELS = (
    "dog", "red mug", "The red mug", "every blue car", "cup 2", "7 up", "x1", "mug's handle", 'the "big" one',
    "Möwe", "狗", "🐶 dog", "a<b", "x=\"3", "R2-D2, 3.5 mm", "", "point",
)  # fmt: skip
STYLES = (("pointing", "pointing"), ("counting", "point_count"))
# Inside the whole part of a number more digits may follow; nobody can know.
IN_WHOLE_PART = re.compile(r' [xy]\d*="\d{1,2}$')


def answer_of(count: int, label: str, form: str) -> str:
    points = [((7 + 13.7 * i) % 100.05, (11 + 31.3 * i) % 100.05) for i in range(count)]
    return " " + format_points(points, label, form)


@pytest.mark.parametrize(("style", "form"), STYLES)
@pytest.mark.parametrize(
    ("count", "label"), [*((n, w) for n in (1, 2, 11) for w in LABELS), (3, "dog"), (9, "dog"), (10, "7 up"), (40, "dog")]
)
def test_right_or_silent_at_every_place(count: int, style: str, form: str, label: str) -> None:
    text, request = answer_of(count, label, form), ExpectedAnswer(style, label)
    silent = wrong = 0
    for place in range(len(text)):
        found = continuations(text[:place], request)
        if not found.texts:
            silent += 1
        elif not any(text.startswith(t, place) for t in found.texts):
            wrong += 1
            assert IN_WHOLE_PART.search(text[:place]) and found.texts == (".",), text[:place]
    numbers = len(re.findall(r' [xy]\d*="[\d.]+"', text))
    assert numbers == 2 * count
    # Silent where a number starts and behind its dot, and where a label is due that nobody named;
    # wrong behind the first of two digits and the first two of three.
    assert silent == 2 * numbers + (0 if label else 2)
    assert wrong == sum(len(whole) - 1 for whole in re.findall(r' [xy]\d*="(\d+)', text[: text.index(' alt="')]))


@pytest.mark.parametrize(("style", "form"), STYLES)
@pytest.mark.parametrize("count", [1, 2, 12])
def test_the_rest_of_an_answer_comes_in_one_piece(count: int, style: str, form: str) -> None:
    text = answer_of(count, "red mug", form)
    behind_last_number = text.index('" alt=')
    request = ExpectedAnswer(style, "the red mug")
    assert text[behind_last_number:] in continuations(text[:behind_last_number], request).texts
    if count > 1:
        assert continuations(text[: text.index('" x2')], request).texts[0] == '" x2="'
    assert continuations(text, request).texts == ()


@pytest.mark.parametrize(("style", "form"), STYLES)
@pytest.mark.parametrize("count", [1, 3])
def test_the_model_may_name_it_otherwise_and_its_word_is_echoed(count: int, style: str, form: str) -> None:
    text = answer_of(count, "crimson cup", form)
    label = text.index("crimson")
    for asked in ("red mug", ""):
        inner = text.index(">crimson")
        assert any(
            text.startswith(t, inner + 1) and text.endswith(t)
            for t in continuations(text[: inner + 1], ExpectedAnswer(style, asked)).texts
        )
        # As soon as a word is written, its end and its echo are one of the proposals.
        assert (
            text[label + len("crimson cup") :]
            in continuations(text[: label + len("crimson cup")], ExpectedAnswer(style, asked)).texts
        )
    # Another body than the attribute: the tag's end and the total are known once the body is.
    other = text.replace(">crimson cup<", ">bowl<")
    body = other.index("<", other.index(">bowl"))
    for place in range(body, len(other)):
        assert other[place:] in continuations(other[:place], ExpectedAnswer(style, "red mug")).texts


def test_a_number_may_start_with_ten_digits_and_the_dot_comes_when_it_must() -> None:
    request = ExpectedAnswer("pointing", "dog")
    assert continuations(' <point x="', request) == Continuations()
    for text, digits in ((' <point x="6', 1), (' <point x="61', 2), (' <points x1="100', 3), (' <points x1="1.0" y1="5', 1)):
        found = continuations(text, request)
        assert (found.texts, found.digits) == ((".",), digits)
    for text in (' <point x="61.', ' <point x="61.5" y="', ' <points x1="61.5" y1="4.'):
        assert (continuations(text, request).texts, continuations(text, request).digits) == ((), 0)
    assert continuations(' <point x="61.5', request).texts == ('" y="',)
    assert continuations(' <points x9="61.5', request).texts == ('" y9="',)
    assert continuations(' <points x9="61.5" y9="2.5', request).texts[0] == '" x10="'
    assert continuations(' <points x9="61.5" y9="2.5" x1', request).texts[0] == '0="'


@pytest.mark.parametrize("style", ["pointing", "counting"])
def test_openers_and_absence(style: str) -> None:
    request = ExpectedAnswer(style, "dog")
    assert any(t == " There are none." for t in continuations("", request).texts)
    assert continuations(" There are no", request).texts == ("ne.",)
    for answer in (
        " There are none.",
        " This isn't in the image.",
        " I can't help with that.",
        " There are none. <",
        "\n",
        "Sure:",
    ):
        assert continuations(answer, request).texts == ()
    assert continuations("", ExpectedAnswer()).texts == ()
    one, many = {
        "pointing": (' <point x="', ' <points x1="'),
        "counting": (' Counting the <point x="', ' Counting the <points x1="'),
    }[style]
    assert {one, many} < set(continuations("", request).texts)


def test_free_text_with_a_tag_inside() -> None:
    request = ExpectedAnswer()
    told = ' It is here: <point x="10.0" y="20.0'
    assert continuations(told, request).texts == ('" alt="',)
    assert continuations(told + '" alt="cup">cu', request).texts[0] == "p</point>"
    assert continuations(told + '" alt="cup">cup</point> and', request).texts == ()


def test_the_total_is_that_of_the_last_index() -> None:
    counting = ' Counting the <points x1="1.0" y1="2.0" x2="3.0" y2="4.0" alt="dog">dog'
    assert continuations(counting, ExpectedAnswer("counting", "dog")).texts == ("</points> shows a total of 2.",)
    one = ' Counting the <point x="1.0" y="2.0" alt="dog">dog</point> shows'
    assert continuations(one, ExpectedAnswer("counting", "dog")).texts == (" a total of 1.",)
    assert continuations(counting.removeprefix(" Counting the"), ExpectedAnswer("pointing", "dog")).texts == ("</points>",)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.POINT, ExpectedAnswer("pointing", "the red mug")),
        (Kind.COUNT, ExpectedAnswer("counting", "the red mug")),
        (Kind.ASK, ExpectedAnswer()),
        (Kind.CAPTION, ExpectedAnswer()),
    ],
)
def test_the_prompts_kind_decides_the_form(kind: Kind, expected: ExpectedAnswer) -> None:
    # The text of the prompt says nothing here: no request is recovered from words.
    assert ExpectedAnswer.to(Prompt("How many dogs are there?", kind, "the red mug")) == expected


def test_labels_that_are_tried() -> None:
    assert ExpectedAnswer("pointing", "The Red mug").labels == ("red mug", "the red mug", "The Red mug")
    assert ExpectedAnswer("pointing", "mug").labels == ("mug",)
    assert ExpectedAnswer("pointing", "theatre").labels == ("theatre",)
    assert ExpectedAnswer("pointing").labels == ()


@given(
    text=st.text(st.sampled_from(list(' <points xy12="3.45>/alt=CountingTheare none"\n狗')), max_size=60),
    label=st.text(max_size=12),
)
def test_law_any_text_is_answered_with_proper_proposals(text: str, label: str) -> None:
    for style in ("pointing", "counting", ""):
        for start in ("", ' <points x1="10.0" y1="20.0', ' <point x="1.0" y="2.0" alt="', " Counting the "):
            found = continuations(start + text, ExpectedAnswer(style, label))
            assert all(found.texts) and 0 <= found.digits <= 3
            assert len(set(found.texts)) == len(found.texts)
            complete_points(start + text)


@given(text=st.text(max_size=40), last=st.text(max_size=40))
def test_law_the_rest_of_an_answer_is_its_end(text: str, last: str) -> None:
    assert last.endswith(follow_last_answer(text, last))


# --- Counting what is written -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("style", "form"), STYLES)
@pytest.mark.parametrize("count", [1, 2, 11])
@pytest.mark.parametrize("label", ["dog", "cup 2", 'y3="5.0'])
def test_points_are_counted_as_their_last_decimal_comes(count: int, style: str, form: str, label: str) -> None:
    text = answer_of(count, label, form)
    ends = [m.end() for m in re.finditer(r' y\d*="\d+\.\d', text[: text.index(" alt=")])]
    assert len(ends) == count
    out = text.index('"', text.index(LABEL_START) + len(LABEL_START)) + 1
    for place in range(len(text) + 1):
        expected = sum(end <= place for end in ends)
        if place <= text.index(" alt="):
            assert complete_points(text[:place]) == expected
        answer = GrowingAnswer(PointRequest("mugs", max_points=count + 1, labels=False), Scripted(""), (640, 480))
        answer.read(text[:place])
        assert answer.enough == (place >= out), text[:place]


def test_a_point_without_its_decimals_is_not_complete() -> None:
    assert complete_points(' x="61.5" y="40') == 0
    assert complete_points(' x="61.5" y="40.') == 0


# --- Following the last answer ----------------------------------------------------------------------------------

LAST = ' <points x1="9.8" y1="40.4" x2="61.5" y2="7.0" alt="dog">dog</points>'


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("", LAST),
        (LAST[:20], LAST[20:]),
        (LAST, ""),
        (' <points x1="', LAST[13:]),
        # other digits in the same places
        (' <points x1="9.', '8" y1="40.4"'),
        (' <points x1="9.7', '" y1="40.4"'),
        (' <points x1="8', '.8" y1="40.4"'),
        (' <points x1="9.7" y1="40.4" x2="6', '1.5" y2="7.0"'),
        (' <points x1="9.7" y1="40.4" x2="5', '1.5" y2="7.0"'),
        # more or fewer digits
        (' <points x1="10.', '8" y1="40.4"'),
        (' <points x1="10.1', '" y1="40.4"'),
        (' <points x1="9.8" y1="40.4" x2="9.', '5" y2="7.0"'),
        # between the numbers
        (' <points x1="10.1"', ' y1="40.4"'),
        (' <points x1="9.8" y1="41.0" x', '2="61.5"'),
        (' <points x1="9.8" y1="41.0" x2="1.0" y2="2.0" alt="d', 'og">dog</points>'),
    ],
)  # fmt: skip
def test_the_last_answer_goes_on_where_the_new_one_stands(text: str, rest: str) -> None:
    found = follow_last_answer(text, LAST)
    assert found.startswith(rest) and LAST.endswith(found) and bool(found) == bool(rest)


@pytest.mark.parametrize(
    "text",
    [
        " There are none.",
        ' <points x1="9.8" y1="40.4" alt=',  # fewer points
        ' <points x1="9.8" y1="40.4" x2="61.5" y2="7.0" x3="',  # more points
        ' <points x1="9.8" y1="40.4" x2="61.5" y2="7.0" x3="6',
        ' <points x1="9.8" y1="40.4" x2="61.5" y2="7.0" alt="cat',
    ],
)
def test_another_answer_is_not_followed(text: str) -> None:
    assert follow_last_answer(text, LAST) == ""


def test_nothing_is_followed_without_numbers_but_the_same_words() -> None:
    assert follow_last_answer(" There are", " There are none.") == " none."
    assert follow_last_answer(" This", " There are none.") == ""
    assert follow_last_answer("", "") == ""
