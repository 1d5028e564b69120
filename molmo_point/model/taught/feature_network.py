"""The feature network: the first blocks of an EfficientNet-lite, frozen, as features of an image by patch.

Source of the architecture: EfficientNet (arXiv 1905.11946) without squeeze and excitation, with ReLU6. Its weights lie in a
folder of `molmo_point/checkpoints/`; `python -m lab.features.convert` made them, with the batch normalization folded in.
"""

import json
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn
from torch.nn import functional as F

from molmo_point.arrays import ColorArray
from molmo_point.errors import CheckpointError
from molmo_point.files import read_file
from molmo_point.model.taught.object_metric import descriptor_version
from molmo_point.patch_features import PatchFeatures

_CHECKPOINTS = Path(__file__).resolve().parents[2] / "checkpoints"
DEFAULT_NETWORK = "lite0"
_MEAN, _SCALE = 127.0, 128.0
_STRIDE_PX = 16
_AGAIN = "install molmo-point again"


@dataclass(frozen=True)
class BlockShape:
    """Shape of one inverted residual block.

    Attributes:
        kernel: Side of the depthwise kernel, odd.
        stride: Stride of the depthwise convolution, 1 or 2.
        expand: Factor of the channels inside; 1 has no expansion.
        channels: Channels in and out.
    """

    kernel: int
    stride: int
    expand: int
    channels: tuple[int, int]


class _SameConv(nn.Conv2d):
    """Convolution with the padding of TensorFlow: the output has ceil(size / stride) places."""

    def forward(self, input: Tensor) -> Tensor:
        (k, _), (s, _) = self.kernel_size, self.stride
        if s == 1:
            return F.conv2d(input, self.weight, self.bias, padding=k // 2, groups=self.groups)
        high, wide = (max((-(-side // s) - 1) * s + k - side, 0) for side in input.shape[-2:])
        padded = F.pad(input, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        return F.conv2d(padded, self.weight, self.bias, s, groups=self.groups)


class _Block(nn.Module):
    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        before, after = shape.channels
        inner = before * shape.expand
        self.expand = _SameConv(before, inner, 1) if shape.expand > 1 else None
        self.depthwise = _SameConv(inner, inner, shape.kernel, shape.stride, groups=inner)
        self.project = _SameConv(inner, after, 1)
        self._adds = shape.stride == 1 and before == after

    def forward(self, values: Tensor) -> Tensor:
        inner = values if self.expand is None else F.relu6(self.expand(values), inplace=True)
        out = self.project(F.relu6(self.depthwise(inner), inplace=True))
        return out + values if self._adds else out


class FeatureNetwork(nn.Module):
    """Frozen image features at strides 8 and 16.

    Args:
        name: Name of the network, e.g. "lite0".
        blocks: Shapes of its blocks; strides multiply to 16 with the first convolution's 2.
        version: Hash of the weights and of the descriptors, which a library of taught objects carries.

    Attributes:
        name: Name of the network.
        version: Hash of the weights and of the descriptors of objects.
        shapes: Shapes of its blocks.
        channels: Number of features of a patch.
    """

    def __init__(self, name: str, blocks: tuple[BlockShape, ...], version: str) -> None:
        super().__init__()
        self.name, self.version, self.shapes = name, version, blocks
        self.first = _SameConv(3, blocks[0].channels[0], 3, 2)
        self.blocks = nn.ModuleList(_Block(shape) for shape in blocks)
        strides = np.cumprod([2, *(shape.stride for shape in blocks)])[1:]
        self._fine = int(np.flatnonzero(strides == _STRIDE_PX // 2)[-1])
        self.channels = 4 * blocks[self._fine].channels[1] + blocks[-1].channels[1]

    def forward(self, images: Tensor) -> Tensor:
        """Return features (n, channels, h / 16, w / 16) of RGB images (n, 3, h, w) in 0 to 255; sides are multiples of 16.

        The four fine features below each patch come first, then the coarse ones.
        """
        values = F.relu6(self.first((images - _MEAN) / _SCALE))
        fine = values
        for index, block in enumerate(self.blocks):
            values = block(values)
            if index == self._fine:
                fine = values
        return torch.cat([F.pixel_unshuffle(fine, 2), values], 1)

    @torch.inference_mode()
    def grid(self, color: ColorArray, longest_px: float = 640.0) -> PatchFeatures:
        """Return the features of an image by patch.

        Args:
            color: (h, w, 3) uint8, RGB.
            longest_px: Longer side in pixels to which the image is scaled first; a patch is 16 of these pixels.
        """
        height, width = color.shape[:2]
        scale = longest_px / max(height, width)
        values = torch.from_numpy(np.ascontiguousarray(color)).permute(2, 0, 1)[None].float()
        if abs(scale - 1) > 1e-6:
            size = (max(round(height * scale), 1), max(round(width * scale), 1))
            values = F.interpolate(values, size, mode="bilinear", antialias=True, align_corners=False)
        rest = [-side % _STRIDE_PX for side in values.shape[-2:]]
        values = F.pad(values, (0, rest[1], 0, rest[0]), mode="replicate")
        # Depthwise convolutions are about twice as fast on a CPU with the channels last.
        found = self(values.contiguous(memory_format=torch.channels_last))[0].permute(1, 2, 0).contiguous().numpy()
        return PatchFeatures(found, _STRIDE_PX / scale, (-0.5, -0.5))


def available_networks() -> tuple[str, ...]:
    """List the names of the feature networks of this package."""
    return tuple(sorted(path.parent.name for path in _CHECKPOINTS.glob("*/features.json")))


@cache
def load_feature_network(name: str = DEFAULT_NETWORK) -> FeatureNetwork:
    """Load a feature network of this package, in float32.

    Args:
        name: Folder in `molmo_point/checkpoints/`.

    Raises:
        CheckpointError: The files are missing or broken.
    """
    folder = _CHECKPOINTS / name
    try:
        settings = json.loads(read_file(folder / "features.json"))
        data = read_file(folder / "model.safetensors")
        blocks = tuple(BlockShape(k, s, e, (before, after)) for k, s, e, before, after in settings["blocks"])
        version = sha256(data + descriptor_version()).hexdigest()[:12]
        network = FeatureNetwork(name, blocks, f"{name}-{version}")
        network.load_state_dict({key: value.float() for key, value in load_tensors(data).items()}, strict=True)
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise CheckpointError("the feature network must be complete", f"{folder}: {error}", _AGAIN) from error
    return network.to(memory_format=torch.channels_last).eval().requires_grad_(False)
