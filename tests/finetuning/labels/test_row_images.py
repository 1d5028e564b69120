"""Sizes of image files are those of the upright image, which labels and the model see."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molmo_point.finetuning.labels.row_images import RowImages
from molmo_point.model.inputs.image_input import to_rgb


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_image_that_the_model_sees(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"c{suffix}"
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path, exif=exif)
    height, width = to_rgb(path).shape[:2]
    assert (width, height) == ((4, 6) if orientation >= 5 else (6, 4))
    assert RowImages(tmp_path, tmp_path).size(path) == (width, height)
