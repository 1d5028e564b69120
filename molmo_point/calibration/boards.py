"""Calibration boards: ChArUco, chessboard, grids of tags; their YAML, their points, and their print as PDF."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.dependencies import require
from molmo_point.errors import DependencyError, InputError
from molmo_point.geometry.mapping_file import read_mapping, warn_if_cut_off

KINDS = ("charuco", "chessboard", "apriltag", "aruco")
_NEEDED = ("kind", "columns", "rows", "square_m")
_MOST_SQUARES = 200
_LONE_PITCH = 1.25
_DICTIONARIES = {"charuco": "DICT_5X5_250", "apriltag": "DICT_APRILTAG_36h11", "aruco": "DICT_4X4_50", "chessboard": ""}
_DICTIONARY = re.compile(r"DICT_(?:([4-7])X\1_(50|100|250|1000)|APRILTAG_(16[hH]5|25[hH]9|36[hH]1[01])|ARUCO_ORIGINAL)")
_APRILTAGS = {"16h5": 30, "25h9": 35, "36h10": 2320, "36h11": 587}
_ARUCO_ORIGINAL = 1024


def _dictionary_size(name: str) -> int:
    """Return the number of markers of an OpenCV dictionary.

    Raises:
        InputError: If the name is unknown.
    """
    found = _DICTIONARY.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        raise InputError("dictionary must be a marker dictionary of OpenCV", repr(name), "e.g. DICT_5X5_250, DICT_APRILTAG_36h11")
    return int(found[2]) if found[2] else _APRILTAGS[found[3].lower()] if found[3] else _ARUCO_ORIGINAL


def smallest_dictionary(name: str, marker: int) -> str:
    """Return the smallest dictionary of the family of `name` that holds a marker's id."""
    stem, _, size = name.rpartition("_")
    sizes = [each for each in (50, 100, 250, 1000) if each > marker]
    return f"{stem}_{sizes[0]}" if size == "1000" and sizes else name


@dataclass(frozen=True)
class Board:
    """Flat board. The origin is the first corner point; x runs along the columns, y down the rows, z into the board.

    Attributes:
        kind: "charuco", "chessboard", "apriltag" or "aruco" (a grid of tags, or one tag).
        columns: Number of squares along x (of tags for a grid of tags).
        rows: Number of squares along y (of tags for a grid of tags).
        square_m: Side of a square, or pitch of the tags, in meters.
        marker_m: Side of a marker with its black border, in meters; 0 for a chessboard.
        dictionary: OpenCV's name of the marker dictionary; empty for a chessboard.
        first_marker: Id of the first marker, to distinguish two boards.
        legacy: True for the ChArUco pattern of OpenCV before 4.6: with an even number of rows it begins with a marker.
        border_cells: Width of a marker's black border, in cells; 2 for a grid of Kalibr.
        from_bottom: True if the ids of a grid of tags start at the bottom left, as Kalibr's do.

    Raises:
        InputError: If the numbers do not make a board.
    """

    kind: str
    columns: int
    rows: int
    square_m: float
    marker_m: float = 0.0
    dictionary: str = ""
    first_marker: int = 0
    legacy: bool = False
    border_cells: int = 1
    from_bottom: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"kind must be one of {', '.join(KINDS)}", repr(self.kind), "name the kind of board")
        for name in ("columns", "rows", "first_marker", "border_cells"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise InputError(f"{name} must be a whole number", _short(value), "count the squares")
        for name in ("legacy", "from_bottom"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} must be true or false", _short(getattr(self, name)), "see calibration/README.md")
        least = {"chessboard": 4, "charuco": 3}.get(self.kind, 1)  # OpenCV finds chessboards of 3 x 3 inner corners or more
        if not (least <= self.columns <= _MOST_SQUARES and least <= self.rows <= _MOST_SQUARES and self.first_marker >= 0):
            raise InputError(
                f"A board must have at least {least} x {least} squares and at most {_MOST_SQUARES} x {_MOST_SQUARES}, ids from 0",
                f"{_short(self.columns)} x {_short(self.rows)}, first_marker {_short(self.first_marker)}",
                "count the squares",
            )
        if self.border_cells not in (1, 2):
            raise InputError("border_cells must be 1 or 2", _short(self.border_cells), "2 for a grid of Kalibr")
        for name in ("square_m", "marker_m"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(float(min(value, 1e300))):
                raise InputError(f"{name} must be a number", _short(value), "give meters, e.g. 0.03")
        if not 0.0005 <= self.square_m <= 2.0:
            raise InputError("square_m must be between 0.0005 and 2", _short(self.square_m), "give meters: 0.03 is 30 mm")
        self._check_markers()

    def _check_markers(self) -> None:
        if self.kind == "chessboard":
            object.__setattr__(self, "marker_m", 0.0)
            object.__setattr__(self, "dictionary", "")
            return
        if not 0.0 < self.marker_m < self.square_m:
            raise InputError(
                "marker_m must be smaller than square_m, and above zero",
                f"marker_m={_short(self.marker_m)}, square_m={_short(self.square_m)}",
                "give both in meters, e.g. 0.022 and 0.03; the square_m of tags is the distance from one tag to the next",
            )
        object.__setattr__(self, "dictionary", self.dictionary or _DICTIONARIES[self.kind])
        markers = self.columns * self.rows if self.is_grid else self.columns * self.rows // 2
        size = _dictionary_size(self.dictionary)
        if self.first_marker + markers > size:
            raise InputError(
                "dictionary must hold all markers",
                f"{markers} needed from {_short(self.first_marker)} on, {self.dictionary} has {size}",
                "use a smaller board",
            )

    @property
    def is_grid(self) -> bool:
        """True for a grid of tags, or one tag."""
        return self.kind in ("apriltag", "aruco")

    @property
    def like_turns(self) -> int:
        """Number of turns in the plane after which the board looks the same: 1, 2 (half turns) or 4 (quarter turns)."""
        if self.kind != "chessboard" or (self.columns + self.rows) % 2:
            return 1
        return 4 if self.columns == self.rows and self.columns % 2 else 2

    @property
    def points(self) -> FloatArray:
        """Board points (m, 3) in meters, z = 0: inner corners row by row, or the four corners of each tag."""
        less = int(not self.is_grid)
        v, u = np.mgrid[0 : self.rows - less, 0 : self.columns - less]
        corners = np.stack([u.ravel(), v.ravel(), np.zeros(u.size)], axis=1) * self.square_m
        if less:
            return corners
        return (corners[:, None] + self.marker_m * np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])).reshape(-1, 3)

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of the printed pattern, in meters."""
        gap = self.square_m - self.marker_m if self.is_grid else 0.0
        return self.columns * self.square_m - gap, self.rows * self.square_m - gap

    @property
    def origin_m(self) -> tuple[float, float]:
        """Position of the first point relative to the upper left corner of the pattern, in meters."""
        return (0.0, 0.0) if self.is_grid else (self.square_m, self.square_m)

    def describe(self) -> str:
        """Describe the board in a few words."""
        text = f"{self.kind} {self.columns} x {self.rows}, squares {self.square_m * 1e3:g} mm"
        extra = [word for word, on in (("legacy", self.legacy), ("ids from the bottom left", self.from_bottom)) if on]
        extra += ["border of two cells"] if self.border_cells == 2 else []
        markers = f", markers {self.marker_m * 1e3:g} mm ({', '.join([self.dictionary, *extra])})"
        return text + markers if self.marker_m else text

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of the YAML file."""
        plain = {"border_cells": 1}
        return {key: value for key, value in asdict(self).items() if key in _NEEDED or (value and value != plain.get(key))}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Board":
        """Build from the keys of the YAML file, or of a target file of Kalibr. One tag needs no `square_m`.

        Raises:
            InputError: For missing or unknown keys, and as the class does.
        """
        if "target_type" in values:
            values = _from_kalibr(values)
        if values.get("columns") == 1 == values.get("rows") and "marker_m" in values:
            _check_length("marker_m", values["marker_m"])
            # The pitch of one tag means nothing; its side is often stated for both.
            values = {**values, "square_m": _LONE_PITCH * values["marker_m"]}
        if set(_NEEDED) - values.keys() or values.keys() - set(cls.__dataclass_fields__):
            fix = f"give {', '.join(sorted(_NEEDED))} and, with markers, marker_m and dictionary"
            raise InputError("A board file must hold the board's keys", _short(sorted(map(str, values))), fix)
        return cls(**values)


def _from_kalibr(values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a target file of Kalibr: `aprilgrid`, or `checkerboard` with square fields."""
    kind = values.get("target_type")
    keys = {
        "aprilgrid": {"tagCols", "tagRows", "tagSize", "tagSpacing"},
        "checkerboard": {"targetCols", "targetRows", "rowSpacingMeters", "colSpacingMeters"},
    }.get(kind if isinstance(kind, str) else "")
    if keys is None or keys - values.keys():
        given = _short(sorted(map(str, values)))
        raise InputError("A target file of Kalibr must be a complete aprilgrid or checkerboard", given, "see Kalibr's wiki")
    if kind == "aprilgrid":
        _check_length("tagSize", values["tagSize"])
        _check_length("tagSpacing", values["tagSpacing"])
        pitch = values["tagSize"] * (1.0 + values["tagSpacing"])
        return {
            "kind": "apriltag",
            "columns": values["tagCols"],
            "rows": values["tagRows"],
            "square_m": pitch,
            "marker_m": values["tagSize"],
            "border_cells": 2,
            "from_bottom": True,
        }
    sides = values["rowSpacingMeters"], values["colSpacingMeters"]
    for side in sides:
        _check_length("rowSpacingMeters and colSpacingMeters", side)
    if abs(sides[0] - sides[1]) > 1e-6:
        raise InputError("The fields of a chessboard must be square", _short(sides), "use a board with square fields")
    for key in ("targetCols", "targetRows"):
        if isinstance(values[key], bool) or not isinstance(values[key], int):
            raise InputError(f"{key} must be a whole number", _short(values[key]), "count the inner corners")
    columns, rows = values["targetCols"] + 1, values["targetRows"] + 1
    return {"kind": "chessboard", "columns": columns, "rows": rows, "square_m": sides[0]}


def _check_length(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < 1e6:
        raise InputError(f"{name} must be a number above zero", _short(value), "give meters, e.g. 0.03")


def _short(value: Any) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "a number of more than 30 digits"
    return text if len(text) <= 120 else f"{text[:117]}..."


DEFAULT = Board("charuco", 7, 5, 0.03, 0.022)


def load_board(path: str | Path) -> Board:
    """Read a board from YAML or JSON.

    Raises:
        InputError: If the file cannot be read or does not hold a board.
    """
    values = read_mapping(path)
    try:
        board = Board.from_dict(values)
    except InputError as error:
        raise InputError(error.what, f"{path}: {error.given}", error.fix) from error
    warn_if_cut_off(path)
    return board


def board_yaml(board: Board) -> str:
    """Return the board's YAML, with a note on the measurement of the print."""
    import yaml

    text = yaml.safe_dump(board.to_dict(), sort_keys=False)
    return f"# Measure the print with a caliper over several squares and correct square_m: everything scales with it.\n{text}"


def import_cv2() -> Any:
    """Import OpenCV.

    Raises:
        DependencyError: If it is not installed, or too old to have ArUco in its main module.
    """
    cv2 = require("cv2", "Calibration", "calibration")
    if not hasattr(cv2, "aruco") or not hasattr(cv2.aruco, "CharucoDetector"):
        raise DependencyError("OpenCV must be 4.8 or newer", cv2.__version__, "pip install 'opencv-python-headless>=4.8'")
    return cv2


def marker_dictionary(name: str) -> Any:
    """Return OpenCV's marker dictionary of the name that a `Board` has."""
    cv2 = import_cv2()
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))


def squares(board: Board) -> list[tuple[float, float, float]]:
    """List the black squares of the print as (x, y, side) in meters from the upper left corner of the pattern.

    Markers are listed by their black cells, so that the print is exact at any size.
    """
    dark: list[tuple[float, float, float]] = []
    number = board.first_marker
    inset = (board.square_m - board.marker_m) / 2.0 if board.kind == "charuco" else 0.0
    first_dark = int(board.kind == "charuco" and board.legacy and board.rows % 2 == 0)
    for row, column in np.ndindex(board.rows, board.columns):
        x, y = column * board.square_m, row * board.square_m
        if board.is_grid:
            dark += _marker_cells(board, board.first_marker + grid_id(board, row, column), x, y)
        elif (row + column) % 2 == first_dark:
            dark.append((x, y, board.square_m))
        elif board.kind == "charuco":
            dark += _marker_cells(board, number, x + inset, y + inset)
            number += 1
    return dark


def grid_id(board: Board, row: int, column: int) -> int:
    """Return the id of a tag of a grid, counted from the first id of the board; the row counts from the top."""
    return ((board.rows - 1 - row) if board.from_bottom else row) * board.columns + column


def _marker_cells(board: Board, number: int, x: float, y: float) -> list[tuple[float, float, float]]:
    """List the black cells of one marker as (x, y, side) in meters."""
    cv2 = import_cv2()
    dictionary = marker_dictionary(board.dictionary)
    cells = int(dictionary.markerSize) + 2 * board.border_cells
    image = np.asarray(cv2.aruco.generateImageMarker(dictionary, number, cells, borderBits=board.border_cells))
    side = board.marker_m / cells
    return [(x + column * side, y + row * side, side) for row, column in np.argwhere(image < 128)]


PAPERS_MM = {"A4": (297.0, 210.0), "A3": (420.0, 297.0), "A2": (594.0, 420.0), "letter": (279.4, 215.9)}
_POINTS_PER_MM = 72.0 / 25.4
_MARGIN_MM, _FOOT_MM = 8.0, 20.0


def board_pdf(board: Board, paper: str | None = None) -> bytes:
    """Make the PDF file of a board in true scale, with a ruler to check the print.

    Args:
        board: Board to print.
        paper: "A4", "A3", "A2" or "letter", landscape; None takes the smallest that holds the board.

    Raises:
        InputError: If the board does not fit, or the paper is unknown.
    """
    name = paper or next((name for name in ("A4", "A3", "A2") if _fits(board, name)), "A2")
    if name not in PAPERS_MM:
        raise InputError(f"paper must be one of {', '.join(PAPERS_MM)}", repr(name), "choose a paper")
    width, height = PAPERS_MM[name]
    if not _fits(board, name):
        wide, high = (1e3 * side for side in board.size_m)
        raise InputError("The board must fit on the paper", f"{wide:.0f} x {high:.0f} mm on {name}", "use a larger paper")
    return _document(width, height, "\n".join([*_pattern(board, width, height), *_foot(board, name, width)]))


def _fits(board: Board, paper: str) -> bool:
    width, height = PAPERS_MM[paper]
    wide, high = (1e3 * side for side in board.size_m)
    return wide <= width - 2 * _MARGIN_MM and high <= height - 2 * _MARGIN_MM - _FOOT_MM


def _pattern(board: Board, width: float, height: float) -> list[str]:
    wide, high = (1e3 * side for side in board.size_m)
    left = (width - wide) / 2.0
    top = height - _MARGIN_MM - (height - 2 * _MARGIN_MM - _FOOT_MM - high) / 2.0
    dark = [_rectangle(left + 1e3 * x, top - 1e3 * (y + side), 1e3 * side, 1e3 * side) for x, y, side in squares(board)]
    return ["0 g", *dark, "f"]


def _rectangle(x: float, y: float, wide: float, high: float) -> str:
    return " ".join(f"{value * _POINTS_PER_MM:.4f}" for value in (x, y, wide, high)) + " re"


def _foot(board: Board, paper: str, width: float) -> list[str]:
    """Draw a ruler of 100 mm and the description of the board."""
    left, base = _MARGIN_MM + 2.0, _MARGIN_MM + 2.0
    lines = ["0 g"]
    for mm in range(101):
        tall = 6.0 if mm % 10 == 0 else 4.0 if mm % 5 == 0 else 2.5
        lines.append(_rectangle(left + mm - 0.05, base, 0.1, tall))
    lines += [_rectangle(left - 0.05, base - 0.1, 100.1, 0.1), "f"]
    lines += [_text(left + mm - 1.5, base + 7.0, 6, str(mm)) for mm in range(0, 101, 20)]
    at = left + 108.0
    first = f"Print on {paper} at 100 % ('actual size'). This ruler must measure 100 mm. Glue it on a flat, stiff plate."
    second = "Then measure several squares with a caliper, and put the true size into the YAML file (square_m)."
    words = [_text(at, base + 7.0, 8, board.describe()), _text(at, base + 3.0, 7, first), _text(at, base - 0.5, 7, second)]
    return lines + words


def _text(x: float, y: float, size: int, words: str) -> str:
    safe = words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT /F1 {size} Tf {x * _POINTS_PER_MM:.2f} {y * _POINTS_PER_MM:.2f} Td ({safe}) Tj ET"


def _document(width_mm: float, height_mm: float, content: str) -> bytes:
    box = f"[0 0 {width_mm * _POINTS_PER_MM:.4f} {height_mm * _POINTS_PER_MM:.4f}]"
    # PrintScaling None asks the viewer not to fit the page to the paper.
    objects = [
        "<< /Type /Catalog /Pages 2 0 R /ViewerPreferences << /PrintScaling /None >> >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox {box} /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(content) + 1} >>\nstream\n{content}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    data, offsets = b"%PDF-1.4\n% Made by molmo-point\n", []
    for number, text in enumerate(objects, start=1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{text}\nendobj\n".encode("latin-1")
    start = len(data)
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    data += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode("latin-1")
    return data + f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode("latin-1")
