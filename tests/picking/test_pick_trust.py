"""No arm moves on an answer that bears a caution: in simulation, with a model whose answers get cautions."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("tabletask")
pytest.importorskip("mink")
pytest.importorskip("ruckig")

from molmo_point.arm.joint_path import JointPath
from molmo_point.cautions import Caution, CautionKind
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.picking.event_log import EventLog, PickStopped
from molmo_point.picking.held_object import Held
from molmo_point.picking.object_search import Finder, Search
from molmo_point.picking.pick import Picker
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.picking.states import PickFailure, PickState
from molmo_point.picking.views import Blank
from molmo_point.pointer import Pointer
from molmo_point.sim.camera import SimulatedCamera

from .color_backend import ColorBackend
from .test_pick_ends import Passed, open_arm
from .test_views import sighting

WORDS = (CautionKind.UNKNOWN_WORDS, CautionKind.UNCALIBRATED)
IMAGES = (CautionKind.UNFAMILIAR_IMAGE, CautionKind.POOR_IMAGE, CautionKind.LABEL_DIFFERS, CautionKind.UNFAMILIAR_OBJECT)
FAST = (CautionKind.UNKNOWN_WORDS, CautionKind.LABEL_DIFFERS)
HELD = Held("the red cube", width_m=0.03, below_m=0.02, radius_m=0.02, axes=np.diag([1.0, -1.0, -1.0]))


@pytest.fixture(scope="module")
def world():
    with open_arm() as arm:
        yield arm


def picker_with(world, kind, *, only="", accept=(), **arm):
    """A picker whose model's answers bear a caution, or only those in one optical frame; its arm may not move."""

    def point(pointer, frame, request, should_stop):
        answer = pointer.point(frame, request, should_stop=should_stop)
        doubted = only in ("", frame.frame)
        return dataclasses.replace(answer, cautions=(Caution(kind, "it cannot know", (), "a cube"),) if doubted else ())

    views = [SimulatedCamera(world.view(name), seed=k, clock_ns=world.now_ns) for k, name in enumerate(("fixed", "wrist"))]
    still = {"follow": refuse, "move_gripper": refuse, **arm}
    settings = PickSettings(accept_cautions=accept)
    return Picker(Passed(Pointer(ColorBackend()), point=point), Passed(world, **still), *views, settings)


def refuse(*_, **__):
    raise AssertionError("the arm moves")


def way_home(world):
    return JointPath(world.joint_names, np.stack([world.joint_positions(), world.home_rad]), 2.0)


@pytest.mark.parametrize("kind", [kind if kind in FAST else pytest.param(kind, marks=pytest.mark.slow) for kind in CautionKind])
def test_an_answer_with_a_caution_moves_nothing_and_names_it(world, kind):
    result = picker_with(world, kind).pick("the red cube")
    assert result.failure is PickFailure.UNTRUSTED, result.message
    assert result.attempts == 1
    assert result.target is None
    for part in (kind.value, "it cannot know", "did you mean 'a cube'?", f"accept_cautions: {kind.value}"):
        assert part in result.message


@pytest.mark.parametrize("kind", [WORDS[0], pytest.param(IMAGES[0], marks=pytest.mark.slow)])
def test_an_accepted_caution_is_none(world, kind):
    assert picker_with(world, kind, accept=[kind.value]).pick("the red cube", dry_run=True).success
    other = picker_with(world, kind, accept=set(CautionKind) - {kind}).pick("the red cube", dry_run=True)
    assert other.failure is PickFailure.UNTRUSTED


def test_a_doubt_about_one_image_leaves_the_other_view_to_decide(world):
    one, other = world.view("fixed").frame, world.view("wrist").frame
    result = picker_with(world, CautionKind.UNFAMILIAR_IMAGE, only=one).pick("the red cube", dry_run=True)
    assert result.success, result.message
    assert picker_with(world, CautionKind.UNKNOWN_WORDS, only=other).pick("the red cube").failure is PickFailure.UNTRUSTED


def test_a_doubted_denial_is_no_denial(world):
    assert picker_with(world, CautionKind.POOR_IMAGE).pick("the purple mug").failure is PickFailure.UNTRUSTED


@pytest.mark.parametrize("kind", [WORDS[0], IMAGES[2]])
def test_closed_fingers_do_not_open_for_it(world, kind):
    result = picker_with(world, kind, gripper_width=lambda arm: 0.03).pick("the red cube")
    assert result.failure is PickFailure.UNTRUSTED, result.message


@pytest.mark.parametrize("kind", [WORDS[0], pytest.param(WORDS[1], marks=pytest.mark.slow)])
def test_an_arm_away_from_home_does_not_go_there_for_words_that_the_model_does_not_know(world, kind):
    picker = picker_with(world, kind, plan_home=way_home)
    assert picker.pick("the red cube").failure is PickFailure.UNTRUSTED


@pytest.mark.parametrize(("kind", "home"), [(WORDS[0], False), (WORDS[0], True), (IMAGES[0], True)])
def test_an_object_stays_in_the_gripper_if_its_place_is_not_trusted(world, kind, home):
    away = {} if home else {"plan_home": way_home}
    picker = picker_with(world, kind, gripper_width=lambda arm: 0.03, is_gripping=lambda arm: True, **away)
    picker.held = HELD
    placed = picker.place("the green brick", "in")
    assert placed.failure is PickFailure.UNTRUSTED, placed.message
    assert "holds 'the red cube'" in placed.message
    assert picker.holding == placed.holding == "the red cube"
    assert placed.position_m is None


class ScriptedFinder(Finder):
    """Its looks from the stand-off follow a script."""

    def __init__(self, *looks):
        self._looks, self._wrist, self._settings = list(looks), object(), PickSettings(max_looks=len(looks))

    def _look(self, search, at_m, stand_off_m, place, number):
        return self._looks.pop(0)


def looked(*looks):
    """A search after these looks, with two distant views that agreed before."""
    log = EventLog(lambda: 0, None, None)
    search = Search("it", log, RgbdFrame(np.zeros((4, 4, 3), np.uint8), None, None, 0), (), [sighting(0.0), sighting(0.001)])
    search.chosen = search.sightings[0]
    finder = ScriptedFinder(*looks)
    finder.look_again(search, 0)
    return search


DOUBTED = Blank("the stand-off", PickFailure.UNTRUSTED, "UNFAMILIAR_IMAGE: it cannot know")
EMPTY = Blank("the stand-off", PickFailure.NOT_FOUND, "none")


def test_a_doubted_close_view_counts_neither_way():
    near = sighting(0.002)
    search = looked(DOUBTED, DOUBTED, near)
    assert len(search.sightings) == 3, "no view is taken back"
    assert search.chosen.target is near.target
    assert any("does not count" in event.message for event in search.log.events if event.state is PickState.VERIFY_POINT)


def test_nothing_is_grasped_that_only_doubted_close_views_show():
    with pytest.raises(PickStopped, match="UNFAMILIAR_IMAGE") as stopped:
        looked(DOUBTED, DOUBTED)
    assert stopped.value.failure is PickFailure.UNTRUSTED
    with pytest.raises(PickStopped) as stopped:
        looked(DOUBTED, EMPTY)
    assert stopped.value.failure is PickFailure.WRONG_OBJECT


@pytest.mark.parametrize("given", [["UNKNOWN"], "UNCALIBRATED", [3], [None]])
def test_kinds_that_are_none_are_refused(given):
    with pytest.raises(InputError, match="accept_cautions must be a list of kinds") as refused:
        PickSettings(accept_cautions=given)
    assert "UNFAMILIAR_OBJECT" in refused.value.fix


def test_kinds_may_be_named():
    assert PickSettings(accept_cautions=["UNCALIBRATED"]).accept_cautions == {CautionKind.UNCALIBRATED}
    assert PickSettings().accept_cautions == frozenset()
