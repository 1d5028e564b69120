"""Molmo2's answers: images, videos, tracks, and what can be wrong with them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_point.errors import InputError
from molmo_point.points.parse import ParsedAnswer, parse_answer

from ..molmo2_answers import points_answer, tracks_answer

THREE = [(640, 480), (1000, 1000), (320, 240)]


def parsed(text: str, size_wh: object = (1000, 500)) -> ParsedAnswer:
    return parse_answer(text, size_wh, "molmo2")


def places(text: str, size_wh: object = (1000, 1000)) -> list[tuple[int, int]]:
    """The points in thousandths."""
    return [(round(p.u + 0.5), round(p.v + 0.5)) for p in parsed(text, size_wh).points]


def test_one_point_to_the_half_pixel() -> None:
    answer = parsed('<points coords="1 1 555 169">dogs</points>', (640, 480))
    (point,) = answer.points
    assert (point.u, point.v) == pytest.approx((555 / 1000 * 640 - 0.5, 169 / 1000 * 480 - 0.5))
    assert (point.label, point.index, point.image_index, point.object_id) == ("dogs", 1, 0, None)
    assert math.isnan(point.time_s)
    assert (answer.dialect, answer.problems, answer.truncated, answer.absent) == ("molmo2", (), False, False)


def test_bounds_are_inclusive() -> None:
    answer = parsed('<points coords="1 1 000 000 2 1000 1000">a</points>', (640, 480))
    assert [(p.u, p.v) for p in answer.points] == [(-0.5, -0.5), (639.5, 479.5)]


def test_each_image_has_its_own_size() -> None:
    answer = parsed('<points coords="1 1 500 500;2 2 250 250 3 750 750;3 4 100 100">a</points>', THREE)
    assert [(p.image_index, p.index) for p in answer.points] == [(0, 1), (1, 2), (1, 3), (2, 4)]
    assert [(p.u + 0.5, p.v + 0.5) for p in answer.points] == [(320, 240), (250, 250), (750, 750), (32, 24)]
    assert answer.problems == ()


def test_the_published_example() -> None:
    text = '<points coords="1 1 555 169;2 3 649 154 4 709 162;5 5 758 175 6 808 183 7 852 187"> Inline text\n</points>'
    answer = parsed(text, [(1000, 1000)] * 5)
    assert [(p.image_index, p.index, round(p.u + 0.5), round(p.v + 0.5)) for p in answer.points] == [
        (0, 1, 555, 169), (1, 3, 649, 154), (1, 4, 709, 162), (4, 5, 758, 175), (4, 6, 808, 183), (4, 7, 852, 187),
    ]  # fmt: skip
    assert {p.label for p in answer.points} == {"Inline text"}


def test_an_image_that_was_not_given_is_a_problem() -> None:
    answer = parsed('<points coords="1 1 500 500;2 2 250 250;0 3 100 100">a</points>')
    assert len(answer.points) == 1
    assert any("image 2" in problem for problem in answer.problems)
    assert any("numbered from 1" in problem for problem in answer.problems)


def test_a_decimal_point_makes_a_time() -> None:
    answer = parsed('Counting the <points coords="0.0 1 100 200;2.5 2 300 400">jumps</points> shows a total of 2.')
    assert [(p.time_s, p.image_index, p.index) for p in answer.points] == [(0.0, 0, 1), (2.5, 0, 2)]
    assert (answer.stated_count, answer.consistent, answer.object_count) == (2, True, 2)


def test_tracks_follow_objects() -> None:
    text = '<tracks coords="0.0 1 635 522;0.5 1 606 490 2 511 124;1.0 2 515 164;2 2 520 168">dogs</tracks>'
    answer = parsed(text)
    assert [(p.time_s, p.object_id) for p in answer.points] == [(0.0, 1), (0.5, 1), (0.5, 2), (1.0, 2), (2.0, 2)]
    assert (answer.object_count, answer.problems, answer.truncated) == (2, (), False)
    assert parsed(f"There are 2 dogs. {text}").consistent
    assert not parsed(f"There are 5 dogs. {text}").consistent


def test_a_repeated_object_in_a_frame_is_ignored_and_two_may_share_a_place() -> None:
    answer = parsed('<tracks coords="0.0 1 100 100 1 200 200 2 100 100">a</tracks>')
    assert [(p.object_id, round(p.u + 0.5)) for p in answer.points] == [(1, 100), (2, 100)]
    assert "repeats" in answer.problems[0]


def test_endless_repetition_is_one_point() -> None:
    loop = " ".join(f"{i} 500 500" for i in range(1, 400))
    answer = parsed(f'<points coords="1 {loop}')
    assert len(answer.points) == 1
    assert answer.truncated
    assert "(397 times)" in answer.problems[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<points alt="dog" coords="1 1 555 169">dog</points>', [(555, 169)]),
        ("<points coords='1 1 555 169'>dog</points>", [(555, 169)]),
        ('<POINTS COORDS = "1 1 555 169"/>', [(555, 169)]),
        ('<point coords="1 1 555 169">dog</point>', [(555, 169)]),
        ('<points coords="1 1 555 169\t2 2 100 200">a</points>', [(555, 169)]),
        ('<points coords="1 1 555 169,1 2 100 200:1 3 300 400">a</points>', [(555, 169), (100, 200), (300, 400)]),
        ('<points coords="1  1  555  169 ; 1 2 100 200 ">a</points>', [(555, 169), (100, 200)]),
        ('<points coords="1 1 555 169', []),
        ('<points coords="1 1 555 169 ', [(555, 169)]),
        ('<points coords="1 1 555 169 2 100', [(555, 169)]),
        ('<points coords="1 1 555 169"', [(555, 169)]),
        ('<points coords="1 1 555 169>a</points>', [(555, 169)]),
        ('<points coords="1 1 55 169 2 649 154">a</points>', [(649, 154)]),
        ('<points coords="1 1 555 2 649 154">a</points>', [(649, 154)]),
        ('<points coords="1 555 169">a</points>', []),
        ('<points coords="1 555 169 649 154">a</points>', []),
        ('<points coords="1 1 555 169 649 154 3 100 200">a</points>', [(555, 169), (100, 200)]),
        ('<points coords="1 1 1001 169 2 649 1500 3 0555 100">a</points>', [(555, 100)]),
        ('<points coords="1 1 55.5 16.9 2 649 154">a</points>', [(649, 154)]),
        ('<points coords="1 1 -555 169">a</points>', []),
        ('<points coords="x 1 555 169;1 2 649 154">a</points>', [(649, 154)]),
        ('<points coords="">a</points>', []),
        ("<points>555 169</points>", []),
        ('<points>coords="1 1 555 169"</points>', []),
        ('coords="1 1 555 169"', []),
        ('<points alt="coords="1 1 555 169" x" coords="1 1 100 200">a</points>', [(100, 200)]),
        ('<points alt="1 1 555 169" coords="1 1 100 200">a</points>', [(100, 200)]),
        ('<points alt="a > b < c" coords="1 1 100 200">a</points>', [(100, 200)]),
        ('<points alt="the "big" dog" coords="1 1 100 200">a</points>', [(100, 200)]),
        ('<points coords="1 1 ٥٥٥ ١٦٩">a</points>', []),
        ('<points x="55.5" y="16.9">a</points>', []),
    ],
)
def test_forms(text: str, expected: list[tuple[int, int]]) -> None:
    assert places(text) == expected


def test_the_older_style_separates_images_by_tabs() -> None:
    answer = parsed('<points coords="1 1 555 169\t3 2 100 200">a</points>', THREE)
    assert [p.image_index for p in answer.points] == [0, 2]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('<points coords="1 1 55 169">a</points>', "cannot be read: 1 55"),
        ('<points coords="1 1 555">a</points>', "no partner: 1 555"),
        ('<points coords="1 1 555;2 2 100 200">a</points>', "no partner"),
        ('<points coords="1 1 1001 500">a</points>', "outside 0 to 1000: x=1001 y=500"),
        ('<points coords="one 1 555 169">a</points>', "no number: one"),
        ("<points>a</points>", "no coordinates"),
        ("Over there.", "no points in the answer"),
        ("", "the answer is empty"),
    ],
)
def test_what_cannot_be_used_is_reported(text: str, part: str) -> None:
    answer = parsed(text)
    assert answer.points == ()
    assert any(part in problem for problem in answer.problems), answer.problems


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('<points coords="1 1 555 169">the dogs </points>', "the dogs"),
        ('<points coords="1 1 555 169" alt="dogs">the dogs</points>', "dogs"),
        ('<points alt="dogs" coords="1 1 555 169">the dogs</points>', "dogs"),
        ('<points alt="" coords="1 1 555 169">the dogs</points>', ""),
        ('<points alt="a "b" > c" coords="1 1 555 169">x</points>', 'a "b" > c'),
        ('<points coords="1 1 555 169">a < b</points>', "a < b"),
        ('<points coords="1 1 555 169">dogs</poi', "dogs"),
        ('<points coords="1 1 555 169"', ""),
    ],
)
def test_labels(text: str, label: str) -> None:
    assert [point.label for point in parsed(text).points] == [label]


@pytest.mark.parametrize("text", ["There are none.", "No tracks available.", "no track available"])
def test_absent(text: str) -> None:
    answer = parsed(text)
    assert (answer.absent, answer.stated_count, answer.problems, answer.consistent) == (True, 0, (), True)


@pytest.mark.parametrize(
    ("text", "truncated"),
    [
        ('<points coords="1 1 555 169">a</points>', False),
        ('<tracks coords="0.0 1 555 169">a</tracks> That is all.', False),
        ('<points coords="1 1 555 169"/>', False),
        ('<points coords="1 1 555 169">a', True),
        ('<tracks coords="0.0 1 555 169;', True),
        ('<points coords="1 1 555 169">a</points> and <track', True),
        ('Counting the <points coords="1 1 555 169">a</points> shows a', True),
    ],
)
def test_truncated(text: str, truncated: bool) -> None:
    answer = parsed(text)
    assert answer.truncated == truncated
    assert answer.consistent != truncated


def test_spans_point_at_the_numbers() -> None:
    text = 'So <points alt="7" coords="1 1 555 169;1 22 0100 200">a</points>'
    assert [(text[slice(*x)], text[slice(*y)]) for x, y in parsed(text).spans] == [("555", "169"), ("0100", "200")]


@pytest.mark.parametrize(("stated", "consistent"), [(2, True), (3, False), (1, False)])
def test_stated_count_against_the_points(stated: int, consistent: bool) -> None:
    text = f'Counting the <points coords="1 1 555 169 2 100 200">a</points> shows a total of {stated}.'
    assert (parsed(text).stated_count, parsed(text).consistent) == (stated, consistent)


@pytest.mark.parametrize("size_wh", [[], [(640, 480), (0, 1)], [(640, 480), 3], "ab", 5, (1, 2, 3), (10**400, 1)])
def test_sizes_are_refused(size_wh: object) -> None:
    with pytest.raises(InputError, match="size_wh"):
        parsed("", size_wh)


def test_unknown_families_are_refused() -> None:
    with pytest.raises(InputError, match="molmopoint"):
        parse_answer("", (1, 1), "molmo3")


percents = st.floats(0, 100, allow_nan=False)
points = st.lists(st.tuples(percents, percents), max_size=6)
labels = st.text(st.characters(blacklist_categories=["C"], blacklist_characters="<>\"'="), min_size=1).map(str.strip).filter(bool)


@given(groups=st.lists(points, min_size=1, max_size=4), label=labels, timed=st.booleans(), counting=st.booleans())
def test_law_parse_undoes_format(groups: list, label: str, timed: bool, counting: bool) -> None:
    keyed = {float(i) / 2 if timed else i: group for i, group in enumerate(groups)}
    text = points_answer(keyed, label, "point_count" if counting else "pointing")
    answer = parsed(text, [(1000, 500)] * (1 if timed else len(groups)))
    expected = [
        (key, round(x * 10), round(y * 10)) for key, group in keyed.items() for x, y in sorted(group)
    ]  # fmt: skip
    found = [(p.time_s if timed else p.image_index, round(p.u + 0.5), round(2 * (p.v + 0.5))) for p in answer.points]
    assert found == list(dict.fromkeys(expected))
    assert {point.label for point in answer.points} <= {label}
    assert answer.absent == (not expected)
    assert not answer.truncated
    assert answer.stated_count == (len(expected) if counting or not expected else None)


@given(
    frames=st.dictionaries(
        st.integers(0, 50).map(lambda t: t / 2), st.dictionaries(st.integers(0, 99), st.tuples(percents, percents), max_size=5)
    ),
    label=labels,
)
def test_law_parse_undoes_tracks(frames: dict, label: str) -> None:
    answer = parsed(tracks_answer(frames, label), (1000, 500))
    expected = [(t, number, round(x * 10), round(y * 10)) for t in sorted(frames) for number, (x, y) in sorted(frames[t].items())]
    assert [(p.time_s, p.object_id, round(p.u + 0.5), round(2 * (p.v + 0.5))) for p in answer.points] == expected
    assert answer.absent == (not expected)
    assert answer.problems == ()


@given(groups=st.permutations([f"{i} {i} {i}00 {i}50" for i in range(1, 6)]))
def test_order_of_the_groups_does_not_matter(groups: list[str]) -> None:
    answer = parsed(f'<points coords="{";".join(groups)}">a</points>', [(1000, 1000)] * 5)
    assert sorted((p.image_index, round(p.u + 0.5), round(p.v + 0.5)) for p in answer.points) == [
        (i - 1, i * 100, i * 100 + 50) for i in range(1, 6)
    ]
