"""sensor_msgs to the parts of an `RgbdFrame`, and back.

Color becomes RGB uint8. Depth becomes float32 meters, NaN if missing. A message that cannot be read for certain is refused
with the reason.
"""

import functools
import io
import logging
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from molmo_point.arrays import DepthArray
from molmo_point.camera.compressed_depth import decode_compressed_depth
from molmo_point.errors import DepthInputError, InputError
from molmo_point.frame import RgbdFrame, decode_depth
from molmo_point_ros.conversions.camera_infos import image_size, intrinsics_from_message, intrinsics_to_message
from molmo_point_ros.conversions.depth_infos import depth_info_doubt
from molmo_point_ros.conversions.stamps import stamp_from_ns, stamp_to_ns

MAX_PIXELS = 64_000_000
"""Images larger than this are refused before anything is allocated for them."""

MAX_FRAME_NAME = 255
DEPTH_UNIT = "depth_unit_m for 16UC1, or publish 32FC1 in meters"
"""Setting of the depth unit of messages, for questions to the user."""
MILLIMETER_M = 0.001
"""Unit of 16UC1 depth in meters, by REP 118."""
_CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0), "mono8": (0, 0, 0)}
_OPENCV = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8"}
"""Encodings without an order of colors, which RViz and OpenCV take for these."""
_CHANNEL_COUNT = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
_DEPTH_TYPES = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_LOG = logging.getLogger(__name__)


def checked_frame(name: str) -> str:
    """Return the name of a frame without leading slashes.

    Raises:
        InputError: If it is empty, has control characters, or more than `MAX_FRAME_NAME` characters.
    """
    name = name.lstrip("/")
    if not name.strip() or not name.isprintable() or len(name) > MAX_FRAME_NAME:
        what = f"frame_id must be a printable name of at most {MAX_FRAME_NAME} characters"
        raise InputError(what, f"{name[:80]!r}, {len(name)} characters", "let the driver name its frame")
    return name


def color_from_message(message: Image | CompressedImage, *, max_px: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Return the color image (h, w, 3), RGB uint8.

    Args:
        message: An Image in rgb8, bgr8, rgba8, bgra8 or mono8, with any row padding; or a JPEG or PNG CompressedImage. 8UC1,
            8UC3 and 8UC4 are taken as mono8, bgr8 and bgra8, as RViz does; a line of the log says so once.
        max_px: Largest number of pixels; a larger image is refused before memory is allocated.

    Raises:
        InputError: For another encoding, a size that does not fit the data, or an image that cannot be decoded.
    """
    if isinstance(message, CompressedImage):
        return _decompressed(bytes(message.data), message.format, max_px).astype(np.uint8, copy=False)
    encoding = _OPENCV.get(message.encoding, message.encoding)
    if encoding not in _CHANNELS:
        fix = f"publish one of {', '.join(_CHANNELS)}"
        if encoding in _DEPTH_TYPES:
            fix = f"this is an encoding of depth: remap the color topic; {fix}"
        raise InputError("The encoding of the color image is not supported", repr(message.encoding), fix)
    if encoding != message.encoding:
        _tell_order(message.encoding, encoding)
    rows = _rows(message, "color", _CHANNEL_COUNT[encoding], np.dtype(np.uint8), max_px)
    if encoding == "rgb8":
        return rows
    return np.ascontiguousarray(rows[:, :, _CHANNELS[encoding]])


@functools.cache
def _tell_order(encoding: str, taken: str) -> None:
    """Say once that the order of colors is a convention."""
    _LOG.warning("color images in %s name no order of colors: taken as %s; publish bgr8 or rgb8", encoding, taken)


def depth_from_message(message: Image | CompressedImage, *, unit_m: float = MILLIMETER_M, max_px: int = MAX_PIXELS) -> DepthArray:
    """Return the depth image (h, w), float32 meters; NaN for 0, NaN or infinity (REP 118, REP 117).

    Args:
        message: An Image in 16UC1, mono16 or 32FC1 (meters), of either byte order; or a CompressedImage as
            compressed_depth_image_transport publishes it, PNG or RVL.
        unit_m: Size of one unit of integers, in meters; another one than a millimeter is refused for 32FC1.
        max_px: Largest number of pixels; a larger image is refused before memory is allocated.

    Raises:
        InputError: For another encoding, or a size that does not fit the data.
    """
    compressed = isinstance(message, CompressedImage)
    in_meters = "32FC1" in (message.format if compressed else message.encoding)
    if in_meters and not math.isclose(unit_m, MILLIMETER_M):
        fix = "leave it out, and publish meters (REP 118)"
        raise InputError("depth_unit_m must be that of 16UC1; 32FC1 depth is in meters", f"depth_unit_m {unit_m:g}", fix)
    if compressed:
        depth = decode_compressed_depth(bytes(message.data), message.format, max_px)
        return decode_depth(depth, scale_m=None if in_meters else unit_m)
    if message.encoding not in _DEPTH_TYPES:
        fix = f"publish one of {', '.join(_DEPTH_TYPES)} (millimeters, or meters)"
        if message.encoding in _CHANNELS or message.encoding in _OPENCV:
            fix = f"this is a picture, not depth; {fix}"
        raise InputError("The encoding of the depth image is not supported", repr(message.encoding), fix)
    kind = np.dtype(_DEPTH_TYPES[message.encoding]).newbyteorder(">" if message.is_bigendian else "<")
    depth = _rows(message, "depth", 1, kind, max_px)[:, :, 0]
    depth = depth.astype(kind.newbyteorder("="))
    return decode_depth(depth, scale_m=None if in_meters else unit_m)


def frame_from_messages(
    color: Image | CompressedImage,
    depth: Image | CompressedImage | None = None,
    info: CameraInfo | None = None,
    *,
    depth_unit_m: float = MILLIMETER_M,
    rectified: bool = False,
    max_px: int = MAX_PIXELS,
    depth_info: CameraInfo | None = None,
) -> RgbdFrame:
    """Return the frame of messages of one moment. The caller joins them by time.

    Depth whose own camera info is that of another camera is doubted: `RgbdFrame.depth_doubt`.

    Raises:
        DepthInputError: If depth or camera info cannot be used, or do not fit the color image in frame or size.
        InputError: If the color image has no stamp or frame_id, or cannot be used.
    """
    stamp_ns = stamp_to_ns(color.header.stamp)
    if stamp_ns <= 0:
        raise InputError("The color image must have a capture time", "stamp 0", "let the driver stamp its images")
    frame = checked_frame(color.header.frame_id)
    # A camera info without a frame is the one of its topic.
    info_frame = info.header.frame_id if info is not None else ""
    named = {"depth image": depth.header.frame_id if depth is not None else frame, "camera info": info_frame or frame}
    for name, other_frame in named.items():
        if other_frame.lstrip("/") != frame:
            raise DepthInputError(
                f"The {name} must be in the frame of the color image",
                f"{other_frame[:MAX_FRAME_NAME]!r}, color {frame!r}",
                "use depth aligned to color (realsense-ros: align_depth.enable:=true, aligned_depth_to_color topics)",
            )
    color_rgb = color_from_message(color, max_px=max_px)
    _check_size(info, color_rgb.shape[1::-1])
    try:
        return RgbdFrame(
            color=color_rgb,
            depth_m=None if depth is None else depth_from_message(depth, unit_m=depth_unit_m, max_px=max_px),
            intrinsics=None if info is None else intrinsics_from_message(info, rectified=rectified),
            stamp_ns=stamp_ns,
            frame=frame,
            depth_stamp_ns=None if depth is None else stamp_to_ns(depth.header.stamp),
            depth_doubt=depth_info_doubt(info, depth_info, frame, rectified=rectified),
        )
    except InputError as error:
        raise DepthInputError(error.what, error.given, error.fix) from error


def _check_size(info: CameraInfo | None, size_wh: tuple[int, ...]) -> None:
    if info is not None and image_size(info) != size_wh:
        given = "camera info of {}x{} pixels with its region and binning, image {}x{}".format(*image_size(info), *size_wh)
        raise DepthInputError("The intrinsics must be those of the image's size", given, "publish the camera info of this image")


def frame_to_messages(frame: RgbdFrame, *, depth_encoding: str = "16UC1") -> tuple[Image, Image | None, CameraInfo | None]:
    """Return color (rgb8), depth (16UC1 millimeters or 32FC1 meters) and camera info, each with its capture stamp.

    Depth beyond 65.535 m does not fit into 16UC1 and becomes 0, i.e. missing.
    """
    color = _image(frame.color, "rgb8", frame.frame, frame.stamp_ns)
    info = None if frame.intrinsics is None else intrinsics_to_message(frame.intrinsics, frame.frame, frame.stamp_ns)
    if frame.depth_m is None:
        return color, None, info
    if depth_encoding not in ("16UC1", "32FC1"):
        raise InputError("depth_encoding must be known", repr(depth_encoding), "use 16UC1 or 32FC1")
    depth = frame.depth_m.astype(np.float32)
    if depth_encoding == "16UC1":
        millimeters = np.nan_to_num(np.round(depth.astype(np.float64) * 1e3), nan=0.0)
        depth = np.where(millimeters <= 65535, millimeters, 0).astype(np.uint16)
    stamp_ns = frame.stamp_ns if frame.depth_stamp_ns is None else frame.depth_stamp_ns
    return color, _image(depth, depth_encoding, frame.frame, stamp_ns), info


def _image(array: NDArray[Any], encoding: str, frame: str, stamp_ns: int) -> Image:
    array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    message = Image(height=array.shape[0], width=array.shape[1], encoding=encoding, is_bigendian=0)
    message.header.frame_id = frame
    message.header.stamp = stamp_from_ns(stamp_ns)
    message.step = array.strides[0]
    # rclpy checks every element of a list or bytes in Python, but takes an array of bytes as it is.
    message.data.frombytes(array.tobytes())
    return message


def _rows(message: Image, name: str, channels: int, kind: np.dtype[Any], max_px: int) -> NDArray[Any]:
    """Return the pixels (h, w, channels) of an image message, without its row padding."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    row = width * channels * kind.itemsize
    data = np.frombuffer(message.data, np.uint8)
    if height < 1 or width < 1 or height * width > max_px or step < row or data.size < step * (height - 1) + row:
        raise InputError(
            f"The size of the {name} image does not fit its data",
            f"{width}x{height} {message.encoding}, step {step}, {data.size} bytes",
            f"send step >= {row} and step * height bytes, at most {max_px} pixels",
        )
    if data.size >= step * height:
        pixels = data[: step * height].reshape(height, step)[:, :row]
    else:  # the last row may come without its padding
        pixels = np.lib.stride_tricks.as_strided(data, (height, row), (step, 1), writeable=False)
    return np.ascontiguousarray(pixels).view(kind).reshape(height, width, channels)


def _decompressed(data: bytes, form: str, max_px: int) -> NDArray[Any]:
    from PIL import Image as PillowImage

    try:
        with PillowImage.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            if image.width * image.height > max_px:
                raise InputError("The image is too large", f"{image.width}x{image.height}", f"send at most {max_px} pixels")
            wide = image.mode.startswith("I")
            return np.asarray(image if wide else image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, PillowImage.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "The compressed image cannot be decoded", f"format {form!r}, {len(data)} bytes ({error})", "send JPEG or PNG"
        ) from error
