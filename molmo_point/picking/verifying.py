"""Whether a thing was really taken: what the gripper measures, and what the fixed camera still sees."""

from dataclasses import replace

import numpy as np

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.grasping import find_object
from molmo_point.results import Target

STILL_THERE = 0.5
"""Share of the object's pixels that must be as far away as before for it to count as still there."""
_SAME_M = 0.012


def still_there(before: RgbdFrame, after: RgbdFrame, target: Target, base_T_camera: Transform) -> float:
    """Share of a thing's pixels, in the picture before, whose depth has not changed since.

    Args:
        before: Frame of a camera that stands, with the thing on the table.
        after: Later one of the same camera.
        target: Where the thing was, in the frame of the transform's target.
        base_T_camera: Of that camera.

    Returns:
        0 to 1; NaN when the thing was not to be seen before, or its place is not to be seen after.
    """
    assert before.intrinsics is not None and before.depth_m is not None and after.depth_m is not None
    camera_T_base = base_T_camera.inverse()
    in_camera = target.transformed(camera_T_base)
    uv = before.intrinsics.project_inside(in_camera.position_m)
    if np.isnan(uv[0]):
        return float("nan")
    seen = replace(in_camera, u=float(uv[0]), v=float(uv[1]), frame=before.frame, stamp_ns=before.stamp_ns)
    mask = find_object(before, seen, base_T_camera=base_T_camera).mask
    both = mask & np.isfinite(before.depth_m) & np.isfinite(after.depth_m)
    if np.count_nonzero(both) < 20:
        return float("nan")
    return float(np.mean(np.abs(after.depth_m[both] - before.depth_m[both]) < _SAME_M))
