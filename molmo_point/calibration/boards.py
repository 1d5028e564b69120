"""Calibration boards: ChArUco, chessboard, AprilTag grid; their YAML, their points, and their print as PDF."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.dependencies import require
from molmo_point.errors import DependencyError, InputError
from molmo_point.geometry.mapping_file import read_mapping

KINDS = ("charuco", "chessboard", "apriltag")
_NEEDED = ("kind", "columns", "rows", "square_m")
_DICTIONARIES = {"charuco": "DICT_5X5_250", "apriltag": "DICT_APRILTAG_36h11", "chessboard": ""}
_DICTIONARY = re.compile(r"DICT_(?:([4-7])X\1_(50|100|250|1000)|APRILTAG_(16[hH]5|25[hH]9|36[hH]1[01]))")
_APRILTAGS = {"16h5": 30, "25h9": 35, "36h10": 2320, "36h11": 587}


def _dictionary_size(name: str) -> int:
    """Return the number of markers of an OpenCV dictionary.

    Raises:
        InputError: If the name is unknown.
    """
    found = _DICTIONARY.fullmatch(name)
    if found is None:
        raise InputError("dictionary must be a marker dictionary of OpenCV", repr(name), "e.g. DICT_5X5_250, DICT_APRILTAG_36h11")
    return int(found[2] or _APRILTAGS[found[3].lower()])


@dataclass(frozen=True)
class Board:
    """Flat board. The origin is the first corner point; x runs along the columns, y down the rows, z into the board.

    Attributes:
        kind: "charuco", "chessboard" or "apriltag".
        columns: Number of squares along x (of tags for "apriltag").
        rows: Number of squares along y (of tags for "apriltag").
        square_m: Side of a square, or pitch of the tags, in meters.
        marker_m: Side of a marker's black border, in meters; 0 for a chessboard.
        dictionary: OpenCV's name of the marker dictionary; empty for a chessboard.
        first_marker: Id of the first marker, to distinguish two boards.

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

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"kind must be one of {', '.join(KINDS)}", repr(self.kind), "name the kind of board")
        for name in ("columns", "rows", "first_marker"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise InputError(f"{name} must be a whole number", repr(value), "count the squares")
        least = 1 if self.kind == "apriltag" else 3
        if self.columns < least or self.rows < least or self.first_marker < 0:
            raise InputError(
                f"A board must have at least {least} x {least} squares", f"{self.columns} x {self.rows}", "count the squares"
            )
        for name in ("square_m", "marker_m"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not np.isfinite(value):
                raise InputError(f"{name} must be a number", repr(value), "give meters, e.g. 0.03")
        if not 0.0005 <= self.square_m <= 2.0:
            raise InputError("square_m must be between 0.0005 and 2", f"{self.square_m}", "give meters: 0.03 is 30 mm")
        if self.kind == "chessboard":
            object.__setattr__(self, "marker_m", 0.0)
            object.__setattr__(self, "dictionary", "")
            return
        if not 0.0 < self.marker_m < self.square_m:
            raise InputError(
                "marker_m must be smaller than square_m",
                f"marker_m={self.marker_m}, square_m={self.square_m}",
                "give both in meters, e.g. 0.022 and 0.03",
            )
        object.__setattr__(self, "dictionary", self.dictionary or _DICTIONARIES[self.kind])
        markers = self.columns * self.rows if self.kind == "apriltag" else self.columns * self.rows // 2
        size = _dictionary_size(self.dictionary)
        if self.first_marker + markers > size:
            raise InputError(
                "dictionary must hold all markers", f"{markers} needed, {self.dictionary} has {size}", "use a smaller board"
            )

    @property
    def points(self) -> FloatArray:
        """Board points (m, 3) in meters, z = 0: inner corners row by row, or the four corners of each tag."""
        less = int(self.kind != "apriltag")
        v, u = np.mgrid[0 : self.rows - less, 0 : self.columns - less]
        corners = np.stack([u.ravel(), v.ravel(), np.zeros(u.size)], axis=1) * self.square_m
        if less:
            return corners
        return (corners[:, None] + self.marker_m * np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])).reshape(-1, 3)

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of the printed pattern, in meters."""
        gap = self.square_m - self.marker_m if self.kind == "apriltag" else 0.0
        return self.columns * self.square_m - gap, self.rows * self.square_m - gap

    @property
    def origin_m(self) -> tuple[float, float]:
        """Position of the first point relative to the upper left corner of the pattern, in meters."""
        return (0.0, 0.0) if self.kind == "apriltag" else (self.square_m, self.square_m)

    def describe(self) -> str:
        """Describe the board in a few words."""
        text = f"{self.kind} {self.columns} x {self.rows}, squares {self.square_m * 1e3:g} mm"
        return text if not self.marker_m else f"{text}, markers {self.marker_m * 1e3:g} mm ({self.dictionary})"

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of the YAML file."""
        return {key: value for key, value in asdict(self).items() if value or key in _NEEDED}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Board":
        """Build from the keys of the YAML file.

        Raises:
            InputError: For missing or unknown keys, and as the class does.
        """
        if set(_NEEDED) - values.keys() or values.keys() - set(cls.__dataclass_fields__):
            fix = f"give {', '.join(sorted(_NEEDED))} and, with markers, marker_m and dictionary"
            raise InputError("A board file must hold the board's keys", f"{sorted(map(str, values))}", fix)
        return cls(**values)


DEFAULT = Board("charuco", 7, 5, 0.03, 0.022)


def load_board(path: str | Path) -> Board:
    """Read a board from YAML or JSON.

    Raises:
        InputError: If the file cannot be read or does not hold a board.
    """
    values = read_mapping(path)
    try:
        return Board.from_dict(values)
    except InputError as error:
        raise InputError(error.what, f"{path}: {error.given}", error.fix) from error


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
    for row, column in np.ndindex(board.rows, board.columns):
        x, y = column * board.square_m, row * board.square_m
        if board.kind != "apriltag" and (row + column) % 2 == 0:
            dark.append((x, y, board.square_m))
        elif board.kind != "chessboard":
            dark += _marker_cells(board, number, x + inset, y + inset)
            number += 1
    return dark


def _marker_cells(board: Board, number: int, x: float, y: float) -> list[tuple[float, float, float]]:
    """List the black cells of one marker as (x, y, side) in meters."""
    cv2 = import_cv2()
    dictionary = marker_dictionary(board.dictionary)
    cells = int(dictionary.markerSize) + 2
    image = np.asarray(cv2.aruco.generateImageMarker(dictionary, number, cells, borderBits=1))
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
