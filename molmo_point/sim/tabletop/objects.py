"""Colored solids of the simulated table: names, sizes, colors.

One object is one MuJoCo geom, so that a segmentation render gives its mask directly.
"""

import math
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.sim.toys.placed_toy import PlacedToy

SHAPES: tuple[str, ...] = ("cube", "ball", "cylinder", "brick")
"""Names of the shapes, as a person would say them."""

COLORS: dict[str, tuple[float, float, float]] = {
    "red": (0.80, 0.06, 0.06),
    "orange": (0.95, 0.42, 0.03),
    "yellow": (0.93, 0.82, 0.08),
    "green": (0.08, 0.52, 0.14),
    "blue": (0.07, 0.18, 0.78),
    "purple": (0.42, 0.09, 0.58),
    "white": (0.93, 0.93, 0.92),
    "black": (0.05, 0.05, 0.06),
}
"""Mean color of each name, linear RGB in [0, 1]; the colors of objects vary around it."""

_COLOR_JITTER = 0.05


@dataclass(frozen=True)
class SceneObject:
    """One solid resting on the table.

    Attributes:
        shape: One of `SHAPES`.
        color: A key of `COLORS`.
        half_size_m: Half extents (3,) along the object's own axes, meters.
        position_base_m: Center (3,) in the base frame (z up, table top at z = 0), meters.
        yaw_rad: Rotation about the vertical, radians.
        rgb: Rendered color (3,), linear RGB in [0, 1].
    """

    shape: str
    color: str
    half_size_m: tuple[float, float, float]
    position_base_m: tuple[float, float, float]
    yaw_rad: float
    rgb: tuple[float, float, float]

    @property
    def name(self) -> str:
        """Everyday name, e.g. ``"red cube"``."""
        return f"{self.color} {self.shape}"

    @property
    def width_m(self) -> float:
        """Narrowest horizontal distance of two opposite sides, meters: the opening that a gripper needs."""
        return 2.0 * min(self.half_size_m[:2])

    @property
    def footprint_radius_m(self) -> float:
        """Radius of the circle around the footprint, meters."""
        return float(np.hypot(self.half_size_m[0], self.half_size_m[1]))

    def geom_xml(self, geom_name: str) -> str:
        """MJCF geom of this object."""
        a, b, c = self.half_size_m
        kind, size = {
            "cube": ("box", f"{a} {b} {c}"),
            "brick": ("box", f"{a} {b} {c}"),
            "ball": ("sphere", f"{a}"),
            "cylinder": ("cylinder", f"{a} {c}"),
        }[self.shape]
        x, y, z = self.position_base_m
        quat = f"{np.cos(self.yaw_rad / 2)} 0 0 {np.sin(self.yaw_rad / 2)}"
        r, g, b_ = self.rgb
        return f'<geom name="{geom_name}" type="{kind}" size="{size}" pos="{x} {y} {z}" quat="{quat}" rgba="{r} {g} {b_} 1"/>'


def random_object(rng: np.random.Generator, shape: str, color: str, xy_m: tuple[float, float]) -> SceneObject:
    """Draw size, yaw and shade of one object that stands at ``xy_m`` (base frame, meters)."""
    r = float(rng.uniform(0.020, 0.038))
    half = {
        "cube": (r, r, r),
        "ball": (r, r, r),
        "cylinder": (0.8 * r, 0.8 * r, float(rng.uniform(1.3, 1.9)) * r),
        "brick": (float(rng.uniform(1.7, 2.2)) * r, 0.8 * r, 0.6 * r),
    }[shape]
    rgb = np.clip(np.array(COLORS[color]) + rng.normal(0.0, _COLOR_JITTER, 3), 0.02, 1.0)
    return SceneObject(
        shape=shape,
        color=color,
        half_size_m=half,
        position_base_m=(xy_m[0], xy_m[1], half[2]),
        yaw_rad=float(rng.uniform(0.0, 2 * np.pi)),
        rgb=(float(rgb[0]), float(rgb[1]), float(rgb[2])),
    )


def signed_distance(item: SceneObject | PlacedToy, points_m: FloatArray) -> FloatArray:
    """Distance (...) of points (..., 3), base frame, from the true surface of an object in its first pose; negative inside."""
    if isinstance(item, PlacedToy):
        return item.signed_distance(points_m)
    local = points_m - np.array(item.position_base_m)
    cosine, sine = math.cos(item.yaw_rad), math.sin(item.yaw_rad)
    x, y = local[..., 0] * cosine + local[..., 1] * sine, -local[..., 0] * sine + local[..., 1] * cosine
    half = item.half_size_m
    if item.shape == "ball":
        return np.sqrt(x**2 + y**2 + local[..., 2] ** 2) - half[0]
    if item.shape == "cylinder":
        outside = np.stack([np.hypot(x, y) - half[0], np.abs(local[..., 2]) - half[2]], axis=-1)
    else:
        outside = np.abs(np.stack([x, y, local[..., 2]], axis=-1)) - np.array(half)
    return np.linalg.norm(np.maximum(outside, 0.0), axis=-1) + np.minimum(outside.max(axis=-1), 0.0)
