"""Numbers of which nobody knows the meaning: no point, or a point along with a problem, read whole and piece by piece."""

import pytest

from molmo_point.points.incremental_parser import IncrementalParser
from molmo_point.points.parse import parse_answer

from .answers import LAYOUT

SIZE = (640, 480)


def read(text: str, dialect: str) -> tuple[list[tuple[float, float]], tuple[str, ...]]:
    """The points to a tenth of a pixel, and the problems; the growing text must give the same points."""
    layout = LAYOUT if dialect == "molmopoint" else None
    sizes = None if layout else SIZE
    answer = parse_answer(text, sizes, dialect, layout=layout)
    stream = IncrementalParser(sizes, dialect, layout=layout)
    told = [point for character in text for point in stream.feed(character)] + [*stream.finish()]
    assert [(p.u, p.v, p.index) for p in told] == [(p.u, p.v, p.index) for p in answer.points]
    return [(round(p.u, 1), round(p.v, 1)) for p in answer.points], answer.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<point x="555" y="169" alt="dog">dog</point>', [(354.7, 80.6)]),
        ('<point x="55" y="16" alt="dog">dog</point>', [(34.7, 7.2)]),
        ("<point x='0' y='1000'>dog</point>", [(-0.5, 479.5)]),
        ("<point y=169 x=555>dog</point>", [(354.7, 80.6)]),
        ('<points x1="555" y1="169" x2="100" y2="200" alt="dogs">dogs</points>', [(354.7, 80.6), (63.5, 95.5)]),
        ('Counting the <points x1="555" y1="169" alt="x1=7">a</points> shows a total of 1.', [(354.7, 80.6)]),
        ('<point x="555" y="169">a</point><points coords="1 1 100 200">b</points>', [(354.7, 80.6), (63.5, 95.5)]),
    ],
)
def test_molmo2_reads_whole_numbers_of_v1_tags_as_thousandths(text: str, expected: list[tuple[float, float]]) -> None:
    assert read(text, "molmo2") == (expected, ())


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        # An attribute twice.
        ('<point x="10" x="90" y="10" alt="a">a</point>', "molmo"),
        ('<point y="10" y="90" x="10" alt="a">a</point>', "molmo"),
        ("<point x='10' X=90 y='10'>a</point>", "molmo"),
        ('<points x1="10" x1="90" y1="10" alt="a">a</points>', "molmo"),
        ('<points x1="10" y2="7" x1="90" y1="10" alt="a">a</points>', "molmo"),
        ('<points x1="100" x1="900" y1="100" alt="a">a</points>', "molmo2"),
        # Neither percent nor thousandths.
        ('<point x="555" y="169" alt="dog">dog</point>', "molmo"),
        ('<point x="55.5" y="16.9" alt="dog">dog</point>', "molmo2"),
        ('<point x="555" y="16.9" alt="dog">dog</point>', "molmo2"),
        ('<point x="1001" y="169">dog</point>', "molmo2"),
        ('<point x="55.5%" y="16.9%" alt="dog">dog</point>', "molmo"),
        ('<point x="555%" y="169%" alt="dog">dog</point>', "molmo2"),
        ('<point x="nan" y="10">a</point>', "molmo"),
        ('<point x="nan" y="10">a</point>', "molmo2"),
        ('<point x="inf" y="10">a</point>', "molmo"),
        ('<point x="1e1" y="10">a</point>', "molmo"),
        ('<point x="-5" y="10">a</point>', "molmo"),
        ('<point x="100.1" y="10">a</point>', "molmo"),
        ('<point x="10,5" y="10">a</point>', "molmo"),
        # Numbers without an end or a partner.
        ('<points x12345678="10" y12345678="10">a</points>', "molmo"),
        ('<point x="10" <point y="20">a</point>', "molmo"),
        ('<points x1="10" y2="20">a</points>', "molmo"),
        ('<points coords="1 1 555 169">dog</points>', "molmo"),
        ('<points coords="1 1 nan 169">dog</points>', "molmo2"),
        ('<points coords="1 1 55.5 16.9">dog</points>', "molmo2"),
        ('<points coords="1 1 55% 16%">dog</points>', "molmo2"),
        ('<points coords="1 1 1001 169">dog</points>', "molmo2"),
        ('<points coords="1 99999999999 555 169">dog</points>', "molmo2"),
        ('<points coords="99999999999 1 555 169">dog</points>', "molmo2"),
        ("<points>10 20</points>", "molmo2"),
        ('<points coords="<POINT_99999><POINT_10><POINT_14>1">a</points>', "molmopoint"),
        ('<points coords="<POINT_0><POINT_10>1">a</points>', "molmopoint"),
        ('<points coords="<POINT_0><POINT_10><POINT_nan>1">a</points>', "molmopoint"),
        (f'<points coords="<POINT_{"9" * 5000}><POINT_10><POINT_14>1">a</points>', "molmopoint"),
        ('<point x="50" y="20" alt="a">a</point>', "molmopoint"),
    ],
)
def test_an_unclear_number_is_no_point_and_a_problem(text: str, dialect: str) -> None:
    points, problems = read(text, dialect)
    assert points == []
    assert problems


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ('<point x="10" y="90" y="10" alt="a">a</point>', "molmo"),
        ('<points x1="10" y1="10" x1="90" y1="90" alt="a">a</points>', "molmo"),
        ('<points x1="10" y1="10" x2="50" y2="50" x1="90" y1="90" alt="a">a</points>', "molmo"),
        ('<point x="10" y="10" coords="1 1 555 169">a</point>', "molmo"),
        ('<points x1="10" y1="10">a</points><points coords="1 1 555 169">a</points>', "molmo"),
        ('<points coords="1 1 555 169" coords="1 1 100 200">dog</points>', "molmo2"),
        ("<points coords='1 1 555 169' alt='a' coords='1 2 100 200'>dog</points>", "molmo2"),
        ('<points coords="1 1 555 169 1 100 200">dog</points>', "molmo2"),
        ('<points coords="1 1 555 169" x="10" y="20">dog</points>', "molmo2"),
        ('<point x="100" y="900" y="100" alt="a">a</point>', "molmo2"),
        ('<point x="100" y="900" coords="1 1 100 200">a</point>', "molmo2"),
        ('<points coords="<POINT_0><POINT_10><POINT_14>1<POINT_1><POINT_10><POINT_14>1">a</points>', "molmopoint"),
    ],
)
def test_a_point_that_was_told_stays_with_a_problem(text: str, dialect: str) -> None:
    points, problems = read(text, dialect)
    assert points
    assert problems


def test_the_same_number_twice_is_the_same_point() -> None:
    assert read('<point x="50" x="50.0" y="50" alt="a">a</point>', "molmo") == ([(319.5, 239.5)], ())


@pytest.mark.parametrize("dialect", ["molmo", "molmo2", "auto"])
@pytest.mark.parametrize("names", [("data-x", "data-y"), ("svg:x", "svg:y"), ("@x", "@y"), ("x-1", "y-1"), ("xx", "yy")])
def test_attributes_of_other_names_are_no_coordinates(dialect: str, names: tuple[str, str]) -> None:
    text = f'<point {names[0]}="100" {names[1]}="300" alt="dog">dog</point>'
    answer = parse_answer(text, (1000, 500), dialect)
    assert not answer.points
    assert answer.problems
