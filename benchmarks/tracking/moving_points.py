"""Sequences of frames with points whose true places are known, and scripted answers about them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.tracking.moving_scene import MovingScene, pose_at
from molmo_point.depth.lift import lift_points
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.rigid import rotation_exp
from molmo_point.geometry.transforms import Transform
from molmo_point.results import ImagePoint, Pointing
from molmo_point.sim.depth_faults import Appearance
from molmo_point.sim.stereo_faults import D435_FAULTS, SIMULATED_D435, simulate_depth
from molmo_point.sim.tabletop.objects import SceneObject
from molmo_point.sim.unkind_faults import simulator_faults

FPS = 30
SIGMA_PX = 2.0
ASK_EVERY_S, LATENCY_S = 2.0, 1.0
MAX_POINTS = 3
QUERY = "the objects"
_FAULTS = replace(D435_FAULTS, edge_jitter_px=0.0, grazing_rad=math.pi)
"""Noise, holes, shadows and flying pixels; without the two faults that take most of the time to draw."""
_INNER_PX = 7
_SEEN_M = 0.006
_ON_OBJECT_M = 0.004


@dataclass(frozen=True, eq=False)
class MeantPoint:
    """A true point that moves with its object.

    Attributes:
        item: The object.
        rate: Speed in x and y (m/s) and turn rate (rad/s).
        meant_m: True point (3,) in the object's axes, meters.
        clicked_m: Point (3,) that the first answer hit, in the object's axes, meters.
        bias_px: Common part (2,) of the errors of all answers, pixels.
    """

    item: SceneObject
    rate: tuple[float, float, float]
    meant_m: np.ndarray
    clicked_m: np.ndarray
    bias_px: np.ndarray


@dataclass(frozen=True, eq=False)
class Step:
    """A frame with its truth.

    Attributes:
        time_s: Time since the start of the sequence, seconds.
        frame: Frame of the camera.
        exact_m: True depth (h, w), meters.
        base_T_camera: Pose of the camera.
        meant: Points that are meant.
    """

    time_s: float
    frame: RgbdFrame
    exact_m: np.ndarray
    base_T_camera: Transform
    meant: tuple[MeantPoint, ...]

    @property
    def intrinsics(self) -> Intrinsics:
        """Of the image."""
        assert self.frame.intrinsics is not None
        return self.frame.intrinsics

    def place(self, point: MeantPoint, local_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A point in an object's axes as pixel (2,) and in the optical frame (3,)."""
        position, yaw = pose_at(point.item, point.rate, self.time_s)
        p_camera = self.base_T_camera.inverse().apply(_turn(yaw) @ local_m + position, "base")
        return self.intrinsics.project(p_camera), p_camera

    def depth_at(self, uv: np.ndarray) -> float:
        """True depth at the nearest pixel; NaN outside the image."""
        width, height = self.frame.size_wh
        if not np.all(np.isfinite(uv)):
            return math.nan
        column, row = (int(value) for value in np.floor(uv + 0.5))
        return float(self.exact_m[row, column]) if 0 <= column < width and 0 <= row < height else math.nan

    def sees(self, point: MeantPoint, local_m: np.ndarray) -> bool:
        """Tell whether the camera sees a point of an object."""
        uv, p_camera = self.place(point, local_m)
        return bool(abs(self.depth_at(uv) - p_camera[2]) < _SEEN_M)

    def on_object(self, point: MeantPoint, uv: np.ndarray) -> bool:
        """Tell whether a pixel shows the object."""
        depth_m = self.depth_at(uv)
        if not math.isfinite(depth_m):
            return False
        p_base = self.base_T_camera.apply(self.intrinsics.deproject(uv, depth_m), self.frame.frame)
        position, yaw = pose_at(point.item, point.rate, self.time_s)
        return _outside_m(point.item, _turn(yaw).T @ (p_base - position)) < _ON_OBJECT_M


def sequence(
    kind: str, seed: int, seconds: float, width: int = 640, height: int = 480, simulator: str = "kind"
) -> Iterator[Step]:
    """Frames of a moving table at 30 Hz; none where no object is large enough to point at."""
    rng = np.random.default_rng([seed, 77])
    faults = _FAULTS if simulator == "kind" else simulator_faults(simulator).drawn(np.random.default_rng([seed, 2]))
    with MovingScene(kind, seed, width, height) as scene:
        exact_m = scene.render()[1]
        meant = _meant_points(scene, exact_m, rng)
        if not meant:
            return
        for number in range(round(seconds * FPS)):
            time_s = number / FPS
            aim, _ = pose_at(meant[0].item, meant[0].rate, time_s)
            scene.show(time_s, aim)
            color, exact_m = scene.render()
            looks = Appearance(color)
            depth_m = simulate_depth(exact_m, scene.intrinsics, SIMULATED_D435, rng, faults=faults, appearance=looks)
            noise = faults.stated_noise(SIMULATED_D435, scene.intrinsics)
            stamp_ns = 1_000_000_000 + round(time_s * 1e9)
            frame = RgbdFrame(color, depth_m, scene.intrinsics, stamp_ns, scene.frame, stamp_ns, noise)
            yield Step(time_s, frame, exact_m, scene.base_T_camera, meant)


def answer(step: Step, rng: np.random.Generator, first: bool) -> Pointing:
    """Script the answer of a model with an error of 2 px; it names visible objects only."""
    points = []
    for index, point in enumerate(step.meant):
        if not step.sees(point, point.meant_m):
            continue
        uv, _ = step.place(point, point.clicked_m if first else point.meant_m)
        if not first:
            uv = uv + point.bias_px + rng.normal(0.0, SIGMA_PX / math.sqrt(2.0), 2)
        width, height = step.frame.size_wh
        uv = np.clip(uv, 0, [width - 1, height - 1])
        points.append(ImagePoint(float(uv[0]), float(uv[1]), f"point {index}", 1.0, SIGMA_PX))
    return Pointing(
        query=QUERY,
        model="scripted",
        text="",
        absent=not points,
        found=lift_points(points, step.frame),
        timing_ms={},
        stamp_ns=step.frame.stamp_ns,
        frame=step.frame.frame,
    )


def _meant_points(scene: MovingScene, exact_m: np.ndarray, rng: np.random.Generator) -> tuple[MeantPoint, ...]:
    masks, points = scene.render_masks(), []
    for index in rng.permutation(len(scene.objects)):
        inner = _eroded(masks == index, _INNER_PX)
        rows, columns = np.nonzero(inner)
        if rows.size < 20:
            continue
        pick = int(rng.integers(rows.size))
        meant = np.array([columns[pick], rows[pick]], float)
        bias, own = rng.normal(0.0, SIGMA_PX / math.sqrt(2.0), (2, 2))
        clicked = meant + bias + own
        item, rate = scene.objects[index], scene.course.object_rate[index]
        point = MeantPoint(item, rate, np.zeros(3), np.zeros(3), bias)
        places = []
        for uv in (meant, clicked):
            column, row = (int(value) for value in np.floor(uv + 0.5))
            p_base = scene.base_T_camera.apply(scene.intrinsics.deproject(uv, float(exact_m[row, column])), scene.frame)
            places.append(_turn(item.yaw_rad).T @ (p_base - np.array(item.position_base_m)))
        points.append(replace(point, meant_m=places[0], clicked_m=places[1]))
        if len(points) == MAX_POINTS:
            break
    return tuple(points)


def _eroded(mask: np.ndarray, radius: int) -> np.ndarray:
    for _ in range(radius):
        padded = np.pad(mask, 1)
        mask = mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask


def _outside_m(item: SceneObject, p_object: np.ndarray) -> float:
    half = np.array(item.half_size_m)
    if item.shape == "ball":
        return float(np.linalg.norm(p_object) - half[0])
    if item.shape == "cylinder":
        return float(max(np.hypot(p_object[0], p_object[1]) - half[0], abs(p_object[2]) - half[2]))
    return float(np.max(np.abs(p_object) - half))


def _turn(yaw: float) -> np.ndarray:
    return rotation_exp(np.array([0.0, 0.0, yaw]))
