"""Intrinsics from a file of any known layout, for an image of a known size."""

import difflib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from molmo_point.camera.intrinsics_files.camera_node import nodes_of
from molmo_point.camera.intrinsics_files.document import Document, read_document
from molmo_point.camera.intrinsics_files.layouts import LAYOUTS
from molmo_point.camera.intrinsics_files.lens_names import suspects
from molmo_point.camera.intrinsics_files.reading import CameraReading
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.mapping_file import warn_if_cut_off
from molmo_point.plain_json import plain_json

CAMERA_OPTION = "intrinsics_camera or --intrinsics-camera"
_PLAIN = ("width", "height", "fx", "fy", "cx", "cy")
_PLAIN_MORE = ("distortion", "distortion_model", "cropped_from")
_MOST_NAMES = 12


@dataclass(frozen=True)
class LoadedIntrinsics:
    """Intrinsics of a file, and what was understood.

    Attributes:
        intrinsics: The intrinsics.
        form: Form of the file, e.g. "YAML".
        layout: Layout, by the program that writes it.
        camera: Name of the camera in the file; empty without one.
        depth_scale_m: Meters per unit of integer depth, if the file tells; None otherwise.
        depth_scales_m: Meters per unit in each of several possible readings of a factor in the file; mostly empty.
        notes: Sentences about conventions, and keys that were not used.
    """

    intrinsics: Intrinsics
    form: str
    layout: str
    camera: str = ""
    depth_scale_m: float | None = None
    depth_scales_m: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {**plain_json(self), "intrinsics": self.intrinsics.to_dict()}


def load_intrinsics(path: str | Path, *, size_wh: tuple[int, int] | None = None, camera: str | None = None) -> Intrinsics:
    """Read intrinsics from a file. docs/cameras.md lists the layouts, which the content tells.

    Args:
        path: JSON, YAML, XML, `.mat`, `.npz`, text, or a bag of ROS.
        size_wh: Width and height of the image, for layouts that do not state them.
        camera: Name of the camera in a file of several cameras.

    Raises:
        InputError: The file is missing or invalid, has no known layout or two readings, or no camera has its values.
        DependencyError: A package that reads the file is not installed.
    """
    return read_intrinsics(path, size_wh=size_wh, camera=camera).intrinsics


def read_intrinsics(path: str | Path, *, size_wh: tuple[int, int] | None = None, camera: str | None = None) -> LoadedIntrinsics:
    """Read intrinsics as `load_intrinsics` does, with what was understood."""
    path = Path(path)
    document = read_document(path)
    try:
        plain = _plain(document)
        if plain is not None:
            found = LoadedIntrinsics(plain, document.form, "width height fx fy cx cy")
        else:
            found = _chosen(document, size_wh, camera)
    except InputError as error:
        raise InputError(error.what, f"{path}: {error.given}", error.fix) from error
    if document.form == "YAML":
        warn_if_cut_off(path)
    return found


def _plain(document: Document) -> Intrinsics | None:
    """Return the intrinsics of this package's own layout, which is checked strictly; None for another one."""
    tree = document.tree
    if not isinstance(tree, dict) or not set(tree) <= {*_PLAIN, *_PLAIN_MORE}:
        return None
    # Numbers like these may come alone where their image has a size.
    return Intrinsics.from_dict(tree) if set(_PLAIN) <= set(tree) or not set(_PLAIN[2:]) <= set(tree) else None


def _chosen(document: Document, size_wh: tuple[int, int] | None, camera: str | None) -> LoadedIntrinsics:
    readings = _readings(document.tree)
    if not readings:
        raise _no_camera(document.tree)
    reading = _one_of(readings, size_wh, camera).sized(size_wh)
    fields = (reading.layout, reading.camera, reading.depth_scale_m, reading.depth_scales_m, reading.notes)
    return LoadedIntrinsics(reading.intrinsics(), document.form, *fields)


def _no_camera(tree: Any) -> InputError:
    keys = [str(key) for key in tree] if isinstance(tree, dict) else []
    missing = [key for key in _PLAIN if key not in keys]
    close = [
        f"{key!r}, meant {near[0]!r}?"
        for key in keys
        if (near := difflib.get_close_matches(key, missing, 1)) and key not in _PLAIN
    ]
    given = (
        f"missing {missing}; it has {keys[:_MOST_NAMES]} {' '.join(close)}"
        if keys
        else f"no mapping, but a {type(tree).__name__}"
    )
    fix = f"give a mapping of {' '.join(_PLAIN)}, or a layout of docs/cameras.md"
    return InputError("The file must hold intrinsics in a known layout", given.strip(), fix)


def _readings(tree: Any) -> list[CameraReading]:
    """Return every camera of a tree, each under its name.

    Raises:
        InputError: A mapping has two readings, or a key that may bend rays and is not understood.
    """
    readings: list[CameraReading] = []
    for node in nodes_of(tree):
        found = [reading for layout in LAYOUTS for reading in layout(node)]
        if not found:
            continue
        by_name = {reading.camera: reading for reading in found}
        for reading in found:
            _check_same(by_name[reading.camera], reading)
        unread = suspects(node)
        if unread:
            fix = "rename it (distortion, distortion_model), or remove it"
            raise InputError("Every key about the lens must be understood", f"{', '.join(unread)}", fix)
        ignored = sorted(set(node.values) - node.used)[:_MOST_NAMES]
        notes = (f"keys that were not used: {', '.join(ignored)}",) if ignored else ()
        for name, reading in {reading.camera: reading for reading in reversed(found)}.items():
            full = "/".join(part for part in (*node.path, name) if part)
            readings.append(replace(reading, camera=full, notes=(*reading.notes, *notes)))
    return readings


def _check_same(one: CameraReading, other: CameraReading) -> None:
    if (one.matrix, one.distortion) != (other.matrix, other.distortion):
        given = f"{one.layout} {one.matrix[:2]} {one.distortion}, {other.layout} {other.matrix[:2]} {other.distortion}"
        raise InputError("A camera must have one reading", given, "remove one of them")


def _one_of(readings: list[CameraReading], size_wh: tuple[int, int] | None, camera: str | None) -> CameraReading:
    """Return the camera that is named, or the only one.

    Raises:
        InputError: Several cameras fit, or none does.
    """
    names = ", ".join(dict.fromkeys(repr(reading.camera) for reading in readings[:_MOST_NAMES]))
    fix = f"name one with {CAMERA_OPTION}: {names}"
    if camera is not None:
        wanted = camera.lower().strip("/")
        fits = [each for each in readings if each.camera.lower().strip("/") == wanted]
        fits = fits or [each for each in readings if wanted in each.camera.lower().split("/")]
        if not fits:
            raise InputError("The camera must be one of the file", repr(camera), fix)
        readings = fits
    if len({reading.camera_values for reading in readings}) == 1:
        return readings[0]
    visp = [each for each in readings if each.layout == "ViSP"]
    if len(visp) == len(readings) and len({each.camera.rpartition("/")[0] for each in visp}) == 1:
        bent = [each for each in visp if each.distortion]
        readings = bent if len(bent) == 1 else readings
    sized = [each for each in readings if size_wh is not None and each.size_wh == size_wh]
    if len(readings) > 1 and len({each.camera_values for each in sized}) == 1:
        note = f"of {len(readings)} cameras of the file, the one of the image's size: {sized[0].camera}"
        return replace(sized[0], notes=(*sized[0].notes, note))
    if len(readings) > 1:
        sizes = sorted({"x".join("?" if side is None else f"{side:g}" for side in each.size_wh) for each in readings})
        given = f"{len(readings)} different cameras of {', '.join(sizes[:4])} pixels"
        raise InputError("One camera of the file must be named", given, fix)
    return readings[0]
