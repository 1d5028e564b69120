"""Check of output files before the work: nothing of the user's is overwritten."""

import argparse
import enum
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from molmo_point.camera.registry import CAMERAS, parse_camera
from molmo_point.errors import InputError
from molmo_point.files import check_writable, open_file

_HEAD_BYTES = 65536
_YAML_END = b"# Made by molmo-point, SHA-256 of the lines above: "


class OutputFormat(enum.Enum):
    """Format of an output: the start of such a file, and the mark of those that this program made."""

    PNG = (b"\x89PNG\r\n\x1a\n", b"tEXtSoftware\0molmo-point")
    PLY = (b"ply\n", b"\ncomment made by molmo-point\n")
    PCD = (b"# .PCD", b"\n# made by molmo-point\n")
    HTML = (b"<!doctype html>", b'<meta name="generator" content="molmo-point">')
    JSON = (b"{", b'"made_by": "molmo-point"')
    PDF = (b"%PDF-", b"% Made by molmo-point\n")
    YAML = (b"", _YAML_END)
    """Users edit these, so the mark holds only for the content that was written."""


class Output(NamedTuple):
    """A file that a command will write.

    Attributes:
        option: The option that names it, for messages.
        path: The file; None if it was not asked for.
        form: Its format.
    """

    option: str
    path: Path | None
    form: OutputFormat


def add_force(parser: Any) -> None:
    """Add `--force` to a parser or a group."""
    parser.add_argument("--force", action="store_true", help="overwrite files that this program has not made")


def check_outputs(
    options: argparse.Namespace, *outputs: Output, inputs: Iterable[Path] = (), makes_folders: bool = False
) -> None:
    """Refuse outputs that would destroy an input, a foreign file, a link, or no regular file.

    Inputs are the values of all options that name something on the disk, and the paths in a camera's text. A file in an
    input folder counts as an input unless this program made it. `--force` allows to overwrite foreign files only.

    Args:
        options: Options of the command, with `force`.
        outputs: Files that it will write.
        inputs: Further inputs.
        makes_folders: True if missing folders of the outputs will be made.

    Raises:
        InputError: The message names the option and the path.
    """
    mine = {output.option.strip("-").replace("-", "_") for output in outputs}
    read = [*inputs, *_named_paths({name: value for name, value in vars(options).items() if name not in mine})]
    folders = [path for path in read if path.is_dir()]
    taken = {_identity(path) for path in read}
    written: set[object] = set()
    for option, path, form in outputs:
        if path is None:
            continue
        _check_path(option, path, makes_folders)
        identity = _identity(path)
        if identity in written:
            raise InputError("Outputs must be different files", f"{option} {path}", "give each its own path")
        if identity in taken:
            raise InputError(f"{option} must not overwrite an input", str(path), "choose another path")
        written.add(identity)
        if not path.exists() or _is_own(path, form):
            continue
        if any(folder.resolve() in path.resolve().parents for folder in folders):
            raise InputError(f"{option} must not overwrite a file of an input folder", str(path), "choose another path")
        if not options.force:
            fix = "choose another path, or add --force"
            raise InputError(f"{option} must not overwrite a file that this program has not made", str(path), fix)


def check_report(options: argparse.Namespace, *yaml_names: str, inputs: Iterable[Path] = ()) -> None:
    """Check the outputs of a command that writes a report, and YAML files, into the folder `options.out`."""
    files = {"report.html": OutputFormat.HTML, "report.json": OutputFormat.JSON, **dict.fromkeys(yaml_names, OutputFormat.YAML)}
    outputs = (Output("--out", options.out / name, form) for name, form in files.items())
    check_outputs(options, *outputs, inputs=inputs, makes_folders=True)


def signed_yaml(text: str) -> bytes:
    """Return YAML with a last comment that tells it from edited files."""
    data = text.encode()
    return data + _YAML_END + hashlib.sha256(data).hexdigest().encode() + b"\n"


def _named_paths(values: Mapping[str, Any]) -> list[Path]:
    """Return the values of options that exist on the disk."""
    texts: list[Any] = []
    for name, value in values.items():
        texts += value if isinstance(value, (list, tuple)) else [value]
        if name == "camera" and isinstance(value, str):
            request = parse_camera(value)
            texts += [request.source, *request.options.values()]
    paths = [Path(text) for text in texts if isinstance(text, (str, Path)) and "\0" not in str(text)]
    found = [path for path in paths if os.path.lexists(path)]
    markers = {driver.marker for driver in CAMERAS.values() if driver.marker}
    return [*found, *(path.parent for path in found if path.name in markers)]


def _check_path(option: str, path: Path, makes_folders: bool) -> None:
    if makes_folders:
        while not os.path.lexists(path.parent):
            path = path.parent
    try:
        check_writable(path)
    except InputError as error:
        raise InputError(f"{option} must be a file in a folder that can be written", error.given, error.fix) from error


def _identity(path: Path) -> object:
    """Return what is the same for all links and spellings of a file."""
    try:
        status = os.stat(path)
    except OSError:
        # Unlike `Path.resolve`, it accepts a link to itself.
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def _is_own(path: Path, form: OutputFormat) -> bool:
    start, mark = form.value
    with open_file(path) as file:
        head = file.read(_HEAD_BYTES)
        if form is OutputFormat.YAML:
            data, _, stated = head.rpartition(mark)
            return stated == hashlib.sha256(data).hexdigest().encode() + b"\n"
        return head.startswith(start) and mark in head
