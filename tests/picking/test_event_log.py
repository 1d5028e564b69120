"""What an attempt ends with for want of a path."""

import pytest

from molmo_point.arm.joint_path import NoPath, NoPathReason
from molmo_point.picking.event_log import no_path
from molmo_point.picking.states import PickFailure

FAR = NoPath(NoPathReason.UNREACHABLE, "too far")
BLOCKED = NoPath(NoPathReason.COLLISION, "the arm would touch: table")


@pytest.mark.parametrize(
    ("reasons", "failure", "message"),
    [
        ((FAR,), PickFailure.UNREACHABLE, "too far"),
        ((BLOCKED,), PickFailure.COLLISION, "the arm would touch: table"),
        ((FAR, BLOCKED, FAR), PickFailure.COLLISION, "the arm would touch: table"),
        ((BLOCKED, NoPath(NoPathReason.COLLISION, "another")), PickFailure.COLLISION, "the arm would touch: table"),
    ],
)
def test_what_is_in_the_way_is_said_before_what_is_out_of_reach(reasons, failure, message):
    stopped = no_path(*reasons)
    assert (stopped.failure, stopped.message, stopped.again) == (failure, message, True)
