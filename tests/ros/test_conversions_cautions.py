"""Cautions as flags and texts of a message, and back."""

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.msg", reason="needs the built interfaces: make setup", exc_type=ImportError)

from molmo_point_msgs.msg import PointTargetArray
from molmo_point_ros.conversions import cautions_of, set_cautions
from molmo_point_ros.conversions.cautions import FLAGS
from molmo_point_ros.outputs.message_text import not_trusted, targets_to_dict

from molmo_point.cautions import Caution, CautionKind

pytestmark = pytest.mark.ros

WORDS = Caution(CautionKind.UNKNOWN_WORDS, "'mug' is not known", ("mug",), "the red cube")
IMAGE = Caution(CautionKind.POOR_IMAGE, "it is dark")


def message_of(*cautions):
    message = PointTargetArray()
    set_cautions(message, cautions)
    return message


def test_every_kind_has_the_constant_of_its_name():
    text = Path(__file__).parents[2] / "ros2_ws/src/molmo_point_msgs/msg/PointTargetArray.msg"
    lines = [line.split("#")[0].split() for line in text.read_text(encoding="utf-8").splitlines()]
    named = dict(words[1].split("=") for words in lines if len(words) == 2 and words[0] == "uint32" and "=" in words[1])
    assert {kind.value: str(flag) for kind, flag in FLAGS.items()} == named
    assert list(named) == [kind.value for kind in FLAGS]
    assert set(FLAGS) == set(CautionKind)


def test_texts_are_in_the_order_of_the_flags_and_come_back():
    message = message_of(IMAGE, WORDS, Caution(CautionKind.POOR_IMAGE, "again"))
    assert message.cautions == PointTargetArray.UNKNOWN_WORDS + PointTargetArray.POOR_IMAGE
    assert list(message.caution_texts) == ["'mug' is not known; did you mean 'the red cube'?", "it is dark"]
    assert [(caution.kind, caution.message) for caution in cautions_of(message)] == [
        (CautionKind.UNKNOWN_WORDS, "'mug' is not known; did you mean 'the red cube'?"),
        (CautionKind.POOR_IMAGE, "it is dark"),
    ]


def test_an_answer_without_any_is_trusted():
    message = message_of()
    assert (message.cautions, list(message.caution_texts), cautions_of(message)) == (0, [], ())
    assert targets_to_dict(message)["trusted"]
    assert not_trusted(targets_to_dict(message)) == ""


def test_flags_of_a_later_version_and_missing_texts_are_no_error():
    message = PointTargetArray(cautions=1 + (1 << 30))
    assert cautions_of(message) == (Caution(CautionKind.UNKNOWN_WORDS, ""),)
    later = targets_to_dict(PointTargetArray(cautions=1 << 30))
    assert not later["trusted"]
    assert not_trusted(later) == "not trusted: a caution that this version does not know"


def test_they_are_printed_in_one_plain_line():
    told = targets_to_dict(message_of(WORDS, IMAGE))
    assert told["cautions"][1] == {"kind": "POOR_IMAGE", "message": "it is dark"}
    line = not_trusted(told)
    assert line == "not trusted: UNKNOWN_WORDS: 'mug' is not known; did you mean 'the red cube'?; POOR_IMAGE: it is dark"
