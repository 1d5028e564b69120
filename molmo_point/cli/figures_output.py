"""Output of measurements: one JSON object or a table on stdout, and files."""

import argparse
import json
from pathlib import Path
from typing import Any

from molmo_point.errors import InputError
from molmo_point.plain_json import plain_json


def check_folder(option: str, path: Path | None) -> None:
    """Refuse a file whose folder does not exist, before a long measurement.

    Raises:
        InputError: The folder does not exist.
    """
    if path is not None and not path.absolute().parent.is_dir():
        raise InputError(f"{option} must be a file in a folder that exists", str(path), f"make the folder {path.parent}")


def write_text(option: str, path: Path, text: str) -> None:
    """Write a text file.

    Raises:
        InputError: It cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{option} must be a file that can be written", f"{path}: {error}", "name another file") from error


def publish(options: argparse.Namespace, figures: dict[str, Any], lines: str) -> None:
    """Write the figures to `options.out`, and print them (`options.json`) or their table.

    Raises:
        InputError: The file cannot be written.
    """
    text = json.dumps(plain_json(figures), indent=1, ensure_ascii=False, allow_nan=False)
    if options.out:
        write_text("--out", options.out, text + "\n")
    print(text if options.json else lines)
