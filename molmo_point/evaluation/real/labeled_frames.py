"""Frames of a depth camera with points chosen by hand: one folder for each, checked while it is read."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from molmo_point.camera.image_file import SUFFIXES, FrameFiles
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import within_image
from molmo_point.geometry.mapping_file import read_mapping

POINTS_FILE, INTRINSICS_FILE = "points.json", "intrinsics.json"
_DEPTH_FILES = ("depth.png", "depth.npy")
_COLOR_FILES = tuple(f"color{suffix}" for suffix in (".jpg", ".png", *SUFFIXES))
_LAYOUT = "a frame's folder holds color.jpg or .png, depth.png or .npy, intrinsics.json and points.json"


class SurfaceKind(str, Enum):
    """Kind of the surface at a labeled point."""

    PLAIN = "plain"
    EDGE = "edge"
    """Near an edge, on a thin object, or next to a hole of the depth."""
    GLASS = "glass"
    """Transparent, or a mirror."""


@dataclass(frozen=True)
class LabeledPoint:
    """A pixel chosen by hand, with what is known about the object there.

    Attributes:
        name: Name of the point, unique in its frame.
        u: Column in pixels.
        v: Row in pixels.
        z_m: Smallest and largest depth of the surface that is meant, in meters; None if unknown.
        kind: Kind of the surface; None lets the depth around the point decide between plain and edge.
        object: Name of the object; of several points on one object the first is asked for grasps.
        graspable: True if a hand with the gripper's opening can take the object; None if unknown.
        width_m: Smallest graspable width of the object, in meters; NaN if unknown.
        box: Outline of the object (u0, v0, u1, v1), in pixels; None if unknown.
    """

    name: str
    u: float
    v: float
    z_m: tuple[float, float] | None
    kind: SurfaceKind | None = None
    object: str = ""
    graspable: bool | None = None
    width_m: float = math.nan
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class LabeledFrame:
    """A frame and its points.

    Attributes:
        name: Name of its folder.
        frame: Color, depth and intrinsics.
        points: Labeled points.
        ignored: Fields of the label file that have no meaning here.
    """

    name: str
    frame: RgbdFrame
    points: tuple[LabeledPoint, ...]
    ignored: tuple[str, ...] = ()


def labeled_folders(folder: Path) -> list[Path]:
    """Return the folders of frames: the folder itself, or those in it that hold a points.json, sorted by name.

    Raises:
        InputError: The folder cannot be read or holds no frame.
    """
    if (folder / POINTS_FILE).is_file():
        return [folder]
    try:
        found = sorted(path.parent for path in folder.glob(f"*/{POINTS_FILE}"))
        inside = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise InputError("The folder must be readable", f"{folder} ({error.strerror})", "check the path") from error
    if not found:
        given = f"{folder} with {', '.join(inside[:5]) or 'nothing in it'}"
        raise InputError(f"The folder must hold frames with a {POINTS_FILE}", given, _LAYOUT)
    return found


def read_labels(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Read further labels: `{frame: {point: {field: value}}}`, for frames whose own files cannot be changed.

    Raises:
        InputError: The file cannot be read or has another form.
    """
    values = read_mapping(path)
    for frame, points in values.items():
        if not isinstance(points, dict) or not all(isinstance(fields, dict) for fields in points.values()):
            fix = 'write {"desk": {"mug": {"graspable": true, "width_m": 0.08}}}'
            raise InputError("Labels must be fields by frame and point", f"{path}: {frame}", fix)
    return values


def read_labeled_frame(folder: Path, more: Mapping[str, Mapping[str, Any]] | None = None) -> LabeledFrame:
    """Read the frame of a folder.

    Args:
        folder: The folder.
        more: Further fields by the name of the point; they replace those of the folder.

    Raises:
        InputError: A file is missing or wrong; the message names it.
    """
    path = folder / POINTS_FILE
    values = read_mapping(path)
    scale_m = values.get("depth_scale_m")
    if scale_m is not None and _number(scale_m) is None:
        raise InputError("depth_scale_m must be a number", f"{path}: {scale_m!r}", "give meters per unit, e.g. 0.001")
    depth = _first(folder, _DEPTH_FILES)
    if scale_m is None and depth.suffix == ".png":
        raise InputError("points.json must state depth_scale_m", str(path), 'add "depth_scale_m": 0.001 for millimeters')
    files = (_first(folder, _COLOR_FILES), depth, _first(folder, (INTRINSICS_FILE,)))
    frame, _ = FrameFiles(*files, depth_scale_m=scale_m).read()
    rows, more = values.get("points"), dict(more or {})
    if not isinstance(rows, list) or not rows:
        raise InputError("points must be a list of points", f"{path}: {rows!r}", 'write "points": [{"name": ..., "u": ...}]')
    ignored = set(values) - {"depth_scale_m", "points"}
    points = []
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise InputError("Every point must be a mapping", f"{path}, point {number + 1}: {row!r}", _FIELDS_FIX)
        fields = {**row, **more.pop(str(row.get("name")), {})}
        points.append(_point(fields, f"{path}, point {number + 1}", frame.size_wh))
        ignored |= set(fields) - set(_FIELDS)
    names = [point.name for point in points]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None or more:
        given = f"{path}: {twice!r} twice" if twice is not None else f"further labels of {next(iter(more))!r}, not in {path}"
        raise InputError("Labels must be of one point each", given, "give every point its own name")
    return LabeledFrame(folder.name, frame, tuple(points), tuple(sorted(ignored)))


def _first(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).exists():
            return folder / name
    inside = ", ".join(sorted(path.name for path in folder.iterdir())[:8])
    raise InputError(f"A frame's folder must hold {' or '.join(names[:2])}", f"{folder} with {inside}", _LAYOUT)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def _positive(value: Any) -> float | None:
    return number if (number := _number(value)) is not None and number > 0 else None


def _text(value: Any) -> str | None:
    return value.strip() if isinstance(value, str) and value.strip() else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _kind(value: Any) -> SurfaceKind | None:
    return next((kind for kind in SurfaceKind if kind.value == value), None)


def _box(value: Any) -> tuple[float, ...] | None:
    numbers = [_number(part) for part in value] if isinstance(value, list) and len(value) == 4 else []
    if not numbers or None in numbers or not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):  # type: ignore[operator]
        return None
    return tuple(numbers)  # type: ignore[arg-type]


_FIELDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "name": (_text, "a name"),
    "u": (_number, "a column in pixels"),
    "v": (_number, "a row in pixels"),
    "z_from_m": (_positive, "meters, or null"),
    "z_to_m": (_positive, "meters, or null"),
    "kind": (_kind, f"one of {', '.join(kind.value for kind in SurfaceKind)}"),
    "object": (_text, "a name"),
    "graspable": (_flag, "true or false"),
    "width_m": (_positive, "meters"),
    "box": (_box, "[u0, v0, u1, v1] in pixels"),
}
_NEEDED = ("name", "u", "v")
_FIELDS_FIX = "give name, u, v, z_from_m and z_to_m (null if unknown)"


def _point(fields: Mapping[str, Any], where: str, size_wh: tuple[int, int]) -> LabeledPoint:
    """Check the fields of a point and make it."""
    lacking = [name for name in (*_NEEDED, "z_from_m", "z_to_m") if name not in fields]
    if lacking:
        raise InputError(f"Every point must have {lacking[0]}", f"{where} without it", _FIELDS_FIX)
    values: dict[str, Any] = {}
    for name, (read, form) in _FIELDS.items():
        given = fields.get(name)
        values[name] = None if given is None else read(given)
        if values[name] is None and (given is not None or name in _NEEDED):
            raise InputError(f"{name} of a point must be {form}", f"{where}: {given!r}", "correct points.json")
    if not within_image([values["u"], values["v"]], size_wh):
        given = f"{where}: u={values['u']:g}, v={values['v']:g}, image {size_wh} (width, height)"
        raise InputError("A point must be inside the image", given, "give pixels of the color image")
    low, high = values.pop("z_from_m"), values.pop("z_to_m")
    if (low is None) != (high is None) or (low is not None and low > high):
        given = f"{where}: z_from_m={low}, z_to_m={high}"
        raise InputError("z_from_m must be at most z_to_m", given, "give both in meters, or null for both")
    point = LabeledPoint(values["name"], values["u"], values["v"], None if low is None else (low, high))
    return replace(point, **{name: value for name, value in values.items() if value is not None})
