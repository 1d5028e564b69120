"""The coloured solids that stand on the simulated table: names, sizes, colours.

One object is one MuJoCo geom, so that a segmentation render gives its mask directly.
"""

from dataclasses import dataclass

import numpy as np

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
"""Mean colour of each name, linear RGB in [0, 1]; objects are drawn around it."""

_COLOR_JITTER = 0.05


@dataclass(frozen=True)
class SceneObject:
    """One solid resting on the table.

    Attributes:
        shape: One of `SHAPES`.
        color: A key of `COLORS`.
        half_size_m: Half extents (3,), metres, in the object's own axes.
        position_base_m: Centre (3,), metres, base frame (z up, table top at z = 0).
        yaw_rad: Rotation about the vertical.
        rgb: The colour really used, (3,) in [0, 1].
    """

    shape: str
    color: str
    half_size_m: tuple[float, float, float]
    position_base_m: tuple[float, float, float]
    yaw_rad: float
    rgb: tuple[float, float, float]

    @property
    def name(self) -> str:
        """What a person would call it, e.g. ``"red cube"``."""
        return f"{self.color} {self.shape}"

    @property
    def footprint_radius_m(self) -> float:
        """Radius of the circle around the footprint, metres."""
        return float(np.hypot(self.half_size_m[0], self.half_size_m[1]))

    def geom_xml(self, geom_name: str) -> str:
        """The MJCF geom of this object."""
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
    """Draws size, turn and shade of one object standing at ``xy_m`` (base frame, metres)."""
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
