"""Any text: only our error, only points inside the image, linear time, and streams that agree with the whole.

``MOLMO_POINT_FUZZ=200000`` makes the run longer.
"""

import os
import random
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_point.points.incremental_parser import IncrementalParser
from molmo_point.points.parse import ParsedAnswer, parse_answer
from molmo_point.results import ImagePoint

from .answers import DIALECTS, LAYOUT, SIZES, broken, pieces, shattered, valid

INPUTS = int(os.environ.get("MOLMO_POINT_FUZZ", "2000"))


def parsed(text: str, dialect: str) -> ParsedAnswer:
    return parse_answer(text, SIZES, dialect, layout=LAYOUT)


def places(answer: ParsedAnswer | IncrementalParser) -> list[tuple[object, ...]]:
    return where(answer.points)


def where(points: Iterable[ImagePoint]) -> list[tuple[object, ...]]:
    return [(p.u, p.v, p.image_index, p.index, p.object_id, str(p.time_s)) for p in points]


def check(text: str, dialect: str, rng: random.Random) -> ParsedAnswer:
    """What holds for the answer to any text."""
    answer = parsed(text, dialect)
    assert len(answer.spans) == len(answer.points)
    for point, (x, y) in zip(answer.points, answer.spans, strict=True):
        width, height = SIZES[point.image_index]
        assert -0.5 <= point.u <= width - 0.5
        assert -0.5 <= point.v <= height - 0.5
        assert any(character in "0123456789" for character in text[slice(*x)])
        assert 0 <= x[0] < x[1] <= len(text)
        assert 0 <= y[0] < y[1] <= len(text)
    assert not (answer.absent and answer.points)
    assert isinstance(answer.consistent, bool)
    assert len(answer.problems) <= 8
    stream = IncrementalParser(SIZES, dialect, layout=LAYOUT)
    told = [point for piece in pieces(text, rng) for point in stream.feed(piece)]
    told += stream.finish()
    assert where(told) == places(stream) == places(answer), text
    assert [point.label for point in stream.points] == [point.label for point in answer.points], text
    return answer


def test_fuzz() -> None:
    rng = random.Random(5)
    found = 0
    for number in range(INPUTS):
        text = shattered(rng) if number % 3 == 0 else broken(rng)
        found += len(check(text, DIALECTS[number % 4], rng).points)
    assert found > INPUTS / 20  # or the texts would be too broken to test anything


def test_valid_answers_are_read_without_problems() -> None:
    rng = random.Random(6)
    for _ in range(300):
        dialect, text = valid(rng)
        answer = check(text, "auto", rng)
        assert places(answer) == places(parsed(text, dialect))
        assert answer.dialect == dialect or not answer.points
        assert not answer.truncated
        assert answer.points or answer.absent or dialect == "molmopoint"
        assert not [problem for problem in answer.problems if "repeats" not in problem and answer.points]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_growing_answer_keeps_its_points(dialect: str) -> None:
    rng = random.Random(7)
    for _ in range(40):
        text = valid(rng)[1] + rng.choice(["", " and ", "."]) + valid(rng)[1]
        stream = IncrementalParser(SIZES, dialect, layout=LAYOUT)
        before: list[tuple[object, ...]] = []
        whole_before: list[tuple[object, ...]] = []
        for end in range(1, len(text) + 1):
            stream.feed(text[end - 1])
            now = places(stream)
            assert now[: len(before)] == before
            whole = places(parsed(text[:end], dialect))
            assert now == whole[: len(now)]
            assert whole[: len(whole_before)] == whole_before
            before, whole_before = now, whole
        assert len(before) >= len(places(parsed(text, dialect))) - 1
        stream.finish()
        assert places(stream) == places(parsed(text, dialect))


@given(st.text(st.characters(blacklist_categories=["Nd"])))
def test_text_without_digits_never_has_a_point(text: str) -> None:
    for dialect in DIALECTS:
        assert parsed(text, dialect).points == ()


@given(st.text(alphabet="<>points coordalt1234567890=\"' ;.,()x", max_size=200))
def test_noise_of_the_grammars_own_letters(text: str) -> None:
    for dialect in DIALECTS:
        check(text, dialect, random.Random(1))


@given(
    before=st.text(st.characters(blacklist_characters="<>(=", blacklist_categories=["N", "Cs"]), max_size=40),
    after=st.text(st.characters(blacklist_characters="<>(=", blacklist_categories=["N", "Cs"]), max_size=40),
    seed=st.integers(0, 99),
)
def test_noise_around_an_answer_changes_no_point(before: str, after: str, seed: int) -> None:
    dialect, text = valid(random.Random(seed))
    assert places(parsed(before + " " + text + " " + after, dialect)) == places(parsed(text, dialect))


UNITS = {
    "tags": "<points ",
    "track tags": "<tracks coords",
    "alts": 'alt="',
    "tag with alts": '<points alt="',
    "quotes": '"',
    "angle": "<",
    "closed": ">",
    "coords": 'coords="1 1 ',
    "groups": "1 1 500 500;",
    "digits": "1",
    "parentheses": "(",
    "pairs": "(10.5,        ",
    "spaces": " ",
    "equations": "1=",
    "attributes": 'x="',
    "point tokens": "<POINT_1>",
    "half tokens": "<POINT_",
    "triples": "<POINT_0><POINT_10><POINT_14>",
    "totals": "a total of ",
    "there": "there are ",
    "thirteen": "there are thirteen ",
    "counting": "counting the ",
    "numbers": "12 and ",
    "no tracks": "no tracks ",
    "surrogates": "\ud800",
    "point loop": '<point x="1.0" y="2.0">',
    "closings": "</points>",
    "quoted closings": '">',
}
HEADS = ("", "<points ", '<points alt="', '<points coords="', '<points coords="1 ', '<tracks coords="0.0 1 5')


@pytest.mark.parametrize("name", UNITS)
def test_time_is_linear(name: str) -> None:
    # Ten times the text may take thirty times as long before it counts as more than linear.
    for dialect in ("auto", "molmopoint"):  # "auto" reads as Molmo v1 and as Molmo2
        for head in HEADS:
            short, long = (head + UNITS[name] * (size // len(UNITS[name])) for size in (5_000, 50_000))
            allowed = max(0.1, 30 * min(_seconds(short, dialect) for _ in range(2)))
            assert _seconds(long, dialect) < allowed or _seconds(long, dialect) < allowed, (dialect, head)


def _seconds(text: str, dialect: str) -> float:
    start = time.process_time()
    parsed(text, dialect)
    return time.process_time() - start


@pytest.mark.parametrize("name", ["groups", "digits", "quotes", "pairs", "tags", "point loop", "triples"])
def test_a_stream_of_single_characters_is_linear(name: str) -> None:
    text = '<points coords="1 ' + UNITS[name] * (24_000 // len(UNITS[name]))
    start = time.process_time()
    stream = IncrementalParser(SIZES, "auto", layout=LAYOUT)
    for at in range(0, len(text), 4):
        stream.feed(text[at : at + 4])
    stream.finish()
    assert time.process_time() - start < 4
