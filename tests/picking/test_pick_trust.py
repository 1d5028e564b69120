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


def picker_sure_to(world, least_confidence=0.5, accept=(), **confidences):
    """A picker whose model points with a confidence per camera; None is a denial. Its arm may not move."""

    def point(pointer, frame, request, should_stop):
        answer = pointer.point(frame, request, should_stop=should_stop)
        confidence = confidences["fixed" if frame.frame == world.view("fixed").frame else "wrist"]
        found = [dataclasses.replace(each, point=dataclasses.replace(each.point, confidence=confidence)) for each in answer.found]
        cautions = (
            (Caution(CautionKind.LABEL_DIFFERS, "it cannot know"),) if confidence is not None and np.isnan(confidence) else ()
        )
        return dataclasses.replace(answer, found=() if confidence is None else tuple(found), cautions=cautions)

    views = [SimulatedCamera(world.view(name), seed=k, clock_ns=world.now_ns) for k, name in enumerate(("fixed", "wrist"))]
    settings = PickSettings(accept_cautions=accept, least_confidence=least_confidence)
    still = Passed(world, follow=refuse, move_gripper=refuse, gripper_width=lambda arm: 0.03)
    return Picker(Passed(Pointer(ColorBackend()), point=point), still, *views, settings)


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


@pytest.mark.parametrize(
    ("fixed", "wrist", "failure", "parts"),
    [
        (0.31, 0.02, PickFailure.UNTRUSTED, ("only 31 % sure of 'the red cube' from the fixed camera",)),
        (0.02, 0.4999, PickFailure.UNTRUSTED, ("only 49 % sure of 'the red cube' from the wrist camera",)),
        (None, 0.31, PickFailure.NOT_FOUND, ("sees no 'the red cube' from the fixed camera", "only 31 % sure")),
    ],
)
def test_closed_fingers_do_not_open_for_an_object_that_no_view_is_sure_of(world, fixed, wrist, failure, parts):
    result = picker_sure_to(world, fixed=fixed, wrist=wrist).pick("the red cube")
    assert result.failure is failure, result.message
    assert result.attempts == 1
    assert all(part in result.message for part in parts), result.message


@pytest.mark.parametrize(
    ("fixed", "wrist", "settings"),
    [
        (0.5, 0.02, {}),
        (0.02, 0.7, {}),
        pytest.param(0.31, 0.31, {"least_confidence": 0.3}, marks=pytest.mark.slow),
        pytest.param(0.02, 0.02, {"least_confidence": 0.0}, marks=pytest.mark.slow),
        pytest.param(0.02, np.nan, {"accept": ["LABEL_DIFFERS"]}, marks=pytest.mark.slow),
    ],
)
def test_one_sure_view_is_enough(world, fixed, wrist, settings):
    result = picker_sure_to(world, fixed=fixed, wrist=wrist, **settings).pick("the red cube", dry_run=True)
    assert result.success, result.message


class ScriptedFinder(Finder):
    """Its looks from the stand-off follow a script."""

    def __init__(self, *looks):
        self._looks, self._wrist, self._settings = list(looks), object(), PickSettings(max_looks=len(looks))

    def _look(self, search, at_m, stand_off_m, place, number):
        return self._looks.pop(0)


def looked(*looks, confidence=0.8):
    """A search after these looks, with two distant views that agreed before."""
    log = EventLog(lambda: 0, None, None)
    views = [sighting(0.0, confidence), sighting(0.001, confidence)]
    search = Search("it", log, RgbdFrame(np.zeros((4, 4, 3), np.uint8), None, None, 0), (), views)
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


def test_nothing_is_grasped_that_all_views_show_and_none_is_sure_of():
    with pytest.raises(PickStopped, match="only 48 % sure of 'it'") as stopped:
        looked(sighting(0.002, 0.48), confidence=0.45)
    assert stopped.value.failure is PickFailure.UNTRUSTED
    assert len(looked(sighting(0.002, 0.48), confidence=np.nan).sightings) == 3, "the caller accepted the caution"
    with pytest.raises(PickStopped) as stopped:
        looked(sighting(0.2, 0.45), sighting(0.2, 0.45), confidence=0.45)
    assert stopped.value.failure is PickFailure.WRONG_OBJECT, "views that do not agree say more"


@pytest.mark.parametrize("given", [1.01, -0.1, float("nan")])
def test_a_least_confidence_is_a_probability(given):
    with pytest.raises(InputError, match="least_confidence must"):
        PickSettings(least_confidence=given)


@pytest.mark.parametrize("given", [["UNKNOWN"], "UNCALIBRATED", [3], [None]])
def test_kinds_that_are_none_are_refused(given):
    with pytest.raises(InputError, match="accept_cautions must be a list of kinds") as refused:
        PickSettings(accept_cautions=given)
    assert "UNFAMILIAR_OBJECT" in refused.value.fix


def test_kinds_may_be_named():
    assert PickSettings(accept_cautions=["UNCALIBRATED"]).accept_cautions == {CautionKind.UNCALIBRATED}
    assert PickSettings().accept_cautions == frozenset()
