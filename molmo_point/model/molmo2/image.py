"""Conversion of an RGB image to the patches of Molmo2, identical to transformers' image processor.

That processor needs torchvision, only for a bilinear resize that torch has as well.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from molmo_point.errors import CheckpointError
from molmo_point.model.checkpoint.image_settings import (
    DEVIATIONS,
    LARGEST_CROP_PX,
    MEANS,
    MOST_CROPS,
    MOST_IMAGE_BYTES,
    colors,
    whole,
)
from molmo_point.model.inputs.image_input import to_rgb
from molmo_point.model.inputs.preprocess import best_tiling


@dataclass(frozen=True)
class Molmo2ImageLayout:
    """Image settings of a Molmo2 checkpoint.

    Attributes:
        crop_size: Side of a square crop, in pixels.
        patch_size: Side of a patch, in pixels.
        max_crops: Largest number of overlapping crops, without the overview.
        margins: Overlap at the left/top and right/bottom of a crop, in patches.
        pooling: Rows and columns of patches per token.
        mean: Means of red, green and blue, 0 to 1.
        std: Standard deviations of red, green and blue, 0 to 1.
    """

    crop_size: int = 378
    patch_size: int = 14
    max_crops: int = 8
    margins: tuple[int, int] = (4, 4)
    pooling: tuple[int, int] = (2, 2)
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    @classmethod
    def from_settings(cls, settings: dict[str, Any], where: str) -> "Molmo2ImageLayout":
        """Read the image part of processor settings, absent values as released; CheckpointError for an invalid value."""
        try:
            return cls(**_read_settings(settings))
        except (ValueError, AttributeError, TypeError) as error:
            fix = "download preprocessor_config.json and processor_config.json of the checkpoint again"
            raise CheckpointError("The image settings must be those of a Molmo2", f"{where}: {error}", fix) from error

    @property
    def patches_per_side(self) -> int:
        """Number of patches along one side of a crop."""
        return self.crop_size // self.patch_size

    @property
    def window(self) -> int:
        """Number of patches along one side of a crop without its margins."""
        return self.patches_per_side - sum(self.margins)


def _read_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Read the fields of `Molmo2ImageLayout` that are given; ValueError names the one that is out of bounds."""
    size, released = settings.get("size") or {}, Molmo2ImageLayout()
    height, width = size.get("height", released.crop_size), size.get("width", released.crop_size)
    if height != width:
        raise ValueError(f"size is {size!r}, but a crop must be square")
    crop = whole({"size": height}, "size", 1, LARGEST_CROP_PX)
    patch = whole({"patch_size": released.patch_size} | _given(settings, "patch_size"), "patch_size", 1, LARGEST_CROP_PX)
    most = whole({"max_crops": released.max_crops} | _given(settings, "max_crops"), "max_crops", 1, MOST_CROPS)
    margins = _two(settings, "overlap_margins", released.margins, 0)
    pooling = _two(settings, "pooling_size", released.pooling, 1)
    if crop % patch or sum(margins) * patch >= crop:
        raise ValueError(f"size is {crop}, no number of patches of {patch} with room for overlap_margins = {list(margins)}")
    if (1 + most) * crop * crop * 12 > MOST_IMAGE_BYTES:
        raise ValueError(f"max_crops is {most}: one image of so many crops of {crop} pixels takes more than 1 GiB")
    mean = colors({"image_mean": released.mean} | _given(settings, "image_mean"), "image_mean", *MEANS)
    std = colors({"image_std": released.std} | _given(settings, "image_std"), "image_std", *DEVIATIONS)
    sizes = {"crop_size": crop, "patch_size": patch, "max_crops": most}
    return {**sizes, "margins": margins, "pooling": pooling, "mean": mean, "std": std}


def _given(settings: dict[str, Any], name: str) -> dict[str, Any]:
    return {name: settings[name]} if settings.get(name) is not None else {}


def _two(settings: dict[str, Any], name: str, released: tuple[int, int], low: int) -> tuple[int, int]:
    """Read two whole numbers from ``low`` up."""
    value = settings.get(name) if settings.get(name) is not None else released
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(f"{name} is {str(value)[:60]}, not two whole numbers")
    return whole({name: value[0]}, name, low, LARGEST_CROP_PX), whole({name: value[1]}, name, low, LARGEST_CROP_PX)


@dataclass(frozen=True)
class Molmo2Image:
    """One image as tensors.

    Attributes:
        pixel_values: (crops, patches, 3·patch²) float32, overview first.
        token_pooling: (tokens, patches per token) int64 indices into the patches of all crops; −1 is none.
        grid: Rows and columns of tokens of the overview, then of all crops together.
    """

    pixel_values: torch.Tensor
    token_pooling: torch.Tensor
    grid: tuple[int, int, int, int]


def prepare_molmo2_image(image: Any, layout: Molmo2ImageLayout) -> Molmo2Image:
    """Cut an image, any input of `to_rgb`, into an overview and crops, and these into patches; errors as `to_rgb`."""
    rgb = to_rgb(image)
    channels_first = torch.from_numpy(rgb.astype(np.float32)).permute(2, 0, 1)
    rows, columns = tiling(rgb.shape[0], rgb.shape[1], layout)
    window, side = layout.window * layout.patch_size, layout.crop_size
    margin = sum(layout.margins) * layout.patch_size
    canvas = _resized(channels_first, rows * window + margin, columns * window + margin, layout)
    crops = canvas.unfold(1, side, window).unfold(2, side, window).permute(1, 2, 3, 4, 0).reshape(-1, side, side, 3)
    whole = _resized(channels_first, side, side, layout).permute(1, 2, 0)[None]
    low, low_rows, low_columns = _pooled(torch.arange(layout.patches_per_side**2).view(layout.patches_per_side, -1), layout)
    high, high_rows, high_columns = _pooled(_patch_places(rows, columns, layout), layout)
    high = torch.where(high >= 0, high + layout.patches_per_side**2, -1)
    return Molmo2Image(
        pixel_values=_patches(torch.cat([whole, crops]), layout.patch_size),
        token_pooling=torch.cat([low, high]),
        grid=(low_rows, low_columns, high_rows, high_columns),
    )


def tiling(height: int, width: int, layout: Molmo2ImageLayout) -> tuple[int, int]:
    """Choose the rows and columns of crops that enlarge the image least, else shrink it least."""
    margin = sum(layout.margins) * layout.patch_size
    return best_tiling((height - margin, width - margin), layout.window * layout.patch_size, layout.max_crops)


def _resized(image: torch.Tensor, height: int, width: int, layout: Molmo2ImageLayout) -> torch.Tensor:
    """Resize to (3, height, width), round to integer levels as in training, and normalize."""
    stretched = image
    if image.shape[1:] != (height, width):
        stretched = functional.interpolate(image[None], (height, width), mode="bilinear", align_corners=False)[0]
    stretched = stretched.round().clamp(0, 255)
    mean, std = (torch.tensor(values)[:, None, None] * 255 for values in (layout.mean, layout.std))
    return (stretched - mean) / std


def _patches(crops: torch.Tensor, patch: int) -> torch.Tensor:
    count, side = crops.shape[0], crops.shape[1] // patch
    return crops.view(count, side, patch, side, patch, 3).transpose(2, 3).reshape(count, side**2, patch * patch * 3)


def _patch_places(rows: int, columns: int, layout: Molmo2ImageLayout) -> torch.Tensor:
    """Map every patch of the canvas, row by row, to its index among the patches of all crops."""
    side, (first, last) = layout.patches_per_side, layout.margins
    places = torch.arange(rows * columns * side * side).view(rows, columns, side, side)
    own = torch.ones_like(places, dtype=torch.bool)
    own[1:, :, :first] = False
    own[:, 1:, :, :first] = False
    own[:-1, :, side - last :] = False
    own[:, :-1, :, side - last :] = False
    by_line, own_by_line = places.transpose(1, 2), own.transpose(1, 2)
    return by_line[own_by_line].view(rows * layout.window + first + last, columns * layout.window + first + last)


def _pooled(places: torch.Tensor, layout: Molmo2ImageLayout) -> tuple[torch.Tensor, int, int]:
    """Group indices by token (rows·columns, pool), padded with −1; then rows and columns."""
    high, wide = layout.pooling
    missing_rows, missing_columns = -places.shape[0] % high, -places.shape[1] % wide
    edges = (missing_columns // 2, (missing_columns + 1) // 2, missing_rows // 2, (missing_rows + 1) // 2)
    padded = functional.pad(places, edges, value=-1)
    rows, columns = padded.shape[0] // high, padded.shape[1] // wide
    return padded.view(rows, high, columns, wide).transpose(1, 2).reshape(rows * columns, high * wide), rows, columns
