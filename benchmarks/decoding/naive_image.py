"""Crops made the official way: float32 from the start, two resizes, loops over crops; for comparison only."""

import numpy as np
import torch
import torch.nn.functional as F

from molmo_point.model.inputs.preprocess import ImageLayout, PreparedImage, canvas_size, fitted_size, select_tiling, token_places


def official_prepare(image: np.ndarray, layout: ImageLayout) -> PreparedImage:
    """Make the result of `prepare_image` by the steps of the official recipe.

    Args:
        image: (h, w, 3) uint8 RGB.
        layout: The checkpoint's settings.
    """
    overview, _ = _resized_and_padded(image, (layout.crop_px, layout.crop_px), layout)
    crops, masks = [overview], []
    rows, cols = select_tiling(image.shape[0], image.shape[1], layout) if layout.max_crops > 0 else (0, 0)
    if rows * cols > 0:
        canvas, valid = _resized_and_padded(image, canvas_size(rows, cols, layout), layout)
        step = layout.window_patches * layout.patch_px
        for i in range(rows):
            for j in range(cols):
                place = np.s_[i * step : i * step + layout.crop_px, j * step : j * step + layout.crop_px]
                crops.append(canvas[place])
                masks.append(valid[place])
    patches = _patches(np.stack(crops), layout)
    shares = np.full(patches.shape[:2], -1.0, np.float32)
    if masks:
        shares[: len(masks)] = _patches(np.stack(masks)[..., None].astype(np.float32), layout).mean(-1)
    return PreparedImage(patches, shares, token_places(rows, cols, layout), (rows, cols))


def _resized_and_padded(image: np.ndarray, size: tuple[int, int], layout: ImageLayout) -> tuple[np.ndarray, np.ndarray]:
    """Canvas (h, w, 3) float32, normalized, and which of its pixels are image (h, w) bool."""
    height, width = size
    inner = fitted_size(image.shape[0], image.shape[1], height, width)
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).to(torch.float32) / 255
    resized = F.interpolate(pixels[None], inner, mode="bilinear", antialias=True, align_corners=False)[0]
    array = torch.clip(resized, 0.0, 1.0).permute(1, 2, 0).numpy()
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    border = ((top, height - inner[0] - top), (left, width - inner[1] - left))
    valid = np.pad(np.ones(inner, bool), border, constant_values=False)
    array = np.pad(array, (*border, (0, 0)), constant_values=0)
    array = array - np.array(layout.mean, np.float32)[None, None]
    return array / np.array(layout.std, np.float32)[None, None], valid


def _patches(crops: np.ndarray, layout: ImageLayout) -> np.ndarray:
    """(crops, side, side, channels) to (crops, patches², patch²·channels)."""
    count, channels, p, n = len(crops), crops.shape[-1], layout.patch_px, layout.patches
    cut = crops.reshape(count, n, p, n, p, channels).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(cut.reshape(count, n * n, p * p * channels))
