"""The tracker on a drawn scene: follows, holds, loses and finds points, and takes late answers."""

import dataclasses
import importlib.util
import sys

import numpy as np
import pytest

from molmo_point.cautions import Caution, CautionKind
from molmo_point.errors import DependencyError, InputError

if importlib.util.find_spec("cv2") is None:
    pytest.skip("OpenCV is not installed", allow_module_level=True)

from molmo_point.tracking import LostReason, PointTracker, TrackState

from . import world
from .world import START, drifted, middle


def started(**settings):
    """A tracker that follows the middle of the square since frame 0."""
    tracker = PointTracker(**settings)
    frame = world.draw(START, 0)
    tracker.update(frame)
    tracker.correct(world.pointing(frame, START))
    return tracker


def run(tracker, numbers, place=middle, **look):
    """Tracks after further frames."""
    tracks = None
    for number in numbers:
        tracks = tracker.update(world.draw(place(number), number, **look))
    return tracks


def test_follows_shift_turn_and_scale_to_a_fraction_of_a_pixel():
    tracker, offset = PointTracker(), np.array([6.0, -5.0])
    frame = world.draw(START, 0)
    tracker.update(frame)
    tracker.correct(world.pointing(frame, tuple(np.array(START) + offset)))
    for number in range(1, 31):
        turn, scale = 0.012 * number, 1.0 + 0.005 * number
        tracks = tracker.update(world.draw(middle(number), number, turn=turn, scale=scale))
        c, s = scale * np.cos(turn), scale * np.sin(turn)
        truth = np.array(middle(number)) + np.array([[c, -s], [s, c]]) @ offset
        (track,) = tracks.tracks
        assert track.state is TrackState.TRACKED
        assert np.linalg.norm(track.point.uv - truth) < 0.3
    expected = world.CAMERA.deproject(truth, world.SQUARE_M)
    assert np.linalg.norm(track.target.position_m - expected) < 0.002
    assert track.target.stamp_ns == frame.stamp_ns + 30 * world.FRAME_NS


def test_id_label_and_ages_are_carried():
    tracks = run(started(), range(1, 7))
    (track,) = tracks.tracks
    assert (track.id, track.label, track.point.confidence) == (1, "square 0", 0.9)
    assert track.age_s == pytest.approx(6 * world.FRAME_NS * 1e-9) == track.since_confirmed_s
    assert track.since_seen_s == 0.0 and track.reason is LostReason.NONE and track.message == ""


def test_a_point_keeps_the_cautions_of_its_last_answer():
    doubt = (Caution(CautionKind.POOR_IMAGE, "it is dark"),)
    tracker, frame = PointTracker(), world.draw(START, 0)
    tracker.update(frame)
    (new,) = tracker.correct(dataclasses.replace(world.pointing(frame, START), cautions=doubt)).tracks
    (followed,) = run(tracker, range(1, 3)).tracks
    (kept,) = tracker.correct(world.pointing(frame, query="other")).tracks
    assert new.cautions == followed.cautions == kept.cautions == doubt
    (sure,) = tracker.correct(world.pointing(frame, START)).tracks
    assert (sure.id, sure.cautions) == (new.id, ())


def test_covariance_grows_into_the_target():
    tracker = started()
    (last,) = run(tracker, range(1, 16)).tracks
    assert 1.0 < last.point.sigma_px < 1.5, "the answer's 1 px and what came on top"
    # sideways at 0.6 m with f = 300 px, a pixel is 2 mm
    assert 0.95 < np.sqrt(last.target.covariance_m2[1, 1]) / (last.point.sigma_px * 0.002) < 1.2
    held = [run(tracker, [n], hand=(0, 320)).tracks[0].point.sigma_px for n in range(16, 26)]
    assert np.all(np.diff(held) > 0) and held[-1] > 5.0, "the longer out of sight, the less is known"


def test_depth_of_the_surface_is_followed_towards_the_camera():
    tracker = started()
    for number in range(1, 26):
        near_m = world.SQUARE_M - 0.006 * number
        scale = world.SQUARE_M / near_m
        tracks = tracker.update(world.draw(START, number, scale=scale, square_m=near_m))
    (track,) = tracks.tracks
    assert track.state is TrackState.TRACKED
    assert track.target.position_m[2] == pytest.approx(0.45, abs=0.004)


def test_what_passes_in_front_holds_the_point_and_never_carries_it_away():
    tracker, states, shown = started(), [], []
    for number in range(1, 41):
        hand = (8 * number - 120, 8 * number - 40)
        tracks = tracker.update(world.draw(START, number, hand=hand))
        (track,) = tracks.tracks
        covered = hand[0] <= START[0] < hand[1]
        states.append(track.state)
        assert track.target is None or np.linalg.norm(track.point.uv - START) < 1.0
        if covered:
            assert track.target is None
            shown.append(track.reason)
    assert TrackState.HELD in states and LostReason.OCCLUDED in shown
    assert states[-1] is TrackState.TRACKED and track.id == 1


def test_an_occluder_that_stays_means_lost():
    tracker = started(hold_s=0.5)
    (track,) = run(tracker, range(1, 5), lambda n: START).tracks
    (track,) = run(tracker, range(5, 30), lambda n: START, hand=(60, 170)).tracks
    assert (track.state, track.reason) == (TrackState.LOST, LostReason.OCCLUDED)
    assert track.target is None and track.unreachable is None and "in front" in track.message
    assert track.since_seen_s == pytest.approx(25 * world.FRAME_NS * 1e-9)


def test_a_point_that_is_taken_away_is_not_guessed():
    tracker = started(hold_s=0.3)
    run(tracker, range(1, 4), lambda n: START)
    tracks = [tracker.update(world.draw(START, n, square=False)).tracks[0] for n in range(4, 18)]
    assert all(track.target is None for track in tracks)
    assert tracks[-1].state is TrackState.LOST
    assert tracks[-1].reason in (LostReason.DEPTH_JUMP, LostReason.TOO_FAST)


@pytest.mark.parametrize(("square_m", "reason"), [(0.5, LostReason.OCCLUDED), (0.7, LostReason.DEPTH_JUMP)])
def test_a_jump_of_the_depth_alone_is_enough(square_m, reason):
    tracker = started()
    run(tracker, range(1, 4), lambda n: START)
    (track,) = run(tracker, [4], lambda n: START, square_m=square_m).tracks
    assert (track.state, track.reason, track.target) == (TrackState.HELD, reason, None)


def test_depth_that_jumps_under_the_point_only_holds_it():
    tracker = started()
    run(tracker, range(1, 4), lambda n: START)
    frame = world.draw(START, 4)
    frame.depth_m[114:127, 104:117] = 0.45
    (track,) = tracker.update(frame).tracks
    assert (track.state, track.reason, track.target) == (TrackState.HELD, LostReason.OCCLUDED, None)


def test_leaving_the_image_is_noticed_at_once():
    tracker = started()
    place = lambda n: (START[0] - 6.0 * n, START[1])  # noqa: E731
    tracks = None
    for number in range(1, 30):
        tracks = tracker.update(world.draw(place(number), number))
        if place(number)[0] < -2:
            break
    (track,) = tracks.tracks
    assert (track.state, track.reason) == (TrackState.LOST, LostReason.LEFT_IMAGE)


def test_brightness_does_not_matter():
    tracker = started()
    for number in range(1, 25):
        gain = 1.0 + 0.3 * np.sin(0.4 * number)
        (track,) = tracker.update(world.draw(middle(number), number, gain=float(gain))).tracks
        assert track.state is TrackState.TRACKED
    assert np.linalg.norm(track.point.uv - middle(24)) < 0.3


def test_without_depth_the_pixel_is_followed_and_the_target_is_unreachable():
    tracker = PointTracker()
    frame = world.draw(START, 0, depth=False)
    tracker.update(frame)
    tracker.correct(world.pointing(frame, START))
    (track,) = run(tracker, range(1, 11), depth=False).tracks
    assert track.state is TrackState.TRACKED and np.linalg.norm(track.point.uv - middle(10)) < 0.3
    assert track.target is None and track.unreachable.reason.value == "NO_INPUT"


def test_plain_gray_cannot_be_followed_and_says_so():
    tracker = PointTracker()
    frame = world.draw(START, 0)
    plain = world.RgbdFrame(np.full_like(frame.color, 128), frame.depth_m, frame.intrinsics, frame.stamp_ns)
    tracker.update(plain)
    (track,) = tracker.correct(world.pointing(plain, (250.0, 60.0))).tracks
    assert (track.state, track.reason) == (TrackState.LOST, LostReason.NO_TEXTURE)


def test_a_late_answer_is_carried_forward_from_its_frame():
    tracker, asked = PointTracker(), world.draw(middle(0), 0)
    tracker.update(asked)
    run(tracker, range(1, 46))
    tracks = tracker.correct(world.pointing(asked, middle(0)))
    (track,) = tracks.tracks
    assert np.linalg.norm(track.point.uv - middle(45)) < 0.5
    assert track.target is not None and track.age_s == pytest.approx(1.5, abs=0.01)
    assert np.linalg.norm(run(tracker, [46]).tracks[0].point.uv - middle(46)) < 0.5


def test_the_next_answer_corrects_the_track_and_keeps_its_id():
    tracker, asked = started(), None
    for number in range(1, 31):
        frame = world.draw(middle(number), number)
        tracker.update(frame)
        asked = frame if number == 15 else asked
    before = tracker.update(world.draw(middle(31), 31)).tracks[0]
    (after,) = tracker.correct(world.pointing(asked, (middle(15)[0] + 1.0, middle(15)[1]))).tracks
    moved = after.point.uv - before.point.uv
    assert after.id == before.id == 1
    assert 0.3 < moved[0] < 0.8 and abs(moved[1]) < 0.1, "about half of the way: both are as sure"
    assert after.point.sigma_px < before.point.sigma_px
    assert after.since_confirmed_s == pytest.approx(16 * world.FRAME_NS * 1e-9)


def test_far_points_of_an_answer_are_new_tracks_and_missing_ones_are_dropped_late():
    tracker = started()
    frame = world.draw(middle(1), 1)
    tracker.update(frame)
    tracks = tracker.correct(world.pointing(frame, (260.0, 60.0)))
    assert [track.id for track in tracks.tracks] == [1, 2]
    assert tracks.tracks[0].state is TrackState.TRACKED, "one answer without it is not enough"
    tracks = tracker.correct(world.pointing(frame, (260.0, 60.0)))
    assert (tracks.tracks[0].state, tracks.tracks[0].reason) == (TrackState.LOST, LostReason.NOT_CONFIRMED)
    assert tracks.tracks[1].state is TrackState.TRACKED


def test_other_queries_are_left_alone():
    tracker = started(drop_after=1)
    frame = world.draw(middle(1), 1)
    tracker.update(frame)
    tracks = tracker.correct(world.pointing(frame, (260.0, 60.0), query="wall"))
    assert [track.state for track in tracks.tracks] == [TrackState.TRACKED] * 2
    assert [track.label for track in tracks.tracks] == ["square 0", "wall 0"]


def test_a_lost_track_comes_back_under_its_id():
    tracker = started(hold_s=0.1)
    run(tracker, range(1, 4), lambda n: START)
    (track,) = run(tracker, range(4, 14), lambda n: START, hand=(60, 170)).tracks
    assert track.state is TrackState.LOST
    frame = world.draw(START, 14)
    tracker.update(frame)
    (track,) = tracker.correct(world.pointing(frame, START)).tracks
    assert (track.id, track.state) == (1, TrackState.TRACKED)


def test_lost_tracks_are_forgotten_in_the_end():
    tracker = started(hold_s=0.1, forget_s=0.3)
    assert run(tracker, range(1, 8), hand=(0, 320)).tracks[0].state is TrackState.LOST
    assert run(tracker, range(8, 20), hand=(0, 320)).tracks == ()


def test_a_gap_in_the_stream_holds_the_points():
    tracker = started(max_gap_s=0.2)
    stamp_ns = world.START_NS + 10 * world.FRAME_NS
    (track,) = tracker.update(world.draw((250.0, 60.0), 1, stamp_ns=stamp_ns)).tracks
    assert (track.state, track.reason) == (TrackState.HELD, LostReason.STREAM_GAP)


@pytest.mark.parametrize("stamp_ns", [world.START_NS, world.START_NS - 1])
def test_time_does_not_stand_still_or_go_back(stamp_ns):
    tracker = started()
    with pytest.raises(InputError, match=r"order of time.*reset"):
        tracker.update(world.draw(START, 1, stamp_ns=stamp_ns))
    tracker.reset()
    assert tracker.update(world.draw(START, 1, stamp_ns=stamp_ns)).tracks == ()


def test_a_new_size_is_an_error():
    tracker = started()
    frame = world.draw(START, 1)
    other = world.RgbdFrame(frame.color[:200], None, None, frame.stamp_ns)
    with pytest.raises(InputError, match=r"\(320, 240\).*\(320, 200\).*reset"):
        tracker.update(other)


def test_answers_about_unknown_frames_are_errors():
    tracker = PointTracker(history_s=0.5)
    frame = world.draw(START, 0)
    answer = world.pointing(frame, START)
    with pytest.raises(InputError, match="no frame yet"):
        tracker.correct(answer)
    tracker.update(frame)
    run(tracker, range(1, 31))
    with pytest.raises(InputError, match=r"1\.00 s before.*history_s"):
        tracker.correct(answer)
    with pytest.raises(InputError, match="that the tracker has seen"):
        tracker.correct(answer, world.START_NS + 20 * world.FRAME_NS + 1)


@pytest.mark.parametrize("name", ["history_s", "hold_s", "max_gap_s", "drop_after", "forget_s", "replay_steps"])
@pytest.mark.parametrize("value", [0, -1.0, float("nan")])
def test_settings_are_above_zero(name, value):
    with pytest.raises(InputError, match=name):
        PointTracker(**{name: value})


def test_opencv_missing_is_said_clearly(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(DependencyError, match=r"molmo-point\[tracking\]"):
        PointTracker()


def test_tracks_are_json():
    import json

    tracks = run(started(), [1, 2])
    data = json.loads(json.dumps(tracks.to_dict(), allow_nan=False))
    (track,) = data["tracks"]
    assert track["state"] == "TRACKED" and track["id"] == 1 and len(track["target"]["covariance_m2"]) == 9
    assert data["stamp_ns"] == tracks.stamp_ns and len(tracks.targets) == 1


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
