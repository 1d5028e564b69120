"""Removal of lens distortion from points, boxes and images, for software that knows pinhole cameras only."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics

_PER_SIDE = 17


def without_distortion(intrinsics: Intrinsics) -> Intrinsics:
    """Return the pinhole camera with the same image size, focal lengths and principal point."""
    return replace(intrinsics, distortion_model="none", distortion=())


def undistorted_points(uv: ArrayLike, intrinsics: Intrinsics) -> FloatArray:
    """Move pixels (..., 2) of a camera to `without_distortion` of it; NaN where the lens model has no ray."""
    return without_distortion(intrinsics).project(intrinsics.deproject(uv, 1.0))


def undistorted_box(box: ArrayLike, intrinsics: Intrinsics) -> FloatArray:
    """Return the box that encloses a box (left, top, right, bottom) in pixels of `without_distortion`.

    The border is followed, because a straight side becomes a curve. NaN if the lens model has no ray in all of the border.
    """
    left, top, right, bottom = np.asarray(box, dtype=np.float64)
    across, down = np.linspace(left, right, _PER_SIDE), np.linspace(top, bottom, _PER_SIDE)
    border = [(u, v) for u in across for v in (top, bottom)] + [(u, v) for v in down for u in (left, right)]
    moved = undistorted_points(border, intrinsics)
    if not np.isfinite(moved).all():
        return np.full(4, np.nan)
    return np.concatenate([moved.min(axis=0), moved.max(axis=0)])


def undistorted_image(image: NDArray[Any], intrinsics: Intrinsics) -> NDArray[Any]:
    """Resample an image to `without_distortion`: whole numbers (color) bilinear, floats (depth) by the nearest pixel.

    Args:
        image: Image (h, w) or (h, w, channels) of the camera.
        intrinsics: Camera of the image.

    Returns:
        The image, of the same shape and type; 0 or NaN where the camera saw nothing.

    Raises:
        InputError: If the image has another size than the intrinsics.
    """
    if image.shape[1::-1] != intrinsics.size_wh:
        given = f"image {image.shape[1]} x {image.shape[0]}, intrinsics {intrinsics.width} x {intrinsics.height}"
        raise InputError("image must have the size of the intrinsics", given, "use Intrinsics.scaled or Intrinsics.cropped")
    if not intrinsics.lens.distorts:
        return image.copy()
    u, v = _sources(intrinsics)
    inside = np.isfinite(u)
    u, v = np.where(inside, u, 0.0), np.where(inside, v, 0.0)
    inside = inside if image.ndim == 2 else inside[..., None]
    if image.dtype.kind == "f":
        # Depth is not mixed over an edge.
        return np.where(inside, image[np.rint(v).astype(int), np.rint(u).astype(int)], np.nan).astype(image.dtype)
    left, top = np.floor(u).astype(int), np.floor(v).astype(int)
    right, bottom = np.minimum(left + 1, intrinsics.width - 1), np.minimum(top + 1, intrinsics.height - 1)
    share_x, share_y = u - left, v - top
    if image.ndim == 3:
        share_x, share_y = share_x[..., None], share_y[..., None]
    upper = image[top, left] * (1.0 - share_x) + image[top, right] * share_x
    lower = image[bottom, left] * (1.0 - share_x) + image[bottom, right] * share_x
    return np.where(inside, np.rint(upper * (1.0 - share_y) + lower * share_y), 0.0).astype(image.dtype)


@lru_cache(maxsize=2)
def _sources(intrinsics: Intrinsics) -> tuple[FloatArray, FloatArray]:
    """Return the pixel of the camera that each pixel of the undistorted image shows, NaN outside of the image."""
    width, height = intrinsics.size_wh
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    uv = intrinsics.project_inside(without_distortion(intrinsics).deproject(np.stack([u, v], axis=-1), 1.0))
    return np.clip(uv[..., 0], 0.0, width - 1.0), np.clip(uv[..., 1], 0.0, height - 1.0)
