"""Solids that no training showed, made of primitives and of revolved profiles, to stand between known ones."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.sim.arm.containers import lathe
from molmo_point.sim.mujoco_import import import_mujoco
from molmo_point.sim.tabletop.layout import Layout, apart
from molmo_point.sim.tabletop.mjcf import OBJECT_PREFIX
from molmo_point.sim.tabletop.objects import COLORS


@dataclass(frozen=True)
class Solid:
    """A solid that no training showed.

    Attributes:
        name: Noun for it.
        doubtful: Trained shapes that some people would call it.
        kind: "ellipsoid", "capsule" or "cylinder"; "mesh" with a profile.
        size: Sizes of the geom for a solid of radius 1.
        height: Height of its middle above the table for radius 1.
        profile: (n, 2) radius and height to revolve for radius 1; None for a primitive.
        segments: Corners of the revolved profile.
    """

    name: str
    doubtful: tuple[str, ...]
    kind: str
    size: tuple[float, ...]
    height: float
    profile: FloatArray | None = None
    segments: int = 40


def _revolved(name: str, doubtful: tuple[str, ...], profile: list[tuple[float, float]], segments: int = 40) -> Solid:
    return Solid(name, doubtful, "mesh", (), 0.0, np.array(profile, float), segments)


def _circle(radius: float, thickness: float) -> list[tuple[float, float]]:
    turns = np.linspace(-np.pi / 2, 1.5 * np.pi, 25)
    return [(radius + thickness * np.cos(turn), thickness + thickness * np.sin(turn)) for turn in turns]


SOLIDS: tuple[Solid, ...] = (
    _revolved("cone", ("cylinder", "ball"), [(0, 0), (1, 0), (0, 2.2)]),
    _revolved("ring", (), _circle(0.9, 0.3)),
    Solid("egg", ("ball",), "ellipsoid", (0.8, 0.8, 1.2), 1.2),
    _revolved("pyramid", ("cube",), [(0, 0), (1.2, 0), (0, 1.7)], 4),
    Solid("capsule", ("cylinder", "ball"), "capsule", (0.6, 0.8), 1.4),
    _revolved("hourglass", ("cylinder",), [(0, 0), (0.9, 0), (0.25, 1.1), (0.9, 2.2), (0, 2.2)]),
    _revolved("mushroom", ("ball",), [(0, 0), (0.35, 0), (0.35, 1), (1.1, 1), (0.9, 1.5), (0.4, 1.8), (0, 1.85)]),
    _revolved("bottle", ("cylinder",), [(0, 0), (0.7, 0), (0.7, 1.6), (0.25, 2.1), (0.25, 2.7), (0, 2.7)]),
    _revolved("cup", ("cylinder",), [(0, 0), (0.6, 0), (0.9, 1.6), (0.8, 1.6), (0.5, 0.1), (0, 0.1)]),
    _revolved("spinning top", ("cylinder", "ball"), [(0, 0), (0.08, 0.05), (1.1, 1.0), (0.15, 1.3), (0.15, 1.9), (0, 1.9)]),
    Solid("disk", ("cylinder", "ball"), "cylinder", (1.2, 0.15), 0.15),
    _revolved("prism", ("cube", "brick", "cylinder"), [(0, 0), (1, 0), (1, 1.5), (0, 1.5)], 3),
)
"""Unseen solids; every second one develops, the others judge."""


@dataclass(frozen=True)
class PlacedSolid:
    """A solid on a table.

    Attributes:
        solid: Its form.
        color: One of `COLORS`.
        radius_m: Length that scales it, meters.
        position_base_m: Middle (3,) of its underside in the base frame, meters.
        yaw_rad: Rotation about the vertical, radians.
    """

    solid: Solid
    color: str
    radius_m: float
    position_base_m: tuple[float, float, float]
    yaw_rad: float

    @property
    def footprint_radius_m(self) -> float:
        """Radius of the circle around the footprint, meters."""
        return 1.25 * self.radius_m


def with_solids(layout: Layout, solids: list[Solid], rng: np.random.Generator, count: int) -> tuple[PlacedSolid, ...]:
    """Place up to `count` unseen solids, of trained colors, between the objects of a layout."""
    placed: list[Any] = list(layout.objects)
    for _ in range(count):
        solid, color = solids[int(rng.integers(len(solids)))], str(rng.choice(list(COLORS)))
        for _ in range(40):
            x, y = rng.uniform(-0.18, 0.18, 2)
            turn = float(rng.uniform(0, 6.3))
            item = PlacedSolid(solid, color, float(rng.uniform(0.022, 0.034)), (float(x), float(y), 0.0), turn)
            if all(apart(item, other, 0.012) for other in placed):  # type: ignore[arg-type]
                placed.append(item)
                break
    return tuple(placed[len(layout.objects) :])


def add_solid(spec: Any, number: int, item: PlacedSolid, rng: np.random.Generator) -> None:
    """Add a solid to a specification, as the object of a number."""
    mujoco = import_mujoco()
    name, solid, radius = f"{OBJECT_PREFIX}{number}", item.solid, item.radius_m
    x, y, _ = item.position_base_m
    rgb = np.clip(np.array(COLORS[item.color]) + rng.normal(0, 0.05, 3), 0.02, 1.0)
    shared = {
        "name": name,
        "pos": [x, y, solid.height * radius],
        "quat": [np.cos(item.yaw_rad / 2), 0, 0, np.sin(item.yaw_rad / 2)],
        "rgba": [*rgb, 1.0],
    }
    if solid.profile is None:
        geom = mujoco.mjtGeom
        kinds = {"ellipsoid": geom.mjGEOM_ELLIPSOID, "capsule": geom.mjGEOM_CAPSULE, "cylinder": geom.mjGEOM_CYLINDER}
        size = [radius * value for value in solid.size]
        spec.worldbody.add_geom(type=kinds[solid.kind], size=[*size, *[0.0] * (3 - len(size))], **shared)
        return
    vertices, faces = lathe(solid.profile * radius, solid.segments)
    mesh = spec.add_mesh(name=f"{name}_mesh", inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
    mesh.uservert, mesh.userface = vertices.astype(np.float32).ravel(), faces.astype(np.int32).ravel()
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=mesh.name, **shared)
