"""Fields of goals, requests and parameters that no node takes."""

import math

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from builtin_interfaces.msg import Duration, Time
from molmo_point_ros.clients.client_run import seconds
from molmo_point_ros.conversions import field_checks
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError, brief

from molmo_point.errors import InputError

pytestmark = pytest.mark.ros


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1, -1e-9, 1e10, 86_401, 1e308, "5", None])
def test_a_timeout_that_is_none_is_refused_by_name(value):
    with pytest.raises(InputError, match="wait_s must be finite"):
        field_checks.checked_timeout_s(value, "wait_s")


@pytest.mark.parametrize("value", [0, 0.5, 60, 86_400.0])
def test_a_timeout_up_to_a_day_is_taken(value):
    assert field_checks.checked_timeout_s(value) == value


@pytest.mark.parametrize("duration", [Duration(sec=-1), Duration(sec=-1, nanosec=999_999_999), Duration(sec=2**31 - 1)])
def test_a_duration_that_is_no_timeout_is_refused(duration):
    with pytest.raises(InputError, match="interval"):
        field_checks.checked_duration_s(duration, "interval")


@pytest.mark.parametrize("text", ["inf", "nan", "1e10", "-1", "-inf", "soon", "", "1e400", "\x1b[2J"])
def test_an_option_that_is_no_timeout_is_refused_in_printable_words(text):
    with pytest.raises(Exception, match="give") as caught:
        seconds(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("frame", [" ", "\t", "  \n", "/", "//", "/ ", "ba se", "base\x1b[31m", "base\n", " base", "x" * 256])
def test_a_frame_that_is_no_name_is_refused(frame):
    with pytest.raises(InputError, match="level_frame") as caught:
        field_checks.checked_frame(frame, "level_frame")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("frame", "bare"), [("", ""), ("base", "base"), ("/base", "base"), ("robot1/base_link", "robot1/base_link")]
)
def test_a_frame_loses_its_leading_slash(frame, bare):
    assert field_checks.checked_frame(frame) == bare


@pytest.mark.parametrize("queries", [[], [" "], ["a"] * 17, ["x" * 11], ["a", "\t"], ["the\x00cube"], ["a\nb"], ["\x1b[2J"]])
def test_queries_that_cannot_be_asked_are_refused_and_not_repeated(queries):
    with pytest.raises(InputError) as caught:
        field_checks.checked_queries(queries, 10)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


def test_queries_lose_the_blanks_around_them():
    assert field_checks.checked_queries([" the box ", "it"], 10) == ["the box", "it"]


def test_numbers_and_stamps_are_refused_by_name():
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(InputError, match="reference_depth"):
            field_checks.checked_number(value, "reference_depth")
    with pytest.raises(InputError, match="stamp must not be negative"):
        field_checks.checked_stamp_ns(Time(sec=-5), "stamp")
    assert field_checks.checked_stamp_ns(Time(sec=1, nanosec=5), "stamp") == 1_000_000_005


def test_what_a_client_sent_is_clipped_and_cleaned_in_errors():
    text = str(GoalError(ErrorCode.GOAL_REJECTED, "frame must be known", "\x1b]0;title\x07" + "x" * 10_000, "name one"))
    assert text.isprintable() and len(text) < 1000
    assert brief("plain") == "plain" and len(brief("x" * 10**6)) < 1600
