"""Read-outs that are fitted to patches of known objects."""

import numpy as np

from lab.trust.read_out_fit import fit_read_out, forms, patches_of
from molmo_point.evaluation.labeled_view import LabeledView, ObjectName
from molmo_point.patch_features import PatchFeatures
from molmo_point.trust.word_readout import evidence_for


def test_patches_come_from_the_objects_and_from_outside() -> None:
    instances = np.full((100, 100), -1, np.int16)
    instances[20:40, 60:80] = 0
    instances[0:3, 0:3] = 1  # too small to be asked for
    view = LabeledView(np.zeros((100, 100, 3), np.uint8), instances, (ObjectName("red", "cube"), ObjectName("blue", "ball")))
    rows, columns = np.indices((10, 10))
    features = PatchFeatures.of_overview(np.stack([rows, columns], -1).reshape(100, 2).astype(float), (100, 100))
    found = patches_of(view, features, np.random.default_rng(0))
    cubes = [patch for patch, color, shape in found if (color, shape) == ("red", "cube")]
    others = [patch for patch, _, shape in found if not shape]
    assert len(cubes) == 2 and len(others) == 2 and len(found) == 4
    assert all(2 <= row <= 3 and 6 <= column <= 7 for row, column in cubes)
    assert not any(2 <= row <= 3 and 6 <= column <= 7 for row, column in others)


def test_a_read_out_finds_what_it_was_fitted_to() -> None:
    rng = np.random.default_rng(1)
    words = [str(word) for word in rng.choice(["", "cube", "ball"], 600)]
    middle = {"": (0.0, 0.0), "cube": (3.0, 0.0), "ball": (0.0, 3.0)}
    patches = np.array([middle[word] for word in words]) + rng.normal(0, 0.5, (600, 2)) + 7
    read_out = fit_read_out(patches, [*words[:-1], None], forms, True)
    values = np.full((100, 2), 7.0)
    values[37] = (10.0, 7.0)
    scene = PatchFeatures.of_overview(values, (100, 100))
    cube, away = (7 * 10 + 4.5, 3 * 10 + 4.5), (4.5, 4.5)
    assert evidence_for("the cubes", (read_out,), scene, [cube]).at > 2 > -2 > evidence_for("cube", (read_out,), scene, [away]).at
    assert evidence_for("ball", (read_out,), scene, []).anywhere < -2
    assert evidence_for("object", (read_out,), scene, [cube]).at > 2 > -2 > evidence_for("object", (read_out,), scene, [away]).at
    assert read_out.forms == ((), ("ball", "balls"), ("cube", "cubes"))
