"""Time per frame of the tracker, by the number of points and the size of the image."""

from typing import Any

import numpy as np

from molmo_point.depth.lift import lift_points
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.results import ImagePoint, Pointing
from molmo_point.tracking.point_tracker import PointTracker
from molmo_point.tracking.track import TrackState
from molmo_point.tracking.tracked_view import import_cv2

SIZES = ((640, 480), (1280, 720))
POINTS = (1, 10, 40)
FRAME_NS = 33_333_333
_WARM_UP = 3


def measure_speed(frames: int = 60) -> list[dict[str, Any]]:
    """Time `PointTracker.update` on a textured surface that moves, OpenCV on one core.

    Args:
        frames: Number of frames for each size and number of points.

    Returns:
        One row each: size, points, points still tracked at the end, median and 95 % of the milliseconds per frame.
    """
    cv2 = import_cv2()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return [_measure(size, count, frames) for size in SIZES for count in POINTS]
    finally:
        cv2.setNumThreads(threads)


def speed_table(rows: list[dict[str, Any]]) -> str:
    """Format the rows of `measure_speed` as Markdown."""
    lines = ["| image | points | still tracked | ms, median | 95 % |", "|---|---:|---:|---:|---:|"]
    form = "| {width}x{height} | {points} | {tracked_at_the_end} | {frame_ms_median:.2f} | {frame_ms_95:.2f} |"
    return "\n".join([*lines, *(form.format(**row) for row in rows)])


def _measure(size_wh: tuple[int, int], count: int, frames: int) -> dict[str, Any]:
    tracker, times, tracks = PointTracker(history_s=1.0), [], None
    surface = _surface(size_wh)
    for number in range(frames + _WARM_UP):
        frame = _frame(surface, size_wh, number)
        tracks = tracker.update(frame)
        if number == 0:
            tracks = tracker.correct(_pointing(frame, count))
        elif number >= _WARM_UP:
            times.append(tracks.timing_ms["total"])
    assert tracks is not None
    return {
        "width": size_wh[0],
        "height": size_wh[1],
        "points": count,
        "tracked_at_the_end": sum(track.state is TrackState.TRACKED for track in tracks.tracks),
        "frame_ms_median": float(np.median(times)),
        "frame_ms_95": float(np.quantile(times, 0.95)),
    }


def _surface(size_wh: tuple[int, int]) -> np.ndarray:
    width, height = size_wh
    cv2, rng = import_cv2(), np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.normal(size=(height + 200, width + 200)).astype(np.float32), (0, 0), 2.5)
    return cv2.normalize(smooth, None, 30, 220, cv2.NORM_MINMAX).astype(np.uint8)


def _frame(surface: np.ndarray, size_wh: tuple[int, int], number: int) -> RgbdFrame:
    width, height = size_wh
    left, top = 100 + round(60 * np.sin(0.05 * number)), 100 + round(30 * np.sin(0.08 * number))
    color = np.repeat(surface[top : top + height, left : left + width, None], 3, axis=2)
    rng = np.random.default_rng(number)
    depth_m = (0.7 + 0.001 * rng.standard_normal((height, width))).astype(np.float32)
    intrinsics = Intrinsics(width=width, height=height, fx=600.0, fy=600.0, cx=width / 2, cy=height / 2)
    return RgbdFrame(np.ascontiguousarray(color), depth_m, intrinsics, 1_000_000_000 + number * FRAME_NS)


def _pointing(frame: RgbdFrame, count: int) -> Pointing:
    width, height = frame.size_wh
    places = np.random.default_rng(1).uniform([100, 70], [width - 100, height - 70], (count, 2))
    points = tuple(ImagePoint(float(u), float(v), f"point {i}", sigma_px=2.0) for i, (u, v) in enumerate(places))
    return Pointing("points", "scripted", "", False, lift_points(points, frame), {}, frame.stamp_ns, frame.frame)
