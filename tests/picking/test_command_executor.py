"""Commands executed with a picker: the calls, their order, and their end; and the drop zones."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from molmo_point.arm.joint_path import JointPath, NoPath, NoPathReason
from molmo_point.cautions import Caution, CautionKind
from molmo_point.commands import Relation, parse_command
from molmo_point.errors import CancelledError, InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.command_executor import PickerExecutor, carry_out
from molmo_point.picking.held_object import DropZones, Held
from molmo_point.picking.pick import Picker
from molmo_point.picking.states import PickFailure, PickResult, PlaceResult
from molmo_point.results import Count, Pointing

from ..arm.still_arm import StillArm

CAUTION = Caution(CautionKind.UNKNOWN_WORDS, "no mug is known")
HELD = Held("x", width_m=0.03, below_m=0.02, radius_m=0.02, axes=np.diag([1.0, -1.0, -1.0]))


class Arm:
    """Reaches everything but what is `blocked`."""

    base_frame, table_z_m = "base", 0.1

    def __init__(self, blocked=lambda pose: False):
        self.blocked = blocked

    def grasp_T_tool(self, width_m):
        return Transform("grasp", "tool", np.eye(3), np.zeros(3))

    def plan(self, poses, **_):
        if self.blocked(poses[0]):
            return NoPath(NoPathReason.UNREACHABLE, "too far")
        return JointPath(("joint1",), np.zeros((2, 1)), 1.0)


class ScriptedPicker(Picker):
    """Follows a script of failures of picks; None succeeds, and so does every placing."""

    def __init__(self, *failures):
        self.failures, self.did, self.held = list(failures), [], None
        self.arm = StillArm()
        self.fixed_camera = SimpleNamespace(read=lambda: "frame")
        self.pointer = SimpleNamespace(count=self.count, point=self.point)

    def pick(self, query, *, cancelled, on_state, permit):
        failure = self.failures.pop(0) if self.failures else None
        self.did.append(("pick", query))
        self.held = None if failure else HELD
        return PickResult(query=query, failure=failure, message="", attempts=1)

    def place(self, where="", relation=Relation.ON, *, cancelled=None, on_state=None, permit=None):
        self.did.append(("place", where, relation.value))
        failure = self.failures.pop(0) if self.failures and where else None
        self.held = HELD if failure else None
        return PlaceResult(where=where, failure=failure, message="")

    def count(self, frame, query, should_stop):
        self.did.append(("count", query))
        return Count(query, "m", "", 3, 3, (), True, {})

    def point(self, frame, query, should_stop):
        self.did.append(("point", query))
        return Pointing(query, "m", "", True, (), {}, 1, "camera")


def zones():
    return DropZones([-0.3, -0.4], [0.1, -0.4], 0.1)


def do(text, picker):
    return carry_out(parse_command(text), PickerExecutor(picker))


def test_steps_become_calls_in_order():
    picker = ScriptedPicker()
    outcomes = do("pick the mug and put it in the bowl, put the cube aside, how many screws are there?", picker)
    assert picker.did == [
        *(("pick", "mug"), ("place", "bowl", "in"), ("pick", "cube"), ("place", "", "aside"), ("count", "screws")),
    ]
    assert all(outcome.success for outcome in outcomes)
    assert [outcome.to_dict()["do"] for outcome in outcomes] == ["pick", "pick", "count"]
    assert outcomes[0].picked
    assert outcomes[0].placed
    assert outcomes[-1].count == 3


def test_all_of_a_kind_until_none_is_found():
    picker = ScriptedPicker(None, None, None, None, PickFailure.NOT_FOUND)
    outcomes = do("put all the screws in the box", picker)
    assert [kind for kind, *_ in picker.did] == ["pick", "place", "pick", "place", "pick"]
    assert len(outcomes) == 2
    assert all(outcome.success for outcome in outcomes)


def test_a_box_that_is_not_found_is_a_failure_and_not_the_end_of_the_screws():
    outcomes = do("put all the screws in the box", ScriptedPicker(None, None, None, PickFailure.NOT_FOUND))
    assert [outcome.success for outcome in outcomes] == [True, False]
    assert outcomes[-1].failure is PickFailure.NOT_FOUND


@pytest.mark.parametrize("failure", [PickFailure.SLIPPED, PickFailure.NOT_FOUND])
def test_a_failure_ends_it(failure):
    picker = ScriptedPicker(failure)
    outcomes = do("give me the mug, then give me the cube", picker)
    assert picker.did == [("pick", "mug")]
    assert outcomes[-1].failure is failure


def test_an_object_that_is_not_there_is_no_success_of_pointing():
    assert not do("point at the mug", ScriptedPicker())[-1].success


def test_stop_moves_nothing_and_placing_needs_an_object():
    picker = ScriptedPicker()
    assert do("stop", picker)[0].success
    assert picker.did == []
    assert picker.arm.stopped
    with pytest.raises(InputError, match="must hold an object"):
        Picker.place(ScriptedPicker(), relation=Relation.ASIDE)


def test_the_message_of_a_doubted_answer_names_its_cautions():
    class Doubted(ScriptedPicker):
        def count(self, frame, query, should_stop):
            return dataclasses.replace(super().count(frame, query, should_stop), cautions=(CAUTION,))

        def point(self, frame, query, should_stop):
            return dataclasses.replace(super().point(frame, query, should_stop), cautions=(CAUTION,))

    for command in ("how many mugs are there?", "point at the mug"):
        assert do(command, Doubted())[-1].message.endswith("(not trusted: UNKNOWN_WORDS: no mug is known)")
        assert "not trusted" not in do(command, ScriptedPicker())[-1].message


class StoppedPicker(ScriptedPicker):
    """Somebody says stop while it does a step."""

    stops_at = ("pick", "cube")

    def _work(self, *step):
        if step == self.stops_at:
            self.arm.stop()

    def pick(self, query, **options):
        self._work("pick", query)
        return super().pick(query, **options)

    def count(self, frame, query, should_stop):
        self._work("count", query)
        if should_stop():
            raise CancelledError("the work was cancelled")
        return super().count(frame, query, should_stop)


@pytest.mark.parametrize(
    ("text", "at", "did"),
    [
        ("pick the cube, then count the screws", ("pick", "cube"), 1),
        ("count the screws, then give me the mug", ("count", "screws"), 0),
        ("put all the cubes in the box", ("pick", "cubes"), 2),
    ],
)
def test_a_stop_drops_the_remaining_steps(text, at, did):
    picker = StoppedPicker()
    picker.stops_at = at
    outcomes = do(text, picker)
    assert len(picker.did) == did
    assert not outcomes[-1].success
    assert outcomes[-1].failure is PickFailure.CANCELLED
    assert picker.arm.stopped


def test_a_command_that_was_stopped_before_it_began_does_nothing_though_a_later_one_resumed():
    picker = ScriptedPicker()
    permit = picker.arm.resume()
    picker.arm.stop()
    picker.arm.resume()
    outcomes = carry_out(parse_command("give me the mug"), PickerExecutor(picker, permit=permit))
    assert picker.did == []
    assert [outcome.success for outcome in outcomes] == [False]


@pytest.mark.parametrize(("text", "stopped"), [("give me the mug", False), ("count the screws", True)])
def test_a_new_command_resumes_only_if_it_moves_the_arm(text, stopped):
    picker = ScriptedPicker()
    picker.arm.stop()
    assert do(text, picker)[-1].success
    assert picker.arm.stopped is stopped


def test_places_are_used_in_turn_just_above_the_table():
    kept = zones()
    poses = [kept.next(Arm(), HELD, aside=True) for _ in range(7)]
    positions = [tuple(np.round(pose.translation_m, 3)) for pose in poses]
    assert positions[:4] == [(-0.3, -0.4, 0.126), (-0.2, -0.4, 0.126), (-0.1, -0.4, 0.126), (-0.3, -0.5, 0.126)]
    assert len(set(positions[:6])) == 6 and positions[6] == positions[0]
    np.testing.assert_allclose(poses[0].rotation, HELD.axes)
    assert kept.next(Arm(), HELD, aside=False).translation_m[0] == pytest.approx(0.1)


def test_a_place_out_of_reach_is_passed_over_and_a_turn_is_tried_first():
    def too_far(pose):
        return pose.translation_m[0] < -0.25

    assert zones().next(Arm(too_far), HELD, aside=True).translation_m[0] == pytest.approx(-0.2)

    def must_turn(pose):
        return abs(pose.rotation[0, 0]) > 0.1

    turned = zones().next(Arm(must_turn), HELD, aside=True)
    assert turned.translation_m[0] == pytest.approx(-0.3) and abs(turned.rotation[1, 0]) == pytest.approx(1.0)
    assert zones().next(Arm(lambda pose: True), HELD, aside=True).translation_m[0] == pytest.approx(-0.3)


@pytest.mark.parametrize("xy", [[0.1], [0.1, 0.2, 0.3], [0.1, float("nan")]])
def test_a_zone_without_a_position_is_refused(xy):
    with pytest.raises(InputError, match="aside_xy_m"):
        DropZones(xy, [0.0, 0.0], 0.1)
