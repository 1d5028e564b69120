"""Alignment of two pictures of one scene by its dominant plane."""

from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import ColorArray, FloatArray
from molmo_point.teaching.masks.outline import import_cv2

_CORNERS, _QUALITY, _DISTANCE_PX = 300, 0.01, 8
_MIN_INLIERS, _MIN_SHARE, _OFF_PX = 25, 0.4, 1.5
_STILL_PX = 0.6


@dataclass(frozen=True, eq=False)
class SceneWarp:
    """Motion of the scene in the image.

    Attributes:
        warp: Homography (3, 3) from the earlier to the later image.
        shift_px: Median shift of the scene.
        known: False if too little texture was seen, so that the scene is taken as still.
    """

    warp: FloatArray
    shift_px: float
    known: bool = True


def scene_warp(before: ColorArray, after: ColorArray) -> SceneWarp | None:
    """Align two pictures (h, w, 3) of one scene; None if texture is seen, but no plane moves as one."""
    cv2 = import_cv2()
    one, other = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (before, after))
    still = SceneWarp(np.eye(3), 0.0, known=False)
    corners = cv2.goodFeaturesToTrack(one, _CORNERS, _QUALITY, _DISTANCE_PX)
    if corners is None or len(corners) < _MIN_INLIERS:
        return still
    settings = {"winSize": (21, 21), "maxLevel": 4}
    ends, found, _ = cv2.calcOpticalFlowPyrLK(one, other, corners, None, **settings)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(other, one, ends, None, **settings)
    good = (found.ravel() == 1) & (found_back.ravel() == 1) & (np.linalg.norm(back - corners, axis=2).ravel() < 1.0)
    start, end = corners[good][:, 0], ends[good][:, 0]
    if len(start) < _MIN_INLIERS:
        return still
    # Most of a scene that stands still does not move at all, and needs no model.
    length = np.linalg.norm(end - start, axis=1)
    if np.median(length) < _STILL_PX:
        return SceneWarp(np.eye(3), float(np.median(length)))
    warp, inliers = cv2.findHomography(start, end, cv2.RANSAC, _OFF_PX)
    if warp is None or inliers.sum() < max(_MIN_INLIERS, _MIN_SHARE * len(start)):
        return None
    return SceneWarp(warp, float(np.median(length[inliers.ravel() == 1])))
