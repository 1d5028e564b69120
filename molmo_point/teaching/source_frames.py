"""Frames to teach from, out of what people have: photographs, folders of them, videos, recordings, bags.

A file that cannot be read comes as a frame with its problem, so that the others are still used.
"""

import itertools
import re
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path

from molmo_point.camera.image_file import load_frame
from molmo_point.camera.registry import CAMERAS, parse_camera
from molmo_point.camera.replay import ReplayEnded
from molmo_point.errors import InputError, MolmoPointError
from molmo_point.frame import RgbdFrame
from molmo_point.query_words import tidy_words

PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".jp2")
"""Endings of pictures that are read."""
_FOREIGN_SUFFIXES = (".heic", ".heif", ".avif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw", ".jxl", ".svg", ".psd")
"""Endings of pictures of other programs, which are named, not passed over."""
_CANDIDATES_PER_VIEW = 8
_LEAST_GAP_S = 0.25
_INTRINSICS = "intrinsics.json"
_COLOR_WORDS = re.compile("colou?r|rgb", re.IGNORECASE)


@dataclass(frozen=True)
class SourceFrame:
    """One frame of a source.

    Attributes:
        origin: Name of the file, with the time in it if it holds several frames.
        path: The file of a photograph; None for one of several frames.
        frame: The frame; None if it cannot be read.
        problem: Reason why it cannot be read; None for a frame.
        share: Part of the source that is over after this frame, 0 to 1; NaN if the length is unknown.
    """

    origin: str
    path: Path | None
    frame: RgbdFrame | None
    problem: MolmoPointError | None = None
    share: float = float("nan")


def frames_of(sources: Sequence[str | Path], views: int) -> Iterator[SourceFrame]:
    """Yield the frames of photographs, folders, videos, recordings or bags, in their order.

    A source of many frames is thinned out: a quarter of a second apart, and about eight frames for each wanted view.

    Args:
        sources: Paths, or texts of replayed cameras as `open_camera` takes them.
        views: Number of views that are wanted of a source of many frames.

    Raises:
        InputError: A source does not exist, is of no known kind, or holds no picture.
        CameraError: A recording cannot be read to its end.
        DependencyError: A package that reads the source is not installed.
    """
    photos, many = _sorted_out(sources)
    folders = {path.parent for path in photos}
    for number, path in enumerate(photos, start=1):
        yield _photo(path, path.name if len(folders) < 2 else f"{path.parent.name}/{path.name}", number / len(photos))
    for source in many:
        yield from _moments(source, views)


def photographs_of(sources: Sequence[str | Path]) -> list[Path]:
    """Return the photographs of the sources, each of which a person chose; empty if a source has many frames.

    Raises:
        InputError: As `frames_of`.
    """
    photos, many = _sorted_out(sources)
    return [] if many else photos


def object_folders(folder: str | Path) -> dict[str, Path]:
    """Return the folders of photographs in a folder, by the name of the object: the folder's, with spaces for underscores.

    Raises:
        InputError: The folder cannot be read, holds no folder with pictures, or two folders have one name.
    """
    found: dict[str, Path] = {}
    for path in _entries(Path(folder)):
        if not path.is_dir() or path.name.startswith(".") or not any(_is_picture(each) for each in _entries(path)):
            continue
        name = tidy_words(path.name.replace("_", " "))
        if name in found:
            raise InputError("Each folder must name another object", f"{found[name].name}, {path.name}", "rename one of them")
        found[name] = path
    if not found:
        fix = "make one folder of photographs for each object, named after it"
        raise InputError("The folder must hold folders of photographs", str(folder), fix)
    return found


def _sorted_out(sources: Sequence[str | Path]) -> tuple[list[Path], list[str]]:
    """Return the photographs of the sources, and the sources of many frames."""
    photos: list[Path] = []
    many: list[str] = []
    for source in sources:
        path = Path(source)
        if path.is_dir() and not _replayed(path):
            photos += _photos_in(path)
        elif path.suffix.lower() in (*PHOTO_SUFFIXES, *_FOREIGN_SUFFIXES):
            photos.append(path)
        else:
            many.append(str(source))
    for text in many:
        _checked(text)
    return photos, many


def _replayed(folder: Path) -> bool:
    return any(driver.marker and (folder / driver.marker).is_file() for driver in CAMERAS.values())


def _photos_in(folder: Path) -> list[Path]:
    entries = _entries(folder)
    found = [path for path in entries if _is_picture(path)]
    if not found:
        inner = sum(1 for path in entries if path.is_dir() and any(_is_picture(each) for each in _entries(path)))
        fix = "to teach one object for each folder in it, give --folders" if inner else f"give {', '.join(PHOTO_SUFFIXES)} files"
        raise InputError("The folder must hold photographs", f"{folder} ({len(entries)} other entries)", fix)
    depths = {_depth_of(path) for path in found}
    return [path for path in found if path not in depths]


def _entries(folder: Path) -> list[Path]:
    """Return the entries of a folder, IMG_2 before IMG_10."""
    try:
        return sorted(folder.iterdir(), key=lambda path: [part.zfill(12) for part in re.split(r"(\d+)", path.name.lower())])
    except OSError as error:
        raise InputError("The folder must be readable", f"{folder} ({error.strerror})", "check the path") from error


def _is_picture(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return not hidden and path.suffix.lower() in (*PHOTO_SUFFIXES, *_FOREIGN_SUFFIXES) and not path.is_dir()


def _depth_of(path: Path) -> Path | None:
    """Return the depth of `color.jpg` or `0001_rgb.png`, by its name: `depth.png`, `0001_depth.npy`."""
    stem, words = _COLOR_WORDS.subn("depth", path.stem)
    names = [path.with_name(f"{stem}{suffix}") for suffix in (".png", ".npy", ".tiff", ".tif", ".exr", ".pgm")] if words else []
    return next((name for name in names if name.is_file()), None)


def _photo(path: Path, origin: str, share: float) -> SourceFrame:
    try:
        if path.suffix.lower() in _FOREIGN_SUFFIXES:
            given = f"{path}, {path.suffix.lower().strip('.')}"
            raise InputError("A picture must be of a format that is read", given, "convert it to JPEG or PNG")
        depth = _depth_of(path)
        lens = path.with_name(_INTRINSICS)
        intrinsics = lens if depth is not None and lens.is_file() else None
        return SourceFrame(origin, path, load_frame(path, depth, intrinsics), None, share)
    except InputError as error:
        return SourceFrame(origin, path, None, error, share)


def _checked(text: str) -> None:
    """Refuse a live camera, a path that does not exist, and a file of no known kind."""
    path = Path(text.partition("?")[0])
    if not path.exists() and text.partition(":")[0] not in CAMERAS:
        raise InputError("The source must exist", text, "give a photograph, a folder of them, a video, or a recording")
    request = parse_camera(text)
    if not request.driver.needs_source:
        raise InputError("The source must be a file or a folder", text, f"give --camera {text}")


def _moments(source: str, views: int) -> Iterator[SourceFrame]:
    """Yield frames of a video, a recording or a bag."""
    request = parse_camera(source)
    name = Path(str(request.source)).name
    with request.filled({"realtime": False, "loop": False}).open() as camera:
        total = len(camera) if isinstance(camera, Sized) else 0
        step = total / (_CANDIDATES_PER_VIEW * views)
        first_ns, last_ns, last_count = 0, None, 0
        for count in itertools.count():
            try:
                frame = camera.read()
            except ReplayEnded:
                return
            if last_ns is None:
                first_ns = frame.stamp_ns
            elif frame.stamp_ns - last_ns < _LEAST_GAP_S * 1e9 or count - last_count < step:
                continue
            last_ns, last_count = frame.stamp_ns, count
            share = min((count + 1) / total, 1.0) if total else float("nan")
            yield SourceFrame(f"{name} at {(frame.stamp_ns - first_ns) * 1e-9:.1f} s", None, frame, None, share)
