"""An image as the heads of taught objects see it: its features, and a descriptor of every piece that may be an object."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import BoolArray, ColorArray, FloatArray
from molmo_point.model.read_out.image_objects import Cells, candidate_pieces, object_of
from molmo_point.model.read_out.read_out_network import CellMaps
from molmo_point.model.taught.feature_network import FeatureNetwork
from molmo_point.model.taught.object_metric import load_object_metric, load_object_reader
from molmo_point.patch_features import PatchFeatures

_SIGMA_SHARE, _LEAST_SIGMA_PX = 0.13, 2.0
"""Error of a middle as a share of the side of an object, and its least value in pixels of an image 640 pixels wide."""
_COVERED, _FAINT = 0.5, 1e-3


@dataclass(frozen=True)
class Candidate:
    """A piece of an image that may be an object.

    Attributes:
        u: Column of a pixel on it.
        v: Row of the pixel.
        side_px: Square root of its area in pixels.
        sigma_px: Standard deviation of u and of v in pixels.
    """

    u: float
    v: float
    side_px: float
    sigma_px: float


@dataclass(frozen=True, eq=False)
class SeenImage:
    """One image.

    Attributes:
        grids: Features by patch.
        size_wh: Width and height of the image in pixels.
    """

    grids: tuple[PatchFeatures, ...]
    size_wh: tuple[int, int]

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """Pieces that may be objects."""
        return tuple(self._candidate(piece) for piece in self._pieces)

    @cached_property
    def descriptors(self) -> NDArray[np.float32]:
        """(candidates, d) projected descriptor of each candidate."""
        metric = load_object_metric()
        if not self._pieces:
            return np.zeros((0, metric.size), np.float32)
        weights = (self._maps.presence[piece] for piece in self._pieces)
        rows = [_pooled(self._cells[piece], weight) for piece, weight in zip(self._pieces, weights, strict=True)]
        return metric.project(np.stack(rows))

    @cached_property
    def shared(self) -> FloatArray:
        """(candidates, candidates) share of the cells of the second that the first one has, too."""
        flat = self._filled.reshape(len(self._pieces), -1)
        return (flat @ flat.T) / np.maximum(flat.sum(1), 1)

    @cached_property
    def touching(self) -> BoolArray:
        """(candidates, candidates) True if two share a cell, or have neighboring ones."""
        filled = self._filled
        wide = filled.copy()
        for shift, axis in ((1, 1), (-1, 1), (1, 2), (-1, 2)):
            wide = np.maximum(wide, np.roll(filled, shift, axis))
        count = len(self._pieces)
        return wide.reshape(count, -1) @ filled.reshape(count, -1).T > 0

    @cached_property
    def _filled(self) -> FloatArray:
        filled = np.zeros((len(self._pieces), *self._maps.presence.shape), np.float32)
        for number, piece in enumerate(self._pieces):
            filled[number][piece] = 1
        return filled

    def descriptor_of(self, mask: BoolArray) -> NDArray[np.float32]:
        """Return the projected descriptor (d,) of the pixels of a mask (h, w)."""
        share = self._cover(mask)
        weight = share * (share > _COVERED) + _FAINT * share
        on = np.nonzero(weight > 0)
        return load_object_metric().project(_pooled(self._cells[on], weight[on])[None])[0]

    def outside(self, mask: BoolArray) -> NDArray[np.float32]:
        """Return the projected descriptors (k, d) of the candidates that a mask (h, w) does not touch."""
        share = self._cover(mask)
        apart = [number for number, piece in enumerate(self._pieces) if not share[piece].any()]
        return self.descriptors[apart]

    @cached_property
    def _maps(self) -> CellMaps:
        return load_object_reader().read(self.grids[0])

    @cached_property
    def _cells(self) -> FloatArray:
        return load_object_reader().describe(self.grids[0])

    @cached_property
    def _pieces(self) -> list[Cells]:
        return candidate_pieces(self._maps)

    def _candidate(self, piece: Cells) -> Candidate:
        found = object_of(self._maps, piece)
        width, height = self.size_wh
        side_px = len(piece[0]) ** 0.5 * self._maps.cell_px
        sigma_px = max(_SIGMA_SHARE * side_px, _LEAST_SIGMA_PX * width / 640)
        return Candidate(min(found.u, width - 1.0), min(found.v, height - 1.0), side_px, sigma_px)

    def _cover(self, mask: BoolArray) -> FloatArray:
        """Return the share of each cell (rows, columns) that a mask covers."""
        rows, columns = self._maps.presence.shape
        cell_px = self._maps.cell_px
        v, u = np.nonzero(mask)
        row = np.clip(((v + 0.5) / cell_px).astype(int), 0, rows - 1)
        column = np.clip(((u + 0.5) / cell_px).astype(int), 0, columns - 1)
        count = np.bincount(row * columns + column, minlength=rows * columns).reshape(rows, columns)
        return np.minimum(count / cell_px**2, 1.0)


def see_image(color: ColorArray, network: FeatureNetwork) -> SeenImage:
    """Compute the features of an image (h, w, 3) uint8 RGB."""
    return SeenImage((network.grid(color),), (color.shape[1], color.shape[0]))


def _pooled(cells: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the weighted mean (n,) of cells (k, n)."""
    return (weight / weight.sum()) @ cells
