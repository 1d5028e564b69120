"""Colors of a training: swapped channels and missing color are told, and colors of the training pass."""

import json

import numpy as np
import pytest

from molmo_point.arrays import ColorArray
from molmo_point.backend import resolve_checkpoint
from molmo_point.cautions import CautionKind
from molmo_point.model.checkpoint.trust_file import training_description
from molmo_point.sim.arm.tables import random_arm_layout
from molmo_point.sim.tabletop.scene import TabletopScene
from molmo_point.trust.judgment import judge_image
from molmo_point.trust.trained_colors import TrainedColors

PAINTS = ((205, 20, 20), (240, 110, 10), (235, 210, 20), (20, 130, 40), (20, 45, 200), (110, 25, 150))


def painted(rng: np.random.Generator, count: int = 4) -> ColorArray:
    """Return a gray picture with some patches of the paints, each slightly varied."""
    image = np.full((120, 160, 3), rng.integers(90, 150), float)
    for paint in rng.choice(len(PAINTS), count, replace=False):
        top, left = rng.integers(0, 90), rng.integers(0, 130)
        image[top : top + 30, left : left + 30] = np.array(PAINTS[paint]) * rng.uniform(0.7, 1.1) + rng.normal(0, 5, 3)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def colors() -> TrainedColors:
    rng = np.random.default_rng(1)
    return TrainedColors.fit([painted(rng) for _ in range(300)])


def test_swapped_channels_are_told_on_pictures_outside_the_fit(colors: TrainedColors) -> None:
    rng = np.random.default_rng(2)
    pictures = [painted(rng) for _ in range(100)]
    assert np.mean([colors.check(picture) is None for picture in pictures]) >= 0.95
    cautions = [colors.check(picture[..., ::-1]) for picture in pictures]
    assert np.mean([caution is not None for caution in cautions]) >= 0.8
    assert {caution.kind for caution in cautions if caution} == {CautionKind.POOR_IMAGE}


def test_a_picture_of_red_and_blue_alone_tells_nothing(colors: TrainedColors) -> None:
    image = np.full((120, 160, 3), 120, np.uint8)
    image[8:40, 8:40], image[60:92, 60:92] = (200, 30, 30), (30, 30, 200)
    assert colors.check(image) is None and colors.check(image[..., ::-1]) is None
    assert colors.swap_odds(image) == pytest.approx(colors.swap_odds(image[..., ::-1]))


def test_a_gray_picture_has_no_color(colors: TrainedColors) -> None:
    image = painted(np.random.default_rng(3))
    caution = colors.check(np.repeat(image[..., 1:2], 3, axis=2))
    assert caution is not None and caution.message.startswith("the picture has no color: its strongest color is 0 of 255")


def test_settings_go_round(colors: TrainedColors) -> None:
    settings = json.loads(json.dumps(colors.to_settings()))
    again, image = TrainedColors.from_settings(settings), painted(np.random.default_rng(4))
    assert again.to_settings() == settings
    assert again.swap_odds(image) == pytest.approx(colors.swap_odds(image), abs=0.02)


@pytest.mark.parametrize("changed", [{"weights": [1.0]}, {"weights": "red"}, {"limit": float("nan")}, {"offset": None}])
def test_broken_settings_are_refused(colors: TrainedColors, changed: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        TrainedColors.from_settings(colors.to_settings() | changed)


def test_images_of_any_size_are_read(colors: TrainedColors) -> None:
    for size in ((1, 1), (1, 900), (4, 4), (5, 5), (2000, 3)):
        colors.check(np.zeros((*size, 3), np.uint8))


def test_the_shipped_description_tells_swapped_channels() -> None:
    training = training_description(resolve_checkpoint("tabletop"))
    missed = 0
    for seed in range(960_000, 960_010):
        with TabletopScene(random_arm_layout(np.random.default_rng(seed))) as table:
            color = table.render_color()
        assert judge_image(color, training) is None
        missed += judge_image(color[..., ::-1], training) is None
        assert judge_image(np.repeat(color[..., 1:2], 3, axis=2), training) is not None
    assert missed <= 4
