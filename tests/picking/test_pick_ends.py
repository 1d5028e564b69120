"""A pick or a placing that goes wrong ends with a result, and lets nothing go: in simulation, judged by the truth."""

import dataclasses
import math
import threading

import numpy as np
import pytest

pytest.importorskip("tabletask")
pytest.importorskip("mink")
pytest.importorskip("ruckig")

from molmo_point.arm.joint_path import FollowEnd
from molmo_point.errors import CameraError, FrameError, InputError
from molmo_point.picking.pick import Picker
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.picking.states import PickFailure, PickState
from molmo_point.pointer import Pointer
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.arm.tables import ARM_CAMERA
from molmo_point.sim.arm.truth import ArmTruth
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.tabletop.layout import Layout
from molmo_point.sim.tabletop.objects import SceneObject

from .color_backend import ColorBackend

CUBE = SceneObject("cube", "red", (0.024, 0.024, 0.024), (0.02, 0.05, 0.024), 0.4, (0.8, 0.05, 0.05))
BRICK = SceneObject("brick", "green", (0.05, 0.022, 0.016), (-0.05, -0.08, 0.016), 1.1, (0.06, 0.6, 0.1))
LAYOUT = Layout((CUBE, BRICK), ARM_CAMERA, ((0.4,) * 3, (0.4,) * 3), "flat", (0.5,) * 3, (0.6, 0.0, 1.6), 0.6, 0.4)


class Passed:
    """Hands everything on to what it wraps but the methods in `instead`, which get it as their first argument."""

    def __init__(self, wrapped, **instead):
        self.wrapped, self.instead = wrapped, instead

    def __getattr__(self, name):
        if name in self.instead:
            return lambda *arguments, **options: self.instead[name](self.wrapped, *arguments, **options)
        return getattr(self.wrapped, name)


def open_arm():
    return SimulatedArm(LAYOUT, 320, 240)


@pytest.fixture
def world():
    with open_arm() as arm:
        yield arm


@pytest.fixture(scope="module")
def still_world():
    """An arm for commands that end before it moves."""
    with open_arm() as arm:
        yield arm


def picker_with(world, *, arm=None, fixed=None, wrist=None, model=None, max_looks=0):
    views = (SimulatedCamera(world.view(name), seed=k, clock_ns=world.now_ns) for k, name in enumerate(("fixed", "wrist")))
    cameras = (Passed(view, **(changes or {})) for view, changes in zip(views, (fixed, wrist), strict=True))
    pointer = Passed(Pointer(ColorBackend()), **(model or {}))
    settings = PickSettings(max_looks=max_looks, accept_cautions=["UNCALIBRATED"])
    return Picker(pointer, Passed(world, **(arm or {})), *cameras, settings)


def at(state, act):
    """An `on_state` that acts once, at the first event of a state."""
    done = []

    def on_state(event):
        if event.state is state and not done:
            done.append(event)
            act()

    return on_state


def said_by_another_thread(stop):
    thread = threading.Thread(target=stop)
    thread.start()
    thread.join()


def without_depth(camera, timeout_s):
    return dataclasses.replace(camera.read(timeout_s), depth_m=None)


def covered(camera, timeout_s):
    frame = camera.read(timeout_s)
    return dataclasses.replace(frame, depth_m=np.full_like(frame.depth_m, np.nan))


def raising(error):
    def work(*_, **__):
        raise error

    return work


@pytest.mark.parametrize(
    ("faults", "failure"),
    [
        ({"fixed": {"read": without_depth}}, PickFailure.NO_DEPTH),
        ({"fixed": {"read": covered}}, PickFailure.NO_DEPTH),
        ({"fixed": {"read": raising(CameraError("it is gone"))}}, PickFailure.CAMERA_FAILED),
        ({"wrist": {"read": raising(OSError("usb"))}}, PickFailure.CAMERA_FAILED),
        ({"model": {"point": raising(RuntimeError("out of memory"))}}, PickFailure.MODEL_FAILED),
        ({"model": {"point": raising(AssertionError())}}, PickFailure.MODEL_FAILED),
        ({"model": {"point": raising(InputError("point must be finite"))}}, PickFailure.MODEL_FAILED),
        ({"arm": {"base_T_camera": raising(FrameError("no transform"))}}, PickFailure.NO_TRANSFORM),
        ({"arm": {"gripper_width": lambda arm: math.nan}}, PickFailure.ARM_FAILED),
        ({"arm": {"joint_positions": lambda arm: np.full(7, np.nan)}}, PickFailure.ARM_FAILED),
        ({"arm": {"resume": raising(ConnectionError("no answer"))}}, PickFailure.ARM_FAILED),
        ({"arm": {"now_ns": raising(ConnectionError("no answer"))}}, PickFailure.ARM_FAILED),
    ],
)
def test_a_fault_before_the_first_motion_has_its_name_and_nothing_moves(still_world, faults, failure):
    before = still_world.joint_positions()
    result = picker_with(still_world, **faults).pick("the red cube")
    assert result.failure is failure, result.message
    assert result.holding == ""
    assert still_world.joint_positions() == pytest.approx(before, abs=0.005)


@pytest.mark.parametrize("state", [pytest.param(PickState.POINTING, marks=pytest.mark.slow), PickState.PLANNING])
def test_a_stop_while_it_looks_or_plans_ends_the_pick_and_is_latched(still_world, state):
    before, picker = still_world.joint_positions(), picker_with(still_world)
    result = picker.pick("the red cube", on_state=at(state, lambda: said_by_another_thread(still_world.stop)))
    assert result.failure is PickFailure.CANCELLED
    assert still_world.stopped
    assert still_world.joint_positions() == pytest.approx(before, abs=0.005)
    assert picker.pick("the red cube", dry_run=True).success, "a dry run moves nothing, and resumes nothing"
    assert still_world.stopped
    assert picker.pick("the purple mug", attempts=1).failure is PickFailure.NOT_FOUND
    assert not still_world.stopped, "a new command resumes"


def test_a_stop_ends_the_answer_of_the_model(still_world):
    asked = []

    def answer(pointer, frame, request, should_stop):
        still_world.stop()
        asked.append(should_stop())
        return pointer.point(frame, request, should_stop=should_stop)

    result = picker_with(still_world, model={"point": answer}).pick("the red cube")
    assert result.failure is PickFailure.CANCELLED
    assert asked == [True]


def test_a_command_that_waited_through_a_stop_does_not_begin(still_world):
    permit = still_world.resume()
    still_world.stop()
    still_world.resume()
    result = picker_with(still_world).pick("the red cube", permit=permit)
    assert result.failure is PickFailure.CANCELLED
    assert result.events[-1].message.startswith("CANCELLED")


def test_an_error_of_the_callback_is_told_and_ctrl_c_passes_on(still_world):
    picker = picker_with(still_world)
    assert picker.pick("the red cube", on_state=raising(ValueError("disk full"))).failure is PickFailure.UNEXPECTED
    with pytest.raises(KeyboardInterrupt):
        picker.pick("the red cube", on_state=raising(KeyboardInterrupt()))
    assert still_world.stopped


def test_wrong_arguments_are_the_caller_s(still_world):
    picker = picker_with(still_world)
    for call in (lambda: picker.pick(" "), lambda: picker.pick("x\n"), lambda: picker.pick("cube", attempts=0)):
        with pytest.raises(InputError):
            call()


def blocked_once(above_m):
    """A `follow` that is held up once, with the hand higher than this."""
    done = []

    def follow(arm, path, *, cancelled=None, speed=1.0):
        high = lambda: arm.base_T_tool().translation_m[2] > above_m and arm.gripper_width() < 0.055  # noqa: E731
        end = arm.follow(path, cancelled=lambda: not done and high(), speed=speed)
        if end is FollowEnd.CANCELLED and not done:
            done.append(1)
            return FollowEnd.BLOCKED
        return end

    return follow


def test_an_arm_that_is_held_up_while_it_lifts_keeps_the_object_and_places_it_later(world):
    truth, picker = ArmTruth(world), picker_with(world, arm={"follow": blocked_once(0.09)})
    result = picker.pick("the red cube")
    assert result.failure is PickFailure.COLLISION
    assert result.attempts == 1, "it does not open the hand for another one"
    assert result.holding == picker.holding == "the red cube"
    assert "holds 'the red cube'" in result.message
    assert truth._held(0)
    assert not truth.dropped
    assert picker.place("", "aside").success
    assert picker.holding == ""


def frozen():
    """A `read` that hands out its first frame for ever."""
    kept = []

    def read(camera, timeout_s):
        kept[:] = kept or [camera.read(timeout_s)]
        return kept[0]

    return read


@pytest.mark.slow
def test_a_frozen_camera_is_found_out_and_nothing_is_dropped(world):
    truth, picker = ArmTruth(world), picker_with(world, fixed={"read": frozen()})
    result = picker.pick("the red cube")
    assert result.failure is PickFailure.STALE_FRAME
    assert result.holding == "the red cube"
    assert truth._held(0)
    assert not truth.dropped


@pytest.mark.slow
def test_a_frozen_wrist_camera_is_found_out(world):
    result = picker_with(world, wrist={"read": frozen()}, max_looks=2).pick("the red cube")
    assert result.failure is PickFailure.STALE_FRAME
    assert result.holding == ""


@pytest.mark.slow
def test_a_gripper_that_reports_nan_drops_nothing_and_says_so_until_it_is_mended(world):
    truth, broken = ArmTruth(world), []
    picker = picker_with(world, arm={"gripper_width": lambda arm: math.nan if broken else arm.gripper_width()})
    result = picker.pick("the red cube", on_state=at(PickState.LIFT, lambda: broken.append(1)))
    assert result.failure is PickFailure.ARM_FAILED
    assert math.isfinite(result.width_m), "the last width that was one"
    assert picker.place("", "aside").failure is PickFailure.ARM_FAILED
    assert picker.holding == "the red cube"
    assert truth._held(0)
    broken.clear()
    assert picker.place("", "aside").success


@pytest.mark.slow
def test_a_pick_cancelled_before_the_fingers_touch_holds_nothing_and_the_next_one_works(world):
    over = []

    def cut_short(arm, width_m, *, cancelled=None):
        began = arm.now_ns()
        ends = lambda: bool(over) or (width_m < 0.005 and arm.now_ns() > began + 20_000_000 and (over.append(1) or True))  # noqa: E731
        return arm.move_gripper(width_m, cancelled=lambda: ends() or (cancelled is not None and cancelled()))

    picker = picker_with(world, arm={"move_gripper": cut_short})
    result = picker.pick("the red cube", cancelled=lambda: bool(over))
    assert result.failure is PickFailure.CANCELLED
    assert picker.holding == ""
    width = world.gripper_width()
    assert width > 0.055
    world.wait(0.5)
    assert world.gripper_width() == pytest.approx(width, abs=0.001)
    over.clear()
    picker = picker_with(world)
    assert picker.pick("the red cube").success, "a picker that knows nothing of the fingers closes them first"


@pytest.mark.slow
@pytest.mark.parametrize("state", [PickState.APPROACH, PickState.GRASP, PickState.LIFT, PickState.VERIFY_LIFT])
def test_a_stop_between_two_motions_ends_the_pick(world, state):
    truth, stood = ArmTruth(world), []

    def stop():
        said_by_another_thread(world.stop)
        stood.append(world.joint_positions())

    picker = picker_with(world)
    result = picker.pick("the red cube", on_state=at(state, stop))
    assert result.failure is PickFailure.CANCELLED
    world.wait(0.5)
    assert world.joint_positions() == pytest.approx(stood[0], abs=0.02)
    assert bool(picker.holding) == (state in (PickState.LIFT, PickState.VERIFY_LIFT))
    assert not truth.dropped
    assert (picker.place("", "aside") if picker.holding else picker.pick("the red cube")).success


@pytest.mark.slow
def test_something_unknown_in_the_hand_is_kept_until_an_explicit_release(world):
    truth = ArmTruth(world)
    assert picker_with(world).pick("the red cube").success
    picker = picker_with(world)
    assert picker.holding == ""
    result = picker.pick("the green brick")
    assert result.failure is PickFailure.GRIPPER_NOT_EMPTY
    assert "release" in result.message
    assert truth._held(0)
    assert picker.release().success
    assert not truth._held(0)
    assert picker.pick("the green brick").success


@pytest.mark.slow
def test_an_object_taken_by_hand_is_not_held_any_more(world):
    picker = picker_with(world)
    assert picker.pick("the red cube").success
    joint = world.model.body("object_0").jntadr[0]
    world.data.qpos[world.model.jnt_qposadr[joint] : world.model.jnt_qposadr[joint] + 2] = (0.3, 0.35)
    world.wait(0.5)
    placed = picker.place("", "aside")
    assert placed.failure is PickFailure.SLIPPED
    assert picker.holding == placed.holding == ""
    assert placed.position_m is None


@pytest.mark.slow
def test_a_stop_during_the_release_is_honored(world):
    truth, stopped = ArmTruth(world), []

    def move_gripper(arm, width_m, *, cancelled=None):
        began = arm.now_ns()
        due = lambda: bool(stopped) and arm.now_ns() > began + 60_000_000 and (arm.stop() or True)  # noqa: E731
        return arm.move_gripper(width_m, cancelled=lambda: due() or (cancelled is not None and cancelled()))

    picker = picker_with(world, arm={"move_gripper": move_gripper})
    assert picker.pick("the red cube").success
    stopped.append(1)
    placed = picker.place("", "aside")
    assert placed.failure is PickFailure.CANCELLED
    height = world.base_T_tool().translation_m[2]
    world.wait(0.5)
    assert world.base_T_tool().translation_m[2] == pytest.approx(height, abs=0.002), "it does not even rise"
    assert truth.positions_m()[0][2] < 0.04
    stopped.clear()
    assert (picker.place("", "aside") if picker.holding else picker.pick("the green brick")).success
