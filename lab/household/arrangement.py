"""Tabletops of household objects: what stands where, on what, under which light, seen from where."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from lab.household.asset_pack import Asset
from molmo_point.sim.camera_pose import CameraPose

SIZES = (0.8, 1.0, 1.22)
"""Factors by which an object may be smaller or larger than its model."""
MAX_OBJECTS = 12
_CERTAIN, _ARGUABLE = 0.62, 0.14


@dataclass(frozen=True, eq=False)
class PlacedAsset:
    """One object on the table.

    Attributes:
        asset: What it is.
        size: Index into `SIZES`.
        xy_m: Where its middle stands, base frame, meters.
        yaw_rad: Its turn about the vertical.
        paint: Color word it was painted in, or None for its own colors.
        rgb: The paint, (3,) in [0, 1]; unused without paint.
    """

    asset: Asset
    size: int
    xy_m: tuple[float, float]
    yaw_rad: float
    paint: str | None
    rgb: tuple[float, float, float]

    @property
    def size_m(self) -> tuple[float, float, float]:
        """Width, depth, height (3,), meters."""
        width, depth, height = (side * SIZES[self.size] for side in self.asset.size_m)
        return (width, depth, height)

    @property
    def position_base_m(self) -> tuple[float, float, float]:
        """The middle of its box (3,), base frame, meters."""
        return (*self.xy_m, 0.5 * self.size_m[2])

    @property
    def colors(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Words that certainly name its color, and all that somebody might use."""
        shares = dict(self.asset.color_shares)
        if self.paint is not None:
            rest = 1 - paint_share(self.asset)
            shares = {word: share * rest for word, share in shares.items()}
            shares[self.paint] = shares.get(self.paint, 0.0) + 1 - rest
        certain = tuple(word for word, share in shares.items() if share >= _CERTAIN)
        return certain, tuple(word for word, share in shares.items() if share >= _ARGUABLE or word in certain)

    @property
    def name(self) -> str:
        """Color, where it is certain, and noun: ``"red mug"``."""
        return " ".join([*self.colors[0][:1], self.asset.noun])


@dataclass(frozen=True)
class Light:
    """A lamp: position (3,) base frame, meters; color (3,) in [0, 1]; whether it throws shadows."""

    position_m: tuple[float, float, float]
    rgb: tuple[float, float, float]
    shadow: bool


@dataclass(frozen=True)
class Panel:
    """A colored box that nobody asks about: a sheet under the objects, or furniture in the background.

    Attributes:
        half_m: Half extents (3,), meters.
        position_m: Middle (3,), base frame, meters.
        yaw_rad: Turn about the vertical.
        surface: Number of its surface.
        tint: Multiplies the surface, (3,).
    """

    half_m: tuple[float, float, float]
    position_m: tuple[float, float, float]
    yaw_rad: float
    surface: int
    tint: tuple[float, float, float]


@dataclass(frozen=True)
class Arrangement:
    """Everything that is random about a scene.

    Attributes:
        objects: On the table, not touching one another.
        table: The table's top, at z = 0.
        floor: Surface number and tint of floor and walls.
        panels: Sheets and furniture.
        room_m: Half the side of the room.
        lights: The first one throws the shadows.
        ambient: Light from everywhere, 0 to 1.
        camera: Where it is seen from.
    """

    objects: tuple[PlacedAsset, ...]
    table: Panel
    floor: tuple[int, tuple[float, float, float]]
    panels: tuple[Panel, ...]
    room_m: float
    lights: tuple[Light, ...]
    ambient: float
    camera: CameraPose


@cache
def paint_share(asset: Asset) -> float:
    """The share of an object's surface that a repaint changes."""

    def area(paint_only: bool) -> float:
        total = 0.0
        for part in asset.parts:
            if part.paint or not paint_only:
                a, b, c = (part.vertices_m[part.faces[:, k]] for k in range(3))
                total += 0.5 * float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum())
        return total

    return area(True) / max(area(False), 1e-12)
