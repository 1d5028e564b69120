"""Scenes of the lifting benchmark: a target among other objects, seen by a stereo camera, with its exact truth.

Only the part of the image around the target is rendered, as a cropped image with cropped intrinsics; hundreds of scenes
a minute on one core are worth more than pixels that no estimator looks at.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.lift.shapes import Box, Plane, Rod, Shape, Sphere, render
from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.sim.depth_faults import NO_APPEARANCE, Appearance, DepthFaults, Material
from molmo_point.sim.stereo_faults import StereoFaults, simulate_depth
from molmo_point.sim.unkind_faults import UnkindFaults, simulator_faults

WINDOW_WH = (180, 140)
NEAR_TRUTH_M = 0.020
MEASURABLE_SHARE = 0.25
_MARGIN_PX = 24


@dataclass(frozen=True)
class CameraModel:
    """A depth camera whose depth is aligned to its color image.

    Attributes:
        name: Of the camera.
        intrinsics: Of the color image.
        noise: Of the depth camera, with the depth camera's own focal length.
        range_m: Nearest and farthest distance of targets, in meters.
        imager_offset_m: Position of the left imager along the x axis of the color camera.
    """

    name: str
    intrinsics: Intrinsics
    noise: DepthNoise
    range_m: tuple[float, float]
    imager_offset_m: float


CAMERAS = (
    CameraModel("D435", Intrinsics(640, 480, 610.0, 610.0, 321.3, 238.1), DepthNoise(0.050, 0.08, 425.0), (0.35, 1.0), 0.015),
    CameraModel("D455", Intrinsics(1280, 720, 640.0, 640.0, 641.7, 358.2), DepthNoise(0.095, 0.08, 640.0), (0.6, 1.6), -0.059),
    CameraModel("D405", Intrinsics(848, 480, 425.0, 425.0, 425.4, 241.0), DepthNoise(0.018, 0.08, 425.0), (0.12, 0.45), 0.0),
)


@dataclass(frozen=True, eq=False)
class LiftScene:
    """One scene.

    Attributes:
        kind: One of `KINDS`.
        camera: Name of the camera.
        frame: Gray image with the noisy depth.
        true_depth_m: Exact depth (h, w) in meters.
        on_target: Pixels (h, w) that show the target.
        target: Its exact shape.
        uv: True pixels (n, 2) on the target, which a perfect model would point at.
        points_m: Their true positions (n, 3).
        measurable: For each (n,), whether the camera measured enough of the target around it that an answer can be
            expected: a quarter of its pixels within 12 mm, within 20 mm of the truth.
    """

    kind: str
    camera: str
    frame: RgbdFrame
    true_depth_m: FloatArray
    on_target: BoolArray
    target: Shape
    uv: FloatArray
    points_m: FloatArray
    measurable: BoolArray


@dataclass(frozen=True, eq=False)
class _Layout:
    """Shapes of a scene: the target is the first; `vanishing` is the share of its pixels without its depth.

    `holes` are attributes of the faults that differ from the camera's.
    """

    shapes: list[Shape]
    camera: CameraModel
    middle_m: FloatArray
    holes: Mapping[str, float] = field(default_factory=dict)
    vanishing: float = 0.0


def make_scene(kind: str, seed: int, points: int = 4, simulator: str = "kind") -> LiftScene:
    """Draws a scene.

    Args:
        kind: One of `KINDS`.
        seed: The same seed gives the same scene.
        points: How many true points to draw on the target.
        simulator: Depth camera, one of `SIMULATORS`.

    Raises:
        InputError: If the kind or the simulator is unknown.
    """
    if kind not in KINDS:
        raise InputError("The kind of scene is unknown", repr(kind), f"use one of {', '.join(KINDS)}")
    rng = np.random.default_rng([list(KINDS).index(kind), seed])
    while True:
        layout = KINDS[kind](rng)
        window = _window(layout, rng)
        rays = window.deproject(_pixels(window), 1.0)
        depth, index = render(layout.shapes, rays)
        inner = np.zeros(index.shape, bool)
        inner[_MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX] = True
        candidates = np.argwhere((index == 0) & inner & np.isfinite(depth))
        if len(candidates) >= 20:
            break
    noisy, noise = _measured(layout, (depth, index, rays), window, _faults(layout, simulator, seed), rng)
    frame = RgbdFrame(np.full((*depth.shape, 3), 128, np.uint8), noisy, window, stamp_ns=seed, depth_noise=noise)
    rows = rng.choice(len(candidates), points)
    uv = candidates[rows][:, ::-1] + rng.uniform(-0.5, 0.5, (points, 2))
    rays_true = window.deproject(uv, 1.0)
    true_z = layout.shapes[0].depth(rays_true)
    hit = np.isfinite(true_z)
    uv[~hit], true_z[~hit] = candidates[rows][~hit][:, ::-1], depth[tuple(candidates[rows][~hit].T)]
    points_m = window.deproject(uv, true_z)
    measurable = np.array([_measurable(noisy, depth, index == 0, place, window) for place in uv])
    return LiftScene(kind, layout.camera.name, frame, depth, index == 0, layout.shapes[0], uv, points_m, measurable)


def _window(layout: _Layout, rng: np.random.Generator) -> Intrinsics:
    """The part of the camera's image that is centered, within a few pixels, on the target."""
    full, (width, height) = layout.camera.intrinsics, WINDOW_WH
    u, v = full.project(layout.middle_m) + rng.uniform(-8, 8, 2)
    x0 = int(np.clip(u - width / 2, 0, full.width - width))
    y0 = int(np.clip(v - height / 2, 0, full.height - height))
    return full.cropped(x0, y0, width, height)


def _pixels(window: Intrinsics) -> FloatArray:
    return np.stack(np.meshgrid(np.arange(float(window.width)), np.arange(float(window.height))), axis=-1)


def _faults(layout: _Layout, simulator: str, seed: int) -> DepthFaults:
    faults = simulator_faults(simulator).drawn(np.random.default_rng([seed, 2]))
    if isinstance(faults, UnkindFaults):
        # The imagers of a time-of-flight camera stand where its faults say.
        offset_m = layout.camera.imager_offset_m if faults.stereo else faults.imager_offset_m
        return replace(faults, imager_offset_m=offset_m, **layout.holes)
    assert isinstance(faults, StereoFaults)
    return replace(faults, **layout.holes)


def _measured(
    layout: _Layout,
    truth: tuple[FloatArray, NDArray[np.intp], FloatArray],
    window: Intrinsics,
    faults: DepthFaults,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], DepthNoise]:
    """Depth as the camera measures it, and the noise that its frame names."""
    depth, index, rays = truth
    noise, looks = layout.camera.noise, NO_APPEARANCE
    if layout.vanishing and isinstance(faults, UnkindFaults):
        glass = np.where(index == 0, Material.GLASS, Material.PLAIN).astype(np.uint8)
        looks = Appearance(material=glass, behind_m=render(layout.shapes[1:], rays)[0])
    elif layout.vanishing:
        depth = _without_target(layout, depth, index, rays, rng)
    return simulate_depth(depth, window, noise, rng, faults=faults, appearance=looks), faults.stated_noise(noise, window)


def _without_target(
    layout: _Layout, depth: FloatArray, index: NDArray[np.intp], rays: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """A transparent target: most of it returns no depth, the rest returns the depth of the surface behind it."""
    behind, _ = render(layout.shapes[1:], rays)
    lost = rng.random(depth.shape) < layout.vanishing
    return np.where(index == 0, np.where(lost, np.nan, behind), depth)


def _measurable(noisy: NDArray[np.float32], depth: FloatArray, on_target: BoolArray, uv: FloatArray, window: Intrinsics) -> bool:
    column, row = (round(float(value)) for value in uv)
    radius = max(3.0, 0.012 * window.focal_px / depth[row, column])
    v, u = np.ogrid[: depth.shape[0], : depth.shape[1]]
    around = on_target & ((u - uv[0]) ** 2 + (v - uv[1]) ** 2 <= radius**2)
    good = around & (np.abs(noisy - depth) <= NEAR_TRUTH_M)
    return bool(good.sum() >= max(8, MEASURABLE_SHARE * around.sum()))


def _camera(rng: np.random.Generator, number: int | None = None) -> tuple[CameraModel, float, FloatArray]:
    """A camera, a distance within its range, and a ray (3,) of z = 1 somewhere in the middle of its view."""
    camera = CAMERAS[int(rng.integers(len(CAMERAS))) if number is None else number]
    ray = np.array([rng.uniform(-0.25, 0.25), rng.uniform(-0.2, 0.2), 1.0])
    return camera, float(rng.uniform(*camera.range_m)), ray


def _direction(rng: np.random.Generator) -> FloatArray:
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)


def _facing(rng: np.random.Generator, low_rad: float, high_rad: float) -> FloatArray:
    """A normal (3,) that looks back at the camera, inclined by an angle between the two."""
    tilt, around = rng.uniform(low_rad, high_rad), rng.uniform(0, 2 * np.pi)
    return np.array([np.sin(tilt) * np.cos(around), np.sin(tilt) * np.sin(around), -np.cos(tilt)])


def _rotation(rng: np.random.Generator, normal: FloatArray | None = None) -> FloatArray:
    """Rows are right-handed axes; the last is `normal` where given."""
    third = _direction(rng) if normal is None else normal
    first = np.cross(third, _direction(rng))
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(third, first), third])


def _through(point_m: FloatArray, normal: FloatArray) -> Plane:
    return Plane(normal, float(normal @ point_m))


def _rod(rng: np.random.Generator, holes: Mapping[str, float]) -> _Layout:
    """A rod of 1.5 cm at 0.6 m, seen by a D435, a quarter of a metre before a wall."""
    camera, _, ray = _camera(rng, 0)
    middle = 0.6 * ray
    angle, lean = rng.uniform(0, np.pi), rng.uniform(-0.4, 0.4)
    axis = np.array([np.cos(angle) * np.cos(lean), np.sin(angle) * np.cos(lean), np.sin(lean)])
    wall = _through(np.array([0.0, 0.0, 0.85]), _facing(rng, 0.0, 0.25))
    return _Layout([Rod(middle + np.array([0, 0, 0.0075]), axis, 0.0075, 0.3), wall], camera, middle, holes)


def _plain(rng: np.random.Generator) -> _Layout:
    camera, far_m, ray = _camera(rng)
    middle = far_m * ray
    normal = _facing(rng, 0.0, 0.7)
    box = Box(middle - 0.02 * normal, _rotation(rng, normal), np.array([*rng.uniform(0.03, 0.06, 2), 0.02]))
    return _Layout([box, _through(middle - 0.04 * normal, normal)], camera, middle)


def _small(rng: np.random.Generator) -> _Layout:
    """A ball or box of 1 to 2.5 cm on a table."""
    camera, far_m, ray = _camera(rng)
    middle = 0.7 * far_m * ray
    normal = _facing(rng, 0.1, 0.9)
    half = rng.uniform(0.005, 0.0125)
    if rng.random() < 0.5:
        target: Shape = Sphere(middle, half)
    else:
        target = Box(middle, _rotation(rng, normal), np.array([*rng.uniform(0.005, 0.0125, 2), half]))
    return _Layout([target, _through(middle - half * normal, normal)], camera, middle)


def _tilted(rng: np.random.Generator) -> _Layout:
    """A plate inclined by 45 to 72 degrees before a wall."""
    camera, far_m, ray = _camera(rng)
    middle = far_m * ray
    normal = _facing(rng, np.pi / 4, 0.4 * np.pi)
    plate = Box(middle, _rotation(rng, normal), np.array([*rng.uniform(0.04, 0.08, 2), 0.004]))
    return _Layout([plate, _through(middle * (1 + 0.15 / far_m), _facing(rng, 0.0, 0.3))], camera, middle)


def _occluded(rng: np.random.Generator) -> _Layout:
    """A box of which a rod or another box hides a part."""
    camera, far_m, ray = _camera(rng)
    middle, nearer = far_m * ray, rng.uniform(0.04, 0.15) * min(far_m, 1.0)
    normal = _facing(rng, 0.0, 0.6)
    box = Box(middle - 0.02 * normal, _rotation(rng, normal), np.array([*rng.uniform(0.025, 0.05, 2), 0.02]))
    aside = rng.normal(size=3) * 0.02
    before = (far_m - nearer) * ray + np.array([aside[0], aside[1], 0.0])
    if rng.random() < 0.5:
        angle = rng.uniform(0, np.pi)
        front: Shape = Rod(before, np.array([np.cos(angle), np.sin(angle), 0.0]), rng.uniform(0.004, 0.010), 0.3)
    else:
        front = Box(before, _rotation(rng), rng.uniform(0.010, 0.020, 3))
    return _Layout([box, front, _through(middle - 0.04 * normal, normal)], camera, middle)


def _clutter(rng: np.random.Generator) -> _Layout:
    """A target among five other objects on a table, with dropped regions."""
    camera, far_m, ray = _camera(rng)
    middle = far_m * ray
    normal = _facing(rng, 0.2, 1.0)
    axes = _rotation(rng, normal)
    shapes: list[Shape] = []
    for number in range(6):
        spread = 0.008 if number == 0 else 0.06
        half = rng.uniform(0.010, 0.035)
        place = middle + half * normal + spread * (rng.normal() * axes[0] + rng.normal() * axes[1])
        if rng.random() < 0.5:
            shapes.append(Sphere(place, half))
        else:
            shapes.append(Box(place, _rotation(rng, normal), np.array([*rng.uniform(0.010, 0.035, 2), half])))
    shapes.append(_through(middle, normal))
    return _Layout(shapes, camera, middle, {"hole_fraction": 0.10, "hole_radius_px": 7.0})


def _transparent(rng: np.random.Generator) -> _Layout:
    """A glass-like ball or box: hardly any depth comes back from it, and what does is that of the table."""
    camera, far_m, ray = _camera(rng)
    middle = 0.8 * far_m * ray
    normal = _facing(rng, 0.1, 0.9)
    half = rng.uniform(0.025, 0.045)
    target: Shape = Sphere(middle, half)
    if rng.random() < 0.5:
        target = Box(middle, _rotation(rng, normal), np.array([*rng.uniform(0.02, 0.04, 2), half]))
    return _Layout([target, _through(middle - half * normal, normal)], camera, middle, vanishing=rng.uniform(0.93, 1.0))


KINDS: dict[str, Callable[[np.random.Generator], _Layout]] = {
    "rod": lambda rng: _rod(rng, {}),
    "rod, 30 % holes": lambda rng: _rod(rng, {"hole_fraction": 0.30}),
    "plain": _plain,
    "small": _small,
    "tilted": _tilted,
    "occluded": _occluded,
    "clutter": _clutter,
    "transparent": _transparent,
}
"""The kinds of scenes and what draws each."""
