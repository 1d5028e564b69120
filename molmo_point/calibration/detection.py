"""Detection of a board in an image: sub-pixel corners by OpenCV, NaN where a corner was not detected."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import ColorArray, FloatArray
from molmo_point.calibration.boards import Board, grid_id, import_cv2, marker_dictionary, smallest_dictionary

MIN_POINTS = 6
_MAX_WINDOW_PX = 11
_LIKE_THE_BOARD = 0.35
"""Largest root mean square distance of the points from a homography of the board, over the side of a square or tag."""
_OTHER_PITCH, _CLEARLY = 0.025, 0.5
_UNEVEN = float(np.log(1.2))
"""Largest ratio of the sizes of two neighboring tags, as a logarithm, beyond perspective: a lens changes it by less."""
_PITCHES = np.geomspace(1.02, 2.5, 46)


@dataclass(frozen=True, eq=False)
class Detection:
    """Detected board in one image.

    Attributes:
        uv: Pixels of the board's points (m, 2); NaN where not detected.
        sharpness_px: Width of the board's edges, in pixels: 1 to 2 is sharp, above 4 is blurred; NaN if unknown.
        reason: Reason why the image is unusable; empty if it is usable.
        board: Board as it looks in the image, in its pattern, border and order of ids; None if it is not known.
    """

    uv: FloatArray
    sharpness_px: float = float("nan")
    reason: str = ""
    board: Board | None = None

    @property
    def count(self) -> int:
        """Number of detected points."""
        return int(np.isfinite(self.uv[:, 0]).sum())


def detect(board: Board, image: ColorArray) -> Detection:
    """Detect a board in an image. Patterns, borders and orders of ids other than the stated ones are found out.

    Args:
        board: Board to detect.
        image: RGB (h, w, 3) or gray (h, w), uint8.
    """
    cv2 = import_cv2()
    gray = np.ascontiguousarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    if board.kind == "chessboard":
        uv, seen = _chessboard(board, gray), board
    else:
        uv, seen = _charuco(board, gray) if board.kind == "charuco" else _tags(board, gray)
    count = int(np.isfinite(uv[:, 0]).sum())
    if count < min(MIN_POINTS, len(board.points)):
        reason = "no board found" if not count else f"only {count} points of the board found"
        return Detection(uv, reason=reason)
    reason = _misfit(board, uv)
    return Detection(uv, reason=reason) if reason else Detection(uv, edge_width_px(gray, uv), board=seen)


def _misfit(board: Board, uv: FloatArray) -> str:
    """Return the reason why points do not lie as on the board; empty if they do, up to the distortion of a lens."""
    fit = _homography_error(board.points, uv)
    if fit > _LIKE_THE_BOARD * _side_px(board, uv):
        return "the points found do not fit the board: check its columns, rows, spacing, and the order of its ids"
    if not board.is_grid or board.columns * board.rows == 1:
        return ""
    if uneven := _uneven_tags(board, uv):
        return uneven
    pitches = board.marker_m * _PITCHES
    errors = [_homography_error(replace(board, square_m=float(pitch)).points, uv) for pitch in pitches if pitch <= 2.0]
    best = int(np.argmin(errors))
    other = abs(pitches[best] / board.square_m - 1.0) > _OTHER_PITCH
    if not other or errors[best] > _CLEARLY * fit or fit < _CLEARLY:
        return ""
    return (
        f"the tags found do not fit the board: their distance is about {pitches[best] / board.marker_m:.2f} times their side, "
        f"the board's YAML says {board.square_m / board.marker_m:.2f} times"
    )


def _uneven_tags(board: Board, uv: FloatArray) -> str:
    """Return the reason why tags have several sizes; empty for one size. A lens changes neighbors alike."""
    fitted = _by_homography(board.points, uv)
    if fitted is None:
        return ""
    grid = np.log(_sides(uv) / _sides(fitted)).reshape(board.rows, board.columns)
    steps = np.abs(np.concatenate([np.diff(grid, axis=1).ravel(), np.diff(grid, axis=0).ravel()]))
    steps = steps[np.isfinite(steps)]
    if not len(steps) or steps.max() < _UNEVEN:
        return ""
    ratio = float(np.exp(steps.max()))
    return f"the tags found have several sizes: one is {ratio:.2f} times as large as the next one; print all in one size"


def _sides(uv: FloatArray) -> FloatArray:
    """Return the mean side of each tag, in pixels."""
    corners = uv.reshape(-1, 4, 2)
    return np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).mean(axis=1)


def _side_px(board: Board, uv: FloatArray) -> float:
    if board.is_grid:
        return float(np.nanmedian(np.linalg.norm(uv[0::4] - uv[1::4], axis=1)))
    return _gap_px(uv)


def _homography_error(points_board: FloatArray, uv: FloatArray) -> float:
    """Return the root mean square distance of the points from the best homography of the board, in pixels."""
    if np.isfinite(uv[:, 0]).sum() <= 4:
        return 0.0
    fitted = _by_homography(points_board, uv)
    return float("inf") if fitted is None else float(np.sqrt(np.nanmean(((fitted - uv) ** 2).sum(axis=1))))


def _by_homography(points_board: FloatArray, uv: FloatArray) -> FloatArray | None:
    """Map the board's points by the best homography to pixels (m, 2); None if the detected points have none."""
    seen = np.isfinite(uv[:, 0])
    matrix, _ = import_cv2().findHomography(points_board[seen, :2], uv[seen])
    if matrix is None:
        return None
    moved = np.column_stack([points_board[:, :2], np.ones(len(points_board))]) @ np.asarray(matrix, np.float64).T
    with np.errstate(all="ignore"):
        fitted = moved[:, :2] / moved[:, 2:]
    return fitted if np.isfinite(fitted[seen]).all() else None


def _charuco(board: Board, gray: NDArray[np.uint8]) -> tuple[FloatArray, Board]:
    """Detect the corners in the stated pattern, then in the other one; only an even number of rows has two."""
    patterns = [board, replace(board, legacy=not board.legacy)] if board.rows % 2 == 0 else [board]
    for pattern in patterns:
        uv = _charuco_in(pattern, gray)
        if np.isfinite(uv[:, 0]).sum() >= MIN_POINTS:
            return uv, pattern
    return uv, board


def _charuco_in(board: Board, gray: NDArray[np.uint8]) -> FloatArray:
    cv2 = import_cv2()
    numbers = np.arange(board.first_marker, board.first_marker + board.columns * board.rows // 2)
    made = cv2.aruco.CharucoBoard(
        (board.columns, board.rows), board.square_m, board.marker_m, marker_dictionary(board.dictionary), numbers
    )
    made.setLegacyPattern(board.legacy)
    settings = cv2.aruco.DetectorParameters()
    settings.markerBorderBits = board.border_cells
    corners, ids, _, _ = cv2.aruco.CharucoDetector(made, detectorParams=settings).detectBoard(gray)
    uv = np.full((len(board.points), 2), np.nan)
    if ids is None or not len(ids):
        return uv
    # A larger window would contain the edges of the markers.
    share = 0.9 * (board.square_m - board.marker_m) / (2.0 * board.square_m)
    uv[np.ravel(ids)] = np.reshape(corners, (-1, 2))
    return _refined(gray, uv, share * _gap_px(uv))


def markers_in(gray: NDArray[np.uint8], dictionary: str, border_cells: int = 1) -> tuple[list[FloatArray], list[int]]:
    """Detect markers: their corners (4, 2) in pixels, and their ids."""
    cv2 = import_cv2()
    settings = cv2.aruco.DetectorParameters()
    settings.markerBorderBits = border_cells
    corners, ids, _ = cv2.aruco.ArucoDetector(marker_dictionary(dictionary), settings).detectMarkers(gray)
    numbers = [] if ids is None else np.ravel(ids).astype(int).tolist()
    return [np.reshape(found, (4, 2)).astype(np.float64) for found in corners[: len(numbers)]], numbers


def _tags(board: Board, gray: NDArray[np.uint8]) -> tuple[FloatArray, Board]:
    """Detect the tags with the stated border, or the other one if it reads more tags, in the order of ids that fits."""
    found = markers_in(gray, board.dictionary, board.border_cells)
    seen = board
    ids = range(board.first_marker, board.first_marker + board.columns * board.rows)
    if board.kind == "apriltag" and len(set(found[1]) & set(ids)) < len(ids):
        other = markers_in(gray, board.dictionary, 3 - board.border_cells)
        if len(set(other[1]) & set(ids)) > len(set(found[1]) & set(ids)):
            found, seen = other, replace(board, border_cells=3 - board.border_cells)
    if len(ids) == 1 and len(found[1]) == 1:
        # One tag in the image is the tag, whatever its id.
        seen = replace(seen, dictionary=smallest_dictionary(seen.dictionary, found[1][0]), first_marker=found[1][0])
    orders = [seen, replace(seen, from_bottom=not seen.from_bottom)] if board.rows > 1 else [seen]
    placed = [_placed(order, *found) for order in orders]
    errors = [_homography_error(board.points, uv) for uv in placed]
    pick = 1 if len(errors) > 1 and errors[1] < _CLEARLY * errors[0] else 0
    uv, seen = placed[pick], orders[pick]
    sides = np.linalg.norm(uv[0::4] - uv[1::4], axis=1)
    if not np.isfinite(sides).any():
        return uv, seen
    # Every black border is a cell wide or more, and the gap to the next tag may be narrower.
    cells = int(marker_dictionary(board.dictionary).markerSize) + 2 * seen.border_cells
    cell = min(seen.border_cells * board.marker_m / cells, board.square_m - board.marker_m)
    return _refined(gray, uv, 0.9 * float(np.nanmedian(sides)) * cell / board.marker_m), seen


def _placed(board: Board, corners: list[FloatArray], ids: list[int]) -> FloatArray:
    """Put the corners of tags to their places on the board; an id found twice is left out."""
    uv = np.full((len(board.points), 2), np.nan)
    places = {grid_id(board, row, column): row * board.columns + column for row, column in np.ndindex(board.rows, board.columns)}
    for found, number in zip(corners, ids):
        place = places.get(number - board.first_marker)
        if place is not None and ids.count(number) == 1:
            uv[4 * place : 4 * place + 4] = found
    return uv


def _chessboard(board: Board, gray: NDArray[np.uint8]) -> FloatArray:
    cv2 = import_cv2()
    size = (board.columns - 1, board.rows - 1)
    flags = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE
    found, corners = cv2.findChessboardCorners(gray, size, flags=flags)
    if not found:
        found, corners = cv2.findChessboardCornersSB(gray, size, flags=cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_EXHAUSTIVE)
    if not found:
        return np.full((size[0] * size[1], 2), np.nan)
    uv = _turned_by_color(board, gray, np.reshape(corners, (-1, 2)).astype(np.float64))
    return _refined(gray, uv, 0.35 * _gap_px(uv))


def _turned_by_color(board: Board, gray: NDArray[np.uint8], uv: FloatArray) -> FloatArray:
    """Order corners so that columns run clockwise to rows, and the square outside the first corner is black.

    Boards that look the same after a turn keep one of their orders.
    """
    grid = np.reshape(uv, (board.rows - 1, board.columns - 1, 2))
    across, down = grid[:, -1].mean(axis=0) - grid[:, 0].mean(axis=0), grid[-1].mean(axis=0) - grid[0].mean(axis=0)
    if across[0] * down[1] - across[1] * down[0] < 0.0:
        grid = grid[:, ::-1]
    turns = range(4) if board.columns == board.rows else (0, 2)
    grids = [np.rot90(grid, turn) for turn in turns]
    right = [each for each in grids if _first_square_darkness(gray, each) > 0.0]
    return np.reshape(right[0] if right else grid, (-1, 2))


def _first_square_darkness(gray: NDArray[np.uint8], grid: FloatArray) -> float:
    """Return the contrast of odd and even squares: above zero if the square outside the first corner is black."""
    middles = (grid[:-1, :-1] + grid[1:, :-1] + grid[:-1, 1:] + grid[1:, 1:]) / 4.0
    height, width = gray.shape
    at = np.clip(np.rint(middles).astype(int), 0, [width - 1, height - 1])
    values = gray[at[..., 1], at[..., 0]].astype(float)
    odd = np.indices(values.shape).sum(axis=0) % 2 == 1
    return float(values[odd].mean() - values[~odd].mean()) if odd.any() else 0.0


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
