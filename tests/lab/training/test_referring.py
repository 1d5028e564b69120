"""What words single out, and when nothing may be asked because people could disagree."""

from dataclasses import replace

import pytest

from lab.training.referring import Description, SeenObject, matches, related, superlative


def thing(noun: str, x: float = 50, depth: float = 0.6, color: str = "red", **more: object) -> SeenObject:
    known = SeenObject(
        noun=noun, nouns=frozenset({noun}), doubtful=frozenset(), category="dishes", categories=frozenset({"dishes"}),
        colors=frozenset({color}), maybe_colors=frozenset({color}), x_percent=x, y_percent=50, left_percent=x - 3,
        right_percent=x + 3, depth_m=depth, position_m=(x / 100, depth, 0.03), size_m=(0.06, 0.06, 0.06), edge_m=0.3,
    )  # fmt: skip
    return replace(known, **more)


def test_nouns_colours_and_categories_select() -> None:
    things = [thing("mug"), thing("mug", color="blue"), thing("bowl"), thing("mug", seen=False)]
    assert matches(things, Description(noun="mug")) == [0, 1]
    assert matches(things, Description(noun="mug", color="blue")) == [1]
    assert matches(things, Description(color="red")) == [0, 2]
    assert matches(things, Description(category="dishes")) == [0, 1, 2]
    assert matches(things, Description(category="tools")) == []
    assert matches(things, Description(noun="fork")) == []
    assert matches(things, Description()) == [0, 1, 2]


def test_close_calls_are_not_asked() -> None:
    assert matches([thing("mug"), thing("glass", doubtful=frozenset({"mug"}))], Description(noun="mug")) is None
    assert matches([thing("mug", usable=False)], Description(noun="mug")) is None
    unclear = thing("mug", colors=frozenset(), maybe_colors=frozenset({"red", "pink"}))
    assert matches([unclear], Description(noun="mug", color="pink")) is None
    assert matches([unclear], Description(noun="bowl", color="pink")) == []
    assert matches([unclear], Description(noun="mug", color="blue")) == []
    bottle = thing("bottle", category="containers", categories=frozenset({"containers"}))
    assert matches([bottle], Description(category="dishes")) is None
    assert matches([bottle], Description(category="toys")) == []


@pytest.mark.parametrize(
    ("relation", "x", "depth", "expected"),
    [
        ("left of", 30, 0.6, [1]),
        ("left of", 70, 0.6, []),
        ("left of", 48, 0.6, None),
        ("right of", 70, 0.6, [1]),
        ("right of", 30, 0.6, []),
        ("in front of", 52, 0.5, [1]),
        ("in front of", 52, 0.7, []),
        ("in front of", 52, 0.58, None),
        ("in front of", 95, 0.5, None),
        ("behind", 52, 0.7, [1]),
        ("behind", 52, 0.5, []),
    ],
)
def test_relations(relation: str, x: float, depth: float, expected: list[int] | None) -> None:
    things = [thing("bowl"), thing("mug", x, depth)]
    assert related(things, [1], relation, [0]) == expected
    assert related(things, [0], relation, [0]) == []


def test_beside_something_wide_needs_a_gap() -> None:
    wide = thing("tray", 50, left_percent=20, right_percent=80)
    assert related([wide, thing("mug", 30)], [1], "left of", [0]) is None
    assert related([wide, thing("mug", 15)], [1], "left of", [0]) == [1]


def test_nearest_and_between() -> None:
    things = [thing("bowl", 50), thing("mug", 60), thing("mug", 90), thing("mug", 38)]
    assert related(things, [1, 2], "nearest to", [0]) == [1]
    assert related(things, [1, 2, 3], "nearest to", [0]) is None  # 10 against 12
    row = [thing("fork", 20), thing("knife", 80), thing("plate", 50), thing("mug", 90), thing("cup", 50, 1.0)]
    assert related(row, [2, 3], "between", [0, 1]) == [2]
    assert related(row, [3], "between", [0, 1]) == []
    assert related(row, [4], "between", [0, 1]) == []
    assert related([*row, thing("cup", 50, 0.85)], [5], "between", [0, 1]) is None


def test_superlatives() -> None:
    small, large = thing("mug", 20, 0.4, edge_m=0.1), thing("mug", 80, 0.8, size_m=(0.06, 0.06, 0.2))
    things = [small, large]
    answers = {
        "largest": [1], "smallest": [0], "tallest": [1], "leftmost": [0], "rightmost": [1], "closest": [0], "farthest": [1],
        "nearest the edge of the table": [0],
    }  # fmt: skip
    assert {word: superlative(things, [0, 1], word) for word in answers} == answers
    assert superlative(things, [0], "largest") is None
    alike = [thing("mug", 50), thing("mug", 52, 0.62, size_m=(0.065, 0.065, 0.065), edge_m=0.31)]
    assert all(superlative(alike, [0, 1], word) is None for word in answers)
