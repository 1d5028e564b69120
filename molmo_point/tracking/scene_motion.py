"""Motion of the static scene in the image between two views."""

import math

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.tracking.feature_motion import MIN_FEATURES, flow_between
from molmo_point.tracking.tracked_view import ScenePose, TrackedView, import_cv2

SAME_DEPTH = 0.2
COARSE = 8
MIN_RESPONSE = 0.05
WARP_STEP_PX, MAX_ZOOM = 6.0, 9.0
_GRID_WH = (8, 6)


class SceneMotion:
    """Image motion of static points between two views.

    The poses of the camera predict it, if both are known. Otherwise it is the median motion of a grid of
    features at a similar depth: an occluder is nearer, and must not carry the point away.
    """

    def __init__(self, before: TrackedView, after: TrackedView) -> None:
        self._before, self._after = before, after
        self._is_rigid = comparable(before, after.pose) and before.intrinsics is not None
        self._flow: tuple[FloatArray, FloatArray] | None = None

    def carry(self, uv: FloatArray, depth_m: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Predict pixels (n, 2) and depths (n,) of static points in the later view; without depth, by the median shift."""
        ends, depths = uv.copy(), depth_m.copy()
        known = np.isfinite(depth_m) & self._is_rigid
        if known.any():
            assert self._before.pose is not None and self._after.pose is not None and self._before.intrinsics is not None
            p_scene = self._before.pose.to_scene(self._before.intrinsics.deproject(uv[known], depth_m[known]))
            p_camera = self._after.pose.from_scene(p_scene)
            ends[known], depths[known] = self._before.intrinsics.project(p_camera), p_camera[:, 2]
        for index in np.flatnonzero(~known):
            ends[index] = uv[index] + self._shift(float(depth_m[index]))
        return ends, depths

    def _shift(self, depth_m: float) -> FloatArray:
        """Median shift (2,) of the scene at a similar depth; zero if too little is visible there."""
        if self._flow is None:
            grid = _grid(self._before)
            flow = flow_between(self._before, self._after, grid, grid + coarse_shift(self._before, self._after))
            self._flow = (flow.end - flow.start)[flow.good], self._before.depth_at(grid)[flow.good]
        shift, depths = self._flow
        near = ~(np.abs(depths - depth_m) > SAME_DEPTH * depth_m)
        return np.median(shift[near], axis=0) if near.sum() >= MIN_FEATURES else np.zeros(2)


def comparable(view: TrackedView, pose: ScenePose | None) -> bool:
    """Test if a view and a pose belong to one map."""
    return view.pose is not None and pose is not None and view.pose.number == pose.number


def warp_between(before: ScenePose, view: TrackedView, p_scene: FloatArray) -> FloatArray | None:
    """Affine warp (2, 2) of the image around a static point (3,) from another pose to a view; the surface faces the camera."""
    if view.intrinsics is None or view.pose is None:
        return None
    center = before.from_scene(p_scene)
    step = WARP_STEP_PX * center[2] / view.intrinsics.focal_px
    offsets = step * np.array([[1.0, 0, 0], [-1.0, 0, 0], [0, 1.0, 0], [0, -1.0, 0]])
    here = view.intrinsics.project(view.pose.from_scene(before.to_scene(center + offsets)))
    there = view.intrinsics.project(center + offsets)
    spread = np.stack([there[0] - there[1], there[2] - there[3]], axis=1)
    warp = np.stack([here[0] - here[1], here[2] - here[3]], axis=1)
    if not (np.all(np.isfinite(warp)) and np.all(np.isfinite(spread)) and abs(np.linalg.det(spread)) > 1.0):
        return None
    warp = warp @ np.linalg.inv(spread)
    return warp if 1.0 / MAX_ZOOM < np.linalg.det(warp) < MAX_ZOOM else None


def coarse_shift(before: TrackedView, after: TrackedView) -> FloatArray:
    """Shift (2,) in pixels of the whole image, by phase correlation of small images; zero if it is not clear."""
    cv2 = import_cv2()
    width, height = before.size_wh
    size = max(width // COARSE, 2), max(height // COARSE, 2)
    small = [cv2.resize(view.gray, size, interpolation=cv2.INTER_AREA).astype(np.float32) for view in (before, after)]
    shift, response = cv2.phaseCorrelate(*small, cv2.createHanningWindow(size, cv2.CV_32F))
    clear = response > MIN_RESPONSE and math.isfinite(shift[0] + shift[1])
    return np.array([shift[0] * width / size[0], shift[1] * height / size[1]]) if clear else np.zeros(2)


def _grid(view: TrackedView) -> FloatArray:
    u, v = ((np.arange(count) + 0.5) * length / count for count, length in zip(_GRID_WH, view.size_wh, strict=True))
    return np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)
