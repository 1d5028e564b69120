"""Color and depth images as files: one RGB-D frame from files, and a camera that hands them out."""

import dataclasses
import io
import logging
import os
from pathlib import Path

import numpy as np

from molmo_point.camera.questions import SourceQuestions
from molmo_point.camera.replay import Replay
from molmo_point.errors import InputError
from molmo_point.files import decode_image, decode_npy, decode_oriented, encode_png, read_file
from molmo_point.frame import OPTICAL_FRAME, RgbdFrame, decode_depth
from molmo_point.geometry.intrinsics import Intrinsics, load_intrinsics

_LOG = logging.getLogger(__name__)
UNIT_OPTION = "depth_scale_m or --depth-scale"
"""Setting of the depth unit of image files, in Python and on the command line."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
"""Endings of color images."""
_DEPTH_SUFFIXES = (".png", ".npy")


def list_images(folder: str | Path) -> list[Path]:
    """Return the color images of a folder, sorted by name.

    Raises:
        InputError: The folder cannot be read or holds none.
    """
    try:
        found = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise InputError("The folder must be readable", f"{folder} ({error.strerror})", "check the path") from error
    if not found:
        raise InputError("The folder must hold images", str(folder), f"give a folder with {', '.join(SUFFIXES)} files")
    return found


class ImageFiles(Replay):
    """One color image, or a folder of them in order of their names, as a camera.

    The first stamp is the modification time of the first image; `fps` spaces the others.

    Args:
        images: Path of a color image, or of a folder of color images.
        depth: Depth image aligned to it (see `load_depth`), or a folder with one of the same stem for each image.
        intrinsics: Path of JSON or YAML with `width height fx fy cx cy` and optional `distortion`.
        depth_scale_m: Meters per unit of depth; None takes 0.001 for integers and 1 for floats.
        fps: Frames per second, for the stamps and for `realtime`.
        realtime: Hand frames out at this rate; otherwise as fast as they are read.
        loop: Start again at the end; stamps keep growing.
        frame: Name of the camera's optical frame.

    Raises:
        InputError: The path does not exist, or a folder holds no image.
    """

    def __init__(
        self,
        images: str | Path,
        *,
        depth: str | Path | None = None,
        intrinsics: str | Path | None = None,
        depth_scale_m: float | None = None,
        fps: float = 10.0,
        realtime: bool = False,
        loop: bool = False,
        frame: str = OPTICAL_FRAME,
    ) -> None:
        super().__init__(str(images), realtime=realtime, loop=loop)
        if not 1e-6 <= fps <= 1e9:
            raise InputError("fps must be a number above zero", f"{fps}", "give frames per second")
        self._colors = list_images(images) if Path(images).is_dir() else [Path(images)]
        self._depth = None if depth is None else Path(depth)
        self._intrinsics, self._depth_scale_m, self._frame = intrinsics, depth_scale_m, frame
        self._period_ns = round(1e9 / fps)
        self._start_ns: int | None = None

    unit_option = UNIT_OPTION

    def __len__(self) -> int:
        return len(self._colors)

    def frame_at(self, number: int) -> RgbdFrame | None:
        if number >= len(self):
            return None
        color = self._colors[number]
        files = (color, self._depth_of(color), self._intrinsics)
        frame = read_frame_files(*files, frame=self._frame, depth_scale_m=self._depth_scale_m)
        if self._start_ns is None:
            self._start_ns = frame.stamp_ns - number * self._period_ns
        return dataclasses.replace(frame, stamp_ns=self._start_ns + number * self._period_ns)

    def _depth_of(self, color: Path) -> Path | None:
        if self._depth is None or not self._depth.is_dir():
            return self._depth
        found = [path for path in (self._depth / f"{color.stem}{suffix}" for suffix in _DEPTH_SUFFIXES) if path.is_file()]
        if not found:
            fix = f"name the depth image {color.stem}.png or {color.stem}.npy"
            raise InputError("Every image must have a depth image of the same stem", f"{color.name} in {self._depth}", fix)
        return found[0]


def encode_depth(depth_m: np.ndarray, unit_m: float | None) -> bytes:
    """Encode depth (h, w) float32 meters: 16-bit PNG in units of `unit_m` (0: missing), or `.npy` if None.

    Raises:
        InputError: A measured depth rounds to 0 or exceeds 65535 units, so it would be lost.
    """
    if unit_m is None:
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(depth_m, dtype=np.float32), allow_pickle=False)
        return buffer.getvalue()
    measured = np.isfinite(depth_m)
    units = np.rint(np.where(measured, depth_m, 0.0).astype(np.float64) / unit_m)
    lost = measured & ((units < 1) | (units > 65535))
    if lost.any():
        given = f"{float(np.asarray(depth_m)[lost][0]):g} m at a unit of {unit_m:g} m"
        raise InputError("Depth must be 1 to 65535 units", given, "choose another depth_unit_m, or None for float depth")
    return encode_png(units.astype(np.uint16))


def load_color(path: str | Path, *, upright: bool = False) -> np.ndarray:
    """Read a color image as (h, w, 3) uint8 RGB, as the sensor stored it.

    Args:
        path: The file.
        upright: Turn the image as its EXIF orientation asks.

    Raises:
        InputError: The file is missing or no complete image.
    """
    return decode_image(read_file(path), str(path), upright=upright)


def load_depth(path: str | Path, *, scale_m: float | None = None) -> np.ndarray:
    """Read a depth image: 16-bit PNG (millimeters) or `.npy` (integer millimeters, or float meters).

    Args:
        path: The file.
        scale_m: Meters per unit; None takes 0.001 for integers and 1 for floats.

    Returns:
        (h, w) float32 meters; NaN where nothing was measured.

    Raises:
        InputError: The file is missing, broken, or no depth image.
    """
    return _oriented_depth(read_file(path), str(path), scale_m)[0]


def decode_frame(
    color: tuple[bytes, str], depth: tuple[bytes, str] | None, depth_scale_m: float | None, *, alone: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode the bytes of a color file, and of its depth file; each is given with its name.

    Args:
        color: Color image.
        depth: Depth image, see `load_depth`; None without one.
        depth_scale_m: Meters per unit of depth.
        alone: True turns the image upright by its EXIF orientation; False refuses an orientation.

    Raises:
        InputError: A file is broken, or has an orientation.
    """
    pixels, orientation = decode_oriented(*color, upright=alone)
    depth_m, depth_orientation = (None, 1) if depth is None else _oriented_depth(*depth, depth_scale_m)
    if not alone and (orientation, depth_orientation) != (1, 1):
        # Nothing tells whether depth and intrinsics are those of the image as stored, or as turned.
        name, found = (color[1], orientation) if orientation != 1 else ((depth or color)[1], depth_orientation)
        fix = "if all belong to the image as stored, set the orientation to 1; or store the upright image with its own depth"
        raise InputError("An image with depth or intrinsics must have no EXIF orientation", f"{name}: orientation {found}", fix)
    return pixels, depth_m


def _oriented_depth(data: bytes, name: str, scale_m: float | None) -> tuple[np.ndarray, int]:
    array = name.lower().endswith(".npy")
    raw, orientation = (decode_npy(data, name), 1) if array else decode_oriented(data, name, depth=True)
    try:
        return decode_depth(raw, scale_m=scale_m), orientation
    except InputError as error:
        raise InputError(error.what, f"{name}: {error.given}", error.fix) from error


def load_frame(
    color: str | Path,
    depth: str | Path | None = None,
    intrinsics: str | Path | None = None,
    *,
    frame: str = OPTICAL_FRAME,
    depth_scale_m: float | None = None,
) -> RgbdFrame:
    """Make a frame from files; its stamp is the modification time of the color image.

    A photo alone is turned upright by its EXIF orientation; pixels are those of the upright image. With depth or
    intrinsics, an orientation is refused: depth, intrinsics and poses are those of the image as stored, or are not.

    Args:
        color: Color image.
        depth: Depth image aligned to it (see `load_depth`), or None.
        intrinsics: JSON or YAML with `width height fx fy cx cy` and optional `distortion`, or None.
        frame: Name of the camera's optical frame.
        depth_scale_m: Meters per unit of depth; None takes 0.001 for integers and 1 for floats.

    Raises:
        InputError: A file is missing or broken, or the sizes or orientations do not match.
    """
    found = read_frame_files(color, depth, intrinsics, frame=frame, depth_scale_m=depth_scale_m)
    return SourceQuestions(_LOG.warning, str(depth or color), UNIT_OPTION).ask(found)


def read_frame_files(
    color: str | Path, depth: str | Path | None, intrinsics: str | Path | None, *, frame: str, depth_scale_m: float | None
) -> RgbdFrame:
    """Make a frame as `load_frame` does, without questions about the depth unit."""
    if depth is None and depth_scale_m is not None:
        raise InputError(f"{UNIT_OPTION} goes with depth only", f"{depth_scale_m:g} without a depth image", "leave it out")
    depth_file = None if depth is None else (read_file(depth), str(depth))
    alone = depth is None and intrinsics is None
    pixels, depth_m = decode_frame((read_file(color), str(color)), depth_file, depth_scale_m, alone=alone)
    return RgbdFrame(
        color=pixels,
        depth_m=depth_m,
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
