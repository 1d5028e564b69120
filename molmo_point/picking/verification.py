"""Checks of a pick and of placing with the depth of the fixed camera."""

from dataclasses import replace

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.propose import find_object
from molmo_point.results import Target

STILL_THERE = 0.5
"""Least share of an object's pixels with unchanged depth that proves that it is still there."""
_SAME_M = 0.012
_HIGHER_M, _TALLEST_M = 0.008, 0.16
_LEAST_PIXELS, _LEAST_NEW = 20, 15


def still_there(before: RgbdFrame, after: RgbdFrame, target: Target, base_T_camera: Transform) -> float:
    """Share of an object's pixels whose depth has not changed.

    Args:
        before: Frame of a fixed camera with the object on the table.
        after: Later frame of the same camera.
        target: Target on the object, in the transform's target frame.
        base_T_camera: Pose of the camera.

    Returns:
        0 to 1; NaN if the object is not visible before, or its place is not visible after, or without depth.
    """
    if before.intrinsics is None or before.depth_m is None or after.depth_m is None:
        return float("nan")
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


def seen_put(before: RgbdFrame, after: RgbdFrame, at_m: FloatArray, reach_m: float, base_T_camera: Transform) -> float:
    """Share of a place that became higher, because an object is there now.

    Args:
        before: Frame of a fixed camera before the release.
        after: Later frame of the same camera.
        at_m: (3,) middle of the place, on the support, meters, in the transform's target frame, z up.
        reach_m: Largest distance of the object from the middle, meters.
        base_T_camera: Pose of the camera.

    Returns:
        0 to 1; 0 if too few pixels are higher to be an object; NaN if the place is hidden, for example by the arm, or without
        depth.
    """
    if before.intrinsics is None or before.depth_m is None or after.depth_m is None:
        return float("nan")
    both = np.isfinite(before.depth_m) & np.isfinite(after.depth_m)
    rows, columns = np.nonzero(both)
    uv = np.stack([columns, rows], axis=1).astype(np.float64)
    old = _lifted(before, uv, base_T_camera)
    here = np.linalg.norm(old[:, :2] - at_m[:2], axis=1) < reach_m
    if np.count_nonzero(here) < _LEAST_PIXELS:
        return float("nan")
    old, new = old[here], _lifted(after, uv[here], base_T_camera)
    covered = new[:, 2] > at_m[2] + _TALLEST_M
    if np.mean(covered) > STILL_THERE:
        return float("nan")
    near = np.linalg.norm(new[:, :2] - at_m[:2], axis=1) < reach_m + _SAME_M
    higher = near & ~covered & (new[:, 2] > old[:, 2] + _HIGHER_M)
    count = int(np.count_nonzero(higher))
    return count / len(old) if count >= _LEAST_NEW else 0.0


def _lifted(frame: RgbdFrame, uv: FloatArray, base_T_camera: Transform) -> FloatArray:
    """Points (n, 3) of whole pixels (n, 2) with depth, in the transform's target frame."""
    assert frame.depth_m is not None and frame.intrinsics is not None
    columns, rows = uv.astype(int).T
    p_camera = frame.intrinsics.deproject(uv, frame.depth_m[rows, columns].astype(np.float64))
    return base_T_camera.apply(p_camera, base_T_camera.source)
