"""Every form of answer, the official parser's strings, what can go wrong, and hostile text."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_point.errors import InputError
from molmo_point.points.parse import ParsedAnswer, parse_answer, parse_points

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "golden.json").read_text())["extract_points_w640_h480"]

# Where we answer differently from the official parser, and what we answer (in its pixels).
DIFFERENT = {
    "Click(10.5, 20.5)": [[67.2, 98.4]],  # once, not twice
    "<point x='61.5' y='40.4' alt='dog'>dog</point>": [[393.6, 193.92]],  # single quotes
    '<point y="40.4" x="61.5" alt="dog">dog</point>': [[393.6, 193.92]],  # y before x
}


def percent(text: str) -> list[tuple[float, float]]:
    """The points in percent."""
    return [(round(p.u + 0.5, 6), round(p.v + 0.5, 6)) for p in parse_points(text, (100, 100))]


def parsed(text: str) -> ParsedAnswer:
    return parse_answer(text, (640, 480))


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["text"][:40] or "empty")
def test_golden_strings(case: dict) -> None:
    expected = DIFFERENT.get(case["text"], case["points"])
    # The official parser has no half-pixel shift.
    ours = [(point.u + 0.5, point.v + 0.5) for point in parse_points(case["text"], (640, 480))]
    assert len(ours) == len(expected)
    for mine, theirs in zip(ours, expected, strict=True):
        assert mine == pytest.approx(theirs)


def test_there_are_eighteen_golden_strings_and_three_differences() -> None:
    assert len(GOLDEN) == 18
    different = [case["text"] for case in GOLDEN if case["text"] in DIFFERENT]
    assert sorted(different) == sorted(DIFFERENT)
    assert all(case["points"] != DIFFERENT[case["text"]] for case in GOLDEN if case["text"] in DIFFERENT)


def test_half_pixel_convention() -> None:
    first, last = parse_points('<points x1="0" y1="0" x2="100.0" y2="100.0" alt="a">a</points>', (640, 480))
    assert (first.u, first.v) == (-0.5, -0.5)
    assert (last.u, last.v) == (639.5, 479.5)
    (middle,) = parse_points('<point x="50.0" y="25.0" alt="a">a</point>', (640, 480))
    assert (middle.u, middle.v) == (319.5, 119.5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<point x="61.5" y="40.4" alt="dog">dog</point>', [(61.5, 40.4)]),
        ('<points x1="41.0" y1="43.0" x2="66.5" y2="41.7" alt="eyes">eyes</points>', [(41.0, 43.0), (66.5, 41.7)]),
        ('Here <point x="1" y="2" alt="a">a</point> and <point x="3" y="4" alt="b">b</point>.', [(1, 2), (3, 4)]),
        ('<points x1="1" x2="3" y1="2" y2="4">a</points>', [(1, 2), (3, 4)]),
        ('<points y2="4" x1="1" alt="a" x2="3" y1="2">a</points>', [(3, 4), (1, 2)]),
        ('<points x2="3" y2="4" x7="1" y7="2" alt="a">a</points>', [(3, 4), (1, 2)]),
        ("<point x=61.5 y=40.4 alt=dog>dog</point>", [(61.5, 40.4)]),
        ('<point x = "61.5"  y = "40.4"/>', [(61.5, 40.4)]),
        ('<POINT X="61.5" Y="40.4" ALT="dog">dog</POINT>', [(61.5, 40.4)]),
        ('<point x="61.5" y="40.4" alt="dog', [(61.5, 40.4)]),
        ('<point x="61.5" y="40.4', []),
        ('<point x="61.5" y="4', []),
        ("<point x=61.5 y=40.4", []),
        ('<points x1="1.0" y1="2.0" x2="3.0"', [(1, 2)]),
        ("Click(10.5, 20.5)", [(10.5, 20.5)]),
        ("(10.5, 20.5)\n(1.0,2.0)", [(10.5, 20.5), (1.0, 2.0)]),
        ("(10, 20) and f(1.25, 3.0)", []),
        ("p=123, 456", [(12.3, 45.6)]),
        ("1=123, 456 2=234, 567", [(12.3, 45.6), (23.4, 56.7)]),
        ("1=1234, 456 y1=123, 456", []),
        ('<point x="1" y="2" alt="(10.5, 20.5)">(10.5, 20.5)</point>', [(1, 2)]),
        ('<point x="1" y="2" alt="x=\'7\' y=\'8\'">a</point>', [(1, 2)]),
        ('<pointer x="1" y="2">a</pointer>', []),
        ('<point max="1" dy="2">a</point>', []),
    ],
)
def test_forms(text: str, expected: list[tuple[float, float]]) -> None:
    assert percent(text) == expected


def test_order_is_that_of_the_text() -> None:
    text = '(1.5, 2.5) <point x="3" y="4" alt="a">a</point> 1=055, 066 <point x="7" y="8" alt="b">b</point>'
    assert percent(text) == [(1.5, 2.5), (3, 4), (5.5, 6.6), (7, 8)]


def test_labels_and_indices() -> None:
    points = parsed('<points x3="1" y3="2" alt="eyes">the eyes</points> <point x="3" y="4">nose</point>').points
    assert [(p.label, p.index) for p in points] == [("eyes", 3), ("nose", None)]
    assert [p.index for p in parsed("1=123, 456 2=234, 567 p=345, 678").points] == [1, 2, None]
    assert parsed("Click(10.5, 20.5)").points[0].label == ""


@pytest.mark.parametrize(
    "text",
    [
        "There are none.",
        " There are none.",
        "there is no red mug in the image",
        "This isn't in the image.",
        "This isn’t in the image.",
        "It is not in the picture.",
        "There aren't any.",
        "None.",
        "Counting the dogs shows a total of 0.",
        "Counting the dogs shows a total of zero.",
    ],
)
def test_absent(text: str) -> None:
    answer = parsed(text)
    assert answer.absent
    assert (answer.points, answer.stated_count, answer.problems) == ((), 0, ())


@pytest.mark.parametrize("text", ["", "   ", "The mug is on the table.", "I see nothing wrong with nonempty cups."])
def test_no_points_is_not_absence(text: str) -> None:
    answer = parsed(text)
    assert not answer.absent
    assert answer.stated_count is None
    assert answer.problems
    assert answer.problems[0].startswith("the answer is empty") == (not text.strip())


def test_absence_with_points_is_a_problem_and_the_points_count() -> None:
    answer = parsed('There are none. <point x="1" y="2" alt="a">a</point>')
    assert not answer.absent
    assert len(answer.points) == 1
    assert "none" in answer.problems[0]


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ('Counting the <points x1="1" y1="2" x2="3" y2="4" alt="a">a</points> shows a total of 2.', 2),
        ('Counting the <point x="1" y="2" alt="a">a</point> shows a total of 17.', 17),
        ('Counting the <point x="1" y="2" alt="a">a</point> shows a total of Twelve.', 12),
        ('<point x="1" y="2" alt="a">a</point>', None),
        ("a total of many", None),
    ],
)
def test_stated_count(text: str, stated: int | None) -> None:
    assert parsed(text).stated_count == stated


@pytest.mark.parametrize(
    ("text", "truncated"),
    [
        ('<point x="1" y="2" alt="a">a</point>', False),
        ('Counting the <point x="1" y="2" alt="a">a</point> shows a total of 1.', False),
        ("There are none.", False),
        ('<point x="1" y="2"/>', False),
        ('<point x="1" y="2" alt="a">a', True),
        ('<point x="1" y="2" alt="a">a</poi', True),
        ('<points x1="10.0" y1="20.0" x2="30.0" y2="40.0" x3="5', True),
        ('<point x="1" y="2" alt="a">a</point> <poi', True),
        ('Counting the <point x="1" y="2" alt="a">a</point> shows a to', True),
        ("Counting the", True),
    ],
)
def test_truncated(text: str, truncated: bool) -> None:
    assert parsed(text).truncated == truncated


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('<point x="100.1" y="5" alt="a">a</point>', "x=100.1 y=5"),
        ('<point x="5" y="-0.1" alt="a">a</point>', "outside 0 to 100"),
        ('<point x="nan" y="5" alt="a">a</point>', "cannot be read"),
        ('<point x="1e1" y="5" alt="a">a</point>', "cannot be read"),
        ('<point x="1" alt="a">a</point>', "no partner: x"),
        ('<points x1="1" y2="2" alt="a">a</points>', "no partner"),
    ],
)
def test_unusable_coordinates_are_dropped_and_reported(text: str, part: str) -> None:
    answer = parsed(text)
    assert answer.points == ()
    assert any(part in problem for problem in answer.problems)
    assert not answer.absent


def test_endless_repetition_is_one_point_and_a_problem() -> None:
    answer = parsed('<point x="1.0" y="2.0" alt="a">a</point>' * 500)
    assert len(answer.points) == 1
    assert "repeats another (499 times)" in answer.problems[0]
    assert len(answer.spans) == 1
    loop = "<points " + " ".join(f'x{i}="10.0" y{i}="20.0"' for i in range(1, 300))
    assert len(parsed(loop).points) == 1


@pytest.mark.parametrize("rest", ['<point x="1" y="2"', '<point x="1" y="2" alt="a">', '<point x="1" y="2" alt="a">a'])
def test_a_repetition_that_is_cut_off_is_no_further_point(rest: str) -> None:
    answer = parsed('<point x="1" y="2" alt="a">a</point>' + rest)
    assert [point.label for point in answer.points] == ["a"]
    assert "repeats another" in answer.problems[0]


def test_same_place_under_two_names_is_two_points() -> None:
    text = '<point x="1" y="2" alt="a">a</point><point x="1" y="2" alt="b">b</point>'
    assert [point.label for point in parsed(text).points] == ["a", "b"]


def test_spans_point_at_the_numbers() -> None:
    text = ' So <points y1="2.5" x1=" 61.5" x2=\'3\' y2="4" alt="a">a</points> p=123, 456 (7.5, 8.5)'
    spans = parsed(text).spans
    assert [(text[slice(*x)], text[slice(*y)]) for x, y in spans] == [
        ("61.5", "2.5"), ("3", "4"), ("123", "456"), ("7.5", "8.5"),
    ]  # fmt: skip


def test_a_growing_text_never_loses_a_point() -> None:
    text = ' Counting the <points x1="10.5" y1="20.5" x2="30.0" y2="40.0" alt="a">a</points> shows a total of 2.'
    counts = [len(parse_points(text[:end], (640, 480))) for end in range(len(text) + 1)]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 2)


HOSTILE = {
    "brackets": "<" * 10**6,
    "tags": "<point " * 150_000,
    "quotes": '<point alt="' + '"' * 10**6,
    "attributes": 'x="' * 300_000,
    "alts": "<point " + 'alt="' * 200_000 + ">",
    "parentheses": "(" * 10**6,
    "half pairs": "(10.5,        " * 75_000,
    "digits": "1" * 10**6,
    "equations": "1=" * 500_000,
    "blanks": "<point x" + " " * 10**6,
    "totals": "a total of " * 90_000,
    "none": "there are " * 100_000,
    "points": '<point x="1.0" y="2.0">' * 40_000,
    "one tag": "<points " + " ".join(f'x{i}="{i % 100}.0" y{i}="5.0"' for i in range(45_000)),
    "unclosed": '<point x="1" y="2">a</point' * 38_000,
}


def processor_s(work, text: str) -> float:
    start = time.process_time()
    work(text)
    return time.process_time() - start


@pytest.mark.parametrize("name", HOSTILE)
def test_the_time_grows_with_the_garbage_and_not_with_its_square(name: str) -> None:
    part = HOSTILE[name][: len(HOSTILE[name]) // 4]
    # Four times the text: 4 where it is linear, 16 where it is quadratic; under 50 ms nothing can be told.
    most_s = 9 * max(min(processor_s(parsed, part) for _ in range(3)), 0.05)
    # One quick run of three is enough: whatever else the machine does only ever adds.
    assert any(processor_s(parsed, HOSTILE[name]) < most_s for _ in range(3))


@pytest.mark.parametrize("name", HOSTILE)
def test_garbage_leaves_few_and_short_problems(name: str) -> None:
    answer = parsed(HOSTILE[name])
    assert len(answer.problems) <= 5
    assert all(len(problem) < 200 for problem in answer.problems)


@given(st.text(alphabet="<>point xy12=\"'.(),/alt\n", max_size=200))
def test_any_text_gives_points_inside_the_image(text: str) -> None:
    answer = parsed(text)
    assert len(answer.spans) == len(answer.points)
    for point in answer.points:
        assert -0.5 <= point.u <= 639.5
        assert -0.5 <= point.v <= 479.5


@pytest.mark.parametrize("size_wh", [(0, 480), (640, -1), (640,), None, (640, float("nan"))])
def test_sizes_are_refused(size_wh: object) -> None:
    with pytest.raises(InputError, match="size_wh") as caught:
        parse_points("", size_wh)
    assert caught.value.fix


def test_only_text_is_parsed() -> None:
    with pytest.raises(InputError, match="NoneType"):
        parse_points(None, (640, 480))
