"""The part of a frame that a tracker keeps: the gray image, and depth at half the resolution."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import BoolArray, DepthArray, FloatArray
from molmo_point.dependencies import require
from molmo_point.depth.frame_noise import noise_of
from molmo_point.depth.lift import MAX_SKEW_S
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics, within_image

DEPTH_STEP = 2
"""Every second row and column of the depth is kept: enough for gating, in a quarter of the memory."""

GATE_M, GATE_SIGMAS = 0.012, 4.0
_AROUND = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 2)


def import_cv2() -> Any:
    """Import OpenCV.

    Raises:
        DependencyError: OpenCV is not installed or cannot be loaded.
    """
    return require("cv2", "Tracking", "tracking")


@dataclass(frozen=True, eq=False)
class ScenePose:
    """Pose of the camera in a static scene: a point p of the scene is at `rotation @ p + shift_m` in the optical frame.

    Attributes:
        rotation: (3, 3).
        shift_m: (3,) in meters.
        number: Number of the map; poses of two maps cannot be compared.
    """

    rotation: FloatArray
    shift_m: FloatArray
    number: int = 0

    def from_scene(self, p_scene: FloatArray) -> FloatArray:
        """Convert points (..., 3) of the scene to the optical frame."""
        return p_scene @ self.rotation.T + self.shift_m

    def to_scene(self, p_camera: FloatArray) -> FloatArray:
        """Convert points (..., 3) of the optical frame to the scene."""
        return (p_camera - self.shift_m) @ self.rotation


@dataclass(frozen=True, eq=False)
class TrackedView:
    """One frame as the tracker sees it.

    Attributes:
        stamp_ns: Capture time.
        gray: (h, w) uint8.
        depth_m: (ceil(h / 2), ceil(w / 2)) meters, NaN where missing; None without usable depth.
        focal_px: Focal length of the color camera; NaN if unknown.
        noise: Noise model of the depth camera.
        brightness: Mean gray value of the image.
        intrinsics: Intrinsics of the color image; None if unknown.
        pose: Pose of the camera in the static scene; None if unknown.
    """

    stamp_ns: int
    gray: NDArray[np.uint8]
    depth_m: DepthArray | None
    focal_px: float
    noise: DepthNoise
    brightness: float
    intrinsics: Intrinsics | None = None
    pose: ScenePose | None = None

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.gray.shape[1], self.gray.shape[0]

    def inside(self, uv: FloatArray, margin_px: float = 0.0) -> BoolArray:
        """Mask of the pixels (..., 2) that lie in the image, at least `margin_px` from its border."""
        return within_image(uv, self.size_wh, margin_px)

    def depth_at(self, uv: FloatArray) -> FloatArray:
        """Median depth (n,) of 3x3 half-resolution pixels around pixels (n, 2); NaN if all are missing."""
        return self.depth_and_span_at(uv)[0]

    def depth_and_span_at(self, uv: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Median and range (n,) of 3x3 half-resolution depths around pixels (n, 2); NaN if all are missing."""
        if self.depth_m is None:
            return np.full(len(uv), np.nan), np.full(len(uv), np.nan)
        height, width = self.depth_m.shape
        cells = np.floor(uv / DEPTH_STEP + 0.5).astype(int)[:, None, :] + _AROUND
        columns, rows = np.clip(cells[..., 0], 0, width - 1), np.clip(cells[..., 1], 0, height - 1)
        depths = np.sort(self.depth_m[rows, columns].astype(np.float64), axis=1)
        count, each = np.sum(np.isfinite(depths), axis=1), np.arange(len(uv))
        last = np.maximum(count - 1, 0)
        # Without any depth, all are NaN.
        return depths[each, last // 2], depths[each, last] - depths[:, 0]

    def depth_of(self, uv: FloatArray) -> float:
        """Depth of one pixel (2,), as `depth_at`."""
        return float(self.depth_at(uv[None])[0])

    def gate_m(self, depth_m: float) -> float:
        """Largest depth difference, in meters, between two pixels of one surface, or of two frames."""
        if not (math.isfinite(depth_m) and math.isfinite(self.focal_px)):
            return GATE_M
        return max(GATE_M, GATE_SIGMAS * float(self.noise.sigma_change(depth_m, self.focal_px)))


def view_of(frame: RgbdFrame, noise: DepthNoise | None = None) -> TrackedView:
    """Reduce a frame to its tracked view. Depth captured at another time than the image is dropped.

    `noise` is the estimate from an earlier frame, for a camera without a noise model of its own.
    """
    gray = import_cv2().cvtColor(frame.color, import_cv2().COLOR_RGB2GRAY)
    usable = frame.depth_m is not None and abs(frame.skew_s) <= MAX_SKEW_S
    depth_m = frame.depth_m[::DEPTH_STEP, ::DEPTH_STEP].copy() if usable and frame.depth_m is not None else None
    focal_px = math.nan if frame.intrinsics is None else frame.intrinsics.focal_px
    brightness = float(gray[::4, ::4].mean())
    return TrackedView(
        frame.stamp_ns, gray, depth_m, focal_px, frame.depth_noise or noise or noise_of(frame), brightness, frame.intrinsics
    )
