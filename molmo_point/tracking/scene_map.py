"""Pose of the camera in the static scene, from keyframes with depth.

The pose predicts every point that moves with the scene, however long it was out of sight.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.rigid import rotation_exp
from molmo_point.tracking.feature_motion import flow_between
from molmo_point.tracking.scene_motion import coarse_shift
from molmo_point.tracking.tracked_view import ScenePose, TrackedView, import_cv2

CORNERS, CORNER_QUALITY, CORNER_DISTANCE_PX = 110, 0.01, 16
MIN_CORNERS = 12
MIN_INLIERS, MIN_SHARE = 10, 0.35
REPROJECTION_PX, ITERATIONS = 2.0, 80
RICH, RICH_SHARE = 35, 0.6
"""Number and share of a keyframe's corners below which the next keyframe is taken."""
FAR_TURN, FAR_SCALE, FAR_SHIFT = 0.3, 1.2, 0.3
NEAR = 0.15
"""Distance from a keyframe within which another would show nothing else."""
MAX_KEYFRAMES = 16
LOST_VIEWS = 20
"""Number of consecutive views without a pose after which another map begins."""
ORB_FEATURES, ORB_RATIO, ORB_INLIERS = 500, 0.8, 15
_STEEP = 0.05
MAX_OFF_SHARE = 0.4
"""Largest share of the points that agree in the image with another depth there."""


@dataclass(frozen=True, eq=False)
class _Keyframe:
    """A view, its pose, and its corners: pixels (n, 2), positions in the scene (n, 3)."""

    view: TrackedView
    pose: ScenePose
    corners: FloatArray
    p_scene: FloatArray


class SceneMap:
    """Keyframes of a static scene, and the pose of the newest view among them."""

    def __init__(self) -> None:
        self._keyframes: list[_Keyframe] = []
        self._last: TrackedView | None = None
        self._pose: ScenePose | None = None
        self._number, self._misses = 0, 0

    def copy(self) -> "SceneMap":
        """Copy the map; keyframes are shared."""
        other = SceneMap()
        other.__dict__.update(self.__dict__)
        other._keyframes = list(self._keyframes)
        return other

    def located(self, view: TrackedView) -> TrackedView:
        """Return the view with its pose; without one if there is too little depth or texture to tell."""
        if view.depth_m is None or view.intrinsics is None:
            return view
        pose = self._locate(view, view.intrinsics)
        self._last, self._misses = view, 0 if pose is not None else self._misses + 1
        if pose is None and (not self._keyframes or self._misses > LOST_VIEWS):
            self._keyframes, self._number, self._misses = [], self._number + 1, 0
            pose = ScenePose(np.eye(3), np.zeros(3), self._number)
            pose = pose if self._add(view, view.intrinsics, pose) else None
        self._pose = pose or self._pose
        return view if pose is None else replace(view, pose=pose)

    def _locate(self, view: TrackedView, camera: Intrinsics) -> ScenePose | None:
        if not self._keyframes or self._pose is None:
            return None
        guess = self._guess(view, camera, self._pose)
        near = sorted(self._keyframes, key=lambda keyframe: _apart(keyframe, guess))
        for keyframe in near[:2]:
            aligned = _align(keyframe, view, camera, guess)
            if aligned is not None:
                pose, inliers, share = aligned
                apart = min(_apart(each, pose) for each in near[:2])
                if apart > 1.0 or (apart > NEAR and (inliers < RICH or share < RICH_SHARE)):
                    self._add(view, camera, pose)
                return pose
        return _recognize(near[:4], view, camera) if self._misses % 3 == 0 else None

    def _guess(self, view: TrackedView, camera: Intrinsics, pose: ScenePose) -> ScenePose:
        """Predict the pose: the last one, turned as the whole image has moved since."""
        if self._last is None:
            return pose
        shift = coarse_shift(self._last, view)
        turn = rotation_exp(np.array([-shift[1] / camera.fy, shift[0] / camera.fx, 0.0]))
        return ScenePose(turn @ pose.rotation, turn @ pose.shift_m, pose.number)

    def _add(self, view: TrackedView, camera: Intrinsics, pose: ScenePose) -> bool:
        corners, depth_m = _corners(view)
        if len(corners) < MIN_CORNERS:
            return False
        p_scene = pose.to_scene(camera.deproject(corners, depth_m))
        self._keyframes.append(_Keyframe(view, pose, corners, p_scene))
        if len(self._keyframes) > MAX_KEYFRAMES:
            del self._keyframes[1]
        return True


def _corners(view: TrackedView) -> tuple[FloatArray, FloatArray]:
    """Corners (n, 2) all over the image on surfaces with depth (n,), not at their edges."""
    cv2 = import_cv2()
    half = cv2.resize(view.gray, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    found = cv2.goodFeaturesToTrack(half, CORNERS, CORNER_QUALITY, CORNER_DISTANCE_PX / 2, blockSize=5)
    if found is None:
        return np.zeros((0, 2)), np.zeros(0)
    corners = 2.0 * found.reshape(-1, 2).astype(np.float64) + 0.5
    depth_m, span_m = view.depth_and_span_at(corners)
    good = np.isfinite(depth_m) & (span_m < np.maximum(_STEEP * depth_m, view.gate_m(math.nan)))
    return corners[good], depth_m[good]


def _apart(keyframe: _Keyframe, pose: ScenePose) -> float:
    """Distance of a pose from a keyframe, 1 where features begin to look different."""
    turn = keyframe.pose.rotation @ pose.rotation.T
    angle = math.acos(float(np.clip((np.trace(turn) - 1.0) / 2.0, -1.0, 1.0)))
    middle = np.median(keyframe.pose.from_scene(keyframe.p_scene), axis=0)
    middle_now = np.median(pose.from_scene(keyframe.p_scene), axis=0)
    scale = abs(math.log(max(middle_now[2], 1e-3) / max(middle[2], 1e-3)))
    shift = float(np.linalg.norm(middle_now / max(middle_now[2], 1e-3) - middle / max(middle[2], 1e-3)))
    return max(angle / FAR_TURN, scale / math.log(FAR_SCALE), shift / FAR_SHIFT)


def _align(keyframe: _Keyframe, view: TrackedView, camera: Intrinsics, guess: ScenePose) -> tuple[ScenePose, int, float] | None:
    """Align a view with a keyframe; returns the pose, and number and share of the corners that agree."""
    expected = camera.project(guess.from_scene(keyframe.p_scene))
    chosen = view.inside(np.nan_to_num(expected, nan=-9.0), 4.0)
    if chosen.sum() < MIN_INLIERS:
        return None
    flow = flow_between(keyframe.view, view, keyframe.corners[chosen], expected[chosen])
    p_scene = keyframe.p_scene[chosen][flow.good]
    if len(p_scene) < max(MIN_INLIERS, MIN_SHARE * chosen.sum()):
        return None
    solved = _solve(p_scene, flow.end[flow.good], view, guess)
    if solved is None or solved[1] < max(MIN_INLIERS, MIN_SHARE * chosen.sum()):
        return None
    return *solved, solved[1] / len(keyframe.corners)


def _solve(p_scene: FloatArray, uv: FloatArray, view: TrackedView, guess: ScenePose | None) -> tuple[ScenePose, int] | None:
    """Solve the pose that projects points (n, 3) to pixels (n, 2), robustly; returns the number that agree, too.

    Returns:
        None if too few points agree, or their depths do not.
    """
    camera = view.intrinsics
    assert camera is not None
    cv2 = import_cv2()
    rays = camera.deproject(uv, np.ones(len(uv)))[:, :2]
    known = np.isfinite(rays).all(axis=1)
    p_scene, uv, rays = p_scene[known], uv[known], rays[known]
    if len(rays) < MIN_INLIERS:
        return None
    limit = REPROJECTION_PX / camera.focal_px
    start = (None, None) if guess is None else (cv2.Rodrigues(guess.rotation)[0], guess.shift_m.reshape(3, 1).copy())
    found, turn, shift, inliers = cv2.solvePnPRansac(
        p_scene, rays, np.eye(3), None, *start, useExtrinsicGuess=guess is not None, iterationsCount=ITERATIONS,
        reprojectionError=limit, confidence=0.99,
    )  # fmt: skip
    if not found or inliers is None or len(inliers) < MIN_INLIERS:
        return None
    inliers = inliers.ravel()
    turn, shift = cv2.solvePnPRefineLM(p_scene[inliers], rays[inliers], np.eye(3), None, turn, shift)
    number = 0 if guess is None else guess.number
    pose = ScenePose(cv2.Rodrigues(turn)[0], shift.ravel(), number)
    ends = pose.from_scene(p_scene)
    agree = (np.linalg.norm(ends[:, :2] / ends[:, 2:] - rays, axis=1) < limit) & (ends[:, 2] > 0)
    seen_m = view.depth_at(uv[agree])
    off = np.abs(seen_m - ends[agree, 2]) > np.maximum(_STEEP * ends[agree, 2], view.gate_m(math.nan))
    solid = np.isfinite(seen_m).sum() >= MIN_INLIERS / 2 and off.sum() <= MAX_OFF_SHARE * np.isfinite(seen_m).sum()
    return (pose, int(agree.sum())) if solid else None


def _recognize(keyframes: list[_Keyframe], view: TrackedView, camera: Intrinsics) -> ScenePose | None:
    """Find the pose among keyframes by ORB features, for a view that cannot be predicted."""
    cv2 = import_cv2()
    orb, matcher = cv2.ORB_create(ORB_FEATURES), cv2.BFMatcher(cv2.NORM_HAMMING)
    keys, codes = orb.detectAndCompute(view.gray, None)
    for keyframe in keyframes:
        before, before_codes = orb.detectAndCompute(keyframe.view.gray, None)
        if codes is None or before_codes is None or len(codes) < 2:
            return None
        pairs = [pair for pair in matcher.knnMatch(before_codes, codes, k=2) if len(pair) == 2]
        pairs = [best for best, second in pairs if best.distance < ORB_RATIO * second.distance]
        if len(pairs) < ORB_INLIERS:
            continue
        start = np.array([before[pair.queryIdx].pt for pair in pairs], float)
        end = np.array([keys[pair.trainIdx].pt for pair in pairs], float)
        depth_m, span_m = keyframe.view.depth_and_span_at(start)
        good = np.isfinite(depth_m) & (span_m < np.maximum(_STEEP * depth_m, view.gate_m(math.nan)))
        if good.sum() < ORB_INLIERS:
            continue
        p_scene = keyframe.pose.to_scene(camera.deproject(start[good], depth_m[good]))
        solved = _solve(p_scene, end[good], view, None)
        if solved is not None and solved[1] >= ORB_INLIERS:
            return replace(solved[0], number=keyframe.pose.number)
    return None
