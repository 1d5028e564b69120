"""Whatever a user has as an image, as RGB uint8 (h, w, 3).

Rules, the same for every kind of image:

* Transparency is dropped, not composited: what remains are the stored colours, as PIL's
  ``convert("RGB")`` gives them and as the reference does it.
* The whole range of a type is the whole range of brightness: 16-bit values are divided by 257,
  floats must lie in [0, 1]. Nothing is stretched to the values that happen to occur.
* EXIF orientation is applied to files and PIL images; of an animation the first picture is taken.
* NumPy arrays are (h, w), (h, w, 1), (h, w, 3) or (h, w, 4). A torch tensor may also be channel
  first; one that could be read both ways, such as (3, 40, 3), is refused.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from molmo_point.errors import InputError

MAX_PIXELS = 2**27
"""Most pixels of an image (134 million): more than any camera delivers, far less than a bomb."""

_CHANNELS = (1, 3, 4)
_TOLERANCE = 1e-3  # by which resized float images leave [0, 1]


def to_rgb(image: Any) -> np.ndarray:
    """An image as RGB.

    Args:
        image: A PIL image of any mode, a NumPy array (uint8, uint16, bool or float in [0, 1]), a
            torch tensor on any device, or the path of an image file.

    Returns:
        (h, w, 3) uint8; the array itself where it already is one.

    Raises:
        InputError: It is none of these, is broken, empty, too large, or its values are out of range.
    """
    if isinstance(image, (str, os.PathLike)):
        return _from_file(image)
    if isinstance(image, Image.Image):
        return _from_pil(image, "the image")
    if isinstance(image, torch.Tensor):
        image = _channel_last(image)
    if not isinstance(image, np.ndarray):
        raise InputError(
            "This cannot be used as an image",
            type(image).__name__,
            "pass a NumPy array (height, width, 3) of uint8 in RGB order, a PIL image, a torch tensor or the path of a file",
        )
    return _to_three_channels(_to_8_bit(_checked_shape(image)))


def _from_file(path: str | os.PathLike[str]) -> np.ndarray:
    if str(path).startswith(("http://", "https://", "data:")):
        raise InputError("Images are not downloaded", str(path)[:80], "fetch the image and pass a file or its pixels")
    try:
        if Path(path).stat().st_size == 0:
            raise InputError("The image file is empty", str(path), "pass a file with an image in it")
        with Image.open(path) as picture:
            return _from_pil(picture, str(path))
    except Image.DecompressionBombError as error:
        raise _too_large(str(path), str(error)) from error
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "The image file cannot be read", f"{path}: {error}", "pass an existing, complete file such as a PNG or JPEG"
        ) from error


def _from_pil(picture: Image.Image, name: str) -> np.ndarray:
    width, height = picture.size
    if width < 1 or height < 1:
        raise InputError("The image is empty", f"{name}, {width} × {height}", "pass an image with pixels")
    if width * height > MAX_PIXELS:
        raise _too_large(name, f"{width} × {height}")
    try:
        picture.load()
        upright = _upright(picture)
        if upright.mode == "F" or upright.mode == "I" or upright.mode.startswith("I;16"):
            return _to_three_channels(_deep_grey(upright, name))
        return np.asarray(upright.convert("RGB"))
    except InputError:
        raise
    except Exception as error:  # every plugin of PIL fails in its own way on broken data
        raise InputError(
            "The image cannot be decoded",
            f"{name}, mode {picture.mode}: {type(error).__name__}: {error}",
            "pass a complete image, or convert it to RGB yourself",
        ) from error


def _upright(picture: Image.Image) -> Image.Image:
    """EXIF orientation applied; orientation that cannot be read counts as upright."""
    try:
        return ImageOps.exif_transpose(picture) or picture
    except Exception:  # broken EXIF raises anything; the pixels are still good
        return picture


def _deep_grey(picture: Image.Image, name: str) -> np.ndarray:
    """Modes F, I and I;16…: (h, w) uint8 from values in [0, 1] or 0…65535."""
    values = np.asarray(picture)
    if picture.mode != "I":
        return _to_8_bit(_checked_shape(values))[..., 0]
    # PIL opens 16-bit files as 32-bit ones in some formats; wider values have no range to scale by.
    if values.min() < 0 or values.max() > 65535:
        raise InputError(
            "The values of this 32-bit grey image have no known range",
            f"{name}: {values.min()} to {values.max()}",
            "scale it to 0…65535 or convert it to 8 bits",
        )
    return _to_8_bit(values.astype(np.uint16))


def _channel_last(tensor: torch.Tensor) -> np.ndarray:
    """A tensor as an array (h, w) or (h, w, c)."""
    shape = tuple(tensor.shape)
    if tensor.is_complex() or tensor.is_sparse or tensor.is_quantized:
        raise InputError("This kind of tensor is no image", f"{tensor.dtype}, {tensor.layout}", "pass dense uint8 or float")
    if len(shape) == 3:
        first, last = shape[0] in _CHANNELS, shape[2] in _CHANNELS
        if first and last:
            raise InputError(
                "It is unclear which axis of the tensor holds the colours",
                f"shape {shape}",
                "pass a NumPy array (height, width, 3), which is always channel last",
            )
        if first:
            tensor = tensor.permute(1, 2, 0)
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()


def _checked_shape(array: np.ndarray) -> np.ndarray:
    """The array as (h, w, c), c one of 1, 3, 4."""
    grey = array[..., None] if array.ndim == 2 else array
    if grey.ndim != 3 or grey.shape[2] not in _CHANNELS:
        channel_first = array.ndim == 3 and array.shape[0] in _CHANNELS
        raise InputError(
            "The array is not one RGB, RGBA or grey image",
            f"shape {array.shape}",
            "pass a NumPy array (height, width, 3)"
            + (": move the channels to the end with array.transpose(1, 2, 0)" if channel_first else ""),
        )
    if 0 in grey.shape:
        raise InputError("The image is empty", f"shape {array.shape}", "pass an image with both sides > 0")
    if grey.shape[0] * grey.shape[1] > MAX_PIXELS:
        raise _too_large("the array", f"{grey.shape[1]} × {grey.shape[0]}")
    return grey


def _to_8_bit(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        # 65535 / 255 = 257; in integers, rounded to the nearest.
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):  # NaN fails, too
            raise InputError(
                "The values of a float image must lie between 0 and 1",
                f"{low:g} to {high:g}" if np.isfinite([low, high]).all() else "values that are not finite",
                "divide by 255 if they go from 0 to 255, and replace NaN",
            )
        return np.rint(np.clip(array, 0, 1).astype(np.float32) * 255).astype(np.uint8)
    raise InputError(
        "Pixels of this type have no known range",
        f"dtype {array.dtype}",
        "pass a NumPy array of uint8, uint16, bool, or float between 0 and 1",
    )


def _to_three_channels(array: np.ndarray) -> np.ndarray:
    if array.ndim == 2:
        array = array[..., None]
    return np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array[..., :3]


def _too_large(name: str, given: str) -> InputError:
    return InputError(
        f"The image has more than {MAX_PIXELS / 1e6:.0f} million pixels",
        f"{name}: {given}",
        "shrink it first; more than about 1000 pixels on a side are not used anyway",
    )
