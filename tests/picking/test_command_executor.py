"""Commands carried out with a picker: what is asked of it, in which order, and when it ends."""

from types import SimpleNamespace

import numpy as np
import pytest

from molmo_point.arm.joint_path import JointPath, NoPath, NoPathReason
from molmo_point.commands import parse_command
from molmo_point.errors import InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.command_executor import carry_out, succeeded
from molmo_point.picking.drop_zones import PutDownPlaces
from molmo_point.picking.held_object import Held
from molmo_point.picking.states import PickFailure, PickResult, PlaceResult
from molmo_point.results import Count, Pointing

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


class Picker:
    """Follows a script of failures; None succeeds."""

    def __init__(self, *failures):
        self.failures, self.did, self.held, self.arm = list(failures), [], None, Arm()
        self.fixed_camera = SimpleNamespace(read=lambda: "frame")
        self.pointer = SimpleNamespace(count=self.count, point=self.point)

    def pick(self, query, *, cancelled, on_state):
        failure = self.failures.pop(0) if self.failures else None
        self.did.append(("pick", query))
        self.held = None if failure else HELD
        return PickResult(query, failure is None, failure, "", 1)

    def place(self, where, relation, *, cancelled, on_state):
        self.did.append(("place", where if isinstance(where, str) else "a pose", relation))
        self.held = None
        return PlaceResult(str(where), True, None, "")

    def count(self, frame, query):
        self.did.append(("count", query))
        return Count(query, "m", "", 3, 3, (), True, {})

    def point(self, frame, query):
        self.did.append(("point", query))
        return Pointing(query, "m", "", True, (), {}, 1, "camera")


def places():
    return PutDownPlaces([-0.3, -0.4], [0.1, -0.4], 0.1)


def do(text, picker):
    return carry_out(parse_command(text), picker, places())


def test_steps_become_calls_in_order():
    picker = Picker()
    outcomes = do("pick the mug and put it in the bowl, put the cube aside, how many screws are there?", picker)
    assert picker.did == [
        *(("pick", "mug"), ("place", "bowl", "in"), ("pick", "cube"), ("place", "a pose", "on"), ("count", "screws")),
    ]
    assert all(succeeded(outcome) for outcome in outcomes)


def test_all_of_a_kind_until_none_is_found():
    picker = Picker(None, None, PickFailure.NOT_FOUND)
    outcomes = do("put all the screws in the box", picker)
    assert [kind for kind, *_ in picker.did] == ["pick", "place", "pick", "place", "pick"]
    assert len(outcomes) == 4 and all(succeeded(outcome) for outcome in outcomes)


@pytest.mark.parametrize("failure", [PickFailure.SLIPPED, PickFailure.NOT_FOUND])
def test_a_failure_ends_it(failure):
    picker = Picker(failure)
    outcomes = do("give me the mug, then give me the cube", picker)
    assert picker.did == [("pick", "mug")] and not succeeded(outcomes[-1])


def test_a_thing_that_is_not_there_is_no_success_of_pointing():
    assert not succeeded(do("point at the mug", Picker())[-1])


def test_stop_moves_nothing_and_placing_needs_something():
    picker = Picker()
    assert do("stop", picker) == [] and picker.did == []
    with pytest.raises(InputError, match="nothing"):
        do("put it aside", Picker())


def test_places_are_used_in_turn_just_above_the_table():
    kept = places()
    poses = [kept.next(Arm(), HELD, aside=True) for _ in range(7)]
    positions = [tuple(np.round(pose.translation_m, 3)) for pose in poses]
    assert positions[:4] == [(-0.3, -0.4, 0.126), (-0.2, -0.4, 0.126), (-0.1, -0.4, 0.126), (-0.3, -0.5, 0.126)]
    assert len(set(positions[:6])) == 6 and positions[6] == positions[0]
    np.testing.assert_allclose(poses[0].rotation, HELD.axes)
    assert kept.next(Arm(), HELD, aside=False).translation_m[0] == pytest.approx(0.1)


def test_a_place_out_of_reach_is_passed_over_and_a_turn_is_tried_first():
    def too_far(pose):
        return pose.translation_m[0] < -0.25

    assert places().next(Arm(too_far), HELD, aside=True).translation_m[0] == pytest.approx(-0.2)

    def must_turn(pose):
        return abs(pose.rotation[0, 0]) > 0.1

    turned = places().next(Arm(must_turn), HELD, aside=True)
    assert turned.translation_m[0] == pytest.approx(-0.3) and abs(turned.rotation[1, 0]) == pytest.approx(1.0)
    assert places().next(Arm(lambda pose: True), HELD, aside=True).translation_m[0] == pytest.approx(-0.3)


@pytest.mark.parametrize("xy", [[0.1], [0.1, 0.2, 0.3], [0.1, float("nan")]])
def test_what_is_no_place_is_refused(xy):
    with pytest.raises(InputError, match="aside_xy_m"):
        PutDownPlaces(xy, [0.0, 0.0], 0.1)
