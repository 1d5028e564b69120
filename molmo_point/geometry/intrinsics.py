"""Pinhole camera with lens distortion: projection of points, deprojection of pixels.

Pixels are continuous, u to the right and v down; (0, 0) is the center of the top-left pixel.
Points are in the optical frame: x right, y down, z forward, in meters.
"""

import contextlib
import math
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.camera_limits import Window, check_camera
from molmo_point.geometry.lens_models import BY_LENGTH, Lens
from molmo_point.plain_json import plain_json

_REQUIRED = ("width", "height", "fx", "fy", "cx", "cy")
_OPTIONAL = ("distortion", "distortion_model", "cropped_from")

_PLAIN = re.compile(r"\s*[-+.0-9eE]+\s*")
_MAX_SKEW = 1e-3
_MAX_UNREACHABLE = 0.02
"""Share of the image that the lens model may leave without rays: the outermost corners of a wide lens."""
_MAX_DARK, _MAX_FOLDED, _MIN_CIRCLE_RAD = 0.65, 0.25, 1.2
"""The same share for a fisheye that folds nowhere before 90 degrees, a circle in a dark frame; for one that folds after this
angle."""
_MIN_LENS, _MAX_LENS = 0.7, 2.5
"""Undistorted over distorted distance from the principal point, at the border of the image."""


@dataclass(frozen=True)
class Intrinsics:
    """Intrinsics of one image stream.

    Attributes:
        width: Image width in pixels.
        height: Image height in pixels.
        fx: Focal length along u, in pixels.
        fy: Focal length along v, in pixels.
        cx: Principal point u, in pixels; (0, 0) is the center of the top-left pixel.
        cy: Principal point v, in pixels.
        distortion_model: Lens model of `lens_models`: "none"; "brown_conrady" (OpenCV and ROS call it `plumb_bob`);
            "rational_polynomial"; "thin_prism"; "equidistant" (a fisheye); or "inverse_brown_conrady" as librealsense 2.5x
            computes it: the tangential terms are taken at the radially scaled coordinates.
        distortion: Coefficients in OpenCV's order, `lens_models.COEFFICIENTS`; empty for "none".
        cropped_from: Left and top of this image in the whole image of the camera, then the width and height of that
            image, in pixels; None if it was not cropped. A crop may have its principal point outside.

    Raises:
        InputError: For a value that is not a finite number, an unknown model, a wrong number of coefficients, and for
            intrinsics that no camera with this image has: see `camera_limits`, and a lens that folds inside the image.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = "none"
    distortion: tuple[float, ...] = ()
    cropped_from: Window | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            object.__setattr__(self, name, _size(name, getattr(self, name)))
        for name in ("fx", "fy", "cx", "cy"):
            object.__setattr__(self, name, _finite(name, getattr(self, name)))
        for name in ("fx", "fy"):
            if getattr(self, name) <= 0:
                fix = "give the focal length in pixels of this image size"
                raise InputError(f"{name} must be above zero", f"{name}={getattr(self, name)}", fix)
        if self.cropped_from is not None:
            object.__setattr__(self, "cropped_from", _numbers("cropped_from", self.cropped_from, 4))
        check_camera(self.size_wh, (self.fx, self.fy), (self.cx, self.cy), self.whole)
        coefficients = tuple(_finite("distortion", value) for value in self.distortion)
        lens = Lens(self.distortion_model, coefficients)
        object.__setattr__(self, "distortion_model", lens.model)
        object.__setattr__(self, "distortion", coefficients)
        if lens.distorts:
            _check_lens(self)

    @property
    def lens(self) -> Lens:
        """Lens model, on coordinates of rays."""
        return Lens(self.distortion_model, self.distortion)

    @property
    def matrix(self) -> FloatArray:
        """Camera matrix K (3, 3), in pixels."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height

    @property
    def whole(self) -> Window:
        """Whole image that this image was cut from, as `cropped_from`; this image itself if it was not cropped."""
        return self.cropped_from or (0.0, 0.0, float(self.width), float(self.height))

    @property
    def focal_px(self) -> float:
        """Geometric mean of fx and fy, in pixels."""
        return math.sqrt(self.fx * self.fy)

    def project(self, p_camera: ArrayLike) -> FloatArray:
        """Project points of the optical frame to pixels.

        Args:
            p_camera: Points (..., 3) in meters.

        Returns:
            Pixels (..., 2), not clipped to the image; NaN for points that are not in front of
            the camera (z <= 0), that lie beyond the fold of the lens model, or are NaN.

        Raises:
            InputError: If the last axis is not 3.
        """
        points = _last_axis("p_camera", p_camera, 3)
        z = points[..., 2]
        in_front = z > 0
        safe_z = np.where(in_front, z, 1.0)
        x, y, lens = points[..., 0] / safe_z, points[..., 1] / safe_z, self.lens
        if lens.distorts:
            with np.errstate(all="ignore"):
                in_front &= lens.unfolded(x, y)
                x, y = lens.distort(x, y)
        uv = np.stack([x * self.fx + self.cx, y * self.fy + self.cy], axis=-1)
        return np.where(in_front[..., None], uv, np.nan)

    def project_inside(self, p_camera: ArrayLike) -> FloatArray:
        """Project points as `project` does, with NaN for pixels outside the image."""
        uv = self.project(p_camera)
        return np.where(within_image(uv, self.size_wh)[..., None], uv, np.nan)

    def deproject(self, uv: ArrayLike, depth_m: ArrayLike) -> FloatArray:
        """Lift pixels with depth to points of the optical frame.

        Args:
            uv: Pixels (..., 2).
            depth_m: Depth along z (...), in meters, broadcast against the pixels.

        Returns:
            Points (..., 3) in meters; NaN where the depth is NaN, and where the lens distortion
            cannot be undone at that pixel (far outside the calibrated image).

        Raises:
            InputError: If the last axis of `uv` is not 2.
        """
        pixels = _last_axis("uv", uv, 2)
        depth = np.asarray(depth_m, dtype=np.float64)
        x, y = self.lens.undistort((pixels[..., 0] - self.cx) / self.fx, (pixels[..., 1] - self.cy) / self.fy)
        x, y, depth = np.broadcast_arrays(x, y, depth)
        return np.stack([x * depth, y * depth, depth], axis=-1)

    def scaled(self, width: int, height: int) -> "Intrinsics":
        """Return the intrinsics of the same image resampled to another size (pixel edges stay in place)."""
        scale_x, scale_y = width / self.width, height / self.height
        left, top, whole_width, whole_height = self.whole
        changed: dict[str, Any] = {
            "width": _size("width", width),
            "height": _size("height", height),
            "fx": self.fx * scale_x,
            "fy": self.fy * scale_y,
            "cx": (self.cx + 0.5) * scale_x - 0.5,
            "cy": (self.cy + 0.5) * scale_y - 0.5,
        }
        if self.cropped_from is not None:
            changed["cropped_from"] = (left * scale_x, top * scale_y, whole_width * scale_x, whole_height * scale_y)
        # Not checked again: an image that is stretched on purpose may have pixels of any shape.
        stretched = object.__new__(type(self))
        for name, value in {**vars(self), **changed}.items():
            object.__setattr__(stretched, name, value)
        return stretched

    def cropped(self, x0: int, y0: int, width: int, height: int) -> "Intrinsics":
        """Return the intrinsics of the window of `width` x `height` pixels whose top-left pixel is (x0, y0).

        Raises:
            InputError: The window reaches beyond the whole image.
        """
        left, top, *whole = self.whole
        cropped_from = (left + x0, top + y0, *whole)
        return replace(self, width=width, height=height, cx=self.cx - x0, cy=self.cy - y0, cropped_from=cropped_from)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON that `from_dict` reads back exactly; `cropped_from` only for a crop."""
        values = plain_json(self)
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_matrix(
        cls, size_wh: tuple[int, int], matrix: ArrayLike, model: str = "none", distortion: Sequence[float] = ()
    ) -> "Intrinsics":
        """Build from the camera matrix K (3, 3) of an image of this size.

        Raises:
            InputError: If K has a skew or another last row than 0 0 1, and as the class does.
        """
        k = np.asarray(matrix, dtype=np.float64)
        if k.shape != (3, 3) or not np.all(np.isfinite(k)):
            raise InputError("K must be 3x3 finite numbers", reprlib.repr(k.tolist()), "give fx 0 cx, 0 fy cy, 0 0 1")
        if np.abs(k[2] - [0.0, 0.0, 1.0]).max() > 1e-9 or abs(k[1, 0]) > 0.0 or abs(k[0, 1]) > _MAX_SKEW * abs(k[0, 0]):
            given = f"skew {k[0, 1]:g}, below the diagonal {k[1, 0]:g}, last row {k[2].tolist()}"
            raise InputError("K must be fx 0 cx, 0 fy cy, 0 0 1", given, "calibrate without skew, or rectify the image first")
        return cls(*size_wh, *k[[0, 1, 0, 1], [0, 1, 2, 2]].tolist(), model, tuple(distortion))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Intrinsics":
        """Build from `width height fx fy cx cy` and optional `distortion distortion_model cropped_from`.

        Coefficients without a model are read by their number, as OpenCV does: 5 "brown_conrady", 8 "rational_polynomial",
        12 or 14 "thin_prism". Four may be a fisheye's: they need the model.

        Raises:
            InputError: For missing or unknown keys, and as the class does.
        """
        if not isinstance(values, Mapping):
            raise InputError("Intrinsics must be a mapping", type(values).__name__, f"give the keys {' '.join(_REQUIRED)}")
        missing = [key for key in _REQUIRED if key not in values]
        unknown = [str(key) for key in values if key not in _REQUIRED + _OPTIONAL]
        if missing or unknown:
            raise InputError(
                "The keys of intrinsics must be the required and optional ones",
                f"missing {missing}, unknown {unknown}",
                f"give {' '.join(_REQUIRED)} and, if the lens distorts, {' '.join(_OPTIONAL)}",
            )
        distortion = values.get("distortion")
        distortion = () if distortion is None else distortion
        if isinstance(distortion, (str, bytes)) or not isinstance(distortion, (Sequence, np.ndarray)):
            raise InputError("distortion must be a list", reprlib.repr(distortion), "give [k1, k2, p1, p2, k3]")
        model = values.get("distortion_model")
        if model is None:
            model = BY_LENGTH.get(len(distortion))
        if model is None:
            given = f"{len(distortion)} coefficients without distortion_model"
            fix = "name it; k1, k2, p1, p2 are 'brown_conrady' with a fifth coefficient 0, a fisheye's four are 'equidistant'"
            raise InputError("The coefficients of a lens must tell their model", given, fix)
        numbers = {key: values[key] for key in _REQUIRED}
        return cls(**numbers, distortion_model=model, distortion=tuple(distortion), cropped_from=values.get("cropped_from"))


def within_image(uv: ArrayLike, size_wh: tuple[int, int], margin_px: float = 0.0) -> BoolArray:
    """Test whether pixels (..., 2) lie in an image; NaN does not.

    A pixel reaches half a pixel to each side of its center, so u goes from -0.5 to width - 0.5.

    Args:
        uv: Pixels (..., 2).
        size_wh: Width and height of the image in pixels.
        margin_px: Smallest distance to the border, in pixels.
    """
    pixels, size = np.asarray(uv, dtype=np.float64), np.array(size_wh)
    return np.all((pixels >= margin_px - 0.5) & (pixels <= size - 0.5 - margin_px), axis=-1)


@lru_cache(maxsize=64)
def _check_lens(camera: Intrinsics) -> None:
    """Refuse a lens model that folds inside the image, or that bends rays as no lens does."""
    u, v = (np.arange(24) + 0.5) / 24 * camera.width - 0.5, (np.arange(18) + 0.5) / 18 * camera.height - 0.5
    x, y = np.meshgrid((u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy)
    lens, fisheye = camera.lens, camera.distortion_model == "equidistant"
    straight_x, straight_y = lens.undistort(x, y)
    unreachable = float(np.mean(np.isnan(straight_x)))
    words = f"{lens.model} {lens.coefficients}"
    fix = "check the order of the coefficients and the model, or calibrate again with views up to the corners"
    allowed = _MAX_DARK if math.isinf(lens.fold) else _MAX_FOLDED if lens.fold > math.tan(_MIN_CIRCLE_RAD) else 0.0
    if unreachable > max(allowed if fisheye else 0.0, _MAX_UNREACHABLE):
        given = f"{unreachable:.0%} of the image has no ray with {words}"
        raise InputError("The lens distortion must be invertible within the image", given, fix)
    border = np.ones(x.shape, bool)
    border[1:-1, 1:-1] = False
    border &= ~np.isnan(straight_x) & (np.hypot(x, y) > 0.0)
    straight, bent = np.hypot(straight_x, straight_y)[border], np.hypot(x, y)[border]
    # The angle, where a model is made for wide lenses: the distance grows beyond all bounds at 90 degrees.
    wide = lens.model in ("rational_polynomial", "thin_prism", "equidistant")
    bend, most = straight / bent, (np.arctan(straight) if wide else straight) / bent
    low, high = float(bend.min(initial=1.0)), float(most.max(initial=0.0))
    if low < _MIN_LENS or high > _MAX_LENS:
        what = f"The lens must move the border of the image by a factor of {_MIN_LENS:g} to {_MAX_LENS:g}"
        raise InputError(what, f"{low:.2g} to {high:.2g} with {words}", fix)


def _size(name: str, value: Any) -> int:
    number = _finite(name, value)
    if number != int(number) or number < 1:
        fix = "give the size of the image that the intrinsics belong to"
        raise InputError(f"{name} must be a whole number of pixels above zero", f"{name}={_shown(value)}", fix)
    return int(number)


def _numbers(name: str, values: Any, count: int) -> tuple[Any, ...]:
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Sequence) or len(values) != count:
        raise InputError(f"{name} must be a list of {count} numbers", reprlib.repr(values), "give pixels")
    return tuple(_finite(name, value) for value in values)


def _finite(name: str, value: Any) -> float:
    number = math.nan
    # `true` is 1 to Python, "5_36" is 536, and a number of 400 digits is none to the processor.
    plain = _PLAIN.fullmatch(value) if isinstance(value, str) else not isinstance(value, (bool, np.bool_, bytes))
    if plain:
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            number = float(value)
    if not math.isfinite(number):
        given = f"{name}={_shown(value)}"
        raise InputError(f"{name} must be a finite number", given, "calibrate the camera or fix the file")
    return number


def _shown(value: Any) -> str:
    try:
        return reprlib.repr(value)
    except ValueError:
        return "a number of thousands of digits"


def _last_axis(name: str, values: ArrayLike, length: int) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim < 1 or array.shape[-1] != length:
        what = f"The last axis of {name} must have length {length}"
        raise InputError(what, f"shape {array.shape}", f"give an array of shape (..., {length})")
    return array
