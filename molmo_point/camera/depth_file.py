"""Depth images of many formats, told by their content, and the unit of their numbers."""

import contextlib
import io
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.arrays import DepthArray
from molmo_point.camera.intrinsics_files.camera_choice import LoadedIntrinsics
from molmo_point.camera.questions import depth_range, is_plausible
from molmo_point.dependencies import require
from molmo_point.errors import InputError
from molmo_point.files import MAX_IMAGE_PIXELS, decode_npy, decode_npz, decode_oriented
from molmo_point.frame import decode_depth

UNIT_OPTION = "depth_scale_m or --depth-scale"
"""Setting of the depth unit of image files, in Python and on the command line."""
DEPTH_SUFFIXES = (".png", ".npy", ".npz", ".exr", ".tif", ".tiff", ".pgm", ".pfm", ".mat")
_FORMATS = "16-bit PNG, TIFF or PGM, PFM, EXR, .npy, .npz or .mat"
_INTEGER_UNITS = {
    0.001: "millimeters",
    0.0002: "factor 5000, as TUM's",
    0.0001: "factor 10000",
    0.00025: "factor 4000",
}
_FLOAT_UNITS = {1.0: "meters", 0.001: "millimeters", 0.01: "centimeters"}
_KITTI_M = 0.00390625
_FARTHEST_STREET_M = 100.0
_LEAST_PIXELS = 16
_NOTHING, _MOSTLY = 1e9, 0.1
_HEADER = re.compile(rb"(?:\s|#[^\n]*\n)*([^\s#]+)")


@dataclass(frozen=True)
class DepthFile:
    """Depth of a file, and what was understood.

    Attributes:
        depth_m: Depth (h, w), float32 meters; NaN where missing.
        orientation: EXIF orientation, 1 to 8.
        form: Format of the file.
        unit_m: Meters per unit of its numbers.
        unit_from: Reason for this unit, in words.
    """

    depth_m: DepthArray
    orientation: int
    form: str
    unit_m: float
    unit_from: str

    def to_dict(self) -> dict[str, Any]:
        """Return what was understood, without the depth itself."""
        return {"format": self.form, "unit_m": self.unit_m, "unit_from": self.unit_from}


def decode_depth_file(
    data: bytes, name: str, scale_m: float | None = None, intrinsics: LoadedIntrinsics | None = None
) -> DepthFile:
    """Decode a depth image.

    Args:
        data: Bytes of the file.
        name: Its name, for errors.
        scale_m: Meters per unit; None finds it: the factor that the intrinsics name, otherwise millimeters for integers
            and meters for floats if the depth is plausible then.
        intrinsics: Intrinsics of the same image, for a factor that their file names.

    Raises:
        InputError: The file is broken or no depth image, or the unit of its numbers is not clear.
        DependencyError: The package that reads the format is not installed.
    """
    raw, orientation, form = _decoded(data, name)
    raw = _measured(_one_channel(raw, name, form), name)
    try:
        unit_m, unit_from = (scale_m, "stated") if scale_m is not None else _unit(raw, intrinsics)
        return DepthFile(decode_depth(raw, scale_m=unit_m), orientation, form, unit_m, unit_from)
    except InputError as error:
        raise InputError(error.what, f"{name}: {error.given}", error.fix) from error


def _decoded(data: bytes, name: str) -> tuple[np.ndarray, int, str]:
    """Return the numbers of a file as stored, its EXIF orientation, and its format."""
    if data.startswith(b"\x93NUMPY") or name.lower().endswith(".npy"):
        return decode_npy(data, name), 1, "NumPy array"
    if data.startswith(b"PK\x03\x04"):
        return _named_depth(decode_npz(data, name), name), 1, "NumPy archive"
    if data.startswith(b"\x76\x2f\x31\x01"):
        return _exr(data, name), 1, "OpenEXR"
    if data[:2] in (b"Pf", b"PF") and data[2:3].isspace():
        return _pfm(data, name), 1, "PFM"
    if data[:2] in (b"P2", b"P5") and data[2:3].isspace():
        return _pgm(data, name), 1, "PGM"
    if data.startswith(b"MATLAB 5.0"):
        return _named_depth(_mat(data, name), name), 1, "MATLAB file"
    if data.startswith((b"\x89HDF", b"MATLAB 7.3")):
        raise InputError("A depth image must be in a known format", f"{name} is HDF5", f"give {_FORMATS}")
    form = "TIFF" if data[:2] in (b"II", b"MM") else "PNG"
    return *decode_oriented(data, name, depth=True), form


def _one_channel(raw: np.ndarray, name: str, form: str) -> np.ndarray:
    """Return the depth (h, w) of an array with axes of length 1, or of equal channels."""
    shape = raw.shape
    while raw.ndim > 2 and 1 in raw.shape:
        raw = raw.squeeze(axis=raw.shape.index(1))
    if raw.ndim == 3 and raw.shape[2] in (3, 4) and raw.dtype.itemsize > 1 and (raw[..., :3] == raw[..., :1]).all():
        raw = raw[..., 0]
    if raw.ndim == 3 and raw.dtype == np.uint8:
        fix = "save the depth itself; colors of depth cannot be turned back for certain"
        raise InputError("A depth image must have one channel", f"{name}: color-coded depth {shape}", fix)
    if raw.ndim != 2 or raw.dtype.kind not in "iuf" or raw.dtype.itemsize < 2:
        given = f"{name}: {form} of shape {shape}, {raw.dtype}"
        fix = "give (h, w) of 16-bit or wider integers, or of floats"
        raise InputError("A depth image must have one channel of at least 16 bits", given, fix)
    return raw.astype(raw.dtype.newbyteorder("="), copy=False)


def _measured(raw: np.ndarray, name: str) -> np.ndarray:
    """Mark pixels that programs fill where nothing was measured: the largest 16-bit number, and 1e10 as Blender writes."""
    if raw.dtype == np.uint16:
        return np.where(raw == np.iinfo(np.uint16).max, np.uint16(0), raw)
    if raw.dtype.kind == "f":
        raw = np.where(np.abs(raw) >= np.float32(_NOTHING), np.array(np.nan, raw.dtype), raw)
    if not (raw > 0).any() and (raw < 0).mean() > _MOSTLY:
        fix = "give distances along the optical axis: change the sign, if z points backward as in OpenGL"
        raise InputError("Depth must be positive", f"{name}: {np.nanmin(raw):g} to {np.nanmax(raw[raw < 0]):g}", fix)
    return raw


def _unit(raw: np.ndarray, intrinsics: LoadedIntrinsics | None) -> tuple[float, str]:
    """Find the meters per unit.

    Raises:
        InputError: The depth is plausible in no unit that is certain.
    """
    integers = raw.dtype.kind in "iu"
    if integers and intrinsics is not None and intrinsics.depth_scale_m is not None:
        return intrinsics.depth_scale_m, f"factor of the intrinsics ({intrinsics.layout})"
    units = dict(_INTEGER_UNITS if integers else _FLOAT_UNITS)
    default_m = 0.001 if integers else 1.0
    typical = depth_range(decode_depth(raw, scale_m=1.0))
    readings = intrinsics.depth_scales_m if integers and intrinsics is not None else ()
    if readings:
        fits = [unit_m for unit_m in readings if typical is None or is_plausible(*typical, unit_m)]
        if len(fits) == 1:
            return fits[0], "the only reading of the intrinsics' depth_scale that gives a plausible depth"
        units = {**dict.fromkeys(readings, "depth_scale of the intrinsics"), **units}
    elif typical is None or is_plausible(*typical, default_m):
        return default_m, f"{units[default_m]}, the unit of most {'integers' if integers else 'floats'}; the depth is plausible"
    near, median = typical or (float("nan"), float("nan"))
    fits_at = [unit_m for unit_m in units if is_plausible(near, median, unit_m)]
    if integers and near * _KITTI_M > 1.0 and median * _KITTI_M < _FARTHEST_STREET_M:
        fits_at.append(_KITTI_M)
        units[_KITTI_M] = "factor 256, as KITTI's"
    told = ", ".join(f"{unit_m:g} gives {median * unit_m:.3g} m ({units[unit_m]})" for unit_m in fits_at) or "none is plausible"
    given = f"a median of {median:.6g} and the nearest 5 % below {near:.6g}, {median * default_m:.4g} m as {units[default_m]}"
    fix = f"state the meters per unit with {UNIT_OPTION}; the median at known units: {told}"
    raise InputError("The unit of a depth image must be clear", given, fix)


def _named_depth(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return the only image of an archive, or the one that is named depth."""
    images = {key: array for key, array in arrays.items() if array.ndim >= 2 and array.size >= _LEAST_PIXELS}
    named = {
        key: array
        for key, array in images.items()
        if key.lower().strip("_") in ("depth", "depth_m", "depth_image", "depthmap", "z")
    }
    named = named or {key: array for key, array in images.items() if "depth" in key.lower()}
    found = named or images
    if len(found) != 1:
        fix = "save one array, or name it depth"
        raise InputError("A file of arrays must hold one depth image", f"{name}: {sorted(arrays)[:12]}", fix)
    return next(iter(found.values()))


def _mat(data: bytes, name: str) -> dict[str, np.ndarray]:
    matlab = require("scipy.io", "Reading .mat files", "formats")
    try:
        sizes = matlab.whosmat(io.BytesIO(data))
        small = [key for key, shape, _ in sizes if len(shape) >= 2 and 0 < np.prod(shape, dtype=float) <= MAX_IMAGE_PIXELS]
        found = matlab.loadmat(io.BytesIO(data), variable_names=small)
        return {key: found[key] for key in small if isinstance(found.get(key), np.ndarray) and found[key].dtype.kind in "iuf"}
    except Exception as error:  # scipy's reader raises a dozen kinds
        raise InputError("The file must be a complete .mat file", f"{name} ({error})", "save it again") from error


def _fields(data: bytes, count: int, name: str) -> tuple[list[bytes], int]:
    """Return the first words of a Netpbm header, and the place where the pixels begin."""
    fields: list[bytes] = []
    place = 0
    for _ in range(count):
        match = _HEADER.match(data[:4096], place)
        if match is None:
            raise InputError("The file must be a complete image", f"{name} ({len(data)} bytes)", "give a complete file")
        fields.append(match[1])
        place = match.end()
    return fields, place + 1


def _sides(fields: list[bytes], name: str) -> tuple[int, int, float]:
    with contextlib.suppress(ValueError):
        width, height, last = int(fields[1]), int(fields[2]), float(fields[3])
        if 0 < width * height <= MAX_IMAGE_PIXELS and min(width, height) > 0 and last:
            return width, height, last
    raise InputError("The file must be a complete image", f"{name}: header {fields}", "give a complete file")


def _pgm(data: bytes, name: str) -> np.ndarray:
    fields, place = _fields(data, 4, name)
    width, height, most = _sides(fields, name)
    if not 255 < most < 65536:
        fix = "save depth with 16 bits; 8 bits are a picture of it"
        raise InputError("A depth PGM must have 16 bits", f"{name}: largest value {most:g}", fix)
    with contextlib.suppress(ValueError):
        if fields[0] == b"P2":
            values = np.array(data[place:].split(), dtype=np.int64)
            return values.reshape(height, width).astype(np.uint16)
        return np.frombuffer(data, ">u2", width * height, place).reshape(height, width)
    raise InputError(
        "The file must be a complete image", f"{name}: too few pixels for {width} x {height}", "give a complete file"
    )


def _pfm(data: bytes, name: str) -> np.ndarray:
    fields, place = _fields(data, 4, name)
    width, height, scale = _sides(fields, name)
    if fields[0] == b"PF":
        raise InputError("A depth PFM must have one channel", f"{name}: three channels", "save it as Pf")
    if abs(scale) != 1.0:
        fix = "save it with a scale of 1 or -1; some programs multiply by it, and some do not"
        raise InputError("The scale of a depth PFM must be 1", f"{name}: {scale:g}", fix)
    with contextlib.suppress(ValueError):
        rows = np.frombuffer(data, "<f4" if scale < 0 else ">f4", width * height, place).reshape(height, width)
        return rows[::-1]
    raise InputError(
        "The file must be a complete image", f"{name}: too few pixels for {width} x {height}", "give a complete file"
    )


def _exr(data: bytes, name: str) -> np.ndarray:
    exr = require("OpenEXR", "Reading .exr files", "formats")
    with tempfile.TemporaryDirectory() as folder:
        # OpenEXR reads files only.
        path = Path(folder, "depth.exr")
        path.write_bytes(data)
        try:
            low, high = exr.File(str(path), header_only=True).header()["dataWindow"]
            if np.prod(np.asarray(high, float) - np.asarray(low, float) + 1.0) > MAX_IMAGE_PIXELS:
                raise ValueError(f"more than {MAX_IMAGE_PIXELS / 1e6:.0f} million pixels")
            channels = {
                key: np.array(each.pixels) for key, each in exr.File(str(path), separate_channels=True).channels().items()
            }
        except Exception as error:  # OpenEXR raises the errors of its library
            raise InputError("The file must be a complete EXR image", f"{name} ({error})", "give a complete file") from error
    ranks = ("z", "depth", "d", "v", "y")
    depths = sorted((key for key in channels if _last(key) in ranks), key=lambda key: ranks.index(_last(key)))
    if len(channels) > 1 and not depths:
        colors = [each for key, each in channels.items() if key != "A"]
        if not all(np.array_equal(colors[0], each, equal_nan=True) for each in colors):
            fix = "name the channel of depth Z or depth"
            raise InputError("An EXR image must have one channel of depth", f"{name}: channels {sorted(channels)}", fix)
        depths = [key for key in channels if key != "A"]
    return channels[depths[0] if depths else next(iter(channels))]


def _last(channel: str) -> str:
    """Return the last part of the name of an EXR channel, in lower case."""
    return channel.lower().rpartition(".")[2]
