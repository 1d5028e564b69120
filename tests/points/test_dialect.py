"""Which dialect a text is read as when nobody says."""

import pytest

from molmo_point.points.incremental_parser import IncrementalParser
from molmo_point.points.parse import parse_answer, parse_points

from .answers import DIALECTS, LAYOUT, SIZES

V1 = '<point x="50" y="20" alt="a">a</point>'
V2 = '<points coords="1 1 300 400">a</points>'
TRACKS = '<tracks coords="0.5 1 300 400">a</tracks>'
TOKENS = '<points coords="<POINT_0><POINT_10><POINT_14>1<POINT_9>">a</points>'


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        (V1, "molmo"),
        (V2, "molmo2"),
        (TRACKS, "molmo2"),
        (TOKENS, "molmopoint"),
        (V1 + V2, "molmo"),
        (V2 + V1, "molmo2"),
        (TOKENS + V1, "molmopoint"),
        ("(10.5, 20.5) " + V2, "molmo"),
        (f"There are 2. {V2}", "molmo2"),
        ('<points alt="x=1 y=2 " coords="1 1 300 400">a</points>', "molmo2"),
        ('<points alt="a > b" coords="1 1 300 400">a</points>', "molmo2"),
        ('<points coords="<POINT_9>">(10.5, 20.5)</points>', "molmopoint"),
        ('<points coords="">(10.5, 20.5)</points>', "molmo2"),
        ("There are none.", "molmo"),
        ("", "molmo"),
    ],
)
def test_the_first_thing_shown_decides(text: str, dialect: str) -> None:
    answer = parse_answer(text, SIZES, "auto", layout=LAYOUT)
    assert answer.dialect == dialect
    assert answer == parse_answer(text, SIZES, dialect, layout=LAYOUT)
    stream = IncrementalParser(SIZES, "auto", layout=LAYOUT)
    told = [point for character in text for point in stream.feed(character)] + [*stream.finish()]
    assert [(p.u, p.v) for p in told] == [(p.u, p.v) for p in answer.points]


def test_tokens_without_a_layout_are_a_problem_not_an_error() -> None:
    answer = parse_answer(TOKENS, (640, 480), "auto")
    assert answer.points == ()
    assert "layout" in answer.problems[0]


PERCENT = '<point x="50.5" y="20.5" alt="a">a</point>'


@pytest.mark.parametrize(("text", "dialect"), [(PERCENT, "molmo"), (V2, "molmo2"), (TRACKS, "molmo2"), (TOKENS, "molmopoint")])
def test_no_dialect_reads_anothers_points(text: str, dialect: str) -> None:
    for other in DIALECTS[:3]:
        assert len(parse_points(text, SIZES, other, layout=LAYOUT)) == (other == dialect)
