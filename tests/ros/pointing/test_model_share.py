"""Turns at the one model: goals go before continuous mode, and nobody waits longer than he wants to."""

import threading
import time

import pytest

model_share = pytest.importorskip(
    "molmo_point_ros.pointing.model_share",
    reason="run through ros2_ws/run, which puts the package on the path",
    exc_type=ImportError,
)


def never():
    return False


def test_continuous_mode_is_told_to_let_go_and_the_goal_is_next():
    share, order = model_share.ModelShare(), []
    in_spare, goal_done = threading.Event(), threading.Event()

    def spare():
        with share.spare_turn(never) as had:
            assert had
            in_spare.set()
            while not share.is_wanted:
                time.sleep(0.001)
            order.append("spare")
        with share.spare_turn(never) as had:
            assert had
            order.append("spare again")

    thread = threading.Thread(target=spare)
    thread.start()
    assert in_spare.wait(5)
    with share.goal_turn(never) as had:
        assert had
        time.sleep(0.05)
        order.append("goal")
    thread.join(5)
    goal_done.set()
    assert order == ["spare", "goal", "spare again"]
    assert not share.is_wanted


def test_who_is_told_to_stop_waits_no_longer_and_leaves_nothing_behind():
    share = model_share.ModelShare()
    with share.goal_turn(never) as had:
        assert had
        with share.goal_turn(lambda: True) as second:
            assert not second
        with share.spare_turn(lambda: True) as spare:
            assert not spare
        assert share.is_wanted
    assert not share.is_wanted
    with share.spare_turn(never) as had:
        assert had


def test_an_error_in_a_turn_gives_it_back():
    share = model_share.ModelShare()
    with pytest.raises(RuntimeError), share.goal_turn(never):
        raise RuntimeError
    with share.spare_turn(never) as had:
        assert had
