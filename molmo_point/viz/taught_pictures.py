"""Pictures of teaching: the views of an object with refusals, and the taught objects with those that look alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.arrays import ColorArray
from molmo_point.viz.text import AMBER, GRAY, INK, PAPER, font, shortened

_SIDE_PX, _GAP_PX, _TEXT_PX, _COLUMNS = 132, 6, 13, 4
_REFUSED, _GOOD = (235, 80, 70), (0, 205, 140)


@dataclass(frozen=True, eq=False)
class CaptionedTile:
    """One picture with its caption.

    Attributes:
        picture: RGB image (h, w, 3), uint8.
        caption: Text below it; the first line is bright.
        refused: True frames it in red, False in green, None not at all.
    """

    picture: ColorArray
    caption: tuple[str, ...]
    refused: bool | None = None


def draw_tiles(tiles: Sequence[CaptionedTile], columns: int = _COLUMNS) -> ColorArray:
    """Arrange tiles in rows; return an RGB image."""
    lines = max((len(tile.caption) for tile in tiles), default=0)
    wide, high = _SIDE_PX + _GAP_PX, _SIDE_PX + _GAP_PX + lines * (_TEXT_PX + 4)
    columns = max(min(columns, len(tiles)), 1)
    image = Image.new("RGB", (columns * wide + _GAP_PX, -(-len(tiles) // columns) * high + _GAP_PX), INK)
    pen = ImageDraw.Draw(image)
    for number, tile in enumerate(tiles):
        left, top = _GAP_PX + number % columns * wide, _GAP_PX + number // columns * high
        picture = Image.fromarray(tile.picture)
        picture.thumbnail((_SIDE_PX, _SIDE_PX))
        at = (left + (_SIDE_PX - picture.width) // 2, top + (_SIDE_PX - picture.height) // 2)
        image.paste(picture, at)
        if tile.refused is not None:
            tint = _REFUSED if tile.refused else _GOOD
            pen.rectangle((left - 2, top - 2, left + _SIDE_PX + 1, top + _SIDE_PX + 1), outline=tint, width=3)
        for line, text in enumerate(tile.caption):
            fill = _REFUSED if tile.refused else PAPER if line == 0 else GRAY
            pen.text((left, top + _SIDE_PX + 3 + line * (_TEXT_PX + 4)), shortened(text, 20), font=font(_TEXT_PX), fill=fill)
    return np.array(image)


def draw_numbers(color: ColorArray, places: Sequence[tuple[float, float]]) -> ColorArray:
    """Draw numbers from 1 on at pixels (u, v) of an image."""
    image = Image.fromarray(color)
    pen, size = ImageDraw.Draw(image), max(image.height // 18, 14)
    for number, (u, v) in enumerate(places, 1):
        pen.ellipse((u - size, v - size, u + size, v + size), fill=AMBER, outline=INK, width=2)
        pen.text((u, v), str(number), font=font(size), fill=INK, anchor="mm")
    return np.array(image)
