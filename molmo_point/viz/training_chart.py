"""The curves of a training run: losses, what the vision tells, and how answers do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageDraw

from molmo_point.viz.text import RGB, font

Box = tuple[int, int, int, int]
GROUND: RGB = (255, 255, 255)
CARD: RGB = (247, 248, 250)
TEXT: RGB = (28, 32, 38)
SOFT: RGB = (104, 112, 124)
GRID: RGB = (221, 225, 231)
OURS: RGB = (0, 122, 204)
OTHERS: tuple[RGB, ...] = (
    (148, 156, 168), (228, 142, 60), (120, 108, 190), (90, 170, 130), (205, 82, 96), (150, 122, 60), (70, 78, 92),
)  # fmt: skip
_TITLE_PX, _TEXT_PX, _SMALL_PX = 27, 20, 17


_WIDTH, _HEIGHT = 1500, 520
_KEPT_OUT = "images kept out of training"
_PANELS = (
    ("Losses", "means since the check before", ("token", "valid_token", "class_token", "position", "attention"), ""),
    (
        "What image vectors tell",
        f"share of tokens on things, {_KEPT_OUT}",
        ("see_color", "see_noun", "see_category", "see_shape"),
        " %",
    ),
    (
        "Answers by kind of question",
        f"share right of a few questions of each kind, {_KEPT_OUT}",
        ("colour_name", "points_f1", "name", "category", "relation", "superlative", "count", "absent", "short"),
        " %",
    ),
)
_FIRST = ("token", "see_color", "colour_name", "points_f1")
"""The lines that are drawn bold."""
_NAMES = {"token": "answers", "valid_token": "answers, kept out", "points_f1": "points (F1)"}


@dataclass(frozen=True)
class Curve:
    """One line: its name, (x, y) pairs, and whether it is the one that the chart is about."""

    name: str
    points: Sequence[tuple[float, float]]
    ours: bool = False


def training_chart(rows: Sequence[dict[str, float]]) -> Image.Image:
    """Draws the log of a run.

    Args:
        rows: One for every check, with ``images`` and whatever was logged; columns may be missing from some.

    Returns:
        RGB, one panel below the other; a panel without values stays out.
    """
    panels, end = [], max((row["images"] for row in rows), default=1.0)
    for title, subtitle, names, unit in _PANELS:
        scale = 100.0 if unit else 1.0
        # Not-a-number is the only value that differs from itself: no such question was asked.
        lines = [
            Curve(_NAMES.get(name, name.removeprefix("see_").replace("_", " ")), points, ours=name in _FIRST)
            for name in names
            if (points := [(r["images"], scale * r[name]) for r in rows if name in r and r[name] == r[name]])
        ]
        if lines:
            panels.append((title, subtitle, lines, unit))
    image = Image.new("RGB", (_WIDTH, 30 + (_HEIGHT + 30) * max(len(panels), 1)), GROUND)
    for index, (title, subtitle, lines, unit) in enumerate(panels):
        top = 30 + index * (_HEIGHT + 30)
        curves(image, card(image, (30, top, _WIDTH - 30, top + _HEIGHT), title, subtitle), lines, "images", unit, end)
    return image


def card(image: Image.Image, box: Box, title: str, subtitle: str) -> Box:
    """A panel with its title; returns the room inside."""
    pen = ImageDraw.Draw(image)
    left, top, right, bottom = box
    pen.rounded_rectangle(box, radius=14, fill=CARD)
    pen.text((left + 28, top + 20), title, font=font(_TITLE_PX), fill=TEXT)
    pen.text((left + 28, top + 58), subtitle, font=font(_SMALL_PX), fill=SOFT)
    return left + 28, top + 100, right - 28, bottom - 22


def curves(
    image: Image.Image, box: Box, lines: Sequence[Curve], x_title: str, unit: str = "", x_end: float | None = None
) -> None:
    """Lines over x to scale, the value axis from zero, each line named at its end.

    Args:
        image: RGB; it is drawn on.
        box: Left, top, right, bottom in pixels.
        lines: All over the same x values.
        x_title: What x counts.
        unit: Written behind the axis's values.
        x_end: Where the x axis ends, which then begins at zero and has round values; None fits it to the lines.
    """
    xs = sorted({x for line in lines for x, _ in line.points})
    if not xs:
        return
    pen, (left, top, right, bottom) = ImageDraw.Draw(image), box
    ticks = axis_ticks(max(y for line in lines for _, y in line.points))
    gutter = max(pen.textlength(f"{t:g}{unit}", font=font(_SMALL_PX)) for t in ticks) + 14
    tail = max(pen.textlength(line.name, font=font(_TEXT_PX)) for line in lines) + 22
    inner = (left + gutter, top + 8, right - tail, bottom - 58)

    first, last = (xs[0], xs[-1]) if x_end is None else (0.0, x_end)
    marks = xs[:: math.ceil(len(xs) / 10)] if x_end is None else [x for x in axis_ticks(x_end) if x <= x_end]

    def place(x: float, y: float) -> tuple[float, float]:
        share = (x - first) / ((last - first) or 1.0)
        return inner[0] + share * (inner[2] - inner[0]), inner[3] - y / ticks[-1] * (inner[3] - inner[1])

    for tick in ticks:
        height = place(first, tick)[1]
        pen.line((inner[0], height, inner[2], height), fill=GRID, width=2)
        pen.text((inner[0] - 10, height), f"{tick:g}{unit}", font=font(_SMALL_PX), fill=SOFT, anchor="rm")
    for x in marks:
        pen.text(
            (place(x, 0)[0], inner[3] + 10), f"{x:,g}" if x >= 1e4 else f"{x:g}", font=font(_SMALL_PX), fill=SOFT, anchor="ma"
        )
    pen.text(((inner[0] + inner[2]) / 2, inner[3] + 34), x_title, font=font(_SMALL_PX), fill=SOFT, anchor="ma")
    ends = _spread([place(*line.points[-1])[1] for line in lines], _TEXT_PX + 5)
    for line, end, color in zip(lines, ends, _colors(lines), strict=True):
        path = [place(x, y) for x, y in line.points]
        pen.line(path, fill=color, width=5 if line.ours else 3, joint="curve")
        for u, v in path:
            r = 6 if line.ours else 4
            pen.ellipse((u - r, v - r, u + r, v + r), fill=color)
        pen.text((path[-1][0] + 14, end), line.name, font=font(_TEXT_PX), fill=color, anchor="lm")


def axis_ticks(largest: float) -> list[float]:
    """Round values from zero that reach ``largest``, three to six of them."""
    if not largest > 0:
        return [0.0, 1.0]
    step = 10.0 ** math.floor(math.log10(largest))
    for divisor in (5, 4, 2, 1):
        count = math.ceil(largest / (step / divisor) - 1e-9)
        if count <= 5:
            return [k * step / divisor for k in range(count + 1)]
    return [k * 2 * step for k in range(math.ceil(largest / (2 * step) - 1e-9) + 1)]


def _colors(lines: Sequence[Curve]) -> list[RGB]:
    rest = iter(OTHERS * len(lines))
    return [OURS if line.ours else next(rest) for line in lines]


def _spread(heights: list[float], apart: float) -> list[float]:
    """The heights, moved as little as keeps labels off each other."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    moved = list(heights)
    for lower, upper in pairwise(order):
        moved[upper] = max(moved[upper], moved[lower] + apart)
    # What was pushed down only is moved back up by half of it.
    shift = sum(m - h for m, h in zip(moved, heights)) / len(heights)
    return [m - shift for m in moved]
