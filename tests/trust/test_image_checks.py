"""Checks of an image by itself: each fault is found, and images in which a model can see pass."""

import numpy as np
import pytest

from molmo_point.arrays import ColorArray
from molmo_point.cautions import CautionKind
from molmo_point.sim.arm.tables import random_arm_layout
from molmo_point.sim.tabletop.scene import TabletopScene
from molmo_point.trust.image_checks import PoorImageCause, check_image, image_faults

SIZES = ((480, 640), (640, 360))


def scene(height: int, width: int) -> np.ndarray:
    """Return a gray table with five boxes of different colors and sharp edges, float levels."""
    image = np.full((height, width, 3), 120.0) + np.linspace(-15, 15, width)[None, :, None]
    for index, rgb in enumerate(((200, 40, 40), (40, 150, 60), (40, 60, 200), (240, 240, 235), (20, 20, 25))):
        top, left = height * (1 + index) // 8, width * (1 + index) // 8
        image[top : top + height // 9, left : left + width // 9] = rgb
    return image


def pixels(image: np.ndarray) -> ColorArray:
    return np.clip(image, 0, 255).round().astype(np.uint8)


def noise(image: np.ndarray, sigma: float) -> np.ndarray:
    return np.random.default_rng(5).normal(0, sigma, image.shape)


def smooth(image: np.ndarray, radius: int) -> np.ndarray:
    """Blur by two passes of a box along each axis."""
    for axis in (0, 1, 0, 1):
        width = [(0, 0)] * 3
        width[axis] = (radius + 1, radius)
        total = np.cumsum(np.pad(image, width, "edge"), axis=axis)
        size = 2 * radius + 1
        upper, lower = (np.take(total, range(start, total.shape[axis] - size + start), axis) for start in (size, 0))
        image = (upper - lower) / size
    return image


def causes(image: np.ndarray) -> set[PoorImageCause]:
    return {fault.cause for fault in image_faults(pixels(image))}


@pytest.mark.parametrize("size", SIZES)
def test_a_scene_passes_with_the_noise_of_a_sensor(size: tuple[int, int]) -> None:
    image = scene(*size)
    assert check_image(pixels(image)) is None
    assert check_image(pixels(image + noise(image, 8.0))) is None


@pytest.mark.parametrize("size", SIZES)
def test_every_fault_is_found_at_every_size(size: tuple[int, int]) -> None:
    image = scene(*size)
    assert causes(image * 0.12) == {PoorImageCause.DARK}
    assert causes(image * 0.06 + noise(image, 6.0)) == {PoorImageCause.DARK}
    assert causes(image * 6) == {PoorImageCause.OVER_EXPOSED}
    assert causes(image * 0.05 + 190) == {PoorImageCause.NO_TEXTURE}
    assert causes(image + noise(image, 45.0)) == {PoorImageCause.NOISE}
    assert causes(image + noise(image[..., :1], 60.0)) == {PoorImageCause.NOISE}
    image[int(0.6 * size[0]) :] = 128
    assert causes(image) == {PoorImageCause.MISSING_PART}


def test_a_large_image_is_judged_like_a_small_one() -> None:
    large = np.repeat(np.repeat(pixels(scene(480, 640)), 5, axis=0), 5, axis=1)
    assert causes(large) == set()
    assert causes(large // 9) == {PoorImageCause.DARK}
    assert causes(np.repeat(np.repeat(pixels(smooth(scene(480, 640), 14)), 5, axis=0), 5, axis=1)) == {PoorImageCause.BLUR}


def test_a_blurred_scene() -> None:
    assert causes(smooth(scene(480, 640), 14)) == {PoorImageCause.BLUR}
    assert causes(smooth(scene(480, 640), 14) + noise(scene(480, 640), 1.0)) == {PoorImageCause.BLUR}
    assert causes(smooth(scene(480, 640), 2)) == set()


@pytest.mark.parametrize("level", [0, 90, 128, 255])
def test_one_plain_color(level: int) -> None:
    assert check_image(np.full((480, 640, 3), level, np.uint8)) is not None


def test_a_covered_lens() -> None:
    v, u = np.mgrid[:480, :640]
    glow = np.exp(-((u - 320) ** 2 + (v - 240) ** 2) / 250_000)[..., None] * (190.0, 60.0, 40.0)
    assert causes(glow + noise(glow, 4.0)) == {PoorImageCause.NO_TEXTURE}


def test_stripes_of_a_faulty_sensor() -> None:
    image = scene(480, 640)
    image[::2] += 70
    image[1::2] -= 70
    assert causes(image) == {PoorImageCause.NOISE}


def test_bars_above_and_below_are_no_missing_part() -> None:
    image = scene(480, 640)
    image[:100] = image[-100:] = 0
    assert causes(image) == set()


def test_the_caution_joins_its_reasons_and_states_the_figures() -> None:
    caution = check_image(pixels(scene(480, 640) * 0.1))
    assert caution is not None and caution.kind is CautionKind.POOR_IMAGE
    assert caution.message == "the picture is too dark: 100 % of its pixels are below 40 of 255"
    image = scene(480, 640) + noise(scene(480, 640), 50.0)
    image[240:] = 128
    caution = check_image(pixels(image))
    assert caution is not None and "; " in caution.message


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (12, 12), (31, 31), (32, 32), (32, 5000), (33, 47)])
def test_tiny_images_are_checked_as_far_as_they_go(size: tuple[int, int]) -> None:
    check_image(np.zeros((*size, 3), np.uint8))
    check_image(np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8))


def test_arrays_of_any_layout_are_read_and_kept() -> None:
    image = pixels(scene(480, 640))
    image.flags.writeable = False
    assert check_image(image) is None
    assert check_image(np.asfortranarray(image)) is None
    assert check_image(image[::-1, ::-1]) is None


@pytest.mark.parametrize("seed", range(960_000, 960_012))
def test_simulated_tables_pass(seed: int) -> None:
    with TabletopScene.random(seed) as table:
        assert check_image(table.render_color()) is None


@pytest.mark.slow
def test_hundreds_of_simulated_tables_pass() -> None:
    fired = []
    for seed in range(960_000, 960_150):
        with TabletopScene(random_arm_layout(np.random.default_rng(seed))) as table:
            fired += [(seed, check_image(table.render_color()))]
    assert [each for each in fired if each[1]] == []
