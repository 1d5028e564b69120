"""Resizing, padding, normalization and patching of an 8-bit image, in two passes of matrix products.

The filter is the antialiased bilinear one of ``torch.nn.functional.interpolate``; its weights include the normalization.
The canvas is computed a few patch columns at a time, so that intermediate values stay in the CPU cache.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

_CACHED_SIZES = 16  # axes with cached weights; a camera needs four
_COLUMNS = 12  # patch columns computed at a time


@dataclass(frozen=True)
class CanvasFit:
    """Placement of an image on a canvas; all sizes in pixels.

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
        """Rows above and columns left of the image; an odd remainder goes below or right."""
        return (self.size[0] - self.inner[0]) // 2, (self.size[1] - self.inner[1]) // 2


@dataclass(frozen=True)
class _Band:
    """Outputs of one matrix product: patch ``index`` of the axis needs the inputs [start, stop)."""

    index: int
    start: int
    stop: int
    weights: np.ndarray


def resized_patches(
    image: np.ndarray, fit: CanvasFit, mean: tuple[float, ...], std: tuple[float, ...]
) -> Iterator[tuple[int, np.ndarray]]:
    """Generate the canvas of an image (h, w, 3) uint8, contiguous, as normalized patches from left to right.

    Yields:
        First column, and patches (rows, columns, 3·patch²) float32, channel last within a patch. The next item overwrites
        them. Padding is black before normalization: −mean/std.
    """
    p, (height, width) = fit.patch, fit.size
    flat = image.reshape(image.shape[0], -1)
    down = _bands(image.shape[0], fit.inner[0], fit.before[0], p)
    across = {b.index: b for b in _color_bands(image.shape[1], fit.inner[1], fit.before[1], p, std)}
    bias = np.tile(-np.array(mean, np.float32) / np.array(std, np.float32), p)
    top, bottom = down[0].index * p, (down[-1].index + 1) * p
    # Stored by patch column, so that the rows of a patch are contiguous.
    tiles = np.empty((_COLUMNS, height, 3 * p), np.float32)
    tiles[:, :top] = bias
    tiles[:, bottom:] = bias
    for column in range(0, width // p, _COLUMNS):
        count = min(_COLUMNS, width // p - column)
        bands = [across.get(column + k) for k in range(count)]
        low, left = _low(flat, down, p, [band for band in bands if band is not None])
        for k, band in enumerate(bands):
            target = tiles[k, top:bottom]
            if band is None:
                target[:] = bias
            else:
                _multiply(low[:, 3 * (band.start - left) : 3 * (band.stop - left)], band.weights, target)
                target += bias
        yield column, tiles[:count].reshape(count, height // p, -1).swapaxes(0, 1)


def _low(flat: np.ndarray, down: tuple[_Band, ...], patch: int, across: list[_Band]) -> tuple[np.ndarray, int]:
    """Resize the columns of ``across`` to their final height: (rows, 3·columns) float32, and the first column."""
    if not across:
        return np.empty((0, 0), np.float32), 0
    left, right = across[0].start, max(band.stop for band in across)
    inputs = flat[:, 3 * left : 3 * right].astype(np.float32)
    low = np.empty((len(down) * patch, inputs.shape[1]), np.float32)
    for k, band in enumerate(down):
        _multiply(band.weights, inputs[band.start : band.stop], low[k * patch : (k + 1) * patch])
    return low, left


def _multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Multiply matrices; with several threads by torch, because NumPy's threads would compete with the model's."""
    if torch.get_num_threads() == 1:
        np.matmul(a, b, out=out)  # less overhead per call, which matters for hundreds of small products
    else:
        torch.mm(torch.from_numpy(a), torch.from_numpy(b), out=torch.from_numpy(out))


def axis_weights(source: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the filter of one axis.

    Returns:
        First input (target,) int64 of every output, and its weights (target, taps) float32, which sum to one.
    """
    scale = np.float32(source) / np.float32(target)
    support = np.maximum(scale, np.float32(1))
    # Float32 as in torch: at 4000 pixels a float64 center would change weights by 2e-4.
    center = (np.float64(scale) * (np.arange(target) + 0.5)).astype(np.float32)
    first = np.maximum((center - support + 0.5).astype(np.int64), 0)
    end = np.minimum((center + support + 0.5).astype(np.int64), source)
    taps = np.arange(int((end - first).max()))
    offset = (first[:, None] + taps).astype(np.float32) - center[:, None]
    weights = np.maximum(0, 1 - np.abs((offset + 0.5) / support)).astype(np.float32)
    weights[taps >= (end - first)[:, None]] = 0
    return first, weights / weights.sum(axis=1, keepdims=True)


@lru_cache(maxsize=_CACHED_SIZES)
def _bands(source: int, target: int, before: int, patch: int) -> tuple[_Band, ...]:
    """List the bands of an axis with ``target`` outputs that start at ``before``."""
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
        bands.append(_Band(index, start, stop, matrix))
    return tuple(bands)


@lru_cache(maxsize=_CACHED_SIZES)
def _color_bands(source: int, target: int, before: int, patch: int, std: tuple[float, ...]) -> tuple[_Band, ...]:
    """List the bands for interleaved RGB, (3·inputs, 3·patch), with 1/(255·std) in the weights."""
    gain = np.diag((1 / (255 * np.array(std))).astype(np.float32))
    bands = []
    for band in _bands(source, target, before, patch):
        matrix = np.einsum("oi,cd->icod", band.weights, gain).reshape(-1, 3 * patch)
        bands.append(_Band(band.index, band.start, band.stop, np.ascontiguousarray(matrix)))
    return tuple(bands)
