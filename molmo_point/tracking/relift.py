"""A tracked pixel in space: lifted anew in every frame, onto the surface that is followed."""

import math

import numpy as np

from molmo_point.depth.estimator import PREFERENCES
from molmo_point.depth.lift import lift_point
from molmo_point.depth.uncertainty import D435
from molmo_point.frame import RgbdFrame
from molmo_point.results import DepthStatus, ImagePoint, Target, Unreachable
from molmo_point.tracking.follow import Followed
from molmo_point.tracking.track import TrackState
from molmo_point.tracking.view import GATE_M, GATE_SIGMAS


def image_point(item: Followed, label: str, confidence: float) -> ImagePoint:
    """Where a point is, with one standard deviation for both axes."""
    sigma_px = math.sqrt(max(float(np.trace(item.covariance_px2)) / 2.0, 0.0))
    return ImagePoint(float(item.uv[0]), float(item.uv[1]), label, confidence, sigma_px)


def relift(item: Followed, point: ImagePoint, frame: RgbdFrame) -> Target | Unreachable | None:
    """The target of a point that is seen in this frame.

    Of several surfaces near the pixel, that whose depth goes on from the frames before is taken; a
    target on any other would be a guess.

    Returns:
        None where the point is not seen; `Unreachable` where no such surface has depth.
    """
    if item.state is not TrackState.TRACKED or item.seen_ns != frame.stamp_ns:
        return None
    for prefer in PREFERENCES:
        lifted = lift_point(point, frame, prefer=prefer)
        if isinstance(lifted, Unreachable):
            return lifted
        if not math.isfinite(item.depth_m) or abs(float(lifted.position_m[2]) - item.depth_m) <= _gate_m(item, frame):
            return lifted
        if lifted.depth_status is not DepthStatus.AMBIGUOUS:
            break
    message = f"the depth there is not that of the surface that was followed, {item.depth_m:.3f} m"
    return Unreachable(point.u, point.v, point.label, DepthStatus.AMBIGUOUS, message)


def _gate_m(item: Followed, frame: RgbdFrame) -> float:
    if frame.intrinsics is None:
        return GATE_M
    sigma_m = (frame.depth_noise or D435).sigma_z(item.depth_m, frame.intrinsics.focal_px)
    # The tracked depth is a median, the target's is at the pixel: a tilted surface comes between them.
    return 2.0 * max(GATE_M, GATE_SIGMAS * float(sigma_m))
