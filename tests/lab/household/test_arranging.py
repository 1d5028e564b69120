"""Random arrangements: decided by the seed, nothing touching, training and evaluation apart."""

import numpy as np
import pytest

from lab.household.arrangement import SIZES, Arrangement, PlacedAsset, paint_share
from lab.household.arranging import apart, random_arrangement
from lab.household.asset_pack import is_held_out, load_pack
from lab.household.colors import PAINTS
from lab.household.formula_assets import formula_assets

ASSETS = [*load_pack(), *formula_assets()]
BY_NOUN = {asset.noun: asset for asset in ASSETS}
TRAINING = [random_arrangement(np.random.default_rng(seed), ASSETS) for seed in range(40)]
EVALUATION = [random_arrangement(np.random.default_rng(seed), ASSETS, held_out=True) for seed in range(40)]


def described(arrangement: Arrangement) -> str:
    items = [(i.asset.key, i.size, i.xy_m, i.yaw_rad, i.paint, i.rgb) for i in arrangement.objects]
    return repr((items, arrangement.table, arrangement.panels, arrangement.lights, arrangement.camera))


def placed(noun: str, xy: tuple[float, float] = (0, 0), yaw: float = 0.0, size: int = 1, paint: str | None = None) -> PlacedAsset:
    return PlacedAsset(BY_NOUN[noun], size, xy, yaw, paint, PAINTS[paint or "grey"])


def test_the_seed_decides() -> None:
    assert described(random_arrangement(np.random.default_rng(5), ASSETS)) == described(TRAINING[5])
    assert len({described(a) for a in TRAINING}) == len(TRAINING)


def test_nothing_touches_and_everything_stands_on_the_table() -> None:
    pairs = 0
    for arrangement in (*TRAINING, *EVALUATION):
        half_x, half_y, thickness = arrangement.table.half_m
        assert arrangement.table.position_m[2] == -thickness
        for number, item in enumerate(arrangement.objects):
            assert abs(item.xy_m[0]) < half_x and abs(item.xy_m[1]) < half_y
            pairs += number
            assert all(apart(item, other) for other in arrangement.objects[:number])
    assert pairs > 500


def test_apart_knows_turned_rectangles() -> None:
    # Bricks are 11 cm long and 5 cm deep.
    assert apart(placed("brick"), placed("brick", (0.0, 0.064)))
    assert not apart(placed("brick"), placed("brick", (0.064, 0.0)))
    assert apart(placed("brick", yaw=np.pi / 2), placed("brick", (0.064, 0.0), yaw=np.pi / 2))
    assert not apart(placed("brick"), placed("brick", (0.0, 0.064), size=2))
    aslant, across, along = placed("brick", yaw=np.pi / 4), (-0.045, 0.045), (0.045, 0.045)
    assert apart(aslant, placed("brick", across, yaw=np.pi / 4))
    assert not apart(aslant, placed("brick", along, yaw=np.pi / 4))


def test_one_to_twelve_objects_with_many_alike() -> None:
    counts = [len(arrangement.objects) for arrangement in TRAINING]
    assert min(counts) <= 2 and max(counts) >= 10
    assert [len(random_arrangement(np.random.default_rng(k), ASSETS, object_count=k).objects) for k in (0, 1, 5)] == [0, 1, 5]
    alike = [len({i.asset.key for i in a.objects}) < len(a.objects) for a in TRAINING]
    assert 0.3 < np.mean(alike) < 0.9


def test_training_has_nothing_that_is_held_out() -> None:
    for arrangement, held_out in [(a, False) for a in TRAINING] + [(a, True) for a in EVALUATION]:
        surfaces = [arrangement.table.surface, arrangement.floor[0], *(panel.surface for panel in arrangement.panels)]
        assert {is_held_out(f"surface {number}") for number in surfaces} == {held_out}
        assert held_out or not any(item.asset.held_out for item in arrangement.objects)
    unseen = [item.asset.held_out for a in EVALUATION for item in a.objects]
    assert 0.05 < np.mean(unseen) < 0.5


def test_cameras_keep_their_ranges_and_sectors() -> None:
    sectors: dict[bool, set[tuple[int, int]]] = {False: set(), True: set()}
    for arrangement, held_out in [(a, False) for a in TRAINING] + [(a, True) for a in EVALUATION]:
        camera = arrangement.camera
        away = np.array(camera.eye_m) - camera.look_at_m
        distance = float(np.linalg.norm(away))
        elevation, azimuth = np.arcsin(away[2] / distance), np.arctan2(away[1], away[0]) % (2 * np.pi)
        wide = 2 * np.arctan(np.tan(np.deg2rad(camera.fov_y_deg) / 2) * 4 / 3)
        assert 0.299 < distance < 1.201 and 19.9 < np.rad2deg(elevation) < 88.1 and 39.9 < np.rad2deg(wide) < 75.1
        sectors[held_out].add((int(azimuth / (np.pi / 5)), int(np.rad2deg(elevation) / 22)))
    assert not sectors[False] & sectors[True]
    assert len(sectors[False]) > 1.4 * len(sectors[True]) > 2


def test_paint_changes_the_colour_and_the_name() -> None:
    assert placed("mug", paint="red").name == "red mug"
    assert placed("mug", paint="red").colors == (("red",), ("red",))
    assert placed("banana").name == "yellow banana"
    assert paint_share(BY_NOUN["cube"]) == pytest.approx(1)
    assert 0.6 < paint_share(BY_NOUN["can"]) < 0.9
    certain, maybe = placed("can", paint="blue").colors
    assert certain == ("blue",) and {"blue", "grey"} <= set(maybe)


def test_size_scales_the_box_and_its_middle() -> None:
    small, large = placed("cube", size=0), placed("cube", size=2)
    assert small.size_m == pytest.approx([0.055 * SIZES[0]] * 3)
    assert large.position_base_m == pytest.approx((0, 0, 0.0275 * SIZES[2]))
