"""Training scenes as an arm sees them, and questions about what is nearly there."""

import numpy as np

from lab.training.scenes import arm_camera, averaged
from molmo_point.finetuning.queries import SeenObject, draw_examples
from molmo_point.sim.tabletop.objects import COLORS, SHAPES


def test_arm_cameras_look_down_at_the_table_from_an_arms_distance() -> None:
    rng = np.random.default_rng(0)
    cameras = [arm_camera(rng) for _ in range(200)]
    away = np.array([np.subtract(camera.eye_m, camera.look_at_m) for camera in cameras])
    distance = np.linalg.norm(away, axis=1)
    assert distance.min() >= 0.30 and distance.max() <= 0.85
    elevation = np.rad2deg(np.arcsin(away[:, 2] / distance))
    assert elevation.min() >= 35 and elevation.max() <= 89
    beside = np.abs([camera.look_at_m[:2] for camera in cameras]).max(axis=1)
    # From nearby it may be any place of the table, from afar its middle.
    assert beside[distance > 0.75].max() < 0.06 < beside[distance < 0.4].max() < 0.16


def test_averaged_is_the_mean_of_squares() -> None:
    color = np.zeros((4, 6, 3), np.uint8)
    color[:2, :2, 0] = [[10, 20], [30, 41]]
    small = averaged(color)
    assert small.shape == (2, 3, 3) and small[0, 0, 0] == 25 and not small[1:].any()


def test_most_of_what_is_absent_resembles_something_in_view() -> None:
    rng = np.random.default_rng(1)
    seen = [SeenObject("red", "cube", 30.0, 40.0, True), SeenObject("blue", "ball", 60.0, 40.0, True)]
    alike = other = 0
    for _ in range(300):
        for example in draw_examples(seen, 4, rng):
            if example.targets or "How many" in example.prompt or "ount" in example.prompt:
                continue
            words = example.prompt.lower().rstrip(".?").split()
            color, shape = ({w.rstrip("s") for w in words} & set(names) for names in (COLORS, SHAPES))
            near = color & {"red", "blue"} or shape & {"cube", "ball"}
            alike, other = alike + bool(near), other + (not near)
    assert alike > 2 * other > 0


def test_the_name_of_what_is_asked_for_is_told_to_look_at_it() -> None:
    rng = np.random.default_rng(2)
    seen = [SeenObject("red", "cube", 30.0, 40.0, True)]
    found = [e for _ in range(20) for e in draw_examples(seen, 3, rng) if e.targets and not e.answer.startswith("Counting")]
    assert found
    for example in found:
        ((words, targets),) = example.mentions
        assert words in example.prompt and targets == example.targets
