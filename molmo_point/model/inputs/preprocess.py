"""Crops, masks and token layout of an image for Molmo, identical to the reference.

Sizes in parentheses are those of the released models; all sizes follow from `ImageLayout`.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.errors import CheckpointError, InputError
from molmo_point.model.checkpoint.image_settings import MOST_CROPS, image_settings
from molmo_point.model.checkpoint.weight_files import read_object
from molmo_point.model.inputs.resize import CanvasFit, resized_patches

_MAX_ASPECT = 200.0


@dataclass(frozen=True)
class ImageLayout:
    """Image settings: the relevant fields of ``preprocessor_config.json``.

    Attributes:
        crop_px: Side of a crop, in pixels.
        patch_px: Side of a patch, in pixels.
        margin_patches: Overlap margin on each side of a crop, in patches (even).
        max_crops: Largest number of high-resolution crops; 0 means the overview alone.
        mean: (3,) channel means, subtracted from RGB in [0, 1].
        std: (3,) channel standard deviations.
    """

    crop_px: int = 336
    patch_px: int = 14
    margin_patches: int = 4
    max_crops: int = 12
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    @classmethod
    def from_folder(cls, folder: Path) -> "ImageLayout":
        """Read ``preprocessor_config.json``; a missing file means the released values, a broken one raises CheckpointError."""
        path = folder / "preprocessor_config.json"
        if not path.exists():
            return cls()
        try:
            return cls(**image_settings(read_object(path)))
        except ValueError as error:
            fix = "download it again"
            raise CheckpointError("The image settings of the checkpoint must be sound", f"{path}: {error}", fix) from error

    def to_dict(self) -> dict[str, Any]:
        """Content of ``preprocessor_config.json``, as in the released checkpoints."""
        return {
            "base_image_input_size": [self.crop_px, self.crop_px],
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
            "image_padding_mask": True,
            "image_patch_size": self.patch_px,
            "image_processor_type": "MolmoImageProcessor",
            "image_token_length_h": self.tokens,
            "image_token_length_w": self.tokens,
            "max_crops": self.max_crops,
            "overlap_margins": [self.margin_patches, self.margin_patches],
            "processor_class": "MolmoProcessor",
        }

    def with_max_crops(self, max_crops: int) -> "ImageLayout":
        """Copy the layout with another limit of crops, 0 for the overview only; InputError for more than `MOST_CROPS`."""
        if type(max_crops) is not int or not 0 <= max_crops <= MOST_CROPS:
            raise InputError(f"max_crops must be an integer from 0 to {MOST_CROPS}", repr(max_crops), f"e.g. {self.max_crops}")
        return replace(self, max_crops=max_crops)

    @property
    def patches(self) -> int:
        """Number of patches along a crop's side (24)."""
        return self.crop_px // self.patch_px

    @property
    def tokens(self) -> int:
        """Number of pooled tokens along a crop's side (12)."""
        return self.patches // 2

    @property
    def window_patches(self) -> int:
        """Shift between neighboring crops, in patches (16)."""
        return self.patches - 2 * self.margin_patches


@dataclass(frozen=True)
class PreparedImage:
    """One image, ready for the model.

    Attributes:
        images: (crops, patches², 3·patch²) float32, overview first, then crops row by row.
        image_masks: (crops, patches²) float32, fraction of valid pixels per patch. Row k belongs to crop k+1 and the last
            row is −1, as in the reference: the released weights were trained with this shift.
        image_input_idx: (crops, tokens²) int32, position of each pooled token in a sequence that starts with BOS; −100
            if the token is dropped.
        tiling: (rows, columns) of high-resolution crops; (0, 0) for the overview alone.
    """

    images: np.ndarray
    image_masks: np.ndarray
    image_input_idx: np.ndarray
    tiling: tuple[int, int]


def prepare_image(image: np.ndarray, layout: ImageLayout) -> PreparedImage:
    """Cut and normalize an image (h, w, 3) uint8 RGB; InputError if it is of another kind, empty, or too narrow."""
    check_image(image)
    pixels = np.ascontiguousarray(image)
    rows, cols = select_tiling(image.shape[0], image.shape[1], layout) if layout.max_crops > 0 else (0, 0)
    n = layout.patches
    images = np.empty((1 + rows * cols, n, n, 3 * layout.patch_px**2), np.float32)
    _fill_crops(images[:1], pixels, 1, layout)
    if rows * cols > 0:
        _fill_crops(images[1:], pixels, cols, layout)
    return PreparedImage(
        images=images.reshape(len(images), n * n, -1),
        image_masks=crop_masks(image.shape[:2], (rows, cols), layout),
        image_input_idx=token_places(rows, cols, layout),
        tiling=(rows, cols),
    )


def crop_masks(size: tuple[int, int], tiling: tuple[int, int], layout: ImageLayout) -> np.ndarray:
    """Compute ``image_masks`` (1 + rows·cols, patches²) float32 of an image of (height, width) pixels."""
    rows, cols = tiling
    n, step = layout.patches, layout.window_patches
    masks = np.full((1 + rows * cols, n, n), -1.0, np.float32)
    if rows * cols > 0:
        valid = _valid_shares(canvas_fit(size, rows, cols, layout))
        for k in range(rows * cols):
            y, x = (step * place for place in divmod(k, cols))
            masks[k] = valid[y : y + n, x : x + n]
    return masks.reshape(len(masks), n * n)


def check_image(image: Any) -> None:
    """Check that an image is RGB uint8, not empty and not too narrow; InputError otherwise."""
    shape, dtype = getattr(image, "shape", None), getattr(image, "dtype", None)
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or dtype != np.uint8:
        given = f"{type(image).__name__} of shape {shape}, dtype {dtype}"
        fix = "pass a NumPy array (height, width, 3) of uint8 in RGB order"
        raise InputError("The image must be RGB with 8-bit values", given, fix)
    height, width = image.shape[:2]
    if min(height, width) < 1 or max(height, width) / max(1, min(height, width)) > _MAX_ASPECT:
        given = f"width × height = {width} × {height}"
        fix = f"pass an image with both sides > 0 and an aspect ratio below {_MAX_ASPECT:.0f}"
        raise InputError("The image must not be empty or too narrow for crops", given, fix)


def select_tiling(height: int, width: int, layout: ImageLayout) -> tuple[int, int]:
    """Choose the rows and columns of crops that enlarge the image least, else shrink it least."""
    margin, window = 2 * layout.margin_patches * layout.patch_px, layout.window_patches * layout.patch_px
    return best_tiling((height - margin, width - margin), window, layout.max_crops)


def best_tiling(size: tuple[int, int], window: int, limit: int) -> tuple[int, int]:
    """Choose rows and columns of at most ``limit`` windows for (height, width) pixels; float32, first on ties."""
    candidates = [(i, j) for i in range(1, limit + 1) for j in range(1, limit + 1) if i * j <= limit]
    candidates.sort(key=lambda ij: (ij[0] * ij[1], ij[0]))
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = (np.array(candidates, np.float32) * window / np.array(size, np.float32)).min(axis=-1)
    return candidates[int(np.argmax(scale) if np.all(scale < 1) else np.argmin(np.where(scale < 1, 1e9, scale)))]


def token_places(rows: int, cols: int, layout: ImageLayout) -> np.ndarray:
    """Compute ``image_input_idx`` (1 + rows·cols, tokens²) int32 in closed form."""
    side, step, drop = layout.tokens, layout.window_patches // 2, layout.margin_patches // 2
    y, x = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    places = [2 + (side + 1) * y + x]
    start = 4 + side * (side + 1)
    line = step * cols + 2 * drop + 1
    for i in range(rows):
        for j in range(cols):
            kept = (y >= drop) | (i == 0)
            kept &= (y < side - drop) | (i == rows - 1)
            kept &= (x >= drop) | (j == 0)
            kept &= (x < side - drop) | (j == cols - 1)
            places.append(np.where(kept, start + (step * i + y) * line + step * j + x, -100))
    return np.stack(places).reshape(len(places), -1).astype(np.int32)


def image_token_ids(tiling: tuple[int, int], layout: ImageLayout, ids: dict[str, int]) -> np.ndarray:
    """List the token ids (n,) int64 of one image: overview block, then the block of ``tiling`` (rows, columns), row by row."""

    def block(height: int, width: int) -> np.ndarray:
        line = np.full(width + 1, ids["<im_patch>"])
        line[-1] = ids["<im_col>"]
        return np.concatenate([[ids["<im_start>"]], np.tile(line, height), [ids["<im_end>"]]])

    blocks = [block(layout.tokens, layout.tokens)]
    rows, cols = tiling
    if rows * cols > 0:
        step, both = layout.window_patches // 2, layout.margin_patches
        blocks.append(block(step * rows + both, step * cols + both))
    return np.concatenate(blocks).astype(np.int64)


def fitted_size(source_h: int, source_w: int, height: int, width: int) -> tuple[int, int]:
    """Height and width, in pixels, of an image scaled into a canvas with its aspect ratio kept."""
    # Float32 and truncation, because the reference computes the new size that way.
    scale = min(np.float32(height) / np.float32(source_h), np.float32(width) / np.float32(source_w))
    new_h = max(1, int(np.float32(source_h) * np.float32(scale)))
    new_w = max(1, int(np.float32(source_w) * np.float32(scale)))
    return new_h, new_w


def canvas_size(rows: int, cols: int, layout: ImageLayout) -> tuple[int, int]:
    """Height and width, in pixels, of the canvas covered by ``rows`` × ``cols`` overlapping crops."""
    step = layout.window_patches * layout.patch_px
    margin = 2 * layout.margin_patches * layout.patch_px
    return rows * step + margin, cols * step + margin


def canvas_fit(size: tuple[int, int], rows: int, cols: int, layout: ImageLayout) -> CanvasFit:
    """Place an image of (height, width) pixels on the canvas of ``rows`` × ``cols`` crops."""
    height, width = canvas_size(rows, cols, layout)
    return CanvasFit((height, width), fitted_size(*size, height, width), layout.patch_px)


def _fill_crops(crops: np.ndarray, image: np.ndarray, cols: int, layout: ImageLayout) -> None:
    """Fill ``crops`` (n, patches, patches, 3·patch²) with a canvas of ``cols`` crops per row."""
    n, step = layout.patches, layout.window_patches
    fit = canvas_fit(image.shape[:2], len(crops) // cols, cols, layout)
    for first, patches in resized_patches(image, fit, layout.mean, layout.std):
        last = first + patches.shape[1]
        for k, crop in enumerate(crops):
            y, x = (step * place for place in divmod(k, cols))
            begin, end = max(first, x), min(last, x + n)
            if begin < end:
                crop[:, begin - x : end - x] = patches[y : y + n, begin - first : end - first]


def _valid_shares(fit: CanvasFit) -> np.ndarray:
    """Fraction (rows, columns) of each patch of the canvas that is image, float32."""
    filled = []
    for total, inner, before in zip(fit.size, fit.inner, fit.before):
        line = np.zeros(total, np.float32)
        line[before : before + inner] = 1
        filled.append(line.reshape(-1, fit.patch).sum(axis=1))
    return np.outer(filled[0], filled[1]) / np.float32(fit.patch**2)
