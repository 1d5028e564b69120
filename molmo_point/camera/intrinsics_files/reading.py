"""A camera as a file describes it, before the size of its image is known."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from molmo_point.camera.intrinsics_files.camera_node import CameraNode, array_of
from molmo_point.errors import InputError
from molmo_point.geometry.camera_limits import Window
from molmo_point.geometry.intrinsics import Intrinsics

_WIDTHS = ("width", "w", "imagewidth", "imgwidth", "imwidth", "xres", "resx", "resolutionx", "camerawidth", "colorwidth", "nx")
_HEIGHTS = (
    "height",
    "h",
    "imageheight",
    "imgheight",
    "imheight",
    "yres",
    "resy",
    "resolutiony",
    "cameraheight",
    "colorheight",
    "ny",
)
_PAIRS = (
    "resolution",
    "imagesize",
    "imgsize",
    "imsize",
    "size",
    "imageresolution",
    "imageshape",
    "imgshape",
    "shape",
    "sizewh",
    "s",
)


@dataclass(frozen=True)
class CameraReading:
    """One camera of a file.

    Attributes:
        layout: Name of the layout.
        camera: Name of the camera in the file; empty if the file has no name for it.
        matrix: Camera matrix K (3, 3), rows as tuples, in pixels; (0, 0) is the center of the top-left pixel.
        size_wh: Width and height of the image; None for a side that the file does not state.
        distortion_model: Lens model, as `Intrinsics` names it.
        distortion: Its coefficients.
        depth_scale_m: Meters per unit of integer depth; None if the file does not tell.
        depth_scales_m: Meters per unit in each of several possible readings of a factor; empty if there is one or none.
        window: Region of interest in the image of K: left, top, width, height; None for the whole image.
        binning: Pixels that were binned along u and v.
        notes: Sentences about what was understood.
    """

    layout: str
    camera: str
    matrix: tuple[tuple[float, ...], ...]
    size_wh: tuple[float | None, float | None] = (None, None)
    distortion_model: str = "none"
    distortion: tuple[float, ...] = ()
    depth_scale_m: float | None = None
    depth_scales_m: tuple[float, ...] = ()
    window: Window | None = None
    binning: tuple[int, int] = (1, 1)
    notes: tuple[str, ...] = ()

    @property
    def camera_values(self) -> tuple[Any, ...]:
        """Everything that tells one camera from another."""
        return self.matrix, self.size_wh, self.distortion_model, self.distortion, self.window, self.binning

    def sized(self, size_wh: tuple[int, int] | None) -> "CameraReading":
        """Return the reading with the sides of an image where the file states none."""
        if None not in self.size_wh:
            return self
        if size_wh is None:
            given = f"layout {self.layout} without width and height"
            raise InputError(
                "Intrinsics must have the size of their image", given, "add width and height, or load them with the image"
            )
        if any(side is not None and side != known for side, known in zip(self.size_wh, size_wh, strict=True)):
            given = f"{self.size_wh}, image {size_wh} (width, height)"
            raise InputError("The intrinsics must be those of the image's size", given, "give the intrinsics of this image")
        note = f"the file states no image size; taken from the image: {size_wh[0]} x {size_wh[1]}"
        return replace(self, size_wh=size_wh, notes=(*self.notes, note))

    def intrinsics(self) -> Intrinsics:
        """Return the intrinsics.

        Raises:
            InputError: No camera has these values.
        """
        width, height = (side or 0 for side in self.size_wh)
        size: Any = (width, height)
        found = Intrinsics.from_matrix(size, self.matrix, self.distortion_model, self.distortion)
        if self.window is not None:
            left, top, *window_wh = (int(value) for value in self.window)
            found = found.cropped(left, top, *window_wh)
        if self.binning != (1, 1):
            found = found.scaled(found.width // self.binning[0], found.height // self.binning[1])
        return found


def size_of(node: CameraNode, center_px: tuple[float, float], tail: str = "") -> tuple[float | None, float | None]:
    """Return width and height that a mapping, one inside it, or one that holds it states.

    Args:
        node: The camera's mapping.
        center_px: Principal point, which tells (width, height) from (height, width).
        tail: Words of the key of this camera's matrix, where one mapping holds several cameras.

    Raises:
        InputError: The order of a pair cannot be told.
    """
    place: CameraNode | None = node
    while place is not None:
        for inner in (place, *_sizes_inside(place)):
            names = ((*_WIDTHS, *(f"{name}{tail}" for name in _WIDTHS)), (*_HEIGHTS, *(f"{name}{tail}" for name in _HEIGHTS)))
            sides = tuple(inner.number(*each) for each in names)
            if sides != (None, None):
                return sides[0], sides[1]
        pair = array_of(place.get(*(f"{name}{tail.replace('_', '')}" for name in _PAIRS), *_PAIRS))
        if pair is not None and pair.size in (2, 3) and pair.ravel()[:2].min() > 1:
            return _ordered(pair.ravel()[:2].tolist(), center_px, (place.get("resolution") is not None))
        place = place.parent
    return None, None


def _sizes_inside(node: CameraNode) -> list[CameraNode]:
    inside = [node.get(name) for name in _PAIRS]
    return [CameraNode(each) for each in inside if isinstance(each, dict)]


def _ordered(pair: list[float], center_px: tuple[float, float], width_first: bool) -> tuple[float, float]:
    """Return width and height of a pair, by the place of the principal point."""
    first, second = pair
    if width_first or first == second:
        return first, second
    off = [max(abs(center_px[0] / w - 0.5), abs(center_px[1] / h - 0.5)) for w, h in ((first, second), (second, first))]
    if max(off) < 0.1:
        given = f"{pair} with the principal point at {center_px}"
        raise InputError("The order of width and height must be clear", given, "write width: and height:")
    return (first, second) if off[0] < off[1] else (second, first)


def matrix_rows(focal_px: tuple[float, float], center_px: tuple[float, float]) -> tuple[tuple[float, ...], ...]:
    """Return K as rows."""
    return (focal_px[0], 0.0, center_px[0]), (0.0, focal_px[1], center_px[1]), (0.0, 0.0, 1.0)


def camera_matrix(values: np.ndarray | None, *, named: bool) -> tuple[np.ndarray, bool] | None:
    """Find a camera matrix in numbers: 3 x 3, 3 x 4 or 4 x 4, by rows or by columns.

    Args:
        values: Numbers of any shape.
        named: Whether their name says that they are a camera matrix; then impossible values are returned, too.

    Returns:
        K and the rest of its rows (3, 3 or 4), and true if the file stores columns; None for other numbers.
    """
    sides = {9: (3, 3), 12: (3, 4), 16: (4, 4)}.get(0 if values is None else values.size)
    if values is None or sides is None or values.ndim > 2:
        return None
    rows = values.reshape(sides)
    turned = values.reshape(sides[::-1]).T if values.ndim == 1 or min(values.shape) == 1 or sides == values.shape else rows
    for matrix, is_turned in ((rows, False), (turned, True)):
        if _is_camera(matrix):
            return matrix[:3], is_turned
    return (rows[:3], False) if named and sides == (3, 3) else None


def _is_camera(matrix: np.ndarray) -> bool:
    upper = matrix[0, 0] > 0 and matrix[1, 1] > 0 and matrix[1, 0] == 0 and matrix[0, 2] != 0 and matrix[1, 2] != 0
    last = bool(upper) and list(matrix[2, :3]) == [0, 0, 1]
    # A pose has a determinant of 1; a camera has focal lengths of more than ten pixels.
    return bool(last and abs(matrix[0, 0] * matrix[1, 1]) > 100.0)
