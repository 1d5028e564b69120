"""The number that an answer states in words, and where it states none."""

import pytest

from molmo_point.points.dialects import DIALECTS
from molmo_point.points.parse import parse_answer
from molmo_point.points.prose import stated_count

TWO = '<points x1="1" y1="2" x2="3" y2="4" alt="a">a 7</points>'


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("5", 5),
        ("Five.", 5),
        (" twenty ", 20),
        ("one", 1),
        ("One.", 1),
        ("None.", 0),
        ("0", 0),
        ("There are 5", 5),
        ("There are 5.", 5),
        ("There are three mugs on the table.", 3),
        ("There is one mug.", 1),
        ("There are only two of them.", 2),
        ("The answer is 12.", 12),
        ("The number of mugs is **4**.", 4),
        ("Answer: (3)", 3),
        ("Counting the mugs shows a total of nine.", 9),
        ("There are 3 here, and 4 there, which shows a total of 7.", 7),
        (f"Counting the {TWO} shows a total of 2.", 2),
        (f"Counting the {TWO} shows 2.", 2),
        (f"There are 2 {TWO} dogs.", 2),
        ('There are 2 <points coords="1 1 500 500 2 600 600">dogs</points>.', 2),
        ("<POINT_1><POINT_2><POINT_3>4", None),
        ("There are two mugs and three cups.", None),
        ("There are 2 on shelf 4", None),
        ("There are 2.5 litres", None),
        ("There are 1,000 of them", None),
        ("There are many.", None),
        ("There are", None),
        ("I mean the red one.", None),
        ("It is on the one shelf of 5 that has 3", None),
        ("50%", None),
        ("1/2", None),
        ("-3", None),
        ("3.5", None),
        ("10:30", None),
        ("p=123, 456", None),
        ("1=123, 456 2=234, 567", None),
        ("(10.5, 20.5)", None),
        (TWO, None),
        (f"{TWO[:-9]}", None),
        ("Point 17a", None),
        ("someone", None),
        ("", None),
    ],
)
def test_stated_count(text: str, stated: int | None) -> None:
    assert stated_count(text) == stated


@pytest.mark.parametrize("dialect", [f for f in DIALECTS if f != "molmopoint"])
@pytest.mark.parametrize(("text", "absent"), [("Zero.", True), ("There are none.", True), ("There are 4.", False)])
def test_zero_is_absence_in_every_dialect(dialect: str, text: str, absent: bool) -> None:
    answer = parse_answer(text, (10, 10), dialect)
    assert answer.absent == absent
    assert answer.consistent == absent


@pytest.mark.parametrize(
    ("text", "consistent"),
    [
        (TWO, True),
        (f"Counting the {TWO} shows a total of 2.", True),
        (f"Counting the {TWO} shows a total of 3.", False),
        (f"There are none. {TWO}", False),
        (f"Counting the {TWO} shows a", False),
        (TWO[:-5], False),
        ("There are none.", True),
        ("I cannot tell.", False),
        ("", False),
    ],
)
def test_consistent(text: str, consistent: bool) -> None:
    answer = parse_answer(text, (10, 10))
    assert answer.consistent == consistent
    assert answer.object_count == len(answer.points)
