"""Library files: one safetensors file with JSON metadata, written whole or not at all, without pickle.

Tensors are numbered: `objects.0.head.mean`, `objects.0.views.1.shown`. The metadata name the objects.
"""

import contextlib
import json
import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from molmo_point.arrays import ColorArray
from molmo_point.errors import InputError
from molmo_point.files import read_file, write_file
from molmo_point.model.taught.heads import Head
from molmo_point.model.taught.library import Library, network_of
from molmo_point.model.taught.taught_object import THUMBNAIL_PX, TaughtObject, TaughtView, checked_objects
from molmo_point.model.taught.view_examples import ViewExamples

FORMAT = 1
"""Format of the files that this version writes; it refuses newer ones."""
_KIND = "molmo-point taught objects"
_LONGEST_HEADER, _LONGEST_METADATA = 64 * 2**20, 16 * 2**20
_MOST_OBJECTS, _MOST_VIEWS = 2000, 1000
_FIX = "give a library as `molmo-point teach` writes it, or restore the file"


def read_library(path: str | Path) -> Library:
    """Read a library file.

    Raises:
        InputError: The file is missing, broken, of a newer format, or of other features.
    """
    path = Path(path)
    data = read_file(path)
    try:
        described = _metadata(data)
        _check_format(path, described)
        network_of(str(described["features"]))
        tensors = load_tensors(data)
        return replace(_library(described, tensors), title=path.stem)
    except InputError as error:
        given = error.given if str(path) in error.given else f"{path}: {error.given}"
        raise InputError(error.what, given, error.fix) from error
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError, SafetensorError) as error:
        reason = f"{'it lacks ' if isinstance(error, KeyError) else ''}{error}"[:200]
        raise InputError("file must be a library of taught objects", f"{path}: {reason}", _FIX) from error


def read_libraries(paths: str | Path | Sequence[str | Path]) -> Library:
    """Read one library file or more, and merge them.

    Raises:
        InputError: A file cannot be used, or a name stands for two different objects.
    """
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    if not several:
        raise InputError("taught must name a library", "an empty list", "give the path of one or more, or None")
    merged, *others = map(read_library, several)
    for other in others:
        merged = merged.merged(other)
    return merged


def write_library(path: str | Path, library: Library) -> Library:
    """Write a library file whole or not at all, and return the library as it was written.

    Objects that another process has taught since this library was read are kept.

    Raises:
        InputError: Another process has changed one of the objects that changed here, the file on disk is no library of these
            features, or the disk refuses. The file is as it was.
    """
    path = Path(path)
    with _locked(path.parent):
        if path.exists():
            library = _with_changes_of(read_library(path), library, path)
        write_file(path, _encoded(library))
    return replace(library, title=path.stem, known_before={each.name: each.digest for each in library.objects})


def change_library(path: str | Path, change: Callable[[Library], Library]) -> Library:
    """Read a library file, or make an empty library where there is none, change it, and write it; errors as `write_library`."""
    before = read_library(path) if Path(path).exists() else Library.empty()
    return write_library(path, change(before))


def _with_changes_of(disk: Library, library: Library, path: Path) -> Library:
    """Return a library with the changes that others made to its file since it was read."""
    base, theirs = library.known_before, {each.name: each for each in disk.objects}
    ours = {each.name: each for each in library.objects}
    digests = [{name: each.digest for name, each in found.items()} for found in (ours, theirs)]
    changed = [name for name in {**base, **theirs} if digests[1].get(name) != base.get(name)]
    changed = [name for name in changed if digests[0].get(name) != digests[1].get(name)]
    for name in changed:
        if digests[0].get(name) != base.get(name):
            given = f"{name!r} in {path}, which has another object of this name or has changed since it was read"
            raise InputError("object must not have changed in the file", given, "read the library again, or choose another name")
    if not changed:
        return library
    kept = {name: each for name, each in ours.items() if name not in changed}
    gained = {name: theirs[name] for name in changed if name in theirs}
    objects = checked_objects((*kept.values(), *gained.values()))
    heads = {**{name: library.heads[name] for name in kept}, **{name: disk.heads[name] for name in gained}}
    return replace(library, objects=objects, heads=heads).with_alike_told_apart(gained)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from writing a library into a folder; without locks on this system nothing is kept."""
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _encoded(library: Library) -> bytes:
    tensors: dict[str, np.ndarray] = {}
    rows = []
    for k, each in enumerate(library.objects):
        tensors |= {f"objects.{k}.head.{name}": array for name, array in library.heads[each.name].arrays().items()}
        for j, view in enumerate(each.views):
            arrays = {**view.examples.arrays(), "thumbnail": view.thumbnail}
            tensors |= {f"objects.{k}.views.{j}.{name}": array for name, array in arrays.items()}
        views = [{"origin": view.origin, "stamp_ns": view.stamp_ns} for view in each.views]
        rows.append({"name": each.name, "aliases": each.aliases, "categories": each.categories, "views": views})
    described = {"format": FORMAT, "features": library.features, "objects": rows}
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    return save_tensors(contiguous, {"kind": _KIND, "library": json.dumps(described)})


def _metadata(data: bytes) -> dict[str, Any]:
    """Return the description of a library from the header of its file."""
    if len(data) < 8:
        raise ValueError(f"it has {len(data)} bytes")
    (size,) = struct.unpack("<Q", data[:8])
    if size > min(len(data) - 8, _LONGEST_HEADER):
        raise ValueError("it is cut short or no safetensors file")
    header = json.loads(data[8 : 8 + size])
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else {}
    if not isinstance(metadata, dict) or metadata.get("kind") != _KIND:
        raise ValueError("it is another kind of file")
    text = metadata["library"]
    if not isinstance(text, str) or len(text) > _LONGEST_METADATA:
        raise ValueError("its metadata are too long or no text")
    described = json.loads(text)
    if not isinstance(described, dict):
        raise ValueError("its metadata describe no library")
    return described


def _check_format(path: Path, described: Mapping[str, Any]) -> None:
    found = described["format"]
    if type(found) is not int or found < 1:
        raise ValueError(f"format {str(found)[:20]!r}")
    if found > FORMAT:
        given = f"{path}: format {found}, this version reads {FORMAT}"
        raise InputError("library must be of a format that this version reads", given, "install a newer molmo-point")


def _library(described: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Library:
    features = str(described["features"])
    network_of(features)
    rows = described["objects"]
    if not isinstance(rows, list) or len(rows) > _MOST_OBJECTS:
        raise ValueError(f"it must list at most {_MOST_OBJECTS} objects")
    parts: dict[str, dict[str, np.ndarray]] = {}
    for name, array in tensors.items():
        place, _, last = name.rpartition(".")
        parts.setdefault(place, {})[last] = _checked_array(name, array)
    objects = checked_objects([_object(row, f"objects.{k}", parts) for k, row in enumerate(rows)])
    heads = {each.name: Head.from_arrays(parts[f"objects.{k}.head"]) for k, each in enumerate(objects)}
    unfit = next((name for name, head in heads.items() if not head.fits()), None)
    if unfit is not None:
        raise ValueError(f"the head of {unfit!r} has other types or shapes")
    known = {each.name: each.digest for each in objects}
    return Library(features, objects, heads, known_before=known)


def _object(row: Any, place: str, parts: Mapping[str, dict[str, np.ndarray]]) -> TaughtObject:
    names, aliases, categories = row["name"], row["aliases"], row["categories"]
    if not all(isinstance(words, list) and all(isinstance(word, str) for word in words) for words in (aliases, categories)):
        raise ValueError(f"{place}: aliases and categories must be lists of texts")
    if not isinstance(row["views"], list) or not 0 < len(row["views"]) <= _MOST_VIEWS:
        raise ValueError(f"{place}: it must have 1 to {_MOST_VIEWS} views")
    views = tuple(_view(each, parts[f"{place}.views.{j}"]) for j, each in enumerate(row["views"]))
    return TaughtObject(names, views, tuple(aliases), tuple(categories))


def _view(row: Any, arrays: Mapping[str, np.ndarray]) -> TaughtView:
    origin, stamp_ns = row["origin"], row["stamp_ns"]
    if not isinstance(origin, str) or not (stamp_ns is None or (type(stamp_ns) is int and 0 <= stamp_ns < 2**63)):
        raise ValueError("a view has an impossible origin or capture time")
    examples = ViewExamples.from_arrays(arrays)
    if not examples.fits():
        raise ValueError("a view has other types or shapes")
    return TaughtView(examples, _checked_thumbnail(arrays["thumbnail"]), origin, stamp_ns)


def _checked_thumbnail(array: np.ndarray) -> ColorArray:
    if (
        array.dtype != np.uint8
        or array.ndim != 3
        or array.shape[2] != 3
        or not 0 < min(array.shape[:2]) <= max(array.shape[:2]) <= THUMBNAIL_PX
    ):
        raise ValueError(f"a thumbnail is {array.dtype} of shape {array.shape}")
    return array


def _checked_array(name: str, array: np.ndarray) -> np.ndarray:
    """Refuse numbers that are not finite, and make an array read-only."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name[:80]} has numbers that are not finite")
    array.flags.writeable = False
    return array
