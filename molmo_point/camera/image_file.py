"""Color and depth images as files: one RGB-D frame from files, and a camera that hands them out."""

import dataclasses
import io
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.camera.depth_file import DEPTH_SUFFIXES, UNIT_OPTION, decode_depth_file
from molmo_point.camera.intrinsics_files.camera_choice import CAMERA_OPTION, read_intrinsics
from molmo_point.camera.questions import SourceQuestions
from molmo_point.camera.replay import Replay
from molmo_point.errors import InputError
from molmo_point.files import decode_image, decode_oriented, encode_png, read_file
from molmo_point.frame import OPTICAL_FRAME, RgbdFrame

_LOG = logging.getLogger(__name__)
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
"""Endings of color images."""


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
        intrinsics: File of intrinsics; docs/cameras.md lists the layouts.
        depth_scale_m: Meters per unit of depth; see `load_frame`.
        intrinsics_camera: Name of the camera in a file of several cameras.
        fps: Frames per second, for the stamps and for `realtime`.
        realtime: Hand frames out at this rate; otherwise as fast as they are read.
        loop: Start again at the end; stamps keep growing.
        frame: Name of the camera's optical frame.
        rotate: Turn that makes the picture upright for the model; see `load_frame`.

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
        intrinsics_camera: str | None = None,
        fps: float = 10.0,
        realtime: bool = False,
        loop: bool = False,
        frame: str = OPTICAL_FRAME,
        rotate: int | None = None,
    ) -> None:
        super().__init__(str(images), realtime=realtime, loop=loop)
        if not 1e-6 <= fps <= 1e9:
            raise InputError("fps must be a number above zero", f"{fps}", "give frames per second")
        self._colors = list_images(images) if Path(images).is_dir() else [Path(images)]
        self._depth = None if depth is None else Path(depth)
        self._more = (intrinsics, frame, depth_scale_m, intrinsics_camera, rotate)
        self._period_ns = round(1e9 / fps)
        self._start_ns: int | None = None

    unit_option = UNIT_OPTION

    def __len__(self) -> int:
        return len(self._colors)

    def frame_at(self, number: int) -> RgbdFrame | None:
        if number >= len(self):
            return None
        color = self._colors[number]
        frame, self.understood = FrameFiles(color, self._depth_of(color), *self._more).read()
        if self._start_ns is None:
            self._start_ns = frame.stamp_ns - number * self._period_ns
        return dataclasses.replace(frame, stamp_ns=self._start_ns + number * self._period_ns)

    def _depth_of(self, color: Path) -> Path | None:
        if self._depth is None or not self._depth.is_dir():
            return self._depth
        found = [path for path in (self._depth / f"{color.stem}{suffix}" for suffix in DEPTH_SUFFIXES) if path.is_file()]
        if len(found) != 1 and found:
            given = ", ".join(path.name for path in found)
            raise InputError("Every image must have one depth image", given, "keep one of them")
        if not found:
            fix = f"name the depth image {color.stem}.png, {color.stem}.npy, or of another format of depth"
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
    """Read a depth image: 16-bit PNG, TIFF or PGM, PFM, EXR, `.npy`, `.npz` or `.mat`. The content tells the format.

    Args:
        path: The file.
        scale_m: Meters per unit; None takes 0.001 for integers and 1 for floats if the depth is plausible then.

    Returns:
        (h, w) float32 meters; NaN where nothing was measured.

    Raises:
        InputError: The file is missing, broken, or no depth image, or its unit is not clear.
        DependencyError: The package that reads the format is not installed.
    """
    return decode_depth_file(read_file(path), str(path), scale_m).depth_m


def decode_frame(
    color: tuple[bytes, str], depth: tuple[bytes, str] | None, depth_scale_m: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode the bytes of a color file, and of its depth file; each is given with its name.

    Args:
        color: Color image.
        depth: Depth image, see `load_depth`; None without one.
        depth_scale_m: Meters per unit of depth.

    Raises:
        InputError: A file is broken, or has an orientation.
    """
    pixels, orientation = decode_oriented(*color)
    found = None if depth is None else decode_depth_file(*depth, depth_scale_m)
    _refuse_orientation((orientation, color[1]), (1 if found is None else found.orientation, (depth or color)[1]))
    return pixels, None if found is None else found.depth_m


def _refuse_orientation(*files: tuple[int, str]) -> None:
    """Refuse an EXIF orientation: nothing tells whether depth and intrinsics are those of the image as stored, or as turned."""
    for orientation, name in files:
        if orientation != 1:
            fix = (
                "if all belong to the image as stored, give rotate (0, 90, 180 or 270); or store the upright image with its depth"
            )
            what = "An image with depth or intrinsics must have no EXIF orientation"
            raise InputError(what, f"{name}: orientation {orientation}", fix)


def load_frame(
    color: str | Path,
    depth: str | Path | None = None,
    intrinsics: str | Path | None = None,
    *,
    frame: str = OPTICAL_FRAME,
    depth_scale_m: float | None = None,
    intrinsics_camera: str | None = None,
    rotate: int | None = None,
) -> RgbdFrame:
    """Make a frame from files; its stamp is the modification time of the color image.

    A photo alone is turned upright by its EXIF orientation; pixels are those of the upright image. With depth or
    intrinsics, an orientation is refused: depth, intrinsics and poses are those of the image as stored, or are not.

    Args:
        color: Color image.
        depth: Depth image aligned to it (see `load_depth`), or None.
        intrinsics: File of intrinsics (see `load_intrinsics`), or None.
        frame: Name of the camera's optical frame.
        depth_scale_m: Meters per unit of depth; None takes the factor that the intrinsics name, or see `load_depth`.
        intrinsics_camera: Name of the camera in a file of several cameras.
        rotate: Turn that makes the picture upright for the model, in degrees clockwise: 0, 90, 180 or 270. With it, the
            files are read as stored, and pixels are those of the stored image.

    Raises:
        InputError: A file is missing or broken, its unit or layout is not clear, or the sizes or orientations do not match.
    """
    wanted = FrameFiles(Path(color), depth, intrinsics, frame, depth_scale_m, intrinsics_camera, rotate)
    found = wanted.read()[0]
    return SourceQuestions(_LOG.warning, str(depth or color), UNIT_OPTION).ask(found)


@dataclasses.dataclass(frozen=True)
class FrameFiles:
    """Files of one frame, and how to read them; the fields are the arguments of `load_frame`."""

    color: Path
    depth: str | Path | None = None
    intrinsics: str | Path | None = None
    frame: str = OPTICAL_FRAME
    depth_scale_m: float | None = None
    intrinsics_camera: str | None = None
    rotate: int | None = None

    def read(self) -> tuple[RgbdFrame, dict[str, Any]]:
        """Make a frame without questions about it, and return what was understood of its files, as plain JSON."""
        if self.depth is None and self.depth_scale_m is not None:
            given = f"{self.depth_scale_m:g} without a depth image"
            raise InputError(f"{UNIT_OPTION} goes with depth only", given, "leave it out")
        if self.intrinsics is None and self.intrinsics_camera is not None:
            raise InputError(f"{CAMERA_OPTION} goes with intrinsics only", self.intrinsics_camera, "leave it out")
        alone = self.depth is None and self.intrinsics is None and self.rotate is None
        pixels, orientation = decode_oriented(read_file(self.color), str(self.color), upright=alone)
        size_wh = (pixels.shape[1], pixels.shape[0])
        lens = None
        if self.intrinsics is not None:
            lens = read_intrinsics(self.intrinsics, size_wh=size_wh, camera=self.intrinsics_camera)
        found = None
        if self.depth is not None:
            found = decode_depth_file(read_file(self.depth), str(self.depth), self.depth_scale_m, lens)
        if not alone and self.rotate is None:
            _refuse_orientation((orientation, str(self.color)), (1 if found is None else found.orientation, str(self.depth)))
        frame = RgbdFrame(
            color=pixels,
            depth_m=None if found is None else found.depth_m,
            intrinsics=None if lens is None else lens.intrinsics,
            stamp_ns=os.stat(self.color).st_mtime_ns,
            frame=self.frame,
            rotate_deg=self.rotate or 0,
        )
        parts = {"intrinsics": lens, "depth": found}
        return frame, {name: part.to_dict() for name, part in parts.items() if part is not None}
