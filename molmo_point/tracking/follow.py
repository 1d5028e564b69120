"""One tracking step from a view to the next, and the reasons to stop."""

import math
from dataclasses import dataclass, field

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.tracking.anchor import MIN_CONTRAST, Anchor, align, find_again, shade, take_anchor
from molmo_point.tracking.feature_motion import MIN_FEATURES, FeatureFlow, ImageMotion, features_around, fit_motion, flow_between
from molmo_point.tracking.track import LostReason, TrackState
from molmo_point.tracking.tracked_view import TrackedView

REACH_PX = 12.0
FEW_FEATURES = 6
MIN_SIMILARITY, RENEW_SIMILARITY = 0.5, 0.8
SUDDEN, USUAL_SHARE = 0.08, 0.15
MAX_SHADE = 30.0
PATIENCE = 2
"""Number of consecutive frames that may look wrong before the point is held."""
RENEW_SCALE, RENEW_TURN, RENEW_WARP = 1.25, 0.35, 0.08
STEP_VARIANCE_PX2 = 0.25**2
VARIANCE_FACTOR = 4.0
"""Factor on the variance: errors of neighboring features and of successive frames are correlated."""
SMOOTHING, DEPTH_SHARE = 0.2, 0.6
"""Weights of the newest value in the smoothed speeds and in the smoothed depth."""
DEPTH_SPEED = 0.25
"""Unpredicted speed along the depth that the gate allows, in meters per second."""
FADING_S = 0.4
"""Time constant in seconds with which the own speed of a hidden point decays."""
SAME_DEPTH = 0.2
GUESS_VARIANCE_PX2 = 3.0**2
FOUND_VARIANCE_PX2 = 0.7**2
_GRID_WH = (8, 6)


@dataclass(eq=False)
class Followed:
    """State of a point that is followed.

    Attributes:
        uv: (2,) pixel.
        base_px2: (2, 2) covariance when the anchor was taken, in the pixels of that view.
        drift_px2: (2, 2) covariance added since the anchor was taken.
        depth_m: Depth of the surface in meters; NaN if unknown.
        features: (n, 2) pixels of features around the point, on the same surface.
        feature_depth_m: (n,) depths of the features in meters; NaN where unknown.
        anchor: Reference patch.
        linear: (2, 2) affine warp since the anchor was taken.
        total: (2, 2) affine warp since the start.
        state: State of the track.
        reason: Reason why the point is not TRACKED.
        seen_ns: Stamp of the last view that showed the point.
        similarity: Correlation with the anchor, -1 to 1; NaN if unknown.
        usual: Running mean of the similarity; NaN for a new anchor.
        doubts: Number of consecutive views in which the point looked wrong.
        own_px_s: (2,) speed relative to the scene's motion, in pixels per second.
        calm_px_s: (2,) `own_px_s` smoothed again, since an occluder drags at the features first.
        depth_rate: Speed along the depth, in meters per second.
    """

    uv: FloatArray
    base_px2: FloatArray
    depth_m: float
    features: FloatArray
    feature_depth_m: FloatArray
    anchor: Anchor
    seen_ns: int
    drift_px2: FloatArray = field(default_factory=lambda: np.zeros((2, 2)))
    linear: FloatArray = field(default_factory=lambda: np.eye(2))
    total: FloatArray = field(default_factory=lambda: np.eye(2))
    state: TrackState = TrackState.TRACKED
    reason: LostReason = LostReason.NONE
    similarity: float = math.nan
    usual: float = math.nan
    doubts: int = 0
    own_px_s: FloatArray = field(default_factory=lambda: np.zeros(2))
    calm_px_s: FloatArray = field(default_factory=lambda: np.zeros(2))
    depth_rate: float = 0.0

    @property
    def covariance_px2(self) -> FloatArray:
        """(2, 2) covariance of the pixel."""
        return self.linear @ self.base_px2 @ self.linear.T + self.drift_px2


def begin(view: TrackedView, uv: FloatArray, covariance_px2: FloatArray, depth_m: float) -> Followed:
    """Start to follow a pixel (2,) at the depth of its surface; NaN takes the depth of the view."""
    if not math.isfinite(depth_m):
        depth_m = view.depth_of(uv)
    features = features_around(view, uv, depth_m)
    anchor = take_anchor(view, uv, depth_m)
    item = Followed(uv, covariance_px2, depth_m, features, view.depth_at(features), anchor, view.stamp_ns)
    if len(features) < MIN_FEATURES:
        stop(item, LostReason.NO_TEXTURE, lost=True)
    return item


def stop(item: Followed, reason: LostReason, *, lost: bool = False) -> None:
    """Mark a point as held, or as lost."""
    item.state = TrackState.LOST if lost else TrackState.HELD
    item.reason, item.similarity, item.doubts = reason, math.nan, 0


def advance(items: list[Followed], before: TrackedView, after: TrackedView, hold_s: float, max_gap_s: float) -> None:
    """Follow all points from one view to the next, in place; visible points are not followed over a longer gap."""
    step_s = (after.stamp_ns - before.stamp_ns) * 1e-9
    for item in items:
        if step_s > max_gap_s and item.state is TrackState.TRACKED:
            stop(item, LostReason.STREAM_GAP)
    active = [item for item in items if item.state is TrackState.TRACKED]
    held = [item for item in items if item.state is TrackState.HELD]
    if not active and not held:
        return
    grid = _grid(before)
    ends = np.cumsum([len(grid), *(len(item.features) for item in active)])
    flow = flow_between(before, after, np.concatenate([grid, *(item.features for item in active)]))
    scene = _SceneMotion(flow.part(slice(0, len(grid))), before.depth_at(grid))
    for item, end in zip(active, ends[1:], strict=True):
        carried = item.uv + scene.at(item.depth_m)
        _step(item, flow.part(slice(int(end) - len(item.features), int(end))), after, step_s)
        if item.state is TrackState.TRACKED:
            item.own_px_s = item.own_px_s + SMOOTHING * ((item.uv - carried) / step_s - item.own_px_s)
            item.calm_px_s = item.calm_px_s + SMOOTHING * (item.own_px_s - item.calm_px_s)
    for item in held:
        _keep(item, scene, after, hold_s, step_s)


def _step(item: Followed, flow: FeatureFlow, view: TrackedView, step_s: float) -> None:
    """Advance one point whose features moved by `flow`."""
    end_depth = view.depth_at(flow.end)
    jump = end_depth - item.feature_depth_m - item.depth_rate * step_s
    gate = view.gate_m(item.depth_m) + DEPTH_SPEED * step_s
    near, far = flow.good & (jump < -gate), flow.good & (jump > gate)
    good = flow.good & ~near & ~far
    motion = fit_motion(flow.start[good], flow.end[good], item.uv, flow.return_px[good], REACH_PX)
    if motion is None:
        _stop_without_features(item, flow, near, far, view)
        return
    if not view.inside(motion.end, 1.0):
        item.uv = motion.end
        stop(item, LostReason.LEFT_IMAGE, lost=True)
        return
    _move(item, motion, view, step_s)
    if item.state is TrackState.TRACKED:
        item.features, item.feature_depth_m = flow.end[good][motion.inliers], end_depth[good][motion.inliers]
        _renew(item, view)


def _stop_without_features(item: Followed, flow: FeatureFlow, near: BoolArray, far: BoolArray, view: TrackedView) -> None:
    nearer = view.depth_of(item.uv) < item.depth_m - view.gate_m(item.depth_m)
    few = 0.3 * len(flow.good)
    hidden = nearer or near.sum() > max(far.sum(), few)
    stop(item, LostReason.OCCLUDED if hidden else LostReason.DEPTH_JUMP if far.sum() > few else LostReason.TOO_FAST)


def _move(item: Followed, motion: ImageMotion, view: TrackedView, step_s: float) -> None:
    """Move a point with its features, align it with its anchor, and check its depth."""
    step = motion.linear
    variance = VARIANCE_FACTOR * motion.variance_px2 + STEP_VARIANCE_PX2
    drift = step @ item.drift_px2 @ step.T + variance * np.eye(2)
    match = align(item.anchor, view, motion.end, step @ item.linear, drift)
    old = item.linear
    item.uv, item.linear, item.drift_px2, item.similarity = match.uv, match.linear, match.covariance_px2, match.similarity
    item.total = match.linear @ np.linalg.inv(old) @ item.total
    depth_m = view.depth_of(item.uv)
    jump = depth_m - (item.depth_m + item.depth_rate * step_s)
    gate = view.gate_m(item.depth_m) + DEPTH_SPEED * step_s
    if jump < -gate:
        stop(item, LostReason.OCCLUDED)
        return
    usual = item.usual if math.isfinite(item.usual) else match.similarity
    # A sudden change, such as the edge of a shadow, drags at the features long before the match fails.
    wrong = jump > gate or match.similarity < max(MIN_SIMILARITY, usual - SUDDEN)
    if not wrong:
        item.usual = usual + USUAL_SHARE * (match.similarity - usual)
    if item.anchor.contrast < MIN_CONTRAST:
        wrong = wrong or abs(shade(item.anchor, view, item.uv, item.linear)) > MAX_SHADE
    item.doubts = item.doubts + 1 if wrong else 0
    if item.doubts > PATIENCE:
        stop(item, LostReason.DEPTH_JUMP if jump > gate else LostReason.DRIFTED)
    if wrong:
        return
    item.seen_ns = view.stamp_ns
    if math.isfinite(depth_m):
        known = math.isfinite(item.depth_m)
        item.depth_rate = item.depth_rate + SMOOTHING * jump / step_s if known else 0.0
        item.depth_m = depth_m - (1.0 - DEPTH_SHARE) * jump if known else depth_m


def _renew(item: Followed, view: TrackedView) -> None:
    """Replenish the features, and renew an outdated anchor."""
    if item.doubts == 0 and len(item.features) < FEW_FEATURES:
        found = features_around(view, item.uv, item.depth_m)
        if len(found) > len(item.features):
            item.features, item.feature_depth_m = found, view.depth_at(found)
    scale = math.hypot(*item.linear[:, 0])
    turn = abs(math.atan2(item.linear[1, 0], item.linear[0, 0]))
    old = not 1.0 / RENEW_SCALE < scale < RENEW_SCALE or turn > RENEW_TURN
    # A patch that fades without a warp is in a shadow or half hidden, so it must not be replaced.
    warped = float(np.max(np.abs(item.linear - np.eye(2)))) > RENEW_WARP
    fading = warped and MIN_SIMILARITY < item.similarity < RENEW_SIMILARITY
    if item.doubts == 0 and (old or fading) and len(item.features) >= FEW_FEATURES:
        renew_anchor(item, view)


def renew_anchor(item: Followed, view: TrackedView) -> None:
    """Take a new anchor at the current pixel; past drift stays in the covariance."""
    item.base_px2, item.drift_px2 = item.covariance_px2, np.zeros((2, 2))
    item.anchor, item.linear = take_anchor(view, item.uv, item.depth_m), np.eye(2)
    item.usual = math.nan


def _keep(item: Followed, scene: "_SceneMotion", view: TrackedView, hold_s: float, step_s: float) -> None:
    """Predict the pixel of a hidden point, and search for it there."""
    unseen_s = (view.stamp_ns - item.seen_ns) * 1e-9
    if unseen_s > hold_s:
        item.state = TrackState.LOST
        return
    fading = math.exp(-unseen_s / FADING_S)
    item.uv = item.uv + scene.at(item.depth_m) + fading * item.calm_px_s * step_s
    item.drift_px2 = item.drift_px2 + GUESS_VARIANCE_PX2 * np.eye(2)
    if not view.inside(item.uv, 1.0):
        stop(item, LostReason.LEFT_IMAGE, lost=True)
        return
    found = find_again(item.anchor, view, item.uv, item.linear, item.depth_m, unseen_s)
    if found is None:
        return
    features = features_around(view, found.uv, item.depth_m)
    if len(features) < MIN_FEATURES:
        return
    item.uv, item.similarity = found.uv, found.similarity
    item.total = found.linear @ np.linalg.inv(item.linear) @ item.total
    item.linear, item.drift_px2 = found.linear, found.covariance_px2 + FOUND_VARIANCE_PX2 * np.eye(2)
    item.features, item.feature_depth_m = features, view.depth_at(features)
    item.state, item.reason, item.seen_ns = TrackState.TRACKED, LostReason.NONE, view.stamp_ns
    depth_m = view.depth_of(found.uv)
    item.depth_m = depth_m if math.isfinite(depth_m) else item.depth_m
    item.depth_rate = 0.0


def _grid(view: TrackedView) -> FloatArray:
    u, v = ((np.arange(count) + 0.5) * length / count for count, length in zip(_GRID_WH, view.size_wh, strict=True))
    return np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)


class _SceneMotion:
    """Image motion of the scene by depth, which predicts hidden points.

    An occluder is nearer, and must not carry the point away.
    """

    def __init__(self, flow: FeatureFlow, depth_m: FloatArray) -> None:
        self._shift = (flow.end - flow.start)[flow.good]
        self._depth_m = depth_m[flow.good]

    def at(self, depth_m: float) -> FloatArray:
        """Median shift (2,) of the scene at a similar depth; zero if too little is visible there."""
        near = ~(np.abs(self._depth_m - depth_m) > SAME_DEPTH * depth_m)
        return np.median(self._shift[near], axis=0) if near.sum() >= MIN_FEATURES else np.zeros(2)
