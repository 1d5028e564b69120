"""Depth as real cameras deliver it: measured by an imager at the side of the color camera, then aligned to color.

docs/simulators.md compares its statistics with those of real frames.
"""

import zlib
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from molmo_point.arrays import DepthArray, FloatArray
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.sim.depth_faults import Appearance, DepthFaults, Material
from molmo_point.sim.imager_view import fill_from_behind, imager_grid, nearest_pixels, seen_from
from molmo_point.sim.stereo_faults import coarse_field, neighbor_range, occluded, random_holes, unit_field, view_cosine

_NOWHERE_M = 1e3
"""Stands for pixels without a surface."""

_DARK, _BRIGHT = 38, 252
"""Limits of the color (0 to 255) below and above which a surface counts as dark or as a reflection of the lamp."""


@dataclass(frozen=True)
class UnkindFaults(DepthFaults):
    """Faults of a real depth camera; lengths are in pixels of its depth imager.

    What belongs to the scene stays from frame to frame while scene and camera stay; what flickers does not.

    Attributes:
        focal_ratio: Focal length of the depth imager, in pixels, over that of the color image; used if the noise
            does not name one.
        imager_offset_m: Position of the depth imager along the x axis of the color camera, meters.
        stereo: The second imager, one baseline to the right, must see a surface as well.
        edge_jump_px: Step in disparity between neighbors that counts as an edge of an object.
        growth_px: Mean width by which objects grow over what lies behind them.
        edge_hole_px: Mean width of the missing band around objects.
        edge_spread: Standard deviation of both widths along an outline and between scenes, as a share.
        hole_jump_px: Step in disparity from which an edge has a missing band; smaller ones become a slope.
        smoothing_px: Radius over which steps without a band become slopes.
        mixed_fraction: Share of the pixels at an edge that show a depth between both sides.
        fine_share: Share of the noise's variance in the fine part.
        fine_px: Radius of the fine errors.
        broad_px: Radius of the broad errors.
        disparity_step_px: Sub-pixel resolution; 0 switches it off.
        max_disparity_px: Largest searched disparity.
        flicker_fraction: Share of the pixels that are measured in only one of two frames of a still scene.
        flicker_px: Radius of their patches.
        hole_fraction: Share of the image in holes that stay.
        hole_radius_px: Typical radius of such a hole.
        grazing_rad: Angle from the normal beyond which surfaces drop out with growing probability.
        dark_hole_fraction: Share of dark surfaces without depth.
        shiny_hole_fraction: Share of shiny surfaces without depth.
        misaligned_px: Shift (u, v) of the depth against color by a wrong calibration, in pixels of the color image.
        depth_unit_m: Depth is rounded to it; 0 switches it off.
    """

    focal_ratio: float = 0.69
    imager_offset_m: float = 0.015
    stereo: bool = True
    edge_jump_px: float = 1.0
    growth_px: float = 2.5
    edge_hole_px: float = 4.0
    edge_spread: float = 0.5
    hole_jump_px: float = 2.0
    smoothing_px: float = 2.0
    mixed_fraction: float = 0.0
    fine_share: float = 0.15
    fine_px: float = 0.7
    broad_px: float = 2.2
    disparity_step_px: float = 1.0 / 32.0
    max_disparity_px: float = 126.0
    flicker_fraction: float = 0.08
    flicker_px: float = 1.2
    hole_fraction: float = 0.01
    hole_radius_px: float = 5.0
    grazing_rad: float = 1.31
    dark_hole_fraction: float = 0.15
    shiny_hole_fraction: float = 0.4
    misaligned_px: tuple[float, float] = (0.0, 0.0)
    depth_unit_m: float = 0.001

    def measure(
        self,
        depth_m: FloatArray,
        intrinsics: Intrinsics,
        noise: DepthNoise,
        rng: np.random.Generator,
        appearance: Appearance,
    ) -> DepthArray:
        """Measure in the imager's view, and align to color."""
        still = np.random.default_rng(zlib.crc32(np.ascontiguousarray(depth_m, np.float32).tobytes()))
        noise = self.stated_noise(noise, intrinsics)
        assert noise.focal_px is not None
        imager = imager_grid(intrinsics, noise.focal_px, self.imager_offset_m)
        surface = _surface(depth_m, appearance)
        z_true, material, behind = _in_imager(surface, intrinsics, imager, self.imager_offset_m)
        z_shown, hole = _through_materials(z_true, material, behind, self, still)
        z, hole = _measured(z_shown, hole, imager, noise, self, still, rng)
        hole |= (z <= 0) | (z > 0.5 * _NOWHERE_M)
        shifted = replace(intrinsics, cx=intrinsics.cx + self.misaligned_px[0], cy=intrinsics.cy + self.misaligned_px[1])
        return seen_from(np.where(hole, np.nan, z), imager, shifted, -self.imager_offset_m)[0]

    def stated_noise(self, noise: DepthNoise, intrinsics: Intrinsics) -> DepthNoise:
        """Name the focal length of the depth imager and the radius that stands for both parts of the noise."""
        radius = float(np.sqrt(self.fine_share * self.fine_px**2 + (1 - self.fine_share) * self.broad_px**2))
        return replace(noise, focal_px=noise.focal_px or self.focal_ratio * intrinsics.fx, correlation_px=radius)


UNKIND_FAULTS = UnkindFaults()
TIME_OF_FLIGHT_FAULTS = UnkindFaults(
    imager_offset_m=-0.032, stereo=False, growth_px=0.0, edge_hole_px=0.8, hole_jump_px=1.0, smoothing_px=0.8,
    mixed_fraction=0.5, fine_share=0.6, broad_px=1.5, disparity_step_px=0.0, max_disparity_px=np.inf,
    flicker_fraction=0.02, hole_fraction=0.002, dark_hole_fraction=0.4,
)  # fmt: skip


def _surface(depth_m: FloatArray, appearance: Appearance) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth, material and depth behind glass (h, w), complete."""
    seen = np.isfinite(depth_m) & (depth_m > 0)
    z = np.where(seen, depth_m, _NOWHERE_M).astype(np.float32)
    material = np.zeros(z.shape, np.uint8) if appearance.material is None else np.asarray(appearance.material, np.uint8)
    if appearance.color is not None:
        plain = material == Material.PLAIN
        brightest, darkest = appearance.color.max(axis=2), appearance.color.min(axis=2)
        material = np.where(plain & (brightest < _DARK), Material.DARK, material)
        material = np.where(plain & (darkest > _BRIGHT), Material.SHINY, material).astype(np.uint8)
    behind = z if appearance.behind_m is None else np.asarray(appearance.behind_m, np.float32)
    return z, material, np.where(np.isfinite(behind) & (behind > 0), behind, _NOWHERE_M).astype(np.float32)


def _in_imager(
    surface: tuple[np.ndarray, np.ndarray, np.ndarray], color: Intrinsics, imager: Intrinsics, offset_m: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Surface as the imager sees it; parts that only the imager sees take what lies next to them."""
    rows, columns = nearest_pixels(color, imager)
    z, material, behind = (image[np.ix_(rows, columns)] for image in surface)
    z, material, behind = seen_from(z, imager, imager, offset_m, material, behind)
    z, material, behind = fill_from_behind(z, material, behind)
    return z, material, behind


def _through_materials(
    z_m: np.ndarray, material: np.ndarray, behind_m: np.ndarray, faults: UnkindFaults, still: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Depth (h, w) that the materials let the camera see, and the mask (h, w) of what they hide.

    Glass close to what lies behind it shows mostly that; glass far before it is mostly missing.
    """
    hole = np.zeros(z_m.shape, bool)
    for kind, fraction in ((Material.DARK, faults.dark_hole_fraction), (Material.SHINY, faults.shiny_hole_fraction)):
        if (material == kind).any():
            hole |= (material == kind) & random_holes(z_m.shape, fraction, faults.hole_radius_px, still)
    glass = material == Material.GLASS
    if not glass.any():
        return z_m, hole
    field = coarse_field(z_m.shape, 2.5 * faults.hole_radius_px, still)
    rank = np.searchsorted(np.sort(field[glass]), field) / np.count_nonzero(glass)
    close = behind_m - z_m < 0.08 * z_m
    own = np.where(close, 0.05, 0.15)
    through = np.where(close, 0.70, 0.15)
    hole |= glass & (rank >= own) & (rank < 1.0 - through)
    return np.where(glass & (rank >= 1.0 - through), behind_m, z_m), hole


def _measured(
    z_m: np.ndarray,
    hole: np.ndarray,
    imager: Intrinsics,
    noise: DepthNoise,
    faults: UnkindFaults,
    still: np.random.Generator,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Depth (h, w) in meters with all errors, and mask (h, w) of the missing pixels."""
    # Cameras without a baseline have the edges of one of 50 mm.
    focal_baseline = imager.fx * (noise.baseline_m or 0.05)
    disparity = focal_baseline / z_m
    hidden = occluded(disparity) if faults.stereo else np.zeros(z_m.shape, bool)
    hole = hole | _grazing(z_m, imager, faults, rng) | random_holes(z_m.shape, faults.hole_fraction, faults.hole_radius_px, still)
    grown, covered, band = _at_edges(disparity, faults, still)
    hole |= band | (hidden & ~covered)
    if faults.flicker_fraction > 0:
        # Missing in a share q of all frames, a pixel is missing in one of two with 2 q (1 - q).
        limit = NormalDist().inv_cdf(0.5 + 0.5 * float(np.sqrt(1.0 - 2.0 * faults.flicker_fraction)))
        hole |= unit_field(z_m.shape, faults.flicker_px, rng) > limit
    if faults.mixed_fraction > 0:
        grown = _mixed(grown, faults, rng)
    smooth = _smoothed(grown, hole, faults.smoothing_px)
    share = np.sqrt(faults.fine_share), np.sqrt(1.0 - faults.fine_share)
    error = share[0] * unit_field(z_m.shape, faults.fine_px, rng) + share[1] * unit_field(z_m.shape, faults.broad_px, rng)
    shown_m = focal_baseline / np.maximum(smooth, 1e-6)
    disparity = smooth * (1.0 + error * noise.sigma_z(shown_m, imager.fx) / shown_m)
    if faults.disparity_step_px > 0:
        disparity = np.round(disparity / faults.disparity_step_px) * faults.disparity_step_px
    hole |= (disparity <= 0) | (disparity > faults.max_disparity_px)
    measured = focal_baseline / np.where(hole, 1.0, disparity)
    if faults.depth_unit_m > 0:
        measured = np.round(measured / faults.depth_unit_m) * faults.depth_unit_m
    return measured.astype(np.float32), hole


def _at_edges(
    disparity: np.ndarray, faults: UnkindFaults, still: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Let objects grow over their background.

    Returns:
        The disparity (h, w) with grown objects, the mask (h, w) of what they cover, and that of the missing band.
    """
    low, high = neighbor_range(disparity)
    near = (high - low > faults.edge_jump_px) & (disparity > 0.5 * (low + high))
    spreading = np.where(near, disparity, 0.0)
    growth = _width(disparity.shape, faults.growth_px, faults.edge_spread, still)
    whole = growth + _width(disparity.shape, faults.edge_hole_px, faults.edge_spread, still)
    grown, reached = spreading, spreading
    for step in range(1, int(whole.max()) + 1):
        spreading = _spread(spreading, diagonal=step % 2 == 0)
        grown = np.where(step <= growth, spreading, grown)
        reached = np.where(step <= whole, spreading, reached)
    covered = grown - disparity > faults.edge_jump_px
    band = (reached - disparity > faults.hole_jump_px) & ~covered
    return np.where(covered, grown, disparity), covered, band


def _width(shape: tuple[int, int], mean_px: float, spread: float, still: np.random.Generator) -> np.ndarray:
    """Width (h, w) in whole pixels that varies along outlines and between scenes around its mean."""
    if mean_px <= 0:
        return np.zeros(shape, np.int32)
    field = coarse_field(shape, 12.0, still)
    along = (field - field.mean()) / field.std()
    width = mean_px * np.exp(spread * (0.6 * along + 0.8 * still.standard_normal()) - 0.5 * spread**2)
    return np.clip(np.floor(width + still.random(shape)), 0, 3.5 * mean_px).astype(np.int32)


def _spread(values: np.ndarray, diagonal: bool) -> np.ndarray:
    """Largest value (h, w) among each pixel and its four or eight neighbors."""
    if diagonal:
        return neighbor_range(values)[1]
    most = values.copy()
    np.maximum(most[1:], values[:-1], out=most[1:])
    np.maximum(most[:-1], values[1:], out=most[:-1])
    np.maximum(most[:, 1:], values[:, :-1], out=most[:, 1:])
    np.maximum(most[:, :-1], values[:, 1:], out=most[:, :-1])
    return most


def _grazing(z_m: np.ndarray, imager: Intrinsics, faults: UnkindFaults, rng: np.random.Generator) -> np.ndarray:
    """Dropouts (h, w) of surfaces that the imager sees at a steep angle, apart from edges."""
    chance = np.clip(1.0 - view_cosine(1.0 / z_m, imager) / np.cos(faults.grazing_rad), 0.0, 1.0)
    low, high = neighbor_range(z_m)
    return (rng.random(z_m.shape, np.float32) < chance) & (high - low < 0.03 * z_m)


def _mixed(disparity: np.ndarray, faults: UnkindFaults, rng: np.random.Generator) -> np.ndarray:
    """Put some of the pixels at an edge between its two sides."""
    low, high = neighbor_range(disparity)
    mixed = (high - low > faults.edge_jump_px) & (rng.random(disparity.shape, np.float32) < faults.mixed_fraction)
    return np.where(mixed, low + rng.random(disparity.shape, np.float32) * (high - low), disparity)


def _smoothed(disparity: np.ndarray, hole: np.ndarray, radius_px: float) -> np.ndarray:
    """Gaussian mean (h, w) over the measured neighbors of each pixel."""
    if radius_px <= 0:
        return disparity
    weight = np.where(hole, 0.0, 1.0).astype(np.float32)
    total, count = _blur(disparity.astype(np.float32) * weight, radius_px), _blur(weight, radius_px)
    return np.where(count > 1e-3, total / np.maximum(count, 1e-3), disparity)


def _blur(image: np.ndarray, radius_px: float) -> np.ndarray:
    reach = int(np.ceil(2.0 * radius_px))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius_px) ** 2).astype(np.float32)
    kernel /= kernel.sum()
    for axis in (0, 1):
        padded = np.pad(image, [(reach, reach) if k == axis else (0, 0) for k in range(2)], mode="edge")
        size = image.shape[axis]
        image = sum((weight * padded.take(range(i, i + size), axis) for i, weight in enumerate(kernel)), np.zeros_like(image))
    return image
