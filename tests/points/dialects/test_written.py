"""The answer text against the official formatter's output."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_point.errors import InputError
from molmo_point.points.dialects.written import format_points, points_tag
from molmo_point.points.parse import parse_answer

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "golden.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["points_to_text"], ids=lambda case: case["out"][:30])
def test_golden_tags(case: dict) -> None:
    scale = case["scale"] if isinstance(case["scale"], list) else [case["scale"] / 100] * 2
    percent = [[x / scale[0], y / scale[1]] for x, y in case["points"]]
    assert points_tag(percent, "dog") == case["out"]


@pytest.mark.parametrize("case", GOLDEN["format_points"], ids=lambda case: f"{case['style']}-{case['n']}")
def test_golden_answers(case: dict) -> None:
    points = [[10.0, 20.0], [30.0, 40.0]][: case["n"]]
    assert format_points(points, "red dogs", case["style"]) == case["out"]


percents = st.floats(0, 100, allow_nan=False)
labels = st.text(st.characters(blacklist_categories=["C"], blacklist_characters="<>\"'="), min_size=1).map(str.strip)
tags = st.lists(st.tuples(percents, percents), min_size=1, max_size=12)


@given(points=tags, label=labels.filter(bool), style=st.sampled_from(["pointing", "point_count"]))
def test_law_parse_undoes_format(points: list[tuple[float, float]], label: str, style: str) -> None:
    text = format_points(points, label, style)
    parsed = parse_answer(text, (1000, 500))
    expected = [(round(x, 1), round(y, 1)) for x, y in sorted(points, key=lambda p: p[0] * 10000 + p[1])]
    unique = list(dict.fromkeys(expected))
    assert [(round(p.u + 0.5, 6), round(p.v + 0.5, 6)) for p in parsed.points] == [
        (round(x * 10, 6), round(y * 5, 6)) for x, y in unique
    ]
    assert {point.label for point in parsed.points} == {label}
    assert not parsed.truncated
    assert not parsed.absent
    assert parsed.stated_count == (len(points) if style == "point_count" else None)
    assert bool(parsed.problems) == (len(unique) < len(points))


@pytest.mark.parametrize("label", ['the "big" dog', "it's", "a > b", "x=1 of them"])
def test_labels_that_are_not_escaped_come_back(label: str) -> None:
    points = parse_answer(format_points([[1, 2], [3, 4]], label), (100, 100)).points
    assert [point.label for point in points] == [label, label]
    assert [point.u for point in points] == pytest.approx([0.5, 2.5])


@pytest.mark.parametrize("point", [(-0.1, 5), (5, 100.1), (float("nan"), 5), (1, 2, 3), ("a", 1)])
def test_points_outside_are_refused(point: tuple) -> None:
    with pytest.raises(InputError, match=r"percent|two numbers"):
        format_points([point], "dog")


def test_unknown_style_and_empty_tag_are_refused() -> None:
    with pytest.raises(InputError, match="point_count"):
        format_points([], "dog", "xml")
    with pytest.raises(InputError, match="absence"):
        points_tag([], "dog")
