"""Random tabletops: objects, table, light and camera."""

from dataclasses import dataclass

import numpy as np

from molmo_point.sim.arm.containers import Container
from molmo_point.sim.camera_pose import CameraPose
from molmo_point.sim.tabletop.objects import COLORS, SHAPES, SceneObject, random_object
from molmo_point.sim.toys.placed_toy import PlacedToy

_CLEARANCE_M = 0.015


@dataclass(frozen=True)
class Layout:
    """All random properties of a scene.

    Attributes:
        objects: The solids and toys on the table.
        camera: Pose of the camera.
        table_rgb: The two colors of the table, each (3,) linear RGB in [0, 1].
        table_pattern: "flat", "checker" or "gradient".
        wall_rgb: Color (3,) of floor and walls, linear RGB in [0, 1].
        light_position_m: Position (3,) of the lamp, base frame, meters.
        light_diffuse: Intensity of the lamp in [0, 1].
        light_ambient: Intensity of the ambient light in [0, 1].
        containers: Containers on the table; only the scene of the simulated arm has them.
    """

    objects: tuple[SceneObject | PlacedToy, ...]
    camera: CameraPose
    table_rgb: tuple[tuple[float, float, float], tuple[float, float, float]]
    table_pattern: str
    wall_rgb: tuple[float, float, float]
    light_position_m: tuple[float, float, float]
    light_diffuse: float
    light_ambient: float
    containers: tuple[Container, ...] = ()


def random_layout(rng: np.random.Generator, object_count: int | None = None) -> Layout:
    """Draw a tabletop of 1 to 7 objects that do not touch.

    Args:
        rng: Source of all randomness.
        object_count: Number of objects; None draws it.

    Returns:
        The layout, with fewer objects than asked for if the table is full.
    """
    wanted = int(rng.integers(1, 8)) if object_count is None else object_count
    base = rng.uniform(0.25, 0.75, 3) * rng.uniform(0.5, 1.1)
    tint = np.clip(0.5 * base + 0.5 * base.mean(), 0.08, 0.85)
    second = np.clip(tint * rng.uniform(0.75, 1.2), 0.05, 0.9)
    wall = np.clip(rng.uniform(0.3, 0.9) + rng.normal(0, 0.05, 3), 0.1, 0.95)
    angle = rng.uniform(0, 2 * np.pi)
    lean = rng.uniform(0.1, 0.9)
    return Layout(
        objects=_place(rng, wanted),
        camera=random_camera(rng),
        table_rgb=(_rgb(tint), _rgb(second)),
        table_pattern=str(rng.choice(["flat", "checker", "gradient"], p=[0.5, 0.2, 0.3])),
        wall_rgb=_rgb(wall),
        light_position_m=(float(lean * np.cos(angle)), float(lean * np.sin(angle)), 1.6),
        light_diffuse=float(rng.uniform(0.45, 0.85)),
        light_ambient=float(rng.uniform(0.25, 0.5)),
    )


def _rgb(values: np.ndarray) -> tuple[float, float, float]:
    return (float(values[0]), float(values[1]), float(values[2]))


def random_camera(rng: np.random.Generator) -> CameraPose:
    """Draw a camera 0.42 to 0.78 m from the middle of the table that looks 32° to 80° down."""
    distance = rng.uniform(0.42, 0.78)
    elevation = np.deg2rad(rng.uniform(32, 80))
    azimuth = rng.uniform(0, 2 * np.pi)
    target = np.array([*rng.uniform(-0.05, 0.05, 2), 0.02])
    direction = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    eye = target + distance * direction
    return CameraPose(eye_m=_rgb(eye), look_at_m=_rgb(target), fov_y_deg=float(rng.uniform(40.0, 56.0)))


def _place(rng: np.random.Generator, wanted: int) -> tuple[SceneObject, ...]:
    spread = rng.uniform(0.12, 0.19)
    placed: list[SceneObject] = []
    for _ in range(wanted):
        if placed and rng.random() < 0.35:
            # Repeat a shape or a color, so that "all the cubes" and counting have work to do.
            like = placed[int(rng.integers(len(placed)))]
            shape = like.shape if rng.random() < 0.7 else str(rng.choice(SHAPES))
            color = like.color if rng.random() < 0.5 else str(rng.choice(list(COLORS)))
        else:
            shape, color = str(rng.choice(SHAPES)), str(rng.choice(list(COLORS)))
        for _attempt in range(30):
            xy = rng.uniform(-spread, spread, 2)
            candidate = random_object(rng, shape, color, (float(xy[0]), float(xy[1])))
            if all(apart(candidate, other, _CLEARANCE_M) for other in placed):
                placed.append(candidate)
                break
    return tuple(placed)


def apart(a: SceneObject | PlacedToy | Container, b: SceneObject | PlacedToy | Container, gap_m: float) -> bool:
    """True if the circles around two objects are more than a gap apart, meters."""
    away = np.hypot(a.position_base_m[0] - b.position_base_m[0], a.position_base_m[1] - b.position_base_m[1])
    return bool(away > a.footprint_radius_m + b.footprint_radius_m + gap_m)
