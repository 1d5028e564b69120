"""Files read and written whole, and the encodings that several parts share: images and arrays."""

import io
import os
import struct
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from molmo_point.errors import InputError


def read_file(path: str | Path) -> bytes:
    """Read the bytes of a file.

    Raises:
        InputError: The file does not exist or cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError("The file must be readable", f"{path} ({reason})", "check the path") from error


def write_file(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all: first a temporary file in its folder, then renamed to `path`.

    Raises:
        InputError: The folder does not exist or cannot be written.
    """
    path = Path(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise InputError("The file must be writable", f"{path} ({reason})", "check the folder and the free space") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def decode_image(data: bytes, name: str, *, depth: bool = False) -> np.ndarray:
    """Decode an image file.

    Args:
        data: Bytes of the file (PNG, JPEG, ...).
        name: Name of the file in error messages.
        depth: Keep a one-channel 16-bit image as it is, instead of converting it to RGB.

    Returns:
        (h, w, 3) uint8 RGB, turned upright according to its EXIF data; or (h, w) uint16 for depth.

    Raises:
        InputError: The bytes are no complete image, or a depth image instead of a color image, or the reverse.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            sixteen_bit = image.mode.startswith("I;16")
            if sixteen_bit == depth:
                return np.array(image) if depth else np.array(ImageOps.exif_transpose(image).convert("RGB"))
            found = f"{name}: mode {image.mode}, {image.width} x {image.height}"
    # Pillow's decoders answer broken bytes with these and others of the same families.
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, struct.error, Image.DecompressionBombError) as error:
        raise InputError(
            "The file must be a complete image",
            f"{name} ({len(data)} bytes: {str(error) or type(error).__name__})",
            "give a complete PNG or JPEG file",
        ) from error
    if depth:
        fix = "save depth as uint16 millimeters (PNG) or as float meters (.npy)"
        raise InputError("A depth image must be a 16-bit PNG with one channel", found, fix)
    fix = "give the color image; this looks like the depth image"
    raise InputError("A color image must have 8 bits per channel", found, fix)


def encode_png(image: np.ndarray) -> bytes:
    """Encode (h, w, 3) uint8 RGB or (h, w) uint16 as PNG, without loss."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def decode_npy(data: bytes, name: str) -> np.ndarray:
    """Decode a `.npy` file; arrays of Python objects are refused.

    Raises:
        InputError: The bytes are no complete `.npy` file of numbers.
    """
    try:
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError, TypeError, SyntaxError) as error:
        raise InputError(
            "The file must be a complete array of numbers",
            f"{name} ({error})",
            "give a complete .npy file of numbers, as numpy.save writes it",
        ) from error
