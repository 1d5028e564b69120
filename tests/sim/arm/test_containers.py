"""Containers of the simulated arm: they stand, they are hollow, and what is dropped in stays in."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("tabletask")
pytest.importorskip("mink")
pytest.importorskip("ruckig")

from molmo_point.errors import InputError
from molmo_point.sim.arm.containers import CONTAINERS, Container, kinds_in
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.arm.tables import GAP_M, random_arm_layout
from molmo_point.sim.arm.truth import contents, lowest_m
from molmo_point.sim.tabletop.objects import SceneObject
from molmo_point.sim.tabletop.scene import TabletopScene

CUBE = SceneObject("cube", "red", (0.022, 0.022, 0.022), (0.20, 0.18, 0.022), 0.4, (0.8, 0.05, 0.05))
BALL = SceneObject("ball", "blue", (0.024, 0.024, 0.024), (0.20, -0.18, 0.024), 0.0, (0.05, 0.1, 0.8))
AT = (0.02, 0.03, 0.0)


def world_with(kind, *objects, yaw=0.7, scale=1.0):
    empty = random_arm_layout(np.random.default_rng(3), 0)
    item = Container(kind, "white", scale, AT, yaw, (0.9, 0.9, 0.9))
    return SimulatedArm(dataclasses.replace(empty, objects=objects, containers=(item,)), 160, 120)


def drop(arm, number, xy, height):
    """Lets an object fall from a height of its middle and waits until it is still."""
    arm.data.joint(f"object_{number}").qpos[:3] = (*xy, height)
    arm.data.joint(f"object_{number}").qvel[:] = 0
    arm.wait(1.5)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_what_is_dropped_into_it_comes_to_rest_inside(kind):
    with world_with(kind, CUBE, BALL) as arm:
        item = arm.layout.containers[0]
        assert contents(arm) == frozenset()
        drop(arm, 0, (AT[0] + 0.015, AT[1] - 0.01), item.rim_m + 0.06)
        assert contents(arm) == {0}
        # On the floor of it: not on the table below, and not on a lid where the opening seems to be.
        assert item.floor_m - 0.002 < lowest_m(arm, 0) < item.floor_m + 0.009
        assert np.abs(arm.data.joint("object_0").qvel).max() < 0.02
        body = arm.data.body("container_0")
        assert body.xpos == pytest.approx(AT, abs=0.006)
        assert body.xmat.reshape(3, 3)[2, 2] > 0.999, "it stands upright"
        touching = {frozenset(arm.model.geom_bodyid[c.geom].tolist()) for c in arm.data.contact[: arm.data.ncon]}
        assert frozenset((arm.model.body("object_0").id, arm.model.body("container_0").id)) in touching


def test_walls_hold_a_ball_that_rolls():
    with world_with("tray", BALL) as arm:
        drop(arm, 0, AT[:2], 0.05)
        arm.data.joint("object_0").qvel[:2] = (0.25, 0.1)
        arm.wait(1.5)
        assert contents(arm) == {0}


def test_beside_it_or_held_above_it_is_not_inside():
    with world_with("bowl", CUBE) as arm:
        item = arm.layout.containers[0]
        drop(arm, 0, (AT[0] + item.footprint_radius_m + 0.04, AT[1]), 0.03)
        assert contents(arm) == frozenset()
        arm.data.joint("object_0").qpos[:3] = (AT[0], AT[1], item.rim_m + 0.05)
        arm.wait(0.002)
        assert contents(arm) == frozenset(), "it is still falling"
    with world_with("box", CUBE) as arm, pytest.raises(InputError, match="must be a number in the layout"):
        contents(arm, 1)


def test_lying_over_the_rim_is_not_inside_where_the_table_carries():
    long = SceneObject("brick", "red", (0.12, 0.015, 0.012), (0.3, 0.3, 0.012), 0.0, (0.8, 0.05, 0.05))
    with world_with("tray", long, yaw=0.0) as arm:
        # One end in the tray, the other on the table.
        arm.data.joint("object_0").qpos[:3] = (AT[0] + 0.11, AT[1], 0.05)
        arm.wait(1.5)
        assert contents(arm) == frozenset()


def test_it_is_pushed_and_has_weight():
    with world_with("bowl") as arm:
        mass = float(arm.model.body("container_0").mass[0])
        assert 0.2 < mass < 0.5
        arm.data.joint("container_0").qvel[0] = 0.4
        arm.wait(1.0)
        moved = arm.data.body("container_0").xpos[0] - AT[0]
        assert moved == pytest.approx(0.4**2 / (2 * 9.81 * 0.6), rel=0.5), "friction stops it"


def test_sizes_are_those_of_what_is_seen():
    for kind in CONTAINERS:
        with world_with(kind, scale=1.05) as arm:
            item = arm.layout.containers[0]
            depth_m = np.asarray(arm.view("fixed").render()[1])
            pose, lens = arm.view("fixed").pose, arm.view("fixed").intrinsics
            geoms = arm.view("fixed").render_geoms()
            bodies = np.where(geoms >= 0, arm.model.geom_bodyid[geoms], 0)
            rows, columns = np.nonzero(bodies == arm.model.body("container_0").id)
            uv = np.stack([columns, rows], axis=1).astype(float)
            points = pose.apply(lens.deproject(uv, depth_m[rows, columns].astype(float)), pose.source)
            away = np.hypot(*(points[:, :2] - AT[:2]).T)
            assert points[:, 2].max() == pytest.approx(item.rim_m, abs=0.004)
            assert away.max() == pytest.approx(item.footprint_radius_m, abs=0.008)
            assert np.median(points[away < 0.02, 2]) == pytest.approx(item.floor_m, abs=0.003)


def test_tables_without_containers_are_what_they_were():
    # Of this generator, before there were containers; the benchmark's scenes hang on it.
    layout = random_arm_layout(np.random.default_rng([950000, 9]))
    assert layout.containers == ()
    assert layout == random_arm_layout(np.random.default_rng([950000, 9]), containers=())
    assert [item.name for item in layout.objects] == ["green cube", "blue cylinder", "green cylinder"]
    assert layout.objects[0].position_base_m == pytest.approx(
        (0.14839419572182608, -0.017065399259672653, 0.02343194212315949), abs=1e-12
    )
    assert layout.light_position_m == pytest.approx((0.6750736185920777, 0.09271705734734918, 1.6), abs=1e-12)


def test_tables_with_containers_come_again_and_keep_them_apart():
    kinds = ("bowl", "plate")
    layout = random_arm_layout(np.random.default_rng(5), 4, kinds)
    assert layout == random_arm_layout(np.random.default_rng(5), 4, kinds)
    assert tuple(item.kind for item in layout.containers) == kinds
    things = (*layout.objects, *layout.containers)
    for number, a in enumerate(things):
        for b in things[:number]:
            away = np.hypot(*(np.array(a.position_base_m) - b.position_base_m)[:2])
            assert away > a.footprint_radius_m + b.footprint_radius_m + GAP_M


def test_kinds_are_read_from_a_command_line():
    assert kinds_in("") == ()
    assert kinds_in("bowl, plate") == kinds_in("bowl plate") == ("bowl", "plate")
    with pytest.raises(InputError, match="kind must be a container"):
        kinds_in("bowl;plate")


def test_kinds_that_there_are_not_are_refused():
    with pytest.raises(InputError, match=r"kind must be a container.*'teapot'"):
        random_arm_layout(np.random.default_rng(0), 3, ("teapot",))
    with pytest.raises(InputError, match="must fit"):
        random_arm_layout(np.random.default_rng(0), 3, ("bowl",) * 4)
    with pytest.raises(InputError, match="above zero"):
        Container("bowl", "red", 0.0, AT, 0.0, (0.5, 0.5, 0.5))
    with pytest.raises(InputError, match="solids and toys only"):
        TabletopScene(random_arm_layout(np.random.default_rng(0), 3, ("bowl",)))


def test_a_seed_means_the_same_table_as_ever():
    layout = random_arm_layout(np.random.default_rng(1), 5)
    assert "green cube" in [item.name for item in layout.objects] and "orange ball" in [item.name for item in layout.objects]
