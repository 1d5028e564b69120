"""What a robot must not act on is stopped, each time by the right gate and with figures."""

import math

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from molmo_point_msgs.msg import PointTarget
from molmo_point_ros.conversions import cautions_of
from molmo_point_ros.nodes.parameters import PointingNodeParameters
from molmo_point_ros.pointing.answers import answer_of, answer_of_tracks
from molmo_point_ros.pointing.gates import Gates
from molmo_point_ros.pointing.stamped_frame import StampedFrame

from molmo_point.cautions import Caution, CautionKind
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.results import DepthStatus, ImagePoint, Pointing, Target, Unreachable
from molmo_point.tracking.track import LostReason, Track, TrackState
from tests.pairing import paired

pytestmark = pytest.mark.ros

STAMP_NS, FRAME = 5_000_000_000, "camera_color_optical_frame"
BASE_T_CAMERA = Transform("base", FRAME, np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 1.0]))


def target(position=(0.1, 0.2, 0.6), confidence=0.8, sigma_m=0.004):
    return Target(
        10.0, 20.0, "mug", confidence, np.array(position), np.eye(3) * sigma_m**2, FRAME, STAMP_NS, DepthStatus.OK, math.nan, 1.0
    )


def test_without_limits_everything_passes():
    assert Gates().check(target(confidence=math.nan, sigma_m=9.0), 10**18) == (PointTarget.GATE_OPEN, "")


@pytest.mark.parametrize(
    ("axis", "low", "high", "inside"),
    [(0, 0.05, 0.15, True), (0, 0.11, 0.2, False), (1, -1.0, 0.19, False), (2, 0.61, 1.0, False), (2, 0.5, 0.7, True)],
)
def test_the_box_holds_each_axis_on_both_sides(axis, low, high, inside):
    lows, highs = [-math.inf] * 3, [math.inf] * 3
    lows[axis], highs[axis] = low, high
    gate, reason = Gates(low_m=tuple(lows), high_m=tuple(highs)).check(target(), STAMP_NS)
    assert (gate == PointTarget.GATE_OPEN) == inside
    if not inside:
        assert gate == PointTarget.GATE_WORKSPACE and f"{'xyz'[axis]} = " in reason and "mm" in reason


def test_the_box_is_in_its_own_frame():
    """In the base frame the target is at (0.1, -0.2, 0.4)."""
    gates = Gates(low_m=(0.0, -0.3, 0.3), high_m=(0.2, -0.1, 0.5))
    assert gates.check(target(), STAMP_NS, BASE_T_CAMERA)[0] == PointTarget.GATE_OPEN
    assert gates.check(target(), STAMP_NS)[0] == PointTarget.GATE_WORKSPACE


def test_confidence_that_is_low_or_not_known_is_stopped():
    gates = Gates(min_confidence=0.8)
    assert gates.check(target(confidence=0.8), STAMP_NS)[0] == PointTarget.GATE_OPEN
    assert gates.check(target(confidence=0.79), STAMP_NS) == (
        PointTarget.GATE_CONFIDENCE,
        "confidence 0.79, at least 0.8 is required",
    )
    gate, reason = gates.check(target(confidence=math.nan), STAMP_NS)
    assert gate == PointTarget.GATE_CONFIDENCE and "no confidence" in reason


def test_a_position_that_is_too_uncertain_is_stopped():
    gates = Gates(max_sigma_m=0.005)
    assert gates.check(target(sigma_m=0.0049), STAMP_NS)[0] == PointTarget.GATE_OPEN
    gate, reason = gates.check(target(sigma_m=0.0051), STAMP_NS)
    assert gate == PointTarget.GATE_UNCERTAINTY and "5.1 mm" in reason


def test_what_is_old_or_from_the_future_is_stopped():
    gates = Gates(max_age_s=2.0)
    assert gates.check(target(), STAMP_NS + 1_999_000_000)[0] == PointTarget.GATE_OPEN
    gate, reason = gates.check(target(), STAMP_NS + 2_001_000_000)
    assert gate == PointTarget.GATE_AGE and "2.001 s" in reason
    assert gates.check(target(), STAMP_NS - 1)[0] == PointTarget.GATE_AGE


def test_what_is_stopped_is_told_and_nothing_else_goes_out():
    points = tuple(ImagePoint(10.0 + i, 20.0, f"mug {i}", 0.9) for i in range(3))
    near, far = target(), target(position=(0.1, 0.2, 2.0))
    lost = Unreachable(12.0, 20.0, "mug 2", DepthStatus.MISSING, "only 3% of the pixels have depth")
    frame = RgbdFrame(np.zeros((40, 40, 3), np.uint8), None, None, STAMP_NS, FRAME)
    pointing = Pointing("mug", "m", "", False, paired(points, (near, far), (lost,)), {}, STAMP_NS, FRAME)
    gates = Gates(high_m=(math.inf, math.inf, 1.0), low_m=(-math.inf,) * 3)
    answer = answer_of(pointing, StampedFrame(frame), gates, STAMP_NS)
    assert [told.gate for told in answer.message.targets] == [
        PointTarget.GATE_OPEN,
        PointTarget.GATE_WORKSPACE,
        PointTarget.GATE_OPEN,
    ]
    assert answer.targets == (near,) and answer.stopped == (answer.message.targets[1],)
    assert answer.message.targets[1].position.z == 2.0, "it is told where it is, with the reason why it is stopped"
    assert answer.message.targets[2].reason == lost.message
    assert math.isnan(answer.message.targets[0].since_confirmed)


WORDS = Caution(CautionKind.UNKNOWN_WORDS, "'mug' is not known")
LABEL = Caution(CautionKind.LABEL_DIFFERS, "it says 'cup'")
TRUST = PointingNodeParameters(require_trusted=True, min_confidence=0.99)
CAPTURE = StampedFrame(RgbdFrame(np.zeros((40, 40, 3), np.uint8), None, None, STAMP_NS, FRAME))


def test_a_caution_stops_first_and_only_if_trust_is_required():
    gate, reason = Gates.from_parameters(TRUST).check(target(), STAMP_NS, None, (WORDS, LABEL))
    assert gate == PointTarget.GATE_TRUST
    assert reason == "not trusted: UNKNOWN_WORDS: 'mug' is not known; LABEL_DIFFERS: it says 'cup'"
    assert Gates.from_parameters(TRUST).check(target(), STAMP_NS)[0] == PointTarget.GATE_CONFIDENCE
    assert Gates.from_parameters(PointingNodeParameters()).check(target(), STAMP_NS, None, (WORDS,))[0] == PointTarget.GATE_OPEN


def test_an_accepted_caution_stops_nothing_and_another_one_does():
    gates = Gates.from_parameters(PointingNodeParameters(require_trusted=True, accept_cautions=["LABEL_DIFFERS", ""]))
    assert gates.check(target(), STAMP_NS, None, (LABEL,))[0] == PointTarget.GATE_OPEN
    assert gates.check(target(), STAMP_NS, None, (WORDS, LABEL)) == (
        PointTarget.GATE_TRUST,
        "not trusted: UNKNOWN_WORDS: 'mug' is not known",
    )


@pytest.mark.parametrize("required", [True, False])
def test_an_untrusted_answer_is_told_in_the_array(required):
    pointing = Pointing(
        "mug", "m", "", False, paired((ImagePoint(10.0, 20.0, "mug"),), (target(),), ()), {}, STAMP_NS, FRAME, cautions=(WORDS,)
    )
    gates = Gates.from_parameters(PointingNodeParameters(require_trusted=required))
    answer = answer_of(pointing, CAPTURE, gates, STAMP_NS)
    assert [told.gate == PointTarget.GATE_TRUST for told in answer.message.targets] == [required]
    assert cautions_of(answer.message) == (WORDS,)
    assert (len(answer.targets), answer.doubted) == (int(not required), (True,))
    assert answer.shown == (() if required else ((answer.targets[0], True),))


def track(number, cautions):
    point = ImagePoint(10.0, 20.0, "mug")
    return Track(number, "mug", point, target(), None, TrackState.TRACKED, 1.0, 0.0, 1.0, 1.0, LostReason.NONE, "mug", cautions)


def test_a_tracked_point_has_the_cautions_of_its_own_answer_and_of_the_last_one():
    gates = Gates.from_parameters(PointingNodeParameters(require_trusted=True))
    last = Pointing("mug", "m", "", False, (), {}, STAMP_NS, FRAME)
    answer = answer_of_tracks(last, [track(1, (WORDS,)), track(2, ())], CAPTURE, gates, STAMP_NS)
    assert [told.gate for told in answer.message.targets] == [PointTarget.GATE_TRUST, PointTarget.GATE_OPEN]
    assert answer.doubted == (True, False)
    assert cautions_of(answer.message) == (WORDS,)
    doubted = Pointing("mug", "m", "", False, (), {}, STAMP_NS, FRAME, cautions=(LABEL,))
    answer = answer_of_tracks(doubted, [track(1, (WORDS,)), track(2, ())], CAPTURE, gates, STAMP_NS)
    assert [told.gate for told in answer.message.targets] == [PointTarget.GATE_TRUST] * 2
    assert {caution.kind for caution in cautions_of(answer.message)} == {WORDS.kind, LABEL.kind}
