"""Option `--taught` of the commands that change a library of taught objects: its file, read and written whole."""

import math
from pathlib import Path
from typing import Any

from molmo_point.errors import InputError

DEFAULT_LIBRARY = Path("taught.safetensors")


def add_library(parser: Any) -> None:
    """Add `--taught` to a parser or a group."""
    words = "library of taught objects (default %(default)s in this folder)"
    parser.add_argument("--taught", type=Path, default=DEFAULT_LIBRARY, metavar="FILE", help=words)


def known_library(path: Path) -> Any:
    """Read a library that must exist.

    Raises:
        InputError: The file is missing, or no library.
    """
    from molmo_point.model.taught.library_file import read_library

    if not path.exists():
        fix = "name the file with --taught, or teach an object: molmo-point teach 'my mug' --from FOLDER"
        raise InputError("--taught must be a library of taught objects", f"{path} (no such file)", fix)
    return read_library(path)


def library_or_empty(path: Path) -> Any:
    """Read a library; an empty one if there is no file yet. Refuse a path that could not be written, before the work.

    Raises:
        InputError: The file is no library, or cannot be written.
    """
    from molmo_point.files import check_writable
    from molmo_point.model.taught.library import Library

    check_writable(path)
    return known_library(path) if path.exists() else Library.empty(title=path.stem)


def object_values(library: Any, known: Any) -> dict[str, Any]:
    """Return what a library knows of one of its objects, as plain JSON."""
    return {
        "name": known.name,
        "aliases": list(known.aliases),
        "categories": list(known.categories),
        "views": len(known.views),
        "looks_like": list(library.looks_like(known.name)),
        "stamp_ns": known.stamp_ns,
    }


def found_value(library: Any, name: str) -> float | None:
    """Return the share of left-out views in which an object is found; None if it is unknown. It takes a fit for each view."""
    from molmo_point.teaching.found_rate import found_rate

    rate = found_rate(library, name)
    return rate if math.isfinite(rate) else None
