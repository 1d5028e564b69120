"""Object region at a point: grown in 3D over the depth image, without its support and its neighbors."""

import enum
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arrays import BoolArray, ColorArray, DepthArray, FloatArray
from molmo_point.depth.estimator import estimate_depth
from molmo_point.errors import InputError
from molmo_point.geometry.depth_noise import D435, DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.grasp.patch import Patch, cut_patch, grown
from molmo_point.grasp.segmentation import divide
from molmo_point.grasp.support import SupportPlane, direction, find_support
from molmo_point.results import DepthStatus

MAX_SIZE_M = 0.2
"""Default for the largest distance of an object's points from its target, in meters."""

HEIGHT_M, HEIGHT_SIGMAS = 0.005, 3.0
"""Points lower above the support plane than the larger of these limits count as the plane."""

EDGE_M, EDGE_SIGMAS = 0.003, 3.0
"""Largest depth step (the larger of the two) from an outline pixel to one inside, to count it as inside."""

CUT_M = 0.01
"""Longest cut at the size limit of an object that counts as whole, in meters."""

SEED_M = 0.015
"""Largest distance from the point to the object's measured surface, in meters."""

_MIN_PIXELS = 12
_MARGIN_M = 0.08


class RegionStatus(enum.Enum):
    """Status of a region: OK, the reason for doubt, or the reason why there is none."""

    OK = "OK"
    CUT_OFF = "CUT_OFF"
    """The region touches the border of the image: part of the object was not seen."""
    NO_SUPPORT = "NO_SUPPORT"
    """No support plane was found; the region may hold part of one."""
    MERGED = "MERGED"
    """The object is hardly divided from a neighbor that touches it: the region may hold too much or too little."""
    TOO_LARGE = "TOO_LARGE"
    """The region was cut at the size limit."""
    ON_SUPPORT = "ON_SUPPORT"
    """No region: the point is on the support plane, not on an object."""
    MISSING = "MISSING"
    """No region: there is no depth at the point, or too little."""


@dataclass(frozen=True, eq=False)
class ObjectRegion:
    """Segmented object at a point.

    Attributes:
        status: Most serious of `flags`, or OK.
        flags: All flags, most serious first; empty if there is none.
        message: The flags in words; empty if there is none.
        mask: Pixels of the object in the image (h, w); all False without a region.
        points_m: Thinned surface of the object (n, 3) in the optical frame, in meters; (0, 3) without a region.
        target_m: Seed point (3,) in the optical frame, in meters; NaN without depth.
        support: Support plane; None if none was found.
        patch: Surroundings of the point; None without depth.
        inside: Pixels of the object in the patch; None without a region.
        touching: True if the region was cut off from another object that touches it.
    """

    status: RegionStatus
    flags: tuple[RegionStatus, ...]
    message: str
    mask: BoolArray
    points_m: FloatArray
    target_m: FloatArray
    support: SupportPlane | None
    patch: Patch | None = field(default=None, repr=False)
    inside: BoolArray | None = field(default=None, repr=False)
    touching: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON: status, flags, message, pixel_count, point_count, touching, support."""
        return {
            "status": self.status.value,
            "flags": [flag.value for flag in self.flags],
            "message": self.message,
            "pixel_count": int(np.count_nonzero(self.mask)),
            "point_count": len(self.points_m),
            "touching": self.touching,
            "support": None if self.support is None else self.support.to_dict(),
        }


def grow_region(
    depth_m: DepthArray,
    uv: ArrayLike,
    intrinsics: Intrinsics,
    noise: DepthNoise = D435,
    *,
    at_m: float = math.nan,
    up: ArrayLike | None = None,
    max_size_m: float = MAX_SIZE_M,
    sigma_px: float = 3.0,
    color: ColorArray | None = None,
    others: ArrayLike = (),
) -> ObjectRegion:
    """Grow the object at a pixel over all pixels connected to it in space.

    The support plane is removed first. The rest is divided at depth steps, creases, and color edges with some crease.

    Args:
        depth_m: Depth (h, w) in meters, aligned to the image; NaN where missing.
        uv: Pixel (2,) on the object.
        intrinsics: Intrinsics of the image that the depth is aligned to.
        noise: Noise of the depth camera.
        at_m: Depth of the target along z, in meters; NaN estimates it at the pixel.
        up: Direction against gravity (3,) in the optical frame; if given, only a level plane is a support.
        max_size_m: Largest distance of the object's points from the target, in meters.
        sigma_px: Standard deviation of the pixel, for the estimate of its depth.
        color: RGB image (h, w, 3) that the depth is aligned to; None divides by shape alone.
        others: Pixels (k, 2) on other objects, e.g. the other points of the same answer.

    Returns:
        The region. For ON_SUPPORT and MISSING its mask is empty, and `message` is the reason.

    Raises:
        InputError: If the pixel is outside the image, the sizes differ, or a setting is invalid.
    """
    upwards = None if up is None else direction("up", up)
    _check_sizes(max_size_m, at_m)
    estimate = estimate_depth(depth_m, uv, intrinsics, noise, sigma_px=sigma_px)
    pixel = np.asarray(uv, dtype=np.float64)
    if math.isnan(at_m):
        if estimate.status not in (DepthStatus.OK, DepthStatus.AMBIGUOUS):
            words = f"no depth at the point: {estimate.status.value}"
            return _nothing(depth_m.shape, RegionStatus.MISSING, np.full(3, np.nan), words)
        at_m, pixel = estimate.depth_m, np.asarray(estimate.uv, dtype=np.float64)
    target = intrinsics.deproject(pixel, at_m)
    if not np.all(np.isfinite(target)):
        return _nothing(depth_m.shape, RegionStatus.MISSING, target, "the lens distortion cannot be undone at the point")
    patch = cut_patch(depth_m, pixel, at_m, intrinsics, noise, reach_m=max_size_m + _MARGIN_M)
    rivals = np.asarray(others, np.float64).reshape(-1, 2)
    return _grow(depth_m, patch, target, find_support(patch, target, up=upwards), max_size_m, color, rivals)


def _check_sizes(max_size_m: float, at_m: float) -> None:
    if not (math.isfinite(max_size_m) and max_size_m > 0):
        raise InputError("max_size_m must be finite and above zero", f"{max_size_m}", "give meters")
    if not math.isnan(at_m) and not (math.isfinite(at_m) and at_m > 0):
        raise InputError("at_m must be above zero", f"{at_m}", "give meters along z, or leave it out")


def _grow(
    depth_m: DepthArray,
    patch: Patch,
    target: FloatArray,
    support: SupportPlane | None,
    max_size_m: float,
    color: ColorArray | None,
    others: FloatArray,
) -> ObjectRegion:
    points = patch.points_m
    distance = np.sqrt(np.sum((points - target) ** 2, axis=-1))
    with np.errstate(invalid="ignore"):
        raised = np.isfinite(distance) if support is None else support.height_m(points) > _height_limit(patch, support)
        above = raised & (distance <= max_size_m)
    core = above & patch.solid
    seed = np.where(core, distance + np.where(patch.firm, 0.0, EDGE_M), np.inf)
    at = np.unravel_index(int(np.argmin(seed)), seed.shape)
    on_plane = support is not None and support.height_m(target) < HEIGHT_M + 2.0 * support.sigma_m
    if float(np.min(distance, where=core, initial=np.inf)) > (0.5 if on_plane else 1.0) * SEED_M:
        status = RegionStatus.ON_SUPPORT if on_plane else RegionStatus.MISSING
        words = "the point is on the support plane" if on_plane else "no measured surface near the point"
        return _nothing(depth_m.shape, status, target, words, support)
    division = divide(patch, core, (int(at[0]), int(at[1])), color, _cells(patch, others))
    inside = _with_outline(division.mask, above, patch)
    if np.count_nonzero(inside) < _MIN_PIXELS:
        return _nothing(depth_m.shape, RegionStatus.MISSING, target, "too few connected pixels at the point", support)
    too_large = _cut_length(inside, raised & ~above, patch) * patch.spacing_m(at_m=float(target[2])) > CUT_M
    flags = _flags(inside, patch, support, division.uncertain, too_large)
    return ObjectRegion(
        status=flags[0] if flags else RegionStatus.OK,
        flags=flags,
        message="; ".join(_WORDS[flag] for flag in flags),
        mask=_full_mask(depth_m, inside, patch),
        points_m=points[inside],
        target_m=target,
        support=support,
        patch=patch,
        inside=inside,
        touching=division.cut,
    )


_WORDS = {
    RegionStatus.CUT_OFF: "the object touches the border of the image",
    RegionStatus.TOO_LARGE: "the object reaches the size limit and was cut there",
    RegionStatus.MERGED: "the object can hardly be told from a neighbor that touches it",
    RegionStatus.NO_SUPPORT: "no support plane was found",
}


def _flags(
    inside: BoolArray, patch: Patch, support: SupportPlane | None, merged: bool, too_large: bool
) -> tuple[RegionStatus, ...]:
    width, height = patch.image_wh
    rows, columns = np.nonzero(inside)
    u, v = patch.columns[columns], patch.rows[rows]
    edge = 2 + patch.stride
    cut_off = bool(np.any((u < edge) | (v < edge) | (u >= width - edge) | (v >= height - edge)))
    found = {
        RegionStatus.CUT_OFF: cut_off,
        RegionStatus.TOO_LARGE: too_large,
        RegionStatus.MERGED: merged,
        RegionStatus.NO_SUPPORT: support is None,
    }
    return tuple(flag for flag, applies in found.items() if applies)


def _cut_length(inside: BoolArray, beyond: BoolArray, patch: Patch) -> int:
    """Count the pixels at which a surface goes on from the inside (n, m) to the pixels beyond the size limit."""
    across = patch.right & (inside[:, :-1] & beyond[:, 1:] | inside[:, 1:] & beyond[:, :-1])
    along = patch.down & (inside[:-1] & beyond[1:] | inside[1:] & beyond[:-1])
    return int(np.count_nonzero(across)) + int(np.count_nonzero(along))


def _height_limit(patch: Patch, support: SupportPlane) -> FloatArray:
    # A depth error moves a point along its ray, which is seldom square to the plane.
    slant = np.abs(patch.rays @ support.normal)
    return np.maximum(HEIGHT_M, HEIGHT_SIGMAS * np.minimum(patch.sigma_m * slant, 2.0 * support.sigma_m))


def _cells(patch: Patch, pixels: FloatArray) -> list[tuple[int, int]]:
    """Return the rows and columns in the patch of the pixels (k, 2) that lie in it."""
    cells = np.rint((pixels[:, ::-1] - [patch.rows[0], patch.columns[0]]) / patch.stride).astype(np.int64)
    return [(int(row), int(column)) for row, column in cells if 0 <= row < len(patch.rows) and 0 <= column < len(patch.columns)]


def _with_outline(piece: BoolArray, above: BoolArray, patch: Patch) -> BoolArray:
    """Add the adjacent pixels that were dropped as mixed but agree with the piece in depth."""
    wide = np.pad(np.where(piece, patch.depth_m, np.nan), 1, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(wide, (3, 3))
    limit = np.maximum(EDGE_M, EDGE_SIGMAS * patch.sigma_m)
    with np.errstate(invalid="ignore"):
        agree = np.abs(around - patch.depth_m[..., None, None]) <= limit[..., None, None]
    return piece | (agree.any(axis=(2, 3)) & above)


def _full_mask(depth_m: DepthArray, inside: BoolArray, patch: Patch) -> BoolArray:
    """Upsample the region to the resolution of the image, with small holes filled."""
    mask = np.zeros(depth_m.shape, dtype=bool)
    stride = patch.stride
    closed = ~grown(~grown(np.pad(inside, 2), 1), 1)[2:-2, 2:-2] | inside
    block = np.repeat(np.repeat(closed, stride, axis=0), stride, axis=1)
    top, left = int(patch.rows[0]) - stride // 2, int(patch.columns[0]) - stride // 2
    first_row, first_column = max(0, -top), max(0, -left)
    part = mask[max(top, 0) : top + block.shape[0], max(left, 0) : left + block.shape[1]]
    part[:] = block[first_row : first_row + part.shape[0], first_column : first_column + part.shape[1]]
    return mask


def _nothing(
    shape: tuple[int, ...], status: RegionStatus, target: FloatArray, message: str, support: SupportPlane | None = None
) -> ObjectRegion:
    mask = np.zeros(shape[:2], dtype=bool)
    return ObjectRegion(status, (status,), message, mask, np.zeros((0, 3)), np.asarray(target, np.float64), support)
