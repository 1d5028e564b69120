"""State of a point that is followed."""

import math
from dataclasses import dataclass, field

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.tracking.anchor import Anchor
from molmo_point.tracking.track import LostReason, TrackState
from molmo_point.tracking.tracked_view import ScenePose

STATIC_VIEWS = 4
"""Number of views in which a point must stay with the scene to count as static."""


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
        feature_off_px: (n, 2) motion of the features relative to the scene, summed since they were taken.
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
        depth_rate: Speed along the depth relative to the scene, in meters per second.
        p_scene: (3,) position in the static scene, in meters; None if unknown.
        map_number: Number of the map of `p_scene`.
        anchor_pose: Pose of the camera when the anchor was taken; None if unknown.
        static_views: Number of views in which the point stayed with the scene since it last moved.
        moved_views: Number of consecutive views in which it did not.
        context: Wide surroundings when the anchor was taken; None if the anchor itself has texture.
    """

    uv: FloatArray
    base_px2: FloatArray
    depth_m: float
    features: FloatArray
    feature_depth_m: FloatArray
    anchor: Anchor
    seen_ns: int
    feature_off_px: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))
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
    p_scene: FloatArray | None = None
    map_number: int = 0
    anchor_pose: ScenePose | None = None
    static_views: int = STATIC_VIEWS
    moved_views: int = 0
    context: Anchor | None = None

    @property
    def covariance_px2(self) -> FloatArray:
        """(2, 2) covariance of the pixel."""
        return self.linear @ self.base_px2 @ self.linear.T + self.drift_px2


def stop(item: Followed, reason: LostReason, *, lost: bool = False) -> None:
    """Mark a point as held, or as lost."""
    item.state = TrackState.LOST if lost else TrackState.HELD
    item.reason, item.similarity, item.doubts = reason, math.nan, 0
