"""Files read and written whole, and the encodings that several parts share: images and arrays."""

import contextlib
import io
import math
import os
import secrets
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from molmo_point.errors import InputError

MAX_FILE_BYTES = 512 * 2**20
"""Largest image, depth or array file that is read."""
MAX_IMAGE_PIXELS = 2**27
IMAGE_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")
"""Formats that Pillow decodes itself; others start programs or read further files."""
_DEPTH_FORMATS = ("PNG", "TIFF")
"""Formats of 16 bits that Pillow does not stretch: it scales PGM and JPEG 2000 of fewer bits."""
# A FIFO without a writer and a terminal would make `open` wait.
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_file(path: str | Path, limit_bytes: int | None = None) -> BinaryIO:
    """Open a regular file for reading. A folder, FIFO, socket or device is refused at once.

    Args:
        path: The file, or a link to it.
        limit_bytes: Largest size of the file; None accepts any.

    Raises:
        InputError: The file does not exist, cannot be read, is no regular file, or is larger than the limit.
    """
    try:
        before = os.stat(path)
        # Opening a device or a FIFO has effects of its own.
        descriptor = os.open(path, _OPEN_FLAGS) if stat.S_ISREG(before.st_mode) else None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if descriptor is None:
        raise _irregular(path, before)
    file = os.fdopen(descriptor, "rb")
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and (limit_bytes is None or status.st_size <= limit_bytes):
        return file
    file.close()
    raise _too_large(path, status.st_size, limit_bytes or 0) if stat.S_ISREG(status.st_mode) else _irregular(path, status)


def read_file(path: str | Path, limit_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Read the bytes of a regular file.

    Args:
        path: The file, or a link to it.
        limit_bytes: Largest size of the file.

    Raises:
        InputError: The file does not exist, cannot be read, is no regular file, or is larger than the limit.
    """
    with open_file(path, limit_bytes) as file:
        try:
            # A file of /proc states no size, and a log may grow.
            data = file.read(limit_bytes + 1)
        except (OSError, MemoryError) as error:
            raise _unreadable(path, error) from error
    if data is None:
        raise InputError("The file must be readable", f"{path} (it would have to be waited for)", "give a complete file")
    if len(data) > limit_bytes:
        raise _too_large(path, len(data), limit_bytes)
    return data


def check_writable(path: str | Path) -> None:
    """Refuse a path that `write_file` would refuse: a link, a folder, a FIFO, a device, a read-only file, no folder.

    Raises:
        InputError: The message names the reason.
    """
    path = Path(path)
    fix = "choose another path"
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        if not path.parent.is_dir():
            reason = "its folder does not exist" if not path.parent.exists() else "its folder is a file"
            raise InputError("The file must be writable", f"{path} ({reason})", f"make the folder {path.parent}") from None
        if not os.access(path.parent, os.W_OK):
            raise InputError("The file must be writable", f"{path} (its folder is read-only)", fix) from None
        return
    except (OSError, ValueError) as error:
        raise InputError("The file must be writable", f"{path} ({_reason(error)})", fix) from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError("The file must be a regular one or new", f"{path}, {_kind(status.st_mode)}", fix)
    if not os.access(path, os.W_OK):
        raise InputError("The file must be writable", f"{path} (it is read-only)", fix)


@contextlib.contextmanager
def written_whole(path: str | Path, *, suffix: str = "", sync: bool = True) -> Iterator[Path]:
    """Yield the path of a temporary file beside `path`; it takes the name `path` if the block ends without an error.

    A file that was there keeps its permissions. After any error the temporary file is gone, and `path` is as it was.

    Args:
        path: The file to write.
        suffix: End of the temporary file's name, for writers that choose a format by it.
        sync: Wait until the disk has the bytes.

    Raises:
        InputError: `path` is a link, a folder, a FIFO or a device, or the disk refuses.
    """
    path = Path(path)
    check_writable(path)
    temporary = path.with_name(f".{secrets.token_hex(8)}.part{suffix}")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        yield temporary
        with open(temporary, "rb+") as file:
            if sync:
                os.fsync(file.fileno())
        check_writable(path)
        if path.exists():
            os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode))
        os.replace(temporary, path)
    except OSError as error:
        given = f"{path} ({_reason(error)})"
        raise InputError("The file must be writable", given, "check the folder and the free space") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_file(path: str | Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file whole or not at all. See `written_whole`.

    Raises:
        InputError: `path` is a link, a folder, a FIFO or a device, or the disk refuses.
    """
    with written_whole(path, sync=sync) as temporary, open(temporary, "wb") as file:
        file.write(data)


def _irregular(path: str | Path, status: os.stat_result) -> InputError:
    return InputError("The path must be a regular file", f"{path}, {_kind(status.st_mode)}", "give a file")


def _kind(mode: int) -> str:
    return next((name for test, name in _KINDS if test(mode)), "no file")


def _reason(error: BaseException) -> str:
    words = error.strerror if isinstance(error, OSError) else None
    return words or str(error) or type(error).__name__


def _unreadable(path: str | Path, error: BaseException) -> InputError:
    return InputError("The file must be readable", f"{path} ({_reason(error)})", "check the path")


def _too_large(path: str | Path, size: int, limit: int) -> InputError:
    given = f"{path}, {size / 2**20:.1f} MiB"
    return InputError(f"The file must have at most {limit / 2**20:g} MiB", given, "give the file that is meant")


def decode_image(data: bytes, name: str, *, depth: bool = False, upright: bool = False) -> np.ndarray:
    """Decode an image file; see `decode_oriented`."""
    return decode_oriented(data, name, depth=depth, upright=upright)[0]


def decode_oriented(data: bytes, name: str, *, depth: bool = False, upright: bool = False) -> tuple[np.ndarray, int]:
    """Decode an image file, and read how it is to be turned.

    Args:
        data: Bytes of the file (PNG, JPEG, ...).
        name: Name of the file in error messages.
        depth: Keep a one-channel image of 16 bits, or of a TIFF of 32 bits, as it is, instead of converting it to RGB.
        upright: Turn the image as its EXIF orientation asks; False keeps it as the sensor stored it.

    Returns:
        (h, w, 3) uint8 RGB, of an animation the first frame, without transparency; or (h, w) uint16, int32 or float32 for
        depth. And the EXIF orientation of the file, 1 to 8; 1 is upright.

    Raises:
        InputError: The bytes are no complete image, or a depth image instead of a color image, or the reverse.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_DEPTH_FORMATS if depth else IMAGE_FORMATS) as image:
            if (depth or image.format == "TIFF") and image.n_frames > 1:
                raise ValueError(f"{image.n_frames} pages, of which one is meant")
            if image.width * image.height > MAX_IMAGE_PIXELS:
                raise ValueError(f"{image.width} x {image.height} is more than {MAX_IMAGE_PIXELS / 1e6:.0f} million pixels")
            orientation = _orientation(image)
            if image.format == "PNG":
                # Pillow decodes pixels without a look at their checksums.
                Image.open(io.BytesIO(data), formats=("PNG",)).verify()
            image.load()
            # Old versions of Pillow read a 16-bit PNG as 32 bits.
            sixteen_bit = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")
            deep = sixteen_bit or (image.format == "TIFF" and image.mode in ("I", "F"))
            if deep if depth else not image.mode.startswith(("I", "F")):
                array = np.array(image if depth else image.convert("RGB"), np.uint16 if depth and sixteen_bit else None)
                # Pillow turns a TIFF while it reads it.
                turned = orientation != 1 and _orientation(image) == 1
                if turned != upright:
                    array = np.ascontiguousarray(_TURNS[orientation if upright else _BACK.get(orientation, orientation)](array))
                return array, orientation
            found = f"{name}: mode {image.mode}, {image.width} x {image.height}"
    # Pillow's decoders answer broken bytes with these and others of the same families.
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, struct.error, Image.DecompressionBombError) as error:
        raise InputError(
            "The file must be a complete image",
            f"{name} ({len(data)} bytes: {_broken(error, depth)})",
            "give 16-bit PNG, TIFF or PGM, PFM, EXR, .npy, .npz or .mat" if depth else "give a complete PNG or JPEG file",
        ) from error
    if depth:
        what, fix = "A depth image must be a 16-bit PNG with one channel", "save uint16 millimeters (PNG) or float meters (.npy)"
    else:
        what, fix = "A color image must have 8 bits per channel", "convert it to 8 bits, or give the color image if this is depth"
    raise InputError(what, found, fix)


def _broken(error: Exception, depth: bool) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"no {' or '.join(_DEPTH_FORMATS if depth else ('PNG', 'JPEG'))}"
    return str(error) or type(error).__name__


_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda array: array,
    2: lambda array: array[:, ::-1],
    3: lambda array: array[::-1, ::-1],
    4: lambda array: array[::-1],
    5: lambda array: array.swapaxes(0, 1),
    6: lambda array: np.rot90(array, -1),
    7: lambda array: array[::-1, ::-1].swapaxes(0, 1),
    8: lambda array: np.rot90(array),
}
"""Turn of a stored image by its EXIF orientation."""
_BACK = {6: 8, 8: 6}
_ORIENTATION_TAG = 0x0112


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 without one. EXIF data that cannot be read do not spoil the pixels."""
    with contextlib.suppress(Exception):
        found = image.getexif().get(_ORIENTATION_TAG, 1)
        return found if found in _TURNS else 1
    return 1


def encode_png(image: np.ndarray, *, drawn: bool = False) -> bytes:
    """Encode (h, w, 3) uint8 RGB or (h, w) uint16 as PNG, without loss.

    Args:
        image: The pixels.
        drawn: True for a drawing, which names this program in the file; a later one may overwrite it.
    """
    buffer = io.BytesIO()
    notes = PngImagePlugin.PngInfo()
    if drawn:
        notes.add_text("Software", "molmo-point")
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, format="PNG", compress_level=1, pnginfo=notes)
    return buffer.getvalue()


def decode_npy(data: bytes, name: str) -> np.ndarray:
    """Decode a `.npy` file; arrays of Python objects are refused.

    Raises:
        InputError: The bytes are no complete `.npy` file of numbers.
    """
    try:
        file = io.BytesIO(data)
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version} holds named columns")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read_header(file)
        count = math.prod(shape)
        # A header may promise terabytes, which NumPy would ask for. With fewer bytes than there are, its type is wrong.
        if dtype.kind not in "biuf" or min(shape, default=0) < 0 or count * dtype.itemsize != len(data) - file.tell():
            raise ValueError(f"its header promises {shape} of {dtype}, not {len(data) - file.tell()} bytes")
        return np.frombuffer(data, dtype, count, file.tell()).reshape(shape, order="F" if by_columns else "C").copy()
    except Exception as error:  # NumPy's reader of headers raises a dozen kinds
        raise InputError(
            "The file must be a complete array of numbers",
            f"{name} ({error})",
            "give a complete .npy file of numbers, as numpy.save writes it",
        ) from error


def decode_npz(data: bytes, name: str) -> dict[str, np.ndarray]:
    """Decode the arrays of an `.npz` file, by name; arrays of Python objects are refused.

    Raises:
        InputError: The bytes are no complete `.npz` file of numbers, or it unfolds into too many bytes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > MAX_FILE_BYTES:
                raise ValueError(f"it unfolds into more than {MAX_FILE_BYTES / 2**20:g} MiB")
            files = {member.filename: archive.read(member) for member in members}
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        fix = "give a complete .npz file of numbers, as numpy.savez writes it"
        raise InputError("The file must be a complete archive of arrays", f"{name} ({error})", fix) from error
    return {key.removesuffix(".npy"): decode_npy(value, f"{name}!{key}") for key, value in files.items()}
