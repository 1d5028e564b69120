"""Reliability diagrams: how often what was stated with a probability came true."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.viz.text import GRAY, INK, RGB, font

Row = tuple[float, float, float, float, int]
_SIDE, _LEFT, _TOP, _BOTTOM, _GAP = 300, 64, 52, 92, 40
_SUPERSAMPLE = 3
_BLUE: RGB = (0, 96, 176)
_ORANGE: RGB = (214, 94, 0)


def draw_reliability(
    panels: Sequence[tuple[str, Sequence[Row], Sequence[Row]]], names: tuple[str, str] = ("as the model says it", "calibrated")
) -> np.ndarray:
    """Draw one panel for each kind of claim, (h, w, 3) uint8 RGB, with two curves.

    Args:
        panels: Title, and the rows of both curves. A row is the mean stated probability of a
            bin, the share that came true, its 95 % bounds, and the claims.
        names: Names of the curves.
    """
    width = _GAP + len(panels) * (_LEFT + _SIDE + _GAP)
    image = Image.new("RGB", (width * _SUPERSAMPLE, (_TOP + _SIDE + _BOTTOM) * _SUPERSAMPLE), (255, 255, 255))
    pen = ImageDraw.Draw(image)
    for index, (title, raw, calibrated) in enumerate(panels):
        left = index * (_LEFT + _SIDE + _GAP) + _LEFT + _GAP // 2
        _frame(pen, left, title)
        _curve(pen, left, raw, _ORANGE)
        _curve(pen, left, calibrated, _BLUE)
        _legend(pen, left, names, sum(row[4] for row in raw))
    return np.array(image.resize((width, _TOP + _SIDE + _BOTTOM), Image.Resampling.BOX))


def _at(left: int, x: float, y: float) -> tuple[float, float]:
    return (left + x * _SIDE) * _SUPERSAMPLE, (_TOP + (1 - y) * _SIDE) * _SUPERSAMPLE


def _write(
    pen: ImageDraw.ImageDraw, place: tuple[float, float], text: str, anchor: str, size_px: int = 13, ink: RGB = INK
) -> None:
    pen.text((place[0] * _SUPERSAMPLE, place[1] * _SUPERSAMPLE), text, fill=ink, font=font(size_px * _SUPERSAMPLE), anchor=anchor)


def _frame(pen: ImageDraw.ImageDraw, left: int, title: str) -> None:
    _write(pen, (left + _SIDE / 2, _TOP - 14), title, "ms", 16)
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1.0):
        pen.line((_at(left, tick, 0), _at(left, tick, 1)), fill=(232, 234, 238), width=_SUPERSAMPLE)
        pen.line((_at(left, 0, tick), _at(left, 1, tick)), fill=(232, 234, 238), width=_SUPERSAMPLE)
        _write(pen, (left + tick * _SIDE, _TOP + _SIDE + 6), f"{tick:.1f}", "ma")
        _write(pen, (left - 6, _TOP + (1 - tick) * _SIDE), f"{tick:.1f}", "rm")
    pen.line((_at(left, 0, 0), _at(left, 1, 1)), fill=GRAY, width=2 * _SUPERSAMPLE)
    pen.rectangle((_at(left, 0, 1), _at(left, 1, 0)), outline=INK, width=_SUPERSAMPLE)
    _write(pen, (left + _SIDE / 2, _TOP + _SIDE + 26), "stated probability", "ma")
    _write(pen, (left - 34, _TOP - 14), "came true", "ms", 12)


def _curve(pen: ImageDraw.ImageDraw, left: int, rows: Sequence[Row], tint: RGB) -> None:
    places = [_at(left, stated, true) for stated, true, *_ in rows]
    if len(places) > 1:
        pen.line(places, fill=tint, width=2 * _SUPERSAMPLE)
    for (u, v), (stated, _, low, high, _) in zip(places, rows, strict=True):
        pen.line((_at(left, stated, low), _at(left, stated, high)), fill=tint, width=_SUPERSAMPLE)
        radius = 4 * _SUPERSAMPLE
        pen.ellipse((u - radius, v - radius, u + radius, v + radius), fill=tint)


def _legend(pen: ImageDraw.ImageDraw, left: int, names: tuple[str, str], claims: int) -> None:
    top = _TOP + _SIDE + 56
    for offset, text, tint in zip((0, 160), names, (_ORANGE, _BLUE), strict=True):
        box = (left + offset, top - 4, left + offset + 14, top + 4)
        pen.rectangle([value * _SUPERSAMPLE for value in box], fill=tint)
        _write(pen, (left + offset + 20, top), text, "lm")
    _write(pen, (left, top + 20), f"{claims} claims, bars: 95 % intervals", "lm", 12, (96, 100, 108))
