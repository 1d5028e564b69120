"""Real RGB-D frames as scenes that a virtual camera can look at from other poses.

A frame is taken as a surface in space and rendered by reprojection, with its own texture and its own holes in the depth.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.errors import InputError
from molmo_point.frame import decode_depth
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.tracking.tracked_view import import_cv2

WIDTH, HEIGHT = 640, 480
BORDER = 240
"""Mirrored pixels on every side of a real frame, for a camera that turns away."""
_ROLL = (211, 137)
_BEHIND_M = 0.03
_STRIDE = 2


@dataclass(frozen=True, eq=False)
class Surface:
    """One textured surface.

    Attributes:
        color: (h, w, 3) RGB with the mirrored border.
        hidden_color: (h, w, 3) texture of surfaces behind this one.
        depth_m: (h, w) depth without holes, meters.
        measured: (h, w) 1 where the real camera measured a depth.
        points: (n, 3) samples of the surface in the optical frame of the real camera.
    """

    color: np.ndarray
    hidden_color: np.ndarray
    depth_m: np.ndarray
    measured: np.ndarray
    points: np.ndarray


@dataclass(frozen=True, eq=False)
class Picture:
    """A rendered surface: color (h, w, 3), depth (h, w) with inf where nothing is, and 1 where it can be measured."""

    color: np.ndarray
    depth_m: np.ndarray
    measured: np.ndarray


@dataclass(frozen=True, eq=False)
class RealView:
    """A real frame at 640x480.

    Attributes:
        name: Folder of the frame.
        surface: Its surface.
        intrinsics: Intrinsics of the real camera, and of the virtual one.
        chosen: (n, 2) pixels of points that were chosen by hand.
    """

    name: str
    surface: Surface
    intrinsics: Intrinsics
    chosen: np.ndarray


def real_views(folder: Path) -> list[RealView]:
    """Load all frames with plausible depth.

    Raises:
        InputError: The folder is not there.
    """
    if not (folder / "rgbd").is_dir():
        raise InputError("folder must hold rgbd/ and views/ with real frames", str(folder), "give the folder of the real frames")
    names = [f for f in sorted((folder / "rgbd").iterdir()) if not f.name.startswith("glass") or f.name.endswith("opaque")]
    views = [_load(f.name, f / "color.jpg", f / "depth.png", f / "intrinsics.json", f / "points.json") for f in names]
    room = folder / "views" / "room"
    for number in range(1, 6):
        files = room / f"color_{number}.jpg", room / f"depth_{number}.png", room / "intrinsics.json"
        views.append(_load(f"room {number}", *files, None))
    return views


def _load(name: str, color_file: Path, depth_file: Path, intrinsics_file: Path, points_file: Path | None) -> RealView:
    cv2: Any = import_cv2()
    color = np.ascontiguousarray(cv2.imread(str(color_file))[..., ::-1])
    points = {} if points_file is None else json.loads(points_file.read_text())
    depth_m = decode_depth(cv2.imread(str(depth_file), cv2.IMREAD_UNCHANGED), scale_m=points.get("depth_scale_m", 0.001))
    k = json.loads(intrinsics_file.read_text())
    chosen = np.array([(p["u"], p["v"]) for p in points.get("points", ())], float).reshape(-1, 2)
    scale = HEIGHT / color.shape[0]
    if scale != 1.0:
        left = round((color.shape[1] - WIDTH / scale) / 2)
        crop = slice(left, left + round(WIDTH / scale))
        color = cv2.resize(color[:, crop], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        depth_m = cv2.resize(depth_m[:, crop], (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
        chosen = (chosen - [left, 0] + 0.5) * scale - 0.5
        k["cx"], k["cy"] = (k["cx"] - left + 0.5) * scale - 0.5, (k["cy"] + 0.5) * scale - 0.5
        k["fx"], k["fy"] = k["fx"] * scale, k["fy"] * scale
    intrinsics = Intrinsics(WIDTH, HEIGHT, k["fx"], k["fy"], k["cx"], k["cy"])
    return RealView(name, surface_of(color, depth_m, intrinsics), intrinsics, chosen)


def surface_of(color: np.ndarray, depth_m: np.ndarray, intrinsics: Intrinsics) -> Surface:
    """Make a surface of a frame: holes filled from the nearest pixels, noise smoothed, borders mirrored."""
    from scipy.ndimage import distance_transform_edt

    cv2: Any = import_cv2()
    measured = np.isfinite(depth_m)
    nearest: Any = distance_transform_edt(~measured, return_distances=False, return_indices=True)
    smooth = cv2.medianBlur(cv2.medianBlur(depth_m[tuple(nearest)].astype(np.float32), 5), 5)
    for _ in range(3):
        smooth = cv2.bilateralFilter(smooth, 9, 0.02 * float(np.median(smooth)), 4.0)
    around = (BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REFLECT)
    color, smooth = cv2.copyMakeBorder(color, *around), cv2.copyMakeBorder(smooth, *around)
    measured = cv2.copyMakeBorder(measured.astype(np.uint8), *around)
    points = samples_of(smooth, np.ones(smooth.shape, bool), intrinsics)
    return Surface(color, np.roll(color, _ROLL, axis=(0, 1)), smooth, measured, points)


def samples_of(depth_m: np.ndarray, mask: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """Points (n, 3) of every second masked pixel of a depth image with its border."""
    rows, columns = np.mgrid[0 : depth_m.shape[0] : _STRIDE, 0 : depth_m.shape[1] : _STRIDE]
    chosen = mask[rows, columns]
    rows, columns = rows[chosen], columns[chosen]
    z = depth_m[rows, columns].astype(np.float32)
    x = (columns - BORDER - intrinsics.cx) / intrinsics.fx * z
    y = (rows - BORDER - intrinsics.cy) / intrinsics.fy * z
    return np.stack([x, y, z], axis=1).astype(np.float32)


def render(
    surface: Surface, intrinsics: Intrinsics, rotation: np.ndarray, shift_m: np.ndarray, mask: np.ndarray | None
) -> Picture:
    """Render a surface from another pose: a point p of the real camera's frame is at `rotation @ p + shift_m`.

    `mask` (h, w) restricts the surface.
    """
    cv2: Any = import_cv2()
    depth_m = _splat(surface.points @ rotation.T.astype(np.float32) + shift_m.astype(np.float32), intrinsics, fill=mask is None)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    ray_x, ray_y = (columns - intrinsics.cx) / intrinsics.fx, (rows - intrinsics.cy) / intrinsics.fy
    here, source, map_u, map_v = depth_m, depth_m, columns, rows
    for _ in range(2):
        known = np.where(np.isfinite(here), here, 100.0).astype(np.float32)
        moved = [axis - offset for axis, offset in zip((ray_x * known, ray_y * known, known), shift_m, strict=True)]
        x, y, source = (sum(rotation[k, n] * moved[k] for k in range(3)) for n in range(3))
        map_u = (x / source * intrinsics.fx + intrinsics.cx + BORDER).astype(np.float32)
        map_v = (y / source * intrinsics.fy + intrinsics.cy + BORDER).astype(np.float32)
        there = cv2.remap(surface.depth_m, map_u, map_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        off = there - source
        here = np.where(np.abs(off) < 0.02 * source, known + off * rotation[2, 2], here)
    color = cv2.remap(surface.color, map_u, map_v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    hidden = off < -_BEHIND_M
    behind = cv2.remap(surface.hidden_color, map_u, map_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    color = np.where(hidden[..., None], behind, color)
    measured = cv2.remap(surface.measured, map_u, map_v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)
    measured = np.where(hidden, 0, measured)
    if mask is not None:
        inside = cv2.remap(mask.astype(np.uint8), map_u, map_v, cv2.INTER_NEAREST, borderValue=0)
        here = np.where((inside > 0) & ~hidden, here, np.inf)
    return Picture(color, here, measured)


def _splat(points: np.ndarray, intrinsics: Intrinsics, fill: bool) -> np.ndarray:
    """Depth (h, w) of the nearest points, with the gaps between them closed; inf where nothing is.

    `fill` continues the farther surface behind a nearer one.
    """
    cv2: Any = import_cv2()
    z = points[:, 2]
    points = points[z > 0.05]
    z = points[:, 2]
    columns = np.rint((points[:, 0] / z * intrinsics.fx + intrinsics.cx) / _STRIDE).astype(np.int32)
    rows = np.rint((points[:, 1] / z * intrinsics.fy + intrinsics.cy) / _STRIDE).astype(np.int32)
    width, height = WIDTH // _STRIDE, HEIGHT // _STRIDE
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    z, cells = z[inside], rows[inside] * width + columns[inside]
    order = np.argsort(-z)
    near = np.full(width * height, 1e3, np.float32)
    near[cells[order]] = z[order]
    closed = cv2.morphologyEx(near.reshape(height, width), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    for _ in range(40 if fill else 0):
        empty = closed > 900.0
        if not empty.any():
            break
        closed = np.where(empty, cv2.dilate(np.where(empty, 0.0, closed).astype(np.float32), np.ones((3, 3), np.uint8)), closed)
        closed[closed <= 0.0] = 1e3
    full = cv2.resize(closed, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    full = cv2.medianBlur(full, 3)
    return np.where(full < 900.0, full, np.inf).astype(np.float32)
