"""Files of intrinsics as trees of mappings, lists, numbers and texts. Nothing in a file is executed."""

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from molmo_point.camera.intrinsics_files.bag_infos import bag_tree, is_bag
from molmo_point.camera.intrinsics_files.camera_node import array_of
from molmo_point.camera.intrinsics_files.text_forms import TEXT_FORMS, is_short
from molmo_point.dependencies import require
from molmo_point.errors import DependencyError, InputError
from molmo_point.files import decode_npy, decode_npz, read_file
from molmo_point.geometry.mapping_file import MAX_JSON_BYTES, MAX_YAML_BYTES, decode_text, parse_json, parse_yaml

_MAX_DEPTH = 32
_MAX_ELEMENTS = 10_000
"""Largest array of a file that may hold intrinsics."""
_COMMENTS = re.compile(r'^[ \t]*//[^\n]*|/\*.*?\*/|(?<=[,{\[\]}\d"])[ \t]*//[^"\n]*$', re.MULTILINE | re.DOTALL)
_KNOWN = "give JSON, YAML, XML, .mat, .npz, .txt, or a bag; docs/cameras.md lists the layouts"


@dataclass(frozen=True)
class Document:
    """Content of a file.

    Attributes:
        form: Form of the file, e.g. "YAML".
        tree: Mappings, lists, numbers and texts.
    """

    form: str
    tree: Any


def read_document(path: Path) -> Document:
    """Read a file whose form its content tells.

    Raises:
        InputError: The file is missing, too large, or of no known form.
        DependencyError: A package that reads this form is not installed.
    """
    if is_bag(path):
        return Document("ROS bag", bag_tree(path))
    data, name = read_file(path, MAX_JSON_BYTES), str(path)
    binary = _binary(data, name)
    if binary is not None:
        return binary
    try:
        document = _parse_text(decode_text(data), name)
        # A list of numbers alone is a matrix.
        is_matrix = isinstance(document.tree, list) and array_of(document.tree) is not None
        return Document(document.form, {"numbers": document.tree}) if is_matrix else document
    except (ValueError, ElementTree.ParseError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("The file must be valid JSON, YAML, XML or text", f"{name} ({_words(error)})", _KNOWN) from error


def _binary(data: bytes, name: str) -> Document | None:
    """Read an array file or a MATLAB file; None for a text."""
    if data.startswith(b"\x93NUMPY"):
        return Document("NumPy", {"numbers": decode_npy(data, name).tolist()})
    if data.startswith(b"PK\x03\x04"):
        arrays = decode_npz(data, name)
        return Document("NumPy", {key: each.tolist() for key, each in arrays.items() if each.size <= _MAX_ELEMENTS})
    if data.startswith((b"\x89HDF", b"MATLAB 7.3")):
        raise InputError(
            "A .mat file must be of version 5 or 7", f"{name} is of version 7.3 (HDF5)", "save(..., '-v7') in MATLAB"
        )
    return Document("MATLAB", _mat_tree(data, name)) if data.startswith(b"MATLAB 5.0") else None


def _mat_tree(data: bytes, name: str) -> dict[str, Any]:
    matlab = require("scipy.io", "Reading .mat files", "formats")
    try:
        # A compressed variable may unfold into gigabytes, so its size is looked at before.
        sizes = matlab.whosmat(io.BytesIO(data))
        small = [key for key, shape, _ in sizes if np.prod(shape, dtype=float) <= _MAX_ELEMENTS]
        found = matlab.loadmat(io.BytesIO(data), variable_names=small, simplify_cells=True)
    except Exception as error:  # scipy's reader raises a dozen kinds
        raise InputError("The file must be a complete .mat file", f"{name} ({_words(error)})", "save it again") from error
    return {key: _plain(found[key]) for key in small if key in found}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist() if value.dtype.kind in "biuf" else [_plain(part) for part in value.ravel().tolist()]
    return value.item() if isinstance(value, np.generic) else value


def _parse_text(text: str, name: str) -> Document:
    head = text.lstrip()
    if head.startswith("<"):
        return Document("XML", _xml_tree(text))
    for form, read in TEXT_FORMS.items() if is_short(text) else ():
        tree = read(text)
        if tree is not None:
            return Document(form, tree)
    if head[:1] in ("{", "["):
        try:
            return Document("JSON", parse_json(text))
        except ValueError as error:
            return Document("JSON", _lenient(text, error, parse_json, _yaml))
    return Document("YAML", _yaml(text) if not name.lower().endswith(".json") else parse_json(text))


def _lenient(text: str, error: ValueError, *readers: Callable[[str], Any]) -> Any:
    """Read JSON with comments or commas at the end; the first error is raised if that fails, too."""
    for read in readers:
        try:
            return read(_COMMENTS.sub("", text))
        except (ValueError, DependencyError):
            continue
    raise error


def _yaml(text: str) -> Any:
    if len(text) > MAX_YAML_BYTES:
        raise ValueError(f"YAML must have at most {MAX_YAML_BYTES / 2**20:g} MiB")
    # OpenCV's first line `%YAML:1.0` is no YAML; `ros2 topic echo` ends every message with a line of dashes.
    lines = ["" if line.startswith("%YAML") else line for line in text.splitlines()]
    parts = re.split(r"^---\s*$|^\.\.\.\s*$", "\n".join(lines) + "\n", flags=re.MULTILINE)
    found = [parse_yaml(part) for part in parts if part.strip()]
    return found[0] if len(found) == 1 else [each for each in found if each is not None]


def _xml_tree(text: str) -> Any:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it defines entities")
    # A text with an encoding declaration is refused as such.
    return _xml_value(ElementTree.fromstring(re.sub(r"<\?xml[^>]*\?>", "", text, count=1)), _MAX_DEPTH)


def _xml_value(element: ElementTree.Element, left: int) -> Any:
    if not left:
        raise ValueError(f"it is nested more than {_MAX_DEPTH} levels deep")
    text = (element.text or "").strip()
    if not len(element):
        return text if not element.attrib or text else dict(element.attrib)
    values: dict[str, Any] = dict(element.attrib)
    for child in element:
        tag, value = child.tag.rpartition("}")[2], _xml_value(child, left - 1)
        if tag in values:
            before = values[tag]
            values[tag] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            values[tag] = value
    return values


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
