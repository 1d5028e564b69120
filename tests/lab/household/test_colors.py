"""Names of colours: typical shades are certain, borders are doubtful, shares add up."""

import numpy as np
import pytest

from lab.household.colors import PAINTS, color_name, color_shares


@pytest.mark.parametrize("word", PAINTS)
def test_a_typical_shade_has_its_name_and_keeps_it_when_varied(word: str) -> None:
    rng = np.random.default_rng(0)
    assert color_name(np.array(PAINTS[word]))[0] == word
    shades = [np.clip(np.array(PAINTS[word]) * rng.uniform(0.88, 1.1) + rng.normal(0, 0.02, 3), 0.02, 0.98) for _ in range(200)]
    assert np.mean([word in color_name(shade) for shade in shades]) > 0.98


@pytest.mark.parametrize(
    ("rgb", "words"),
    [
        ((0.45, 0.66, 0.12), {"green"}),
        ((0.90, 0.76, 0.18), {"yellow"}),
        ((0.95, 0.50, 0.06), {"orange"}),
        ((0.90, 0.78, 0.64), {"brown", "white"}),
        ((0.00, 0.50, 0.55), {"blue", "green"}),
        ((0.36, 0.10, 0.44), {"purple"}),
        ((0.02, 0.02, 0.10), {"black"}),
        ((0.95, 0.94, 0.90), {"white"}),
        ((0.70, 0.70, 0.70), {"grey", "white"}),
    ],
)
def test_fruit_and_borders(rgb: tuple[float, float, float], words: set[str]) -> None:
    assert set(color_name(np.array(rgb))) == words


def test_shares_follow_areas_and_halve_in_doubt() -> None:
    colors = np.array([PAINTS["red"], PAINTS["blue"], (0.0, 0.50, 0.55)])
    shares = color_shares(colors, np.array([6.0, 2.0, 2.0]))
    assert shares == {"red": 0.6, "blue": 0.3, "green": 0.1}
    assert list(shares) == ["red", "blue", "green"]
