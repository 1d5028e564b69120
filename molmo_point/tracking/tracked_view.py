"""What a tracker keeps of a frame: the grey image, and the depth at half the resolution."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import BoolArray, DepthArray, FloatArray
from molmo_point.depth.lift import MAX_SKEW_S
from molmo_point.depth.uncertainty import D435, DepthNoise
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import within_image
from molmo_point.tracking.opencv import import_cv2

DEPTH_STEP = 2
"""The depth of a view has every second row and column: enough to gate with, a quarter of the memory."""

GATE_M, GATE_SIGMAS = 0.012, 6.0
_AROUND = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class View:
    """One frame as the tracker sees it.

    Attributes:
        stamp_ns: Capture time.
        grey: (h, w) uint8.
        depth_m: (ceil(h / 2), ceil(w / 2)) metres, NaN where missing; None without usable depth.
        focal_px: Of the colour image; NaN when not known.
        noise: Of the depth camera.
        brightness: Mean of the grey image.
    """

    stamp_ns: int
    grey: NDArray[np.uint8]
    depth_m: DepthArray | None
    focal_px: float
    noise: DepthNoise
    brightness: float

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.grey.shape[1], self.grey.shape[0]

    def inside(self, uv: FloatArray, margin_px: float = 0.0) -> BoolArray:
        """Which pixels (..., 2) lie in the image, at least `margin_px` from its border."""
        return within_image(uv, self.size_wh, margin_px)

    def depth_at(self, uv: FloatArray) -> FloatArray:
        """Median depth (n,) of 3x3 half-size pixels around pixels (n, 2); NaN where there is none."""
        if self.depth_m is None:
            return np.full(len(uv), np.nan)
        height, width = self.depth_m.shape
        cells = np.floor(uv / DEPTH_STEP + 0.5).astype(int)[:, None, :] + _AROUND
        columns, rows = np.clip(cells[..., 0], 0, width - 1), np.clip(cells[..., 1], 0, height - 1)
        depths = np.sort(self.depth_m[rows, columns].astype(np.float64), axis=1)
        count = np.sum(np.isfinite(depths), axis=1)
        return np.where(count > 0, depths[np.arange(len(uv)), np.maximum(count - 1, 0) // 2], np.nan)

    def gate_m(self, depth_m: float) -> float:
        """By how much a depth may differ from another of the same surface, in metres."""
        if not (math.isfinite(depth_m) and math.isfinite(self.focal_px)):
            return GATE_M
        return max(GATE_M, GATE_SIGMAS * float(self.noise.sigma_z(depth_m, self.focal_px)))


def view_of(frame: RgbdFrame) -> View:
    """What is kept of a frame. Depth of another moment than the image is left out."""
    grey = import_cv2().cvtColor(frame.color, import_cv2().COLOR_RGB2GRAY)
    usable = frame.depth_m is not None and abs(frame.skew_s) <= MAX_SKEW_S
    depth_m = frame.depth_m[::DEPTH_STEP, ::DEPTH_STEP].copy() if usable and frame.depth_m is not None else None
    focal_px = math.nan if frame.intrinsics is None else frame.intrinsics.focal_px
    return View(frame.stamp_ns, grey, depth_m, focal_px, frame.depth_noise or D435, float(grey[::4, ::4].mean()))
