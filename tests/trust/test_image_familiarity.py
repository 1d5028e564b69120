"""Distance of images from the training: other worlds, spoiled copies, and files that are refused."""

import json
import math
from typing import Any

import numpy as np
import pytest

from molmo_point.cautions import CautionKind
from molmo_point.trust.image_familiarity import LEAST_IMAGES, ImageFamiliarity

N = 12
RNG = np.random.default_rng(1)
MIX = RNG.normal(0, 1, (4, N))


def images(count: int, seed: int) -> np.ndarray:
    """Features that lie near a plane of four directions."""
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 1, (count, 4)) @ MIX + rng.normal(0, 0.1, (count, N)) + 5).astype(np.float32)


CLEAN = images(600, 2)
FITTED = ImageFamiliarity.fit(CLEAN)


def share_beyond(familiarity: ImageFamiliarity, features: np.ndarray) -> float:
    return float(np.mean([familiarity.distance(row) > 1 for row in features]))


def test_images_of_the_training_are_familiar_and_others_are_not() -> None:
    assert share_beyond(FITTED, images(400, 3)) < 0.05
    # Another world is no farther from the mean, but off the plane.
    other = 5 + np.random.default_rng(4).normal(0, 1, (200, N)).astype(np.float32)
    assert share_beyond(FITTED, other) > 0.95


def test_spoiled_copies_that_move_the_features_little_are_told_by_the_classifier() -> None:
    def plain(seed: int) -> np.ndarray:
        return np.random.default_rng(seed).normal(0, 1, (800, N)).astype(np.float32)

    shift = np.r_[np.full(6, 1.2), np.zeros(6)].astype(np.float32)
    alone, told = ImageFamiliarity.fit(plain(2)), ImageFamiliarity.fit(plain(2), plain(5) + shift)
    assert share_beyond(alone, plain(6) + shift) < 0.45 < 0.55 < share_beyond(told, plain(6) + shift)
    assert share_beyond(told, plain(6)) < 0.06


def test_the_caution_names_the_model_and_the_distance() -> None:
    caution = FITTED.caution(2.34, "tabletop")
    assert caution is not None and caution.kind is CautionKind.UNFAMILIAR_IMAGE
    assert "tabletop" in caution.message and "2.3" in caution.message
    assert FITTED.caution(0.9, "tabletop") is None and FITTED.caution(math.nan, "tabletop") is None


def test_features_of_another_length_have_no_distance() -> None:
    assert math.isnan(FITTED.distance(np.zeros(N + 1, np.float32)))


def test_settings_go_round_within_the_rounding() -> None:
    told = ImageFamiliarity.fit(CLEAN, images(600, 5) + 0.2)
    read = ImageFamiliarity.from_settings(json.loads(json.dumps(told.to_settings(), allow_nan=False)))
    for row in images(20, 7):
        assert read.distance(row) == pytest.approx(told.distance(row), rel=0.05)
    assert "contrast_limit" not in FITTED.to_settings()


@pytest.mark.parametrize(
    "changed",
    [
        {"rest": 0.0},
        {"limit": math.inf},
        {"limit": "far"},
        {"mean": {"shape": [3], "float16": "AAA="}},
        {"mean": {"shape": [10**9], "float16": ""}},
        {"deviations": {"shape": [4], "float16": "AAAAAAAAAAA="}},
        {"axes": None},
    ],
)
def test_another_form_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        ImageFamiliarity.from_settings(FITTED.to_settings() | changed)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match=f"at least {LEAST_IMAGES}"):
        ImageFamiliarity.fit(CLEAN[: LEAST_IMAGES - 1])
