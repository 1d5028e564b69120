"""Random tabletops of household objects, those for training and those that only evaluation sees."""

import numpy as np

from lab.household.arrangement import MAX_OBJECTS, SIZES, Arrangement, Light, Panel, PlacedAsset
from lab.household.asset_pack import Asset, is_held_out
from lab.household.colors import PAINTS
from lab.household.surfaces import SURFACE_COUNT
from molmo_point.sim.camera_pose import CameraPose

_GAP_M = 0.012


def random_arrangement(
    rng: np.random.Generator, assets: list[Asset], held_out: bool = False, object_count: int | None = None, aspect: float = 4 / 3
) -> Arrangement:
    """Draw a tabletop.

    Args:
        rng: Source of all randomness.
        assets: Objects to draw from; a training scene leaves the held-out ones alone.
        held_out: Whether to draw an evaluation scene: held-out objects are among the others, and tables, lights and
            cameras are such as no training scene has.
        object_count: Number of objects; None draws 1 to 12.
        aspect: Width over height of the picture.
    """
    pool = [asset for asset in assets if held_out or not asset.held_out]
    wanted = int(rng.integers(1, MAX_OBJECTS + 1)) if object_count is None else object_count
    objects = _placed(rng, _chosen(rng, pool, wanted))
    reach = max([0.12, *(float(np.hypot(*item.xy_m)) for item in objects)])
    half = (float(reach + rng.uniform(0.12, 0.6)), float(reach + rng.uniform(0.12, 0.6)), 0.02)
    table = Panel(half, (0.0, 0.0, -half[2]), 0.0, _surface(rng, held_out), _tint(rng))
    return Arrangement(
        objects=objects,
        table=table,
        floor=(_surface(rng, held_out), _tint(rng)),
        panels=(*_sheets(rng, reach, held_out), *_furniture(rng, max(half[:2]), held_out)),
        room_m=float(rng.uniform(1.6, 3.0)),
        lights=_lights(rng, held_out),
        ambient=float(rng.uniform(0.15, 0.42)),
        camera=arrangement_camera(rng, objects, held_out, aspect),
    )


def arrangement_camera(
    rng: np.random.Generator, objects: tuple[PlacedAsset, ...], held_out: bool = False, aspect: float = 4 / 3
) -> CameraPose:
    """Draw a camera 0.3 to 1.2 m away, looking 20° to 88° down, 40° to 75° wide; the objects fill much of its picture.

    Cameras fall into 40 sectors of turn and height; one in five sectors is seen in evaluation only.
    """
    places = np.array([item.xy_m for item in objects]).reshape(-1, 2)
    pose = CameraPose((0.5, 0.0, 0.5), (0.0, 0.0, 0.0), 45.0)
    for attempt in range(200):
        chosen = places[rng.random(len(places)) < 0.7] if len(places) else places
        middle = (chosen.mean(0) if len(chosen) else np.zeros(2)) + rng.normal(0, 0.03, 2)
        elevation, azimuth = np.deg2rad(rng.uniform(20, 88)), rng.uniform(0, 2 * np.pi)
        if is_held_out(f"camera {int(azimuth / (np.pi / 5))} {int(np.rad2deg(elevation) / 22)}") != held_out:
            continue
        wide = np.deg2rad(rng.uniform(40, 75))
        distance = rng.uniform(0.3, 1.2)
        spread = 2.2 * float(np.sqrt(((places - middle) ** 2).sum(1).mean())) + 0.12 if len(places) else 0.3
        if attempt < 150 and not 0.4 < spread / (2 * distance * np.tan(wide / 2)) < 1.0:
            continue
        level = np.cos(elevation)
        eye = np.array([*middle, 0.03]) + distance * np.array(
            [level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)]
        )
        fov_y = 2 * np.arctan(np.tan(wide / 2) / aspect)
        pose = CameraPose(_triple(eye), (float(middle[0]), float(middle[1]), 0.03), float(np.rad2deg(fov_y)))
        if all(_clear_of(eye, item) for item in objects):
            break
    return pose


def _clear_of(eye: np.ndarray, item: PlacedAsset) -> bool:
    away = eye - np.array(item.position_base_m)
    return bool(np.linalg.norm(away) > 0.5 * np.linalg.norm(item.size_m) + 0.08)


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    return (float(values[0]), float(values[1]), float(values[2]))


def _chosen(rng: np.random.Generator, pool: list[Asset], count: int) -> list[tuple[Asset, str | None]]:
    """Choose an object for the table, with its paint; objects like those already there come up often."""
    formula = [asset for asset in pool if asset.key.startswith("formula:")]
    bought = [asset for asset in pool if not asset.key.startswith("formula:")] or formula
    chosen: list[tuple[Asset, str | None]] = []
    alike = rng.uniform(0.15, 0.75)
    for _ in range(count):
        if chosen and rng.random() < alike:
            like, paint = chosen[int(rng.integers(len(chosen)))]
            how = rng.random()
            if how < 0.35:
                chosen.append((like, paint if rng.random() < 0.6 else _paint(rng, like)))
                continue
            kin = [a for a in pool if (a.noun == like.noun if how < 0.55 else a.category == like.category)]
            asset = kin[int(rng.integers(len(kin)))]
            chosen.append((asset, paint if how > 0.85 and asset.paintable and paint else _paint(rng, asset)))
            continue
        source = formula if formula and rng.random() < 0.42 else bought
        asset = source[int(rng.integers(len(source)))]
        chosen.append((asset, _paint(rng, asset)))
    return chosen


def _paint(rng: np.random.Generator, asset: Asset) -> str | None:
    share = 0.0 if not asset.paintable else 1.0 if asset.key.startswith("formula:") else 0.6
    return str(rng.choice(list(PAINTS))) if rng.random() < share else None


def _placed(rng: np.random.Generator, chosen: list[tuple[Asset, str | None]]) -> tuple[PlacedAsset, ...]:
    placed: list[PlacedAsset] = []
    crowd = rng.uniform(0.75, 1.6)
    area = sum((asset.size_m[0] + 0.02) * (asset.size_m[1] + 0.02) for asset, _ in chosen)
    for asset, paint in chosen:
        size, yaw = int(rng.integers(len(SIZES))), float(rng.uniform(0, 2 * np.pi))
        rgb = np.clip(np.array(PAINTS[paint or "grey"]) * rng.uniform(0.88, 1.1) + rng.normal(0, 0.02, 3), 0.02, 0.98)
        for attempt in range(40):
            reach = crowd * np.sqrt(area) * (0.55 + 0.02 * attempt)
            radius, angle = reach * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
            xy = (float(radius * np.cos(angle)), float(radius * np.sin(angle)))
            item = PlacedAsset(asset, size, xy, yaw, paint, _triple(rgb))
            if all(apart(item, other) for other in placed):
                placed.append(item)
                break
    return tuple(placed)


def apart(a: PlacedAsset, b: PlacedAsset) -> bool:
    """Return True if the footprints (turned rectangles) of two objects leave a gap between them."""
    gap = np.array(b.xy_m) - np.array(a.xy_m)
    axes = [np.array([np.cos(t), np.sin(t)]) for item in (a, b) for t in (item.yaw_rad, item.yaw_rad + np.pi / 2)]
    return any(abs(gap @ axis) > _extent(a, axis) + _extent(b, axis) + _GAP_M for axis in axes)


def _extent(item: PlacedAsset, axis: np.ndarray) -> float:
    c, s = np.cos(item.yaw_rad), np.sin(item.yaw_rad)
    width, depth, _ = item.size_m
    return float(0.5 * (width * abs(axis @ [c, s]) + depth * abs(axis @ [-s, c])))


def _surface(rng: np.random.Generator, held_out: bool) -> int:
    numbers = [k for k in range(SURFACE_COUNT) if is_held_out(f"surface {k}") == held_out]
    return int(rng.choice(numbers))


def _tint(rng: np.random.Generator) -> tuple[float, float, float]:
    return _triple(np.clip(rng.uniform(0.6, 1.0) + rng.normal(0, 0.12, 3), 0.3, 1.0))


def _sheets(rng: np.random.Generator, reach: float, held_out: bool) -> list[Panel]:
    """Draw flat objects under the others: paper, a place mat."""
    sheets = []
    for level in range(int(rng.choice(3, p=[0.55, 0.3, 0.15]))):
        half = (float(rng.uniform(0.05, 0.2)), float(rng.uniform(0.05, 0.2)), 0.0004)
        xy = rng.uniform(-reach, reach, 2)
        middle = (float(xy[0]), float(xy[1]), 0.0005 * (level + 1))
        sheets.append(Panel(half, middle, float(rng.uniform(0, 3.14)), _surface(rng, held_out), _tint(rng)))
    return sheets


def _furniture(rng: np.random.Generator, table_m: float, held_out: bool) -> list[Panel]:
    pieces = []
    for _ in range(int(rng.integers(0, 5))):
        half = rng.uniform([0.1, 0.1, 0.15], [0.5, 0.5, 0.6])
        angle, away = rng.uniform(0, 2 * np.pi), table_m * 1.45 + 0.7 + rng.uniform(0, 0.6)
        middle = (float(away * np.cos(angle)), float(away * np.sin(angle)), float(half[2] - 0.75))
        pieces.append(Panel(_triple(half), middle, float(rng.uniform(0, 3.14)), _surface(rng, held_out), _tint(rng)))
    return pieces


def _lights(rng: np.random.Generator, held_out: bool) -> tuple[Light, ...]:
    """Draw a key light with shadows and up to two others; evaluation has directions that training has not."""
    lights = []
    for index in range(int(rng.integers(1, 4))):
        while True:
            angle = rng.uniform(0, 2 * np.pi)
            if index or is_held_out(f"light {int(angle / (np.pi / 10))}") == held_out:
                break
        lean, warm = rng.uniform(0.1, 1.3), rng.uniform(-0.08, 0.08)
        strength = rng.uniform(0.35, 0.68) if index == 0 else rng.uniform(0.04, 0.2)
        position = (float(lean * np.cos(angle)), float(lean * np.sin(angle)), float(rng.uniform(1.1, 1.9)))
        rgb = np.clip(strength * np.array([1 + warm, 1.0, 1 - warm]), 0, 1)
        lights.append(Light(position, _triple(rgb), index == 0 and bool(rng.random() < 0.9)))
    return tuple(lights)
