"""Mask of an object by depth and support: the one at a pixel, or the only one that stands on the support."""

import math
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.depth.frame_noise import noise_of
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.grasp.object_region import ObjectRegion, RegionStatus, grow_region
from molmo_point.grasp.patch import SPACING_M, Patch, cut_patch, label_pieces
from molmo_point.grasp.support import SupportPlane, find_support
from molmo_point.teaching.masks.color_mask import mask_by_click
from molmo_point.teaching.masks.outline import fitted_to_color, import_cv2, largest_piece, widened, without_holes
from molmo_point.teaching.masks.piece import place_in
from molmo_point.teaching.object_mask import MaskDoubt, MaskSource, NoMask, ObjectMask, ViewRefusal

MAX_OBJECT_M = 0.3
"""Largest distance of an object's points from the point that chose it, in meters."""

OFF_M = 0.008
"""Largest distance by which the outline of depth may be off the outline of color, in meters."""

_LEAST_HEIGHT_M, _HEIGHT_SIGMAS, _LARGEST_HEIGHT_M = 0.006, 4.0, 0.4
_LEAST_AREA_M2, _LEAST_CELLS = 6e-5, 20
_RIVAL_SHARE = 0.2
_PART_SHARE = 0.3
_SEEDS = (0.3, 0.5, 0.7)
_MIDDLE_SPREAD = 0.35
_HULL_M = 0.02
_WHOLE_M = 10.0
_CELLS = 70_000
_ENOUGH = 0.6


@dataclass(frozen=True, eq=False)
class StandingObjects:
    """Objects on the support in front of a camera.

    Attributes:
        patch: The whole image, thinned.
        support: The support; None if none was found.
        pieces: Cells (n, m) of each object, largest first.
    """

    patch: Patch
    support: SupportPlane | None
    pieces: tuple[BoolArray, ...]

    def places(self) -> tuple[tuple[float, float], ...]:
        """Return a pixel (u, v) on each object."""
        return tuple(self.place(piece) for piece in self.pieces)

    def place(self, piece: BoolArray) -> tuple[float, float]:
        """Return the pixel (u, v) deepest inside of a piece."""
        column, row = place_in(piece)
        return float(self.patch.columns[int(column)]), float(self.patch.rows[int(row)])

    def full(self, piece: BoolArray, shape: tuple[int, int]) -> BoolArray:
        """Return the pixels (h, w) of a piece."""
        cv2 = import_cv2()
        rows, columns, stride = self.patch.rows, self.patch.columns, self.patch.stride
        size = (len(columns) * stride, len(rows) * stride)
        large = cv2.resize(piece.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.5
        mask = np.zeros(shape, bool)
        top, left = int(rows[0]) - stride // 2, int(columns[0]) - stride // 2
        part = mask[max(top, 0) : top + size[1], max(left, 0) : left + size[0]]
        part[:] = large[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1]]
        return mask


def mask_by_region(frame: RgbdFrame, uv: tuple[float, float] | None = None) -> ObjectMask | NoMask:
    """Find an object by depth: the one at a pixel, or the only one on the support.

    Args:
        frame: Frame with depth and intrinsics.
        uv: Pixel on the object; None takes the only object.

    Raises:
        InputError: The frame has no depth or no intrinsics, or the pixel is outside.
        DependencyError: OpenCV is not installed.
    """
    if frame.depth_m is None or frame.intrinsics is None:
        lacking = "depth" if frame.depth_m is None else "intrinsics"
        raise InputError("frame must have depth and intrinsics", f"a frame without {lacking}", "give both, or click the object")
    if uv is not None:
        return _at(frame, uv)
    standing = standing_objects(frame)
    if not standing.pieces:
        return NoMask(ViewRefusal.NO_OBJECT, "No object is seen on the table: put it in front of the camera.")
    areas = [np.count_nonzero(piece) for piece in standing.pieces]
    count = int(sum(area >= _RIVAL_SHARE * areas[0] for area in areas))
    if count > 1:
        said = f"{count} objects are seen: show one alone, or click the one that is meant."
        return NoMask(ViewRefusal.SEVERAL_OBJECTS, said, standing.places()[:count])
    return _whole(frame, standing)


def _at(frame: RgbdFrame, uv: tuple[float, float]) -> ObjectMask | NoMask:
    region = _region(frame, uv)
    if region.status is RegionStatus.ON_SUPPORT:
        return _flat(frame, uv)
    if region.status is RegionStatus.MISSING:
        return mask_by_click(frame.color, uv)
    if RegionStatus.TOO_LARGE in region.flags:
        return NoMask(ViewRefusal.UNCLEAR, "The depth does not divide the object from what it touches: show it alone.", (uv,))
    doubts = [MaskDoubt.TOUCHING] if RegionStatus.MERGED in region.flags else []
    doubts += [MaskDoubt.NO_SUPPORT] if RegionStatus.NO_SUPPORT in region.flags else []
    return _fitted(frame, region.mask, float(region.target_m[2]), doubts)


def _region(frame: RgbdFrame, uv: tuple[float, float]) -> ObjectRegion:
    assert frame.depth_m is not None and frame.intrinsics is not None
    noise = noise_of(frame)
    return grow_region(frame.depth_m, uv, frame.intrinsics, noise, max_size_m=MAX_OBJECT_M, color=frame.color)


def _flat(frame: RgbdFrame, uv: tuple[float, float]) -> ObjectMask | NoMask:
    """Separate an object that depth cannot tell from its support, by color."""
    found = mask_by_click(frame.color, uv)
    if isinstance(found, NoMask):
        return found
    return ObjectMask(found.mask, found.ignored, MaskSource.CLICK, (MaskDoubt.FLAT, *found.doubts))


def _whole(frame: RgbdFrame, standing: StandingObjects) -> ObjectMask | NoMask:
    """Mask the only piece on the support, if it is one object."""
    piece = standing.pieces[0]
    at = standing.place(piece)
    full = standing.full(piece, frame.color.shape[:2])
    region = _region(frame, at)
    doubts = []
    if region.touching and RegionStatus.MERGED not in region.flags:
        rest = largest_piece(full & ~widened(region.mask, 2.0 * standing.patch.stride))
        if np.count_nonzero(rest) > _PART_SHARE * np.count_nonzero(full):
            doubts.append(MaskDoubt.TOUCHING)
    rows, columns = np.nonzero(piece)
    return _fitted(frame, full, float(np.nanmedian(standing.patch.depth_m[rows, columns])), doubts)


def _fitted(frame: RgbdFrame, coarse: BoolArray, at_m: float, doubts: list[MaskDoubt]) -> ObjectMask:
    assert frame.intrinsics is not None
    coarse = largest_piece(without_holes(coarse))
    size_px = math.sqrt(np.count_nonzero(coarse))
    off_px = min(max(OFF_M * frame.intrinsics.focal_px / at_m, 2.0), max(0.2 * size_px, 2.0))
    mask, ignored, clear = fitted_to_color(frame.color, coarse, off_px)
    doubts = doubts if clear else [*doubts, MaskDoubt.OUTLINE_BY_DEPTH]
    return ObjectMask(mask, ignored, MaskSource.REGION, tuple(doubts))


def standing_objects(frame: RgbdFrame) -> StandingObjects:
    """Find all objects that stand on the support in front of the camera.

    Args:
        frame: Frame with depth and intrinsics.
    """
    depth_m, camera = frame.depth_m, frame.intrinsics
    assert depth_m is not None and camera is not None
    height, width = depth_m.shape
    center = np.array([0.5 * (width - 1), 0.5 * (height - 1)])
    # The depth that is named here decides how far apart the cells of the patch are.
    thin = max(1, round(math.sqrt(depth_m.size / _CELLS)))
    at_m = SPACING_M * camera.focal_px / thin
    patch = cut_patch(depth_m, center, at_m, camera, noise_of(frame), reach_m=_WHOLE_M)
    support = _main_support(patch)
    if support is None:
        return StandingObjects(patch, None, ())
    return StandingObjects(patch, support, _pieces(patch, support))


def _main_support(patch: Patch) -> SupportPlane | None:
    """Return the plane that holds most of the middle of the image; the lowest of those that hold nearly as much."""
    rows, columns = patch.depth_m.shape
    down, across = (np.linspace(-1, 1, count) for count in (rows, columns))
    weight = np.exp(-0.5 * (down[:, None] ** 2 + across**2) / _MIDDLE_SPREAD**2)[::4, ::4]
    points = patch.points_m[::4, ::4]
    best: tuple[float, SupportPlane] | None = None
    for down_share in _SEEDS:
        for across_share in _SEEDS:
            target = _nearest_point(patch, round(down_share * rows), round(across_share * columns))
            if target is None or (best is not None and best[0] > _ENOUGH * weight.sum() and _is_on(best[1], target)):
                continue
            plane = find_support(patch, target)
            if plane is None:
                continue
            with np.errstate(invalid="ignore"):
                off = plane.height_m(points)
                held = float(weight[np.abs(off) < np.maximum(0.006, 3.0 * plane.sigma_m)].sum())
            if best is None or held > 1.02 * best[0]:
                best = held, plane
    return None if best is None else best[1]


def _is_on(plane: SupportPlane, point_m: FloatArray) -> bool:
    return abs(float(plane.height_m(point_m))) < 0.006 + 3.0 * plane.sigma_m


def _nearest_point(patch: Patch, row: int, column: int) -> FloatArray | None:
    reach = max(2, len(patch.rows) // 12)
    part = slice(max(row - reach, 0), row + reach), slice(max(column - reach, 0), column + reach)
    points = patch.points_m[part][patch.solid[part]]
    if not len(points):
        return None
    middle = np.median(points, axis=0)
    return points[int(np.argmin(np.sum((points - middle) ** 2, axis=1)))]


def _pieces(patch: Patch, support: SupportPlane) -> tuple[BoolArray, ...]:
    """Return the connected cells above the part of the support that is seen, largest first."""
    points = patch.points_m
    slant = np.abs(patch.rays @ support.normal)
    limit = np.maximum(_LEAST_HEIGHT_M, _HEIGHT_SIGMAS * np.maximum(patch.sigma_m * slant, support.sigma_m))
    with np.errstate(invalid="ignore"):
        off = support.height_m(points)
        raised = (off > limit) & (off < _LARGEST_HEIGHT_M)
        on = np.abs(off) < np.minimum(limit, 3.0 * support.sigma_m + 0.003)
    over = _over_support(points, support, on, raised)
    raised &= over
    labels = label_pieces(raised, patch.right, patch.down)
    numbers, counts = np.unique(labels[raised], return_counts=True)
    found = []
    for number, count in sorted(zip(numbers, counts, strict=True), key=lambda pair: -pair[1]):
        if count < _LEAST_CELLS:
            break
        piece = labels == number
        if _area_m2(patch, piece) < _LEAST_AREA_M2:
            continue
        found.append(piece)
    return tuple(_joined(found, patch))


def _over_support(points: FloatArray, support: SupportPlane, on: BoolArray, raised: BoolArray) -> BoolArray:
    """Tell the points whose foot lies on the part of the support that is seen."""
    cv2 = import_cv2()
    pieces = label_pieces(on)
    numbers, counts = np.unique(pieces[on], return_counts=True)
    if not numbers.size:
        return np.zeros_like(raised)
    main = np.isin(pieces, numbers[counts > 0.1 * counts.max()])
    one = np.cross(support.normal, [1.0, 0.0, 0.0])
    one /= np.linalg.norm(one)
    axes = np.stack([one, np.cross(support.normal, one)], axis=1)
    hull = cv2.convexHull((points[main] @ axes).astype(np.float32))[:, 0].astype(np.float64)
    over = np.zeros_like(raised)
    edges = np.roll(hull, -1, axis=0) - hull
    outward = np.stack([edges[:, 1], -edges[:, 0]], axis=1) / np.maximum(np.linalg.norm(edges, axis=1), 1e-9)[:, None]
    middle = hull.mean(axis=0)
    outward *= -np.sign(np.sum(outward * (middle - hull), axis=1))[:, None]
    feet = points[raised] @ axes
    inside = (feet @ outward.T - np.sum(outward * hull, axis=1)).max(axis=1) < _HULL_M
    over[raised] = inside
    return over


def _area_m2(patch: Patch, piece: BoolArray) -> float:
    return float(np.sum((patch.spacing_m(1.0) * patch.depth_m[piece]) ** 2))


def _joined(pieces: list[BoolArray], patch: Patch) -> list[BoolArray]:
    """Join pieces that only a hole in the depth divides: near in space and next to one another in the image."""
    joined: list[BoolArray] = []
    for piece in pieces:
        near = None
        wide = widened(piece, max(2.0, 0.012 / patch.spacing_m(float(np.nanmedian(patch.depth_m[piece])))))
        for number, other in enumerate(joined):
            if (wide & other).any() and _gap_m(patch, wide & other, piece) < 0.015:
                near = number
                break
        if near is None:
            joined.append(piece)
        else:
            joined[near] = joined[near] | piece
    return joined


def _gap_m(patch: Patch, side: BoolArray, piece: BoolArray) -> float:
    """Return the smallest distance of two sets of cells, thinned, in meters."""
    one, other = (patch.points_m[cells] for cells in (side, piece))
    one, other = one[:: max(1, len(one) // 200)], other[:: max(1, len(other) // 400)]
    return float(np.sqrt(((one[:, None] - other[None]) ** 2).sum(axis=-1)).min())
