"""Conversion of any kind of image to RGB uint8 (h, w, 3).

* Transparency is dropped, not composited: the stored colors remain, as in PIL's ``convert("RGB")`` and the reference.
* The full range of a type is the full range of brightness. 16-bit values are divided by 257, floats lie in [0, 1].
* EXIF orientation is applied to files and PIL images. An animation yields its first frame.
* NumPy arrays are (h, w), (h, w, 1), (h, w, 3) or (h, w, 4). A torch tensor may also be channel first; an ambiguous
  shape, such as (3, 40, 3), is refused.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from molmo_point.errors import InputError
from molmo_point.files import IMAGE_FORMATS, MAX_FILE_BYTES, open_file

MAX_PIXELS = 2**27
"""Largest number of pixels (134 million): above any camera, far below a decompression bomb."""

_CHANNELS = (1, 3, 4)
_TOLERANCE = 1e-3  # overshoot of resized float images beyond [0, 1]


def to_rgb(image: Any) -> np.ndarray:
    """Convert an image to RGB (h, w, 3) uint8; the input itself if it has this form.

    Args:
        image: A PIL image of any mode, a NumPy array (uint8, uint16, bool or float in [0, 1]), a torch tensor on any
            device, or the path of an image file.

    Raises:
        InputError: The image is of another kind, broken, empty, too large, or out of range.
    """
    if isinstance(image, (str, os.PathLike)):
        return _from_file(image)
    if isinstance(image, Image.Image):
        return _from_pil(image, "the image")
    if isinstance(image, torch.Tensor):
        image = _channel_last(image)
    if not isinstance(image, np.ndarray):
        raise InputError(
            "image must be an array, a PIL image, a tensor or a path",
            type(image).__name__,
            "pass a NumPy array (height, width, 3) of uint8 in RGB order, a PIL image, a torch tensor or the path of a file",
        )
    return _to_three_channels(_to_8_bit(_checked_shape(image)))


def _from_file(path: str | os.PathLike[str]) -> np.ndarray:
    if str(path).startswith(("http://", "https://", "data:")):
        raise InputError("image must be local, because images are not downloaded", str(path)[:80], "pass a file, or the pixels")
    try:
        with open_file(Path(path), MAX_FILE_BYTES) as file, Image.open(file, formats=IMAGE_FORMATS) as picture:
            return _from_pil(picture, str(path))
    except Image.DecompressionBombError as error:
        raise _too_large(str(path), str(error)) from error
    except InputError:
        raise
    except (OSError, ValueError, SyntaxError) as error:
        fix = "pass an existing, complete file such as a PNG or JPEG"
        raise InputError("The image file cannot be read", f"{path}: {error}", fix) from error


def _from_pil(picture: Image.Image, name: str) -> np.ndarray:
    width, height = picture.size
    if width < 1 or height < 1:
        raise InputError("The image must not be empty", f"{name}, {width} × {height}", "pass an image with pixels")
    if width * height > MAX_PIXELS:
        raise _too_large(name, f"{width} × {height}")
    try:
        picture.load()
        upright = _upright(picture)
        if upright.mode.startswith(("F", "I")):
            return _to_three_channels(_deep_gray(upright, name))
        return np.asarray(upright.convert("RGB"))
    except InputError:
        raise
    except Exception as error:  # each plugin of PIL raises its own errors for broken data
        given = f"{name}, mode {picture.mode}: {type(error).__name__}: {error}"
        raise InputError("The image cannot be decoded", given, "pass a complete image, or convert it to RGB yourself") from error


def _upright(picture: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; an unreadable orientation counts as upright."""
    try:
        return ImageOps.exif_transpose(picture) or picture
    except Exception:  # broken EXIF may raise anything, but the pixels are valid
        return picture


def _deep_gray(picture: Image.Image, name: str) -> np.ndarray:
    """Convert the modes F, I and I;16…: (h, w) uint8 from values in [0, 1] or 0…65535."""
    values = np.asarray(picture)
    if picture.mode != "I":
        return _to_8_bit(_checked_shape(values))[..., 0]
    # PIL opens 16-bit files as 32-bit images in some formats; wider values have no known range.
    if values.min() < 0 or values.max() > 65535:
        given, fix = f"{name}: {values.min()} to {values.max()}", "scale it to 0…65535 or convert it to 8 bits"
        raise InputError("The values of a 32-bit gray image must be from 0 to 65535", given, fix)
    return _to_8_bit(values.astype(np.uint16))


def _channel_last(tensor: torch.Tensor) -> np.ndarray:
    """Convert a tensor to an array (h, w) or (h, w, c)."""
    shape = tuple(tensor.shape)
    if tensor.is_complex() or tensor.is_sparse or tensor.is_quantized:
        raise InputError("An image tensor must be dense and real", f"{tensor.dtype}, {tensor.layout}", "pass uint8 or float")
    if len(shape) == 3:
        first, last = shape[0] in _CHANNELS, shape[2] in _CHANNELS
        if first and last:
            fix = "pass a NumPy array (height, width, 3), which is always channel last"
            raise InputError("The color axis of a tensor must be unambiguous", f"shape {shape}", fix)
        if first:
            tensor = tensor.permute(1, 2, 0)
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()


def _checked_shape(array: np.ndarray) -> np.ndarray:
    """Check an array and return it as (h, w, c) with 1, 3 or 4 channels."""
    gray = array[..., None] if array.ndim == 2 else array
    if gray.ndim != 3 or gray.shape[2] not in _CHANNELS:
        channel_first = array.ndim == 3 and array.shape[0] in _CHANNELS
        fix = "pass a NumPy array (height, width, 3)"
        fix += ": move the channels to the end with array.transpose(1, 2, 0)" if channel_first else ""
        raise InputError("The array must be one RGB, RGBA or gray image", f"shape {array.shape}", fix)
    if 0 in gray.shape:
        raise InputError("The image must not be empty", f"shape {array.shape}", "pass an image with both sides > 0")
    if gray.shape[0] * gray.shape[1] > MAX_PIXELS:
        raise _too_large("the array", f"{gray.shape[1]} × {gray.shape[0]}")
    return gray


def _to_8_bit(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        # 65535 / 255 = 257, in integers, rounded to the nearest.
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):  # NaN fails as well
            raise InputError(
                "The values of a float image must lie between 0 and 1",
                f"{low:g} to {high:g}" if np.isfinite([low, high]).all() else "values that are not finite",
                "divide by 255 if they go from 0 to 255, and replace NaN",
            )
        return np.rint(np.clip(array, 0, 1).astype(np.float32) * 255).astype(np.uint8)
    fix = "pass a NumPy array of uint8, uint16, bool, or float between 0 and 1"
    raise InputError("The type of the pixels must have a known range", f"dtype {array.dtype}", fix)


def _to_three_channels(array: np.ndarray) -> np.ndarray:
    if array.ndim == 2:
        array = array[..., None]
    return np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array[..., :3]


def _too_large(name: str, given: str) -> InputError:
    return InputError(
        f"The image must have at most {MAX_PIXELS / 1e6:.0f} million pixels",
        f"{name}: {given}",
        "shrink it; the model uses about 1000 pixels on a side",
    )
