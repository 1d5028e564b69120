"""Depth images of a table, a wall and objects, measured by cameras with known laws of noise."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from molmo_point.geometry.intrinsics import Intrinsics


@dataclass(frozen=True)
class Law:
    """A camera: image, standard deviation by depth, radius of alike errors in pixels, unit of depth in meters."""

    size_wh: tuple[int, int]
    focal_px: float
    sigma_m: Callable[[np.ndarray], np.ndarray]
    alike_px: float
    unit_m: float

    @property
    def intrinsics(self) -> Intrinsics:
        width, height = self.size_wh
        return Intrinsics(width, height, self.focal_px, self.focal_px, width / 2 - 0.5, height / 2 - 0.5)


LAWS = {
    "stereo, fine color": Law((1280, 720), 921.0, lambda z: 0.003 * z**2, 4.0, 0.0001),
    "stereo, coarse color": Law((640, 480), 610.0, lambda z: 0.003 * z**2, 1.8, 0.001),
    "stereo with a floor": Law((1280, 720), 640.0, lambda z: np.hypot(0.0028 * z**2, 0.0005), 3.0, 0.001),
    "bad stereo": Law((848, 480), 425.0, lambda z: 0.009 * z**2, 1.6, 0.0001),
    "time of flight": Law((640, 576), 504.0, lambda z: 0.0012 + 0.0003 * z + 0.0002 * z**2, 0.6, 0.001),
    "structured light": Law((1280, 1024), 1150.0, lambda z: 0.0004 * z**2, 1.0, 0.0001),
    "first Kinect": Law((640, 480), 518.0, lambda z: 0.00145 * z**2, 1.0, 0.0002),
}


def table_and_wall(law: Law, rng: np.random.Generator, *, tilt_deg: float = 50.0, away_m: float = 0.6, wall_m: float = 1.5):
    """True depth (h, w) of a table below the camera, a wall behind it, and ten balls and tilted tiles."""
    width, height = law.size_wh
    x, y = np.meshgrid((np.arange(width) - width / 2) / law.focal_px, (np.arange(height) - height / 2) / law.focal_px)
    tilt = np.radians(tilt_deg)
    down = np.maximum(np.sin(tilt) * y + np.cos(tilt), 1e-6)
    z = np.minimum(away_m / down, wall_m)
    for ball in np.tile([True, False], 5):
        at_m = float(np.median(z) * rng.uniform(0.7, 1.0))
        cx, cy = rng.uniform(-0.35, 0.35, 2) * np.array(law.size_wh) / law.focal_px * at_m
        size_m = rng.uniform(0.03, 0.12) * at_m
        if ball:
            along = x * cx + y * cy + at_m
            square = x**2 + y**2 + 1.0
            left = along**2 - square * (cx**2 + cy**2 + at_m**2 - size_m**2)
            seen = np.where(left > 0, (along - np.sqrt(np.maximum(left, 0))) / square, np.inf)
        else:
            slope = rng.uniform(-0.6, 0.6, 2)
            seen = at_m / (1.0 - slope[0] * (x - cx / at_m) - slope[1] * (y - cy / at_m))
            seen = np.where((abs(x * at_m - cx) < size_m) & (abs(y * at_m - cy) < size_m), seen, np.inf)
        z = np.minimum(z, seen)
    return z


def measured(law: Law, z: np.ndarray, rng: np.random.Generator, *, hole_share: float = 0.05) -> np.ndarray:
    """Depth (h, w) float32 with the noise of the law, rounded to its unit, with round holes and holes at edges."""
    depth = z + law.sigma_m(z) * smooth_noise(z.shape, law.alike_px, rng)
    depth = np.round(depth / law.unit_m) * law.unit_m
    blobs = smooth_noise(z.shape, 4.0, rng)
    depth[blobs > np.quantile(blobs, 1.0 - hole_share)] = np.nan
    edge = np.hypot(*np.gradient(z)) > 0.03 * z
    for _ in range(3):
        edge[1:] |= edge[:-1]
        edge[:, :-1] |= edge[:, 1:]
    depth[edge] = np.nan
    return depth.astype(np.float32)


def stated_by(law: Law, z: np.ndarray) -> np.ndarray:
    """Standard deviation (h, w) of `measured`, with that of the rounding."""
    return np.hypot(law.sigma_m(z), law.unit_m / np.sqrt(12.0))


def smooth_noise(shape: tuple[int, int], radius_px: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise (h, w) of unit variance, alike over a radius."""
    frequency = np.fft.fftfreq(shape[0])[:, None] ** 2 + np.fft.rfftfreq(shape[1])[None] ** 2
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * np.exp(-2.0 * (np.pi * radius_px) ** 2 * frequency), shape)
    return noise / noise.std()
