"""Picking and placing with the simulated arm, by a pointer that knows colours and nothing else."""

import json

import numpy as np
import pytest

pytest.importorskip("tabletask")
pytest.importorskip("mink")
pytest.importorskip("ruckig")

from molmo_point.arm.arm import Arm
from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.picking.states import PickFailure, PickState
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.arm.tables import ARM_CAMERA
from molmo_point.sim.arm.truth import ArmTruth
from molmo_point.sim.tabletop.layout import Layout
from molmo_point.sim.tabletop.objects import SceneObject

from .color_backend import picker_for

CUBE = SceneObject("cube", "red", (0.024, 0.024, 0.024), (0.02, 0.05, 0.024), 0.4, (0.8, 0.05, 0.05))
BRICK = SceneObject("brick", "green", (0.05, 0.022, 0.016), (-0.05, -0.08, 0.016), 1.1, (0.06, 0.6, 0.1))
BALL = SceneObject("ball", "blue", (0.025, 0.025, 0.025), (0.11, -0.07, 0.025), 0.0, (0.05, 0.1, 0.8))


@pytest.fixture
def world():
    layout = Layout((CUBE, BRICK, BALL), ARM_CAMERA, ((0.4,) * 3, (0.4,) * 3), "flat", (0.5,) * 3, (0.6, 0.0, 1.6), 0.6, 0.4)
    with SimulatedArm(layout) as arm:
        yield arm


def test_pick_and_place_from_words_to_the_table_and_back(world):
    assert isinstance(world, Arm)
    truth, picker, told = ArmTruth(world), picker_for(world), []
    dry = picker.pick("the red cube", dry_run=True)
    assert dry.success
    assert dry.grasp is not None
    assert world.joint_positions() == pytest.approx(world.home_rad, abs=0.01), "a dry run moves nothing"
    result = picker.pick("the red cube", on_state=lambda event: told.append(event.state))
    assert result.success, result.message
    assert truth.lifted() == {0}
    assert result.holding == picker.holding == "the red cube"
    assert result.width_m == pytest.approx(0.048, abs=0.004)
    assert result.target is not None
    assert np.linalg.norm(result.target.position_m - CUBE.position_base_m) < 0.035
    in_order = list(dict.fromkeys(told))
    assert in_order[0] is PickState.POINTING
    assert set(in_order) == set(PickState) - {PickState.PLACE}
    assert sum(result.arm_s.values()) < 15
    json.dumps(result.to_dict(), allow_nan=False)
    with pytest.raises(InputError, match="must be empty"):
        picker.pick("the blue ball")
    placed = picker.place("the green brick", "next to")
    assert placed.success, placed.message
    assert picker.holding == ""
    world.wait(0.5)
    x, y, z = truth.positions_m()[0]
    assert z == pytest.approx(0.024, abs=0.004)
    assert 0.05 < np.hypot(x - BRICK.position_base_m[0], y - BRICK.position_base_m[1]) < 0.2
    assert truth.moved_m()[1:].max() < 0.01, "the others stay where they are"
    with pytest.raises(InputError, match="must hold an object"):
        picker.place("the green brick")


def test_putting_on_top(world):
    truth, picker = ArmTruth(world), picker_for(world, max_looks=0)
    assert picker.pick("the red cube").success
    placed = picker.place("the green brick", "on")
    assert placed.success, placed.message
    world.wait(0.5)
    assert truth.positions_m()[0] == pytest.approx([*BRICK.position_base_m[:2], 0.056], abs=0.012)


def test_what_is_not_there_is_not_found_and_nothing_moves_on(world):
    result = picker_for(world).pick("the purple mug", attempts=2)
    assert not result.success
    assert result.failure is PickFailure.NOT_FOUND
    assert result.attempts == 2
    assert "purple mug" in result.message


def test_cancelling_on_the_way_up_keeps_what_is_held(world):
    picker, states = picker_for(world), []
    lifting = lambda: bool(states) and states[-1] is PickState.LIFT and world.base_T_tool().translation_m[2] > 0.08  # noqa: E731
    result = picker.pick("the red cube", cancelled=lifting, on_state=lambda event: states.append(event.state))
    assert result.failure is PickFailure.CANCELLED
    assert result.holding == "the red cube"
    assert "holds 'the red cube'" in result.message
    world.wait(0.5)
    assert ArmTruth(world)._held(0), "it is not dropped"


def test_a_thing_that_slides_out_is_a_slip(world):
    for side in ("left", "right"):
        for pad in (1, 2):
            world.model.geom(f"arm/{side}_pad{pad}").friction[:] = 0.001
    result = picker_for(world, max_looks=0).pick("the red cube", attempts=1)
    assert result.failure is PickFailure.SLIPPED, result.message
    assert result.holding == ""


def test_settings_and_arguments_that_cannot_be_used(world):
    picker = picker_for(world)
    with pytest.raises(InputError, match="at least 1"):
        picker.pick("the red cube", attempts=0)
    with pytest.raises(InputError, match="must not be negative"):
        PickSettings(lift_m=-0.1)
    picker.held = object()  # type: ignore[assignment]
    with pytest.raises(InputError, match="relation"):
        picker.place("the green brick", "under")  # type: ignore[arg-type]
    with pytest.raises(FrameError, match="grasp frame in the base frame"):
        picker.place(Transform.identity("map", "grasp"))
