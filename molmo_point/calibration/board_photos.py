"""Detection of a board in many photos: one pattern and one order of ids for all, and what photos without the board show."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import ColorArray
from molmo_point.calibration.boards import Board, import_cv2, smallest_dictionary
from molmo_point.calibration.detection import MIN_POINTS, Detection, detect, markers_in

_DIAGNOSED = 2
_SCANNED = (
    *((f"DICT_{cells}X{cells}_1000", 1) for cells in (4, 5, 6, 7)),
    *((f"DICT_APRILTAG_{name}", border) for name, border in (("36h11", 1), ("36h11", 2), ("25h9", 1), ("16h5", 1), ("36h10", 1))),
    ("DICT_ARUCO_ORIGINAL", 1),
)
"""Dictionaries and borders; the largest of a family holds all smaller ones."""


@dataclass(frozen=True, eq=False)
class Detections:
    """Detected board in several images.

    Attributes:
        kept: Name and detection of each usable image.
        dropped: Name and reason of each other image.
        notes: Sentences on boards that differ from the stated one.
    """

    kept: list[tuple[str, Detection]]
    dropped: list[tuple[str, str]]
    notes: tuple[str, ...]


def detect_each(
    board: Board, photos: Iterable[tuple[str, ColorArray]], count: int, progress: Callable[[str], None]
) -> Detections:
    """Detect a board in named images.

    Args:
        board: Board to detect.
        photos: Names and images.
        count: Number of images, for the progress.
        progress: Called with a line per image.
    """
    kept: list[tuple[str, Detection]] = []
    dropped: list[tuple[str, str]] = []
    unseen: list[ColorArray] = []
    for number, (name, image) in enumerate(photos, start=1):
        found = detect(board, image)
        progress(f"{number}/{count} {name}: {found.reason or f'{found.count} points'}")
        if found.reason:
            dropped.append((name, found.reason))
            unseen += [image] if found.count < MIN_POINTS and len(unseen) < _DIAGNOSED else []
        else:
            kept.append((name, found))
    seen, notes = _usual_board(board, [found for _, found in kept])
    other = [
        (name, f"another tag: id {found.board.first_marker}") for name, found in kept if found.board and _other_tag(seen, found)
    ]
    same = [(name, _in_order_of(seen, board, found)) for name, found in kept if not _other_tag(seen, found)]
    why = what_else(board, unseen) if len(dropped) > len(kept) else ""
    return Detections(same, dropped + other, (*notes, why) if why else notes)


def _other_tag(usual: Board, found: Detection) -> bool:
    return found.board is not None and found.board.first_marker != usual.first_marker


def _usual_board(board: Board, found: list[Detection]) -> tuple[Board, tuple[str, ...]]:
    """Return the board as most images show it, and what its YAML should say."""
    votes = Counter(each.board for each in found if each.board is not None)
    usual = votes.most_common(1)[0][0] if votes else board
    notes = []
    if usual.legacy != board.legacy:
        notes.append(
            f"The board has the ChArUco pattern of OpenCV {'before' if usual.legacy else 'since'} 4.6: "
            f"add `legacy: {str(usual.legacy).lower()}` to its YAML (the images were read so)"
        )
    if usual.border_cells != board.border_cells:
        notes.append(
            f"The tags have a border of {usual.border_cells} cells: add `border_cells: {usual.border_cells}` to the YAML"
        )
    if usual.first_marker != board.first_marker:
        notes.append(f"The tag has the id {usual.first_marker}: add `first_marker: {usual.first_marker}` to its YAML")
    if usual.from_bottom != board.from_bottom:
        side = "bottom" if usual.from_bottom else "top"
        value = str(usual.from_bottom).lower()
        notes.append(f"The ids of the tags start at the {side} left: add `from_bottom: {value}` to the YAML")
    return usual, tuple(notes)


def _in_order_of(usual: Board, board: Board, found: Detection) -> Detection:
    """Reorder the tags of an image too narrow to tell the order of the ids."""
    if found.board is None or found.board.from_bottom == usual.from_bottom:
        return found
    rows = np.reshape(found.uv, (board.rows, board.columns, 4, 2))
    return replace(found, uv=np.ascontiguousarray(rows[::-1]).reshape(-1, 2), board=usual)


def what_else(board: Board, images: list[ColorArray]) -> str:
    """Describe what images without the board show instead; empty if nothing known."""
    cv2 = import_cv2()
    lone = _lone_tag(board, images)
    if lone:
        return lone
    for image in images:
        gray = np.ascontiguousarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        if board.kind != "chessboard" and not detect(board, np.ascontiguousarray(gray[:, ::-1])).reason:
            return "The images are mirrored (left to right, or top to bottom): turn off the mirroring of the camera driver"
        words = _other_markers(board, gray) or _other_chessboard(board, gray)
        if words:
            return words
    return ""


def _lone_tag(board: Board, images: list[ColorArray]) -> str:
    """Describe a single tag that all images show where a larger board was stated."""
    if len(images) < _DIAGNOSED or board.columns * board.rows == 1:
        return ""
    cv2 = import_cv2()
    grays = [np.ascontiguousarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) for image in images]
    for name, border in _SCANNED:
        seen = [markers_in(gray, name, border)[1] for gray in grays]
        if all(len(ids) == 1 for ids in seen) and len({ids[0] for ids in seen}) == 1:
            tag = seen[0][0]
            kind = "apriltag" if "APRILTAG" in name else "aruco"
            board_words = f"kind: {kind}, columns: 1, rows: 1, marker_m, dictionary: {smallest_dictionary(name, tag)}"
            return f"found a single tag, id {tag}; for one tag the board's YAML says {board_words}, first_marker: {tag}"
    return ""


def _other_markers(board: Board, gray: NDArray[np.uint8]) -> str:
    best: tuple[int, str, list[int]] = (0, "", [])
    for name, border in _SCANNED:
        ids = sorted(set(markers_in(gray, name, border)[1]))
        if len(ids) > best[0]:
            best = len(ids), smallest_dictionary(name, ids[-1]), ids
    count, name, ids = best
    if not count or (count == 1 and board.columns * board.rows > 2):
        return ""
    found = f"found {count} marker{'s' if count > 1 else ''} of {name} (ids {ids[0]} to {ids[-1]})"
    if board.kind == "chessboard":
        return f"{found}, the board is a chessboard: give the board with these markers"
    if name != board.dictionary and not _one_family(name, board.dictionary):
        return f"{found}, the board says {board.dictionary}"
    last = board.first_marker + (board.columns * board.rows if board.is_grid else board.columns * board.rows // 2) - 1
    if ids[0] < board.first_marker or ids[-1] > last:
        return f"{found}, the board has the ids {board.first_marker} to {last}: check columns, rows and first_marker"
    return f"{found}, but not in the order of the board: check kind, columns, rows and legacy"


def _one_family(first: str, second: str) -> bool:
    """Test whether markers of one dictionary are markers of the other one: 5X5_50 is the beginning of 5X5_100."""
    return first.rsplit("_", 1)[0] == second.rsplit("_", 1)[0] and "X" in first


def _other_chessboard(board: Board, gray: NDArray[np.uint8]) -> str:
    cv2 = import_cv2()
    flags = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_LARGER
    found, _, meta = cv2.findChessboardCornersSBWithMeta(gray, (3, 3), flags)
    if not found:
        return ""
    # The image does not tell which side is that of the columns.
    rows, columns = sorted(meta.shape[:2])
    stated = f"the board is {board.describe()}" if board.kind != "chessboard" else f"it says {board.columns} x {board.rows}"
    return f"found a chessboard of {columns + 1} x {rows + 1} squares ({columns} x {rows} inner corners), {stated}"
