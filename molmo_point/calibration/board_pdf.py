"""A board as a PDF in true scale, with a ruler to check the print: written by hand, so that every edge is exact."""

from molmo_point.calibration.boards import Board, squares
from molmo_point.errors import InputError

PAPERS_MM = {"A4": (297.0, 210.0), "A3": (420.0, 297.0), "A2": (594.0, 420.0), "letter": (279.4, 215.9)}
_POINTS_PER_MM = 72.0 / 25.4
_MARGIN_MM, _FOOT_MM = 8.0, 20.0


def board_pdf(board: Board, paper: str | None = None) -> bytes:
    """The PDF file of a board, on the smallest paper that holds it.

    Args:
        board: what to print.
        paper: "A4", "A3", "A2" or "letter", landscape; None chooses.

    Raises:
        InputError: The board does not fit, or the paper is unknown.
    """
    name = paper or _smallest(board)
    if name not in PAPERS_MM:
        raise InputError("The paper is unknown", repr(name), f"use one of {', '.join(PAPERS_MM)}")
    width, height = PAPERS_MM[name]
    if not _fits(board, name):
        wide, high = (1e3 * side for side in board.size_m)
        raise InputError("The board does not fit on the paper", f"{wide:.0f} x {high:.0f} mm on {name}", "use a larger paper")
    return _document(width, height, "\n".join([*_pattern(board, width, height), *_foot(board, name, width)]))


def _smallest(board: Board) -> str:
    for name in ("A4", "A3", "A2"):
        if _fits(board, name):
            return name
    return "A2"


def _fits(board: Board, paper: str) -> bool:
    width, height = PAPERS_MM[paper]
    wide, high = (1e3 * side for side in board.size_m)
    return wide <= width - 2 * _MARGIN_MM and high <= height - 2 * _MARGIN_MM - _FOOT_MM


def _pattern(board: Board, width: float, height: float) -> list[str]:
    wide, high = (1e3 * side for side in board.size_m)
    left = (width - wide) / 2.0
    top = height - _MARGIN_MM - (height - 2 * _MARGIN_MM - _FOOT_MM - high) / 2.0
    lines = ["0 g"]
    for x, y, side in squares(board):
        at = (left + 1e3 * x, top - 1e3 * (y + side))
        lines.append(_rectangle(at[0], at[1], 1e3 * side, 1e3 * side))
    lines.append("f")
    return lines


def _rectangle(x: float, y: float, wide: float, high: float) -> str:
    return " ".join(f"{value * _POINTS_PER_MM:.4f}" for value in (x, y, wide, high)) + " re"


def _foot(board: Board, paper: str, width: float) -> list[str]:
    """A ruler of 100 mm and what was printed."""
    left, base = _MARGIN_MM + 2.0, _MARGIN_MM + 2.0
    lines = ["0 g"]
    for mm in range(101):
        tall = 6.0 if mm % 10 == 0 else 4.0 if mm % 5 == 0 else 2.5
        lines.append(_rectangle(left + mm - 0.05, base, 0.1, tall))
    lines += [_rectangle(left - 0.05, base - 0.1, 100.1, 0.1), "f"]
    lines += [_text(left + mm - 1.5, base + 7.0, 6, str(mm)) for mm in range(0, 101, 20)]
    at = left + 108.0
    lines += [
        _text(at, base + 7.0, 8, board.describe()),
        _text(
            at,
            base + 3.0,
            7,
            f"Print on {paper} at 100 % ('actual size'). This ruler must measure 100 mm. Glue it on something flat and stiff.",
        ),
        _text(
            at,
            base - 0.5,
            7,
            "Then measure over several squares with a caliper, and put the true size into the YAML file (square_m).",
        ),
    ]
    return lines


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
    data, offsets = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, start=1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{text}\nendobj\n".encode("latin-1")
    start = len(data)
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    data += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode("latin-1")
    return data + f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode("latin-1")
