"""The picture of the pick benchmark: how often each variant succeeds, with its interval, and why the others fail."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.viz.text import GRAY, INK, RGB, font

_SUPERSAMPLE = 3
_NAMES, _WIDTH, _ROW, _TOP, _FOOT, _RIGHT = 270, 430, 46, 56, 40, 70
_OURS: RGB = (0, 96, 176)
_OTHERS: RGB = (150, 160, 172)
_WRONG: RGB = (214, 94, 0)
_FAINT: RGB = (232, 234, 238)


def draw_picks(variants: Mapping[str, Mapping[str, Any]]) -> np.ndarray:
    """A bar for each variant.

    Args:
        variants: By name, figures with `success` and `wrong_object` (share, low, high, trials) and `failures`.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    size = (_NAMES + _WIDTH + _RIGHT, _TOP + len(variants) * _ROW + _FOOT)
    image = Image.new("RGB", (size[0] * _SUPERSAMPLE, size[1] * _SUPERSAMPLE), (255, 255, 255))
    pen = ImageDraw.Draw(image)
    _write(pen, (_NAMES, 14), "picks that succeed, with 95 % intervals; orange: another object lifted", INK, 13)
    bottom = _TOP + len(variants) * _ROW
    for tick in np.linspace(0, 1, 6):
        u = _NAMES + float(tick) * _WIDTH
        _box(pen, (u, _TOP - 8, u + 1, bottom), _FAINT)
        _write(pen, (u, bottom + 6), f"{100 * tick:.0f} %", GRAY, 11, "ma")
    for row, (name, figures) in enumerate(variants.items()):
        _bar(pen, _TOP + row * _ROW, name, figures, row == 0)
    return np.array(image.resize(size, Image.Resampling.BOX))


def _bar(pen: ImageDraw.ImageDraw, top: float, name: str, figures: Mapping[str, Any], ours: bool) -> None:
    success, wrong = figures["success"], figures["wrong_object"]
    _write(pen, (_NAMES - 10, top + 10), name, INK, 13, "rm")
    failures = ", ".join(f"{reason.lower().replace('_', ' ')} {count}" for reason, count in list(figures["failures"].items())[:3])
    _write(pen, (_NAMES + 3, top + 29), f"of {success['trials']}: {failures or 'no failures'}", GRAY, 10, "lm")
    end = _NAMES + success["share"] * _WIDTH
    _box(pen, (_NAMES, top + 2, end, top + 19), _OURS if ours else _OTHERS)
    if wrong["share"] > 0:
        _box(pen, (end, top + 2, end + wrong["share"] * _WIDTH, top + 19), _WRONG)
    low, high = (_NAMES + success[side] * _WIDTH for side in ("low", "high"))
    _box(pen, (low, top + 10, high, top + 11.4), INK)
    for edge in (low, high):
        _box(pen, (edge - 0.7, top + 6, edge + 0.7, top + 15), INK)
    _write(pen, (_NAMES + _WIDTH + 10, top + 10), f"{100 * success['share']:.1f} %", INK, 13, "lm")


def _box(pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], tint: RGB) -> None:
    pen.rectangle([value * _SUPERSAMPLE for value in box], fill=tint)


def _write(pen: ImageDraw.ImageDraw, place: tuple[float, float], text: str, tint: RGB, size_px: int, anchor: str = "la") -> None:
    spot = (place[0] * _SUPERSAMPLE, place[1] * _SUPERSAMPLE)
    pen.text(spot, text, fill=tint, font=font(size_px * _SUPERSAMPLE), anchor=anchor)
