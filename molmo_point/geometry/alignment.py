"""Depth of one camera reprojected into another camera, with occlusion."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from molmo_point.arrays import DepthArray, FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform

MAX_FOOTPRINT_PX = 8
"""Largest side of one depth pixel's footprint, in pixels of the target image."""
OVERLAP_PX = 0.25
"""Enlargement of a footprint on each side, in pixels, that closes hairlines on slanted surfaces."""


def align_depth(
    depth_m: DepthArray,
    depth_camera: Intrinsics,
    color_camera: Intrinsics,
    color_T_depth: Transform,
) -> DepthArray:
    """Reproject a depth image into another camera, e.g. the color camera next to it.

    Every depth pixel is a small square facing its camera. Its corners are lifted, transformed and projected, with the
    distortion of both lenses. It covers the pixels whose centers lie within. The nearest square wins a pixel. Surfaces
    that only the other camera sees stay missing.

    Args:
        depth_m: Depth (h, w) along z in meters, NaN where missing; the size is that of `depth_camera`.
        depth_camera: Intrinsics of the depth image.
        color_camera: Intrinsics of the image to align to.
        color_T_depth: From the depth camera's optical frame to the other's.

    Returns:
        Depth (h, w) of the color image's size, float32 meters along its z; NaN where missing.

    Raises:
        InputError: If the depth is not float or not of its intrinsics' size, or if one of its pixels would cover more
            than `MAX_FOOTPRINT_PX` (wrong units or wrong intrinsics).
    """
    depth_m = np.asarray(depth_m)
    if depth_m.shape != depth_camera.size_wh[::-1] or not np.issubdtype(depth_m.dtype, np.floating):
        raise InputError(
            "depth_m must be float meters of its intrinsics' size",
            f"shape {depth_m.shape} {depth_m.dtype}, intrinsics {depth_camera.size_wh} (width, height)",
            "convert it with frame.decode_depth, and give the intrinsics of the depth stream",
        )
    rows, columns = np.nonzero(np.isfinite(depth_m) & (depth_m > 0))
    aligned = np.full(color_camera.size_wh[::-1], np.nan)
    if not rows.size:
        return aligned.astype(np.float32)
    center, low, high = _footprints(depth_m[rows, columns], rows, columns, depth_camera, color_camera, color_T_depth)
    # Seen from the side, the squares of a slanted surface leave hairlines between them; a little overlap closes them.
    closed = aligned.copy()
    _paint(aligned, center, low, high, color_camera)
    _paint(closed, center, low - OVERLAP_PX, high + OVERLAP_PX, color_camera)
    return np.where(np.isnan(aligned), closed, aligned).astype(np.float32)


def _footprints(
    depth_m: ArrayLike,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    depth_camera: Intrinsics,
    color_camera: Intrinsics,
    color_T_depth: Transform,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute the depth (n,) in the other camera, and the lowest and highest u, v (n, 2) of each footprint there."""
    z = np.asarray(depth_m, dtype=np.float64)
    corners, depth = [], np.zeros_like(z)
    for du, dv in ((0.0, 0.0), (-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)):
        p_depth = depth_camera.deproject(np.stack([columns + du, rows + dv], axis=-1), z)
        p_color = color_T_depth.apply(p_depth, color_T_depth.source)
        if du == dv == 0.0:
            depth = p_color[:, 2]
        else:
            corners.append(color_camera.project(p_color))
    low, high = np.minimum.reduce(corners), np.maximum.reduce(corners)
    return depth, low, high


def _paint(aligned: FloatArray, depth: FloatArray, low: FloatArray, high: FloatArray, camera: Intrinsics) -> None:
    """Write the depths into the image, far to near, so that the nearest stays."""
    limits = np.array(camera.size_wh) - 0.5
    seen = (depth > 0) & np.all(np.isfinite(low) & np.isfinite(high), axis=1)
    seen &= np.all((high >= -0.5) & (low <= limits), axis=1)
    order = np.flatnonzero(seen)
    order = order[np.argsort(-depth[order], kind="stable")]
    depth, low, high = depth[order], low[order], high[order]
    if not order.size:
        return
    # The centers c with low <= c < high: neighbors share an edge and never leave a gap or overlap.
    first, last = np.ceil(low).astype(int), np.ceil(high).astype(int)
    sizes = last - first
    if sizes.max() > MAX_FOOTPRINT_PX:
        raise InputError(
            "One pixel of depth must cover a small part of the image",
            f"{sizes.max()} pixels, allowed {MAX_FOOTPRINT_PX}",
            "check the intrinsics of both, the unit of the depth, and the transform between them",
        )
    width, height = camera.size_wh
    side_u, side_v = int(sizes[:, 0].max()), int(sizes[:, 1].max())
    targets, owners = [], []
    for dv in range(side_v):
        for du in range(side_u):
            u, v = first[:, 0] + du, first[:, 1] + dv
            inside = (u < last[:, 0]) & (v < last[:, 1]) & (u >= 0) & (v >= 0) & (u < width) & (v < height)
            targets.append(v[inside] * width + u[inside])
            owners.append(np.flatnonzero(inside))
    where, owner = np.concatenate(targets), np.concatenate(owners)
    by_depth = np.argsort(owner, kind="stable")
    aligned.reshape(-1)[where[by_depth]] = depth[owner[by_depth]]
