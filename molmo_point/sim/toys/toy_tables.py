"""Random tables of given toys: apart, pushed together, tumbled, or in a bin."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from molmo_point.errors import InputError
from molmo_point.sim.mujoco_import import import_mujoco
from molmo_point.sim.tabletop.clutter import ClutterLayout, bin_walls
from molmo_point.sim.tabletop.layout import Layout, apart, random_layout
from molmo_point.sim.tabletop.mjcf import TOY_PREFIX, layout_to_mjcf
from molmo_point.sim.tabletop.objects import COLORS, SHAPES, SceneObject, random_object
from molmo_point.sim.toys.placed_toy import PlacedToy, add_toy, standing
from molmo_point.sim.toys.toy import Toy, toy_model

TOY_TABLES = ("apart", "touching", "tumbled", "bin")
"""Kinds of tables: standing apart, pushed together, dropped so that toys lie on any side, dropped into a bin."""
_GAP_M = 0.012
_ROOM_M = (0.16, 0.18, 0.20, 0.23, 0.26)
_STEP_S, _SETTLE_S, _PULL_S = 0.003, 1.5, 0.7
_PULL_M_S2, _LIGHT_M_S2 = 3.0, 2.5
"""Acceleration towards the middle, and gravity meanwhile: friction holds less than the pull."""


def random_toy_table(toys: Sequence[Toy], rng: np.random.Generator, kind: str = "apart", solid_count: int = 0) -> ClutterLayout:
    """Draw a table on which toys stand or lie; table, light and camera are those of `random_layout`.

    Args:
        toys: The toys; all of them are on the table.
        rng: Source of all randomness.
        kind: One of `TOY_TABLES`.
        solid_count: Number of colored solids among them.

    Returns:
        The table; the toys are the first of its objects, in their order.

    Raises:
        InputError: The kind is unknown, or the table is too small for so many.
    """
    if kind not in TOY_TABLES:
        raise InputError("kind of a table of toys must be known", repr(kind), f"use one of {', '.join(TOY_TABLES)}")
    layout = random_layout(rng, 0)
    if kind in ("apart", "touching"):
        objects = _standing(toys, solid_count, rng)
        layout = replace(layout, objects=tuple(objects))
        return ClutterLayout(_pushed(layout) if kind == "touching" else layout)
    walls = bin_walls(rng, (0.16, 0.12)) if kind == "bin" else ()
    dropped = tuple(_dropped(toys, rng))
    solids = () if kind == "bin" else tuple(_standing_solids(solid_count, rng, 0.26))
    layout = replace(layout, objects=(*dropped, *solids))
    return ClutterLayout(_settled(layout, walls), walls)


def tumbled(toy: Toy, rng: np.random.Generator, xy_m: tuple[float, float] = (0.0, 0.0)) -> PlacedToy:
    """Drop a toy, turned at random, onto the middle of a table; return the pose in which it comes to rest."""
    item = next(iter(_dropped([toy], rng)))
    (rested,) = _settled(replace(random_layout(rng, 0), objects=(item,)), ()).objects
    assert isinstance(rested, PlacedToy)
    middle = rested.vertices_m
    shift = 0.5 * (middle.max(0) + middle.min(0))[:2]
    x, y, z = rested.position_base_m
    return replace(rested, position_base_m=(float(x - shift[0] + xy_m[0]), float(y - shift[1] + xy_m[1]), z))


def _standing(toys: Sequence[Toy], solid_count: int, rng: np.random.Generator) -> list[PlacedToy | SceneObject]:
    """Stand toys and solids where they do not touch, as close to the middle as there is room."""
    for room in _ROOM_M:
        for _ in range(3):
            placed: list[PlacedToy | SceneObject] = []
            for toy in toys:
                for _ in range(80):
                    x, y = rng.uniform(-room, room, 2).tolist()
                    item = standing(toy, (x, y), float(rng.uniform(0, 2 * np.pi)))
                    if all(apart(item, other, _GAP_M) for other in placed):
                        placed.append(item)
                        break
            if len(placed) == len(toys):
                return [*placed, *_standing_solids(solid_count, rng, room, placed)]
    given = f"{len(toys)} toys"
    raise InputError("toys must fit on the table", given, "give fewer toys")


def _standing_solids(
    count: int, rng: np.random.Generator, room: float, placed: Sequence[PlacedToy | SceneObject] = ()
) -> list[SceneObject]:
    solids: list[SceneObject] = []
    for _ in range(20 * count):
        x, y = rng.uniform(-room, room, 2).tolist()
        item = random_object(rng, str(rng.choice(SHAPES)), str(rng.choice(list(COLORS))), (x, y))
        if len(solids) < count and all(apart(item, other, _GAP_M) for other in (*placed, *solids)):
            solids.append(item)
    return solids


def _dropped(toys: Sequence[Toy], rng: np.random.Generator) -> list[PlacedToy]:
    """Hold toys over the middle, one above the other, each turned at random."""
    height, items = 0.02, []
    for toy in toys:
        model, quat = toy_model(toy), rng.normal(size=4)
        quat /= np.linalg.norm(quat)
        reach = math.hypot(model.radius_m, model.height_m)
        x, y = rng.uniform(-0.06, 0.06, 2).tolist()
        items.append(PlacedToy(toy, (x, y, height + reach), tuple(quat.tolist())))
        height += 1.2 * reach
    return items


def _pushed(layout: Layout) -> Layout:
    """Let the toys slide towards the middle until they touch."""
    return _settled(layout, (), pull=True)


def _settled(layout: Layout, walls: Sequence[SceneObject], pull: bool = False) -> Layout:
    """Let the toys fall and come to rest; solids and walls stay."""
    mujoco = import_mujoco()
    spec: Any = mujoco.MjSpec.from_string(layout_to_mjcf(layout, 16, 16))
    spec.option.timestep = _STEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    for number, wall in enumerate(walls):
        spec.worldbody.add_geom(
            name=f"wall_{number}", type=mujoco.mjtGeom.mjGEOM_BOX, size=list(wall.half_size_m), pos=list(wall.position_base_m)
        )
    numbers = [k for k, item in enumerate(layout.objects) if isinstance(item, PlacedToy)]
    for number in numbers:
        item = layout.objects[number]
        assert isinstance(item, PlacedToy)
        add_toy(spec, item, f"{TOY_PREFIX}{number}", f"seen_{number}", free=True)
    model = spec.compile()
    data = mujoco.MjData(model)
    bodies = [model.body(f"{TOY_PREFIX}{number}").id for number in numbers]
    for step in range(round((_SETTLE_S + 0.12 * len(numbers)) / _STEP_S)):
        if pull:
            near = step * _STEP_S < _PULL_S
            away = data.xipos[bodies, :2]
            away = away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 0.03)
            data.xfrc_applied[bodies, :2] = -_PULL_M_S2 * near * model.body_mass[bodies, None] * away
            model.opt.gravity[2] = -_LIGHT_M_S2 if near else -9.81
        mujoco.mj_step(model, data)
    placed = list(layout.objects)
    for number in numbers:
        body, item = data.body(f"{TOY_PREFIX}{number}"), layout.objects[number]
        assert isinstance(item, PlacedToy)
        placed[number] = replace(item, position_base_m=tuple(body.xpos.tolist()), quat=tuple(body.xquat.tolist()))
    return replace(layout, objects=tuple(placed))
