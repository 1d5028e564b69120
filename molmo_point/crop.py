"""Region of the image to look at instead of the whole image.

A region begins at whole pixels. A point of the crop therefore has the image coordinates
"crop coordinates plus the region's corner", whatever the convention for the center of a pixel.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import within_image
from molmo_point.request import PointRequest
from molmo_point.results import ImagePoint, Pointing

LEAST_PX = 32
"""Smallest side of a region, in pixels."""
DEFAULT_SHARE = 0.5
"""Default side of a region, as a share of the image's shorter side."""
_AROUND = 2.0
"""Side of a region, as a multiple of the extent of the points in it."""


@dataclass(frozen=True)
class Region:
    """Rectangle of whole pixels.

    Attributes:
        x0: First column.
        y0: First row.
        w: Number of columns.
        h: Number of rows.
    """

    x0: int
    y0: int
    w: int
    h: int

    def crop(self, frame: RgbdFrame) -> RgbdFrame:
        """Cut the color image of the region out of a frame, without depth and intrinsics."""
        color = frame.color[self.y0 : self.y0 + self.h, self.x0 : self.x0 + self.w]
        return RgbdFrame(np.ascontiguousarray(color), None, None, frame.stamp_ns, frame.frame)

    def to_image(self, point: ImagePoint) -> ImagePoint:
        """Convert a point of the crop to a point of the image."""
        modes = tuple(replace(mode, u=mode.u + self.x0, v=mode.v + self.y0) for mode in point.modes)
        return replace(point, u=point.u + self.x0, v=point.v + self.y0, modes=modes)

    def as_tuple(self) -> tuple[int, int, int, int]:
        """Return x0, y0, w, h."""
        return self.x0, self.y0, self.w, self.h


def region_near(near: Any, size_wh: tuple[int, int], size_px: float | None = None) -> Region | None:
    """Choose the square to look at.

    Args:
        near: (u, v) in pixels of the image, an `ImagePoint`, or a `Pointing`. The region holds all points
            of a pointing, with as much room around them as between them.
        size_wh: Width and height of the image in pixels.
        size_px: Smallest side of the square in pixels; None takes half of the image's shorter side.

    Returns:
        The square, moved inside the image and cut to it; None for a pointing without points, and when
        the square would be the whole image.

    Raises:
        InputError: If `near` is of another type or outside the image, or the size is below `LEAST_PX`.
    """
    places = _places(near, size_wh)
    if not len(places):
        return None
    side = DEFAULT_SHARE * min(size_wh) if size_px is None else _checked_size(size_px)
    side = max(side, LEAST_PX, _AROUND * float(np.ptp(places, axis=0).max()))
    middle = (places.min(0) + places.max(0)) / 2
    width, height = (min(round(side), limit) for limit in size_wh)
    if (width, height) == tuple(size_wh):
        return None
    # Pixel k reaches from k - 0.5 to k + 0.5.
    x0, y0 = (
        min(max(round(float(center) + 0.5 - length / 2), 0), limit - length)
        for center, length, limit in zip(middle, (width, height), size_wh, strict=True)
    )
    return Region(x0, y0, width, height)


def _places(near: Any, size_wh: tuple[int, int]) -> np.ndarray:
    """Return the pixels (n, 2) that `near` names."""
    if isinstance(near, Pointing):
        return np.array([point.uv for point in near.points], float).reshape(-1, 2)
    given = (near.u, near.v) if isinstance(near, ImagePoint) else near
    fix = "pass (u, v) in pixels, an ImagePoint, or the last Pointing"
    if not isinstance(given, (Sequence, np.ndarray)) or isinstance(given, str) or len(given) != 2:
        raise InputError("near must be a point", repr(near), fix)
    try:
        u, v = (float(value) for value in given)
    except (TypeError, ValueError) as error:
        raise InputError("near must be a point", repr(near), fix) from error
    if not within_image((u, v), size_wh):
        raise InputError("near must be inside the image", f"({u}, {v}), image {size_wh} (width, height)", fix)
    return np.array([[u, v]])


def _checked_size(size_px: Any) -> float:
    if isinstance(size_px, bool) or not isinstance(size_px, (int, float, np.number)) or not LEAST_PX <= size_px < math.inf:
        raise InputError(f"near_size_px must be at least {LEAST_PX}", repr(size_px), "give the side of the region in pixels")
    return float(size_px)


class View:
    """The part of a frame that the model sees."""

    def __init__(self, frame: RgbdFrame, region: Region | None) -> None:
        self.frame = frame
        self.region = region
        seen = frame if region is None else replace(region.crop(frame), rotate_deg=frame.rotate_deg)
        self.color = seen.upright_color if frame.rotate_deg else seen.color
        self.size_wh = (self.color.shape[1], self.color.shape[0])

    def to_image(self, points: tuple[ImagePoint, ...]) -> tuple[ImagePoint, ...]:
        """Turn points of the view into points of the frame."""
        points = tuple(self._as_stored(point) for point in points) if self.frame.rotate_deg else points
        if self.region is None:
            return points
        # Measured: points in a crop are no more precise, so their error is that of the whole image.
        closer = self.frame.size_wh[0] / self.region.w
        as_whole = (point if point.modes else replace(point, sigma_px=point.sigma_px * closer) for point in points)
        return tuple(map(self.region.to_image, as_whole))

    def _as_stored(self, point: ImagePoint) -> ImagePoint:
        """Turn a point of the upright picture back into one of the picture as the sensor has it."""
        width, height = self.size_wh

        def back(u: float, v: float) -> dict[str, float]:
            turned = {90: (v, width - 1.0 - u), 180: (width - 1.0 - u, height - 1.0 - v), 270: (height - 1.0 - v, u)}
            return dict(zip(("u", "v"), turned[self.frame.rotate_deg], strict=True))

        modes = tuple(replace(mode, **back(mode.u, mode.v)) for mode in point.modes)
        return replace(point, **back(point.u, point.v), modes=modes)


def views_of(frame: RgbdFrame, request: PointRequest) -> Iterator["View"]:
    """Yield the square around the place to look at, if there is one, and then the whole image."""
    region = None if request.near is None else region_near(request.near, frame.size_wh, request.near_size_px)
    if region is not None:
        yield View(frame, region)
    yield View(frame, None)
