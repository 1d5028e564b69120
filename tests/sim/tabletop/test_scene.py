"""The simulated tabletop: its image, depth, masks and poses must agree to the pixel and the millimetre."""

import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from molmo_point.errors import DependencyError, InputError
from molmo_point.sim import TabletopScene
from molmo_point.sim.camera_pose import CameraPose, camera_axes
from molmo_point.sim.tabletop.layout import Layout, random_camera, random_layout
from molmo_point.sim.tabletop.objects import COLORS, SceneObject

SIZE = (320, 240)
SEED = 11
STRAIGHT_DOWN_ISH = CameraPose((0.0, -0.2, 0.5), (0.0, 0.0, 0.0), 50.0)


@pytest.fixture(scope="module")
def scene() -> Iterator[TabletopScene]:
    with TabletopScene.random(SEED, *SIZE, object_count=5) as opened:
        yield opened


def layout_of(*objects: SceneObject, camera: CameraPose = STRAIGHT_DOWN_ISH) -> Layout:
    return replace(random_layout(np.random.default_rng(0)), objects=objects, camera=camera, table_pattern="flat")


def solid(shape: str, color: str, xy: tuple[float, float], half: tuple[float, float, float], yaw: float = 0.0) -> SceneObject:
    return SceneObject(shape, color, half, (*xy, half[2]), yaw, COLORS[color])


def in_base(scene: TabletopScene, uv: np.ndarray, depth_m: np.ndarray) -> np.ndarray:
    return scene.base_T_camera.apply(scene.intrinsics.deproject(uv, depth_m), frame=scene.frame)


def grid(shape: tuple[int, ...]) -> np.ndarray:
    v, u = np.indices(shape)
    return np.stack([u, v], -1).astype(float)


# --- Images -----------------------------------------------------------------------------------------------------


def test_shapes_types_and_names(scene: TabletopScene) -> None:
    color, depth_m = scene.render()
    masks = scene.render_masks()
    assert (color.shape, color.dtype) == ((240, 320, 3), np.uint8)
    assert (depth_m.shape, depth_m.dtype) == ((240, 320), np.float32)
    assert (masks.shape, masks.dtype) == ((240, 320), np.int16)
    assert scene.frame == scene.base_T_camera.source == "camera_color_optical_frame"
    assert scene.base_T_camera.target == "base"
    assert scene.intrinsics.size_wh == SIZE
    assert color.std() > 5
    assert 0.2 < np.median(depth_m) < 1.2
    np.testing.assert_array_equal(color, scene.render_color())


def test_the_same_seed_gives_the_same_scene(scene: TabletopScene) -> None:
    with TabletopScene.random(SEED, *SIZE, object_count=5) as again, TabletopScene.random(SEED + 1, *SIZE) as other:
        assert again.layout == scene.layout != other.layout
        for ours, theirs in zip(scene.render(), again.render(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(scene.render_masks(), again.render_masks())
        assert (other.render_color() != scene.render_color()).mean() > 0.3


def test_rendering_twice_and_in_any_order_changes_nothing(scene: TabletopScene) -> None:
    masks = scene.render_masks()
    color, depth_m = scene.render()
    np.testing.assert_array_equal(scene.render_masks(), masks)
    np.testing.assert_array_equal(scene.render()[1], depth_m)
    np.testing.assert_array_equal(scene.render_color(), color)


def test_masks_index_the_objects_and_show_their_colours() -> None:
    red, blue = solid("cube", "red", (-0.08, 0.0), (0.03,) * 3), solid("ball", "blue", (0.08, 0.0), (0.03,) * 3)
    with TabletopScene(layout_of(red, blue), *SIZE) as scene:
        color, masks = scene.render_color().astype(float), scene.render_masks()
    assert set(np.unique(masks)) == {-1, 0, 1}
    assert color[masks == 0, 0].mean() > 2 * color[masks == 0, 2].mean()
    assert color[masks == 1, 2].mean() > 2 * color[masks == 1, 0].mean()
    # x of the base frame runs to the right of this camera, which looks along y.
    assert grid(masks.shape)[masks == 0, 0].mean() < 160 < grid(masks.shape)[masks == 1, 0].mean()


# --- Geometry ---------------------------------------------------------------------------------------------------


def test_table_pixels_lie_on_the_table(scene: TabletopScene) -> None:
    _, depth_m = scene.render()
    points = in_base(scene, grid(depth_m.shape), depth_m)
    table = (scene.render_masks() < 0) & (np.abs(points[..., :2]) < 0.54).all(-1) & (points[..., 2] > -0.5)
    assert table.sum() > 20_000
    assert np.abs(points[table, 2]).max() < 1e-3
    assert np.abs(np.median(points[table, 2])) < 1e-4


def test_half_a_pixel_would_be_noticed(scene: TabletopScene) -> None:
    _, depth_m = scene.render()
    masks = scene.render_masks()
    shifted = in_base(scene, grid(depth_m.shape) + 0.5, depth_m)
    table = (masks < 0) & (np.abs(shifted[..., :2]) < 0.5).all(-1) & (shifted[..., 2] > -0.5)
    assert np.abs(np.median(shifted[table, 2])) > 2e-4


def test_object_pixels_lie_within_the_objects(scene: TabletopScene) -> None:
    _, depth_m = scene.render()
    masks = scene.render_masks()
    points = in_base(scene, grid(depth_m.shape), depth_m)
    for index, item in enumerate(scene.objects):
        if not (masks == index).any():
            continue
        away = points[masks == index] - np.array(item.position_base_m)
        assert np.abs(away[:, 2]).max() < item.half_size_m[2] + 1e-3
        assert np.hypot(away[:, 0], away[:, 1]).max() < item.footprint_radius_m + 1e-3


def test_a_ball_is_as_round_as_said() -> None:
    ball = solid("ball", "red", (0.03, 0.05), (0.035,) * 3)
    with TabletopScene(layout_of(ball), 640, 480) as scene:
        _, depth_m = scene.render()
        inside = scene.render_masks() == 0
        points = in_base(scene, grid(depth_m.shape), depth_m)[inside]
    radius = np.linalg.norm(points - ball.position_base_m, axis=1)
    assert np.abs(radius - 0.035).max() < 5e-4


def test_a_turned_box_has_its_sides_where_said() -> None:
    box = solid("brick", "green", (0.0, 0.02), (0.06, 0.025, 0.02), yaw=0.6)
    with TabletopScene(layout_of(box), 640, 480) as scene:
        _, depth_m = scene.render()
        inside = scene.render_masks() == 0
        away = in_base(scene, grid(depth_m.shape), depth_m)[inside] - np.array(box.position_base_m)
    along = away[:, 0] * np.cos(0.6) + away[:, 1] * np.sin(0.6)
    across = -away[:, 0] * np.sin(0.6) + away[:, 1] * np.cos(0.6)
    # The top is seen whole, so its pixels reach both ends of both axes.
    for values, half in ((along, 0.06), (across, 0.025)):
        assert values.max() == pytest.approx(half, abs=2e-3)
        assert values.min() == pytest.approx(-half, abs=2e-3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_unhidden_centres_project_into_their_masks(seed: int) -> None:
    with TabletopScene.random(seed, *SIZE) as scene:
        masks = scene.render_masks()
        whole = {v.item.position_base_m for v in scene.visible_objects(150)}
        camera_T_base = scene.base_T_camera.inverse()
        checked = 0
        for index, item in enumerate(scene.objects):
            uv = scene.intrinsics.project(camera_T_base.apply(np.array(item.position_base_m), frame="base"))
            u, v = np.round(uv).astype(int)
            if item.position_base_m in whole and 0 <= u < 320 and 0 <= v < 240:
                hidden_by = masks[v, u]
                assert hidden_by == index or _nearer(scene, hidden_by, index)
                checked += hidden_by == index
    assert checked >= 1


def _nearer(scene: TabletopScene, front: int, back: int) -> bool:
    eye = np.array(scene.layout.camera.eye_m)
    away = [np.linalg.norm(np.array(scene.objects[i].position_base_m) - eye) for i in (front, back)]
    return front >= 0 and bool(away[0] < away[1])


def test_visible_objects_point_at_their_own_surface(scene: TabletopScene) -> None:
    _, depth_m = scene.render()
    masks = scene.render_masks()
    seen = scene.visible_objects()
    assert len(seen) == len({index for index in np.unique(masks) if index >= 0})
    for found in seen:
        index = scene.objects.index(found.item)
        u, v = found.uv.astype(int)
        assert masks[v, u] == index
        assert found.pixel_count == (masks == index).sum()
        assert found.point_camera_m[2] == pytest.approx(depth_m[v, u], abs=1e-6)
        np.testing.assert_allclose(scene.intrinsics.project(found.point_camera_m), found.uv, atol=1e-3)
        centroid = grid(masks.shape)[masks == index].mean(0)
        assert np.hypot(*(found.uv - centroid)) < 12
    assert len(scene.visible_objects(10**6)) == 0


# --- Camera -----------------------------------------------------------------------------------------------------


def test_a_moved_camera_sees_what_a_fresh_scene_shows(scene: TabletopScene) -> None:
    pose = CameraPose((0.31, -0.22, 0.45), (0.02, 0.01, 0.02), 47.0)
    with TabletopScene(scene.layout, *SIZE) as moved, TabletopScene(replace(scene.layout, camera=pose), *SIZE) as fresh:
        before = moved.render_color()
        moved.move_camera(pose)
        assert moved.intrinsics == fresh.intrinsics
        np.testing.assert_array_equal(moved.base_T_camera.matrix, fresh.base_T_camera.matrix)
        np.testing.assert_array_equal(moved.render_masks(), fresh.render_masks())
        np.testing.assert_allclose(moved.render()[1], fresh.render()[1], atol=1e-5)
        same = moved.render_color() == fresh.render_color()
        assert same.all() or same.mean() > 0.999
        assert (moved.render_color() != before).mean() > 0.3


def test_camera_axes_are_a_rotation_with_y_down() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        camera = random_camera(rng)
        axes = camera_axes(camera)
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(axes) == pytest.approx(1)
        assert axes[2, 1] < 0  # image down is base down
        assert axes[2, 0] == pytest.approx(0, abs=1e-12)  # the horizon is level
        towards = np.array(camera.look_at_m) - np.array(camera.eye_m)
        np.testing.assert_allclose(axes[:, 2], towards / np.linalg.norm(towards))


def test_what_it_looks_at_is_in_the_middle(scene: TabletopScene) -> None:
    middle = scene.intrinsics.project(scene.base_T_camera.inverse().apply(np.array(scene.layout.camera.look_at_m), frame="base"))
    np.testing.assert_allclose(middle, [159.5, 119.5], atol=1e-6)


# --- Refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(0, 240), (320, -1), (15, 240)])
def test_an_image_too_small_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="16×16 pixels or more"):
        TabletopScene.random(0, *size)


def test_without_mujoco_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(DependencyError, match="pip install"):
        TabletopScene.random(0, *SIZE)
