"""Pictures of the lifting benchmark: gross errors of every estimator, and errors against what was stated."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.viz.text import INK, RGB, font

_SUPERSAMPLE = 3
_PANEL, _BAR, _NAMES, _TOP, _GAP = 210, 22, 220, 58, 34
_OURS: RGB = (0, 96, 176)
_CENTRE: RGB = (110, 160, 205)
_OTHERS: RGB = (214, 94, 0)
_FAINT: RGB = (232, 234, 238)


def draw_gross_errors(panels: Sequence[tuple[str, Mapping[str, float]]]) -> np.ndarray:
    """Bars of the share of gross errors, one panel for each kind of scene, one bar for each estimator.

    Args:
        panels: Title and, by estimator, the share 0 to 1; the same estimators in all panels.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    names = list(panels[0][1])
    width, height = _NAMES + len(panels) * (_PANEL + _GAP) + _GAP, _TOP + len(names) * _BAR + 40
    image = Image.new("RGB", (width * _SUPERSAMPLE, height * _SUPERSAMPLE), (255, 255, 255))
    pen = ImageDraw.Draw(image)
    most = max(0.1, *(share for _, shares in panels for share in shares.values() if np.isfinite(share)))
    for row, name in enumerate(names):
        _write(pen, (_NAMES - 10, _TOP + (row + 0.5) * _BAR), name, "rm", 13)
    for index, (title, shares) in enumerate(panels):
        left = _NAMES + index * (_PANEL + _GAP)
        _panel(pen, left, title, shares, most * 1.18)
    return np.array(image.resize((width, height), Image.Resampling.BOX))


def _panel(pen: ImageDraw.ImageDraw, left: int, title: str, shares: Mapping[str, float], most: float) -> None:
    bottom = _TOP + len(shares) * _BAR
    _write(pen, (left, _TOP - 30), title, "ls", 14)
    _write(pen, (left, _TOP - 12), "answers more than 20 mm off", "ls", 11)
    for tick in np.arange(0.0, most, 0.1 if most < 0.7 else 0.2):
        u = left + tick / most * _PANEL
        _box(pen, (u, _TOP, u + 1, bottom), _FAINT)
        _write(pen, (u, bottom + 4), f"{100 * tick:.0f} %", "ma", 11)
    for row, (name, share) in enumerate(shares.items()):
        if not np.isfinite(share):
            continue
        top, end = _TOP + row * _BAR, left + share / most * _PANEL
        tint = _OTHERS if not name.startswith("molmo-point") else _CENTRE if "centre" in name else _OURS
        _box(pen, (left, top + 4, max(end, left + 1), top + _BAR - 4), tint)
        _write(pen, (end + 4, top + _BAR / 2), f"{100 * share:.1f}", "lm", 11)


def _box(pen: ImageDraw.ImageDraw, box: Sequence[float], tint: RGB) -> None:
    pen.rectangle([value * _SUPERSAMPLE for value in box], fill=tint)


def _write(pen: ImageDraw.ImageDraw, place: tuple[float, float], text: str, anchor: str, size_px: int) -> None:
    pen.text((place[0] * _SUPERSAMPLE, place[1] * _SUPERSAMPLE), text, fill=INK, font=font(size_px * _SUPERSAMPLE), anchor=anchor)
