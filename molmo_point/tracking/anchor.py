"""The picture of a point that it is held to: notices drift, and takes it out where there is texture."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import FloatArray
from molmo_point.tracking.flow import same_surface
from molmo_point.tracking.opencv import import_cv2
from molmo_point.tracking.view import View

RADIUS = 15
MIN_CONTRAST = 4.0
"""Standard deviation of grey values below which a picture says too little to compare."""
MIN_NOISE = 2.0
CORRELATED = 40.0
"""Pixels that share one error, as a number: their residuals are not independent."""
SHAPE_SIGMA = 0.02
FLOOR_PX2 = 0.3**2
MAX_MOVE_PX, MAX_WARP = 4.0, 0.2
ROUNDS = 3
_SIDE = 2 * RADIUS + 1
_GRID = np.stack(np.meshgrid(np.arange(-RADIUS, RADIUS + 1), np.arange(-RADIUS, RADIUS + 1)), axis=-1).astype(np.float64)
_X, _Y = _GRID[..., 0].ravel(), _GRID[..., 1].ravel()


@dataclass(frozen=True, eq=False)
class Anchor:
    """A small picture around a point.

    Attributes:
        picture: (31 * 31,) grey values.
        weight: (31 * 31,) near 1 in the middle, 0 off the surface.
        slopes: (31 * 31, 8) change of the picture by shift (2), by an affine change of shape (4), gain and offset.
        contrast: Standard deviation of the weighted grey values.
        mean: Weighted mean of the grey values.
        brightness: Mean of the whole image that it was taken from.
    """

    picture: FloatArray
    weight: FloatArray
    slopes: FloatArray
    contrast: float
    mean: float
    brightness: float


@dataclass(frozen=True, eq=False)
class Match:
    """How a picture fits at a place.

    Attributes:
        uv: (2,) the place, corrected.
        linear: (2, 2) affine change of shape since the anchor, corrected.
        covariance_px2: (2, 2) of the place relative to the anchor; as before along edges.
        similarity: Correlation, -1 to 1; NaN with too little texture.
    """

    uv: FloatArray
    linear: FloatArray
    covariance_px2: FloatArray
    similarity: float


def take_anchor(view: View, uv: FloatArray, depth_m: float) -> Anchor:
    """The picture around a pixel; what is at another depth does not count."""
    picture = sample(view, uv, np.eye(2), RADIUS).astype(np.float64)
    pixels = np.floor(_GRID.reshape(-1, 2) + uv + 0.5).astype(int)
    inside = view.inside(pixels.astype(np.float64))
    pixels = np.clip(pixels, 0, np.array(view.size_wh) - 1)
    surface = (same_surface(view, pixels, depth_m) & inside).astype(np.uint8).reshape(_SIDE, _SIDE)
    # The rim of a surface is mixed with what is behind it.
    surface = import_cv2().erode(surface, np.ones((3, 3), np.uint8)).ravel()
    weight = surface * np.exp(-0.5 * (_X**2 + _Y**2) / (0.7 * RADIUS) ** 2)
    total = max(float(weight.sum()), 1e-9)
    rows, columns = np.gradient(picture)
    gx, gy, flat = columns.ravel(), rows.ravel(), picture.ravel()
    mean = float(weight @ flat) / total
    contrast = math.sqrt(float(weight @ (flat - mean) ** 2) / total) if total > 20.0 else 0.0
    slopes = np.stack([gx, gy, gx * _X, gx * _Y, gy * _X, gy * _Y, flat, np.ones_like(flat)], axis=1)
    return Anchor(flat, weight, slopes, contrast, mean, view.brightness)


def sample(view: View, uv: FloatArray, linear: FloatArray, radius: int) -> NDArray[np.float32]:
    """The picture around a pixel, turned and scaled back by `linear`: (2 r + 1, 2 r + 1) grey values."""
    cv2 = import_cv2()
    shift = uv - linear @ np.array([radius, radius], float)
    matrix = np.concatenate([linear, shift[:, None]], axis=1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    side = 2 * radius + 1
    return cv2.warpAffine(view.grey, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)


def align(anchor: Anchor, view: View, uv: FloatArray, linear: FloatArray, prior_px2: FloatArray) -> Match:
    """Shift and warp the place a little, so that the picture fits best.

    With S what is seen and T the picture, S(y) = g T(y) + o - g grad T(y) . (d + A y): linear in the
    shift d and the warp A (2, 2) that are wanted, and in gain and offset, which take the light out.
    The warp is affine, because a surface that is seen from another side is foreshortened.

    Args:
        anchor: The picture.
        view: Where to look.
        uv: (2,) where it should be.
        linear: (2, 2) change of shape since the anchor was taken.
        prior_px2: (2, 2) how sure `uv` is; along an edge the answer stays with it.
    """
    if anchor.contrast < MIN_CONTRAST:
        return Match(uv, linear, prior_px2, math.nan)
    start = Match(uv, linear, prior_px2, similarity(anchor, _seen(view, uv, linear)))
    inverse = np.linalg.inv(linear)
    trust = np.diag([0.0, 0.0, *[SHAPE_SIGMA**-2] * 4])
    trust[:2, :2] = np.linalg.inv(inverse @ prior_px2 @ inverse.T + 1e-6 * np.eye(2))
    weighted = anchor.slopes * anchor.weight[:, None]
    normal, total = weighted.T @ anchor.slopes, float(anchor.weight.sum())
    seen, moved, gain, noise = _seen(view, uv, linear), np.zeros(6), 1.0, 4.0 * MIN_NOISE
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
        noise = max(MIN_NOISE, math.sqrt(float(anchor.weight @ residual**2) / total))
        seen = _seen(view, uv, linear)
    fits = similarity(anchor, seen)
    far = not np.all(np.isfinite(uv)) or np.linalg.norm(uv - start.uv) > MAX_MOVE_PX or np.max(np.abs(moved[2:])) > MAX_WARP
    if far or fits < start.similarity - 0.02:
        return start
    information[:6, :6] += trust
    others = information[:2, 2:] @ np.linalg.solve(information[2:, 2:] + 1e-9 * np.eye(6), information[2:, :2])
    covariance = linear @ np.linalg.inv(information[:2, :2] - others) @ linear.T + FLOOR_PX2 * np.eye(2)
    return Match(uv, linear, (covariance + covariance.T) / 2.0, fits)


def similarity(anchor: Anchor, seen: FloatArray) -> float:
    """Weighted correlation of the anchor's picture with another, both (31 * 31,)."""
    total = float(anchor.weight.sum())
    a, b = anchor.picture - anchor.mean, seen - float(anchor.weight @ seen) / total
    power = math.sqrt(float(anchor.weight @ a**2) * float(anchor.weight @ b**2))
    return float(anchor.weight @ (a * b)) / power if power > 1e-6 else 0.0


def shade(anchor: Anchor, view: View, uv: FloatArray, linear: FloatArray) -> float:
    """By how many grey values the place is lighter than the anchor, the light of the image taken out."""
    total = max(float(anchor.weight.sum()), 1e-9)
    mean = float(anchor.weight @ _seen(view, uv, linear)) / total
    return mean - anchor.mean * view.brightness / max(anchor.brightness, 1.0)


def _seen(view: View, uv: FloatArray, linear: FloatArray) -> FloatArray:
    return sample(view, uv, linear, RADIUS).ravel().astype(np.float64)
