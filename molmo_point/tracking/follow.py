"""One tracking step from a view to the next, and the reasons to stop."""

import itertools
import math

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.tracking.anchor import (
    MIN_CONTRAST,
    PatchMatch,
    align,
    align_context,
    core_similarity,
    find_again,
    patch_similarity,
    shade,
    take_anchor,
    take_context,
)
from molmo_point.tracking.feature_motion import (
    MIN_FEATURES,
    FeatureFlow,
    ImageMotion,
    features_around,
    fit_motion,
    flow_between,
    nearness,
)
from molmo_point.tracking.followed import STATIC_VIEWS, Followed, stop
from molmo_point.tracking.scene_motion import SceneMotion
from molmo_point.tracking.static_place import (
    PLACE_SIGMA_PX,
    SLIDE_PX,
    expected_place,
    has_slid,
    match_at_place,
    reference_patch,
    update_place,
    warp_since_anchor,
)
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
GUESS_VARIANCE_PX2 = 3.0**2
FOUND_VARIANCE_PX2 = 0.7**2
STATIC_STEP_PX, STATIC_SHARE = 1.5, 0.5
"""Distance from the motion of the scene, and share of the features within it, for a point to move with the scene."""
CORE_SIMILARITY, UNANIMOUS_SHARE = 0.85, 0.9
SLIDE_SIMILARITY = 0.01
LEAVING_FEATURES, LEAVING_SHARE = 8, 0.8
"""Number and share of features that must agree for a static plain point to leave its place."""
LEAVING_LEAD, MAX_RIVAL = 0.1, 0.85
"""Lead in similarity over its place with which a static point may leave it, and largest rival of a distinctive patch."""
STAYING_S = 0.3
"""Time in seconds for which a static point out of sight is expected at its place only."""
ELSEWHERE_SIMILARITY = 0.7


def begin(view: TrackedView, uv: FloatArray, covariance_px2: FloatArray, depth_m: float) -> Followed:
    """Start to follow a pixel (2,) at the depth of its surface; NaN takes the depth of the view."""
    if not math.isfinite(depth_m):
        depth_m = view.depth_of(uv)
    features = features_around(view, uv, depth_m)
    anchor = take_anchor(view, uv, depth_m)
    item = Followed(
        uv, covariance_px2, depth_m, features, view.depth_at(features), anchor, view.stamp_ns, np.zeros_like(features)
    )
    renew_anchor(item, view)
    update_place(item, view)
    if len(features) < MIN_FEATURES and (item.p_scene is None or reference_patch(item).contrast < MIN_CONTRAST):
        stop(item, LostReason.NO_TEXTURE, lost=True)
    return item


def advance(items: list[Followed], before: TrackedView, after: TrackedView, hold_s: float, max_gap_s: float) -> None:
    """Follow all points from one view to the next, in place; visible points are not followed over a longer gap."""
    step_s = (after.stamp_ns - before.stamp_ns) * 1e-9
    for item in items:
        if step_s > max_gap_s and item.state is TrackState.TRACKED:
            stop(item, LostReason.STREAM_GAP)
    active = [item for item in items if item.state is TrackState.TRACKED]
    scene = SceneMotion(before, after)
    uvs, depths = np.array([item.uv for item in active]).reshape(-1, 2), np.array([item.depth_m for item in active])
    ends, end_depths = scene.carry(uvs, depths)
    flows = _flows(active, before, after, scene, step_s)
    for item, (flow, static), carried, depth_m in zip(active, flows, ends, end_depths, strict=True):
        _step(item, flow, static, after, step_s, float(depth_m))
        if item.state is TrackState.TRACKED:
            item.own_px_s = item.own_px_s + SMOOTHING * ((item.uv - carried) / step_s - item.own_px_s)
            item.calm_px_s = item.calm_px_s + SMOOTHING * (item.own_px_s - item.calm_px_s)
    for item in items:
        if item not in active:
            _keep(item, scene, after, hold_s, step_s)


def _flows(
    items: list[Followed], before: TrackedView, after: TrackedView, scene: SceneMotion, step_s: float
) -> list[tuple[FeatureFlow, FloatArray]]:
    """Follow the features of all points at once, each from where the scene and the point's own speed lead it.

    Returns:
        For each point the flow, and the pixels (n, 2) of the features if they moved with the scene.
    """
    if not items:
        return []
    starts = np.concatenate([item.features for item in items])
    depths = [np.where(np.isfinite(item.feature_depth_m), item.feature_depth_m, item.depth_m) for item in items]
    own = [np.tile(item.own_px_s * step_s, (len(item.features), 1)) for item in items]
    static = scene.carry(starts, np.concatenate(depths))[0]
    flow = flow_between(before, after, starts, static + np.concatenate(own))
    parts = itertools.pairwise(np.cumsum([0, *(len(item.features) for item in items)]).tolist())
    return [(flow.part(slice(first, last)), static[first:last]) for first, last in parts]


def _step(item: Followed, flow: FeatureFlow, static: FloatArray, view: TrackedView, step_s: float, carried_m: float) -> None:
    """Advance one point whose features moved by `flow`.

    `static` are the pixels (n, 2) of the features if they moved with the scene, `carried_m` the point's depth then.
    """
    end_depth = view.depth_at(flow.end)
    nearing = carried_m - item.depth_m if math.isfinite(carried_m) else 0.0
    item.depth_m += nearing
    expected = item.feature_depth_m + nearing
    jump = end_depth - expected - item.depth_rate * step_s
    gate = view.gate_m(item.depth_m) + DEPTH_SPEED * step_s
    near, far = flow.good & (jump < -gate), flow.good & (jump > gate)
    good = flow.good & ~near & ~far
    off_px = item.feature_off_px + flow.end - static
    motion = _static_motion(item, view, flow.start[good], off_px[good])
    if motion is None:
        motion = fit_motion(flow.start[good], flow.end[good], item.uv, flow.return_px[good], REACH_PX)
        measured = np.isfinite(expected[good])
        if motion is not None and _is_elsewhere(item, flow.start[good], measured, motion, view):
            motion = None
    if motion is None:
        if not _take_place(item, view):
            _stop_without_features(item, flow, near, far, view)
        return
    if not view.inside(motion.end, 1.0):
        item.uv = motion.end
        stop(item, LostReason.LEFT_IMAGE, lost=True)
        return
    _move(item, motion, view, step_s)
    if item.state is TrackState.TRACKED:
        item.features, item.feature_depth_m = flow.end[good][motion.inliers], end_depth[good][motion.inliers]
        item.feature_off_px = off_px[good][motion.inliers]
        _renew(item, view)


def _static_motion(item: Followed, view: TrackedView, start: FloatArray, off_px: FloatArray) -> ImageMotion | None:
    """Move a static point to its place in the scene, if most of its features stayed with the scene.

    Nearby features count more: `start` (n, 2) are the features, `off_px` (n, 2) their summed motion relative to the scene.
    Few features in a blurred image, or along one edge, tell less than the pose of the camera.
    """
    expected = expected_place(item, view) if item.static_views >= STATIC_VIEWS else None
    agree = np.linalg.norm(off_px, axis=1) < STATIC_STEP_PX
    weight = nearness(start, item.uv, REACH_PX)
    if expected is None or agree.sum() < MIN_FEATURES or weight @ agree < STATIC_SHARE * weight.sum():
        return None
    if not view.inside(expected[0], 1.0):
        return None
    warp = warp_since_anchor(item, view)
    step = np.eye(2) if warp is None else warp @ np.linalg.inv(item.linear)
    return ImageMotion(step, expected[0], agree, PLACE_SIGMA_PX**2 / VARIANCE_FACTOR)


def _is_elsewhere(item: Followed, start: FloatArray, measured: BoolArray, motion: ImageMotion, view: TrackedView) -> bool:
    """Test if features (n, 2) drag a point away: the edge of an occluder, or of its shadow.

    A static point leaves its place only if its patch fits better elsewhere. Features without depth are no evidence,
    because they may belong to another surface.
    """
    if not view.inside(motion.end, 1.0):
        return False
    place = expected_place(item, view) if item.static_views >= STATIC_VIEWS else None
    leaves = place is not None and np.linalg.norm(place[0] - motion.end) > SLIDE_PX
    features = start[motion.inliers & measured]
    if item.context is None:
        if place is None or not leaves:
            return False
        return not _fits_better(item, features, motion, view, place[0])
    if item.context.contrast < MIN_CONTRAST:
        return False
    if leaves and (len(features) < LEAVING_FEATURES or motion.inliers.mean() < LEAVING_SHARE):
        return True
    around = align_context(item.context, view, motion.end, motion.linear @ item.linear, PLACE_SIGMA_PX)
    return around.similarity < ELSEWHERE_SIMILARITY


def _fits_better(item: Followed, features: FloatArray, motion: ImageMotion, view: TrackedView, place: FloatArray) -> bool:
    """Test if the anchor clearly fits better where the features (n, 2) lead than at the place (2,) of the point.

    The rim of a patch may show another surface, so that only its core counts if few features are near. A patch
    that fits at many places, such as an edge, does not tell then.
    """
    near = np.linalg.norm(features - item.uv, axis=1) < REACH_PX
    fit = patch_similarity if near.sum() >= MIN_FEATURES else core_similarity
    if fit is core_similarity and item.anchor.rival > MAX_RIVAL:
        return False
    there = align(item.anchor, view, motion.end, motion.linear @ item.linear, item.drift_px2 + np.eye(2))
    warp = warp_since_anchor(item, view)
    here = fit(item.anchor, view, place, item.linear if warp is None else warp)
    return fit(item.anchor, view, there.uv, there.linear) > here + LEAVING_LEAD


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
    place = match_at_place(item, view, match.similarity - SLIDE_SIMILARITY) if has_slid(item, match, view) else None
    match = match if place is None else place
    _apply(item, match)
    depth_m = view.depth_of(item.uv)
    jump = depth_m - (item.depth_m + item.depth_rate * step_s)
    gate = view.gate_m(item.depth_m) + DEPTH_SPEED * step_s
    if jump < -gate:
        stop(item, LostReason.OCCLUDED)
        return
    usual = item.usual if math.isfinite(item.usual) else match.similarity
    # A sudden change, such as the edge of a shadow, drags at the features long before the match fails.
    changed = match.similarity < max(MIN_SIMILARITY, usual - SUDDEN)
    # Around an object that moves, another background shows.
    agreed = motion.inliers.sum() >= LEAVING_FEATURES and motion.inliers.mean() >= UNANIMOUS_SHARE
    agreed = agreed and match.similarity >= MIN_SIMILARITY
    doubtful = changed and not agreed and core_similarity(item.anchor, view, item.uv, item.linear) < CORE_SIMILARITY
    wrong = jump > gate or doubtful
    if not wrong and not changed:
        item.usual = usual + USUAL_SHARE * (match.similarity - usual)
    if item.anchor.contrast < MIN_CONTRAST:
        wrong = wrong or abs(shade(item.anchor, view, item.uv, item.linear)) > MAX_SHADE
    if wrong and _take_place(item, view):
        return
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
    update_place(item, view)


def _apply(item: Followed, match: PatchMatch) -> None:
    """Move a point to where its anchor was aligned."""
    item.total = match.linear @ np.linalg.inv(item.linear) @ item.total
    item.uv, item.linear, item.drift_px2, item.similarity = match.uv, match.linear, match.covariance_px2, match.similarity


def _renew(item: Followed, view: TrackedView) -> None:
    """Replenish the features, and renew an outdated anchor."""
    if item.doubts == 0 and len(item.features) < FEW_FEATURES:
        found = features_around(view, item.uv, item.depth_m)
        if len(found) > len(item.features):
            item.features, item.feature_depth_m, item.feature_off_px = found, view.depth_at(found), np.zeros_like(found)
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
    item.anchor_pose, item.usual = view.pose, math.nan
    item.context = take_context(view, item.uv) if item.anchor.contrast < MIN_CONTRAST else None


def _take_place(item: Followed, view: TrackedView) -> bool:
    """Move a point to its place in the static scene, if the view shows it there."""
    match = match_at_place(item, view)
    if match is None:
        return False
    _resume(item, match, view)
    return True


def _resume(item: Followed, match: PatchMatch, view: TrackedView) -> None:
    """Continue to follow a point from where it was found."""
    expected = expected_place(item, view)
    _apply(item, match)
    item.drift_px2 = item.drift_px2 + FOUND_VARIANCE_PX2 * np.eye(2)
    depth_m = view.depth_of(item.uv)
    expected_m = item.depth_m if expected is None else expected[1]
    item.depth_m = depth_m if math.isfinite(depth_m) else expected_m
    item.depth_rate, item.doubts = 0.0, 0
    item.features = features_around(view, item.uv, item.depth_m)
    item.feature_depth_m, item.feature_off_px = view.depth_at(item.features), np.zeros_like(item.features)
    item.state, item.reason, item.seen_ns = TrackState.TRACKED, LostReason.NONE, view.stamp_ns
    update_place(item, view)


def _keep(item: Followed, scene: SceneMotion, view: TrackedView, hold_s: float, step_s: float) -> None:
    """Predict the pixel of a point out of sight, and search for it there."""
    if item.reason in (LostReason.NOT_CONFIRMED, LostReason.NO_TEXTURE):
        return
    unseen_s = (view.stamp_ns - item.seen_ns) * 1e-9
    if unseen_s > hold_s:
        item.state = TrackState.LOST
    if _take_place(item, view):
        return
    expected = expected_place(item, view)
    uv = item.uv if expected is None else expected[0]
    if item.state is TrackState.HELD:
        if expected is None:
            carried, depth_m = scene.carry(uv[None], np.array([item.depth_m]))
            fading = math.exp(-unseen_s / FADING_S)
            uv = carried[0] + fading * item.calm_px_s * step_s
            item.depth_m = float(depth_m[0])
        item.uv, item.drift_px2 = uv, item.drift_px2 + GUESS_VARIANCE_PX2 * np.eye(2)
        if not view.inside(item.uv, 1.0):
            stop(item, LostReason.LEFT_IMAGE, lost=True)
            return
        if expected is not None and item.static_views >= STATIC_VIEWS and unseen_s < STAYING_S:
            # A static point comes back at its place. Other places may look alike.
            return
        found = find_again(item.anchor, view, item.uv, item.linear, item.depth_m, unseen_s)
        if found is not None and len(features_around(view, found.uv, item.depth_m)) >= MIN_FEATURES:
            _resume(item, found, view)
