"""Division of a measured surface into objects, by creases, depth steps and color edges."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import BoolArray, ColorArray, FloatArray, IntArray
from molmo_point.grasp.boundary_graph import CUT, PART_LAB, PART_SHARE, PRIOR_LENGTH, BoundaryGraph
from molmo_point.grasp.patch import LINK_M, LINK_SIGMAS, Patch, grown, label_pieces

SPACING_M = 0.003
"""Nominal distance between neighboring cells, in meters."""

MAX_CELLS = 22_000
"""Largest number of cells; more are farther apart."""

SCALES_M = (0.008, 0.014)
"""Distances from a crease to the two points that its sharpness is measured with, in meters."""

CREASE_SINE, CREASE_SIGMAS = 0.36, 3.5
"""Sharpness of a crease that has evidence 1, after subtraction of this many standard deviations of noise."""

EDGE_LAB, EDGE_WEIGHT = 40.0, 0.36
"""Difference in CIE Lab across a color edge of full weight, and that weight as evidence."""

PART_GAP_M = 0.02
"""Largest distance of the middle of a part in front of the object or behind it, in meters."""

DOUBT = 0.03
"""A boundary inside the object is uncertain if its evidence is nearer than this to CUT."""

FILL_M = 0.010
"""Widest hole in the depth that is bridged, in meters."""

_MARGIN, _LEAST_AREA_M2 = 4, 3e-4


@dataclass(frozen=True, eq=False)
class Division:
    """Object at a point, among what it touches.

    Attributes:
        mask: Pixels (n, m) of the patch that belong to the object.
        cut: True if the object touches another one.
        uncertain: True if a boundary inside the object is hardly weaker than needed, or color had to add to one around it.
    """

    mask: BoolArray
    cut: bool
    uncertain: bool


def divide(
    patch: Patch,
    domain: BoolArray,
    at: tuple[int, int],
    color: ColorArray | None = None,
    rivals: Sequence[tuple[int, int]] = (),
) -> Division:
    """Find the object at a pixel of a patch.

    The surface is divided into basins between its creases, depth steps and color edges. Neighbors merge, the weakest mean
    boundary first, until all boundaries are stronger than `CUT`.

    Args:
        patch: Surroundings of the point.
        domain: Pixels (n, m) that may belong to an object, without the support.
        at: Row and column of the point in the patch, inside the domain.
        color: RGB image (h, w, 3) that the depth is aligned to; None divides by shape alone.
        rivals: Rows and columns of points on other objects.
    """
    grid = _Grid.of(patch, domain, at, color)
    evidence, right, down = _evidence(grid, patch)
    basin = _basins(evidence, grid.domain, right, down)
    count = int(basin.max()) + 1
    owners = np.full(count, -1)
    for number, rival in enumerate(rivals, start=1):
        row, column = grid.cell(rival)
        if grid.domain[row, column]:
            owners[basin[row, column]] = number
    mine = basin[grid.cell(at)]
    owners[mine] = 0
    graph = BoundaryGraph.of(basin, evidence, right, down, owners, grid.spacing_m, grid.colors)
    cluster = graph.merge()
    clusters = np.where(basin >= 0, cluster[basin], -1)
    kept, cut, uncertain = _with_parts(graph, int(cluster[mine]), clusters, grid)
    cells = np.isin(clusters, kept)
    mask = np.zeros(domain.shape, dtype=bool)
    mask[grid.window] = grid.spread(cells, domain[grid.window].shape) & domain[grid.window]
    mask[grid.window] = _without_slivers(mask[grid.window], patch, grid, at)
    return Division(mask, cut, uncertain)


def _evidence(grid: "_Grid", patch: Patch) -> tuple[FloatArray, BoolArray, BoolArray]:
    """Return the evidence for a boundary at each cell, and the depth steps to its right and lower neighbors."""
    evidence = np.full(grid.inverse.shape, -1.0)
    right, down = grid.steps(patch.depth_m, patch.right, 1), grid.steps(patch.depth_m.T, patch.down.T, 0).T
    for reach_m in SCALES_M:
        reach = max(1, round(reach_m / grid.spacing_m))
        # Of the noise of one pixel, 0.73 reach / distance remain after smoothing.
        noise = 0.73 * grid.sigma_m / (reach * grid.spacing_m)
        sharpness = _sharpness(grid.inverse, grid.angle, reach, right, down)
        evidence = np.maximum(evidence, (sharpness - CREASE_SIGMAS * noise) / CREASE_SINE)
    evidence = np.clip(evidence, -0.3, 2.0)
    if grid.colors is not None:
        evidence += EDGE_WEIGHT * np.minimum(_gradient(grid.colors) / EDGE_LAB, 1.0)
    return evidence, right, down


def _sharpness(inverse: FloatArray, angle: float, reach: int, right: BoolArray, down: BoolArray) -> FloatArray:
    """Measure the sharpest fold toward the camera at each cell, as the sine of the angle between its sides.

    A plane is a linear function in inverse depth, so the second difference of a row or column measures the fold alone.
    Both sides must be on one surface: what is in front of a depth step says nothing about a fold behind it.
    """
    sharpest = np.full(inverse.shape, -1.0)
    for axis, steps in enumerate((down, right.T)):
        values = np.moveaxis(inverse, axis, 0)
        if len(values) <= 2 * reach:
            continue
        passed = np.pad(np.cumsum(steps, axis=0), ((1, 0), (0, 0)))
        apart = passed[2 * reach :] != passed[: -2 * reach]
        before, middle, after = values[: -2 * reach], values[reach:-reach], values[2 * reach :]
        depth = 0.5 * (before + after - 2.0 * middle) / middle**2
        across = (reach * angle / middle) ** 2
        size = np.sqrt(across + (1.0 / before - 1.0 / middle) ** 2) + np.sqrt(across + (1.0 / after - 1.0 / middle) ** 2)
        part = np.moveaxis(sharpest, axis, 0)[reach:-reach]
        np.fmax(part, np.where(apart, -1.0, 2.0 * depth / size), out=part)
    return sharpest


def _gradient(colors: FloatArray) -> FloatArray:
    """Measure the larger difference in color (n, m) between the neighbors of each cell, along rows or columns."""
    edge = np.zeros(colors.shape[:2])
    edge[1:-1] = np.linalg.norm(colors[2:] - colors[:-2], axis=-1)
    edge[:, 1:-1] = np.maximum(edge[:, 1:-1], np.linalg.norm(colors[:, 2:] - colors[:, :-2], axis=-1))
    return edge


def _basins(evidence: FloatArray, domain: BoolArray, right: BoolArray, down: BoolArray) -> IntArray:
    """Number the basins (n, m) of the evidence: each cell belongs to the minimum that the steepest descent reaches."""
    order = np.arange(evidence.size).reshape(evidence.shape)
    smooth = np.where(domain, _sum3(evidence) + 1e-9 * order, np.inf)
    lowest, follow = smooth.copy(), order.copy()
    for here, there, steps in (
        (np.s_[:, :-1], np.s_[:, 1:], right),
        (np.s_[:, 1:], np.s_[:, :-1], right),
        (np.s_[:-1], np.s_[1:], down),
        (np.s_[1:], np.s_[:-1], down),
    ):
        lower = (smooth[there] < lowest[here]) & ~steps
        follow[here] = np.where(lower, order[there], follow[here])
        lowest[here] = np.where(lower, smooth[there], lowest[here])
    follow = follow.reshape(-1)
    while not np.array_equal(further := follow[follow], follow):
        follow = further
    basin = np.full(evidence.shape, -1)
    basin[domain] = np.unique(follow[domain.reshape(-1)], return_inverse=True)[1]
    return basin


def _with_parts(graph: BoundaryGraph, mine: int, cells: IntArray, grid: "_Grid") -> tuple[list[int], bool, bool]:
    """Return the clusters of the object, True if it touches another object, and True if a boundary is uncertain."""
    kept, cut, uncertain = [mine], False, graph.strongest[mine] > CUT - DOUBT
    depth_m = 1.0 / grid.inverse
    low, high = np.quantile(depth_m[cells == mine], [0.02, 0.98])

    def middle(other: int) -> float:
        return float(np.median(depth_m[cells == other]))

    for other, (total, length) in graph.neighbors[mine].items():
        alike = graph.contrast(mine, other) < PART_LAB
        if (
            graph.areas[other] < PART_SHARE * graph.areas[mine]
            and alike
            and low - PART_GAP_M <= middle(other) <= high + PART_GAP_M
        ):
            kept.append(other)
        elif graph.areas[other] * graph.spacing_m**2 > _LEAST_AREA_M2 and length >= PRIOR_LENGTH:
            cut = True
            uncertain |= total / length < CUT
    return kept, cut, uncertain


def _without_slivers(mask: BoolArray, patch: Patch, grid: "_Grid", at: tuple[int, int]) -> BoolArray:
    """Drop the strips beyond a depth step that share a cell with the object."""
    rows, columns = grid.window
    right = patch.right[rows, columns.start : columns.stop - 1][:, : mask.shape[1] - 1]
    down = patch.down[rows.start : rows.stop - 1, columns][: mask.shape[0] - 1]
    pieces = label_pieces(mask, right, down)
    core = mask & ~grown(~mask, max(1, grid.step // 2))
    core[at[0] - rows.start, at[1] - columns.start] = True
    return mask & np.isin(pieces, np.unique(pieces[core]))


def _sum3(values: FloatArray) -> FloatArray:
    """Sum the 3 x 3 neighbors of each cell."""
    wide = np.pad(values, 1)
    wide = wide[:-2] + wide[1:-1] + wide[2:]
    return wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]


def _averaged(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean of the known values around each cell, and their number."""
    known = np.isfinite(values)
    number = _sum3(known.astype(np.float64))
    return _sum3(np.where(known, values, 0.0)) / np.maximum(number, 1.0), number


def _lab(color: ColorArray, rows: IntArray, columns: IntArray, side: int) -> FloatArray:
    """Average blocks of `side` pixels around rows (n,) and columns (m,) of an RGB image, in CIE Lab (n, m, 3)."""
    offsets = np.arange(side) - side // 2
    lines = np.clip(rows[:, None] + offsets, 0, color.shape[0] - 1).reshape(-1)
    across = np.clip(columns[:, None] + offsets, 0, color.shape[1] - 1).reshape(-1)
    blocks = color[lines][:, across].reshape(len(rows), side, len(columns), side, 3)
    rgb = blocks.astype(np.float32).mean(axis=(1, 3)) / 255.0
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _XYZ.T
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16.0 / 116.0)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


_XYZ = np.array([[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8728]], np.float32)
"""Linear sRGB to XYZ, relative to the white point D65."""


@dataclass(frozen=True, eq=False)
class _Grid:
    """Coarse grid of cells over a window of a patch.

    Attributes:
        window: Rows and columns of the patch.
        first: Row and column in the window of the first cell.
        step: Pixels of the patch from cell to cell.
        inverse: Inverse depth (n, m), smoothed, with small holes filled.
        domain: Cells (n, m) that may belong to an object.
        colors: Colors (n, m, 3) in CIE Lab; None without an image.
        angle: Distance between cells at depth 1.
        spacing_m: Distance between cells, in meters.
        sigma_m: Standard deviation of the depth of one pixel, in meters.
    """

    window: tuple[slice, slice]
    first: tuple[int, int]
    step: int
    inverse: FloatArray
    domain: BoolArray
    colors: FloatArray | None
    angle: float
    spacing_m: float
    sigma_m: float

    @classmethod
    def of(cls, patch: Patch, domain: BoolArray, at: tuple[int, int], color: ColorArray | None = None) -> "_Grid":
        """Lay cells over the domain, one of them at a pixel."""
        angle = float(patch.rays[0, 1, 0] - patch.rays[0, 0, 0])
        depth_m = float(np.median(patch.depth_m[domain]))
        rows, columns = np.nonzero(domain)
        pixels = (int(np.ptp(rows)) + 1) * (int(np.ptp(columns)) + 1)
        step = max(1, round(SPACING_M / (angle * depth_m)), math.ceil(math.sqrt(pixels / MAX_CELLS)))
        margin = _MARGIN * step
        window = (
            slice(max(int(rows.min()) - margin, 0), int(rows.max()) + margin + 1),
            slice(max(int(columns.min()) - margin, 0), int(columns.max()) + margin + 1),
        )
        first = ((at[0] - window[0].start) % step, (at[1] - window[1].start) % step)
        sample = np.s_[first[0] :: step, first[1] :: step]
        inverse = 1.0 / patch.depth_m[window]
        inverse = np.where(np.isfinite(inverse), _averaged(inverse)[0], np.nan)[sample]
        spacing_m = step * angle * depth_m
        filled = inverse
        steps = max(1, round(0.5 * FILL_M / spacing_m))
        for _ in range(steps):
            mean, number = _averaged(filled)
            filled = np.where(np.isnan(filled) & (number >= 2), mean, filled)
        inside = domain[window][sample]
        inside = inside | np.isnan(inverse) & np.isfinite(filled) & grown(inside, steps)
        colors = None
        if color is not None:
            colors = _lab(color, patch.rows[window[0]][sample[0]], patch.columns[window[1]][sample[1]], step * patch.stride)
        sigma_m = float(np.median(patch.sigma_m[domain]))
        return cls(window, first, step, filled, inside, colors, step * angle, spacing_m, sigma_m)

    def cell(self, at: tuple[int, int]) -> tuple[int, int]:
        """Return the row and column of the cell at a pixel of the patch; the nearest if it is outside."""
        cells = ((at[i] - self.window[i].start - self.first[i] + self.step // 2) // self.step for i in (0, 1))
        row, column = (min(max(cell, 0), size - 1) for cell, size in zip(cells, self.domain.shape, strict=True))
        return row, column

    def steps(self, depth_m: FloatArray, links: BoolArray, axis: int) -> BoolArray:
        """Mark the depth steps (n, m - 1) from cells to their neighbors along an axis; rows of the arguments run along it."""
        along, across = (self.window[axis], self.first[axis]), (self.window[1 - axis], self.first[1 - axis])
        rows = np.s_[across[0].start + across[1] : across[0].stop : self.step]
        known, joined = np.isfinite(depth_m[rows]), links[rows]
        inverse = self.inverse if axis else self.inverse.T
        starts = along[0].start + along[1] + self.step * np.arange(inverse.shape[1] - 1)
        whole = np.logical_and.reduce([known[:, starts + i] for i in range(self.step + 1)])
        linked = np.logical_and.reduce([joined[:, starts + i] for i in range(self.step)])
        # Across a hole only the filled depth can tell.
        limit = 2.0 * (max(LINK_M, LINK_SIGMAS * self.sigma_m) + self.spacing_m)
        with np.errstate(invalid="ignore"):
            apart = np.abs(np.diff(1.0 / inverse, axis=1)) > limit
        return np.where(whole, ~linked, apart)

    def spread(self, cells: BoolArray, shape: tuple[int, ...]) -> BoolArray:
        """Give each pixel of the window the value of its cell."""
        rows, columns = (
            np.clip((np.arange(shape[i]) - self.first[i] + self.step // 2) // self.step, 0, cells.shape[i] - 1) for i in (0, 1)
        )
        return cells[np.ix_(rows, columns)]
