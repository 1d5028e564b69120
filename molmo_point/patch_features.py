"""Vision features of an image by patch: material for familiarity and read-outs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from molmo_point.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class PatchFeatures:
    """Vision features of the overview of one image.

    Attributes:
        values: (rows, columns, n) float32, one vector for each square patch.
        patch_px: Side of a patch in pixels of the image.
        corner_px: (u, v) of the outer corner of the top left patch, in pixels of the image; padding lies outside of it.
    """

    values: FloatArray
    patch_px: float
    corner_px: tuple[float, float]

    @classmethod
    def of_overview(cls, values: FloatArray, size_wh: tuple[int, int]) -> "PatchFeatures":
        """Place the features (rows · columns, n) of a square overview, in which an image of a size is centered."""
        side = round(len(values) ** 0.5)
        width, height = size_wh
        longest = max(size_wh)
        corner = ((width - longest) / 2 - 0.5, (height - longest) / 2 - 0.5)
        return cls(np.asarray(values, np.float32).reshape(side, side, -1), longest / side, corner)

    @cached_property
    def summary(self) -> FloatArray:
        """Mean and standard deviation over all patches, (2 n,) float32."""
        flat = self.values.reshape(-1, self.values.shape[-1])
        mean = flat.mean(0)
        # In one pass: the values are of order one, so float32 loses nothing that counts.
        return np.concatenate([mean, np.sqrt(np.maximum(np.einsum("pn,pn->n", flat, flat) / len(flat) - mean**2, 0.0))])

    @property
    def inside(self) -> tuple[slice, slice]:
        """Rows and columns of the patches that show more image than padding; the middle ones of a very narrow image."""
        rows, columns = self.values.shape[:2]
        outside_u, outside_v = (
            min(round(max(-corner - 0.5, 0.0) / self.patch_px), (count - 1) // 2)
            for corner, count in zip(self.corner_px, (columns, rows), strict=True)
        )
        return slice(outside_v, rows - outside_v), slice(outside_u, columns - outside_u)

    def place(self, u: float, v: float) -> tuple[int, int]:
        """Return row and column of the patch at a pixel; the nearest one outside."""
        rows, columns = self.values.shape[:2]
        column, row = ((place - corner) / self.patch_px for place, corner in zip((u, v), self.corner_px, strict=True))
        return min(max(int(row), 0), rows - 1), min(max(int(column), 0), columns - 1)
