"""Truth of a rendered scene as plain data: enough to ask any question about it later."""

from typing import Any

import numpy as np

from lab.household.arrangement import SIZES, Arrangement, PlacedAsset
from lab.household.asset_pack import Asset
from lab.household.stage import Stage

_DIRECTIONS = 96


def scene_truth(arrangement: Arrangement, stage: Stage, masks: np.ndarray) -> dict[str, Any]:
    """Return camera and objects of the scene that ``stage`` shows.

    Args:
        arrangement: The scene.
        stage: The stage that shows it.
        masks: (h, w) instance mask of the view.

    Returns:
        ``camera``: ``fx fy cx cy`` pixels, ``base_T_camera`` 4×4. ``objects``, one row each: ``key``, ``size_m``
        (3,), ``colors`` and ``maybe_colors`` words, ``position_m`` (3,) base frame, ``yaw_rad``, ``depth_m`` of its
        middle along the optical axis, ``edge_m`` distance to the nearest table edge, ``pixels`` seen, ``hull_pixels``
        area of its convex outline, hidden parts and parts outside the picture included.
    """
    counts = np.bincount(masks.ravel().astype(int) + 1, minlength=len(stage.objects) + 1)[1:]
    camera_T_base = stage.base_T_camera.inverse()
    half_x, half_y, _ = arrangement.table.half_m
    rows = []
    for item, pixels in zip(stage.objects, counts, strict=True):
        middle = camera_T_base.apply(np.array(item.position_base_m), frame="base")
        certain, maybe = item.colors
        rows.append(
            {
                "key": item.asset.key,
                "size_m": [round(side, 4) for side in item.size_m],
                "colors": certain,
                "maybe_colors": maybe,
                "position_m": [round(v, 4) for v in item.position_base_m],
                "yaw_rad": round(item.yaw_rad, 4),
                "depth_m": round(float(middle[2]), 4),
                "edge_m": round(float(min(half_x - abs(item.xy_m[0]), half_y - abs(item.xy_m[1]))), 4),
                "pixels": int(pixels),
                "hull_pixels": round(_hull_pixels(item, stage)),
            }
        )
    k = stage.intrinsics
    camera = {"fx": k.fx, "fy": k.fy, "cx": k.cx, "cy": k.cy, "base_T_camera": stage.base_T_camera.matrix.round(6).tolist()}
    return {"camera": camera, "objects": rows}


def thing_words(asset: Asset) -> dict[str, Any]:
    """Return the words for an object: ``noun``, ``nouns`` (all that fit), ``doubtful``, ``category``, ``material``."""
    return {
        "noun": asset.noun,
        "nouns": [asset.noun, *asset.other_nouns],
        "doubtful": list(asset.doubtful_nouns),
        "category": asset.category,
        "material": asset.material,
        "held_out": asset.held_out,
    }


_outlines: dict[str, np.ndarray] = {}


def _outline_points(asset: Asset) -> np.ndarray:
    """Return few of the object's vertices, those furthest out in many directions, (n, 3) meters."""
    if asset.key not in _outlines:
        points = np.concatenate([part.vertices_m for part in asset.parts]).astype(float)
        directions = np.random.default_rng(0).normal(size=(_DIRECTIONS, 3))
        _outlines[asset.key] = points[np.unique((points @ directions.T).argmax(0))]
    return _outlines[asset.key]


def _hull_pixels(item: PlacedAsset, stage: Stage) -> float:
    c, s = np.cos(item.yaw_rad), np.sin(item.yaw_rad)
    points = _outline_points(item.asset) * SIZES[item.size] @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + [*item.xy_m, 0]
    seen = stage.base_T_camera.inverse().apply(points, frame="base")
    if (seen[:, 2] < 0.02).any():
        return float("1e9")
    return hull_area(stage.intrinsics.project(seen))


def hull_area(points: np.ndarray) -> float:
    """Area of the convex hull of points (n, 2)."""
    ordered = sorted(map(tuple, points.tolist()))
    hull: list[tuple[float, ...]] = []
    for chain in (ordered, ordered[::-1]):
        part: list[tuple[float, ...]] = []
        for p in chain:
            while len(part) > 1 and _turn(part[-2], part[-1], p) <= 0:
                part.pop()
            part.append(p)
        hull += part[:-1]
    x, y = np.array(hull).T
    return float(0.5 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def _turn(a: tuple[float, ...], b: tuple[float, ...], c: tuple[float, ...]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
