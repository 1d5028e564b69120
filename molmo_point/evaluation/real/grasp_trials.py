"""Grasps of labeled objects: the region, the best grasp, and both against what a person labeled."""

import math
import time
from dataclasses import dataclass

import numpy as np

from molmo_point.depth.lift import lift_point
from molmo_point.evaluation.real.labeled_frames import LabeledFrame, LabeledPoint
from molmo_point.evaluation.real.lift_trials import PIXEL_ERROR_PX, off_interval_m, tolerance_m
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.grasp.candidates import Grasps
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.object_region import RegionStatus
from molmo_point.grasp.propose import propose_grasps
from molmo_point.results import ImagePoint, Target

BOX_MARGIN = 0.10
"""A labeled box is widened by this share of its sides, because hand-drawn boxes are not exact."""
_LEAST_INSIDE, _LEAST_OVERLAP = 0.85, 0.4
_WIDTH_M, _WIDTH_SHARE = 0.008, 0.20


@dataclass(frozen=True)
class GraspTrial:
    """One object asked at its labeled point.

    Attributes:
        frame: Name of the frame.
        point: Name of the point.
        object: Name of the object.
        graspable: As labeled; None if unknown.
        region: Status of the region; None if the point was not lifted.
        region_right: Region against the labeled box; None without one.
        found: True if a grasp was found.
        quality: Quality of the best grasp; NaN without one.
        width_m: Width of the object at the best grasp, in meters; NaN without one.
        width_right: Width against the labeled one; None without either.
        on_object: Center of the grasp against the labeled box and depth; None without either.
        reason: The most frequent reason of rejected grasps, or why there is no region or no depth.
        propose_ms: Time of the proposal, in milliseconds; NaN without one.
    """

    frame: str
    point: str
    object: str
    graspable: bool | None
    region: RegionStatus | None
    region_right: bool | None
    found: bool
    quality: float
    width_m: float
    width_right: bool | None
    on_object: bool | None
    reason: str
    propose_ms: float

    @property
    def plausible(self) -> bool | None:
        """True if a grasp was found and no label speaks against it; None if no label could."""
        judged = [each for each in (self.on_object, self.width_right) if each is not None]
        if not self.found:
            return False
        return all(judged) if judged else None


def asked_points(labeled: LabeledFrame) -> list[LabeledPoint]:
    """Return one point for each object, the first; without names of objects, every point is one."""
    seen: dict[str, LabeledPoint] = {}
    for point in labeled.points:
        seen.setdefault(point.object or point.name, point)
    return list(seen.values())


def try_grasp(
    labeled: LabeledFrame, point: LabeledPoint, *, gripper: Gripper | None = None, noise: DepthNoise | None = None
) -> tuple[GraspTrial, Grasps | None]:
    """Ask for grasps at a labeled point; return the trial, and the grasps for a picture."""
    name = point.object or point.name
    asked = ImagePoint(point.u, point.v, point.name, sigma_px=PIXEL_ERROR_PX)
    lifted = lift_point(asked, labeled.frame, noise=noise)
    if not isinstance(lifted, Target):
        unmade = (None, None, False, math.nan, math.nan, None, None, lifted.reason.value, math.nan)
        return GraspTrial(labeled.name, point.name, name, point.graspable, *unmade), None
    start = time.perf_counter()
    grasps = propose_grasps(labeled.frame, lifted, gripper=gripper, noise=noise)
    took_ms = (time.perf_counter() - start) * 1e3
    best = grasps.best
    trial = GraspTrial(
        frame=labeled.name,
        point=point.name,
        object=name,
        graspable=point.graspable,
        region=grasps.region.status,
        region_right=_region_right(point, grasps),
        found=best is not None,
        quality=math.nan if best is None else best.quality,
        width_m=math.nan if best is None else best.width_m,
        width_right=None if best is None else _width_right(point, best.width_m),
        on_object=None if best is None else _on_object(labeled, point, best.center_m),
        reason="" if best is not None else next(iter(grasps.reasons), grasps.region.status.value),
        propose_ms=took_ms,
    )
    return trial, grasps


def _widened(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    across, down = BOX_MARGIN * (box[2] - box[0]), BOX_MARGIN * (box[3] - box[1])
    return box[0] - across, box[1] - down, box[2] + across, box[3] + down


def _region_right(point: LabeledPoint, grasps: Grasps) -> bool | None:
    """Compare the region's pixels and their outline with the labeled box; no region is wrong."""
    if point.box is None:
        return None
    rows, columns = np.nonzero(grasps.region.mask)
    if not rows.size:
        return False
    u0, v0, u1, v1 = _widened(point.box)
    inside = np.mean((columns >= u0) & (columns <= u1) & (rows >= v0) & (rows <= v1))
    # Single stray pixels do not widen the outline.
    found = (*np.quantile(columns, [0.01, 0.99]), *np.quantile(rows, [0.01, 0.99]))
    low_u, high_u, low_v, high_v = (float(each) for each in found)
    a, b, c, d = point.box
    common = max(0.0, min(high_u, c) - max(low_u, a)) * max(0.0, min(high_v, d) - max(low_v, b))
    both = (high_u - low_u) * (high_v - low_v) + (c - a) * (d - b) - common
    return bool(inside >= _LEAST_INSIDE and common >= _LEAST_OVERLAP * both)


def _width_right(point: LabeledPoint, width_m: float) -> bool | None:
    if math.isnan(point.width_m):
        return None
    return abs(width_m - point.width_m) <= max(_WIDTH_M, _WIDTH_SHARE * point.width_m)


def _on_object(labeled: LabeledFrame, point: LabeledPoint, center_m: np.ndarray) -> bool | None:
    """Compare the middle between the pads with the labeled box, and with the labeled depth plus the gripper's reach."""
    if point.box is None:
        return None
    assert labeled.frame.intrinsics is not None
    u, v = labeled.frame.intrinsics.project(center_m)
    u0, v0, u1, v1 = _widened(point.box)
    if not (u0 <= u <= u1 and v0 <= v <= v1):
        return False
    return point.z_m is None or off_interval_m(float(center_m[2]), point) <= tolerance_m(point) + _REACH_M


_REACH_M = 0.10
"""Largest distance along z of the middle of a hand-sized object from its labeled surface, in meters."""
