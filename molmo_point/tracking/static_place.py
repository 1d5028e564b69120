"""Place of a point in the static scene, and the test if a view shows the point there."""

import math

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.tracking.anchor import MIN_CONTRAST, Anchor, PatchMatch, align, align_context, is_best_place
from molmo_point.tracking.followed import STATIC_VIEWS, Followed
from molmo_point.tracking.scene_motion import comparable, warp_between
from molmo_point.tracking.track import TrackState
from molmo_point.tracking.tracked_view import TrackedView

STATIC_PX, PLACE_SHARE = 2.5, 0.03
"""Distance from the scene within which a point stays with it, and the weight of the newest view."""
MOVED_VIEWS = 4
"""Number of consecutive views away from the scene after which a point has moved."""
PLACE_SIGMA_PX, MAX_PLACE_PX, PLACE_SIMILARITY, BLIND_SIMILARITY = 1.5, 3.0, 0.75, 0.85
SLIDE_PX, CONTEXT_SIMILARITY = 3.0, 0.85


def reference_patch(item: Followed) -> Anchor:
    """Return the anchor, or the surroundings of a plain point."""
    return item.anchor if item.context is None else item.context


def update_place(item: Followed, view: TrackedView) -> None:
    """Update the position in the static scene, and count how long the point has stayed there."""
    if view.pose is None or view.intrinsics is None or not math.isfinite(item.depth_m):
        return
    p_scene = view.pose.to_scene(view.intrinsics.deproject(item.uv, item.depth_m))
    if item.p_scene is None or item.map_number != view.pose.number:
        item.p_scene, item.map_number = p_scene, view.pose.number
        return
    p_camera = view.pose.from_scene(item.p_scene)
    off_px = float(np.linalg.norm(view.intrinsics.project(p_camera) - item.uv))
    if off_px < STATIC_PX and abs(p_camera[2] - item.depth_m) < view.gate_m(item.depth_m):
        item.static_views += 1
        item.p_scene = item.p_scene + max(PLACE_SHARE, 1.0 / item.static_views) * (p_scene - item.p_scene)
        item.moved_views = 0
        return
    # One bad frame must not change the place at which the point is searched for.
    item.moved_views += 1
    if item.moved_views > MOVED_VIEWS:
        item.p_scene, item.static_views, item.moved_views = p_scene, 0, 0
        item.feature_off_px = np.zeros_like(item.features)


def expected_place(item: Followed, view: TrackedView) -> tuple[FloatArray, float] | None:
    """Pixel (2,) and depth of the point's last place in the static scene; None if unknown."""
    if item.p_scene is None or view.pose is None or view.intrinsics is None or view.pose.number != item.map_number:
        return None
    p_camera = view.pose.from_scene(item.p_scene)
    uv = view.intrinsics.project(p_camera)
    return (uv, float(p_camera[2])) if np.all(np.isfinite(uv)) else None


def has_slid(item: Followed, match: PatchMatch, view: TrackedView) -> bool:
    """Test if a match is away from the place of a static point."""
    expected = expected_place(item, view) if item.static_views >= STATIC_VIEWS else None
    return expected is not None and float(np.linalg.norm(expected[0] - match.uv)) > SLIDE_PX


def match_at_place(item: Followed, view: TrackedView, least: float = PLACE_SIMILARITY) -> PatchMatch | None:
    """Align a point at its place in the static scene; None if the view does not show it there.

    `least` is the smallest similarity.
    """
    expected = expected_place(item, view)
    if expected is None or not view.inside(expected[0], 1.0) or reference_patch(item).contrast < MIN_CONTRAST:
        return None
    uv, depth_m = expected
    seen_m = view.depth_of(uv)
    if abs(seen_m - depth_m) > view.gate_m(depth_m):
        return None
    linear = warp_since_anchor(item, view)
    linear = item.linear if linear is None else linear
    if item.context is not None:
        around = align_context(item.context, view, uv, linear, PLACE_SIGMA_PX)
        good = math.isfinite(seen_m) and around.similarity >= CONTEXT_SIMILARITY
        good = good and np.linalg.norm(around.uv - uv) < MAX_PLACE_PX
        return PatchMatch(uv, linear, PLACE_SIGMA_PX**2 * np.eye(2), math.nan) if good else None
    if item.state is not TrackState.TRACKED and not is_best_place(item.anchor, view, uv, linear, MAX_PLACE_PX):
        return None
    match = align(item.anchor, view, uv, linear, PLACE_SIGMA_PX**2 * np.eye(2))
    least = least if math.isfinite(seen_m) else max(least, BLIND_SIMILARITY)
    if not match.similarity >= least or np.linalg.norm(match.uv - uv) > MAX_PLACE_PX or not view.inside(match.uv, 1.0):
        return None
    return match


def warp_since_anchor(item: Followed, view: TrackedView) -> FloatArray | None:
    """Affine warp (2, 2) since the anchor was taken, by the poses; None if unknown."""
    if not comparable(view, item.anchor_pose) or item.anchor_pose is None or item.p_scene is None:
        return None
    return warp_between(item.anchor_pose, view, item.p_scene)
