"""Places of patches in the image, and their summary."""

import numpy as np
import pytest

from molmo_point.patch_features import PatchFeatures

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("size_wh", "pixel", "place"),
    [
        ((640, 480), (0, 0), (2, 0)),
        ((640, 480), (639, 479), (17, 19)),
        ((640, 480), (33, 0), (2, 1)),
        ((480, 640), (0, 0), (0, 2)),
        ((480, 640), (479, 639), (19, 17)),
        ((300, 300), (149, 151), (10, 9)),
        ((300, 300), (-50, 9000), (19, 0)),
    ],
)
def test_a_pixel_is_in_the_patch_that_shows_it(
    size_wh: tuple[int, int], pixel: tuple[float, float], place: tuple[int, int]
) -> None:
    features = PatchFeatures.of_overview(np.zeros((400, 2)), size_wh)
    assert features.place(*pixel) == place


def test_patches_of_the_padding_are_outside() -> None:
    wide = PatchFeatures.of_overview(np.zeros((400, 2)), (640, 480))
    assert wide.inside == (slice(2, 18), slice(0, 20))
    tall = PatchFeatures.of_overview(np.zeros((400, 2)), (480, 640))
    assert tall.inside == (slice(0, 20), slice(2, 18))


def test_rows_come_before_columns() -> None:
    values = np.arange(16.0)[:, None]
    features = PatchFeatures.of_overview(values, (64, 64))
    row, column = features.place(63, 0)
    assert features.values[row, column, 0] == 3.0


def test_the_summary_is_mean_and_standard_deviation() -> None:
    values = RNG.normal(3, 2, (400, 5))
    summary = PatchFeatures.of_overview(values, (64, 64)).summary
    np.testing.assert_allclose(summary, np.r_[values.mean(0), values.std(0)], rtol=1e-4)


@pytest.mark.parametrize("size_wh", [(50, 1), (1, 50), (1, 1)])
def test_a_narrow_image_has_patches(size_wh: tuple[int, int]) -> None:
    features = PatchFeatures.of_overview(np.ones((16, 3)), size_wh)
    assert features.values[features.inside].size
