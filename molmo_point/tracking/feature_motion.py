"""Where features of one image are in the next: pyramidal Lucas-Kanade, checked forth and back."""

from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray, IntArray
from molmo_point.tracking.opencv import import_cv2
from molmo_point.tracking.view import View

WINDOW_PX, LEVELS = 15, 3
MAX_RETURN_PX = 0.8
MAX_FEATURES, MIN_DISTANCE_PX, QUALITY = 14, 4.0, 0.02
REACHES_PX = (20, 36, 60)
MIN_CORNER = 1.5e-4
"""As cv2.cornerMinEigenVal counts: about 1.5 grey values per pixel in every direction. Noise is no corner."""


@dataclass(frozen=True, eq=False)
class Flow:
    """Where features went.

    Attributes:
        start: (n, 2) pixels in the earlier image.
        end: (n, 2) pixels in the later one.
        good: (n,) whether the feature was found, and found again on the way back.
        return_px: (n,) distance between a feature and where the way back ends.
    """

    start: FloatArray
    end: FloatArray
    good: BoolArray
    return_px: FloatArray

    def part(self, chosen: slice) -> "Flow":
        """Some of the features."""
        return Flow(self.start[chosen], self.end[chosen], self.good[chosen], self.return_px[chosen])


def flow_between(before: View, after: View, points: FloatArray) -> Flow:
    """Follow features (n, 2) from one view to another. A change of brightness is taken out first."""
    if not len(points):
        nothing = np.zeros((0, 2))
        return Flow(nothing, nothing, np.zeros(0, bool), np.zeros(0))
    cv2 = import_cv2()
    grey = before.grey
    gain = after.brightness / max(before.brightness, 1.0)
    if abs(gain - 1.0) > 0.01:
        grey = cv2.convertScaleAbs(grey, alpha=gain)
    settings = {"winSize": (WINDOW_PX, WINDOW_PX), "maxLevel": LEVELS, "minEigThreshold": 1e-3}
    start = np.ascontiguousarray(points, dtype=np.float32)
    end, found, _ = cv2.calcOpticalFlowPyrLK(grey, after.grey, start, None, **settings)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after.grey, grey, end, None, **settings)
    return_px = np.linalg.norm((back - start).astype(np.float64), axis=1)
    good = (found.ravel() == 1) & (found_back.ravel() == 1) & (return_px < MAX_RETURN_PX)
    good &= after.inside(end.astype(np.float64))
    return Flow(start.astype(np.float64), end.astype(np.float64), good, return_px)


def features_around(view: View, uv: FloatArray, depth_m: float) -> FloatArray:
    """Corners (n, 2) near a pixel on the same surface; of the nearer surroundings where these have enough."""
    best = np.zeros((0, 2))
    for reach in REACHES_PX:
        found = _corners(view, uv, depth_m, reach)
        if len(found) > len(best):
            best = found
        if len(best) >= MAX_FEATURES // 2:
            break
    return best


def _corners(view: View, uv: FloatArray, depth_m: float, reach: int) -> FloatArray:
    cv2 = import_cv2()
    width, height = view.size_wh
    u, v = (int(value) for value in np.floor(uv + 0.5))
    left, top = max(u - reach, 0), max(v - reach, 0)
    crop = view.grey[top : min(v + reach + 1, height), left : min(u + reach + 1, width)]
    if min(crop.shape) < WINDOW_PX:
        return np.zeros((0, 2))
    rows, columns = np.mgrid[0 : crop.shape[0], 0 : crop.shape[1]]
    here = np.stack([columns.ravel() + left, rows.ravel() + top], axis=1)
    mask = same_surface(view, here, depth_m).reshape(crop.shape)
    # The outline is where a plain thing can be followed, and depth ends a little before or behind it.
    mask = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    mask &= (columns + left - u) ** 2 + (rows + top - v) ** 2 <= reach**2
    crop = np.ascontiguousarray(crop)
    mask &= cv2.cornerMinEigenVal(crop, 5) > MIN_CORNER
    corners = cv2.goodFeaturesToTrack(
        crop,
        MAX_FEATURES,
        QUALITY,
        MIN_DISTANCE_PX,
        mask=mask.astype(np.uint8) * 255,
        blockSize=5,
    )
    if corners is None:
        return np.zeros((0, 2))
    return corners.reshape(-1, 2).astype(np.float64) + np.array([left, top])


def same_surface(view: View, pixels: IntArray, depth_m: float) -> BoolArray:
    """Which whole pixels (n, 2) may belong to the surface at a depth; all where depth is not known.

    Holes count as part of it: what is near and has no depth cannot be told from the surface.
    """
    if view.depth_m is None or not np.isfinite(depth_m):
        return np.ones(len(pixels), bool)
    cells = np.minimum(pixels[:, ::-1] // 2, np.array(view.depth_m.shape) - 1)
    depths = view.depth_m[cells[:, 0], cells[:, 1]]
    return ~(np.abs(depths - depth_m) > 2.0 * view.gate_m(depth_m))
