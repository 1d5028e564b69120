"""Texts of intrinsics that are neither JSON nor YAML, as trees."""

import re
from collections.abc import Callable
from typing import Any

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_COLMAP = re.compile(rf"(\d+)\s+([A-Z_]{{3,}})\s+(\d+)\s+(\d+)((?:\s+{_NUMBER})+)")
_PRINTED = re.compile(
    rf"(\d+)x(\d+)\s+p\[({_NUMBER})\s+({_NUMBER})\]\s+f\[({_NUMBER})\s+({_NUMBER})\]\s+([A-Za-z][\w -]*?)\s*\[([^\]]*)\]"
)
_PRINTED_BEFORE = re.compile(
    rf"width: (\d+), height: (\d+), ppx: ({_NUMBER}), ppy: ({_NUMBER}), fx: ({_NUMBER}), fy: ({_NUMBER}),"
    r" model: ([A-Za-z][\w -]*?), coeffs: \[([^\]]*)\]"
)
"""The print of librealsense before 2.40."""
_STREAM = re.compile(r'^\s*Intrinsic of "([^"]+)"\s*/\s*(\d+x\d+)[^\n]*$', re.MULTILINE)
_FIELD = re.compile(r"^\s*([A-Za-z][\w ()]*?)\s*:\s*(.+?)\s*$", re.MULTILINE)
_SECTION = re.compile(r"\[([A-Za-z][\w./ -]*)\]")
_ENTRY = re.compile(r"([A-Za-z_][\w.]*)\s*=\s*(.+?)[;,]?")
_PAIR = re.compile(rf"([A-Za-z_][\w.]*)\s+({_NUMBER}(?:[\s,]+{_NUMBER})*)")
_ONLY_NUMBERS = re.compile(r"[-+.\deE\s,;\[\]()]*\d[-+.\deE\s,;\[\]()]*")
_ONLY_ROW = re.compile(rf"{_NUMBER}(?:\s+{_NUMBER})*")
_OST_KEYS = {
    "camera matrix": "camera_matrix",
    "distortion": "distortion_coefficients",
    "rectification": "rectification_matrix",
    "projection": "projection_matrix",
}
_LONGEST_TEXT, _LONGEST_LINE = 1_000_000, 2_000
"""Characters of texts that people or programs write for one camera, or for some."""


def _lines(text: str) -> list[str]:
    """Return the lines without comments and blank lines."""
    bare = (re.sub(r"(^|\s)[#%].*$|//.*$", "", line).strip() for line in text.splitlines())
    return [line for line in bare if line]


def colmap(text: str) -> dict[str, Any] | None:
    """Read cameras.txt of COLMAP: one line a camera."""
    found = [_COLMAP.fullmatch(line) for line in _lines(text)]
    if not found or None in found:
        return None
    rows = [match.groups() for match in found if match]
    return {
        name: {"colmap_model": model, "width": width, "height": height, "params": params.split()}
        for name, model, width, height, params in rows
    }


def printed_realsense(text: str) -> dict[str, Any] | None:
    """Read what Python prints of librealsense's intrinsics."""
    found = _PRINTED.findall(text) or _PRINTED_BEFORE.findall(text)
    names = ("width", "height", "ppx", "ppy", "fx", "fy", "model", "coeffs")
    return {f"camera {number}": dict(zip(names, each, strict=True)) for number, each in enumerate(found)} or None


def listed_realsense(text: str) -> dict[str, Any] | None:
    """Read the intrinsics that rs-enumerate-devices lists with -c: one block a stream and mode."""
    parts = _STREAM.split(text)
    streams: dict[str, Any] = {}
    for name, mode, block in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        fields = dict(_FIELD.findall(re.split(r"\n\s*\n", block.strip("\n"), maxsplit=1)[0]))
        if "Fx" in fields:
            streams[f"{name} {mode}"] = {"model" if key == "Distortion" else key: value for key, value in fields.items()}
    return streams or None


def calibration_ini(text: str) -> dict[str, Any] | None:
    """Read ost.txt of ROS camera_calibration: names on one line, their numbers on the next ones."""
    lines = _lines(text)
    if "camera matrix" not in lines:
        return None
    tree: dict[str, Any] = {}
    here, key = tree, ""
    for line in lines:
        if section := _SECTION.fullmatch(line):
            here = tree if section[1] == "image" else tree.setdefault(section[1], {})
        elif _ONLY_ROW.fullmatch(line):
            here[key] = f"{here.get(key, '')} {line}"
        else:
            key = _OST_KEYS.get(line, line)
            here[key] = ""
    return tree


def sections(text: str) -> dict[str, Any] | None:
    """Read `key = value` lines, with or without [sections], and `key number` lines."""
    tree: dict[str, Any] = {}
    here = tree
    for line in _lines(text):
        if section := _SECTION.fullmatch(line):
            here = tree.setdefault(section[1], {})
        elif entry := _ENTRY.fullmatch(line) or _PAIR.fullmatch(line):
            if entry[1] in here:
                raise ValueError(f"the key {entry[1]!r} is there twice")
            here[entry[1]] = entry[2].strip("'\"")
        else:
            return None
    return tree or None


def numbers(text: str) -> dict[str, Any] | None:
    """Read rows of numbers, with commas, semicolons and brackets or without."""
    lines = _lines(re.sub(r"^\s*[A-Za-z_]\w*\s*[=:]\s*(?=\[|(?:np\.|numpy\.)?array)|(?:np\.|numpy\.)?array(?=\()", "", text))
    if not lines or not all(map(_ONLY_NUMBERS.fullmatch, lines)):
        return None
    rows = [re.findall(_NUMBER, row) for line in lines for row in re.split(r";|\]\s*,?\s*\[", line)]
    rows = [row for row in rows if row]
    return {"numbers": rows if len({len(row) for row in rows}) == 1 else [value for row in rows for value in row]}


def is_short(text: str) -> bool:
    """Test whether a text may be one of these forms; their patterns are slow on very long lines."""
    return len(text) <= _LONGEST_TEXT and all(len(line) <= _LONGEST_LINE for line in text.splitlines())


TEXT_FORMS: dict[str, Callable[[str], dict[str, Any] | None]] = {
    "COLMAP text": colmap,
    "librealsense's print": printed_realsense,
    "rs-enumerate-devices": listed_realsense,
    "text of numbers": numbers,
    "ROS camera_calibration text": calibration_ini,
    "text of keys": sections,
}
"""Form -> reader, which returns None for a text of another form."""
