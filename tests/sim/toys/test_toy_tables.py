"""Tables of toys: all of them are there, at rest, and each has its mask."""

from collections.abc import Iterator

import numpy as np
import pytest

from molmo_point import open_camera
from molmo_point.errors import InputError
from molmo_point.sim.arm.tables import GAP_M, WIDEST_M, random_arm_layout
from molmo_point.sim.camera import SimulatedTable
from molmo_point.sim.tabletop.clutter import ClutteredScene
from molmo_point.sim.tabletop.objects import SceneObject, signed_distance
from molmo_point.sim.toys.placed_toy import PlacedToy
from molmo_point.sim.toys.toy import Toy, ToyVariant
from molmo_point.sim.toys.toy_tables import TOY_TABLES, random_toy_table, tumbled
from molmo_point.sim.toys.toy_view import ToyView, toys_in

TOYS = tuple(Toy(number) for number in (11, 12, 13, 14))


@pytest.fixture(scope="module")
def circling() -> Iterator[SimulatedTable]:
    with open_camera("simulated:3?toys=11&width=96&height=72&depth_noise=false&fps=120") as camera:
        assert isinstance(camera, SimulatedTable)
        yield camera


@pytest.mark.parametrize("kind", TOY_TABLES)
def test_every_toy_is_on_the_table_and_none_is_in_it(kind: str) -> None:
    layout = random_toy_table(TOYS, np.random.default_rng(2), kind, 1)
    toys = [item for item in layout.table.objects if isinstance(item, PlacedToy)]
    assert tuple(item.toy for item in toys) == TOYS
    again = random_toy_table(TOYS, np.random.default_rng(2), kind, 1)
    assert again.table.objects == layout.table.objects
    assert bool(layout.walls) == (kind == "bin")
    lowest = [item.vertices_m[:, 2].min() for item in toys]
    assert min(lowest) > -0.002
    assert sorted(lowest)[0] < 0.002


def test_pushed_toys_come_closer() -> None:
    def spread(kind: str) -> float:
        objects = random_toy_table(TOYS, np.random.default_rng(4), kind).table.objects
        return float(np.mean([np.hypot(*item.position_base_m[:2]) for item in objects]))

    assert spread("touching") < 0.8 * spread("apart")


def test_masks_depth_and_poses_agree() -> None:
    layout = random_toy_table(TOYS, np.random.default_rng(0), "tumbled", 1)
    with ClutteredScene(layout, 320, 240) as scene:
        masks = scene.render_masks()
        _, depth_m = scene.render()
        assert set(np.unique(masks)) >= {-1, 0, 1, 2, 3}
        for number, item in enumerate(layout.table.objects):
            v, u = np.nonzero(masks == number)
            if not len(u):
                continue
            pick = np.random.default_rng(0).integers(len(u), size=8)
            points = scene.intrinsics.deproject(np.stack([u[pick], v[pick]], 1).astype(float), depth_m[v[pick], u[pick]])
            in_base = scene.base_T_camera.apply(points, frame=scene.frame)
            # A pixel at the outline may show what is behind.
            assert np.median(np.abs(signed_distance(item, in_base))) < 0.001


def test_a_tumbled_toy_rests_in_the_middle() -> None:
    item = tumbled(Toy(12), np.random.default_rng(1), (0.1, 0.0))
    low, high = item.vertices_m.min(0), item.vertices_m.max(0)
    assert abs(low[2]) < 0.002
    assert 0.5 * (low + high)[:2] == pytest.approx([0.1, 0.0], abs=1e-6)


def test_bad_tables_are_refused() -> None:
    with pytest.raises(InputError, match="kind of a table"):
        random_toy_table(TOYS, np.random.default_rng(0), "shelf")
    with pytest.raises(InputError, match="fit on the table"):
        random_toy_table([Toy(0)] * 80, np.random.default_rng(0))


def test_a_toy_alone_is_circled_and_turned_over(circling: SimulatedTable) -> None:
    frames, poses = [], []
    for _ in range(61):
        frames.append(circling.read())
        poses.append(circling.base_T_camera.translation_m)
    assert len(np.unique(np.round(poses, 6), axis=0)) > 55
    view = circling.scene
    assert isinstance(view, ToyView)
    (start,) = random_toy_table(TOYS[:1], np.random.default_rng(0)).table.objects
    assert isinstance(start, PlacedToy)
    masks = view.render_masks()
    assert (masks == 0).sum() > 20 and np.ptp(frames[0].color) > 50


def test_several_toys_stand_still_under_a_still_camera() -> None:
    with open_camera("simulated:3?toys=11-13,12c&width=160&height=120&depth_noise=false&fps=120") as camera:
        first, second = camera.read(), camera.read()
    assert np.array_equal(first.color, second.color)
    with open_camera("simulated:3?toys=11-13&motion=circling&width=160&height=120&fps=120") as camera:
        first, second = camera.read(), camera.read()
    assert not np.array_equal(first.color, second.color)


def test_text_names_toys() -> None:
    assert toys_in("1, 4-6") == (Toy(1), Toy(4), Toy(5), Toy(6))
    assert toys_in("7,7c,7p,7f") == tuple(Toy(7, variant) for variant in ToyVariant)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("toys=red", "toys must be numbers"),
        ("toys=1,1", "different ones"),
        ("toys=9-4", "rising span"),
        ("toys=1-9999", "rising span"),
        ("toys=1,", "toys must be numbers"),
        ("toys=99999999", "in range"),
        ("toys=1&motion=wild", "motion of a simulated camera"),
        ("motion=still", "motion must be given with toys"),
    ],
)
def test_bad_text_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        open_camera(f"simulated:3?{text}")


def test_toys_of_the_arm_fit_its_gripper_and_stand_apart() -> None:
    toys = [Toy(number, widest_m=WIDEST_M) for number in range(5)]
    layout = random_arm_layout(np.random.default_rng(3), 2, toys=toys)
    assert [item.toy for item in layout.objects[:5] if isinstance(item, PlacedToy)] == toys
    assert all(item.width_m <= WIDEST_M + 1e-9 for item in layout.objects)
    assert sum(isinstance(item, SceneObject) for item in layout.objects) <= 2
    for number, a in enumerate(layout.objects):
        for b in layout.objects[number + 1 :]:
            away = np.hypot(*(np.array(a.position_base_m) - b.position_base_m)[:2])
            assert away > a.footprint_radius_m + b.footprint_radius_m + GAP_M


@pytest.mark.slow
def test_toys_rest_at_the_arm_and_their_truth_is_known() -> None:
    pytest.importorskip("tabletask")
    pytest.importorskip("mink")
    pytest.importorskip("ruckig")
    from molmo_point.sim.arm.simulated_arm import SimulatedArm
    from molmo_point.sim.arm.truth import ArmTruth, lowest_m

    layout = random_arm_layout(np.random.default_rng(3), toys=[Toy(number, widest_m=WIDEST_M) for number in range(5)])
    with SimulatedArm(layout, 160, 120) as arm:
        truth = ArmTruth(arm)
        arm.wait(1.0)
        assert truth.moved_m().max() < 0.003
        for number, item in enumerate(layout.objects):
            assert lowest_m(arm, number) == pytest.approx(0.0, abs=0.002)
            assert np.linalg.norm(arm.data.body(f"object_{number}").xpos - item.position_base_m) < 0.005
