"""Graph of the boundaries between basins of a surface, and the merging of basins into objects."""

import heapq
import math
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray, IntArray

STEP_WEIGHT = 2.0
"""Evidence of a depth step."""

CUT = 0.5
"""Mean evidence along a boundary from which it divides objects."""

PART_SHARE, PART_LAB = 0.15, 25.0
"""Parts smaller than this share of the region and alike in color, such as handles, stay with it."""

RIVAL = 1.1
"""Evidence, in units of CUT, that two points of one answer are on two objects; a color edge has to add to it."""

TINT_LAB, TINT_WEIGHT, TINT_FROM = (20.0, 60.0), 0.3, 0.2
"""Differences in color of no and of full weight, that weight, and the evidence from which it counts."""

PRIOR_LENGTH = 4
"""Length of boundary, in cells, that the evidence `CUT` is assumed for before any is measured."""

_SMALL_M, _SMALL_CUT = 0.02, 1.5


@dataclass(frozen=True, eq=False)
class BoundaryGraph:
    """Basins and their common boundaries.

    Attributes:
        neighbors: For each basin, the sum of the evidence along the boundary to each neighbor, and its length in cells.
        areas: Number of cells of each basin.
        owners: Number of the point on each basin; -1 if there is none.
        strongest: Strongest boundary inside each cluster that joined two large parts.
        colors: Mean color of each basin in CIE Lab; empty without an image.
        spacing_m: Distance between cells, in meters.
    """

    neighbors: list[dict[int, list[float]]]
    areas: list[int]
    owners: list[int]
    strongest: list[float]
    colors: list[list[float]]
    spacing_m: float

    @classmethod
    def of(
        cls,
        basin: IntArray,
        evidence: FloatArray,
        right: BoolArray,
        down: BoolArray,
        owners: IntArray,
        spacing_m: float,
        colors: FloatArray | None = None,
    ) -> "BoundaryGraph":
        """Measure the boundaries between basins, and their colors (n, m, 3) in CIE Lab."""
        count = len(owners)
        keys, values = [], []
        for one, other, steps, here, there in (
            (basin[:, :-1], basin[:, 1:], right, evidence[:, :-1], evidence[:, 1:]),
            (basin[:-1], basin[1:], down, evidence[:-1], evidence[1:]),
        ):
            on = (one >= 0) & (other >= 0) & (one != other)
            keys.append(np.minimum(one, other)[on] * count + np.maximum(one, other)[on])
            values.append((np.maximum(here, there) + STEP_WEIGHT * steps)[on])
        key, inverse = np.unique(np.concatenate(keys), return_inverse=True)
        totals = np.bincount(inverse, np.concatenate(values), len(key)).tolist()
        lengths = np.bincount(inverse, minlength=len(key)).tolist()
        neighbors: list[dict[int, list[float]]] = [{} for _ in range(count)]
        for pair, total, length in zip(key.tolist(), totals, lengths, strict=True):
            one, other = divmod(pair, count)
            neighbors[one][other] = neighbors[other][one] = [total, length]
        inside = basin >= 0
        areas = np.bincount(basin[inside], minlength=count)
        channels = () if colors is None else np.moveaxis(colors[inside], -1, 0)
        means = [np.bincount(basin[inside], channel, count) / np.maximum(areas, 1) for channel in channels]
        mean = np.stack(means, axis=-1).tolist() if means else []
        return cls(neighbors, areas.tolist(), owners.tolist(), [-1.0] * count, mean, spacing_m)

    def contrast(self, one: int, other: int) -> float:
        """Return the difference of two colors in CIE Lab; 0 without an image."""
        return math.dist(self.colors[one], self.colors[other]) if self.colors else 0.0

    def strength(self, one: int, other: int) -> float:
        """Rate the boundary of two basins: its mean evidence, less for small basins, more between rival points."""
        total, length = self.neighbors[one][other]
        mean = (total + CUT * PRIOR_LENGTH) / (length + PRIOR_LENGTH)
        size_m = self.spacing_m * min(self.areas[one], self.areas[other]) ** 0.5
        rival = self.owners[one] >= 0 and self.owners[other] >= 0 and self.owners[one] != self.owners[other]
        strength = mean - _SMALL_CUT * CUT * math.exp(-size_m / _SMALL_M) + (RIVAL * CUT if rival else 0.0)
        return strength + self._tint(one, other, strength)

    def _tint(self, one: int, other: int, strength: float) -> float:
        """Rate the difference in color of two parts as evidence; none without a crease, as in a print."""
        if strength < TINT_FROM:
            return 0.0
        return TINT_WEIGHT * min(max(self.contrast(one, other) - TINT_LAB[0], 0.0) / (TINT_LAB[1] - TINT_LAB[0]), 1.0)

    def merge(self) -> IntArray:
        """Merge neighbors, weakest boundary first, and return the cluster (k,) of each basin."""
        parents = list(range(len(self.areas)))
        heap = [
            (self.strength(one, other), one, other) for one, near in enumerate(self.neighbors) for other in near if one < other
        ]
        heapq.heapify(heap)
        while heap and heap[0][0] < CUT:
            strength, one, other = heapq.heappop(heap)
            if parents[one] != one or parents[other] != other or other not in self.neighbors[one]:
                continue
            now = self.strength(one, other)
            if now > strength + 1e-9:
                heapq.heappush(heap, (now, one, other))
                continue
            if len(self.neighbors[one]) < len(self.neighbors[other]):
                one, other = other, one
            self._join(one, other, strength)
            parents[other] = one
            for near in self.neighbors[one]:
                heapq.heappush(heap, (self.strength(one, near), one, near))
        cluster = np.array(parents)
        while not np.array_equal(further := cluster[cluster], cluster):
            cluster = further
        return cluster

    def _join(self, one: int, other: int, strength: float) -> None:
        small, large = sorted((self.areas[one], self.areas[other]))
        weight = strength if small > PART_SHARE * large else -1.0
        self.strongest[one] = max(self.strongest[one], self.strongest[other], weight)
        if self.colors:
            share = self.areas[other] / (self.areas[one] + self.areas[other])
            both = zip(self.colors[one], self.colors[other], strict=True)
            self.colors[one] = [(1.0 - share) * a + share * b for a, b in both]
        self.areas[one] += self.areas[other]
        if self.owners[one] < 0 or self.owners[other] == 0:
            self.owners[one] = self.owners[other]
        del self.neighbors[one][other]
        for near, edge in self.neighbors[other].items():
            if near == one:
                continue
            del self.neighbors[near][other]
            mine = self.neighbors[one].get(near)
            if mine is None:
                self.neighbors[one][near] = self.neighbors[near][one] = edge
            else:
                mine[0] += edge[0]
                mine[1] += edge[1]
        self.neighbors[other] = {}
