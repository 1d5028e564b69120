"""Resizing, padding, normalising and patching against the official recipe, which is written anew here."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from molmo_point.model.inputs import resize
from molmo_point.model.inputs.preprocess import ImageLayout, canvas_size, fitted_size, prepare_image
from molmo_point.model.inputs.resize import CanvasFit, axis_weights, resized_patches

MEAN, STD = ImageLayout().mean, ImageLayout().std


def official_canvas(image: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The whole image as float32, resized, clipped, padded, normalised: (height, width, 3); and what is not padding."""
    new_h, new_w = fitted_size(image.shape[0], image.shape[1], height, width)
    pixels = torch.permute(torch.from_numpy(image.astype(np.float32) / 255), (2, 0, 1))[None]
    if new_w == 1:
        # torch misreads its input when the result is one column wide (not so for one row).
        small = F.interpolate(pixels.mT, size=(new_w, new_h), mode="bilinear", align_corners=False, antialias=True).mT
    else:
        small = F.interpolate(pixels, size=(new_h, new_w), mode="bilinear", align_corners=False, antialias=True)
    small = torch.clip(small, 0.0, 1.0)[0].permute(1, 2, 0).numpy()
    top, left = (height - new_h) // 2, (width - new_w) // 2
    margins = [[top, height - new_h - top], [left, width - new_w - left]]
    canvas = np.pad(small, [*margins, [0, 0]])
    canvas = (canvas - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return canvas, np.pad(np.ones((new_h, new_w), bool), margins)


def official_patches(crops: np.ndarray, patch: int) -> np.ndarray:
    """(n, h, w, c) → (n, patches, patch·patch·c)."""
    n, height, width, channels = crops.shape
    cut = crops.reshape(n, height // patch, patch, width // patch, patch, channels)
    return cut.transpose(0, 1, 3, 2, 4, 5).reshape(n, -1, patch * patch * channels)


def official_images(image: np.ndarray, rows: int, cols: int, layout: ImageLayout) -> tuple[np.ndarray, np.ndarray]:
    """Images and masks: canvases, crops stacked, rearranged, the overview put in front, masks likewise."""
    patch, side = layout.patch_px, layout.crop_px
    step = layout.window_patches * patch
    overview, _ = official_canvas(image, side, side)
    canvas, valid = official_canvas(image, *canvas_size(rows, cols, layout))
    windows = [np.s_[i * step : i * step + side, j * step : j * step + side] for i in range(rows) for j in range(cols)]
    crops = official_patches(np.stack([canvas[window] for window in windows]), patch)
    images = np.concatenate([official_patches(overview[None], patch), crops])
    masks = official_patches(np.stack([valid[window] for window in windows]).astype(np.float32)[..., None], patch)
    return images, np.pad(masks.mean(-1), [[0, 1], [0, 0]], constant_values=-1)


def our_patches(image: np.ndarray, fit: CanvasFit) -> np.ndarray:
    """All columns side by side, (rows, columns, 3·patch²)."""
    return np.concatenate([patches.copy() for _, patches in resized_patches(image, fit, MEAN, STD)], axis=1)


def noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("seed", range(24))
def test_any_size_on_any_canvas_is_as_the_official_recipe_makes_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = noise(rng, *(int(n) for n in np.exp(rng.uniform(0, np.log(1500), 2))))
    patch = int(rng.choice([4, 12, 14]))
    height, width = (int(n) * patch for n in rng.integers(1, 50, 2))
    fit = CanvasFit((height, width), fitted_size(*image.shape[:2], height, width), patch)
    ours = our_patches(image, fit)
    official = official_patches(official_canvas(image, height, width)[0][None], patch)[0]
    np.testing.assert_allclose(ours.reshape(official.shape), official, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(3000, 4000), (20, 3990), (3990, 20), (1, 1), (1, 150), (336, 336)])
def test_extreme_sizes(height: int, width: int) -> None:
    layout = ImageLayout()
    image = noise(np.random.default_rng(height), height, width)
    prepared = prepare_image(image, layout)
    images, masks = official_images(image, *prepared.tiling, layout)
    np.testing.assert_allclose(prepared.images, images, rtol=0, atol=2e-5)
    np.testing.assert_allclose(prepared.image_masks, masks, rtol=0, atol=1e-6)


def test_every_output_is_a_mean_of_its_inputs() -> None:
    for source, target in [(1, 9), (9, 1), (1280, 1008), (720, 189), (100, 100), (7, 8)]:
        first, weights = axis_weights(source, target)
        np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
        assert (weights >= 0).all() and (first >= 0).all() and (np.diff(first) >= 0).all()
        last = first + (weights > 0).cumsum(1).argmax(1)
        assert last.max() == source - 1 and first.min() == 0


def test_a_wrong_filter_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_antialiased(source: int, target: int) -> tuple[np.ndarray, np.ndarray]:
        middle = ((np.arange(target) + 0.5) * source / target).astype(np.int64)
        return middle, np.ones((target, 1), np.float32)

    monkeypatch.setattr(resize, "axis_weights", not_antialiased)
    resize._bands.cache_clear()
    resize._color_bands.cache_clear()
    image = noise(np.random.default_rng(0), 90, 130)
    try:
        ours = our_patches(image, CanvasFit((56, 56), fitted_size(90, 130, 56, 56), 14))
    finally:
        resize._bands.cache_clear()
        resize._color_bands.cache_clear()
    official = official_patches(official_canvas(image, 56, 56)[0][None], 14)[0]
    assert np.abs(ours.reshape(official.shape) - official).max() > 0.1


def test_a_camera_frame_is_prepared_as_by_the_official_recipe() -> None:
    layout = ImageLayout()
    image = noise(np.random.default_rng(3), 720, 1280)
    prepared = prepare_image(image, layout)
    assert prepared.tiling == (3, 4)
    np.testing.assert_allclose(prepared.images, official_images(image, 3, 4, layout)[0], rtol=0, atol=1e-5)
