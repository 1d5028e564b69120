"""Crops made by dense products on a device are those made on the processor; checked on the CPU, where any torch runs."""

import numpy as np
import pytest
import torch

from molmo_point.errors import InputError
from molmo_point.model.inputs.device_crops import prepare_on_device
from molmo_point.model.inputs.preprocess import ImageLayout, prepare_image

SIZES = [(480, 640), (720, 1280), (32, 32), (337, 337), (1, 1), (300, 2000), (2000, 300), (113, 400), (101, 77)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("max_crops", [12, 2, 0])
def test_the_same_tensors_as_on_the_processor(size: tuple[int, int], max_crops: int) -> None:
    image = np.random.default_rng(sum(size)).integers(0, 256, (*size, 3), dtype=np.uint8)
    layout = ImageLayout(max_crops=max_crops)
    expected = prepare_image(image, layout)
    tensors, tiling = prepare_on_device(image, layout, torch.device("cpu"))
    assert tiling == expected.tiling
    np.testing.assert_allclose(tensors["images"][0].numpy(), expected.images, rtol=0, atol=2e-5)
    np.testing.assert_array_equal(tensors["image_masks"][0].numpy(), expected.image_masks)
    np.testing.assert_array_equal(tensors["image_input_idx"][0].numpy(), expected.image_input_idx)
    assert tensors["images"].dtype == torch.float32


def test_other_layouts_too() -> None:
    image = np.random.default_rng(4).integers(0, 256, (150, 260, 3), dtype=np.uint8)
    layout = ImageLayout(crop_px=56, patch_px=14, margin_patches=1, max_crops=5)
    expected = prepare_image(image, layout)
    tensors, _ = prepare_on_device(image, layout, torch.device("cpu"))
    np.testing.assert_allclose(tensors["images"][0].numpy(), expected.images, rtol=0, atol=2e-5)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(InputError, match="RGB"):
        prepare_on_device(np.zeros((4, 4), np.uint8), ImageLayout(), torch.device("cpu"))
