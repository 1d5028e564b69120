"""Patterned tiles on a table seen from above, with depth, for teaching: no renderer, and every view is another one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molmo_point.geometry.intrinsics import Intrinsics

INTRINSICS = Intrinsics(320, 240, 300.0, 300.0, 159.5, 119.5)
TABLE_M, HEIGHT_M, SIDE_M = 0.6, 0.05, 0.08


@dataclass(frozen=True)
class Pattern:
    """Colors and shape of the pattern of a tile."""

    rgb: tuple[int, int, int]
    other_rgb: tuple[int, int, int]
    squares: int


DUCK = Pattern((230, 200, 30), (200, 60, 20), 3)
ROBOT = Pattern((40, 60, 200), (190, 220, 240), 5)
FROG = Pattern((30, 150, 60), (160, 30, 140), 4)


@dataclass(frozen=True)
class Tile:
    """A tile on the table.

    Attributes:
        pattern: Its look.
        uv: Pixel of its middle.
        turn_rad: Its turn on the table.
        size: Factor of its side.
    """

    pattern: Pattern
    uv: tuple[float, float] = (160.0, 120.0)
    turn_rad: float = 0.0
    size: float = 1.0


def scene(*tiles: Tile, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Color (h, w, 3) and depth (h, w) in meters of a table with tiles."""
    rng = np.random.default_rng(seed)
    height, width = INTRINSICS.height, INTRINSICS.width
    rows, columns = np.mgrid[:height, :width].astype(float)
    grain = 14 * np.sin(columns / 23.0 + 0.4 * np.sin(rows / 17.0))[..., None]
    color = np.array((150.0, 140.0, 125.0)) + grain + rng.normal(0, 4, (height, width, 3))
    depth = TABLE_M + rng.normal(0, 4e-4, (height, width))
    for tile in tiles:
        x, y = columns - tile.uv[0], rows - tile.uv[1]
        side = SIDE_M * tile.size * INTRINSICS.fx / (TABLE_M - HEIGHT_M)
        cos, sin = math.cos(tile.turn_rad), math.sin(tile.turn_rad)
        a, b = (cos * x + sin * y) / side + 0.5, (cos * y - sin * x) / side + 0.5
        on = (a >= 0) & (a < 1) & (b >= 0) & (b < 1)
        odd = (np.floor(a * tile.pattern.squares) + np.floor(b * tile.pattern.squares)) % 2 > 0
        inside = np.where(odd[..., None], np.array(tile.pattern.rgb), np.array(tile.pattern.other_rgb))
        color[on] = inside[on] + rng.normal(0, 4, (int(on.sum()), 3))
        depth[on] = TABLE_M - HEIGHT_M + rng.normal(0, 4e-4, int(on.sum()))
    return np.clip(color, 0, 255).astype(np.uint8), depth.astype(np.float32)


def views(pattern: Pattern, count: int = 8, others: Sequence[Tile] = ()) -> list[tuple[np.ndarray, np.ndarray]]:
    """Scenes that show a tile from another side each."""
    places = [(160 + 40 * math.cos(2.4 * k), 120 + 30 * math.sin(2.4 * k)) for k in range(count)]
    tiles = [Tile(pattern, place, 0.7 * k, 1.0 + 0.25 * math.sin(k)) for k, place in enumerate(places)]
    return [scene(tile, *others, seed=k) for k, tile in enumerate(tiles)]
