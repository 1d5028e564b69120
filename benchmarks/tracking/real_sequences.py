"""Sequences of a camera that moves in front of real frames, with the faults of real cameras and known truth."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.tracking.real_views import BORDER, HEIGHT, WIDTH, RealView, Surface, render, samples_of
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import D435
from molmo_point.geometry.rigid import rotation_exp
from molmo_point.tracking.tracked_view import import_cv2

REAL_KINDS = ("still", "hand-held", "approach", "leaving", "shake", "occluder", "moved", "repetitive")
"""Causes of lost points."""
POINTS = 12
EXPOSURE_S = 0.013
_SEEN_SHARE = 0.02
_TEXTURE_STD = 6.0


@dataclass(frozen=True, eq=False)
class RealStep:
    """A frame with the truth of its points.

    Attributes:
        frame: Frame of the virtual camera.
        uv: (n, 2) true pixels.
        position_m: (n, 3) true positions, optical frame.
        visible: (n,) True where the camera sees the point.
    """

    frame: RgbdFrame
    uv: np.ndarray
    position_m: np.ndarray
    visible: np.ndarray


@dataclass(frozen=True, eq=False)
class _Course:
    """Motion of the camera, of an object and of a hand; phases and sizes drawn at random."""

    kind: str
    phases: np.ndarray
    signs: np.ndarray
    sizes: np.ndarray
    depth_m: float

    def camera(self, t: float) -> tuple[np.ndarray, np.ndarray]:
        """Rotation and shift (meters) of the scene relative to the camera at time t."""
        wave = np.sin(2.0 * np.pi * t / (2.0 + 2.0 * self.sizes) + self.phases) - np.sin(self.phases)
        tremor = 0.002 * np.sin(2.0 * np.pi * (4.0 + 3.0 * self.sizes[:3]) * t + self.phases[:3])
        shift, turn = 0.05 * self.depth_m * wave[:3], 0.04 * wave[3:6] + tremor
        if self.kind in ("still", "moved", "occluder", "repetitive"):
            share = {"still": 0.0, "moved": 0.3, "occluder": 0.4, "repetitive": 0.7}[self.kind]
            shift, turn = share * shift, share * turn
        if self.kind == "approach":
            swing = 0.5 - 0.5 * math.cos(2.0 * np.pi * t / 3.3)
            shift = shift + swing * np.array([0.0, 0.0, 0.3 * self.signs[0] * self.depth_m])
            turn = turn + swing * np.array([0.0, 0.0, self.signs[1] * (0.4 + 0.4 * self.sizes[0])])
        if self.kind == "leaving":
            swing = math.sin(np.pi * min(max((t - 0.3) / (2.0 + 0.4 * self.sizes[0]), 0.0), 1.0)) ** 2
            turn = turn + swing * np.array([0.1 * self.signs[0], self.signs[1] * (0.33 + 0.15 * self.sizes[1]), 0.0])
        if self.kind == "shake":
            rate = 2.0 * np.pi * (1.2 + 0.8 * self.sizes[:2])
            turn = turn + np.array([*(0.075 * np.sin(rate * t) * self.signs[:2]), 0.0])
        return rotation_exp(turn), shift

    def moved(self, t: float, center: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Motion of the moved object in the real camera's frame."""
        share = min(max((t - 0.4 - 0.4 * self.sizes[0]) / 0.8, 0.0), 1.0)
        share = share**3 * (10.0 - 15.0 * share + 6.0 * share**2)
        rotation = rotation_exp(share * np.array([0.0, 0.0, 0.5 * self.signs[2]]))
        reach = self.depth_m * (0.08 + 0.12 * self.sizes[1]) * share
        direction = np.array([self.signs[0] * math.cos(self.sizes[2]), self.signs[1] * math.sin(self.sizes[2]), 0.0])
        lift = np.array([0.0, 0.0, -0.01 * self.depth_m])
        return rotation, center - rotation @ center + reach * direction + lift

    def hand(self, t: float) -> tuple[float, float] | None:
        """Pixel of the hand's palm."""
        if self.kind != "occluder":
            return None
        swing = ((t / 1.6 + 0.15 * self.sizes[0]) % 1.0) * 1.8 - 0.4
        u = swing * WIDTH if self.signs[0] > 0 else (1.0 - swing) * WIDTH
        return u, HEIGHT * (0.35 + 0.3 * self.sizes[1]) + 50.0 * math.sin(4.0 * t)


def real_sequence(view: RealView, kind: str, seed: int, rate_hz: float, frames: int) -> Iterator[RealStep]:
    """Frames of one sequence; the points are chosen in the first.

    Args:
        view: The real frame.
        kind: One of `REAL_KINDS`.
        seed: Seed of everything random; another rate shows the same motion.
        rate_hz: Frames per second.
        frames: Number of frames.
    """
    rng = np.random.default_rng([seed, REAL_KINDS.index(kind)])
    signs = rng.choice([-1.0, 1.0], 3)
    inner = view.surface.depth_m[BORDER:-BORDER, BORDER:-BORDER]
    course = _Course(kind, rng.uniform(0, 2 * np.pi, 6), signs, rng.uniform(0.0, 1.0, 6), float(np.median(inner)))
    surface = _printed(view.surface, rng) if kind == "repetitive" else view.surface
    mask = _object_mask(view, rng) if kind == "moved" else np.zeros(view.surface.depth_m.shape, bool)
    chosen = _choose(view, surface, mask, rng)
    sensor = _Sensor(rng, course.depth_m)
    layers = [surface] if not mask.any() else _split(surface, mask, view)
    cells = np.floor(chosen + 0.5).astype(int) + BORDER
    z = view.surface.depth_m[cells[:, 1], cells[:, 0]].astype(float)
    on_object = mask[cells[:, 1], cells[:, 0]]
    p_source = np.stack([view.intrinsics.deproject(uv, depth) for uv, depth in zip(chosen, z, strict=True)])
    center = p_source[on_object].mean(axis=0) if on_object.any() else np.zeros(3)
    before = None
    for number in range(frames):
        t = number / rate_hz
        rotation, shift = course.camera(t)
        object_rotation, object_shift = course.moved(t, center)
        picture = render(layers[0], view.intrinsics, rotation, shift, None)
        color, exact_m, measured = picture.color, picture.depth_m, picture.measured
        if len(layers) > 1:
            top = render(layers[1], view.intrinsics, rotation @ object_rotation, rotation @ object_shift + shift, mask)
            front = top.depth_m < exact_m
            color, measured = np.where(front[..., None], top.color, color), np.where(front, top.measured, measured)
            exact_m = np.where(front, top.depth_m, exact_m)
        p_object = p_source @ object_rotation.T + object_shift
        p_camera = np.where(on_object[:, None], p_object, p_source) @ rotation.T + shift
        uv = view.intrinsics.project(p_camera)
        palm = course.hand(t)
        if palm is not None:
            color, exact_m, measured = sensor.cover(palm, color, exact_m, measured)
        visible = _visible(uv, p_camera[:, 2], exact_m)
        flow = np.zeros(2) if before is None else np.median(uv - before, axis=0)
        before = uv
        stamp_ns = 1_000_000_000 + round(t * 1e9)
        color, depth_m = sensor.photograph(color, EXPOSURE_S * rate_hz * flow, t), sensor.measure(exact_m, measured)
        yield RealStep(RgbdFrame(color, depth_m, view.intrinsics, stamp_ns), uv, p_camera, visible)


def _visible(uv: np.ndarray, z: np.ndarray, exact_m: np.ndarray) -> np.ndarray:
    cells = np.floor(uv + 0.5).astype(int)
    inside = (cells >= 1).all(axis=1) & (cells[:, 0] < WIDTH - 1) & (cells[:, 1] < HEIGHT - 1)
    clipped = np.clip(cells, 0, [WIDTH - 1, HEIGHT - 1])
    return inside & (np.abs(exact_m[clipped[:, 1], clipped[:, 0]] - z) < np.maximum(_SEEN_SHARE * z, 0.01))


def _choose(view: RealView, surface: Surface, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Choose pixels on solid surfaces: up to five that were chosen by hand, and textured ones; half on a moved object."""
    inner = slice(BORDER, -BORDER)
    depth_m, measured = surface.depth_m[inner, inner], surface.measured[inner, inner]
    gray, mask = surface.color[inner, inner].mean(axis=2), mask[inner, inner]
    found: list[np.ndarray] = []
    by_hand = list(rng.permutation(view.chosen))[:5]
    for trial in range(4000):
        uv = by_hand.pop() if by_hand else rng.uniform([40, 40], [WIDTH - 40, HEIGHT - 40])
        column, row = (int(value) for value in np.floor(uv + 0.5))
        if not (25 <= column < WIDTH - 25 and 25 <= row < HEIGHT - 25):
            continue
        near, wide = np.s_[row - 4 : row + 5, column - 4 : column + 5], np.s_[row - 15 : row + 16, column - 15 : column + 16]
        solid = measured[near].mean() > 0.7 and np.ptp(depth_m[near]) < 0.03 * depth_m[row, column]
        textured = gray[wide].std() >= _TEXTURE_STD or len(found) % 4 == 3
        apart = all(np.linalg.norm(uv - other) > 15.0 for other in found)
        wanted = not mask.any() or len(found) % 2 == 1 or mask[wide].mean() > 0.8 or trial > 3000
        if solid and textured and apart and wanted:
            found.append(np.array([column, row], float))
        if len(found) == POINTS:
            break
    return np.array(found)


def _object_mask(view: RealView, rng: np.random.Generator) -> np.ndarray:
    """A piece of the image of one depth, 50 to 80 pixels in radius, that is moved as an object."""
    rows, columns = np.mgrid[0 : HEIGHT + 2 * BORDER, 0 : WIDTH + 2 * BORDER]
    best = np.zeros(rows.shape, bool)
    for _ in range(12):
        u, v = rng.uniform([120, 120], [WIDTH - 120, HEIGHT - 120]) + BORDER
        radius = rng.uniform(50.0, 80.0)
        depth_m = view.surface.depth_m[int(v), int(u)]
        same = np.abs(view.surface.depth_m - depth_m) < 0.05 * depth_m
        mask = same & ((columns - u) ** 2 + 1.4 * (rows - v) ** 2 < radius**2)
        gray = view.surface.color.mean(axis=2)
        if mask.sum() * gray[mask].std() > best.sum() * (gray[best].std() if best.any() else 0.0):
            best = mask
    return best


def _split(surface: Surface, mask: np.ndarray, view: RealView) -> list[Surface]:
    """Split a surface into the scene without an object, and the object."""
    depth_m = np.where(mask, surface.depth_m * 1.03, surface.depth_m).astype(np.float32)
    color = np.where(mask[..., None], surface.hidden_color, surface.color)
    everywhere = np.ones(mask.shape, bool)
    rest = Surface(color, surface.hidden_color, depth_m, surface.measured, samples_of(depth_m, everywhere, view.intrinsics))
    points = samples_of(surface.depth_m, mask, view.intrinsics)
    return [rest, Surface(surface.color, surface.hidden_color, surface.depth_m, surface.measured, points)]


def _printed(surface: Surface, rng: np.random.Generator) -> Surface:
    """Print a repetitive pattern on the scene: bricks of 14 to 30 pixels, some contrast of the real image left."""
    rows, columns = np.mgrid[0 : surface.color.shape[0], 0 : surface.color.shape[1]]
    period = rng.uniform(14.0, 30.0)
    angle = rng.uniform(0.0, np.pi)
    a = (columns * math.cos(angle) + rows * math.sin(angle)) / period
    b = (rows * math.cos(angle) - columns * math.sin(angle)) / period * 1.5
    bricks = (np.abs((a + 0.5 * (np.floor(b) % 2)) % 1.0 - 0.5) > 0.4) | (np.abs(b % 1.0 - 0.5) > 0.42)
    pattern = np.where(bricks, 60.0, 170.0)[..., None]
    color = (0.2 * surface.color + 0.8 * pattern).astype(np.uint8)
    return Surface(color, surface.hidden_color, surface.depth_m, surface.measured, surface.points)


class _Sensor:
    """Faults of a real camera: image noise, blur, exposure; correlated depth noise, jittering edges, flicker, shadows.

    Args:
        rng: Random numbers.
        depth_m: Typical depth; a hand passes at 0.65 of it.
    """

    def __init__(self, rng: np.random.Generator, depth_m: float) -> None:
        self._rng = rng
        self._spread, self._gray_sigma = rng.uniform(1.3, 1.8), rng.uniform(2.0, 4.0)
        self._hand_m = 0.65 * depth_m
        self._jump_s = rng.uniform(0.8, 2.5)
        self._skin = self._field(HEIGHT, WIDTH, 5.0)

    def _field(self, height: int, width: int, sigma: float) -> np.ndarray:
        """Correlated noise (h, w) of unit variance."""
        field = self._rng.standard_normal((height, width), dtype=np.float32)
        field = import_cv2().GaussianBlur(field, (0, 0), sigma)
        return field / field.std()

    def photograph(self, color: np.ndarray, blur: np.ndarray, t: float) -> np.ndarray:
        """Blur along the motion, change the exposure, and add noise."""
        cv2 = import_cv2()
        length = float(np.linalg.norm(blur))
        if length > 1.0:
            size = 2 * math.ceil(length / 2) + 1
            kernel = np.zeros((size, size), np.float32)
            step = (blur / 2.0).round().astype(int)
            middle = size // 2
            ends = (middle - int(step[0]), middle - int(step[1])), (middle + int(step[0]), middle + int(step[1]))
            cv2.line(kernel, *ends, 1.0)
            color = cv2.filter2D(color, -1, kernel / kernel.sum())
        gain = 1.0 + 0.04 * math.sin(5.0 * t) + self._rng.normal(0.0, 0.01) + (0.12 if t > self._jump_s else 0.0)
        noise = self._rng.standard_normal(color.shape[:2], dtype=np.float32)[..., None] * self._gray_sigma
        return np.clip(color.astype(np.float32) * gain + noise, 0, 255).astype(np.uint8)

    def measure(self, exact_m: np.ndarray, measured: np.ndarray) -> np.ndarray:
        """Measure the depth (h, w) float32 as a stereo camera does."""
        cv2 = import_cv2()
        rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
        half = HEIGHT // 2, WIDTH // 2
        full = (WIDTH, HEIGHT)
        jitter = [cv2.resize(self._field(*half, 2.0), full) * 1.3 for _ in range(2)]
        maps = columns + jitter[0], rows + jitter[1]
        depth_m = cv2.remap(np.where(np.isfinite(exact_m), exact_m, 0.0).astype(np.float32), *maps, cv2.INTER_NEAREST)
        valid = cv2.remap(measured.astype(np.uint8), *maps, cv2.INTER_NEAREST) > 0
        noise = cv2.resize(self._field(*half, 1.2), full)
        depth_m = depth_m + noise / noise.std() * self._spread * D435.sigma_z(depth_m, 600.0)
        flicker = cv2.resize(self._field(*half, 1.5), full) > 1.28
        valid = valid & ~flicker & (depth_m > 0.05)
        return np.where(valid, np.round(depth_m, 3), np.nan).astype(np.float32)

    def cover(
        self, palm: tuple[float, float], color: np.ndarray, exact_m: np.ndarray, measured: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw a hand with fingers and an arm in front of the scene; its stereo shadow has no depth."""
        cv2 = import_cv2()
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        u, v = (round(value) for value in palm)
        cv2.ellipse(mask, (u, v), (48, 40), 0, 0, 360, 1, -1)
        cv2.line(mask, (u, v + 20), (u + 30, HEIGHT + 80), 1, 62)
        for lean in (-0.7, -0.25, 0.15, 0.55):
            tip = u + round(115 * math.sin(lean)), v - round(115 * math.cos(lean))
            cv2.line(mask, (u, v), tip, 1, 20)
        shade = np.roll(self._skin, (v, u), axis=(0, 1))
        skin = np.stack([190 + 14 * shade, 140 + 12 * shade, 115 + 10 * shade], axis=-1)
        shadow = (np.roll(mask, 12, axis=1) | np.roll(mask, -8, axis=1)) & ~mask & 1
        color = np.where(mask[..., None] > 0, skin, color).clip(0, 255).astype(np.uint8)
        measured = np.where(mask > 0, 1, np.where(shadow > 0, 0, measured))
        return color, np.where(mask > 0, self._hand_m, exact_m).astype(np.float32), measured
