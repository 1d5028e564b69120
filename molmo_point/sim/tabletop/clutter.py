"""Tables as people have them: touching objects, bins, low and level views, uneven tables, stacks and glass."""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from molmo_point.arrays import ColorArray, FloatArray
from molmo_point.errors import InputError
from molmo_point.sim.camera_pose import CameraPose
from molmo_point.sim.depth_faults import Appearance, Material
from molmo_point.sim.mujoco_import import import_mujoco
from molmo_point.sim.rendered_scene import MujocoScene
from molmo_point.sim.tabletop.layout import Layout, random_layout
from molmo_point.sim.tabletop.mjcf import OBJECT_PREFIX, cover_table, layout_to_mjcf, with_toys
from molmo_point.sim.tabletop.objects import COLORS, SHAPES, SceneObject, random_object, signed_distance

_TABLE_HALF_M = 0.55
_ROUGH_CELLS = 161
_GAP_M = 0.0005
_GLASS_ALPHA = 0.25


@dataclass(frozen=True, eq=False)
class ClutterLayout:
    """A table with its obstacles.

    Attributes:
        table: Objects, camera, light and colors.
        walls: Walls of a bin or of the room.
        heights_m: Height (n, n) of an uneven table above z = 0, over its square; None for a flat one.
        glass: Indices of the transparent objects.
    """

    table: Layout
    walls: tuple[SceneObject, ...] = ()
    heights_m: FloatArray | None = None
    glass: frozenset[int] = frozenset()


def random_clutter(kind: str, rng: np.random.Generator) -> ClutterLayout:
    """Draw a table of one of `CLUTTER_KINDS`.

    Raises:
        InputError: The kind is unknown.
    """
    if kind not in CLUTTER_KINDS:
        raise InputError("Kind of scene must be known", repr(kind), f"use one of {', '.join(CLUTTER_KINDS)}")
    return CLUTTER_KINDS[kind](rng)


def height_at(layout: ClutterLayout, xy_m: FloatArray) -> FloatArray:
    """Height (...) of the table at points (..., 2), base frame, meters."""
    if layout.heights_m is None:
        return np.zeros(np.shape(xy_m)[:-1])
    cells = layout.heights_m.shape[0] - 1
    at = np.clip((np.asarray(xy_m) / _TABLE_HALF_M + 1.0) * 0.5 * cells, 0, cells - 1e-9)
    first = at.astype(int)
    (i, j), (x, y) = (first[..., 0], first[..., 1]), np.moveaxis(at - first, -1, 0)
    z = layout.heights_m
    return (1 - y) * ((1 - x) * z[j, i] + x * z[j, i + 1]) + y * ((1 - x) * z[j + 1, i] + x * z[j + 1, i + 1])


def gap_m(a: SceneObject, b: SceneObject) -> float:
    """Distance of two solids, meters; negative if they cut each other, and a lower bound if they are far apart."""
    away = math.dist(a.position_base_m, b.position_base_m) - math.hypot(*a.half_size_m) - math.hypot(*b.half_size_m)
    if away > 0.02:
        return away
    return float(min(signed_distance(b, _surface(a)).min(), signed_distance(a, _surface(b)).min()))


def _surface(item: SceneObject) -> FloatArray:
    """Points (n, 3) on and in a solid, base frame, that reach its surface on all sides."""
    axis = np.linspace(-1.0, 1.0, 9)
    unit = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    unit = unit[np.abs(unit).max(axis=1) == 1.0]
    if item.shape == "ball":
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    elif item.shape == "cylinder":
        unit[:, :2] /= np.maximum(np.linalg.norm(unit[:, :2], axis=1, keepdims=True), 1.0)
    x, y, z = (unit * item.half_size_m).T
    cosine, sine = math.cos(item.yaw_rad), math.sin(item.yaw_rad)
    return np.stack([x * cosine - y * sine, x * sine + y * cosine, z], axis=1) + item.position_base_m


def _moved(item: SceneObject, x: float, y: float, z: float | None = None) -> SceneObject:
    return replace(item, position_base_m=(x, y, item.position_base_m[2] if z is None else z))


def _drawn(rng: np.random.Generator, shapes: tuple[str, ...] = SHAPES) -> SceneObject:
    return random_object(rng, str(rng.choice(shapes)), str(rng.choice(list(COLORS))), (0.0, 0.0))


def _touching(rng: np.random.Generator, count: int, room_m: tuple[float, float] = (0.2, 0.2)) -> list[SceneObject]:
    """Draw objects that touch: each is pushed against one of the others, half of them flush."""
    placed = [_drawn(rng)]
    for _ in range(40 * count):
        if len(placed) == count:
            break
        other, item, angle = placed[int(rng.integers(len(placed)))], _drawn(rng), rng.uniform(0, 2 * np.pi)
        if rng.random() < 0.5:
            item, angle = replace(item, yaw_rad=other.yaw_rad), other.yaw_rad + 0.5 * np.pi * int(rng.integers(4))
        x, y, _ = other.position_base_m
        near, far = 0.0, other.footprint_radius_m + item.footprint_radius_m + 0.01
        for _ in range(9):
            middle = 0.5 * (near + far)
            touching = gap_m(_moved(item, x + middle * math.cos(angle), y + middle * math.sin(angle)), other) < _GAP_M
            near, far = (middle, far) if touching else (near, middle)
        item = _moved(item, x + far * math.cos(angle), y + far * math.sin(angle))
        inside = all(abs(v) + item.footprint_radius_m < room for v, room in zip(item.position_base_m, room_m, strict=False))
        if inside and all(gap_m(item, each) > 0.5 * _GAP_M for each in placed):
            placed.append(item)
    return placed


def _stacked(rng: np.random.Generator, placed: list[SceneObject]) -> list[SceneObject]:
    """Put an object on each box or cylinder that can carry one."""
    on_top = []
    for base in placed:
        item = _drawn(rng, ("cube", "cylinder", "brick"))
        if base.shape == "ball" or min(item.half_size_m[:2]) > 1.3 * min(base.half_size_m[:2]):
            continue
        x, y, z = base.position_base_m
        aside = rng.normal(0.0, 0.15 * min(base.half_size_m[:2]), 2)
        item = _moved(item, x + aside[0], y + aside[1], z + base.half_size_m[2] + item.half_size_m[2])
        if all(gap_m(item, other) > 0 for other in [*placed, *on_top] if other is not base):
            on_top.append(item)
    return [*placed, *on_top[:3]]


def _viewed(
    rng: np.random.Generator, objects: list[SceneObject], elevation_deg: tuple[float, float], height_m: float = 0.03
) -> Layout:
    """Put objects on a random table that is seen from an elevation between two angles."""
    elevation, azimuth, distance = np.deg2rad(rng.uniform(*elevation_deg)), rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 0.75)
    target = np.array([*rng.uniform(-0.04, 0.04, 2), height_m])
    away = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    eye = target + distance * away
    camera = CameraPose(tuple(eye.tolist()), tuple(target.tolist()), float(rng.uniform(40.0, 56.0)))
    return replace(random_layout(rng, 0), objects=tuple(objects), camera=camera)


def _wall(half: Sequence[float], place: Sequence[float], yaw: float, rgb: FloatArray) -> SceneObject:
    (dx, dy, dz), (x, y, z) = half, place
    return SceneObject("brick", "white", (dx, dy, dz), (x, y, z), yaw, (float(rgb[0]), float(rgb[1]), float(rgb[2])))


def _in_bin(rng: np.random.Generator) -> ClutterLayout:
    half = (float(rng.uniform(0.13, 0.20)), float(rng.uniform(0.10, 0.15)))
    walls = bin_walls(rng, half)
    objects = _touching(rng, int(rng.integers(4, 9)), half)
    return ClutterLayout(_viewed(rng, _stacked(rng, objects), (50.0, 86.0)), walls)


def bin_walls(rng: np.random.Generator, half: tuple[float, float]) -> tuple[SceneObject, ...]:
    """Draw the walls of a bin with an inside of two half sides, meters."""
    thick, high, rgb = rng.uniform(0.002, 0.005), rng.uniform(0.03, 0.07), rng.uniform(0.1, 0.8, 3)
    walls = []
    for axis in (0, 1):
        size = [half[0] + 2 * thick, half[1] + 2 * thick, high]
        size[axis] = thick
        for sign in (-1.0, 1.0):
            place = [0.0, 0.0, high]
            place[axis] = sign * (half[axis] + thick)
            walls.append(_wall(size, place, 0.0, rgb))
    return tuple(walls)


def _before_wall(rng: np.random.Generator, elevation_deg: tuple[float, float]) -> ClutterLayout:
    """Objects seen from low, with a wall behind them in two of three scenes."""
    table = _viewed(rng, _touching(rng, int(rng.integers(2, 6))), elevation_deg, 0.04)
    if rng.random() < 1 / 3:
        return ClutterLayout(table)
    behind = -np.array(table.camera.eye_m[:2])
    behind *= rng.uniform(0.28, 0.5) / np.linalg.norm(behind)
    yaw = math.atan2(behind[1], behind[0]) + rng.uniform(-0.4, 0.4)
    return ClutterLayout(table, (_wall((0.01, 0.9, 0.4), (behind[0], behind[1], 0.4), yaw, rng.uniform(0.2, 0.8, 3)),))


def _rough(rng: np.random.Generator, folds: bool) -> ClutterLayout:
    """Objects on a table with bumps, or on cloth with folds; they stand upright on its highest point below them."""
    axis = np.linspace(-_TABLE_HALF_M, _TABLE_HALF_M, _ROUGH_CELLS)
    x, y = np.meshgrid(axis, axis)
    heights = np.zeros_like(x)
    for _ in range(7 if folds else 12):
        angle, phase = rng.uniform(0, np.pi, 2)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        if folds:
            # A ridge that bends, and fades out at its ends.
            bent = along - rng.uniform(-0.25, 0.25) - 0.02 * np.sin(across / 0.08 + phase)
            shape = np.exp(-0.5 * (bent / rng.uniform(0.006, 0.014)) ** 2 - 0.5 * (across / 0.2) ** 2)
            heights = np.maximum(heights, rng.uniform(0.006, 0.018) * shape)
        else:
            heights += rng.uniform(0.0, 0.003) * (1 + np.sin(along * rng.uniform(8, 40) + phase))
    layout = ClutterLayout(_viewed(rng, [], (28.0, 75.0)), heights_m=heights)
    objects = [_on(layout, item) for item in _touching(rng, int(rng.integers(2, 6)))]
    return replace(layout, table=replace(layout.table, objects=tuple(objects)))


def _on(layout: ClutterLayout, item: SceneObject) -> SceneObject:
    points = _surface(item)
    x, y, _ = item.position_base_m
    return _moved(item, x, y, float(height_at(layout, points[:, :2]).max()) + item.half_size_m[2])


def _with_glass(rng: np.random.Generator) -> ClutterLayout:
    table = random_layout(rng, int(rng.integers(2, 6)))
    count = max(1, len(table.objects) // 2)
    chosen = rng.choice(len(table.objects), count, replace=False)
    return ClutterLayout(table, glass=frozenset(int(k) for k in chosen))


CLUTTER_KINDS: dict[str, Callable[[np.random.Generator], ClutterLayout]] = {
    "touching": lambda rng: ClutterLayout(_viewed(rng, _touching(rng, int(rng.integers(2, 8))), (32.0, 80.0))),
    "stacked": lambda rng: ClutterLayout(_viewed(rng, _stacked(rng, _touching(rng, int(rng.integers(2, 5)))), (30.0, 75.0))),
    "bin": _in_bin,
    "low": lambda rng: _before_wall(rng, (12.0, 28.0)),
    "level": lambda rng: _before_wall(rng, (1.0, 10.0)),
    "uneven": lambda rng: _rough(rng, folds=False),
    "cloth": lambda rng: _rough(rng, folds=True),
    "glass": _with_glass,
}
"""The kinds of tables, and the function that draws each."""


class ClutteredScene(MujocoScene):
    """A rendered table of `CLUTTER_KINDS`; attributes and errors are those of `MujocoScene`.

    Args:
        layout: Objects, walls and table.
        width: Image width, pixels.
        height: Image height, pixels.
        surface: Picture (n, n, 3) on a flat table; None keeps the surface of the layout.

    Attributes:
        layout: The layout; `height_at` and its objects are the truth.
    """

    def __init__(self, layout: ClutterLayout, width: int = 640, height: int = 480, surface: ColorArray | None = None) -> None:
        self.layout = layout
        spec = import_mujoco().MjSpec.from_string(_mjcf(layout, width, height))
        if surface is not None:
            cover_table(spec, surface)
        model = with_toys(spec, layout.table).compile()
        if layout.heights_m is not None:
            model.hfield_data[:] = (layout.heights_m / _highest_m(layout)).ravel()
        objects = {f"{OBJECT_PREFIX}{i}": item for i, item in enumerate(layout.table.objects)}
        super().__init__(model, layout.table.camera, (width, height), objects)

    @classmethod
    def random(cls, kind: str, seed: int, width: int = 640, height: int = 480) -> "ClutteredScene":
        """Make a random scene of a kind; the same seed gives the same scene."""
        rng = np.random.default_rng([list(CLUTTER_KINDS).index(kind) if kind in CLUTTER_KINDS else 0, seed])
        return cls(random_clutter(kind, rng), width, height)

    def appearance(self, color: ColorArray) -> Appearance:
        """Tell the depth camera of glass; for `SimulatedCamera(scene, appearance=scene.appearance)`."""
        if not self.layout.glass:
            return Appearance(color)
        glass = np.isin(self.render_masks(), list(self.layout.glass))
        geoms = [self._geoms[index] for index in self.layout.glass]
        kept = self._model.geom_pos[geoms].copy()
        self._model.geom_pos[geoms] += (0.0, 0.0, -5.0)
        self._mujoco.mj_forward(self._model, self._data)
        behind_m = self._render("depth")
        self._model.geom_pos[geoms] = kept
        self._mujoco.mj_forward(self._model, self._data)
        return Appearance(color, np.where(glass, Material.GLASS, Material.PLAIN).astype(np.uint8), behind_m)


def _highest_m(layout: ClutterLayout) -> float:
    assert layout.heights_m is not None
    return max(float(layout.heights_m.max()), 1e-4)


def _mjcf(layout: ClutterLayout, width: int, height: int) -> str:
    """Write the MJCF text of the table with its walls and its uneven surface."""
    root = ElementTree.fromstring(layout_to_mjcf(layout.table, width, height))
    assets, world = root.find("asset"), root.find("worldbody")
    assert assets is not None and world is not None
    for number, wall in enumerate(layout.walls):
        world.append(ElementTree.fromstring(wall.geom_xml(f"wall_{number}")))
    for index in layout.glass:
        geom = world.find(f"geom[@name='{OBJECT_PREFIX}{index}']")
        assert geom is not None
        geom.set("rgba", f"0.8 0.85 0.85 {_GLASS_ALPHA}")
    if layout.heights_m is not None:
        cells = str(layout.heights_m.shape[0])
        size = f"{_TABLE_HALF_M} {_TABLE_HALF_M} {_highest_m(layout)} 0.02"
        ElementTree.SubElement(assets, "hfield", name="table", nrow=cells, ncol=cells, size=size)
        table = world.find("geom[@name='table']")
        assert table is not None
        table.attrib.pop("size")
        table.attrib.update(type="hfield", hfield="table", pos="0 0 0")
    return ElementTree.tostring(root, encoding="unicode")
