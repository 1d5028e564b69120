"""Cluttered tables: their truth, and what makes each kind hard."""

import numpy as np
import pytest

from molmo_point.errors import InputError
from molmo_point.sim.depth_faults import Material
from molmo_point.sim.tabletop.clutter import CLUTTER_KINDS, ClutteredScene, ClutterLayout, gap_m, height_at, random_clutter
from molmo_point.sim.tabletop.objects import SceneObject


def drawn(kind: str, count: int = 6) -> list[ClutterLayout]:
    return [random_clutter(kind, np.random.default_rng(seed)) for seed in range(count)]


def gaps(objects: tuple[SceneObject, ...]) -> np.ndarray:
    return np.array([[gap_m(a, b) if a is not b else np.inf for b in objects] for a in objects])


def elevation_deg(layout: ClutterLayout) -> float:
    ray = np.array(layout.table.camera.eye_m) - np.array(layout.table.camera.look_at_m)
    return float(np.rad2deg(np.arcsin(ray[2] / np.linalg.norm(ray))))


def test_a_seed_decides_a_layout_and_an_unknown_kind_is_refused() -> None:
    first, again = (random_clutter("touching", np.random.default_rng(4)).table for _ in range(2))
    assert first == again
    with pytest.raises(InputError, match="uneven"):
        random_clutter("chaos", np.random.default_rng(1))


def test_touching_objects_touch_and_do_not_cut_each_other() -> None:
    for layout in drawn("touching", 3):
        away = gaps(layout.table.objects)
        assert away.min() > 0
        assert (away.min(axis=0) < 0.001).all()


def test_stacked_objects_stand_on_others() -> None:
    standing = [
        item for layout in drawn("stacked") for item in layout.table.objects if item.position_base_m[2] > item.half_size_m[2]
    ]
    assert len(standing) >= 4
    for layout in drawn("stacked", 3):
        assert gaps(layout.table.objects).min() > -1e-6


def test_objects_of_a_bin_stand_inside_its_walls() -> None:
    for layout in drawn("bin", 2):
        assert len(layout.walls) == 4 and elevation_deg(layout) > 49
        assert all(gap_m(item, wall) > 0 for item in layout.table.objects for wall in layout.walls)


def test_low_and_level_views_look_along_the_table() -> None:
    assert all(12 <= elevation_deg(layout) <= 28 for layout in drawn("low", 2))
    assert all(1 <= elevation_deg(layout) <= 10 for layout in drawn("level", 2))
    assert 0 < sum(len(layout.walls) for layout in drawn("level", 5)) < 5


@pytest.mark.parametrize("kind", ["uneven", "cloth"])
def test_an_uneven_table_is_rendered_at_its_true_heights(kind: str) -> None:
    with ClutteredScene.random(kind, 1, 160, 120) as scene:
        depth_m, masks = scene.render()[1], scene.render_masks()
        v, u = np.nonzero((masks < 0) & (depth_m < 1.2))
        points = scene.base_T_camera.apply(
            scene.intrinsics.deproject(np.stack([u, v], axis=1).astype(float), depth_m[v, u]), scene.frame
        )
        points = points[np.abs(points[:, :2]).max(axis=1) < 0.5]
        true = height_at(scene.layout, points[:, :2])
    assert len(points) > 3000 and np.ptp(true) > 0.005
    assert np.quantile(np.abs(points[:, 2] - true), 0.95) < 0.0015


def test_glass_tells_its_pixels_and_the_depth_behind_it() -> None:
    with ClutteredScene.random("glass", 3, 160, 120) as scene:
        color, depth_m = scene.render()
        looks = scene.appearance(color)
        again_m = scene.render()[1]
    assert looks.material is not None and looks.behind_m is not None
    glass = looks.material == Material.GLASS
    assert 50 < glass.sum() < 0.5 * glass.size
    assert (looks.behind_m[glass] >= depth_m[glass] - 1e-4).all() and (looks.behind_m[glass] > depth_m[glass] + 0.01).mean() > 0.5
    assert np.array_equal(looks.behind_m[~glass], depth_m[~glass])
    assert np.array_equal(again_m, depth_m), "the scene is as before"


@pytest.mark.parametrize("kind", sorted(CLUTTER_KINDS))
def test_every_kind_shows_objects(kind: str) -> None:
    with ClutteredScene.random(kind, 2, 160, 120) as scene:
        assert len(scene.visible_objects(8)) >= 1
        assert all(item.width_m == 2 * min(item.half_size_m[:2]) for item in scene.objects)
