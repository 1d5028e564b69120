"""Contact sheets of taught objects: each view with the outline of its mask, refused views with their reasons, look-alikes."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.arrays import ColorArray
from molmo_point.viz.labeled_sheet import TILE_PX, Tile
from molmo_point.viz.text import AMBER, INK, font

_OUTLINE, _MARGIN = (0, 205, 140), 0.25
_LEAST_SIDE_PX = 48


def view_tile(
    color: ColorArray,
    mask: np.ndarray | None,
    lines: Sequence[str],
    *,
    bad: bool = False,
    places: Sequence[tuple[float, float]] = (),
) -> Tile:
    """Draw a view: the whole picture, and the object cut out, both with the outline of the mask.

    Args:
        color: RGB image (h, w, 3).
        mask: Pixels of the object (h, w), bool; None if none was found.
        lines: Text below the pictures.
        bad: True to mark the text.
        places: Pixels (u, v) to mark by numbers, e.g. of several objects.
    """
    whole = _numbered(_fitted(color, mask), color.shape[:2], places)
    if mask is None or not mask.any():
        return Tile((whole,), tuple(lines), bad)
    rows, columns = _window(mask)
    return Tile((whole, _fitted(color[rows, columns], mask[rows, columns])), tuple(lines), bad)


def pictures_tile(pictures: Sequence[ColorArray], lines: Sequence[str], *, bad: bool = False) -> Tile:
    """Put up to two pictures side by side, e.g. two objects that look alike."""
    return Tile(tuple(_fitted(picture, None) for picture in pictures[:2]), tuple(lines), bad)


def _numbered(square: np.ndarray, size_hw: tuple[int, int], places: Sequence[tuple[float, float]]) -> np.ndarray:
    """Mark pixels of an image in its scaled picture by numbers."""
    if not places:
        return square
    image = Image.fromarray(square)
    pen = ImageDraw.Draw(image)
    scale = TILE_PX / max(size_hw)
    for number, (u, v) in enumerate(places, start=1):
        x, y = ((at + 0.5 - side / 2) * scale + TILE_PX / 2 for at, side in ((u, size_hw[1]), (v, size_hw[0])))
        pen.ellipse((x - 8, y - 8, x + 8, y + 8), fill=AMBER, outline=INK)
        pen.text((x, y), str(number), font=font(12), fill=INK, anchor="mm")
    return np.array(image)


def _window(mask: np.ndarray) -> tuple[slice, slice]:
    """Return the square window around a mask, inside the image as far as it fits."""
    v, u = np.nonzero(mask)
    side = max(round((1 + _MARGIN) * max(np.ptp(u), np.ptp(v))), _LEAST_SIDE_PX)
    middles = ((v.min() + v.max()) // 2, (u.min() + u.max()) // 2)
    lows = [max(min(middle - side // 2, size - side), 0) for middle, size in zip(middles, mask.shape, strict=True)]
    return slice(lows[0], lows[0] + side), slice(lows[1], lows[1] + side)


def _fitted(color: ColorArray, mask: np.ndarray | None) -> np.ndarray:
    """Scale a picture into a square of `TILE_PX` and draw the outline of its mask."""
    height, width = color.shape[:2]
    scale = TILE_PX / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    picture = np.array(Image.fromarray(np.ascontiguousarray(color)).resize(size, Image.Resampling.BILINEAR))
    if mask is not None:
        shown = np.array(Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)) > 127
        picture[_edge(shown)] = _OUTLINE
    square = np.full((TILE_PX, TILE_PX, 3), 40, np.uint8)
    top, left = ((TILE_PX - side) // 2 for side in picture.shape[:2])
    square[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return square


def _edge(mask: np.ndarray) -> np.ndarray:
    """Return the pixels at the edge of a mask, two wide, one inside and one outside."""
    padded = np.pad(mask, 1, mode="edge")
    neighbors = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    return np.asarray(neighbors.any(0) & ~neighbors.all(0))
