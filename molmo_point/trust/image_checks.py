"""Checks of an image by itself: light, texture, noise, blur and missing parts; a model cannot see in a poor image.

Every check reads a sample of the pixels, so that large images cost no more than small ones. The limits were fitted on
photographs and simulated tables, and judged on others; `tests/trust/test_image_checks.py` states both sides of each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import ColorArray
from molmo_point.cautions import Caution, CautionKind

_SIDE_PX = 640
"""Longer side of the sample of an image; blur is judged at this size."""
_LEAST_SIDE_PX = 32
"""Shorter side of an image or a sample below which its structure is not judged."""
_DARK_LEVEL, _DARK_SHARE = 40, 0.985
_BRIGHT_LEVEL, _BRIGHT_SHARE = 250, 0.85
_LEAST_CONTRAST = 16.0
_CELL, _CELL_QUANTILE = 4, 0.999
_TILE_PX, _TILE_ROWS, _TILE_COLUMNS, _TILE_QUANTILE = 12, 6, 8, 0.25
_MOST_NOISE, _MOST_COLOR_NOISE = 30.0, 24.0
_MEAN_OF_SECOND, _MEAN_OF_MIXED = 1.954, 1.596
"""Mean absolute second and mixed difference of white noise with a standard deviation of one."""
_BLUR_REACH_PX, _BLUR_CONTRAST, _LEAST_SHARPNESS = 8, 20.0, 0.18
_LINES_ADDED, _LINE_STEP = 4, 32
_MISSING_SHARE = 0.35


class PoorImageCause(str, Enum):
    """Reason for calling an image poor.

    DARK: nearly all pixels are almost black.
    OVER_EXPOSED: nearly all pixels are white.
    NO_TEXTURE: nothing stands out: a covered lens, fog, or one plain color.
    NOISE: random or striped brightness covers the whole image.
    BLUR: no edge is sharp.
    MISSING_PART: the lower part has one color, as in a picture that was not transferred completely.
    """

    DARK = "DARK"
    OVER_EXPOSED = "OVER_EXPOSED"
    NO_TEXTURE = "NO_TEXTURE"
    NOISE = "NOISE"
    BLUR = "BLUR"
    MISSING_PART = "MISSING_PART"


@dataclass(frozen=True)
class ImageFault:
    """One reason for calling an image poor.

    Attributes:
        cause: The kind of the reason.
        figure: The measured value: a share of the pixels (0 to 1), levels of 255, or a ratio for BLUR.
        message: One clause for people, with the figure.
    """

    cause: PoorImageCause
    figure: float
    message: str


def check_image(color: ColorArray) -> Caution | None:
    """Check an image (h, w, 3); None if a model can see in it."""
    faults = image_faults(color)
    return Caution(CautionKind.POOR_IMAGE, "; ".join(fault.message for fault in faults)) if faults else None


def image_faults(color: ColorArray) -> tuple[ImageFault, ...]:
    """Measure an image (h, w, 3) and list its faults, the gravest first."""
    if min(color.shape[:2]) < _LEAST_SIDE_PX:
        return ()
    seen = sampled(color)
    sample = np.ascontiguousarray(seen[1::4, 1::4])
    light = tuple(_light_faults(sample))
    # A black or white image has no texture, no edges and equal rows: one reason is enough.
    return light or tuple(_structure_faults(color, seen, sample))


def sampled(color: ColorArray) -> ColorArray:
    """Return every n-th pixel of an image, so that its longer side has at most 640 pixels; a view of the same memory."""
    step = -(-max(color.shape[:2]) // _SIDE_PX)
    return color[::step, ::step]


def _light_faults(sample: ColorArray) -> Iterator[ImageFault]:
    red, green, blue = (sample[..., channel] for channel in range(3))
    brightest, darkest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    dark = float(np.mean(brightest < _DARK_LEVEL))
    if dark >= _DARK_SHARE:
        text = f"the picture is too dark: {100 * dark:.0f} % of its pixels are below {_DARK_LEVEL} of 255"
        yield ImageFault(PoorImageCause.DARK, dark, text)
    bright = float(np.mean(darkest >= _BRIGHT_LEVEL))
    if bright >= _BRIGHT_SHARE:
        text = f"the picture is over-exposed: {100 * bright:.0f} % of its pixels are white"
        yield ImageFault(PoorImageCause.OVER_EXPOSED, bright, text)


def _structure_faults(color: ColorArray, seen: ColorArray, sample: ColorArray) -> Iterator[ImageFault]:
    if min(seen.shape[:2]) < _LEAST_SIDE_PX:
        return
    contrast = _contrast(sample)
    if contrast < _LEAST_CONTRAST:
        text = f"the picture shows next to nothing: its strongest edges differ by {contrast:.0f} of 255"
        yield ImageFault(PoorImageCause.NO_TEXTURE, contrast, text)
        return
    missing = _equal_rows_below(seen)
    if missing >= _MISSING_SHARE:
        text = f"a part of the picture is missing: the lower {100 * missing:.0f} % has one color"
        yield ImageFault(PoorImageCause.MISSING_PART, missing, text)
    # The rest is judged by the part that was transferred.
    color, seen = (image[: round(len(image) * (1 - missing))] for image in (color, seen))
    if min(seen.shape[:2]) < _LEAST_SIDE_PX:
        return
    noise, color_noise = _noise(color)
    if noise > _MOST_NOISE or color_noise > _MOST_COLOR_NOISE:
        figure = max(noise, color_noise)
        text = f"the picture is too noisy: its pixels vary by {figure:.0f} of 255 where it is plain"
        yield ImageFault(PoorImageCause.NOISE, figure, text)
        return
    sharpness = _sharpness(seen)
    if sharpness < _LEAST_SHARPNESS:
        text = f"the picture is blurred: its sharpest edges are wider than {_BLUR_REACH_PX} of {_SIDE_PX} pixels"
        yield ImageFault(PoorImageCause.BLUR, sharpness, text)


def _contrast(sample: ColorArray) -> float:
    """Return the difference of neighboring cells at the strongest edges, levels of 255; noise averages out in a cell."""
    rows, columns = (side // _CELL * _CELL for side in sample.shape[:2])
    levels = sample[:rows, :columns].astype(np.int16)
    bands = sum((levels[row::_CELL] for row in range(1, _CELL)), levels[::_CELL])
    cells = sum((bands[:, column::_CELL] for column in range(1, _CELL)), bands[:, ::_CELL])
    steps = [np.abs(np.diff(cells, axis=axis)) for axis in (0, 1)]
    strongest = [np.maximum(np.maximum(step[..., 0], step[..., 1]), step[..., 2]).ravel() for step in steps]
    return whole_quantile(np.concatenate(strongest), _CELL_QUANTILE) / _CELL**2


def _equal_rows_below(seen: ColorArray) -> float:
    """Return the share of rows of one color at the bottom, less those at the top: bars at both ends are no fault."""
    if not _is_plain(seen[-1]):
        return 0.0
    below = next((count for count, row in enumerate(seen[::-1]) if not _is_plain(row)), len(seen))
    above = next((count for count, row in enumerate(seen) if not _is_plain(row)), len(seen))
    return max(below - above, 0) / len(seen)


def _is_plain(row: ColorArray) -> bool:
    """Return True if the pixels (w, 3) of a row have one color, up to one level."""
    return bool((row.max(axis=0) - row.min(axis=0)).max() <= 1)


def _noise(color: ColorArray) -> tuple[float, float]:
    """Return the standard deviation of the noise in green and in red minus blue, levels of 255, in the plainest tiles."""
    rows, columns = (
        (np.linspace(0, side - _TILE_PX, count).astype(int)[:, None] + np.arange(_TILE_PX)).ravel()
        for side, count in zip(color.shape[:2], (_TILE_ROWS, _TILE_COLUMNS), strict=True)
    )
    tiles = color[rows[:, None], columns].astype(np.int16).reshape(_TILE_ROWS, _TILE_PX, _TILE_COLUMNS, _TILE_PX, 3)
    green, tint = tiles[..., 1], tiles[..., 0] - tiles[..., 2]
    second = [np.diff(green, 2, axis=axis) for axis in (1, 3)]
    mixed = np.diff(np.diff(tint, axis=1), axis=3)
    plainest = [_quantile(np.abs(each).mean(axis=(1, 3), dtype=np.float32).ravel(), _TILE_QUANTILE) for each in (*second, mixed)]
    return max(plainest[:2]) / _MEAN_OF_SECOND, plainest[2] / _MEAN_OF_MIXED


def _sharpness(seen: ColorArray) -> float:
    """Return the steepest slope over the largest difference within a few pixels; 1 for a step, 1 without contrast.

    The sharper of the two directions counts.
    """
    ratios = [_line_sharpness(lines) for lines in (seen[..., 1], seen[..., 1].T)]
    return 1.0 if np.all(np.isnan(ratios)) else float(np.nanmax(ratios))


def _line_sharpness(lines: NDArray[np.uint8]) -> float:
    """Return the sharpness along the lines (n, length); NaN without contrast."""
    # Neighboring lines are added against noise.
    count = len(lines) // _LINE_STEP * _LINE_STEP
    added = lines[0:count:_LINE_STEP].astype(np.int16)
    for line in range(1, _LINES_ADDED):
        added += lines[line:count:_LINE_STEP]
    near, far = (np.abs(added[:, reach:] - added[:, :-reach]) for reach in (1, _BLUR_REACH_PX))
    contrast = whole_quantile(far.ravel(), 0.999)
    return whole_quantile(near.ravel(), 0.9995) / contrast if contrast > _BLUR_CONTRAST * _LINES_ADDED else float("nan")


def whole_quantile(values: NDArray[np.integer], share: float) -> float:
    """Return a quantile of whole numbers from zero on; counting is much faster than `np.partition` with many equal values."""
    place = int(share * (values.size - 1))
    return float(np.searchsorted(np.bincount(values).cumsum(), place, side="right"))


def _quantile(values: NDArray[np.generic], share: float) -> float:
    place = int(share * (values.size - 1))
    return float(np.partition(values, place)[place])
