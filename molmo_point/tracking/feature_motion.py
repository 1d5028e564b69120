"""Image features: taken on one surface, followed to the next view, and reduced to one motion."""

import math
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray, IntArray
from molmo_point.tracking.tracked_view import TrackedView, import_cv2

WINDOW_PX, LEVELS = 15, 3
MAX_RETURN_PX = 0.8
MAX_FEATURES, MIN_DISTANCE_PX, QUALITY = 14, 4.0, 0.02
REACHES_PX = (20, 36, 60)
MIN_CORNER = 1.5e-4
"""Minimum of cv2.cornerMinEigenVal: about 1.5 gray values per pixel in every direction, above the noise."""
MIN_FEATURES = 3
MIN_SHARE = 0.4
OUTLIER_PX = 1.5
PULL_PX2 = 15.0
MAX_STEP = 0.25
"""Largest accepted change from one frame to the next: of scale as a ratio, of rotation in radians."""


@dataclass(frozen=True, eq=False)
class FeatureFlow:
    """Positions of features in two views.

    Attributes:
        start: (n, 2) pixels in the earlier view.
        end: (n, 2) pixels in the later view.
        good: (n,) True if the feature was found forward and backward.
        return_px: (n,) distance from a feature to the end of its way back.
    """

    start: FloatArray
    end: FloatArray
    good: BoolArray
    return_px: FloatArray

    def part(self, chosen: slice) -> "FeatureFlow":
        """Select a range of the features."""
        return FeatureFlow(self.start[chosen], self.end[chosen], self.good[chosen], self.return_px[chosen])


def flow_between(before: TrackedView, after: TrackedView, points: FloatArray, guess: FloatArray | None = None) -> FeatureFlow:
    """Follow features (n, 2) from one view to the next by pyramidal Lucas-Kanade, and back.

    A change of brightness is compensated first. `guess` (n, 2) is where the features are expected in the next view.
    """
    if not len(points):
        nothing = np.zeros((0, 2))
        return FeatureFlow(nothing, nothing, np.zeros(0, bool), np.zeros(0))
    cv2 = import_cv2()
    gray = before.gray
    gain = after.brightness / max(before.brightness, 1.0)
    if abs(gain - 1.0) > 0.01:
        gray = cv2.convertScaleAbs(gray, alpha=gain)
    settings = {"winSize": (WINDOW_PX, WINDOW_PX), "maxLevel": LEVELS, "minEigThreshold": 1e-3}
    settings["flags"] = cv2.OPTFLOW_USE_INITIAL_FLOW
    start = np.ascontiguousarray(points, dtype=np.float32)
    expected = start if guess is None else np.where(np.isfinite(guess), guess, points).astype(np.float32)
    end, found, _ = cv2.calcOpticalFlowPyrLK(gray, after.gray, start, expected.copy(), **settings)
    # The way back starts as far off as the way forth did.
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after.gray, gray, end, end + (start - expected), **settings)
    return_px = np.linalg.norm((back - start).astype(np.float64), axis=1)
    good = (found.ravel() == 1) & (found_back.ravel() == 1) & (return_px < MAX_RETURN_PX)
    good &= after.inside(end.astype(np.float64))
    return FeatureFlow(start.astype(np.float64), end.astype(np.float64), good, return_px)


def features_around(view: TrackedView, uv: FloatArray, depth_m: float) -> FloatArray:
    """Find corners (n, 2) near a pixel on its surface, in the smallest neighborhood that has enough."""
    best = np.zeros((0, 2))
    for reach in REACHES_PX:
        if len(best) < MAX_FEATURES // 2:
            best = max(best, _corners(view, uv, depth_m, reach), key=len)
    return best


def _corners(view: TrackedView, uv: FloatArray, depth_m: float, reach: int) -> FloatArray:
    cv2 = import_cv2()
    width, height = view.size_wh
    u, v = (int(value) for value in np.floor(uv + 0.5))
    left, top = max(u - reach, 0), max(v - reach, 0)
    crop = view.gray[top : min(v + reach + 1, height), left : min(u + reach + 1, width)]
    if min(crop.shape) < WINDOW_PX:
        return np.zeros((0, 2))
    rows, columns = np.mgrid[0 : crop.shape[0], 0 : crop.shape[1]]
    here = np.stack([columns.ravel() + left, rows.ravel() + top], axis=1)
    mask = same_surface(view, here, depth_m).reshape(crop.shape)
    # A plain object can be followed only at its outline, and depth ends slightly off the outline.
    mask = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    mask &= (columns + left - u) ** 2 + (rows + top - v) ** 2 <= reach**2
    crop = np.ascontiguousarray(crop)
    mask &= cv2.cornerMinEigenVal(crop, 5) > MIN_CORNER
    masked = mask.astype(np.uint8) * 255
    corners = cv2.goodFeaturesToTrack(crop, MAX_FEATURES, QUALITY, MIN_DISTANCE_PX, mask=masked, blockSize=5)
    if corners is None:
        return np.zeros((0, 2))
    return corners.reshape(-1, 2).astype(np.float64) + np.array([left, top])


def same_surface(view: TrackedView, pixels: IntArray, depth_m: float) -> BoolArray:
    """Mask of the integer pixels (n, 2) that may belong to the surface at a depth; all True if it is unknown.

    Pixels without depth count as part of the surface, because they cannot be told from it.
    """
    if view.depth_m is None or not np.isfinite(depth_m):
        return np.ones(len(pixels), bool)
    cells = np.minimum(pixels[:, ::-1] // 2, np.array(view.depth_m.shape) - 1)
    depths = view.depth_m[cells[:, 0], cells[:, 1]]
    return ~(np.abs(depths - depth_m) > 2.0 * view.gate_m(depth_m))


@dataclass(frozen=True, eq=False)
class ImageMotion:
    """A similarity transform of the surroundings of one pixel.

    Attributes:
        linear: (2, 2) scale and rotation.
        end: (2,) the pixel in the later view.
        inliers: (n,) True for the features that agree.
        variance_px2: Variance of `end` along each axis, from the residuals of the features.
    """

    linear: FloatArray
    end: FloatArray
    inliers: BoolArray
    variance_px2: float


def fit_motion(start: FloatArray, end: FloatArray, at: FloatArray, return_px: FloatArray, reach_px: float) -> ImageMotion | None:
    """Fit the motion of features from `start` to `end` (n, 2) near the pixel `at` (2,).

    Nearby features weigh more, exp(-1/2) at `reach_px`. The error of the way back (n,) adds to the variance.

    Returns:
        None if fewer than three features, or fewer than 40 %, agree.
    """
    if len(start) < MIN_FEATURES:
        return None
    weight = nearness(start, at, reach_px)
    linear, moved = np.eye(2), at + np.median(end - start, axis=0)
    residual = np.zeros(len(start))
    for round_ in range(4):
        residual = np.linalg.norm(moved + (start - at) @ linear.T - end, axis=1)
        limit = max(OUTLIER_PX, 3.0 * float(np.median(residual))) if round_ == 0 else OUTLIER_PX
        agree = residual <= limit
        if agree.sum() < MIN_FEATURES or agree.sum() < MIN_SHARE * len(start):
            return None
        linear, moved = _fit_similarity(start[agree] - at, end[agree], weight[agree] / (1.0 + residual[agree] ** 2))
    agree = residual <= OUTLIER_PX
    count = int(agree.sum())
    scale, turn = math.hypot(*linear[:, 0]), math.atan2(linear[1, 0], linear[0, 0])
    if count < MIN_FEATURES or abs(math.log(max(scale, 1e-6))) > MAX_STEP or abs(turn) > MAX_STEP:
        return None
    noise = float(np.mean(residual[agree] ** 2) + np.mean(return_px[agree] ** 2)) / 2.0
    return ImageMotion(linear, moved, agree, noise / max(count - 2, 1))


def nearness(points: FloatArray, at: FloatArray, reach_px: float) -> FloatArray:
    """Weights (n,) of features (n, 2) by their distance from a pixel (2,): exp(-1/2) at `reach_px`."""
    return np.exp(-0.5 * np.sum((points - at) ** 2, axis=1) / reach_px**2) + 0.05


def _fit_similarity(offset: FloatArray, end: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted least squares: the linear part (2, 2), and the image (2,) of offset 0."""
    weight = weight / weight.sum()
    middle, goal = weight @ offset, weight @ end
    a, b = offset - middle, end - goal
    spread = float(weight @ np.sum(a**2, axis=1))
    if len(offset) < 4 or spread < 4.0:
        return np.eye(2), goal - middle
    # A weak prior on no change keeps a small cluster from rotating with its noise.
    spread += PULL_PX2
    cosine = (float(weight @ np.sum(a * b, axis=1)) + PULL_PX2) / spread
    sine = float(weight @ (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])) / spread
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return linear, goal - linear @ middle
