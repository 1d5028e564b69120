"""Depth as real cameras deliver it: measured by an imager at the side of the color camera, then aligned to color.

docs/simulators.md compares its statistics with those of real frames.
"""

import zlib
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from molmo_point.arrays import DepthArray, FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.sim.depth_faults import Appearance, DepthFaults, Material
from molmo_point.sim.imager_view import PixelGrid, color_grid, fill_from_behind, imager_grid, nearest_pixels, seen_from
from molmo_point.sim.stereo_faults import D435_FAULTS, neighbor_range, occluded, view_cosine

_NOWHERE_M = 1e3
"""Stands for pixels without a surface."""

_WIDEST_PX = 16
"""No band around an object is wider."""

_SHOWN = 0.6
"""Share of the disparity error that residuals of planes show: median of 24 tables by `evaluation.real.plane_noise`."""

_DARK, _BRIGHT = 38, 252
"""Limits of the color (0 to 255) below and above which a surface counts as dark or as a reflection of the lamp."""


@dataclass(frozen=True)
class UnkindFaults(DepthFaults):
    """Faults of a real depth camera; lengths are in pixels of its depth imager.

    What belongs to the scene stays from frame to frame while scene and camera stay; what flickers does not.

    Attributes:
        focal_px: Focal length of the depth imager, in its own pixels; used if the noise does not name one.
        imager_offset_m: Position of the depth imager along the x axis of the color camera, meters.
        stereo: The second imager, one baseline to the right, must see a surface as well.
        edge_jump_px: Step in disparity between neighbors that counts as an edge of an object.
        growth_px: Mean width by which objects grow over what lies behind them; negative: the band eats into them.
        growth_spread_px: Standard deviation of that width along an outline.
        edge_hole_px: Mean width of the missing band around objects.
        edge_spread: Standard deviation of the band's width along an outline, as a share.
        hole_jump_px: Step in disparity from which an edge has a missing band; smaller ones become a slope.
        smoothing_px: Radius over which steps without a band become slopes.
        mixed_fraction: Share of the pixels at an edge that show a depth between both sides.
        fine_share: Share of the noise's variance in the fine part.
        fine_px: Radius of the fine errors.
        broad_px: Radius of the broad errors.
        disparity_step_px: Sub-pixel resolution; 0 switches it off.
        max_disparity_px: Largest searched disparity.
        flicker_fraction: Share of the pixels that are measured in only one of two frames of a still scene.
        flicker_px: Radius of the patches that come and go.
        weak_missing: Share of the frames in which a pixel of a weak place is missing; only weak places flicker.
        hole_fraction: Share of the image in holes that stay.
        hole_radius_px: Typical radius of such a hole.
        grazing_rad: Angle from the normal beyond which surfaces drop out with growing probability.
        dark_hole_fraction: Share of dark surfaces without depth.
        shiny_hole_fraction: Share of shiny surfaces without depth.
        between_cameras: Size of the differences that `drawn` makes; 1 as seen in real frames.
        misaligned_px: Shift (u, v) of the depth against color by a wrong calibration, in pixels of the color image.
        depth_unit_m: Depth is rounded to it; 0 switches it off.
    """

    focal_px: float = 425.0
    imager_offset_m: float = 0.015
    stereo: bool = True
    edge_jump_px: float = 1.0
    growth_px: float = 0.0
    growth_spread_px: float = 1.0
    edge_hole_px: float = 5.0
    edge_spread: float = 0.3
    hole_jump_px: float = 2.5
    smoothing_px: float = 2.5
    mixed_fraction: float = 0.0
    fine_share: float = 0.04
    fine_px: float = 0.7
    broad_px: float = 3.8
    disparity_step_px: float = 1.0 / 32.0
    max_disparity_px: float = 126.0
    flicker_fraction: float = 0.115
    flicker_px: float = 2.5
    weak_missing: float = 0.25
    hole_fraction: float = 0.01
    hole_radius_px: float = 5.0
    grazing_rad: float = 1.31
    dark_hole_fraction: float = 0.12
    shiny_hole_fraction: float = 0.4
    between_cameras: float = 1.0
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
        noise = self._own_noise(noise)
        assert noise.focal_px is not None
        color = color_grid(intrinsics)
        imager = imager_grid(color, noise.focal_px, self.imager_offset_m)
        surface = _surface(depth_m, appearance)
        z_true, material, behind = _in_imager(surface, color, imager, self.imager_offset_m)
        z_shown, hole = _through_materials(z_true, material, behind, self, still)
        z, hole = _measured(z_shown, hole, imager, noise, self, still, rng)
        shifted = color_grid(intrinsics, self.misaligned_px)
        return seen_from(np.where(hole, np.nan, z), imager, shifted, -self.imager_offset_m, overlap_px=0.3)[0]

    def drawn(self, rng: np.random.Generator) -> "UnkindFaults":
        """Draw one camera: the width of its bands, its growth, smoothing and calibration differ from others."""
        a, b, c, d, e, f, g = rng.standard_normal(7)
        return replace(
            self,
            growth_px=self.growth_px + self.between_cameras * 2.0 * float(np.clip(a, -2.0, 2.0)),
            edge_hole_px=self.edge_hole_px * float(np.exp(self.between_cameras * (0.7 * np.clip(b, -2.0, 1.5) - 0.25))),
            hole_jump_px=self.hole_jump_px * float(np.exp(self.between_cameras * 0.4 * np.clip(c, -2.0, 2.0))),
            smoothing_px=self.smoothing_px * float(np.exp(self.between_cameras * 0.3 * np.clip(d, -2.0, 2.0))),
            flicker_fraction=self.flicker_fraction * float(np.exp(self.between_cameras * 0.5 * (np.clip(e, -2.0, 1.5) - 0.25))),
            misaligned_px=(
                self.misaligned_px[0] + self.between_cameras * 1.5 * float(f),
                self.misaligned_px[1] + self.between_cameras * 1.0 * float(g),
            ),
        )

    def stated_noise(self, noise: DepthNoise, intrinsics: Intrinsics) -> DepthNoise:
        """Name the focal length of the depth imager, and what of the noise a plane's residual shows.

        The broad part bends a plane as a whole, so presets of real cameras, which are fitted to residuals, do not count it.
        """
        del intrinsics
        own = self._own_noise(noise)
        sigma_px = own.sigma_disparity_px
        return replace(own, sigma_disparity_px=None if sigma_px is None else _SHOWN * sigma_px)

    def _own_noise(self, noise: DepthNoise) -> DepthNoise:
        """Name the focal length of the depth imager and the radius that stands for both parts of the noise."""
        radius = float(np.sqrt(self.fine_share * self.fine_px**2 + (1 - self.fine_share) * self.broad_px**2))
        return replace(noise, focal_px=noise.focal_px or self.focal_px, correlation_px=radius)


UNKIND_FAULTS = UnkindFaults()
TIME_OF_FLIGHT_FAULTS = UnkindFaults(
    imager_offset_m=-0.032, stereo=False, growth_spread_px=0.0, edge_hole_px=0.8, hole_jump_px=1.0, smoothing_px=0.8,
    mixed_fraction=0.5, between_cameras=0.2, fine_share=0.6, broad_px=1.5, disparity_step_px=0.0, max_disparity_px=np.inf,
    flicker_fraction=0.02, hole_fraction=0.002, dark_hole_fraction=0.4,
)  # fmt: skip


SIMULATORS: dict[str, DepthFaults] = {"kind": D435_FAULTS, "unkind": UNKIND_FAULTS, "time-of-flight": TIME_OF_FLIGHT_FAULTS}
"""Depth cameras by the names of the command line."""


def simulator_faults(name: str) -> DepthFaults:
    """Return the faults of one of `SIMULATORS`.

    Raises:
        InputError: The name is unknown.
    """
    if name not in SIMULATORS:
        raise InputError("simulator must be known", repr(name), f"use one of {', '.join(SIMULATORS)}")
    return SIMULATORS[name]


def _surface(depth_m: FloatArray, appearance: Appearance) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth, material and depth behind glass (h, w), complete."""
    seen = np.isfinite(depth_m) & (depth_m > 0)
    z = np.where(seen, depth_m, _NOWHERE_M).astype(np.float32)
    material = np.zeros(z.shape, np.uint8) if appearance.material is None else np.asarray(appearance.material, np.uint8)
    if appearance.color is not None:
        plain = material == Material.PLAIN
        channels = [appearance.color[..., k] for k in range(3)]
        brightest, darkest = (choose(choose(*channels[:2]), channels[2]) for choose in (np.maximum, np.minimum))
        material = np.where(plain & (brightest < _DARK), Material.DARK, material)
        material = np.where(plain & (darkest > _BRIGHT), Material.SHINY, material).astype(np.uint8)
    behind = z if appearance.behind_m is None else np.asarray(appearance.behind_m, np.float32)
    return z, material, np.where(np.isfinite(behind) & (behind > 0), behind, _NOWHERE_M).astype(np.float32)


def _in_imager(
    surface: tuple[np.ndarray, np.ndarray, np.ndarray], color: PixelGrid, imager: PixelGrid, offset_m: float
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
            hole |= (material == kind) & _holes(z_m.shape, fraction, faults, still)
    glass = material == Material.GLASS
    if not glass.any():
        return z_m, hole
    field = _smooth_field(z_m.shape, 2.5 * faults.hole_radius_px, still)
    rank = np.searchsorted(np.sort(field[glass]), field) / np.count_nonzero(glass)
    close = behind_m - z_m < 0.08 * z_m
    own = np.where(close, 0.05, 0.15)
    through = np.where(close, 0.70, 0.15)
    hole |= glass & (rank >= own) & (rank < 1.0 - through)
    return np.where(glass & (rank >= 1.0 - through), behind_m, z_m), hole


def _measured(
    z_m: np.ndarray,
    hole: np.ndarray,
    imager: PixelGrid,
    noise: DepthNoise,
    faults: UnkindFaults,
    still: np.random.Generator,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Depth (h, w) in meters with all errors, and mask (h, w) of the missing pixels."""
    # Cameras without a baseline have the edges of one of 50 mm.
    focal_baseline = imager.fx * (noise.baseline_m or 0.05)
    nowhere = z_m > 0.5 * _NOWHERE_M
    disparity = np.where(nowhere, 0.0, focal_baseline / z_m)
    hidden = occluded(disparity) if faults.stereo else np.zeros(z_m.shape, bool)
    hole = hole | _grazing(z_m, imager, faults, rng) | _holes(z_m.shape, faults.hole_fraction, faults, still)
    grown, covered, band = _at_edges(disparity, faults, still)
    hole |= band | ((hidden | nowhere) & ~covered)
    hole |= _flicker(z_m, hole, imager, faults, still, rng)
    if faults.mixed_fraction > 0:
        grown = _mixed(grown, faults, rng)
    smooth = _smoothed(grown, hole, faults.smoothing_px)
    share = np.sqrt(faults.fine_share), np.sqrt(1.0 - faults.fine_share)
    error = share[0] * _field(z_m.shape, faults.fine_px, rng) + share[1] * _field(z_m.shape, faults.broad_px, rng)
    shown_m = focal_baseline / np.maximum(smooth, 1e-6)
    disparity = smooth * (1.0 + error * noise.sigma_z(shown_m, imager.fx) / shown_m)
    if faults.disparity_step_px > 0:
        disparity = np.round(disparity / faults.disparity_step_px) * faults.disparity_step_px
    hole |= (disparity <= 0) | (disparity > faults.max_disparity_px)
    measured = focal_baseline / np.where(hole, 1.0, disparity)
    if faults.depth_unit_m > 0:
        measured = np.round(measured / faults.depth_unit_m) * faults.depth_unit_m
    return measured.astype(np.float32), hole


def _holes(shape: tuple[int, int], fraction: float, faults: UnkindFaults, still: np.random.Generator) -> np.ndarray:
    """Blobs (h, w) that cover a fraction of an image."""
    if fraction <= 0:
        return np.zeros(shape, bool)
    field = _smooth_field(shape, faults.hole_radius_px, still)
    return field > np.quantile(field[::2, ::2], 1.0 - fraction)


def _flicker(
    z_m: np.ndarray,
    hole: np.ndarray,
    imager: PixelGrid,
    faults: UnkindFaults,
    still: np.random.Generator,
    rng: np.random.Generator,
) -> np.ndarray:
    """Patches (h, w) that are missing in this frame; they come and go in weak places, often steep or near holes."""
    measured = ~hole[::4, ::4] & (z_m[::4, ::4] < 0.5 * _NOWHERE_M)
    if faults.flicker_fraction <= 0 or not measured.any():
        return np.zeros(z_m.shape, bool)
    share = faults.weak_missing
    # A pixel that is missing in a share q of all frames is measured in one of two with 2 q (1 - q).
    weak_share = min(faults.flicker_fraction / (2.0 * share * (1.0 - share)), 1.0)
    around = _blur(hole.astype(np.float32), 6.0)
    weakness = _smooth_field(z_m.shape, 40.0, still) + 2.0 * around - 2.0 * view_cosine(1.0 / z_m, imager)
    weak = weakness >= np.quantile(weakness[::4, ::4][measured], 1.0 - weak_share)
    return weak & (_field(z_m.shape, faults.flicker_px, rng) > NormalDist().inv_cdf(1.0 - share))


def _at_edges(
    disparity: np.ndarray, faults: UnkindFaults, still: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Let objects grow over their background, and find the missing band around them.

    Returns:
        The disparity (h, w) with grown objects, the mask (h, w) of what they cover, and that of the missing band.
    """
    low, high = neighbor_range(disparity)
    edge, middle = high - low > faults.edge_jump_px, 0.5 * (low + high)
    growth = faults.growth_px + faults.growth_spread_px * _smooth_field(disparity.shape, 10.0, still)
    band = growth + faults.edge_hole_px * np.exp(faults.edge_spread * _smooth_field(disparity.shape, 10.0, still))
    growth, outer, inner = np.rint(growth), np.rint(band), np.rint(-growth)
    near = np.where(edge & (disparity > middle), disparity, 0.0)
    grown, reached = _reached(near, (growth, outer))
    far = np.where(edge & (disparity <= middle), -disparity, -np.inf)
    (eaten,) = _reached(far, (inner,))
    covered = grown - disparity > faults.edge_jump_px
    missing = (reached - disparity > faults.hole_jump_px) & ~covered
    missing |= (disparity + eaten > faults.hole_jump_px) & (inner > 0)
    return np.where(covered, grown, disparity), covered, missing


def _reached(spreading: np.ndarray, widths: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """Largest value (h, w) within each of the widths (h, w) around a pixel, at most `_WIDEST_PX`."""
    reached = [spreading] * len(widths)
    for step in range(1, int(min(max(width.max() for width in widths), _WIDEST_PX)) + 1):
        spreading = _spread(spreading, diagonal=step % 2 == 0)
        reached = [np.where(step <= width, spreading, value) for width, value in zip(widths, reached, strict=True)]
    return reached


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


def _grazing(z_m: np.ndarray, imager: PixelGrid, faults: UnkindFaults, rng: np.random.Generator) -> np.ndarray:
    """Dropouts (h, w) of surfaces that the imager sees at a steep angle, apart from edges."""
    chance = np.clip(1.0 - view_cosine(1.0 / z_m, imager) / np.cos(faults.grazing_rad), 0.0, 1.0)
    low, high = neighbor_range(z_m)
    return (rng.random(z_m.shape, np.float32) < chance) & (high - low < 0.03 * z_m)


def _mixed(disparity: np.ndarray, faults: UnkindFaults, rng: np.random.Generator) -> np.ndarray:
    """Put some of the pixels at an edge between its two sides."""
    low, high = neighbor_range(disparity)
    mixed = (high - low > faults.edge_jump_px) & (low > 0) & (rng.random(disparity.shape, np.float32) < faults.mixed_fraction)
    return np.where(mixed, low + rng.random(disparity.shape, np.float32) * (high - low), disparity)


def _smoothed(disparity: np.ndarray, hole: np.ndarray, radius_px: float) -> np.ndarray:
    """Gaussian mean (h, w) over the measured neighbors of each pixel."""
    if radius_px <= 0:
        return disparity
    weight = np.where(hole, 0.0, 1.0).astype(np.float32)
    total, count = _blur(disparity.astype(np.float32) * weight, radius_px), _blur(weight, radius_px)
    return np.where(count > 1e-3, total / np.maximum(count, 1e-3), disparity)


def _blur(image: np.ndarray, radius_px: float) -> np.ndarray:
    """Gaussian mean (h, w); the border repeats."""
    kernel = _kernel(radius_px)
    reach = len(kernel) // 2
    return _along_axes(np.pad(image, reach, mode="edge"), kernel / kernel.sum())


def _field(shape: tuple[int, int], radius_px: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian random field (h, w) of unit variance, correlated over `radius_px`."""
    kernel = _kernel(radius_px)
    reach = len(kernel) // 2
    noise = rng.standard_normal((shape[0] + 2 * reach, shape[1] + 2 * reach), np.float32)
    return _along_axes(noise, kernel / np.sqrt(np.sum(kernel**2)))


def _kernel(radius_px: float) -> np.ndarray:
    reach = int(np.ceil(2.2 * radius_px))
    return np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius_px) ** 2).astype(np.float32)


def _along_axes(padded: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Correlate rows and columns of a padded image with a symmetric kernel."""
    reach = len(kernel) // 2
    rows, columns = padded.shape[0] - 2 * reach, padded.shape[1] - 2 * reach
    down = kernel[reach] * padded[reach : reach + rows]
    for step in range(1, reach + 1):
        down += kernel[reach + step] * (padded[reach - step :][:rows] + padded[reach + step :][:rows])
    across = kernel[reach] * down[:, reach : reach + columns]
    for step in range(1, reach + 1):
        across += kernel[reach + step] * (down[:, reach - step :][:, :columns] + down[:, reach + step :][:, :columns])
    return across


def _smooth_field(shape: tuple[int, int], size_px: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth random field (h, w) of unit variance with blobs of about `size_px`."""
    step = max(int(size_px), 1)
    field = _field((shape[0] // step + 3, shape[1] // step + 3), 1.0, rng)
    for axis in (0, 1):
        at = np.arange(shape[axis], dtype=np.float32) / step
        first = at.astype(int)
        share = (at - first)[:, None] if axis == 0 else at - first
        field = field.take(first, axis) * (1 - share) + field.take(first + 1, axis) * share
    return (field - field.mean()) / field.std()
