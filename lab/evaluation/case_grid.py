"""Answers and truth, many on one picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.viz.text import RGB, font, shortened

_TILE_WIDTH, _CAPTION_PX = 320, 30
_RIGHT: RGB = (60, 220, 110)
_WRONG: RGB = (255, 70, 70)
_TRUTH: RGB = (255, 230, 60)
_GROUND: RGB = (24, 26, 30)


@dataclass(frozen=True)
class Case:
    """One tile.

    Attributes:
        color: (h, w, 3) uint8.
        wanted: (h, w) bool, the wanted objects; outlined.
        points: (u, v) pixels of the answer's points.
        caption: Text above the picture.
        right: True if the answer is right.
    """

    color: np.ndarray
    wanted: np.ndarray
    points: Sequence[tuple[float, float]]
    caption: str
    right: bool


def case_grid(cases: Sequence[Case], columns: int = 6) -> Image.Image:
    """Tile the cases, in reading order; wanted objects have a yellow outline, answers are crosses."""
    if not cases:
        return Image.new("RGB", (_TILE_WIDTH, _CAPTION_PX), _GROUND)
    tiles = [_tile(case) for case in cases]
    rows = [tiles[first : first + columns] for first in range(0, len(tiles), columns)]
    heights = [max(tile.height for tile in row) for row in rows]
    grid = Image.new("RGB", (columns * _TILE_WIDTH, sum(heights)), _GROUND)
    for number, row in enumerate(rows):
        for column, tile in enumerate(row):
            grid.paste(tile, (column * _TILE_WIDTH, sum(heights[:number])))
    return grid


def _tile(case: Case) -> Image.Image:
    color = case.color.copy()
    color[_outline(case.wanted)] = _TRUTH
    height, width = color.shape[:2]
    scale = _TILE_WIDTH / width
    picture = Image.fromarray(color).resize((_TILE_WIDTH, round(height * scale)))
    tile = Image.new("RGB", (_TILE_WIDTH, picture.height + _CAPTION_PX), _GROUND)
    tile.paste(picture, (0, _CAPTION_PX))
    pen = ImageDraw.Draw(tile)
    tint = _RIGHT if case.right else _WRONG
    pen.text((6, 6), shortened(case.caption, 40), font=font(15), fill=tint)
    for u, v in case.points:
        x, y = (u + 0.5) * scale, (v + 0.5) * scale + _CAPTION_PX
        for ink, line in (((0, 0, 0), 5), (tint, 2)):
            pen.line((x - 9, y, x + 9, y), fill=ink, width=line)
            pen.line((x, y - 9, x, y + 9), fill=ink, width=line)
    return tile


def _outline(wanted: np.ndarray, width: int = 2) -> np.ndarray:
    padded = np.pad(wanted, width)
    inner = wanted.copy()
    for dv, du in ((0, 2 * width), (2 * width, 0), (0, 0), (2 * width, 2 * width)):
        inner &= padded[dv : dv + wanted.shape[0], du : du + wanted.shape[1]]
    return wanted & ~inner
