"""Putting things into containers: with the arm and its cameras, judged by the truth; and what does not go in."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("tabletask")
pytest.importorskip("mink")
pytest.importorskip("ruckig")

from molmo_point.commands import parse_command
from molmo_point.picking.command_executor import PickerExecutor, carry_out
from molmo_point.picking.states import PickFailure
from molmo_point.sim.arm.containers import Container
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.arm.tables import random_arm_layout
from molmo_point.sim.arm.truth import ArmTruth, contents
from molmo_point.sim.tabletop.objects import SceneObject

from .color_backend import picker_for

RED, GREEN, BLUE = (0.8, 0.05, 0.05), (0.06, 0.6, 0.1), (0.05, 0.1, 0.8)


def table(kind, seed, *objects):
    """A blue container somewhere on a bare table, with things apart from it."""
    rng = np.random.default_rng([seed, 77])
    around = random_arm_layout(np.random.default_rng(3), 0)
    x, y = rng.uniform(-0.08, 0.08), rng.uniform(0.0, 0.12)
    item = Container(kind, "blue", float(rng.uniform(0.92, 1.08)), (x, y, 0.0), float(rng.uniform(0, 6)), BLUE)
    placed = []
    for number, (shape, color, half) in enumerate(objects):
        at = (x + (0.1 if number else -0.1) * rng.uniform(0.2, 1.0), y - 0.19, half[2])
        placed.append(SceneObject(shape, color, half, at, float(rng.uniform(0, 6)), RED if color == "red" else GREEN))
    return SimulatedArm(dataclasses.replace(around, objects=tuple(placed), containers=(item,)))


def cube(color="red", half=0.023):
    return ("cube", color, (half, half, half))


def hardest_on_container(truth):
    return max((touch.force_n for touch in truth.touches.values() if touch.other.startswith("container")), default=0.0)


SLOW_BOWL, SLOW_TRAY = (pytest.param(*each, marks=pytest.mark.slow) for each in (("bowl", 2), ("tray", 4)))


@pytest.mark.parametrize(("kind", "seed"), [("bowl", 1), SLOW_BOWL, ("box", 3), SLOW_TRAY, ("plate", 5)])
def test_it_is_put_into_the_middle_and_the_rim_is_not_touched(kind, seed):
    with table(kind, seed, cube()) as arm:
        truth, picker = ArmTruth(arm), picker_for(arm, max_looks=0)
        assert picker.pick("the red cube").success
        placed = picker.place(f"the blue {kind}", "on" if kind == "plate" else "in")
        assert placed.success, placed.message
        assert placed.seen is True
        assert placed.found_container
        assert picker.holding == ""
        item = arm.layout.containers[0]
        assert placed.position_m is not None
        assert placed.position_m[:2] == pytest.approx(item.position_base_m[:2], abs=0.008)
        arm.wait(0.7)
        assert contents(arm) == {0}
        assert hardest_on_container(truth) < 1.0
        assert arm.data.body("container_0").xpos == pytest.approx(item.position_base_m, abs=0.004)


@pytest.mark.slow
def test_by_a_typed_command_and_then_another_one_beside_it():
    with table("tray", 6, cube("red", 0.016), cube("green", 0.016)) as arm:
        picker = picker_for(arm, max_looks=0)
        for text in ("put the red cube in the blue tray", "pick up the green cube and put it in the blue tray"):
            outcomes = carry_out(parse_command(text), PickerExecutor(picker))
            assert all(outcome.success for outcome in outcomes), [outcome.message for outcome in outcomes]
        arm.wait(0.7)
        assert contents(arm) == {0, 1}
        # Beside one another, not on top: both touch the floor.
        assert arm.data.body("object_0").xpos[2] < 0.04
        assert arm.data.body("object_1").xpos[2] < 0.04


@pytest.mark.slow
def test_next_to_it_keeps_clear_of_the_rim():
    with table("bowl", 7, cube()) as arm:
        truth, picker = ArmTruth(arm), picker_for(arm, max_looks=0)
        assert picker.pick("the red cube").success
        placed = picker.place("the blue bowl", "next to")
        assert placed.success, placed.message
        arm.wait(0.7)
        item = arm.layout.containers[0]
        away = np.hypot(*(truth.positions_m()[0][:2] - item.position_base_m[:2]))
        assert item.footprint_radius_m + 0.023 + 0.01 < away < item.footprint_radius_m + 0.15
        assert truth.positions_m()[0][2] == pytest.approx(0.023, abs=0.003), "it stands on the table"
        assert contents(arm) == frozenset()
        assert hardest_on_container(truth) < 1.0


def test_what_is_too_long_stays_in_the_gripper_with_the_reason():
    with table("bowl", 8, ("brick", "red", (0.075, 0.02, 0.018))) as arm:
        picker = picker_for(arm, max_looks=0)
        assert picker.pick("the red brick").success
        placed = picker.place("the blue bowl", "in")
        assert placed.failure is PickFailure.NO_GRASP
        assert "does not go into" in placed.message
        assert "mm wide" in placed.message
        assert placed.holding == picker.holding == "the red brick"
        assert ArmTruth(arm)._held(0)


def test_in_a_thing_without_an_inside_or_one_that_is_not_there_is_refused():
    with table("bowl", 9, cube(), cube("green", 0.026)) as arm:
        picker = picker_for(arm, max_looks=0)
        assert picker.pick("the red cube").success
        solid = picker.place("the green cube", "in")
        assert solid.failure is PickFailure.WRONG_OBJECT
        assert "rim and inside" in solid.message
        missing = picker.place("the purple bowl", "in")
        assert missing.failure is PickFailure.NOT_FOUND
        assert picker.holding == "the red cube"


def test_what_is_lost_on_the_way_is_told_and_is_not_held_any_more():
    with table("bowl", 1, cube()) as arm:
        picker = picker_for(arm, max_looks=0)
        assert picker.pick("the red cube").success
        for side in ("left", "right"):
            for pad in (1, 2):
                arm.model.geom(f"arm/{side}_pad{pad}").friction[:] = 0.001
        placed = picker.place("the blue bowl", "in")
        assert placed.failure is PickFailure.SLIPPED, placed.message
        assert "lost on the way" in placed.message
        assert "still holds" not in placed.message
        assert placed.holding == picker.holding == ""
        assert contents(arm) == frozenset()
