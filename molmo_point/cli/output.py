"""Output of the commands: one JSON object or lines of text on stdout, progress on stderr, and files."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from molmo_point.cli.overwriting import add_force
from molmo_point.errors import InputError
from molmo_point.files import write_file
from molmo_point.plain_json import plain_json
from molmo_point.text_checks import printable

MADE_BY, SOFTWARE = "made_by", "molmo-point"
"""Entry of every JSON file, the mark of files that a later command may overwrite."""


def add_json(parser: Any) -> None:
    """Add `--json` to a parser or a group."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")


def add_output(
    parser: argparse.ArgumentParser,
    out: str,
    run: Callable[[argparse.Namespace], int],
    content: str = "folder",
    *,
    force: bool = True,
) -> None:
    """Add `--out`, `--json` and, with `force`, `--force`, and set the function that runs the command."""
    parser.add_argument("--out", type=Path, default=Path(out), help=f"{content} (default {out})")
    add_json(parser)
    if force:
        add_force(parser)
    parser.set_defaults(run=run)


def progress(line: str) -> None:
    """Print a line of progress on stderr."""
    print(f"  {printable(line)}", file=sys.stderr, flush=True)


def show(options: argparse.Namespace, values: Mapping[str, Any], lines: Sequence[str]) -> None:
    """Print the values as JSON (`options.json`), or the lines, each on one line."""
    print(json.dumps(values, allow_nan=False) if options.json else "\n".join(map(printable, lines)))


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
    text = json.dumps({MADE_BY: SOFTWARE, **values}, indent=1, allow_nan=False) + "\n"
    return {folder / "report.html": html.encode(errors="backslashreplace"), folder / "report.json": text.encode()}


def publish(options: argparse.Namespace, figures: Mapping[str, Any], lines: str) -> None:
    """Write the figures to `options.out`, and print them (`options.json`) or their table."""
    text = json.dumps({MADE_BY: SOFTWARE, **plain_json(figures)}, indent=1, ensure_ascii=False, allow_nan=False)
    if options.out:
        # A file name that is no UTF-8 becomes an escape, which is valid in JSON.
        write_file(options.out, f"{text}\n".encode(errors="backslashreplace"))
    print(text if options.json else lines)
