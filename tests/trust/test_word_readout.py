"""Evidence of vision features for words: at the points, next to them, and elsewhere."""

import json
import math

import numpy as np
import pytest

from molmo_point.patch_features import PatchFeatures
from molmo_point.trust.word_readout import Evidence, WordReadOut, evidence_for

# Features are (red, blue, cube, ball); a read-out scores its own features, and the background 0.
COLORS = WordReadOut(((), ("red",), ("blue",)), (), np.array([[0, 6, 0], [0, 0, 6], [0, 0, 0], [0, 0, 0], [3, 0, 0]], np.float32))
SHAPES = WordReadOut(
    ((), ("cube", "cubes"), ("ball", "balls", "round thing")),
    ("object",),
    np.array([[0, 0, 0], [0, 0, 0], [0, 6, 0], [0, 0, 6], [3, 0, 0]], np.float32),
)
READ_OUTS = (COLORS, SHAPES)


def picture(**objects: tuple[int, int]) -> PatchFeatures:
    """10 x 10 patches of 10 pixels, with objects such as red_cube at (row, column)."""
    values = np.zeros((10, 10, 4), np.float32)
    for name, (row, column) in objects.items():
        for word in name.split("_"):
            values[row, column, ("red", "blue", "cube", "ball").index(word)] = 1.0
    return PatchFeatures.of_overview(values.reshape(100, 4), (100, 100))


def middle(row: int, column: int) -> tuple[float, float]:
    return 10 * column + 4.5, 10 * row + 4.5


def test_the_weakest_of_color_and_shape_decides() -> None:
    scene = picture(red_cube=(2, 3), blue_cube=(7, 8))
    right = evidence_for("the red cube", READ_OUTS, scene, [middle(2, 3)])
    wrong = evidence_for("the red cube", READ_OUTS, scene, [middle(7, 8)])
    assert right.at > 2 and right.around == right.at and right.anywhere == right.at and right.elsewhere < -2
    assert wrong.at < -2 and wrong.elsewhere == right.at
    assert evidence_for("red ball", READ_OUTS, scene, []).anywhere < -2


def test_the_patch_next_to_a_point_counts_as_around() -> None:
    scene = picture(red_cube=(2, 3))
    near = evidence_for("red cube", READ_OUTS, scene, [middle(3, 4)])
    far = evidence_for("red cube", READ_OUTS, scene, [middle(2, 9)])
    assert near.at < -2 < 2 < near.around and far.around < -2 and far.elsewhere > 2


def test_of_several_points_the_least_counts() -> None:
    scene = picture(red_cube=(2, 3), blue_ball=(7, 8))
    assert evidence_for("red cubes", READ_OUTS, scene, [middle(2, 3), middle(7, 8)]).at < -2


def test_words_for_any_object_deny_the_background() -> None:
    scene = picture(blue_ball=(7, 8))
    assert evidence_for("the object", (SHAPES,), scene, [middle(7, 8)]).at > 2
    assert evidence_for("the object", (SHAPES,), scene, [middle(1, 1)]).at < -2
    assert evidence_for("a round thing", (SHAPES,), scene, [middle(7, 8)]).at > 2


def test_nothing_is_known_without_features_read_outs_or_words() -> None:
    scene = picture(red_cube=(2, 3))
    for words, read_outs, features in (("mug", READ_OUTS, scene), ("red cube", (), scene), ("red cube", READ_OUTS, None)):
        assert all(math.isnan(value) for value in vars(evidence_for(words, read_outs, features, [middle(2, 3)])).values())
    other = PatchFeatures.of_overview(np.zeros((100, 7)), (100, 100))
    assert math.isnan(evidence_for("red cube", READ_OUTS, other, []).anywhere) and math.isnan(Evidence().at)


def test_settings_go_round() -> None:
    scene = picture(red_cube=(2, 3), blue_ball=(7, 8))
    read = tuple(WordReadOut.from_settings(json.loads(json.dumps(each.to_settings()))) for each in READ_OUTS)
    for words in ("red cube", "balls", "object"):
        assert evidence_for(words, read, scene, [middle(2, 3)]) == evidence_for(words, READ_OUTS, scene, [middle(2, 3)])
    with pytest.raises(ValueError, match="do not belong"):
        WordReadOut.from_settings(SHAPES.to_settings() | {"forms": [[], ["cube"]]})
