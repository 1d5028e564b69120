"""Several frames of a camera that stands still, made one with less noise and fewer holes; refused if it moved."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from molmo_point.arrays import DepthArray
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import D435
from molmo_point.geometry.transforms import Transform

MAX_SPAN_S = 1.0
MAX_COLOR_SHARE = 0.02
COLOR_STEP = 24.0
MAX_DEPTH_SHARE = 0.02
DEPTH_STEP_M, DEPTH_STEP_SIGMAS = 0.010, 6.0
MAX_SHIFT_M = 0.001
MAX_TURN_RAD = 0.0017


@dataclass(frozen=True)
class Stillness:
    """Whether frames show one scene from one place.

    Attributes:
        still: Nothing speaks against it.
        reason: What does, in words with figures; empty when still.
    """

    still: bool
    reason: str = ""


def fuse_frames(frames: Sequence[RgbdFrame], poses: Sequence[Transform] | None = None) -> RgbdFrame:
    """One frame with the median depth of several, if neither camera nor scene moved.

    Args:
        frames: Three or more, oldest first.
        poses: `base_T_camera` at each frame's capture time, where they are known; a camera on an arm can move along
            a plain wall without any picture telling.

    Returns:
        The newest frame, with depth where at least half of the frames have it. Two surfaces that flicker are not
        mixed: the median is a depth that was measured. The noise stays that of one frame, since the errors of
        following frames are alike.

    Raises:
        InputError: If the frames cannot be compared, are fewer than three, or were not still.
    """
    found = check_still(frames, poses)
    if not found.still:
        raise InputError(
            "Frames are fused only while camera and scene stand still", found.reason, "hold still, or use a single frame"
        )
    depths = np.stack([_depth(frame) for frame in frames])
    # Sorted with NaN last, the lower middle of the measured ones is one of them.
    ordered, counts = np.sort(depths, axis=0), np.isfinite(depths).sum(axis=0)
    middle = np.take_along_axis(ordered, np.maximum((counts - 1) // 2, 0)[None], axis=0)[0]
    fused = np.where(2 * counts >= len(frames), middle, np.nan).astype(np.float32)
    return replace(frames[-1], depth_m=fused)


def check_still(frames: Sequence[RgbdFrame], poses: Sequence[Transform] | None = None) -> Stillness:
    """Whether several frames may be fused; arguments as `fuse_frames`.

    Raises:
        InputError: If there are fewer than three, they lack depth, or differ in size, intrinsics or frame.
    """
    _check_comparable(frames, poses)
    span_s = (frames[-1].stamp_ns - frames[0].stamp_ns) * 1e-9
    stamps = [frame.stamp_ns for frame in frames]
    if any(later <= earlier for earlier, later in itertools.pairwise(stamps)):
        return Stillness(False, "the stamps do not grow from frame to frame")
    if span_s > MAX_SPAN_S:
        return Stillness(False, f"the frames span {span_s:.2f} s, allowed {MAX_SPAN_S:g} s")
    if poses is not None:
        moved = _moved(poses)
        if moved:
            return Stillness(False, moved)
    for number, frame in enumerate(frames[1:], start=1):
        changed = _changed(frames[0], frame)
        if changed:
            return Stillness(False, f"frame {number}: {changed}")
    return Stillness(True)


def _check_comparable(frames: Sequence[RgbdFrame], poses: Sequence[Transform] | None) -> None:
    if len(frames) < 3 or (poses is not None and len(poses) != len(frames)):
        given = f"{len(frames)} frames, {'no' if poses is None else len(poses)} poses"
        raise InputError("Fusing needs three or more frames, and a pose for each or none", given, "give as many of both")
    first = frames[0]
    for frame in frames:
        if frame.depth_m is None:
            raise InputError("A frame without depth cannot be fused", f"stamp {frame.stamp_ns}", "give frames with depth")
        if (frame.size_wh, frame.intrinsics, frame.frame) != (first.size_wh, first.intrinsics, first.frame):
            raise InputError(
                "The frames are not of one camera setting",
                f"{first.size_wh} in {first.frame!r}, {frame.size_wh} in {frame.frame!r}",
                "give frames of one stream with the same intrinsics",
            )


def _moved(poses: Sequence[Transform]) -> str:
    first = poses[0]
    for number, pose in enumerate(poses[1:], start=1):
        step = first.inverse() @ pose
        shift_m = float(np.linalg.norm(step.translation_m))
        turn_rad = math.acos(min(1.0, max(-1.0, (float(np.trace(step.rotation)) - 1.0) / 2.0)))
        if shift_m > MAX_SHIFT_M or turn_rad > MAX_TURN_RAD:
            return f"the camera moved by {shift_m * 1e3:.1f} mm and {math.degrees(turn_rad):.2f} deg until frame {number}"
    return ""


def _changed(first: RgbdFrame, frame: RgbdFrame) -> str:
    difference = np.abs(frame.color[::2, ::2].astype(np.int16) - first.color[::2, ::2]).max(axis=2)
    share = float(np.mean(difference > COLOR_STEP))
    if share > MAX_COLOR_SHARE:
        return f"{share:.1%} of the picture changed, allowed {MAX_COLOR_SHARE:.0%}"
    one, other = _depth(first), _depth(frame)
    both = np.isfinite(one) & np.isfinite(other)
    noise = first.depth_noise or D435
    focal_px = 600.0 if first.intrinsics is None else first.intrinsics.focal_px
    sigma = noise.sigma_z(one[both].astype(np.float64), focal_px)
    moved = np.abs(other[both] - one[both]) > np.maximum(DEPTH_STEP_M, DEPTH_STEP_SIGMAS * sigma)
    share = float(np.mean(moved)) if moved.size else 0.0
    return f"{share:.1%} of the depth changed, allowed {MAX_DEPTH_SHARE:.0%}" if share > MAX_DEPTH_SHARE else ""


def _depth(frame: RgbdFrame) -> DepthArray:
    assert frame.depth_m is not None
    return frame.depth_m
