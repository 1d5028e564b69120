"""Containers: bowls, plates, trays and open boxes, with walls and a floor that carry objects.

The visible shape is a revolved mesh, or boards. The touchable shape is made of boxes, so that objects lie inside.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray, IntArray
from molmo_point.errors import InputError
from molmo_point.sim.mujoco_import import import_mujoco
from molmo_point.sim.tabletop.objects import COLORS

BOWL_MM = "0 0, 35 0, 36 6, 60 22, 74 50, 76 62, 74 63, 70 50, 56 26, 32 11, 0 10"
PLATE_MM = "0 0, 60 0, 68 4, 105 18, 106 20, 104 20, 66 7, 0 5"
"""Profiles of round containers, as `profile_m` reads them."""
CONTAINER_PREFIX = "container_"
SECTORS = 20
"""Number of boxes around a round wall."""
_FRICTION = (0.6, 0.005, 0.0003)
_FOOT_M = 0.0015
_TOUCHED_GROUP = 3
_COLOR_JITTER = 0.04


@dataclass(frozen=True, eq=False)
class _Shape:
    """A kind of container of the usual size: lengths in meters; a profile (n, 2) to revolve and its inside, or boards."""

    rim_m: float
    floor_m: float
    opening_m: float | tuple[float, float]
    radius_m: float
    wall_m: float
    density_kg_m3: float
    profile_m: FloatArray | None = None
    inside_m: FloatArray | None = None


def _round(profile: str, wall_m: float, scale: float) -> _Shape:
    outline = profile_m(profile) * scale
    inside = outline[int(np.argmax(outline[:, 1])) :]
    (opening, rim), floor, widest = inside[0].tolist(), float(inside[-1, 1]), float(outline[:, 0].max())
    return _Shape(rim, floor, opening, widest, wall_m, 2000.0, outline, inside)


def _boards(half_m: tuple[float, float], height_m: float, wall_m: float) -> _Shape:
    return _Shape(height_m, wall_m, half_m, math.hypot(*(side + wall_m for side in half_m)), wall_m, 600.0)


def profile_m(text: str) -> FloatArray:
    """Read a profile (n, 2) in meters from ``"radius height, radius height, …"`` in millimeters."""
    return np.array([[float(v) for v in pair.split()] for pair in text.split(",")]) / 1000


_KINDS: dict[str, _Shape] = {
    "bowl": _round(BOWL_MM, 0.005, 1.0),
    "plate": _round(PLATE_MM, 0.0025, 0.85),
    "tray": _boards((0.085, 0.065), 0.030, 0.005),
    "box": _boards((0.070, 0.055), 0.060, 0.004),
}
CONTAINERS: tuple[str, ...] = tuple(_KINDS)
"""Names of the kinds, as people say them."""


@dataclass(frozen=True)
class Container:
    """One container standing on the table, open at the top.

    Attributes:
        kind: One of `CONTAINERS`.
        color: A key of `COLORS`.
        scale: Factor on its size.
        position_base_m: (3,) middle of its underside, meters, base frame.
        yaw_rad: Rotation about the vertical, radians.
        rgb: (3,) exact color, in [0, 1].

    Raises:
        InputError: If the kind is unknown, or the scale is not above zero.
    """

    kind: str
    color: str
    scale: float
    position_base_m: tuple[float, float, float]
    yaw_rad: float
    rgb: tuple[float, float, float]

    def __post_init__(self) -> None:
        known_kinds((self.kind,))
        if not 0 < self.scale < np.inf:
            raise InputError("scale must be above zero", f"scale={self.scale}", "give 1 for the usual size")

    @property
    def name(self) -> str:
        """Name in words, such as ``"white bowl"``."""
        return f"{self.color} {self.kind}"

    @property
    def rim_m(self) -> float:
        """Height of the rim above the underside, meters."""
        return self.scale * _KINDS[self.kind].rim_m

    @property
    def floor_m(self) -> float:
        """Height of the floor inside above the underside, meters."""
        return self.scale * _KINDS[self.kind].floor_m

    @property
    def footprint_radius_m(self) -> float:
        """Radius of the circle around it, seen from above, meters."""
        return self.scale * _KINDS[self.kind].radius_m

    def over_opening(self, xy_m: FloatArray) -> bool:
        """True if a position (2,) in its own frame is over the opening."""
        opening = _KINDS[self.kind].opening_m
        if isinstance(opening, tuple):
            return bool(np.all(np.abs(xy_m) < self.scale * np.array(opening)))
        return bool(np.hypot(*xy_m) < self.scale * opening)


def known_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """Check kinds and return them.

    Raises:
        InputError: If one is not in `CONTAINERS`.
    """
    for kind in kinds:
        if kind not in _KINDS:
            raise InputError("kind must be a container", repr(kind), f"use {', '.join(CONTAINERS)}")
    return tuple(kinds)


def kinds_in(text: str) -> tuple[str, ...]:
    """Read kinds of containers from a text with commas or blanks between them; errors as `known_kinds`."""
    return known_kinds(text.replace(",", " ").split())


def random_container(rng: np.random.Generator, kind: str, xy_m: tuple[float, float]) -> Container:
    """Draw size, rotation and color of a container at ``xy_m`` (base frame, meters)."""
    color = str(rng.choice(list(COLORS)))
    red, green, blue = np.clip(np.array(COLORS[color]) + rng.normal(0.0, _COLOR_JITTER, 3), 0.02, 1.0)
    rgb = (float(red), float(green), float(blue))
    return Container(kind, color, float(rng.uniform(0.92, 1.08)), (*xy_m, 0.0), float(rng.uniform(0.0, 2 * np.pi)), rgb)


def add_container(spec: Any, item: Container, name: str) -> None:
    """Add a container to an ``MjSpec`` as a free body.

    Args:
        spec: Specification of the world.
        item: The container.
        name: Name of the body and its joint; prefix of its geoms' names.
    """
    mujoco, shape = import_mujoco(), _KINDS[item.kind]
    body = spec.worldbody.add_body(name=name, pos=list(item.position_base_m), quat=list(_about_z(item.yaw_rad)))
    body.add_freejoint(name=name)
    if shape.profile_m is None:
        for number, (middle, half) in enumerate(_board_boxes(shape, item.scale)):
            # The first board has the name that a segmentation looks for.
            label = f"{name}_seen" if number == 0 else f"{name}_board_{number}"
            body.add_geom(
                name=label, type=mujoco.mjtGeom.mjGEOM_BOX, pos=list(middle), size=list(half), rgba=[*item.rgb, 1.0],
                density=shape.density_kg_m3, friction=list(_FRICTION), condim=4,
            )  # fmt: skip
        return
    vertices, faces = lathe(shape.profile_m * item.scale, 48)
    mesh = spec.add_mesh(name=f"{name}_mesh", inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_EXACT)
    mesh.uservert, mesh.userface = vertices.astype(np.float32).ravel(), faces.astype(np.int32).ravel()
    # The mesh is visible and has the weight; the boxes below carry.
    body.add_geom(
        name=f"{name}_seen", type=mujoco.mjtGeom.mjGEOM_MESH, meshname=f"{name}_mesh", rgba=[*item.rgb, 1.0],
        density=shape.density_kg_m3, contype=0, conaffinity=0,
    )  # fmt: skip
    for number, (middle, half, quat) in enumerate(_round_boxes(shape, item.scale)):
        body.add_geom(
            name=f"{name}_wall_{number}", type=mujoco.mjtGeom.mjGEOM_BOX, pos=list(middle), size=list(half), quat=list(quat),
            mass=0.0, group=_TOUCHED_GROUP, rgba=[*item.rgb, 0.3], friction=list(_FRICTION), condim=4,
        )  # fmt: skip


def _board_boxes(shape: _Shape, scale: float) -> list[tuple[FloatArray, FloatArray]]:
    """Middle and half extents (3,) of the floor and the four sides."""
    (a, b), wall, height = (scale * np.array(shape.opening_m)), scale * shape.wall_m, scale * shape.rim_m
    boards = [(np.array([0, 0, 0.5 * wall]), np.array([a + wall, b + wall, 0.5 * wall]))]
    up, half = 0.5 * (height + wall), 0.5 * (height - wall)
    for sign in (-1.0, 1.0):
        boards.append((np.array([sign * (a + 0.5 * wall), 0, up]), np.array([0.5 * wall, b + wall, half])))
        boards.append((np.array([0, sign * (b + 0.5 * wall), up]), np.array([a, 0.5 * wall, half])))
    return boards


def _round_boxes(shape: _Shape, scale: float) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    """Middle, half extents (3,) and quaternion (4,) of the boxes of a foot, a floor and a wall."""
    assert shape.inside_m is not None
    inner, wall = shape.inside_m * scale, scale * shape.wall_m
    radius, floor = float(inner[-2, 0]), float(inner[-1, 1])
    side = 0.7 * radius
    boxes = [(np.array([0, 0, 0.5 * floor]), np.array([side, side, 0.5 * floor]), np.array([1.0, 0, 0, 0]))]
    thick = 0.5 * (floor - _FOOT_M)
    for turn in np.arange(4) * np.pi / 4:
        # Four boxes through the middle are an octagon; the foot alone touches the table.
        half = np.array([radius, radius * np.tan(np.pi / 8), thick])
        boxes.append((np.array([0, 0, _FOOT_M + thick]), half, _about_z(turn)))
    for (r_top, z_top), (r_low, z_low) in pairwise(inner[:-1]):
        along = np.array([r_top - r_low, z_top - z_low])
        length = float(np.linalg.norm(along))
        lean = float(np.arctan2(along[1], along[0]))
        out = np.array([along[1], -along[0]]) / length
        r, z = 0.5 * np.array([r_top + r_low, z_top + z_low]) + 0.5 * wall * out
        half = np.array([0.5 * length, r_top * np.tan(np.pi / SECTORS), 0.5 * wall])
        for angle in np.arange(SECTORS) * 2 * np.pi / SECTORS:
            turn = np.outer([np.cos(lean / 2), np.sin(lean / 2)], [np.cos(angle / 2), np.sin(angle / 2)])
            place = np.array([r * np.cos(angle), r * np.sin(angle), z])
            boxes.append((place, half, np.array([turn[0, 0], turn[1, 1], -turn[1, 0], turn[0, 1]])))
    return boxes


def _about_z(angle: float) -> FloatArray:
    return np.array([np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)])


def lathe(profile: FloatArray, segments: int = 24) -> tuple[FloatArray, IntArray]:
    """Revolve a profile about the z axis.

    Args:
        profile: (n, 2) radius and height, meters; it closes where the radius is 0.
        segments: Around the axis.

    Returns:
        Vertices (m, 3) and faces (k, 3), facing outwards for a profile that runs from bottom to top outside.
    """
    angle = np.arange(segments) * 2 * np.pi / segments
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    vertices = np.concatenate([np.c_[r * ring, np.full(segments, z)] for r, z in profile])
    faces = []
    for k in range(len(profile) - 1):
        a = k * segments + np.arange(segments)
        b = k * segments + (np.arange(segments) + 1) % segments
        if profile[k, 0] > 0:
            faces.append(np.stack([a, b, b + segments], 1))
        if profile[k + 1, 0] > 0:
            faces.append(np.stack([a, b + segments, a + segments], 1))
    return vertices, np.concatenate(faces)
