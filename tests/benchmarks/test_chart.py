"""Bars and lines: what is longer is drawn longer, what is ours is drawn in our colour."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.chart import CARD, OURS, Bar, Curve, axis_ticks, bars, card, curves


def blank() -> Image.Image:
    return Image.new("RGB", (800, 400), CARD)


def extent(image: Image.Image, color: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels of a colour."""
    rows, columns = np.nonzero((np.asarray(image) == color).all(-1))
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def test_bars_are_as_long_as_their_values() -> None:
    lengths = {}
    for value in (25.0, 100.0):
        image = blank()
        bars(image, (20, 20, 780, 380), [Bar("plain", 100.0), Bar("ours", value, ours=True)], " ms")
        left, _, right, _ = extent(image, OURS)
        lengths[value] = right - left
    assert lengths[25.0] / lengths[100.0] == pytest.approx(0.25, abs=0.02)


def test_a_curve_rises_with_its_values_and_x_is_to_scale() -> None:
    image = blank()
    curves(image, (20, 20, 780, 380), [Curve("", [(0, 0), (1, 10), (10, 10)], ours=True)], "points")
    left, top, right, bottom = extent(image, OURS)
    assert bottom - top > 200
    pixels = (np.asarray(image) == OURS).all(-1)
    # From a tenth of the way on the line lies at the top.
    early = np.nonzero(pixels[:, left + (right - left) // 4])[0]
    assert abs(int(early.mean()) - top) < 10


def test_our_line_and_the_others_differ_and_empty_charts_do_not_fail() -> None:
    image = blank()
    curves(image, (20, 20, 780, 380), [Curve("a", [(1, 5), (2, 6)]), Curve("b", [(1, 4), (2, 6)], ours=True)], "n", " s")
    assert len({tuple(p) for p in np.asarray(image).reshape(-1, 3).tolist()}) > 4
    same = blank()
    bars(same, (20, 20, 780, 380), [], "")
    curves(same, (20, 20, 780, 380), [], "n")
    assert np.array_equal(np.asarray(same), np.asarray(blank()))
    inner = card(same, (10, 10, 790, 390), "Title", "words")
    assert inner[0] > 10 and inner[1] > 60 and inner[2] < 790 and inner[3] < 390


@pytest.mark.parametrize("largest", [0.03, 1.0, 7.0, 10.0, 96.0, 708.0, 2500.0])
def test_ticks_are_round_and_reach_the_largest(largest: float) -> None:
    ticks = axis_ticks(largest)
    assert ticks[0] == 0 and largest <= ticks[-1] + 1e-9 and 3 <= len(ticks) <= 6
    assert ticks[-2] < largest
    assert np.ptp(np.diff(ticks)) < 1e-9 * largest
    assert axis_ticks(0.0) == [0.0, 1.0]
