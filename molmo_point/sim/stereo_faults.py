"""Depth image of a D435-like stereo camera, made from a perfect one.

The noise acts on disparity (focal * baseline / depth, in pixels): `sigma_z = z^2 * sigma_d / (f * B)`.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from molmo_point.arrays import DepthArray, FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.depth_noise import DepthNoise, NoiseSource
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.sim.depth_faults import NO_APPEARANCE, Appearance, DepthFaults
from molmo_point.sim.imager_view import PixelGrid


@dataclass(frozen=True)
class StereoFaults(DepthFaults):
    """Faults of a stereo depth image apart from the disparity noise.

    Attributes:
        correlation_px: Radius of correlated errors (the matching window), in pixels.
        disparity_step_px: Sub-pixel resolution, in pixels; 1/32 on the D400 series; 0 switches it off.
        max_disparity_px: Largest searched disparity, in pixels; it sets the minimum range f*B/max_disparity.
        edge_jump_px: Disparity step between neighbors that counts as a depth edge, in pixels.
        edge_jitter_px: Standard deviation of an edge from its true place, in pixels.
        flying_fraction: Share of the pixels on a depth edge that lie between the two depths.
        shadow: True drops pixels that the right imager cannot see (a band on the left of every near object).
        grazing_rad: Angle from the normal beyond which surfaces drop out with growing probability, radians.
        hole_fraction: Share of the image covered by random holes.
        hole_radius_px: Typical radius of a hole, in pixels.
        depth_unit_m: Depth unit of the camera, meters; depth is rounded to it; 0 switches it off.
    """

    correlation_px: float = 1.5
    disparity_step_px: float = 1.0 / 32.0
    max_disparity_px: float = 126.0
    edge_jump_px: float = 1.0
    edge_jitter_px: float = 0.6
    flying_fraction: float = 0.35
    shadow: bool = True
    grazing_rad: float = 1.31
    hole_fraction: float = 0.01
    hole_radius_px: float = 4.0
    depth_unit_m: float = 0.001

    def stated_noise(self, noise: DepthNoise, intrinsics: Intrinsics) -> DepthNoise:
        """Name the noise of a camera that smooths no shapes and whose depth fits the color image exactly."""
        del intrinsics
        return replace(noise, smoothing_px=0.0, alignment_px=0.0)

    def measure(
        self,
        depth_m: FloatArray,
        intrinsics: Intrinsics,
        noise: DepthNoise,
        rng: np.random.Generator,
        appearance: Appearance,
    ) -> DepthArray:
        """Measure with the faults of this class; color and material have no effect."""
        del appearance
        noise, faults = _in_pixels_of(intrinsics, noise, self)
        focal_baseline = intrinsics.fx * (noise.baseline_m or math.nan)
        seen = np.isfinite(depth_m) & (depth_m > 0)
        true_disparity = np.where(seen, focal_baseline / np.where(seen, depth_m, 1.0), 0.0)
        hole = ~seen | _random_holes(depth_m.shape, faults, rng)
        if faults.shadow:
            hole |= occluded(true_disparity)
        hole |= _grazing(true_disparity, focal_baseline, intrinsics, faults, rng)
        disparity, unmatched = _measured_disparity(true_disparity, noise, faults, rng)
        hole |= unmatched
        measured = focal_baseline / np.where(hole, 1.0, disparity)
        if faults.depth_unit_m > 0:
            measured = np.round(measured / faults.depth_unit_m) * faults.depth_unit_m
        hole |= measured <= 0
        return np.where(hole, np.nan, measured).astype(np.float32)


SIMULATED_D435 = DepthNoise(0.050, 0.08, camera="simulated D435", source=NoiseSource.DEVICE)
"""Stereo whose left imager has the lens of the color camera; its noise is known."""
D435_FAULTS = StereoFaults()
NO_FAULTS = StereoFaults(
    correlation_px=0.0, disparity_step_px=0.0, max_disparity_px=np.inf, edge_jitter_px=0.0, flying_fraction=0.0,
    shadow=False, grazing_rad=np.pi, hole_fraction=0.0, depth_unit_m=0.0,
)  # fmt: skip


def simulate_depth(
    depth_m: np.ndarray,
    intrinsics: Intrinsics,
    noise: DepthNoise = SIMULATED_D435,
    rng: np.random.Generator | None = None,
    *,
    faults: DepthFaults = D435_FAULTS,
    appearance: Appearance = NO_APPEARANCE,
) -> np.ndarray:
    """Turn a perfect depth image into that of a stereo depth camera.

    The left imager is taken to sit where the color camera sits, and its field of view to be wider than the color
    image (as on the D435), so the blind band at the left border of the depth image is outside of the picture.

    Args:
        depth_m: True depth (h, w) along z in meters; NaN, 0 or inf without a surface.
        intrinsics: Intrinsics of that image.
        noise: Baseline in meters and disparity error in pixels. If it names the focal length of the depth camera,
            all pixels of `noise` and `faults` are those of that camera, as in depth aligned to a color image.
        rng: Source of all randomness; the same generator state gives the same image.
        faults: Other errors; `NO_FAULTS` leaves only independent disparity noise.
        appearance: Color and material of the surfaces, for faults that depend on them.

    Returns:
        (h, w) float32 meters; NaN without a measurement.

    Raises:
        InputError: The depth is not a 2D image of the size of the intrinsics, or the noise is not that of stereo.
    """
    depth = np.asarray(depth_m, dtype=np.float64)
    if depth.ndim != 2 or depth.shape != (intrinsics.height, intrinsics.width):
        raise InputError(
            "depth_m must have the size of the intrinsics",
            given=f"depth of shape {depth.shape}, intrinsics for (h, w) = ({intrinsics.height}, {intrinsics.width})",
            fix="pass an (h, w) depth image and the intrinsics of the same image",
        )
    rng = np.random.default_rng(0) if rng is None else rng
    return faults.measure(depth, intrinsics, noise, rng, appearance)


def _measured_disparity(
    true_disparity: np.ndarray, noise: DepthNoise, faults: StereoFaults, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Disparity (h, w) in pixels with all errors, and mask (h, w) of the pixels that cannot be matched."""
    disparity = _wander_edges(true_disparity, faults, rng)
    unmatched = disparity <= 0
    disparity = _fly(disparity, faults, rng)
    disparity = disparity + (noise.sigma_disparity_px or math.nan) * _unit_field(disparity.shape, faults.correlation_px, rng)
    if faults.disparity_step_px > 0:
        disparity = np.round(disparity / faults.disparity_step_px) * faults.disparity_step_px
    return disparity, unmatched | (disparity <= 0) | (disparity > faults.max_disparity_px)


def _in_pixels_of(intrinsics: Intrinsics, noise: DepthNoise, faults: StereoFaults) -> tuple[DepthNoise, StereoFaults]:
    """Noise and faults in pixels of the image at hand rather than of the depth camera."""
    if noise.baseline_m is None or noise.sigma_disparity_px is None:
        raise InputError("noise must be that of a stereo camera", f"{noise}", "give baseline_m and sigma_disparity_px")
    ratio = noise.pixel_ratio(intrinsics.fx)
    if ratio == 1.0:
        return noise, faults
    lengths = ("correlation_px", "disparity_step_px", "max_disparity_px", "edge_jump_px", "edge_jitter_px", "hole_radius_px")
    scaled = {name: getattr(faults, name) * ratio for name in lengths}
    return replace(noise, sigma_disparity_px=noise.sigma_disparity_px * ratio), replace(faults, **scaled)


def _unit_field(shape: tuple[int, int], radius_px: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian random field (h, w) of unit variance, correlated over `radius_px` (0: independent pixels)."""
    if radius_px <= 0:
        return rng.standard_normal(shape)
    reach = int(np.ceil(2.5 * radius_px))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius_px) ** 2)
    kernel /= np.sqrt(np.sum(kernel**2))
    field = rng.standard_normal((shape[0] + 2 * reach, shape[1] + 2 * reach))
    rows = np.sum([weight * field[i : i + shape[0]] for i, weight in enumerate(kernel)], axis=0)
    return np.sum([weight * rows[:, i : i + shape[1]] for i, weight in enumerate(kernel)], axis=0)


def _random_holes(shape: tuple[int, int], faults: StereoFaults, rng: np.random.Generator) -> np.ndarray:
    """Blobs (h, w) bool that cover `hole_fraction` of the image."""
    if faults.hole_fraction <= 0:
        return np.zeros(shape, dtype=bool)
    step = max(int(faults.hole_radius_px), 1)
    coarse = _unit_field((shape[0] // step + 3, shape[1] // step + 3), 1.0, rng)
    v = np.arange(shape[0])[:, None] / step
    u = np.arange(shape[1])[None, :] / step
    v0, u0 = v.astype(int), u.astype(int)
    fv, fu = v - v0, u - u0
    field = (1 - fv) * ((1 - fu) * coarse[v0, u0] + fu * coarse[v0, u0 + 1])
    field = field + fv * ((1 - fu) * coarse[v0 + 1, u0] + fu * coarse[v0 + 1, u0 + 1])
    return field > np.quantile(field, 1.0 - faults.hole_fraction)


def occluded(disparity: np.ndarray) -> np.ndarray:
    """Pixels (h, w) of the left image that the right imager cannot see.

    A surface at column u lies at column u - d of the right image. Something nearer further right in the left image
    that lands on the same or a smaller right column stands in front of it.
    """
    right_column = np.arange(disparity.shape[1])[None, :] - disparity
    right_column = np.where(disparity > 0, right_column, np.inf)
    smallest_to_the_right = np.minimum.accumulate(right_column[:, ::-1], axis=1)[:, ::-1]
    hidden = np.zeros(disparity.shape, dtype=bool)
    # Half a pixel of slack: surfaces inclined as far as one pixel per pixel are still seen by both imagers.
    hidden[:, :-1] = smallest_to_the_right[:, 1:] < right_column[:, :-1] - 0.5
    return hidden


def neighbor_range(disparity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest disparity in the 3x3 neighborhood, both (h, w)."""
    padded = np.pad(disparity, 1, mode="edge")
    found = []
    for choose in (np.minimum, np.maximum):
        rows = choose(choose(padded[:-2], padded[1:-1]), padded[2:])
        found.append(choose(choose(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:]))
    return found[0], found[1]


def view_cosine(inverse_depth: np.ndarray, intrinsics: Intrinsics | PixelGrid) -> np.ndarray:
    """Return the cosine (h, w) between the ray of each pixel and the normal of its surface.

    Inverse depth q is linear in the pixel on a plane n.p = c, so (fx q_u, fy q_v, q - x fx q_u - y fy q_v) is n / c
    with x, y the normalized pixel.
    """
    q_v, q_u = np.gradient(inverse_depth)
    x = (np.arange(intrinsics.width)[None, :] - intrinsics.cx) / intrinsics.fx
    y = (np.arange(intrinsics.height)[:, None] - intrinsics.cy) / intrinsics.fy
    n_x, n_y = q_u * intrinsics.fx, q_v * intrinsics.fy
    n_z = inverse_depth - x * n_x - y * n_y
    length = np.sqrt(n_x**2 + n_y**2 + n_z**2) * np.sqrt(x**2 + y**2 + 1.0)
    return np.abs(inverse_depth) / np.maximum(length, 1e-12)


def _grazing(
    disparity: np.ndarray,
    focal_baseline: float,
    intrinsics: Intrinsics,
    faults: StereoFaults,
    rng: np.random.Generator,
) -> np.ndarray:
    """Dropouts (h, w) on surfaces that the camera sees at a steep angle."""
    if faults.grazing_rad >= np.pi / 2:
        return np.zeros(disparity.shape, dtype=bool)
    cosine = view_cosine(disparity / focal_baseline, intrinsics)
    limit = np.cos(faults.grazing_rad)
    chance = np.clip(1.0 - cosine / limit, 0.0, 1.0)
    low, high = neighbor_range(disparity)
    chance[high - low > faults.edge_jump_px] = 0.0
    return rng.random(disparity.shape) < chance


def _wander_edges(disparity: np.ndarray, faults: StereoFaults, rng: np.random.Generator) -> np.ndarray:
    """Reads the disparity (h, w) at randomly shifted pixels, so that edges are ragged and surfaces unchanged."""
    if faults.edge_jitter_px <= 0:
        return disparity
    low, high = neighbor_range(disparity)
    rough = high - low > faults.edge_jump_px
    height, width = disparity.shape
    shift_u = faults.edge_jitter_px * _unit_field(disparity.shape, 1.0, rng)
    shift_v = faults.edge_jitter_px * _unit_field(disparity.shape, 1.0, rng)
    v, u = np.nonzero(rough)
    from_u = np.clip(np.rint(u + shift_u[v, u]).astype(int), 0, width - 1)
    from_v = np.clip(np.rint(v + shift_v[v, u]).astype(int), 0, height - 1)
    wandered = disparity.copy()
    wandered[v, u] = disparity[from_v, from_u]
    return wandered


def _fly(disparity: np.ndarray, faults: StereoFaults, rng: np.random.Generator) -> np.ndarray:
    """Mixes both sides of a depth edge at some of its pixels: points that hang in the air."""
    if faults.flying_fraction <= 0:
        return disparity
    low, high = neighbor_range(disparity)
    flying = (high - low > faults.edge_jump_px) & (low > 0) & (rng.random(disparity.shape) < faults.flying_fraction)
    share = rng.random(disparity.shape)
    return np.where(flying, low + share * (high - low), disparity)
