"""Depth as compressed_depth_image_transport sends it: a 16-bit PNG or RVL, of units or of inverse depth."""

import math
import struct

import numpy as np

from molmo_point.errors import InputError
from molmo_point.files import decode_image

_HEADER = struct.Struct("<iff")
_SIZE = struct.Struct("<II")
_PNG = b"\x89PNG\r\n\x1a\n"


def decode_compressed_depth(data: bytes, form: str, max_px: int) -> np.ndarray:
    """Decode the data of a sensor_msgs/CompressedImage with depth.

    Args:
        data: The data, with or without the header of the transport.
        form: The field `format`, e.g. "16UC1; compressedDepth rvl".
        max_px: Largest number of pixels.

    Returns:
        (h, w): uint16 units, or float32 meters with NaN where nothing was measured if `form` names 32FC1.

    Raises:
        InputError: The data are no complete depth image, or larger than allowed.
    """
    has_header = "compressedDepth" in form
    body = data[_HEADER.size :] if has_header and not data.startswith(_PNG) else data
    if "rvl" in form.lower():
        raw = _rvl(body, form, max_px)
    else:
        if body[:8] == _PNG and len(body) >= 24 and math.prod(struct.unpack(">II", body[16:24])) > max_px:
            raise InputError("The image is too large", f"format {form!r}", f"send at most {max_px} pixels")
        raw = decode_image(body, f"compressed depth of format {form!r}", depth=True)
    if "32FC1" not in form:
        return raw
    if not has_header or len(data) < _HEADER.size:
        raise InputError("Compressed 32FC1 depth must have its header", f"format {form!r}, {len(data)} bytes", "publish 16UC1")
    _, scale, offset = _HEADER.unpack_from(data)
    if not (math.isfinite(scale) and math.isfinite(offset)):
        raise InputError("The header of compressed depth must be finite", f"{scale}, {offset}", "publish 16UC1")
    with np.errstate(divide="ignore", invalid="ignore"):
        meters = scale / (raw.astype(np.float64) - offset)
    return np.where((raw != 0) & (meters > 0), meters, np.nan).astype(np.float32)


def _rvl(data: bytes, form: str, max_px: int) -> np.ndarray:
    """Decode run-length and variable-length depth (Wilson 2017): runs of missing pixels, then differences of the others."""
    if len(data) < _SIZE.size:
        raise _broken(form, data)
    width, height = _SIZE.unpack_from(data)
    if width * height > max_px:
        raise InputError("The image is too large", f"{width}x{height}, format {form!r}", f"send at most {max_px} pixels")
    body = data[_SIZE.size :]
    words = np.frombuffer(body, "<u4", len(body) // 4)
    values = _numbers(words)
    units = np.zeros(width * height, np.int64)
    place = taken = last = 0
    while place < units.size:
        if taken + 1 >= len(values):
            raise _broken(form, data)
        missing, count = int(values[taken]), int(values[taken + 1])
        taken, place = taken + 2, place + missing
        if place + count > units.size or taken + count > len(values) or not (missing or count):
            raise _broken(form, data)
        steps = values[taken : taken + count]
        run = last + np.cumsum((steps >> 1) ^ -(steps & 1))
        units[place : place + count] = run
        last = int(run[-1]) if count else last
        taken, place = taken + count, place + count
    if units.min(initial=0) < 0 or units.max(initial=0) > 65535:
        raise _broken(form, data)
    return units.astype(np.uint16).reshape(height, width)


def _numbers(words: np.ndarray) -> np.ndarray:
    """Return the numbers of a stream of nibbles: three bits each, the lowest first; the fourth bit says that more follow."""
    nibbles = ((words[:, None] >> np.arange(28, -1, -4, dtype=np.uint32)) & 0xF).ravel().astype(np.int64)
    ends = np.flatnonzero(nibbles < 8)
    nibbles = nibbles[: ends[-1] + 1] if len(ends) else nibbles[:0]
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    digit = np.arange(len(nibbles)) - np.repeat(starts, ends - starts + 1)
    # Longer numbers than any of 16 bits are of broken data.
    parts = (nibbles & 7) << np.minimum(3 * digit, 40)
    return np.add.reduceat(parts, starts) if len(starts) else parts


def _broken(form: str, data: bytes) -> InputError:
    return InputError("The compressed depth must be complete", f"format {form!r}, {len(data)} bytes", "send whole messages")
