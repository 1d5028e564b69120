"""Answers are taken in on a fork of the tracker while the camera goes on with the other."""

import importlib.util
import threading

import numpy as np
import pytest

if importlib.util.find_spec("cv2") is None:
    pytest.skip("OpenCV is not installed", allow_module_level=True)

from molmo_point.tracking import PointTracker

from ...tracking import world
from ...tracking.world import drifted, middle

follower_module = pytest.importorskip("molmo_point_ros.pointing.follower", reason="run through ros2_ws/run", exc_type=ImportError)


class SlowTracker(PointTracker):
    """Takes its time for an answer, as long as the test wants."""

    may_go_on = threading.Event()

    def correct(self, pointing, frame_stamp_ns=None):
        assert self.may_go_on.wait(10)
        return super().correct(pointing, frame_stamp_ns)


def test_frames_go_on_while_an_answer_is_taken_in_and_then_it_is_there():
    SlowTracker.may_go_on = threading.Event()
    follower = follower_module.Follower(SlowTracker())
    for number in range(3):
        follower.update(drifted(number))
    asked = follower.newest(0, 1.0)
    assert asked.stamp_ns == drifted(2).stamp_ns == follower.newest_ns
    answer = world.pointing(asked, middle(2))
    thread = threading.Thread(target=follower.take_in, args=([answer], lambda: False))
    thread.start()
    for number in range(3, 12):
        assert not follower.update(drifted(number)).tracks
    SlowTracker.may_go_on.set()
    number = 12
    while thread.is_alive() and number < 200:
        follower.update(drifted(number))
        thread.join(0.02)
        number += 1
    (track,) = follower.update(drifted(number)).tracks  # the last one in the loop may have come before the answer
    assert np.linalg.norm(track.point.uv - middle(number)) < 1.0
    number += 1
    (later,) = follower.update(drifted(number)).tracks
    assert later.id == track.id and np.linalg.norm(later.point.uv - middle(number)) < 1.0


def test_an_answer_about_the_newest_frame_is_there_at_once():
    """The next frame of a slow camera may be far, and too far to follow anything into."""
    follower = follower_module.Follower(PointTracker())
    for number in (0, 40):
        still = world.draw(middle(0), number)
        follower.update(still)
        newest, tracks = follower.take_in([world.pointing(still, middle(0))], lambda: False)
        assert newest.stamp_ns == still.stamp_ns
        (track,) = tracks.tracks
        assert track.target is not None and track.id == 1
    (out_of_sight,) = follower.update(world.draw(middle(0), 80, hand=(0, 320))).tracks
    assert out_of_sight.target is None


def test_a_stream_that_begins_anew_forgets_the_answer_on_its_way():
    SlowTracker.may_go_on = threading.Event()
    follower = follower_module.Follower(SlowTracker())
    follower.update(drifted(5))
    answer = world.pointing(follower.newest(0, 1.0), middle(5))
    thread = threading.Thread(target=follower.take_in, args=([answer], lambda: False))
    thread.start()
    follower.update(drifted(6))
    follower.update(drifted(1))
    SlowTracker.may_go_on.set()
    thread.join(10)
    assert not thread.is_alive()
    assert not follower.update(drifted(2)).tracks
