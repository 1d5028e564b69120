"""Output of the calibration commands: files, one JSON object or lines of text, progress on stderr."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from molmo_point.errors import InputError


def write_files(files: dict[Path, bytes]) -> None:
    """Write files atomically, and make their folders.

    Raises:
        InputError: If a file cannot be written.
    """
    from molmo_point.files import write_file

    for path, data in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError("--out must be writable", f"{path.parent} ({error.strerror})", "choose another --out") from error
        write_file(path, data)


def finish(options: argparse.Namespace, values: dict[str, Any], lines: list[str], files: dict[Path, bytes]) -> None:
    """Print the JSON or the text, and the written files."""
    if options.json:
        print(json.dumps({**values, "files": [str(path) for path in files]}, allow_nan=False))
    else:
        print("\n".join([*lines, *(f"wrote {path}" for path in files)]))


def progress(line: str) -> None:
    """Print a line of progress on stderr, so that stdout stays clean."""
    print(f"  {line}", file=sys.stderr, flush=True)
