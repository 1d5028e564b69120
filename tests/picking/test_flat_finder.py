"""Picks without depth: views are triangulated, obstacles are assumed, and a place that the views do not tell is refused."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("tabletask")
pytest.importorskip("mink")
pytest.importorskip("ruckig")

from molmo_point.commands.steps import Relation
from molmo_point.picking.pick import Picker
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.picking.states import PickFailure
from molmo_point.results import DepthStatus
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.arm.tables import ARM_CAMERA
from molmo_point.sim.arm.truth import ArmTruth
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.tabletop.layout import Layout
from molmo_point.sim.tabletop.objects import SceneObject

from .color_backend import picker_for

CUBE = SceneObject("cube", "red", (0.024, 0.024, 0.024), (0.02, 0.05, 0.024), 0.4, (0.8, 0.05, 0.05))
BALL = SceneObject("ball", "blue", (0.025, 0.025, 0.025), (0.11, -0.07, 0.025), 0.0, (0.05, 0.1, 0.8))


class Flat(SimulatedCamera):
    """A camera without depth."""

    def read(self, timeout_s=5.0):
        return dataclasses.replace(super().read(timeout_s), depth_m=None, depth_stamp_ns=None)


@pytest.fixture
def world():
    layout = Layout((CUBE, BALL), ARM_CAMERA, ((0.4,) * 3, (0.4,) * 3), "flat", (0.5,) * 3, (0.6, 0.0, 1.6), 0.6, 0.4)
    with SimulatedArm(layout) as arm:
        yield arm


def flat_picker(arm, **settings):
    seeing = picker_for(arm)
    fixed, wrist = (Flat(arm.view(name), seed=k, clock_ns=arm.now_ns) for k, name in enumerate(("fixed", "wrist")))
    return Picker(seeing.pointer, arm, fixed, wrist, PickSettings(accept_cautions=["UNCALIBRATED"], **settings))


@pytest.mark.slow
def test_an_object_is_picked_by_several_views_and_put_aside(world):
    picker, truth = flat_picker(world, without_depth=True), ArmTruth(world)
    result = picker.pick("the red cube")
    assert result.success, result.message
    assert truth.lifted() == {0}
    assert result.target.depth_status is DepthStatus.TRIANGULATED
    away_m = result.target.position_m - CUBE.position_base_m
    assert np.linalg.norm(away_m) < 0.015
    assert away_m @ np.linalg.solve(result.target.covariance_m2, away_m) < 14.2
    refused = picker.place("the blue ball", Relation.NEXT_TO)
    assert refused.failure is PickFailure.NO_DEPTH and picker.holding == "the red cube"
    placed = picker.place(relation=Relation.ASIDE)
    assert placed.success and placed.seen is None and picker.holding == "" and truth.lifted() == set()


def test_cameras_without_depth_are_refused_unless_it_is_asked_for(world):
    result = flat_picker(world).pick("the red cube")
    assert result.failure is PickFailure.NO_DEPTH and "no depth" in result.message
    assert world.joint_positions() == pytest.approx(world.home_rad, abs=0.01)


def test_one_camera_does_not_tell_a_height(world):
    seeing = picker_for(world)
    picker = Picker(seeing.pointer, world, seeing.fixed_camera, None, PickSettings(without_depth=True))
    result = picker.pick("the red cube")
    assert result.failure is PickFailure.NO_DEPTH and "wrist camera" in result.message
    assert world.joint_positions() == pytest.approx(world.home_rad, abs=0.01)


def test_views_that_do_not_agree_pick_nothing(world, monkeypatch):
    picker, truth = flat_picker(world, without_depth=True), ArmTruth(world)
    point, asked = picker.pointer.point, []

    def elsewhere(frame, request, **more):
        answer = point(frame, request, **more)
        asked.append(1)
        moved = [
            dataclasses.replace(found, point=dataclasses.replace(found.point, u=found.point.u * (0.5 if len(asked) % 2 else 0.9)))
            for found in answer.found
        ]
        return dataclasses.replace(answer, found=tuple(moved))

    monkeypatch.setattr(picker.pointer, "point", elsewhere)
    result = picker.pick("the red cube", attempts=1)
    assert result.failure in (PickFailure.WRONG_OBJECT, PickFailure.NO_DEPTH, PickFailure.NO_GRASP)
    assert truth.lifted() == set()
