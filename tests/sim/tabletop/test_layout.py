"""Random tabletops: reproducible, apart from each other, on the table, in view."""

import numpy as np
import pytest

from molmo_point.sim.tabletop.layout import random_camera, random_layout
from molmo_point.sim.tabletop.objects import COLORS, SHAPES, SceneObject, random_object

LAYOUTS = [random_layout(np.random.default_rng(seed)) for seed in range(60)]


def test_a_layout_is_decided_by_its_seed() -> None:
    assert random_layout(np.random.default_rng(7)) == LAYOUTS[7]
    assert len({repr(layout) for layout in LAYOUTS}) == len(LAYOUTS)


def test_objects_do_not_touch() -> None:
    pairs = 0
    for layout in LAYOUTS:
        for i, a in enumerate(layout.objects):
            for b in layout.objects[:i]:
                gap = np.hypot(a.position_base_m[0] - b.position_base_m[0], a.position_base_m[1] - b.position_base_m[1])
                assert gap > a.footprint_radius_m + b.footprint_radius_m + 0.014
                pairs += 1
    assert pairs > 100


def test_objects_stand_on_the_table_and_have_their_colour() -> None:
    for item in (item for layout in LAYOUTS for item in layout.objects):
        assert item.position_base_m[2] == item.half_size_m[2]
        assert max(abs(v) for v in item.position_base_m[:2]) < 0.2
        assert item.shape in SHAPES
        assert np.abs(np.array(item.rgb) - COLORS[item.color]).max() < 0.25
        assert item.name == f"{item.color} {item.shape}"


def test_everything_is_drawn_sometimes() -> None:
    items = [item for layout in LAYOUTS for item in layout.objects]
    assert {item.shape for item in items} == set(SHAPES)
    assert {item.color for item in items} == set(COLORS)
    assert {layout.table_pattern for layout in LAYOUTS} == {"flat", "checker", "gradient"}
    assert {len(layout.objects) for layout in LAYOUTS} >= {1, 2, 3, 4, 5, 6}
    # Counting needs more than one of a kind, but most things can be told apart by name.
    doubles = [len({item.name for item in layout.objects}) < len(layout.objects) for layout in LAYOUTS]
    assert 0.05 < np.mean(doubles) < 0.8


def test_the_number_of_objects_can_be_asked_for() -> None:
    for count in (0, 1, 4):
        assert len(random_layout(np.random.default_rng(3), count).objects) == count


def test_cameras_look_down_from_arms_length() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        camera = random_camera(rng)
        ray = np.array(camera.eye_m) - np.array(camera.look_at_m)
        distance = np.linalg.norm(ray)
        assert 0.42 <= distance <= 0.78
        assert 32 <= np.rad2deg(np.arcsin(ray[2] / distance)) <= 80
        assert 40 <= camera.fov_y_deg <= 56


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_have_the_proportions_of_their_names(shape: str) -> None:
    rng = np.random.default_rng(6)
    for _ in range(20):
        item: SceneObject = random_object(rng, shape, "red", (0.1, -0.1))
        a, b, c = item.half_size_m
        assert item.position_base_m == (0.1, -0.1, c)
        assert {"cube": a == b == c, "ball": a == b == c, "cylinder": a == b < c, "brick": a > b > c}[shape]
        assert min(a, b, c) > 0.01 and max(a, b, c) < 0.09
