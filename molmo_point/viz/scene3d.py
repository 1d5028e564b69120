"""Rendering of the point cloud from the side, with targets, error ellipsoids and a grid, in NumPy and Pillow."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.errors import FrameError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.results import Target
from molmo_point.viz.point_cloud import cloud_of, ellipsoid_surface
from molmo_point.viz.text import AMBER, GRAY, INK, PAPER, RGB, Box, Label, colors_of, draw_banner, draw_labels, font, shortened

SIGMAS = 2.0
"""Size of drawn ellipsoids, in standard deviations."""
_SUPERSAMPLE = 2
_BACKGROUND = (30, 33, 39)
_GRID = (74, 80, 90)
_AXES = ((235, 80, 80), (90, 200, 90), (90, 140, 255))


@dataclass(frozen=True)
class VirtualCamera:
    """Virtual pinhole camera in the scene.

    Attributes:
        rotation: Right, down and forward axis as rows (3, 3), in the scene's frame.
        eye: Position (3,) in the scene's frame, in meters.
        focal_px: Focal length, in pixels.
        size_wh: Width and height of the image, in pixels.
    """

    rotation: np.ndarray
    eye: np.ndarray
    focal_px: float
    size_wh: tuple[int, int]

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project points (n, 3) to pixels (n, 2) and depth (n,); pixels are NaN behind the camera."""
        local = (points - self.eye) @ self.rotation.T
        depth = local[:, 2]
        safe = np.where(depth > 1e-3, depth, np.nan)
        center = (np.array(self.size_wh) - 1) / 2
        return local[:, :2] / safe[:, None] * self.focal_px + center, depth


def render_scene(
    frame: RgbdFrame,
    targets: tuple[Target, ...] = (),
    *,
    base_T_camera: Transform | None = None,
    azimuth_rad: float = 0.6,
    elevation_rad: float = 0.25,
    size_wh: tuple[int, int] = (1120, 800),
    banner: str = "",
    cautions: Sequence[str] = (),
    doubtful: Collection[int] = (),
) -> np.ndarray:
    """Render the point cloud of a frame with its targets and their ellipsoids, seen from a point next to the camera.

    Args:
        frame: Frame with depth and intrinsics.
        targets: Targets in the frame's optical frame or, with `base_T_camera`, in its target frame.
        base_T_camera: Draw in this target frame, z up, with the grid on z = 0; None draws in the optical frame.
        azimuth_rad: Rotation of the view about the vertical, from the camera's own view, in radians.
        elevation_rad: Elevation of the view above the camera's own view, in radians.
        size_wh: Width and height of the picture, in pixels.
        banner: Line of text for the top left corner.
        cautions: Cautions in a few words each, below that line; any makes the banner amber.
        doubtful: Indices of the targets under caution, drawn as outlines.

    Returns:
        (h, w, 3) uint8 RGB.

    Raises:
        InputError: If the frame has no depth or no intrinsics.
        FrameError: If a target is in neither of the two frames.
    """
    points, colors, pixel_m = cloud_of(frame)
    wanted = frame.frame if base_T_camera is None else base_T_camera.target
    targets = tuple(_in_scene(target, wanted, base_T_camera) for target in targets)
    palette = colors_of([target.label for target in targets])
    if base_T_camera is not None:
        points = base_T_camera.apply(points, frame=frame.frame)
    view = _look(points, targets, base_T_camera, azimuth_rad, elevation_rad, size_wh)
    canvas = _splat(view, points, colors, pixel_m)
    image = Image.fromarray(canvas)
    if base_T_camera is not None:
        _draw_grid(image, view, points, canvas)
    _draw_axes(image, view, wanted + (f" · ellipsoids {SIGMAS:g}σ" if targets else ""))
    for i, target in enumerate(targets):
        draw_ellipsoid(image, view, target, palette[target.label], hollow=i in doubtful)
    image = image.resize(size_wh, Image.Resampling.LANCZOS)
    _annotate(image, view, targets, palette, _banner_boxes(image, banner, cautions))
    return np.array(image)


def _in_scene(target: Target, wanted: str, base_T_camera: Transform | None) -> Target:
    if target.frame == wanted:
        return target
    if base_T_camera is not None and target.frame == base_T_camera.source:
        return target.transformed(base_T_camera)
    raise FrameError(
        "Every target must be in the scene's frame",
        given=f"target in {target.frame}, scene in {wanted}",
        fix="transform the target first, or pass base_T_camera",
    )


def _look(
    points: np.ndarray,
    targets: tuple[Target, ...],
    base_T_camera: Transform | None,
    azimuth_rad: float,
    elevation_rad: float,
    size_wh: tuple[int, int],
) -> VirtualCamera:
    """Place a camera that orbits the targets and keeps the whole near cloud in the picture."""
    origin, forward, up = np.zeros(3), np.array([0.0, 0.0, 1.0]), np.array([0.0, -1.0, 0.0])
    if base_T_camera is not None:
        origin, forward, up = base_T_camera.translation_m, base_T_camera.rotation[:, 2], np.array([0.0, 0.0, 1.0])
    center = np.median(points, axis=0) if len(points) else origin + forward
    if targets:
        center = np.mean([target.position_m for target in targets], axis=0)
    back = origin - center
    distance = float(np.linalg.norm(back)) or 1.0
    back = back / distance if np.linalg.norm(back) > 0 else -forward
    elevation = math.asin(float(np.clip(back @ up, -1.0, 1.0))) + elevation_rad
    elevation = min(max(elevation, math.radians(12)), math.radians(75))
    level = back - (back @ up) * up
    if np.linalg.norm(level) < 1e-6:
        level = np.cross(up, np.array([1.0, 0.3, 0.2]))
    level = level / np.linalg.norm(level)
    level = math.cos(azimuth_rad) * level + math.sin(azimuth_rad) * np.cross(up, level)
    toward_eye = math.cos(elevation) * level + math.sin(elevation) * up
    z = -toward_eye
    x = np.cross(z, up)
    x /= np.linalg.norm(x)
    rotation = np.stack([x, np.cross(z, x), z])
    size = (size_wh[0] * _SUPERSAMPLE, size_wh[1] * _SUPERSAMPLE)
    eye = center + toward_eye * distance * 1.15
    view = VirtualCamera(rotation, eye, float(size[1]), size)
    uv, _ = view.project(_worth_showing(points, targets))
    uv = uv[np.isfinite(uv).all(axis=1)]
    if len(uv) < 10:
        return view
    middle = (np.array(size) - 1) / 2
    reach = np.quantile(np.abs(uv - middle), 0.97, axis=0) / (np.array(size) * 0.47)
    return VirtualCamera(rotation, eye, view.focal_px / float(max(reach.max(), 1e-3)), size)


def _worth_showing(points: np.ndarray, targets: tuple[Target, ...]) -> np.ndarray:
    """Select the part of the cloud (n, 3) that the picture must hold: the surroundings of the targets, else all of it."""
    if not targets:
        return points
    positions = np.array([target.position_m for target in targets])
    center = positions.mean(axis=0)
    radius = max(0.35, 1.8 * float(np.linalg.norm(positions - center, axis=1).max()))
    return points[np.linalg.norm(points - center, axis=1) < radius]


def _splat(view: VirtualCamera, points: np.ndarray, colors: np.ndarray, pixel_m: np.ndarray) -> np.ndarray:
    """Draw the cloud as squares of the size of the source pixels, nearer squares in front; (h, w, 3) uint8."""
    width, height = view.size_wh
    canvas = np.full((height, width, 3), _BACKGROUND, np.uint8)
    uv, depth = view.project(points)
    seen = np.isfinite(uv).all(axis=1)
    order = np.flatnonzero(seen)[np.argsort(-depth[seen], kind="stable")]
    uv, depth, colors, pixel_m = uv[order], depth[order], colors[order], pixel_m[order]
    side = np.clip(np.ceil(pixel_m * view.focal_px / depth * 1.6), 1, 9).astype(int)
    corner = np.floor(uv - (side[:, None] - 1) / 2 + 0.5).astype(int)
    front, rank = np.full(width * height, -1, dtype=np.int64), np.arange(len(order))
    for dy, dx in np.ndindex((int(side.max(initial=0)),) * 2):
        x, y = corner[:, 0] + dx, corner[:, 1] + dy
        keep = (side > max(dx, dy)) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
        np.maximum.at(front, y[keep] * width + x[keep], rank[keep])
    hit = front >= 0
    canvas.reshape(-1, 3)[hit] = colors[front[hit]]
    return canvas


def _draw_grid(image: Image.Image, view: VirtualCamera, points: np.ndarray, canvas: np.ndarray) -> None:
    """Draw a 10 cm grid on z = 0, hidden by the cloud."""
    low, high = np.quantile(points[:, :2], [0.01, 0.99], axis=0) if len(points) else (-np.ones(2), np.ones(2))
    low, high = np.floor(low * 10) / 10 - 0.1, np.ceil(high * 10) / 10 + 0.1
    layer = image.copy()
    pen = ImageDraw.Draw(layer)
    for axis in (0, 1):
        for value in np.arange(low[axis], high[axis] + 0.05, 0.1):
            ends = np.zeros((2, 3))
            ends[:, axis] = value
            ends[:, 1 - axis] = low[1 - axis], high[1 - axis]
            uv, _ = view.project(ends)
            if np.isfinite(uv).all():
                pen.line([tuple(uv[0]), tuple(uv[1])], fill=_GRID, width=_SUPERSAMPLE)
    empty = (canvas == np.array(_BACKGROUND, np.uint8)).all(axis=-1)
    image.paste(layer, (0, 0), Image.fromarray((empty * 255).astype(np.uint8)))


def _draw_axes(image: Image.Image, view: VirtualCamera, caption: str) -> None:
    """Draw the directions of the scene's axes in the bottom left corner, with a caption."""
    length = 46 * _SUPERSAMPLE
    origin = np.array([70.0 * _SUPERSAMPLE, image.height - 108.0 * _SUPERSAMPLE])
    pen = ImageDraw.Draw(image)
    letters = font(14 * _SUPERSAMPLE)
    ends = [(view.rotation @ axis)[:2] * length for axis in np.eye(3)]
    for end, tint, name in zip(ends, _AXES, "xyz", strict=True):
        tip = origin + end
        pen.line([tuple(origin), tuple(tip)], fill=tint, width=3 * _SUPERSAMPLE)
        pen.text(tuple(origin + end * 1.22), name, font=letters, fill=tint, anchor="mm")
    pen.text((16 * _SUPERSAMPLE, image.height - 14 * _SUPERSAMPLE), caption, font=letters, fill=GRAY, anchor="ls")


def draw_ellipsoid(
    image: Image.Image, view: VirtualCamera, target: Target, tint: RGB, scale: int = _SUPERSAMPLE, *, hollow: bool = False
) -> None:
    """Draw a target's ellipsoid, or only its outline, and a cross, in place; `scale` is a factor on the width of the lines."""
    uv, _ = view.project(ellipsoid_surface(target.position_m, target.covariance_m2, SIGMAS))
    center, _ = view.project(target.position_m[None])
    if not (np.isfinite(uv).all() and np.isfinite(center).all()):
        return
    layer = Image.new("RGBA", image.size, (*tint, 0))
    pen = ImageDraw.Draw(layer)
    outline = [tuple(corner) for corner in _hull(uv)]
    if not hollow:
        pen.polygon(outline, fill=(*tint, 90))
    pen.line([*outline, outline[0]], fill=(*INK, 255), width=5 * scale, joint="curve")
    pen.line([*outline, outline[0]], fill=(*tint, 255), width=3 * scale, joint="curve")
    u, v = center[0]
    arm = 5 * scale
    for width, ink in ((4 * scale, INK), (2 * scale, (255, 255, 255))):
        pen.line([(u - arm, v), (u + arm, v)], fill=(*ink, 255), width=width)
        pen.line([(u, v - arm), (u, v + arm)], fill=(*ink, 255), width=width)
    image.paste(layer, (0, 0), layer)


def _hull(uv: np.ndarray) -> list[np.ndarray]:
    """Corners of the convex hull of points (n, 2), in order: the farthest point in each of many directions."""
    turns = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    farthest = np.argmax(np.stack([np.cos(turns), np.sin(turns)], axis=1) @ uv.T, axis=1)
    return [uv[corner] for corner in dict.fromkeys(farthest.tolist())]


def _banner_boxes(image: Image.Image, banner: str, cautions: Sequence[str]) -> list[Box]:
    if not (banner or cautions):
        return []
    ground, ink = (AMBER, INK) if cautions else (INK, PAPER)
    return [draw_banner(image, shortened(banner, 90), 17, notes=cautions, ground=ground, ink=ink)]


def _annotate(
    image: Image.Image, view: VirtualCamera, targets: tuple[Target, ...], palette: dict[str, RGB], obstacles: list[Box]
) -> None:
    """Draw labels off the obstacles."""
    labels = []
    for target in targets:
        uv, _ = view.project(target.position_m[None])
        if not np.isfinite(uv).all():
            continue
        x, y, z = target.position_m
        text = f"{shortened(target.label, 32) or 'target'}\n{x:+.3f} {y:+.3f} {z:+.3f} m  ± {target.sigma_m * 1e3:.0f} mm"
        u, v = uv[0] / _SUPERSAMPLE
        outline, _ = view.project(ellipsoid_surface(target.position_m, target.covariance_m2, SIGMAS))
        radius = float(np.nanmax(np.abs(outline - uv))) / _SUPERSAMPLE
        reach = max(min(radius, 120.0) + 4.0, 24.0)
        labels.append(Label(text, (float(u), float(v)), reach, palette[target.label]))
        obstacles.append((u - reach, v - reach, u + reach, v + reach))
    draw_labels(image, labels, 15, obstacles)
