"""One capture of a camera: color image, aligned depth, intrinsics and capture time."""

import math
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import ColorArray, DepthArray
from molmo_point.dependencies import require
from molmo_point.errors import InputError
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.known_plane import KnownPlane
from molmo_point.geometry.transforms import Transform, check_frame_name

OPTICAL_FRAME = "camera_color_optical_frame"
ROTATIONS = (0, 90, 180, 270)
"""Turns of a camera's picture, in degrees clockwise."""
MIN_DEPTH_UNIT_M, MAX_DEPTH_UNIT_M = 1e-6, 1.0


@dataclass(frozen=True, eq=False)
class RgbdFrame:
    """One capture of a camera, with one depth per color pixel.

    Attributes:
        color: RGB image (h, w, 3), uint8.
        depth_m: Depth along z (h, w), float32 meters, NaN where missing; None without depth.
        intrinsics: Intrinsics of the color image; None if unknown.
        stamp_ns: Capture time of the color image, in nanoseconds.
        frame: Name of the optical frame (x right, y down, z forward).
        depth_stamp_ns: Capture time of the depth image, in nanoseconds; None if it is `stamp_ns`.
        depth_noise: Noise of the depth camera; None if unknown.
        plane: Known plane below the objects, in the optical frame, for targets without depth; None if unknown.
        rotate_deg: Turn that makes the picture upright for the model, in degrees clockwise: 0, 90, 180 or 270. Pixels, depth,
            intrinsics and positions are those of the image as the sensor has it.
        depth_doubt: Reason for doubting that depth belongs to the color image, in words; None without one. Answers with such
            depth bear the caution MISALIGNED_DEPTH.

    Raises:
        InputError: If shapes, types, sizes or units are wrong or contradict each other.
    """

    color: ColorArray
    depth_m: DepthArray | None
    intrinsics: Intrinsics | None
    stamp_ns: int
    frame: str = OPTICAL_FRAME
    depth_stamp_ns: int | None = None
    depth_noise: DepthNoise | None = None
    plane: KnownPlane | None = None
    rotate_deg: int = 0
    depth_doubt: str | None = None

    def __post_init__(self) -> None:
        _check_color(self.color)
        _check_stamp("stamp_ns", self.stamp_ns)
        if self.depth_stamp_ns is not None:
            _check_stamp("depth_stamp_ns", self.depth_stamp_ns)
        check_frame_name("The optical frame", self.frame)
        if self.rotate_deg not in ROTATIONS:
            fix = "give the turn clockwise that makes the picture upright"
            raise InputError("rotate must be 0, 90, 180 or 270 degrees", f"{self.rotate_deg}", fix)
        if self.depth_m is not None:
            _check_depth(self.depth_m, self.size_wh)
        if self.plane is not None and self.plane.frame != self.frame:
            given = f"plane in {self.plane.frame!r}, image in {self.frame!r}"
            raise InputError("plane must be in the optical frame", given, "use KnownPlane.transformed")
        if self.intrinsics is not None and self.intrinsics.size_wh != self.size_wh:
            raise InputError(
                "The intrinsics must be those of the image's size",
                f"intrinsics for {self.intrinsics.size_wh}, image {self.size_wh} (width, height)",
                "use the intrinsics of this stream, or Intrinsics.scaled / Intrinsics.cropped",
            )

    @classmethod
    def of(cls, image: "FrameOrImage") -> "RgbdFrame":
        """Return a frame as it is; wrap a bare image without depth, intrinsics and capture time (stamp 0).

        Args:
            image: A frame, or an RGB image (h, w, 3), uint8. OpenCV reads BGR: reverse its last axis.

        Raises:
            InputError: If the image is of another type.
        """
        if isinstance(image, cls):
            return image
        if isinstance(image, np.ndarray):
            return cls(image, None, None, stamp_ns=0)
        raise InputError(
            "image must be a frame or an RGB image",
            f"{type(image).__name__} {image!r}" if isinstance(image, (str, Path)) else _described(image),
            "give an RgbdFrame or a uint8 array (h, w, 3): numpy.asarray(picture.convert('RGB')) of a PIL image, "
            "molmo_point.load_frame(path) of a file",
        )

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the color image, in pixels."""
        height, width = self.color.shape[:2]
        return width, height

    @property
    def upright_color(self) -> ColorArray:
        """The picture as a model is to see it: `color` turned by `rotate_deg`."""
        return np.ascontiguousarray(np.rot90(self.color, -self.rotate_deg // 90)) if self.rotate_deg else self.color

    @property
    def skew_s(self) -> float:
        """Depth capture time minus color capture time, in seconds; 0 when they share one stamp."""
        if self.depth_stamp_ns is None:
            return 0.0
        return (self.depth_stamp_ns - self.stamp_ns) * 1e-9

    def to_open3d(self, *, max_depth_m: float | None = None, base_T_camera: Transform | None = None) -> Any:
        """Return the colored point cloud as an `open3d.geometry.PointCloud`, in meters; pixels without depth are left out.

        Args:
            max_depth_m: Largest depth, in meters; default all.
            base_T_camera: Transform from the optical frame to the frame of the cloud; default the optical frame.

        Raises:
            DependencyError: Without Open3D (extra `cloud`).
            InputError: Without depth or intrinsics, or if `max_depth_m` is not above zero.
            FrameError: If the transform starts in another frame.
        """
        open3d = require("open3d", "RgbdFrame.to_open3d", "cloud")
        if self.depth_m is None or self.intrinsics is None:
            lacking = "depth" if self.depth_m is None else "intrinsics"
            raise InputError("frame must have depth and intrinsics", f"a frame without {lacking}", "give both to the frame")
        if max_depth_m is not None and not max_depth_m > 0:
            raise InputError("max_depth_m must be above zero", f"{max_depth_m}", "give meters, or leave it out")
        with np.errstate(invalid="ignore"):
            rows, columns = np.nonzero(self.depth_m <= (math.inf if max_depth_m is None else max_depth_m))
        depth_m = self.depth_m[rows, columns].astype(np.float64)
        points = self.intrinsics.deproject(np.stack([columns, rows], axis=-1).astype(np.float64), depth_m)
        known = np.isfinite(points[:, 0])
        points, colors = points[known], self.color[rows[known], columns[known]] / 255.0
        cloud = open3d.geometry.PointCloud()
        cloud.points = open3d.utility.Vector3dVector(points if base_T_camera is None else base_T_camera.apply(points, self.frame))
        cloud.colors = open3d.utility.Vector3dVector(colors)
        return cloud


FrameOrImage: TypeAlias = RgbdFrame | NDArray[np.uint8]
"""Input of `RgbdFrame.of`: a frame, or an RGB image (h, w, 3)."""


def decode_depth(array: NDArray[np.generic], *, scale_m: float | None = None) -> DepthArray:
    """Convert a camera's depth image to meters, once, at the camera.

    Args:
        array: Depth (h, w) or (h, w, 1): integers of at least 16 bits in units of `scale_m`, or floats.
        scale_m: Meters per unit. Default 0.001 for integers (0.0001 on a D405), 1 for floats.

    Returns:
        (h, w) float32 meters; NaN where the input is 0, negative, NaN or infinite.

    Raises:
        InputError: For another shape or type, or a scale that is not a micrometer to a meter.
    """
    array = np.asarray(array)
    integers = array.dtype.kind in "iu" and array.dtype.itemsize > 1
    flat = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if flat.ndim != 2 or not (integers or array.dtype.kind == "f"):
        raise InputError(
            "array must be one channel of 16-bit or wider integers, or of floats",
            f"shape {array.shape}, {array.dtype}",
            "give uint16 millimeters or float meters, without color map",
        )
    if scale_m is None:
        scale_m = 0.001 if integers else 1.0
    if not MIN_DEPTH_UNIT_M <= scale_m <= MAX_DEPTH_UNIT_M:
        raise InputError(
            f"scale_m must be {MIN_DEPTH_UNIT_M:g} to {MAX_DEPTH_UNIT_M:g}",
            f"{scale_m}",
            "give meters per unit, e.g. 0.001 for millimeters",
        )
    with np.errstate(invalid="ignore", over="ignore"):
        depth_m = flat.astype(np.float64) * scale_m
        depth_m[~(np.isfinite(depth_m) & (depth_m > 0))] = np.nan
        depth_m = depth_m.astype(np.float32)
        depth_m[~(np.isfinite(depth_m) & (depth_m > 0))] = np.nan
        return depth_m


def _check_color(color: object) -> None:
    good = isinstance(color, np.ndarray) and color.dtype == np.uint8
    if not good or color.ndim != 3 or color.shape[2] != 3 or 0 in color.shape:  # type: ignore[union-attr]
        raise InputError(
            "color must be uint8 RGB of shape (h, w, 3)",
            _described(color),
            "convert it, e.g. numpy.asarray(PIL.Image.open(path).convert('RGB'))",
        )


def _check_depth(depth_m: object, size_wh: tuple[int, int]) -> None:
    if not isinstance(depth_m, np.ndarray) or depth_m.dtype != np.float32:
        raise InputError("depth_m must be float32 meters", _described(depth_m), "use frame.decode_depth")
    if depth_m.shape != size_wh[::-1]:
        raise InputError(
            "depth_m must be aligned to the color image, with the same size",
            f"depth shape {depth_m.shape}, color shape {size_wh[::-1]} (h, w)",
            "align depth to color at the camera (align_depth in ROS, rs.align in librealsense)",
        )
    if np.any(np.isinf(depth_m)) or np.any(depth_m <= 0):
        raise InputError(
            "depth_m must be above zero, with NaN where missing",
            f"{int(np.sum(np.isinf(depth_m)))} infinite, {int(np.sum(depth_m <= 0))} not above zero",
            "use frame.decode_depth, which turns 0 and infinity into NaN",
        )


def _check_stamp(name: str, stamp_ns: object) -> None:
    if isinstance(stamp_ns, bool) or not isinstance(stamp_ns, (int, np.integer)) or not 0 <= stamp_ns < 2**63:
        raise InputError(
            f"{name} must be a whole number of nanoseconds, from zero to 2^63",
            reprlib.repr(stamp_ns),
            "give the capture time as an int, e.g. time.time_ns()",
        )


def _described(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"shape {value.shape}, {value.dtype}"
    return type(value).__name__
