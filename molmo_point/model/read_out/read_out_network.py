"""The read-out network: from image features to objects, places, nouns, categories and colors by cell.

`python -m lab.read_out.train` made its weights. A cell is half a patch: 8 pixels of an image 640 pixels wide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn
from torch.nn import functional as F

from molmo_point.arrays import FloatArray
from molmo_point.errors import CheckpointError
from molmo_point.files import read_file
from molmo_point.patch_features import PatchFeatures

VOTE_CELLS = 4.0
"""Cells for one unit of a vote."""


@dataclass(frozen=True, eq=False)
class CellMaps:
    """Reading of one image by cell.

    Attributes:
        presence: (rows, columns) float32, probability that a cell shows an object.
        centers: (rows, columns, 2) float32, (u, v) in pixels of the middle of the object that a cell shows.
        nouns: (rows, columns, n) float32, log-odds of each noun.
        categories: (rows, columns, n) float32, log-odds of each category.
        colors: (rows, columns, n) float32, log-odds of each color word.
        cell_px: Side of a cell in pixels of the image.
    """

    presence: FloatArray
    centers: FloatArray
    nouns: FloatArray
    categories: FloatArray
    colors: FloatArray
    cell_px: float


class ReadOutNetwork(nn.Module):
    """Two mixing layers on patches, joined with the fine features of cells.

    Args:
        words: Words of the outputs, under "nouns", "categories" and "colors".
        widths: Numbers of channels by patch and by cell.
        features: Numbers of fine features of a cell, and of all features of a patch.
    """

    def __init__(
        self, words: Mapping[str, Sequence[str]], widths: tuple[int, int], features: tuple[int, int] = (40, 272)
    ) -> None:
        super().__init__()
        (wide, narrow), (fine, every) = widths, features
        self.words = {name: tuple(words[name]) for name in ("nouns", "categories", "colors")}
        self.fine_count = fine
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(every))
        self.register_buffer("scale", torch.ones(every))
        self.first = nn.Conv2d(every, wide, 1)
        self.near = nn.Conv2d(wide, wide, 5, padding=2, groups=wide)
        self.near_mix = nn.Conv2d(wide, wide, 1)
        self.around = nn.Conv2d(wide, wide, 7, padding=3, groups=wide)
        self.around_mix = nn.Conv2d(wide, wide, 1)
        self.coarse = nn.Conv2d(wide, narrow, 1)
        self.fine = nn.Conv2d(fine, narrow, 1)
        self.mix = nn.Conv2d(narrow, narrow, 1)
        self.place = nn.Conv2d(narrow, 3, 1)
        self.nouns = nn.Conv2d(narrow, len(self.words["nouns"]), 1)
        self.direct = nn.Conv2d(every, len(self.words["nouns"]), 1, bias=False)
        self.categories = nn.Conv2d(narrow, len(self.words["categories"]), 1)
        self.colors = nn.Conv2d(narrow, len(self.words["colors"]), 1)

    def normalized(self, features: Tensor) -> Tensor:
        """Return features (n, all, rows, columns) with the mean and spread of the training taken off."""
        return (features - self.mean[:, None, None]) / self.scale[:, None, None]

    def cells(self, normalized: Tensor) -> Tensor:
        """Return hidden values (n, narrow, 2 rows, 2 columns) of the cells."""
        wide = F.relu(self.first(normalized))
        wide = wide + F.relu(self.near_mix(self.near(wide)))
        wide = wide + F.relu(self.around_mix(self.around(wide)))
        coarse = F.interpolate(self.coarse(wide), scale_factor=2.0, mode="bilinear", align_corners=False)
        hidden = F.relu(coarse + self.fine(F.pixel_shuffle(normalized[:, : 4 * self.fine_count], 2)))
        return hidden + F.relu(self.mix(hidden))

    @torch.inference_mode()
    def describe(self, grid: PatchFeatures) -> FloatArray:
        """Return what is known of each cell (2 rows, 2 columns, n): fine and coarse features, and hidden values."""
        normalized = self.normalized(torch.from_numpy(grid.values).permute(2, 0, 1)[None])
        fine = F.pixel_shuffle(normalized[:, : 4 * self.fine_count], 2)
        coarse = F.interpolate(normalized[:, 4 * self.fine_count :], scale_factor=2.0, mode="nearest")
        return torch.cat([fine, coarse, self.cells(normalized)], 1)[0].permute(1, 2, 0).contiguous().numpy()

    @torch.inference_mode()
    def read(self, grid: PatchFeatures) -> CellMaps:
        """Read the features of one image."""
        normalized = self.normalized(torch.from_numpy(grid.values).permute(2, 0, 1)[None])
        hidden = self.cells(normalized)
        nouns = self.nouns(hidden) + F.interpolate(self.direct(normalized), scale_factor=2.0, mode="nearest")
        place, nouns, categories, colors = (
            found[0].permute(1, 2, 0).contiguous().numpy()
            for found in (self.place(hidden), nouns, self.categories(hidden), self.colors(hidden))
        )
        cell_px = grid.patch_px / 2
        rows, columns = place.shape[:2]
        u, v = (
            corner + (np.arange(count) + 0.5) * cell_px for corner, count in zip(grid.corner_px, (columns, rows), strict=True)
        )
        middles = np.stack(np.meshgrid(u, v), -1)
        centers = (middles + place[..., 1:] * VOTE_CELLS * cell_px).astype(np.float32)
        return CellMaps(1 / (1 + np.exp(-place[..., 0])), centers, nouns, categories, colors, cell_px)


def load_read_out(folder: Path, settings: Mapping[str, Any]) -> ReadOutNetwork:
    """Load the read-out network of a checkpoint, in float32.

    Args:
        folder: Folder with `model.safetensors`.
        settings: Content of its `config.json`.

    Raises:
        CheckpointError: The files are missing or broken, or do not belong together.
    """
    try:
        tensors = load_tensors(read_file(folder / "model.safetensors"))
        wide, narrow = (int(width) for width in settings["widths"])
        network = ReadOutNetwork(settings["words"], (wide, narrow))
        network.load_state_dict({name: value.float() for name, value in tensors.items()}, strict=True)
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            "the read-out network must be complete", f"{folder}: {error}", "install molmo-point again"
        ) from error
    return network.eval().requires_grad_(False)
