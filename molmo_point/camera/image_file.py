"""Colour and depth images as files, and one RGB-D frame from files."""

import io
import os
from pathlib import Path

import numpy as np

from molmo_point.errors import InputError
from molmo_point.files import decode_image, decode_npy, encode_png, read_file
from molmo_point.frame import RgbdFrame, decode_depth
from molmo_point.geometry.intrinsics import Intrinsics, load_intrinsics


def encode_depth(depth_m: np.ndarray, unit_m: float | None) -> bytes:
    """Encodes depth (h, w) float32 metres: 16-bit PNG in units of `unit_m` (0 = missing), or `.npy` if None.

    Raises:
        InputError: a measured depth rounds to 0 or exceeds 65535 units, so it would be lost.
    """
    if unit_m is None:
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(depth_m, dtype=np.float32), allow_pickle=False)
        return buffer.getvalue()
    measured = np.isfinite(depth_m)
    units = np.rint(np.where(measured, depth_m, 0.0).astype(np.float64) / unit_m)
    lost = measured & ((units < 1) | (units > 65535))
    if lost.any():
        raise InputError(
            "Depth does not fit into a 16-bit image",
            given=f"{float(np.asarray(depth_m)[lost][0]):g} m at a unit of {unit_m:g} m",
            fix="choose another depth_unit_m, or None for float depth",
        )
    return encode_png(units.astype(np.uint16))


def load_color(path: str | Path) -> np.ndarray:
    """Reads a colour image as (h, w, 3) uint8 RGB.

    Raises:
        InputError: the file is missing or no complete image.
    """
    return decode_image(read_file(path), str(path))


def load_depth(path: str | Path, *, scale_m: float | None = None) -> np.ndarray:
    """Reads a depth image: 16-bit PNG (millimetres) or `.npy` (uint16 millimetres, or float metres).

    Args:
        path: the file.
        scale_m: metres per unit of 16-bit depth; 0.001 if not given.

    Returns:
        (h, w) float32 metres; NaN where nothing was measured.

    Raises:
        InputError: the file is missing, broken, or of another kind.
    """
    return decode_depth_file(read_file(path), str(path), scale_m)


def decode_depth_file(data: bytes, name: str, scale_m: float | None = None) -> np.ndarray:
    """Decodes the bytes of a depth file whose name tells its kind; see `load_depth`."""
    is_array = name.lower().endswith(".npy")
    raw = decode_npy(data, name) if is_array else decode_image(data, name, depth=True)
    is_float = np.issubdtype(raw.dtype, np.floating)
    return decode_depth(raw, scale_m=None if is_float else scale_m)


def load_frame(
    color: str | Path,
    depth: str | Path | None = None,
    intrinsics: str | Path | None = None,
    *,
    frame: str = "camera_color_optical_frame",
    depth_scale_m: float | None = None,
) -> RgbdFrame:
    """Makes a frame out of files; its stamp is the modification time of the colour image.

    Args:
        color: colour image.
        depth: depth image aligned to it (see `load_depth`), or None.
        intrinsics: JSON or YAML with `width height fx fy cx cy` and optional `distortion`, or None.
        frame: name of the camera's optical frame.
        depth_scale_m: metres per unit of 16-bit depth; 0.001 if not given.

    Raises:
        InputError: a file is missing or broken, or the sizes do not belong together.
    """
    return RgbdFrame(
        color=load_color(color),
        depth_m=None if depth is None else load_depth(depth, scale_m=depth_scale_m),
        intrinsics=None if intrinsics is None else _intrinsics_of(intrinsics),
        stamp_ns=os.stat(color).st_mtime_ns,
        frame=frame,
    )


def _intrinsics_of(path: str | Path) -> Intrinsics:
    try:
        return load_intrinsics(Path(path))
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(error.what, f"{path}: {error.given}", error.fix) from error
