"""Output of the commands: one JSON object or lines of text on stdout, progress on stderr, and files."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from molmo_point.errors import InputError
from molmo_point.files import write_file
from molmo_point.plain_json import plain_json


def add_json(parser: Any) -> None:
    """Add `--json` to a parser or a group."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")


def add_output(
    parser: argparse.ArgumentParser, out: str, run: Callable[[argparse.Namespace], int], content: str = "folder"
) -> None:
    """Add `--out` and `--json`, and set the function that runs the command."""
    parser.add_argument("--out", type=Path, default=Path(out), help=f"{content} (default {out})")
    add_json(parser)
    parser.set_defaults(run=run)


def progress(line: str) -> None:
    """Print a line of progress on stderr."""
    print(f"  {line}", file=sys.stderr, flush=True)


def show(options: argparse.Namespace, values: Mapping[str, Any], lines: Sequence[str]) -> None:
    """Print the values as JSON (`options.json`), or the lines."""
    print(json.dumps(values, allow_nan=False) if options.json else "\n".join(lines))


def finish(options: argparse.Namespace, values: Mapping[str, Any], lines: Sequence[str], files: Mapping[Path, bytes]) -> None:
    """Write files and make their folders, then print the values or the lines, with the paths."""
    for path, data in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError("--out must be writable", f"{path.parent} ({error.strerror})", "choose another --out") from error
        write_file(path, data)
    show(options, {**values, "files": [str(path) for path in files]}, [*lines, *(f"wrote {path}" for path in files)])


def report_files(folder: Path, values: Mapping[str, Any], html: str) -> dict[Path, bytes]:
    """Return the two files of a report: for people, and for programs."""
    text = json.dumps(values, indent=1, allow_nan=False) + "\n"
    return {folder / "report.html": html.encode(), folder / "report.json": text.encode()}


def check_folder(option: str, path: Path | None) -> None:
    """Refuse a file whose folder does not exist, before a long measurement."""
    if path is not None and not path.absolute().parent.is_dir():
        raise InputError(f"{option} must be a file in a folder that exists", str(path), f"make the folder {path.parent}")


def publish(options: argparse.Namespace, figures: Mapping[str, Any], lines: str) -> None:
    """Write the figures to `options.out`, and print them (`options.json`) or their table."""
    text = json.dumps(plain_json(figures), indent=1, ensure_ascii=False, allow_nan=False)
    if options.out:
        write_file(options.out, f"{text}\n".encode())
    print(text if options.json else lines)
