"""MolmoPoint's tokens: where they lie, and what can be wrong with them."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_point.errors import InputError
from molmo_point.points.parse import PointTokenLayout, parse_answer

TOKENS, PATCHES = 6, 4
END = TOKENS  # the class "no more points"

# Two images: 4 rows of 4 patches pooled 2 x 2 into 4 tokens, and 2 rows of 4 into 2 tokens.
FIRST = np.arange(16).reshape(4, 4)
SECOND = 16 + np.arange(8).reshape(2, 4)


def pooled(patches: np.ndarray) -> np.ndarray:
    rows, columns = patches.shape
    return patches.reshape(rows // 2, 2, columns // 2, 2).transpose(0, 2, 1, 3).reshape(-1, 4)


LAYOUT = PointTokenLayout(np.concatenate([pooled(FIRST), pooled(SECOND)]), (FIRST, SECOND), ((400, 200), (80, 40)))


def tokens(token: int, patch: int, cell: int, number: int = 1, end_class: bool = True) -> str:
    first = TOKENS + end_class
    return f"<POINT_{token}><POINT_{first + patch}><POINT_{first + PATCHES + cell}>{number}"


def parsed(text: str, layout: PointTokenLayout = LAYOUT):
    return parse_answer(text, None, "molmopoint", layout=layout)


def test_first_and_last_place_by_hand() -> None:
    answer = parsed(f'<points coords="{tokens(0, 0, 0)}{tokens(5, 3, 8, 2)}<POINT_{END}>">dogs</points>')
    first, last = answer.points
    # Column 0 of 4 over 400 pixels, 0.5 * 0.33 of a patch in; column 3 of 4 over 80, 2.5 * 0.33 in.
    assert (first.u, first.v) == pytest.approx((0.165 / 4 * 400 - 0.5, 0.165 / 4 * 200 - 0.5))
    assert (last.u, last.v) == pytest.approx((3.825 / 4 * 80 - 0.5, 1.825 / 2 * 40 - 0.5))
    assert [(p.image_index, p.index, p.object_id, p.label) for p in answer.points] == [(0, 1, 1, "dogs"), (1, 2, 2, "dogs")]
    assert (answer.problems, answer.truncated, answer.dialect) == ((), False, "molmopoint")


def test_cells_go_down_first() -> None:
    (point,) = parsed(tokens(0, 0, 1)).points
    assert (point.u, point.v) == pytest.approx((0.165 / 4 * 400 - 0.5, 0.495 / 4 * 200 - 0.5))


def test_every_place_is_inside_its_patch() -> None:
    seen = set()
    for token, patch, cell in product(range(TOKENS), range(PATCHES), range(9)):
        (point,) = parsed(tokens(token, patch, cell)).points
        mapping, (w, h) = (FIRST, (400, 200)) if token < 4 else (SECOND, (80, 40))
        row, column = np.argwhere(mapping == LAYOUT.token_pooling[token, patch])[0]
        rows, columns = mapping.shape
        assert column < (point.u + 0.5) / w * columns < column + 1
        assert row < (point.v + 0.5) / h * rows < row + 1
        seen.add((point.image_index, point.u, point.v))
    assert len(seen) == TOKENS * PATCHES * 9


def test_without_the_class_no_more_points_numbers_shift_by_one() -> None:
    layout = PointTokenLayout(LAYOUT.token_pooling, (FIRST, SECOND), LAYOUT.image_sizes, no_more_points=False)
    with_class, without = parsed(tokens(2, 1, 7)).points, parsed(tokens(2, 1, 7, end_class=False), layout).points
    assert with_class == without or (with_class[0].u, with_class[0].v) == (without[0].u, without[0].v)
    assert parsed(tokens(2, 1, 7, end_class=False)).points != with_class


def test_without_cells_a_point_is_the_middle_of_its_patch() -> None:
    layout = PointTokenLayout(LAYOUT.token_pooling, (FIRST, SECOND), LAYOUT.image_sizes, cells=False)
    (point,) = parsed(tokens(0, 3, 5), layout).points
    assert (point.u, point.v) == pytest.approx((1.5 / 4 * 400 - 0.5, 1.5 / 4 * 200 - 0.5))


def test_a_video_tells_times() -> None:
    layout = PointTokenLayout.from_metadata(
        {
            "token_pooling": pooled(np.arange(16).reshape(4, 4)),
            "subpatch_mapping": np.arange(16).reshape(2, 2, 4),
            "timestamps": [0.0, 0.5],
            "video_size": (40, 20),
        }
    )
    text = '<tracks coords="<POINT_0><POINT_5><POINT_9>1<POINT_2><POINT_5><POINT_9>1">a</tracks>'
    answer = parse_answer(text, (400, 200), "molmopoint", layout=layout)
    u, v = 0.165 / 4 * 400 - 0.5, 0.165 / 2 * 200 - 0.5
    assert [(p.time_s, p.object_id) for p in answer.points] == [(0.0, 1), (0.5, 1)]
    for point in answer.points:
        assert (point.u, point.v) == pytest.approx((u, v))
    assert answer.object_count == 1


@pytest.mark.parametrize(
    "text",
    [
        tokens(END, 0, 0),  # the end class is no place
        tokens(TOKENS + 1, 0, 0),
        "<POINT_0><POINT_0><POINT_11>1",  # the second is an image token
        "<POINT_0><POINT_7><POINT_8>1",  # the third is a patch
        tokens(0, 0, 9),
        tokens(0, 4, 0),
        f"<POINT_0><POINT_{10**8}><POINT_12>1",
    ],
)
def test_tokens_out_of_range_are_no_points(text: str) -> None:
    answer = parsed(text)
    assert answer.points == ()
    assert "choose no place" in answer.problems[0]


def test_a_pad_or_a_patch_that_stands_twice_is_no_place() -> None:
    pooling = np.array([[0, -1, 1, 2]])
    layout = PointTokenLayout(pooling, (np.array([[0, 1, 1, -1]]),), ((40, 10),))
    texts = [f"<POINT_0><POINT_{2 + patch}><POINT_6>1" for patch in range(4)]
    assert [len(parsed(text, layout).points) for text in texts] == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "count", "truncated"),
    [
        ("<POINT_0> <POINT_7> <POINT_11> 1", 1, False),
        ("<POINT_0><POINT_7><POINT_11>", 0, False),
        ("<POINT_0><POINT_7>1", 0, False),
        ("<POINT_0><POINT_7><POINT_1", 0, True),
        ("<POINT_x><POINT_7><POINT_11>1", 0, False),
        ("<POINT_0>\n\n\n\n\n\n<POINT_7><POINT_11>1", 0, False),
        ("<POINT_-1><POINT_7><POINT_11>1", 0, False),
        ('<points coords="<POINT_0><POINT_7><POINT_11>1', 1, True),
        ('<points x="5" y="5" coords="1 1 500 500">a</points>', 0, False),
        (tokens(0, 0, 0) + tokens(0, 0, 0, 2), 1, False),
    ],
)
def test_forms(text: str, count: int, truncated: bool) -> None:
    answer = parsed(text)
    assert (len(answer.points), answer.truncated) == (count, truncated)
    assert bool(answer.problems) == (count != 1 or "2" in text[-1:])


def test_spans_cover_the_tokens() -> None:
    text = f"So {tokens(0, 0, 0)} and {tokens(1, 0, 3, 2)}"
    assert [text[slice(*x)] + text[slice(*y)] for x, y in parsed(text).spans] == [tokens(0, 0, 0)[:-1], tokens(1, 0, 3)[:-1]]


def test_a_layout_is_needed_and_must_fit() -> None:
    with pytest.raises(InputError, match="layout"):
        parse_answer("", (10, 10), "molmopoint")
    with pytest.raises(InputError, match="same images"):
        parse_answer("", (10, 10), "molmopoint", layout=LAYOUT)
    with pytest.raises(InputError, match="size_wh"):
        parse_answer("", None, "molmo")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((np.zeros((2, 4)), (FIRST,), ((1, 1),)), "integers"),
        ((np.zeros(4, int), (FIRST,), ((1, 1),)), "tokens, patches"),
        ((np.zeros((0, 4), int), (FIRST,), ((1, 1),)), "tokens, patches"),
        ((np.zeros((2, 4), int), (), ()), "subpatch_mapping"),
        ((np.zeros((2, 4), int), (FIRST.ravel(),), ((1, 1),)), "subpatch_mapping"),
        ((np.zeros((2, 4), int), (FIRST,), ((1, 1),), True, True, (0.0,)), "subpatch_mapping"),
        ((np.zeros((2, 4), int), (FIRST,), ((1, 1), (2, 2))), "one size per image"),
        ((np.zeros((2, 4), int), (FIRST,), ((0, 1),)), "size_wh"),
        (([[1, 2], [3]], (FIRST,), ((1, 1),)), "integers"),
        ((np.zeros((2, 4), int), (FIRST,), ((1, 1),), True, True, ("soon",)), "seconds"),
        ((np.zeros((2, 4), int), (FIRST[None],), ((1, 1),), True, True, (math.nan,)), "seconds"),
    ],
)
def test_layouts_are_refused(arguments: tuple, match: str) -> None:
    with pytest.raises(InputError, match=match):
        PointTokenLayout(*arguments)


def test_metadata_that_are_not_complete_are_refused() -> None:
    with pytest.raises(InputError, match="without token_pooling"):
        PointTokenLayout.from_metadata({"subpatch_mapping": [FIRST]})
    with pytest.raises(InputError, match="size_wh"):
        PointTokenLayout.from_metadata({"token_pooling": pooled(FIRST), "subpatch_mapping": [FIRST]})


places = st.tuples(st.integers(0, TOKENS - 1), st.integers(0, PATCHES - 1), st.integers(0, 8))


@given(chosen=st.lists(places, max_size=8, unique=True), tagged=st.booleans())
def test_law_parse_undoes_tokens(chosen: list[tuple[int, int, int]], tagged: bool) -> None:
    text = "".join(tokens(*place, number=number) for number, place in enumerate(chosen, 1))
    answer = parsed(f'<points coords="{text}">dogs</points>' if tagged else text)
    expected = [LAYOUT.locate(t, TOKENS + 1 + p, TOKENS + 1 + PATCHES + c) for t, p, c in chosen]
    assert [p.index for p in answer.points] == list(range(1, len(chosen) + 1))
    for point, place in zip(answer.points, expected, strict=True):
        assert place is not None
        image, time_s, column, row = place
        width, height = LAYOUT.image_sizes[image]
        columns, rows = LAYOUT.grid(image)
        assert point.image_index == image
        assert math.isnan(time_s) and math.isnan(point.time_s)
        assert (point.u, point.v) == pytest.approx((column / columns * width - 0.5, row / rows * height - 0.5))
