"""Contact sheets of labeled points and grasps: color and depth around each, the lifted surface, the region and the grasp."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.arrays import FloatArray
from molmo_point.frame import RgbdFrame
from molmo_point.grasp.candidates import Grasps
from molmo_point.results import Target, Unreachable
from molmo_point.viz.grasp import draw_grasps
from molmo_point.viz.text import AMBER, GRAY, INK, PAPER, font, shortened

TILE_PX, _TEXT_PX, _LINES, _GAP_PX = 200, 13, 3, 6
_COLUMNS, _POINT_ZOOM = 3, 4
_GRASP_SIDE_M, _LEAST_SIDE_PX = 0.30, 120
_SAME_M, _DEPTH_SPREAD_M = 0.010, 0.15
_KEPT, _MISSING, _GROSS = np.array([0, 205, 140]), np.array([60, 0, 60]), (255, 90, 90)


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet.

    Attributes:
        pictures: RGB images (h, w, 3), side by side.
        lines: Text below them.
        bad: True to mark the text.
    """

    pictures: tuple[np.ndarray, ...]
    lines: tuple[str, ...]
    bad: bool = False


def point_tile(
    frame: RgbdFrame, lifted: Target | Unreachable, uv: FloatArray, drawn: FloatArray, lines: Sequence[str], bad: bool
) -> Tile:
    """Draw color and depth around a point: the pixels of the answer's depth in green, the drawn points, the lifted pixel.

    Args:
        frame: Frame of the point.
        lifted: Answer at the labeled pixel.
        uv: Labeled pixel (2,).
        drawn: Pixels (n, 2) with drawn errors.
        lines: Text below the pictures.
        bad: True to mark the text.
    """
    assert frame.depth_m is not None
    half = TILE_PX // _POINT_ZOOM // 2
    rows, columns = (slice(max(round(at) - half, 0), round(at) + half) for at in (uv[1], uv[0]))
    answer_m = float(lifted.position_m[2]) if isinstance(lifted, Target) else float("nan")
    views = (frame.color[rows, columns], depth_picture(frame.depth_m[rows, columns], answer_m))
    at = (lifted.u, lifted.v) if isinstance(lifted, Target) else None
    return Tile(tuple(_marked(view, (columns.start, rows.start), uv, drawn, at) for view in views), tuple(lines), bad)


def depth_picture(depth_m: np.ndarray, answer_m: float) -> np.ndarray:
    """Color a depth window: gray by depth, near bright; dark violet where missing; green within 10 mm of the answer."""
    known = np.isfinite(depth_m)
    middle_m = answer_m if np.isfinite(answer_m) else float(np.median(depth_m[known])) if known.any() else 1.0
    bright = np.clip(0.5 - (np.where(known, depth_m, 0.0) - middle_m) / (2 * _DEPTH_SPREAD_M), 0.0, 1.0)
    picture = np.repeat((40 + 200 * bright)[..., None], 3, axis=2)
    kept = known & (np.abs(np.where(known, depth_m, 0.0) - answer_m) <= _SAME_M)
    picture[kept] = 0.5 * picture[kept] + 0.5 * _KEPT
    picture[~known] = _MISSING
    return picture.astype(np.uint8)


def grasp_tile(frame: RgbdFrame, grasps: Grasps, uv: FloatArray, lines: Sequence[str], bad: bool) -> Tile:
    """Draw region and best grasp, cut out around the point."""
    assert frame.intrinsics is not None
    depth_m = float(grasps.region.target_m[2])
    side = max(frame.intrinsics.focal_px * _GRASP_SIDE_M / depth_m, _LEAST_SIDE_PX) if np.isfinite(depth_m) else 240.0
    half = round(min(side, *frame.size_wh) / 2)
    middle = [int(np.clip(at, half, size - half)) for at, size in zip(uv, frame.size_wh, strict=True)]
    drawn = draw_grasps(frame, grasps)
    view = drawn[middle[1] - half : middle[1] + half, middle[0] - half : middle[0] + half]
    image = Image.fromarray(view).resize((2 * TILE_PX, 2 * TILE_PX), Image.Resampling.LANCZOS)
    scale, pen = TILE_PX / half, ImageDraw.Draw(image)
    u, v = ((at - low + half + 0.5) * scale for at, low in zip(uv, middle, strict=True))
    pen.ellipse((u - 4, v - 4, u + 4, v + 4), fill=AMBER, outline=INK)
    return Tile((np.array(image),), tuple(lines), bad)


def blank_tile(lines: Sequence[str], bad: bool) -> Tile:
    """Make a tile without a picture, for an object whose point has no depth."""
    return Tile((np.full((2 * TILE_PX, 2 * TILE_PX, 3), 40, np.uint8),), tuple(lines), bad)


def draw_sheet(tiles: Sequence[Tile], title: str) -> np.ndarray:
    """Arrange tiles in rows below a title; return an RGB image."""
    wide = 2 * TILE_PX + _GAP_PX
    high = max(max(picture.shape[0] for picture in tile.pictures) for tile in tiles) + _LINES * (_TEXT_PX + 4)
    rows, head = -(-len(tiles) // _COLUMNS), 30
    image = Image.new("RGB", (_COLUMNS * (wide + _GAP_PX), rows * (high + _GAP_PX) + head), INK)
    pen = ImageDraw.Draw(image)
    pen.text((_GAP_PX, 6), shortened(title, 140), font=font(16), fill=PAPER)
    for number, tile in enumerate(tiles):
        left, top = number % _COLUMNS * (wide + _GAP_PX), number // _COLUMNS * (high + _GAP_PX) + head
        at, below = left, 0
        for picture in tile.pictures:
            image.paste(Image.fromarray(picture), (at, top))
            at, below = at + picture.shape[1] + _GAP_PX, max(below, picture.shape[0])
        for line, text in enumerate(tile.lines[:_LINES]):
            tint = _GROSS if tile.bad else PAPER if line == 0 else GRAY
            pen.text((left + 2, top + below + line * (_TEXT_PX + 4)), shortened(text, 62), font=font(_TEXT_PX), fill=tint)
    return np.array(image)


def _marked(
    view: np.ndarray, corner: tuple[int, int], uv: FloatArray, drawn: FloatArray, lifted: tuple[float, float] | None
) -> np.ndarray:
    """Enlarge a window of the image and mark the drawn points, the labeled one, and the lifted one."""
    size = (view.shape[1] * _POINT_ZOOM, view.shape[0] * _POINT_ZOOM)
    image = Image.fromarray(view).resize(size, Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(image)

    def at(place: Sequence[float] | FloatArray) -> tuple[float, float]:
        return (place[0] - corner[0] + 0.5) * _POINT_ZOOM, (place[1] - corner[1] + 0.5) * _POINT_ZOOM

    for u, v in map(at, drawn):
        pen.point([(u, v), (u + 1, v), (u, v + 1), (u + 1, v + 1)], fill=AMBER)
    u, v = at(uv)
    pen.line([(u - 6, v), (u + 6, v)], fill=(255, 60, 60), width=2)
    pen.line([(u, v - 6), (u, v + 6)], fill=(255, 60, 60), width=2)
    if lifted is not None:
        u, v = at(lifted)
        pen.ellipse((u - 5, v - 5, u + 5, v + 5), outline=(64, 186, 255), width=2)
    return np.array(image)
