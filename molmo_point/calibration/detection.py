"""Detection of a board in an image: sub-pixel corners by OpenCV, NaN where a corner was not detected."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import ColorArray, FloatArray
from molmo_point.calibration.boards import Board, import_cv2, marker_dictionary

MIN_POINTS = 6
_MAX_WINDOW_PX = 11


@dataclass(frozen=True, eq=False)
class Detection:
    """Detected board in one image.

    Attributes:
        uv: Pixels of the board's points (m, 2); NaN where not detected.
        sharpness_px: Width of the board's edges, in pixels: 1 to 2 is sharp, above 4 is blurred; NaN if unknown.
        reason: Reason why the image is unusable; empty if it is usable.
    """

    uv: FloatArray
    sharpness_px: float = float("nan")
    reason: str = ""

    @property
    def count(self) -> int:
        """Number of detected points."""
        return int(np.isfinite(self.uv[:, 0]).sum())


def detect(board: Board, image: ColorArray) -> Detection:
    """Detect a board in an image.

    Args:
        board: Board to detect.
        image: RGB (h, w, 3) or gray (h, w), uint8.
    """
    cv2 = import_cv2()
    gray = np.ascontiguousarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    finder = {"charuco": _charuco, "chessboard": _chessboard, "apriltag": _tags}[board.kind]
    uv = finder(board, gray)
    count = int(np.isfinite(uv[:, 0]).sum())
    if count < MIN_POINTS:
        reason = "no board found" if not count else f"only {count} points of the board found"
        return Detection(uv, reason=reason)
    return Detection(uv, edge_width_px(gray, uv))


def detect_each(
    board: Board, photos: Iterable[tuple[str, ColorArray]], count: int, progress: Callable[[str], None]
) -> tuple[list[tuple[str, Detection]], list[tuple[str, str]]]:
    """Detect a board in named images.

    Args:
        board: Board to detect.
        photos: Names and images.
        count: Number of images, for the progress.
        progress: Called with a line per image.

    Returns:
        Name and detection of each usable image; name and reason of each other image.
    """
    kept, dropped = [], []
    for number, (name, image) in enumerate(photos, start=1):
        found = detect(board, image)
        progress(f"{number}/{count} {name}: {found.reason or f'{found.count} points'}")
        if found.reason:
            dropped.append((name, found.reason))
        else:
            kept.append((name, found))
    return kept, dropped


def _charuco(board: Board, gray: NDArray[np.uint8]) -> FloatArray:
    cv2 = import_cv2()
    numbers = np.arange(board.first_marker, board.first_marker + board.columns * board.rows // 2)
    made = cv2.aruco.CharucoBoard(
        (board.columns, board.rows), board.square_m, board.marker_m, marker_dictionary(board.dictionary), numbers
    )
    corners, ids, _, _ = cv2.aruco.CharucoDetector(made).detectBoard(gray)
    uv = np.full((len(board.points), 2), np.nan)
    if ids is None or not len(ids):
        return uv
    # A larger window would contain the edges of the markers.
    share = 0.9 * (board.square_m - board.marker_m) / (2.0 * board.square_m)
    uv[np.ravel(ids)] = np.reshape(corners, (-1, 2))
    return _refined(gray, uv, share * _gap_px(uv))


def _tags(board: Board, gray: NDArray[np.uint8]) -> FloatArray:
    cv2 = import_cv2()
    dictionary = marker_dictionary(board.dictionary)
    corners, ids, _ = cv2.aruco.ArucoDetector(dictionary).detectMarkers(gray)
    uv = np.full((len(board.points), 2), np.nan)
    for found, number in zip(corners, [] if ids is None else np.ravel(ids)):
        place = int(number) - board.first_marker
        if 0 <= place < board.columns * board.rows:
            uv[4 * place : 4 * place + 4] = np.reshape(found, (4, 2))
    sides = np.linalg.norm(uv[0::4] - uv[1::4], axis=1)
    if not np.isfinite(sides).any():
        return uv
    # The black border is one cell wide, and the gap to the next tag may be narrower.
    cell = min(board.marker_m / (int(dictionary.markerSize) + 2), board.square_m - board.marker_m)
    return _refined(gray, uv, 0.9 * float(np.nanmedian(sides)) * cell / board.marker_m)


def _chessboard(board: Board, gray: NDArray[np.uint8]) -> FloatArray:
    cv2 = import_cv2()
    size = (board.columns - 1, board.rows - 1)
    flags = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE
    found, corners = cv2.findChessboardCorners(gray, size, flags=flags)
    if not found:
        found, corners = cv2.findChessboardCornersSB(gray, size, flags=cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_EXHAUSTIVE)
    if not found:
        return np.full((size[0] * size[1], 2), np.nan)
    uv = np.reshape(corners, (-1, 2)).astype(np.float64)
    return _refined(gray, uv, 0.35 * _gap_px(uv))


def _refined(gray: NDArray[np.uint8], uv: FloatArray, window_px: float) -> FloatArray:
    """Refine corners by the gradients in a window, which must hold no edges but the corner's own."""
    cv2 = import_cv2()
    seen = np.isfinite(uv[:, 0])
    points = uv[seen]
    half = int(np.clip(window_px, 2, _MAX_WINDOW_PX))
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-3)
    start = points.astype(np.float32).reshape(-1, 1, 2)
    moved = cv2.cornerSubPix(gray, start.copy(), (half, half), (-1, -1), stop).reshape(-1, 2)
    good = np.linalg.norm(moved - points, axis=1) < half
    refined = uv.copy()
    refined[np.flatnonzero(seen)] = np.where(good[:, None], moved, points)
    return refined


def _gap_px(uv: FloatArray) -> float:
    """Return the median distance from a detected point to its nearest neighbor, in pixels."""
    points = uv[np.isfinite(uv[:, 0])]
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    return float(np.median(gaps.min(axis=1))) if len(points) > 1 else 0.0


def edge_width_px(gray: NDArray[np.uint8], uv: FloatArray) -> float:
    """Measure the median width of the edges around corners, in pixels: contrast over steepest slope; NaN if flat."""
    cv2 = import_cv2()
    image = gray.astype(np.float32)
    slope = np.hypot(cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3)) / 8.0
    height, width = gray.shape
    widths = []
    for u, v in uv[np.isfinite(uv[:, 0])]:
        x, y = round(float(u)), round(float(v))
        if 5 <= x < width - 5 and 5 <= y < height - 5:
            patch, steep = image[y - 5 : y + 6, x - 5 : x + 6], slope[y - 5 : y + 6, x - 5 : x + 6]
            contrast = float(np.percentile(patch, 95) - np.percentile(patch, 5))
            if contrast > 15.0:
                widths.append(contrast / max(float(np.percentile(steep, 98)), 1e-3))
    return float(np.median(widths)) if widths else float("nan")
