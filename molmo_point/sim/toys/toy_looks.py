"""Surfaces of toys: palettes, and patterns drawn as pictures."""

import colorsys
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.arrays import ColorArray, FloatArray

TILE_PX = 192
"""Side of the picture of one surface, pixels."""
Palette = FloatArray
"""Colors (n, 3) of a toy, 0 to 255, the main one first."""


def random_palette(rng: np.random.Generator) -> Palette:
    """Draw four colors that can be told apart: the main one, a second, an accent, and a light or dark one."""
    first = rng.uniform(0, 1)
    hues = first + np.array([0.0, *rng.choice([0.08, 0.17, 0.33, 0.5, 0.62, 0.75], 2, replace=False)])
    colors = []
    for hue in hues:
        vivid = rng.random() < 0.75
        saturation, value = rng.uniform(0.6, 1.0) if vivid else rng.uniform(0.0, 0.35), rng.uniform(0.3, 0.95)
        colors.append(colorsys.hsv_to_rgb(hue % 1.0, saturation, value))
    colors.append((0.94,) * 3 if np.mean(colors[0]) < 0.5 else (0.09,) * 3)
    return np.array(colors) * 255


def _ink(color: FloatArray) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in np.clip(color, 0, 255))
    return red, green, blue


def _page(color: FloatArray) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    page = Image.new("RGB", (TILE_PX, TILE_PX), _ink(color))
    return page, ImageDraw.Draw(page)


def _plain(rng: np.random.Generator, colors: Palette) -> ColorArray:
    del rng
    return np.asarray(_page(colors[0])[0])


def _stripes(rng: np.random.Generator, colors: Palette) -> ColorArray:
    count, used = int(rng.integers(3, 9)), int(rng.integers(2, 4))
    across = np.linspace(0, 1, TILE_PX, endpoint=False)
    angle = rng.choice([0, 1, 2])
    u, v = np.meshgrid(across, across)
    place = (v, u, (u + v) % 1.0)[angle]
    return colors[(place * count * used).astype(int) % used].astype(np.uint8)


def _bands(rng: np.random.Generator, colors: Palette) -> ColorArray:
    """A main color with one or two bands around."""
    page, pen = _page(colors[0])
    for tint in colors[1 : 1 + int(rng.integers(1, 3))]:
        top = rng.uniform(0.1, 0.75) * TILE_PX
        pen.rectangle((0, top, TILE_PX, top + rng.uniform(0.08, 0.25) * TILE_PX), fill=_ink(tint))
    return np.asarray(page)


def _dots(rng: np.random.Generator, colors: Palette) -> ColorArray:
    page, pen = _page(colors[0])
    count = int(rng.integers(3, 8))
    step = TILE_PX / count
    size = rng.uniform(0.25, 0.42) * step
    for row in range(count + 1):
        for column in range(count + 1):
            u, v = (column + 0.5 * (row % 2)) * step, (row + 0.5) * step
            pen.ellipse((u - size, v - size, u + size, v + size), fill=_ink(colors[1 + (row + column) % 2]))
    return np.asarray(page)


def _checks(rng: np.random.Generator, colors: Palette) -> ColorArray:
    row, column = np.indices((TILE_PX, TILE_PX)) * int(2 * rng.integers(2, 5)) // TILE_PX
    return colors[(row + column) % 2].astype(np.uint8)


def _gradient(rng: np.random.Generator, colors: Palette) -> ColorArray:
    share = np.linspace(0, 1, TILE_PX)[:, None, None]
    del rng
    return ((1 - share) * colors[0] + share * colors[1] + np.zeros((1, TILE_PX, 1))).astype(np.uint8)


def _zigzag(rng: np.random.Generator, colors: Palette) -> ColorArray:
    v, u = np.indices((TILE_PX, TILE_PX)) / TILE_PX
    waves, rows = int(rng.integers(3, 7)), int(rng.integers(3, 6))
    tooth = np.abs((u * waves) % 1.0 - 0.5) * 2 / rows
    return colors[((v + tooth) * 2 * rows).astype(int) % 2].astype(np.uint8)


def _patches(rng: np.random.Generator, colors: Palette) -> ColorArray:
    """Blobs of three colors, as on a cow or camouflage."""
    small = Image.fromarray(rng.integers(0, 256, (7, 7), dtype=np.uint8))
    height = np.asarray(small.resize((TILE_PX, TILE_PX), Image.Resampling.BICUBIC), float)
    return colors[np.digitize(height, [110, 165])].astype(np.uint8)


def _diamonds(rng: np.random.Generator, colors: Palette) -> ColorArray:
    v, u = np.indices((TILE_PX, TILE_PX)) / TILE_PX * int(rng.integers(3, 6))
    return colors[np.where(np.abs(u % 1 - 0.5) + np.abs(v % 1 - 0.5) < 0.38, 1, 0)].astype(np.uint8)


def _speckled(rng: np.random.Generator, colors: Palette) -> ColorArray:
    page, pen = _page(colors[0])
    for _ in range(int(rng.integers(40, 120))):
        u, v, size = *rng.uniform(0, TILE_PX, 2), rng.uniform(2, 7)
        pen.ellipse((u - size, v - size, u + size, v + size), fill=_ink(colors[int(rng.integers(1, 4))]))
    return np.asarray(page)


def _target(rng: np.random.Generator, colors: Palette) -> ColorArray:
    v, u = np.indices((TILE_PX, TILE_PX)) / TILE_PX * 2
    ring = np.hypot(u % 1 - 0.5, v % 1 - 0.5) * int(rng.integers(5, 9))
    return colors[ring.astype(int) % 2].astype(np.uint8)


def _halves(rng: np.random.Generator, colors: Palette) -> ColorArray:
    page, pen = _page(colors[0])
    cut = rng.uniform(0.35, 0.65) * TILE_PX
    box = (0, cut, TILE_PX, TILE_PX) if rng.random() < 0.6 else (cut, 0, TILE_PX, TILE_PX)
    pen.rectangle(box, fill=_ink(colors[1]))
    return np.asarray(page)


def _label(rng: np.random.Generator, colors: Palette) -> ColorArray:
    """Labels with marks like letters, twice around."""
    page, pen = _page(colors[0])
    paper, ink = colors[3] if rng.random() < 0.6 else colors[1], colors[2]
    if abs(float(np.mean(paper - ink))) < 50:
        ink = np.full(3, 20.0 if np.mean(paper) > 110 else 235.0)
    marks = [_glyph(rng) for _ in range(int(rng.integers(2, 5)))]
    top, bottom = sorted(rng.uniform(0.18, 0.82, 2) * TILE_PX) if rng.random() < 0.3 else (0.24 * TILE_PX, 0.76 * TILE_PX)
    bottom = max(bottom, top + 0.3 * TILE_PX)
    for left in (0.03 * TILE_PX, 0.53 * TILE_PX):
        pen.rectangle((left, top, left + 0.44 * TILE_PX, bottom), fill=_ink(paper))
        room = 0.40 * TILE_PX / len(marks)
        for k, strokes in enumerate(marks):
            size = np.array([0.8 * room, 0.75 * (bottom - top)])
            corner = np.array([left + 0.02 * TILE_PX + (k + 0.1) * room, top + 0.12 * (bottom - top)])
            for stroke in strokes:
                pen.line([tuple(corner + point * size) for point in stroke], fill=_ink(ink), width=max(4, round(0.18 * room)))
    return np.asarray(page)


def _glyph(rng: np.random.Generator) -> list[FloatArray]:
    """Strokes of a mark between points of a 3 by 3 grid, 0 to 1."""
    return [rng.integers(0, 3, (2, 2)) / 2 + rng.normal(0, 0.02, (2, 2)) for _ in range(int(rng.integers(3, 6)))]


def _emblem(rng: np.random.Generator, colors: Palette) -> ColorArray:
    """A figure with few corners on each half."""
    page, pen = _page(colors[0])
    corners, inner, turn = int(rng.integers(3, 8)), rng.uniform(0.35, 1.0), rng.uniform(0, np.pi)
    angle = np.arange(2 * corners) * np.pi / corners + turn
    radius = np.where(np.arange(2 * corners) % 2, inner, 1.0) * 0.2 * TILE_PX
    for u in (0.25 * TILE_PX, 0.75 * TILE_PX):
        outline = [(u + r * np.cos(a), 0.5 * TILE_PX + 1.6 * r * np.sin(a)) for r, a in zip(radius, angle, strict=True)]
        pen.polygon(outline, fill=_ink(colors[1]), outline=_ink(colors[3]), width=3)
    return np.asarray(page)


PATTERNS: dict[str, Callable[[np.random.Generator, Palette], ColorArray]] = {
    "plain": _plain, "stripes": _stripes, "bands": _bands, "dots": _dots, "checks": _checks, "gradient": _gradient,
    "zigzag": _zigzag, "patches": _patches, "diamonds": _diamonds, "speckled": _speckled, "target": _target,
    "halves": _halves, "label": _label, "emblem": _emblem,
}  # fmt: skip
"""Every pattern by name; each draws a picture (TILE_PX, TILE_PX, 3) uint8 RGB, its first row at the bottom of a part."""
MAIN_WEIGHTS = np.array([2.0, 1, 1, 1, 1, 0.7, 0.8, 0.8, 0.7, 0.7, 0.5, 1, 3, 1.5])
"""Weight of each pattern on the main part."""
CALM = ("plain", "plain", "plain", "halves", "stripes", "bands", "speckled", "gradient")
"""Patterns of the other parts."""
