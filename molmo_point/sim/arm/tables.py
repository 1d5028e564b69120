"""Random tables for the arm: objects that its gripper can hold, within its reach, under a fixed camera."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from molmo_point.errors import InputError
from molmo_point.sim.arm.containers import Container, random_container
from molmo_point.sim.camera_pose import CameraPose
from molmo_point.sim.tabletop.layout import Layout, apart, random_layout
from molmo_point.sim.tabletop.objects import COLORS, SHAPES, SceneObject, random_object
from molmo_point.sim.toys.placed_toy import PlacedToy, standing
from molmo_point.sim.toys.toy import Toy

ARM_CAMERA = CameraPose(eye_m=(0.06, -0.38, 0.62), look_at_m=(0.01, 0.0, 0.02), fov_y_deg=42.5)
"""The fixed camera: a D435's color camera at 640x480, at the side of the table, 0.71 m away, looking 58 degrees down."""
WIDEST_M = 0.066
"""Largest narrower side of an object, meters; the gripper opens 0.085 m."""
GAP_M = 0.022
"""Gap of the circles around the objects, meters: room for a finger."""
MOST_CONTAINERS = 3
_HALF_M = (0.15, 0.19)
_CONTAINERS_HALF_M = (0.13, 0.15)
_ALIKE = 0.35


def random_arm_layout(
    rng: np.random.Generator, object_count: int | None = None, containers: Sequence[str] = (), toys: Sequence[Toy] = ()
) -> Layout:
    """Draw a table of objects that the gripper can hold.

    Args:
        rng: Source of all randomness.
        object_count: Number of solids; None draws 3 to 10, or none with toys.
        containers: Kinds of containers among them, of `containers.CONTAINERS`.
        toys: Toys among them, the first objects of the layout; use `Toy(number, widest_m=WIDEST_M)` for the gripper.

    Returns:
        The layout; it holds fewer solids than asked for if the table is full.

    Raises:
        InputError: If a kind is unknown, or the containers or toys do not fit on the table.
    """
    if len(containers) > MOST_CONTAINERS:
        given = f"{len(containers)} containers"
        raise InputError("containers must fit on the table", given, f"give {MOST_CONTAINERS} or fewer")
    # A given number draws nothing, so that a seed means the same table as ever.
    wanted = object_count if object_count is not None else 0 if toys else int(rng.integers(3, 11))
    around = random_layout(rng, 1)
    hollow = _containers(rng, containers)
    placed: list[SceneObject | PlacedToy] = [*_standing(rng, toys, hollow)]
    for _ in range(wanted):
        _add(rng, placed, hollow)
    # The lamp is in front of the arm, on the camera's side: the visible sides are lit.
    angle, lean = rng.uniform(-1.2, 0.4), rng.uniform(0.35, 0.8)
    light = (float(lean * np.cos(angle)), float(lean * np.sin(angle)), 1.6)
    return dataclasses.replace(
        around,
        objects=tuple(placed),
        camera=ARM_CAMERA,
        light_position_m=light,
        light_diffuse=float(rng.uniform(0.65, 0.85)),
        light_ambient=float(rng.uniform(0.4, 0.5)),
        containers=hollow,
    )


def _containers(rng: np.random.Generator, kinds: Sequence[str]) -> tuple[Container, ...]:
    for _ in range(200 if kinds else 0):
        placed: list[Container] = []
        for kind in kinds:
            x, y = rng.uniform(-1.0, 1.0, 2) * _CONTAINERS_HALF_M
            placed.append(random_container(rng, kind, (float(x), float(y))))
        if all(apart(a, b, GAP_M) for number, a in enumerate(placed) for b in placed[:number]):
            return tuple(placed)
    if kinds:
        raise InputError("containers must fit on the table", ", ".join(kinds), "give fewer, or smaller ones")
    return ()


def _standing(rng: np.random.Generator, toys: Sequence[Toy], hollow: Sequence[Container]) -> list[PlacedToy]:
    """Stand toys where they touch nothing."""
    for _ in range(50):
        placed: list[PlacedToy] = []
        for toy in toys:
            for _ in range(60):
                x, y = (rng.uniform(-1.0, 1.0, 2) * _HALF_M).tolist()
                item = standing(toy, (x, y), float(rng.uniform(0.0, 2 * np.pi)))
                if all(apart(item, other, GAP_M) for other in (*placed, *hollow)):
                    placed.append(item)
                    break
        if len(placed) == len(toys):
            return placed
    raise InputError("toys must fit on the table", f"{len(toys)} toys", "give fewer toys")


def _add(rng: np.random.Generator, placed: list[SceneObject | PlacedToy], hollow: Sequence[Container]) -> None:
    shape, color = str(rng.choice(SHAPES)), str(rng.choice(list(COLORS)))
    solids = [item for item in placed if isinstance(item, SceneObject)]
    if solids and rng.random() < _ALIKE:
        like = solids[int(rng.integers(len(solids)))]
        # The same shape in another color, or the same color in another shape.
        shape, color = (like.shape, color) if rng.random() < 0.5 else (shape, like.color)
    for _ in range(60):
        xy = rng.uniform(-1.0, 1.0, 2) * _HALF_M
        item = random_object(rng, shape, color, (float(xy[0]), float(xy[1])))
        if 2 * min(item.half_size_m[:2]) <= WIDEST_M and all(apart(item, other, GAP_M) for other in (*placed, *hollow)):
            placed.append(item)
            return
