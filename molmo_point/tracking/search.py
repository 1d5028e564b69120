"""Finding a point again that was out of sight for a moment."""

import math

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.tracking.anchor import MIN_CONTRAST, RADIUS, Anchor, Match, align, sample
from molmo_point.tracking.opencv import import_cv2
from molmo_point.tracking.view import View

REACH_PX, GROWTH_PX_S, MAX_REACH_PX = 8, 60.0, 40
MIN_PEAK, MIN_LEAD = 0.85, 0.04
MIN_SIMILARITY = 0.85
APART_PX = 6
_SIDE = 2 * RADIUS + 1


def find_again(anchor: Anchor, view: View, uv: FloatArray, linear: FloatArray, depth_m: float, unseen_s: float) -> Match | None:
    """Look for an anchor's picture around a pixel, the further the longer it was not seen.

    Returns:
        None unless one place fits well, fits better than every other, and has the right depth.
    """
    if anchor.contrast < MIN_CONTRAST:
        return None
    cv2 = import_cv2()
    reach = int(min(REACH_PX + GROWTH_PX_S * unseen_s, MAX_REACH_PX))
    around = sample(view, uv, linear, RADIUS + reach)
    picture = anchor.picture.reshape(_SIDE, _SIDE).astype(np.float32)
    scores = cv2.matchTemplate(around, picture, cv2.TM_CCOEFF_NORMED)
    row, column = np.unravel_index(int(np.argmax(scores)), scores.shape)
    peak = float(scores[row, column])
    rows, columns = np.mgrid[0 : scores.shape[0], 0 : scores.shape[1]]
    others = scores[(rows - row) ** 2 + (columns - column) ** 2 > APART_PX**2]
    if peak < MIN_PEAK or (others.size and peak - float(others.max()) < MIN_LEAD):
        return None
    place = uv + linear @ np.array([column - reach, row - reach], float)
    match = align(anchor, view, place, linear, np.eye(2))
    if not view.inside(match.uv, 1.0) or not match.similarity >= MIN_SIMILARITY:
        return None
    seen_m = float(view.depth_at(match.uv[None])[0])
    if math.isfinite(depth_m) and not abs(seen_m - depth_m) <= 2.0 * view.gate_m(depth_m):
        return None
    return match
