"""Fusion of several frames of a still camera into one with less noise and fewer holes; refused if anything moved."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from molmo_point.arrays import DepthArray
from molmo_point.depth.frame_noise import noise_of
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.rigid import rotation_log
from molmo_point.geometry.transforms import Transform

MAX_SPAN_S = 1.0
MAX_COLOR_SHARE = 0.02
COLOR_STEP = 24.0
MAX_DEPTH_SHARE = 0.02
DEPTH_STEP_M, DEPTH_STEP_SIGMAS = 0.010, 6.0
MAX_SHIFT_M = 0.001
MAX_TURN_RAD = 0.0017


def fuse_frames(frames: Sequence[RgbdFrame], poses: Sequence[Transform] | None = None) -> RgbdFrame:
    """Take the median depth of several frames, if neither camera nor scene moved.

    Two surfaces between which the depth flickers are not mixed: the median is a measured depth. The noise stays that of
    one frame, because the errors of successive frames are alike.

    Args:
        frames: Three or more, oldest first.
        poses: `base_T_camera` at the capture time of each frame; None if not known. A camera on an arm can move along a
            plain wall without any change in the images.

    Returns:
        The newest frame, with depth at pixels that at least half of the frames measured.

    Raises:
        InputError: The frames cannot be compared, are fewer than three, or camera or scene moved.
    """
    _check_comparable(frames, poses)
    movement = _movement(frames, poses)
    if movement:
        raise InputError("Camera and scene must stand still during a fusion", movement, "hold still, or use a single frame")
    depths = np.stack([_depth(frame) for frame in frames])
    # Sorted with NaN last, the lower median of the measured depths is one of them.
    ordered, counts = np.sort(depths, axis=0), np.isfinite(depths).sum(axis=0)
    middle = np.take_along_axis(ordered, np.maximum((counts - 1) // 2, 0)[None], axis=0)[0]
    fused = np.where(2 * counts >= len(frames), middle, np.nan).astype(np.float32)
    return replace(frames[-1], depth_m=fused)


def _movement(frames: Sequence[RgbdFrame], poses: Sequence[Transform] | None) -> str:
    """Return what moved, in words with figures; "" if everything stood still."""
    span_s = (frames[-1].stamp_ns - frames[0].stamp_ns) * 1e-9
    stamps = [frame.stamp_ns for frame in frames]
    if any(later <= earlier for earlier, later in itertools.pairwise(stamps)):
        return "the stamps do not grow from frame to frame"
    if span_s > MAX_SPAN_S:
        return f"the frames span {span_s:.2f} s, allowed {MAX_SPAN_S:g} s"
    if poses is not None and (moved := _moved(poses)):
        return moved
    changes = ((number, _changed(frames[0], frame)) for number, frame in enumerate(frames[1:], start=1))
    return next((f"frame {number}: {changed}" for number, changed in changes if changed), "")


def _check_comparable(frames: Sequence[RgbdFrame], poses: Sequence[Transform] | None) -> None:
    if len(frames) < 3 or (poses is not None and len(poses) != len(frames)):
        given = f"{len(frames)} frames, {'no' if poses is None else len(poses)} poses"
        raise InputError("frames must be three or more, each with a pose or none", given, "give as many of both")
    first = frames[0]
    for frame in frames:
        if frame.depth_m is None:
            raise InputError("Every frame must have depth", f"stamp {frame.stamp_ns}, without depth", "give frames with depth")
        if (frame.size_wh, frame.intrinsics, frame.frame) != (first.size_wh, first.intrinsics, first.frame):
            given = f"{first.size_wh} in {first.frame!r}, {frame.size_wh} in {frame.frame!r}"
            fix = "give frames of one stream with the same intrinsics"
            raise InputError("The frames must be of one camera setting", given, fix)


def _moved(poses: Sequence[Transform]) -> str:
    first = poses[0]
    for number, pose in enumerate(poses[1:], start=1):
        step = first.inverse() @ pose
        shift_m = float(np.linalg.norm(step.translation_m))
        turn_rad = float(np.linalg.norm(rotation_log(step.rotation)))
        if shift_m > MAX_SHIFT_M or turn_rad > MAX_TURN_RAD:
            return f"the camera moved by {shift_m * 1e3:.1f} mm and {math.degrees(turn_rad):.2f} deg until frame {number}"
    return ""


def _changed(first: RgbdFrame, frame: RgbdFrame) -> str:
    difference = np.abs(frame.color[::2, ::2].astype(np.int16) - first.color[::2, ::2]).max(axis=2)
    share = float(np.mean(difference > COLOR_STEP))
    if share > MAX_COLOR_SHARE:
        return f"{share:.1%} of the image changed, allowed {MAX_COLOR_SHARE:.0%}"
    one, other = _depth(first), _depth(frame)
    both = np.isfinite(one) & np.isfinite(other)
    noise = noise_of(first)
    focal_px = 600.0 if first.intrinsics is None else first.intrinsics.focal_px
    sigma = noise.sigma_z(one[both].astype(np.float64), focal_px)
    moved = np.abs(other[both] - one[both]) > np.maximum(DEPTH_STEP_M, DEPTH_STEP_SIGMAS * sigma)
    share = float(np.mean(moved)) if moved.size else 0.0
    return f"{share:.1%} of the depth changed, allowed {MAX_DEPTH_SHARE:.0%}" if share > MAX_DEPTH_SHARE else ""


def _depth(frame: RgbdFrame) -> DepthArray:
    assert frame.depth_m is not None
    return frame.depth_m
