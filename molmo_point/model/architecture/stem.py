"""Stem of an image encoder: a frozen feature network in front of few transformer blocks."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from molmo_point.errors import CheckpointError
from molmo_point.model.taught.feature_network import BlockShape, FeatureNetwork

STRIDE_PX = 16
_MOST_BLOCKS, _MOST_CHANNELS, _LARGEST_KERNEL, _MOST_EXPANSION = 100, 4096, 15, 64
_FIX = "use the config.json of the same checkpoint"


def check_stem(stem: Mapping[str, Any], patch_size: int) -> None:
    """Check the description of a stem; a CheckpointError names the first entry that is wrong.

    Args:
        stem: `MolmoVisionConfig.stem`.
        patch_size: Side of a patch, in pixels: a multiple of 16.
    """
    if patch_size < STRIDE_PX or patch_size % STRIDE_PX:
        given = f"patch_size = {patch_size}"
        raise CheckpointError(f"Patches of an encoder with a stem must be multiples of {STRIDE_PX} px", given, _FIX)
    for name, smallest in (("mean", -1.0), ("std", 1e-3)):
        values = stem.get(name)
        if not isinstance(values, (list, tuple)) or len(values) != 3 or not all(_is_number(v, smallest) for v in values):
            raise CheckpointError(f"stem.{name} must be three numbers", f"stem.{name} = {str(values)[:60]}", _FIX)
    blocks = stem.get("blocks")
    if not isinstance(blocks, (list, tuple)) or not 1 <= len(blocks) <= _MOST_BLOCKS:
        raise CheckpointError("stem.blocks must be a list of blocks", f"stem.blocks = {str(blocks)[:60]}", _FIX)
    stride, before = 2, None
    for number, block in enumerate(blocks):
        if not _is_block(block) or before not in (None, block[3]):
            what = "A block of a stem must be kernel, stride, expansion, channels in, channels out"
            raise CheckpointError(what, f"stem.blocks[{number}] = {str(block)[:60]}", _FIX)
        stride, before = stride * block[1], block[4]
    if stride != STRIDE_PX or not any(block[1] == 2 for block in blocks[1:]):
        raise CheckpointError(f"The strides of a stem must multiply to {STRIDE_PX}", f"they multiply to {stride}", _FIX)


def _is_number(value: Any, smallest: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and smallest <= value <= 100.0


def _is_block(block: Any) -> bool:
    if not isinstance(block, (list, tuple)) or len(block) != 5 or any(type(entry) is not int for entry in block):
        return False
    kernel, stride, expand, before, after = block
    sizes = kernel % 2 == 1 and 1 <= kernel <= _LARGEST_KERNEL and stride in (1, 2) and 1 <= expand <= _MOST_EXPANSION
    return sizes and 1 <= before <= _MOST_CHANNELS and 1 <= after <= _MOST_CHANNELS


class Stem(nn.Module):
    """Frozen feature network on the patches of a crop; no gradient passes.

    Args:
        settings: `MolmoVisionConfig.stem`, checked.
        patch_size: Side of a patch, in pixels.

    Attributes:
        channels: Number of features of a patch.
    """

    def __init__(self, settings: Mapping[str, Any], patch_size: int) -> None:
        super().__init__()
        self._mean, self._std, self._patch = tuple(settings["mean"]), tuple(settings["std"]), patch_size
        shapes = tuple(BlockShape(k, s, e, (before, after)) for k, s, e, before, after in settings["blocks"])
        self.network = FeatureNetwork("stem", shapes, "")
        self.channels = self.network.channels * (patch_size // STRIDE_PX) ** 2

    @torch.no_grad()
    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Return features (crops, patches, channels) of normalized pixels (crops, patches, 3·patch²), channel last."""
        crops, count, side = patches.shape[0], patches.shape[1], self._patch
        n = round(count**0.5)
        grid = patches.view(crops, n, n, side, side, 3).permute(0, 5, 1, 3, 2, 4)
        pixels = grid.reshape(crops, 3, n * side, n * side)
        mean, std = (pixels.new_tensor(v)[:, None, None] for v in (self._mean, self._std))
        found = self.network(255.0 * (pixels * std + mean))
        return F.pixel_unshuffle(found, side // STRIDE_PX).flatten(2).transpose(1, 2)
