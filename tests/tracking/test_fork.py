"""A fork of the tracker knows the same, and goes its own way."""

import importlib.util

import numpy as np
import pytest

if importlib.util.find_spec("cv2") is None:
    pytest.skip("OpenCV is not installed", allow_module_level=True)

from molmo_point.tracking import PointTracker

from . import world
from .world import drifted, middle


def test_a_fork_goes_its_own_way_and_knows_the_same():
    tracker = PointTracker()
    for number in range(4):
        tracker.update(drifted(number))
    fork = tracker.fork()
    tracks = fork.correct(world.pointing(drifted(0), middle(0)))
    (track,) = tracks.tracks
    assert np.linalg.norm(track.point.uv - middle(3)) < 0.5 and track.query == "square"
    assert not tracker.update(drifted(4)).tracks, "the first tracker has heard no answer"
    (later,) = fork.update(drifted(4)).tracks
    assert later.id == track.id and np.linalg.norm(later.point.uv - middle(4)) < 0.5


def test_a_fork_of_a_tracker_with_tracks_leaves_them_alone():
    tracker = PointTracker()
    tracker.update(drifted(0))
    tracker.correct(world.pointing(drifted(0), middle(0)))
    fork = tracker.fork()
    for number in range(1, 6):
        (forked,) = fork.update(drifted(number)).tracks
    for number in range(1, 6):
        (own,) = tracker.update(drifted(number)).tracks
    np.testing.assert_allclose(own.point.uv, forked.point.uv)
    assert own.id == forked.id and own.since_seen_s == 0.0
