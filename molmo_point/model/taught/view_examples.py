"""Examples that a library keeps of one shown view: features of patches on the object, and of patches around it.

A library stores `ViewExamples.arrays()` and restores them with `ViewExamples.from_arrays`; it need not know the fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.model.taught.feature_network import FeatureNetwork
from molmo_point.model.taught.seen_image import see_image
from molmo_point.model.taught.shown_view import ShownView
from molmo_point.patch_features import PatchFeatures

_MOST_OTHERS = 300
_ON, _OFF = 0.5, 0.02


@dataclass(frozen=True, eq=False)
class ViewExamples:
    """Features of one view.

    Attributes:
        on: (p, n) float16, patches on the object.
        off: (q, n) float16, patches of the background and of other objects.
    """

    on: NDArray[np.float16]
    off: NDArray[np.float16]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all content as named arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "ViewExamples":
        """Restore examples from `arrays()`.

        Raises:
            KeyError: An array is missing.
        """
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def fits(self, channels: int) -> bool:
        """Tell whether types and shapes are those of examples of a network with this number of features."""
        rows = (self.on, self.off)
        return len(self.on) > 0 and all(each.dtype == np.float16 and each.shape == (len(each), channels) for each in rows)


def view_examples(view: ShownView, network: FeatureNetwork) -> ViewExamples:
    """Return the examples of one view."""
    grid = see_image(view.color, network).grids[0]
    share = _cover(view.mask, grid)
    unsure = _cover(view.ignored, grid) if view.ignored is not None else np.zeros_like(share)
    on = (share >= min(_ON, float(share.max()))) & (unsure < _ON)
    others = np.flatnonzero(((share < _OFF) & (unsure < _OFF)).ravel())
    if len(others) > _MOST_OTHERS:
        others = others[np.linspace(0, len(others) - 1, _MOST_OTHERS).round().astype(int)]
    flat = grid.values.reshape(-1, grid.values.shape[-1]).astype(np.float16)
    return ViewExamples(flat[on.ravel()], flat[others])


def _cover(mask: BoolArray, grid: PatchFeatures) -> FloatArray:
    """Return the share of each patch (rows, columns) that a mask covers."""
    rows, columns = grid.values.shape[:2]
    v, u = np.nonzero(mask)
    row = np.clip(((v + 0.5) / grid.patch_px).astype(int), 0, rows - 1)
    column = np.clip(((u + 0.5) / grid.patch_px).astype(int), 0, columns - 1)
    count = np.bincount(row * columns + column, minlength=rows * columns).reshape(rows, columns)
    return count / grid.patch_px**2
