"""Finding a board in an image: sub-pixel corners, each where OpenCV's detectors see it, NaN where they do not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import ColorArray, FloatArray
from molmo_point.calibration.boards import Board, import_cv2, marker_dictionary

MIN_POINTS = 6
_MAX_WINDOW_PX = 11


@dataclass(frozen=True, eq=False)
class Detection:
    """A board in one image.

    Attributes:
        uv: (m, 2) pixels of the board's points, NaN where not seen.
        sharpness_px: width of an edge of the board, pixels: 1 to 2 is sharp, above 4 is out of focus or moving; NaN unknown.
        reason: why the image cannot be used; empty if it can.
    """

    uv: FloatArray
    sharpness_px: float = float("nan")
    reason: str = ""

    @property
    def count(self) -> int:
        """Number of points seen."""
        return int(np.isfinite(self.uv[:, 0]).sum())


def detect(board: Board, image: ColorArray) -> Detection:
    """Finds a board.

    Args:
        board: what to look for.
        image: (h, w, 3) RGB or (h, w) gray, uint8.
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
    # A larger window would take the edges of the markers for those of the squares.
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
    """Corners moved to where the gradients within a window say; it must hold no other edge than the corner's own."""
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
    """Typical distance from a seen point to the nearest other, pixels."""
    points = uv[np.isfinite(uv[:, 0])]
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    return float(np.median(gaps.min(axis=1))) if len(points) > 1 else 0.0


def edge_width_px(gray: NDArray[np.uint8], uv: FloatArray) -> float:
    """Typical width of the black-to-white edges around corners, pixels: contrast over steepest slope; NaN if flat."""
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
