"""Reference patch of a tracked point: detects and corrects drift, and finds the point again."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import FloatArray
from molmo_point.tracking.feature_motion import same_surface
from molmo_point.tracking.tracked_view import TrackedView, import_cv2

RADIUS = 15
MIN_CONTRAST = 2.5
"""Smallest standard deviation of smoothed gray values that makes a patch comparable."""
SMOOTHING_PX = 1.5
"""Smoothing of patches that are compared: noise and a little blur must not count."""
MIN_NOISE = 2.0
CORRELATED = 40.0
"""Number of pixels that share one error, because their residuals are not independent."""
SHAPE_SIGMA = 0.02
FLOOR_PX2 = 0.3**2
MAX_MOVE_PX, MAX_WARP = 4.0, 0.2
ROUNDS = 3
SEARCH_PX, SEARCH_GROWTH_PX_S, MAX_SEARCH_PX = 8, 60.0, 40
MIN_PEAK, MIN_LEAD = 0.85, 0.04
MIN_FOUND_SIMILARITY = 0.85
APART_PX = 6
NEIGHBORHOOD_PX = 12
"""Distance from a remembered place within which no other place may fit better."""
CORE_PX = 5.0
"""Radius of the core of a patch: around it, another background shows when an object moves."""
CONTEXT_STEP = 4
"""Reduction of the image in which the surroundings of a plain point are compared."""
_SIDE = 2 * RADIUS + 1
_GRID = np.stack(np.meshgrid(np.arange(-RADIUS, RADIUS + 1), np.arange(-RADIUS, RADIUS + 1)), axis=-1).astype(np.float64)
_X, _Y = _GRID[..., 0].ravel(), _GRID[..., 1].ravel()
_CORE = np.exp(-0.5 * (_X**2 + _Y**2) / CORE_PX**2)


@dataclass(frozen=True, eq=False)
class Anchor:
    """A small patch around a point.

    Attributes:
        patch: (31 * 31,) gray values.
        smooth: (31 * 31,) smoothed gray values.
        weight: (31 * 31,) near 1 in the center, 0 off the surface.
        slopes: (31 * 31, 8) derivative of the patch by shift (2), affine warp (4), gain and offset.
        contrast: Weighted standard deviation of the smoothed gray values.
        mean: Weighted mean of the smoothed gray values.
        total: Sum of the weights.
        brightness: Mean gray value of the whole source image.
        rival: Correlation of the most similar other place around it, -1 to 1: near 1 on a repetitive texture.
    """

    patch: FloatArray
    smooth: FloatArray
    weight: FloatArray
    slopes: FloatArray
    contrast: float
    mean: float
    total: float
    brightness: float
    rival: float = -1.0


@dataclass(frozen=True, eq=False)
class PatchMatch:
    """Alignment of an anchor with a view.

    Attributes:
        uv: (2,) corrected pixel.
        linear: (2, 2) corrected affine warp since the anchor.
        covariance_px2: (2, 2) covariance of the pixel relative to the anchor; the prior along edges.
        similarity: Correlation, -1 to 1; NaN if there is too little texture.
    """

    uv: FloatArray
    linear: FloatArray
    covariance_px2: FloatArray
    similarity: float


def take_anchor(view: TrackedView, uv: FloatArray, depth_m: float) -> Anchor:
    """Take the patch around a pixel (2,); pixels at another depth weigh nothing."""
    patch = sample(view, uv, np.eye(2), RADIUS).astype(np.float64)
    pixels = np.floor(_GRID.reshape(-1, 2) + uv + 0.5).astype(int)
    inside = view.inside(pixels.astype(np.float64))
    pixels = np.clip(pixels, 0, np.array(view.size_wh) - 1)
    surface = (same_surface(view, pixels, depth_m) & inside).astype(np.uint8).reshape(_SIDE, _SIDE)
    # The rim of a surface is mixed with the background.
    surface = import_cv2().erode(surface, np.ones((3, 3), np.uint8)).ravel()
    weight = surface * np.exp(-0.5 * (_X**2 + _Y**2) / (0.7 * RADIUS) ** 2)
    total = max(float(weight.sum()), 1e-9)
    rows, columns = np.gradient(patch)
    gx, gy, flat = columns.ravel(), rows.ravel(), patch.ravel()
    smooth = _smoothed(flat)
    mean = float(weight @ smooth) / total
    contrast = math.sqrt(float(weight @ (smooth - mean) ** 2) / total) if total > 20.0 else 0.0
    slopes = np.stack([gx, gy, gx * _X, gx * _Y, gy * _X, gy * _Y, flat, np.ones_like(flat)], axis=1)
    rival = _peaks(patch, sample(view, uv, np.eye(2), RADIUS + MAX_SEARCH_PX), MAX_SEARCH_PX)[2]
    return Anchor(flat, smooth, weight, slopes, contrast, mean, total, view.brightness, rival)


def sample(view: TrackedView, uv: FloatArray, linear: FloatArray, radius: int) -> NDArray[np.float32]:
    """Sample the gray values (2 r + 1, 2 r + 1) around a pixel, with the warp `linear` undone."""
    cv2 = import_cv2()
    matrix = np.column_stack([linear, uv - linear @ np.array([radius, radius], float)])
    flags, side = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, 2 * radius + 1
    return cv2.warpAffine(view.gray, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)


def align(anchor: Anchor, view: TrackedView, uv: FloatArray, linear: FloatArray, prior_px2: FloatArray) -> PatchMatch:
    """Refine the predicted pixel (2,) and warp (2, 2) of an anchor in a view.

    With the view S and the patch T, S(y) = g T(y) + o - g grad T(y) . (d + A y). This is linear in
    the shift d, the warp A (2, 2), the gain g and the offset o. Gain and offset absorb lighting.
    The warp is affine, because a surface seen from another side is foreshortened. `prior_px2` is the
    covariance (2, 2) of the predicted pixel; along an edge the result stays with it.
    """
    if anchor.contrast < MIN_CONTRAST:
        return PatchMatch(uv, linear, prior_px2, math.nan)
    seen = _seen(view, uv, linear)
    start = PatchMatch(uv, linear, prior_px2, similarity(anchor, seen))
    inverse = np.linalg.inv(linear)
    trust = np.diag([0.0, 0.0, *[SHAPE_SIGMA**-2] * 4])
    trust[:2, :2] = np.linalg.inv(inverse @ prior_px2 @ inverse.T + 1e-6 * np.eye(2))
    weighted = anchor.slopes * anchor.weight[:, None]
    normal = weighted.T @ anchor.slopes
    moved, gain, noise = np.zeros(6), 1.0, 4.0 * MIN_NOISE
    information = normal
    for _ in range(ROUNDS):
        information = normal / (CORRELATED * noise**2)
        goal = weighted.T @ seen / (CORRELATED * noise**2)
        goal[:6] += trust @ moved / gain
        held = information + 1e-9 * np.eye(8)
        held[:6, :6] += trust / gain**2
        fit = np.linalg.solve(held, goal)
        gain = float(np.clip(fit[6], 0.3, 3.0))
        step = -fit[:6] / gain
        moved = moved + step
        uv = uv + linear @ step[:2]
        linear = linear @ (np.eye(2) + step[2:].reshape(2, 2))
        residual = seen - anchor.slopes @ fit
        noise = max(MIN_NOISE, math.sqrt(float(anchor.weight @ residual**2) / anchor.total))
        seen = _seen(view, uv, linear)
    fits = similarity(anchor, seen)
    far = not np.all(np.isfinite(uv)) or np.linalg.norm(uv - start.uv) > MAX_MOVE_PX or np.max(np.abs(moved[2:])) > MAX_WARP
    if far or fits < start.similarity - 0.02:
        return start
    information[:6, :6] += trust
    others = information[:2, 2:] @ np.linalg.solve(information[2:, 2:] + 1e-9 * np.eye(6), information[2:, :2])
    covariance = linear @ np.linalg.inv(information[:2, :2] - others) @ linear.T + FLOOR_PX2 * np.eye(2)
    return PatchMatch(uv, linear, (covariance + covariance.T) / 2.0, fits)


def similarity(anchor: Anchor, seen: FloatArray) -> float:
    """Weighted correlation of the anchor's patch with another patch (31 * 31,), both smoothed."""
    return _correlation(anchor.smooth, _smoothed(seen), anchor.weight)


def patch_similarity(anchor: Anchor, view: TrackedView, uv: FloatArray, linear: FloatArray) -> float:
    """Correlation of the anchor's patch with a place."""
    return similarity(anchor, _seen(view, uv, linear))


def core_similarity(anchor: Anchor, view: TrackedView, uv: FloatArray, linear: FloatArray) -> float:
    """Correlation of the core of the patch with a place; 0 if the core has too little texture."""
    weight = anchor.weight * _CORE
    total = float(weight.sum())
    if total < 20.0 or weight @ (anchor.smooth - weight @ anchor.smooth / total) ** 2 < total * MIN_CONTRAST**2:
        return 0.0
    return _correlation(anchor.smooth, _smoothed(_seen(view, uv, linear)), weight)


def take_context(view: TrackedView, uv: FloatArray) -> Anchor:
    """Take the wide surroundings of a pixel (2,), for a point on a plain surface."""
    return take_anchor(_reduced(view), (uv + 0.5) / CONTEXT_STEP - 0.5, math.nan)


def align_context(context: Anchor, view: TrackedView, uv: FloatArray, linear: FloatArray, sigma_px: float) -> PatchMatch:
    """Compare the surroundings of a pixel (2,) with those of a plain point; `PatchMatch.uv` is in pixels of the view."""
    prior_px2 = (sigma_px / CONTEXT_STEP) ** 2 * np.eye(2)
    match = align(context, _reduced(view), (uv + 0.5) / CONTEXT_STEP - 0.5, linear, prior_px2)
    return replace(match, uv=(match.uv + 0.5) * CONTEXT_STEP - 0.5, covariance_px2=match.covariance_px2 * CONTEXT_STEP**2)


def _reduced(view: TrackedView) -> TrackedView:
    width, height = view.size_wh
    size = width // CONTEXT_STEP, height // CONTEXT_STEP
    gray = import_cv2().resize(view.gray, size, interpolation=import_cv2().INTER_AREA)
    return replace(view, gray=gray, depth_m=None)


def _correlation(a: FloatArray, b: FloatArray, weight: FloatArray) -> float:
    total = max(float(weight.sum()), 1e-9)
    a, b = a - float(weight @ a) / total, b - float(weight @ b) / total
    power = math.sqrt(float(weight @ a**2) * float(weight @ b**2))
    return float(weight @ (a * b)) / power if power > 1e-6 else 0.0


def shade(anchor: Anchor, view: TrackedView, uv: FloatArray, linear: FloatArray) -> float:
    """Gray values by which a place is lighter than the anchor, corrected for the image brightness."""
    mean = float(anchor.weight @ _seen(view, uv, linear)) / anchor.total
    return mean - anchor.mean * view.brightness / max(anchor.brightness, 1.0)


def find_again(
    anchor: Anchor, view: TrackedView, uv: FloatArray, linear: FloatArray, depth_m: float, unseen_s: float
) -> PatchMatch | None:
    """Search an anchor's patch around a predicted pixel (2,), in a radius that grows with the time unseen, in seconds.

    Returns:
        None unless one place fits well, fits better than all others, and has the depth of the surface, if known.
    """
    if anchor.contrast < MIN_CONTRAST:
        return None
    reach = int(min(SEARCH_PX + SEARCH_GROWTH_PX_S * unseen_s, MAX_SEARCH_PX))
    (row, column), peak, second = _peaks(anchor.patch, sample(view, uv, linear, RADIUS + reach), None)
    if peak < MIN_PEAK or peak - max(second, anchor.rival) < MIN_LEAD:
        return None
    place = uv + linear @ np.array([column - reach, row - reach], float)
    match = align(anchor, view, place, linear, np.eye(2))
    if not view.inside(match.uv, 1.0) or not match.similarity >= MIN_FOUND_SIMILARITY:
        return None
    if math.isfinite(depth_m) and not abs(view.depth_of(match.uv) - depth_m) <= 2.0 * view.gate_m(depth_m):
        return None
    return match


def is_best_place(anchor: Anchor, view: TrackedView, uv: FloatArray, linear: FloatArray, off_px: float) -> bool:
    """Test if no place around a pixel (2,), but within `off_px` of it, fits the anchor's patch better."""
    cv2 = import_cv2()
    around = sample(view, uv, linear, RADIUS + NEIGHBORHOOD_PX)
    scores = cv2.matchTemplate(around, anchor.patch.reshape(_SIDE, _SIDE).astype(np.float32), cv2.TM_CCOEFF_NORMED)
    rows, columns = np.mgrid[-NEIGHBORHOOD_PX : NEIGHBORHOOD_PX + 1, -NEIGHBORHOOD_PX : NEIGHBORHOOD_PX + 1]
    near = rows**2 + columns**2 <= off_px**2
    return float(scores[near].max()) > float(scores[~near].max()) - MIN_LEAD


def _peaks(patch: FloatArray, around: NDArray[np.float32], middle: int | None) -> tuple[tuple[int, int], float, float]:
    """Search a patch in its surroundings; `middle` is the row and column of its own place, if it is known.

    Returns:
        Row and column of the best place, its correlation, and that of the best other place.
    """
    cv2 = import_cv2()
    scores = cv2.matchTemplate(around, patch.reshape(_SIDE, _SIDE).astype(np.float32), cv2.TM_CCOEFF_NORMED)
    row, column = np.unravel_index(int(np.argmax(scores)), scores.shape) if middle is None else (middle, middle)
    rows, columns = np.mgrid[0 : scores.shape[0], 0 : scores.shape[1]]
    others = scores[(rows - row) ** 2 + (columns - column) ** 2 > APART_PX**2]
    return (int(row), int(column)), float(scores[row, column]), float(others.max()) if others.size else -1.0


def _smoothed(patch: FloatArray) -> FloatArray:
    return import_cv2().GaussianBlur(patch.reshape(_SIDE, _SIDE), (0, 0), SMOOTHING_PX).ravel()


def _seen(view: TrackedView, uv: FloatArray, linear: FloatArray) -> FloatArray:
    return sample(view, uv, linear, RADIUS).ravel().astype(np.float64)
