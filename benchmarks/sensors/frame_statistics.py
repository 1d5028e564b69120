"""Statistics of one depth image: edges, residuals of planes, missing pixels, growth against color."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from molmo_point.arrays import ColorArray, DepthArray, FloatArray

STEP_M = 0.04
NEAR_M = 1.5
"""Edges farther than this are left out: noise alone makes steps there."""

SPAN = 14
"""Measured pixels within which a step must end, to count as one edge."""

PLATEAU = 5
LAGS_PX = (2, 4, 8)
D435_FOCAL_PX, D435_BASELINE_M = 425.0, 0.05
MIN_EDGES = 40


@dataclass
class EdgeSide:
    """Edges of one side of objects.

    Attributes:
        hole_px: Missing pixels between the two plateaus, for each edge.
        flank_px: Measured pixels on the way from one plateau to the other.
        growth_px: Distance by which the near plateau passes the edge in color; only edges with a clear one.
    """

    hole_px: list[float] = field(default_factory=list)
    flank_px: list[float] = field(default_factory=list)
    growth_px: list[float] = field(default_factory=list)


@dataclass
class FrameStatistics:
    """Statistics of one or more depth images of one camera.

    Attributes:
        sides: Edges by side: "left", "right", "top".
        residual_px: Residual of each plane patch, as disparity of a D435, in pixels of its depth imager.
        residual_mm: The same in millimeters.
        patch_z_m: Depth of each patch.
        correlation: For each lag, the correlations of the patches' residuals.
        missing: Share of missing pixels of each image.
        flicker: Share of the pixels that are measured in one of two frames of a still scene, for each pair.
    """

    sides: dict[str, EdgeSide] = field(default_factory=lambda: {name: EdgeSide() for name in ("left", "right", "top")})
    residual_px: list[float] = field(default_factory=list)
    residual_mm: list[float] = field(default_factory=list)
    patch_z_m: list[float] = field(default_factory=list)
    correlation: dict[int, list[float]] = field(default_factory=lambda: {lag: [] for lag in LAGS_PX})
    missing: list[float] = field(default_factory=list)
    flicker: list[float] = field(default_factory=list)

    def add(self, depth_m: DepthArray, color: ColorArray, again_m: DepthArray | None = None) -> None:
        """Add a frame.

        Args:
            depth_m: Depth (h, w) in meters, NaN where missing.
            color: Color image (h, w, 3).
            again_m: A second depth image of the same still scene; None if there is none.
        """
        measured = np.isfinite(depth_m)
        self.missing.append(1.0 - float(measured.mean()))
        if again_m is not None:
            self.flicker.append(float(np.mean(measured != np.isfinite(again_m))))
        gray = color.astype(np.float32).mean(axis=2)
        for row in range(4, depth_m.shape[0] - 4, 2):
            for near_after, edge in edges_of(depth_m[row]):
                self._take("left" if near_after else "right", edge, gray[row], near_after)
        for column in range(4, depth_m.shape[1] - 4, 2):
            for near_after, edge in edges_of(depth_m[:, column]):
                if near_after:
                    self._take("top", edge, gray[:, column], near_after)
        self._add_planes(depth_m)

    def _take(self, name: str, edge: tuple[int, int, int], gray: FloatArray, near_after: bool) -> None:
        near_at, missing, between = edge
        side = self.sides[name]
        side.hole_px.append(missing)
        side.flank_px.append(between)
        at = color_edge(gray, near_at)
        if at is not None:
            side.growth_px.append(at - near_at if near_after else near_at - at)

    def _add_planes(self, depth_m: DepthArray) -> None:
        size = 40 if depth_m.shape[1] <= 700 else 64
        per_q = D435_FOCAL_PX * D435_BASELINE_M
        for v in range(0, depth_m.shape[0] - size + 1, size // 2):
            for u in range(0, depth_m.shape[1] - size + 1, size // 2):
                patch = depth_m[v : v + size, u : u + size].astype(float)
                found = plane_residual(patch)
                if found is None:
                    continue
                residual, z_m = found
                sigma = float(np.nanstd(residual))
                self.residual_px.append(sigma * per_q)
                self.residual_mm.append(1e3 * sigma * z_m**2)
                self.patch_z_m.append(z_m)
                for lag in LAGS_PX:
                    self.correlation[lag].append(_correlation(residual, lag))


def edges_of(line_m: FloatArray) -> Iterator[tuple[bool, tuple[int, int, int]]]:
    """Find the steps over 4 cm between two plateaus on a row or column of depth.

    Yields:
        True if the near plateau comes after the step; and the first pixel of the near plateau, the number of missing
        pixels between the plateaus, and the number of measured ones.
    """
    place = np.flatnonzero(np.isfinite(line_m))
    z = line_m[place]
    count = len(z) - 2 * PLATEAU - SPAN
    if count <= 0:
        return
    level = np.lib.stride_tricks.sliding_window_view(z, PLATEAU)
    middle, slope = np.median(level, axis=1), (level[:, -1] - level[:, 0]) / (PLATEAU - 1)
    flat = np.ptp(level, axis=1) < 0.012
    last = -1
    for k in np.flatnonzero(flat[:-1] & (np.abs(z[PLATEAU:] - z[PLATEAU - 1 : -1]) > 0.004)[: len(flat) - 1]):
        start = k + PLATEAU
        if start <= last:
            continue
        for reach in range(SPAN + 1):
            after = start + reach
            if after >= len(middle):
                break
            # The slopes of both plateaus explain a part of the step.
            step = middle[after] - middle[k] - 0.5 * (slope[after] + slope[k]) * (place[after + 2] - place[k + 2])
            if flat[after] and abs(step) > STEP_M:
                near_after = bool(step < 0)
                if min(middle[after], middle[k]) < NEAR_M:
                    gap = int(place[after] - place[start - 1] - 1 - reach)
                    yield near_after, (int(place[after if near_after else start - 1]), gap, reach)
                last = after
                break


def color_edge(gray: FloatArray, near: int, share: float = 0.035) -> int | None:
    """Find the strongest brightness step around a pixel of a line; None without a clear one."""
    reach = max(round(share * 1000 * len(gray) / 1280), 8)
    low, high = max(near - reach, 2), min(near + reach, len(gray) - 3)
    if high - low < 8:
        return None
    at = np.arange(low, high)
    change = np.abs(gray[at + 2] + gray[at + 1] - gray[at - 1] - gray[at - 2]) / 2
    best = int(change.argmax())
    if change[best] < 30 or np.any(change[np.abs(at - at[best]) > 4] > 0.6 * change[best]):
        return None
    return int(at[best])


def plane_residual(patch_m: FloatArray) -> tuple[FloatArray, float] | None:
    """Fit a plane to a patch (n, n) of depth.

    Returns:
        The residual (n, n) of inverse depth, 1/m, and the median depth; None if the patch is no plane.
    """
    measured = np.isfinite(patch_m)
    if measured.mean() < 0.9:
        return None
    z_m = float(np.median(patch_m[measured]))
    if z_m > 2.5:
        return None
    v, u = np.nonzero(measured)
    inverse = 1.0 / patch_m[measured]
    half = 0.5 * patch_m.shape[0]
    x, y = u / half - 1.0, v / half - 1.0
    plane = np.stack([np.ones_like(x), x, y], axis=1)
    curved = np.column_stack([plane, x * x, x * y, y * y])
    rest = inverse - plane @ np.linalg.lstsq(plane, inverse, rcond=None)[0]
    bent = inverse - curved @ np.linalg.lstsq(curved, inverse, rcond=None)[0]
    # A plane: bending explains little, and no part stands out.
    spread = 1.4826 * float(np.median(np.abs(rest)))
    if rest.std() > 1.25 * bent.std() or np.abs(rest).max() > 6.5 * max(spread, 1e-6):
        return None
    residual = np.full(patch_m.shape, np.nan)
    residual[measured] = rest
    return residual, z_m


def _correlation(residual: FloatArray, lag: int) -> float:
    variance = float(np.nanmean(residual**2))
    along = float(np.nanmean(residual[:, lag:] * residual[:, :-lag]))
    down = float(np.nanmean(residual[lag:] * residual[:-lag]))
    return 0.5 * (along + down) / max(variance, 1e-18)


def figures(found: FrameStatistics) -> dict[str, Any]:
    """All statistics as plain data; None where there is too little to take one from."""
    sides = {}
    for name, side in found.sides.items():
        enough = len(side.hole_px) >= MIN_EDGES
        sides[name] = {
            "edges": len(side.hole_px),
            "hole_px": float(np.mean(side.hole_px)) if enough else None,
            "without_hole": float(np.mean(np.array(side.hole_px) < 1)) if enough else None,
            "flank_px": float(np.mean(side.flank_px)) if enough else None,
            "growth_px": float(np.median(side.growth_px)) if len(side.growth_px) >= MIN_EDGES else None,
        }
    return {
        "sides": sides,
        "patches": len(found.residual_px),
        "z_m": _median(found.patch_z_m),
        "residual_mm": _median(found.residual_mm),
        "residual_px": _median(found.residual_px),
        "correlation": {str(lag): _median(values) for lag, values in found.correlation.items()},
        "missing": float(np.mean(found.missing)) if found.missing else None,
        "flicker": float(np.mean(found.flicker)) if found.flicker else None,
    }


def _median(values: list[float]) -> float | None:
    return float(np.median(values)) if values else None
