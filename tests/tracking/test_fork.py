"""A fork of the tracker knows the same, and goes its own way."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("cv2") is None:
    pytest.skip("OpenCV is not installed", allow_module_level=True)

_spec = importlib.util.spec_from_file_location("tracking_world", Path(__file__).with_name("world.py"))
assert _spec is not None and _spec.loader is not None
world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(world)

from molmo_point.tracking import PointTracker  # noqa: E402


def middle(number):
    return 110.0 + 1.3 * number, 120.0 + 0.4 * number


def frame(number):
    return world.draw(middle(number), number)


def test_a_fork_goes_its_own_way_and_knows_the_same():
    tracker = PointTracker()
    for number in range(4):
        tracker.update(frame(number))
    fork = tracker.fork()
    tracks = fork.correct(world.pointing(frame(0), middle(0)))
    (track,) = tracks.tracks
    assert np.linalg.norm(track.point.uv - middle(3)) < 0.5 and track.query == "square"
    assert not tracker.update(frame(4)).tracks, "the first tracker has heard no answer"
    (later,) = fork.update(frame(4)).tracks
    assert later.id == track.id and np.linalg.norm(later.point.uv - middle(4)) < 0.5


def test_a_fork_of_a_tracker_with_tracks_leaves_them_alone():
    tracker = PointTracker()
    tracker.update(frame(0))
    tracker.correct(world.pointing(frame(0), middle(0)))
    fork = tracker.fork()
    for number in range(1, 6):
        (forked,) = fork.update(frame(number)).tracks
    for number in range(1, 6):
        (own,) = tracker.update(frame(number)).tracks
    np.testing.assert_allclose(own.point.uv, forked.point.uv)
    assert own.id == forked.id and own.since_seen_s == 0.0
