"""The stage: picture, depth, masks and poses agree, whatever was shown before."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from lab.household.arrangement import Arrangement, Light, Panel, PlacedAsset
from lab.household.arranging import random_arrangement
from lab.household.asset_pack import Asset, load_pack
from lab.household.colors import PAINTS
from lab.household.formula_assets import formula_assets
from lab.household.stage import Stage
from lab.household.truth import hull_area, scene_truth, thing_words
from molmo_point.errors import InputError
from molmo_point.sim.camera_pose import CameraPose

FORMULA = {asset.key.removeprefix("formula:"): asset for asset in formula_assets()}
BOUGHT = {asset.noun: asset for asset in load_pack() if asset.noun in ("milk carton", "wine glass", "hammer", "bowl")}
BANNER = np.full((8, 8, 3), 20, np.uint8)
BANNER[:4, :, 0], BANNER[4:, :, 2] = 230, 230  # red above blue


def flag() -> Asset:
    (plain,) = FORMULA["carton"].parts
    uv = np.stack([plain.vertices_m[:, 0] * 0 + 0.5, plain.vertices_m[:, 2] / 0.13], 1).astype(np.float32)
    part = replace(plain, uv=uv, texture=BANNER, rgb=(1.0, 1.0, 1.0), paint=False)
    return replace(FORMULA["carton"], key="formula:flag", parts=(part,))


FORMULA["flag"] = flag()
ASSETS = [*FORMULA.values(), *BOUGHT.values()]
SIZE = (320, 240)
CAMERA = CameraPose((0.0, -0.3, 0.45), (0.0, 0.0, 0.0), 50.0)
PLAIN = replace(
    random_arrangement(np.random.default_rng(0), ASSETS, object_count=0),
    table=Panel((0.6, 0.5, 0.02), (0.0, 0.0, -0.02), 0.0, 0, (1.0, 1.0, 1.0)),
    panels=(),
    lights=(Light((0.3, -0.3, 1.5), (0.6, 0.6, 0.6), True),),
    camera=CAMERA,
)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(ASSETS, *SIZE) as opened:
        yield opened


def put(name: str, xy: tuple[float, float], yaw: float = 0.0, size: int = 1, paint: str | None = None) -> PlacedAsset:
    asset = FORMULA.get(name) or BOUGHT[name]
    return PlacedAsset(asset, size, xy, yaw, paint, PAINTS[paint or "grey"])


def of(*objects: PlacedAsset) -> Arrangement:
    return replace(PLAIN, objects=objects)


def in_base(stage: Stage, depth_m: np.ndarray) -> np.ndarray:
    v, u = np.indices(depth_m.shape)
    points = stage.intrinsics.deproject(np.stack([u, v], -1).astype(float), depth_m)
    return stage.base_T_camera.apply(points, frame=stage.frame)


def test_objects_are_where_they_were_put(stage: Stage) -> None:
    items = (put("mug", (-0.1, 0.02), 0.7), put("hammer", (0.12, 0.05), 2.0), put("brick", (0.02, -0.08), 0.4, 2, "red"))
    stage.show(of(*items))
    masks, (_, depth_m) = stage.render_masks(), stage.render()
    points = in_base(stage, depth_m)
    assert set(np.unique(masks)) == {-1, 0, 1, 2}
    for index, item in enumerate(items):
        away = points[masks == index] - np.array(item.position_base_m)
        c, s = np.cos(item.yaw_rad), np.sin(item.yaw_rad)
        own = np.stack([away[:, 0] * c + away[:, 1] * s, -away[:, 0] * s + away[:, 1] * c, away[:, 2]], 1)
        half = np.array(item.size_m) / 2
        if item.asset.noun == "mug":  # its handle stands out on one side of the axis it is turned about
            assert own[:, 0].max() > 0.05 and own[:, 0].min() > -0.042
        else:
            assert (np.abs(own) < half + 2e-3).all()
        assert np.ptp(own[:, 0]) > 1.6 * half[0] and own[:, 2].max() == pytest.approx(half[2], abs=2e-3)
    table = (masks < 0) & (np.abs(points[..., 0]) < 0.55) & (np.abs(points[..., 1]) < 0.45)
    assert table.sum() > 20_000 and np.abs(points[table, 2]).max() < 1e-3


def test_paint_and_pictures_show(stage: Stage) -> None:
    stage.show(of(put("cube", (-0.12, 0), paint="red"), put("cube", (0.0, 0.0), paint="blue"), put("milk carton", (0.12, 0))))
    color, masks = stage.render_color().astype(float), stage.render_masks()
    red, blue, milk = (color[masks == k] for k in range(3))
    assert red[:, 0].mean() > 2 * red[:, 2].mean() and blue[:, 2].mean() > 2 * blue[:, 0].mean()
    assert milk.mean(1).std() > 25  # the print on white
    u = np.indices(masks.shape)[1]
    assert u[masks == 0].mean() < u[masks == 1].mean() < u[masks == 2].mean()


def test_pictures_are_the_right_way_up(stage: Stage) -> None:
    stage.show(replace(of(put("flag", (0.0, 0.0))), camera=CameraPose((0.0, -0.4, 0.15), (0.0, 0.0, 0.06), 50.0)))
    color, masks = stage.render_color().astype(float), stage.render_masks()
    v = np.indices(masks.shape)[0]
    red = (masks == 0) & (color[..., 0] > 2 * color[..., 2])
    blue = (masks == 0) & (color[..., 2] > 2 * color[..., 0])
    assert red.sum() > 300 and blue.sum() > 300
    assert v[red].mean() < v[blue].mean() - 5


def test_what_was_shown_before_leaves_no_trace(stage: Stage) -> None:
    wanted = random_arrangement(np.random.default_rng(3), ASSETS, object_count=6)
    first = (stage.show(wanted).render_color(), stage.render_masks(), stage.render()[1])
    stage.show(random_arrangement(np.random.default_rng(4), ASSETS, object_count=12))
    assert (stage.render_color() != first[0]).mean() > 0.3
    again = (stage.show(wanted).render_color(), stage.render_masks(), stage.render()[1])
    for before, after in zip(first, again, strict=True):
        np.testing.assert_array_equal(before, after)
    assert stage.objects == wanted.objects


def test_glass_is_masked_and_seen_through(stage: Stage) -> None:
    glass = put("wine glass", (0.0, 0.0))
    behind = put("cube", (0.0, 0.08), paint="red")
    stage.show(replace(of(behind), camera=CameraPose((0.0, -0.4, 0.12), (0, 0, 0.06), 40.0)))
    alone = stage.render_masks() == 0
    stage.show(replace(of(glass, behind), camera=CameraPose((0.0, -0.4, 0.12), (0, 0, 0.06), 40.0)))
    masks, color = stage.render_masks(), stage.render_color().astype(float)
    through = (masks == 0) & alone
    assert through.sum() > 50
    assert color[through, 0].mean() > color[through, 2].mean() + 5


def test_moving_the_camera_is_showing_from_there(stage: Stage) -> None:
    pose = CameraPose((0.3, -0.2, 0.4), (0.02, 0.0, 0.02), 44.0)
    arrangement = of(put("mug", (0.05, 0.05)), put("banana", (-0.1, 0)))
    stage.show(arrangement).move_camera(pose)
    moved = stage.render_masks()
    np.testing.assert_array_equal(moved, stage.show(replace(arrangement, camera=pose)).render_masks())


def test_truth_agrees_with_the_picture(stage: Stage) -> None:
    ball = put("ball", (0.05, 0.02), paint="green")
    arrangement = of(ball, put("box", (-0.1, 0.0), 0.5), put("cube", (3.0, 0.0)))
    stage.show(arrangement)
    masks, (_, depth_m) = stage.render_masks(), stage.render()
    rows = scene_truth(arrangement, stage, masks)["objects"]
    assert [row["pixels"] for row in rows] == [(masks == k).sum() for k in range(3)]
    for row in rows[:2]:  # both are convex and in full view
        assert row["hull_pixels"] == pytest.approx(row["pixels"], rel=0.12)
    assert rows[2]["pixels"] == 0
    assert rows[0]["depth_m"] == pytest.approx(float(depth_m[masks == 0].min()) + 0.03, abs=0.004)
    assert rows[0]["edge_m"] == pytest.approx(0.5 - 0.02)
    assert rows[0]["colors"] == ("green",) and rows[0]["size_m"] == pytest.approx([0.06] * 3, abs=1e-3)
    assert thing_words(ball.asset)["nouns"] == ["ball", "sphere"]


def test_hulls_turn_with_their_objects(stage: Stage) -> None:
    end_on = CameraPose((0.4 * np.cos(0.8), 0.4 * np.sin(0.8), 0.12), (0.0, 0.0, 0.02), 40.0)
    arrangement = replace(of(put("brick", (0.0, 0.0), 0.8)), camera=end_on)
    masks = stage.show(arrangement).render_masks()
    (row,) = scene_truth(arrangement, stage, masks)["objects"]
    assert row["hull_pixels"] == pytest.approx(row["pixels"], rel=0.08)


def test_the_area_of_a_hull() -> None:
    corners = np.array([[0, 0], [4, 0], [4, 2], [0, 2]], float)
    assert hull_area(np.concatenate([corners, [[1, 1], [2, 0.5], [4, 1]]])) == pytest.approx(8)


def test_what_does_not_fit_is_refused(stage: Stage) -> None:
    foreign = next(asset for asset in load_pack() if asset.key not in {a.key for a in ASSETS})
    with pytest.raises(InputError, match="does not have"):
        stage.show(of(PlacedAsset(foreign, 1, (0, 0), 0, None, (0, 0, 0))))
    with pytest.raises(InputError, match="too large"):
        stage.show(of(*[put("cube", (k, 0)) for k in range(13)]))
    with pytest.raises(InputError, match="objects"):
        Stage([], *SIZE)
