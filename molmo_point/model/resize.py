"""An 8-bit image resized, padded, normalised and cut into patches: two passes of small matrix products.

The filter is the antialiased bilinear one of ``torch.nn.functional.interpolate``: a triangle as wide
as the reduction, its centre computed in float32. Because resizing is linear, dividing by 255 and
normalising are folded into its weights, and each pass writes where its result will be read.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

_CACHED_SIZES = 16  # axes whose weights are kept; a camera needs four


@dataclass(frozen=True)
class Fit:
    """How an image is laid onto a canvas; all sizes in pixels.

    Attributes:
        size: (height, width) of the canvas, multiples of ``patch``.
        inner: (height, width) of the resized image.
        patch: Side of a patch.
    """

    size: tuple[int, int]
    inner: tuple[int, int]
    patch: int

    @property
    def before(self) -> tuple[int, int]:
        """Rows above and columns left of the image; an odd one out goes below or right."""
        return (self.size[0] - self.inner[0]) // 2, (self.size[1] - self.inner[1]) // 2


@dataclass(frozen=True)
class _Band:
    """Outputs that share one product: patch ``index`` of the axis needs inputs [start, stop)."""

    index: int
    start: int
    stop: int
    weights: torch.Tensor


def resized_patches(image: np.ndarray, fit: Fit, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """The canvas as normalised patches.

    Args:
        image: (h, w, 3) uint8 RGB, contiguous and writeable.
        fit: Canvas and place of the image on it.
        mean: Channel means (3,) of RGB in [0, 1].
        std: Channel deviations (3,).

    Returns:
        (rows, columns, 3·patch²) float32 view, rows and columns in patches, channel last within a
        patch. Padding is black before normalisation, so it is −mean/std.
    """
    p, (height, width) = fit.patch, fit.size
    flat = torch.from_numpy(image).view(image.shape[0], -1)
    down = _bands(image.shape[0], fit.inner[0], fit.before[0], height, p)
    across = _color_bands(image.shape[1], fit.inner[1], fit.before[1], width, p, std)
    bias = (-torch.tensor(mean) / torch.tensor(std)).repeat(p)
    first, last = down[0].index, down[-1].index + 1
    low = torch.empty((last - first) * p, flat.shape[1])
    for band in down:
        rows = slice((band.index - first) * p, (band.index - first + 1) * p)
        torch.mm(band.weights, flat[band.start : band.stop].float(), out=low[rows])
    # One patch column after the other, so that the rows of a patch lie next to one another.
    tiles = torch.empty(width // p, height, 3 * p)
    tiles[:, : first * p] = bias
    tiles[:, last * p :] = bias
    tiles[: across[0].index] = bias
    tiles[across[-1].index + 1 :] = bias
    for band in across:
        target = tiles[band.index, first * p : last * p]
        torch.addmm(bias, low[:, 3 * band.start : 3 * band.stop], band.weights, out=target)
    return tiles.view(width // p, height // p, -1).transpose(0, 1)


def axis_weights(source: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Filter of one axis.

    Returns:
        First input (target,) int64 of every output, and its weights (target, taps) float32, which
        sum to one; taps that an output does not need weigh nothing.
    """
    scale = np.float32(source) / np.float32(target)
    support = np.maximum(scale, np.float32(1))
    # Float32 like torch's own: at 4000 pixels a float64 centre would move weights by 2e-4.
    centre = (np.float64(scale) * (np.arange(target) + 0.5)).astype(np.float32)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    end = np.minimum((centre + support + 0.5).astype(np.int64), source)
    taps = np.arange(int((end - first).max()))
    offset = (first[:, None] + taps).astype(np.float32) - centre[:, None]
    weights = np.maximum(0, 1 - np.abs((offset + 0.5) / support)).astype(np.float32)
    weights[taps >= (end - first)[:, None]] = 0
    return first, weights / weights.sum(axis=1, keepdims=True)


@lru_cache(maxsize=_CACHED_SIZES)
def _bands(source: int, target: int, before: int, total: int, patch: int) -> tuple[_Band, ...]:
    """Bands of an axis on which ``target`` outputs start at ``before`` of ``total``."""
    first, weights = axis_weights(source, target)
    bands = []
    for index in range(before // patch, -(-(before + target) // patch)):
        begin = max(index * patch - before, 0)
        end = min((index + 1) * patch - before, target)
        start = int(first[begin])
        stop = min(int(first[end - 1]) + weights.shape[1], source)
        matrix = np.zeros((patch, stop - start), np.float32)
        for k in range(begin, end):
            taps = weights[k, : stop - first[k]]
            matrix[before + k - index * patch, first[k] - start : first[k] - start + len(taps)] = taps
        bands.append(_Band(index, start, stop, torch.from_numpy(matrix)))
    return tuple(bands)


@lru_cache(maxsize=_CACHED_SIZES)
def _color_bands(source: int, target: int, before: int, total: int, patch: int, std: tuple[float, ...]) -> tuple[_Band, ...]:
    """The same for interleaved RGB, (3·inputs, 3·patch), with 1/(255·std) in the weights."""
    gain = (1 / (255 * torch.tensor(std, dtype=torch.float64))).float()
    bands = []
    for band in _bands(source, target, before, total, patch):
        taps = band.weights.T.contiguous()
        matrix = torch.einsum("io,cd->icod", taps, torch.diag(gain)).reshape(3 * taps.shape[0], 3 * patch)
        bands.append(_Band(band.index, band.start, band.stop, matrix.contiguous()))
    return tuple(bands)
