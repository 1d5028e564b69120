"""Causes that lose points on real cameras: each in a short drawn sequence with a camera that moves in front of a wall."""

import importlib.util

import numpy as np
import pytest

if importlib.util.find_spec("cv2") is None:
    pytest.skip("OpenCV is not installed", allow_module_level=True)

import cv2

from molmo_point.frame import RgbdFrame
from molmo_point.tracking import PointTracker, TrackState

from . import world

SCENE = world.texture(11, 480, 900)
WALL_M = 0.8
POINT = np.array([400.0, 240.0])
"""Pixel of the point in the scene's picture."""


def seen(left: float, number: int, *, scene=SCENE, step_ns=world.FRAME_NS, hand=None, flicker=0.0) -> RgbdFrame:
    """Frame `number` of a camera that shows the scene from column `left` on, with missing and displaced depth."""
    rng = np.random.default_rng(number)
    matrix = np.array([[1.0, 0.0, -left], [0.0, 1.0, -120.0]])
    gray = cv2.warpAffine(scene, matrix, (world.WIDTH, world.HEIGHT)).astype(float)
    depth_m = np.full(gray.shape, WALL_M)
    if hand is not None:
        columns = slice(max(hand[0], 0), max(hand[1], 0))
        gray[:, columns], depth_m[:, columns] = np.roll(world.HAND, hand[0], axis=1)[:, columns], 0.5
    noise = cv2.GaussianBlur(rng.normal(0.0, 1.0, gray.shape), (0, 0), 1.5)
    depth_m += 0.004 * noise / noise.std()
    if flicker:
        blobs = cv2.GaussianBlur(rng.normal(0.0, 1.0, gray.shape), (0, 0), 2.0)
        depth_m[blobs > np.quantile(blobs, 1.0 - flicker)] = np.nan
        depth_m[blobs < np.quantile(blobs, flicker / 2.0)] -= 0.05
    gray = np.clip(gray + rng.normal(0.0, 2.0, gray.shape), 0, 255).astype(np.uint8)
    color = np.repeat(gray[..., None], 3, axis=2)
    return RgbdFrame(color, depth_m.astype(np.float32), world.CAMERA, world.START_NS + number * step_ns)


def place(left: float) -> np.ndarray:
    """Pixel of the point."""
    return POINT - [left, 120.0]


def follow(lefts, looks=None, point=POINT, **look):
    """Tracks of one point, and its true pixels, for the columns at which the camera looks."""
    tracker, tracks = PointTracker(), []
    for number, left in enumerate(lefts):
        frame = seen(left, number, **look, **(looks(number) if looks else {}))
        (*_, track) = (None, *tracker.update(frame).tracks)
        if number == 0:
            (track,) = tracker.correct(world.pointing(frame, tuple(point - [left, 120.0]))).tracks
        tracks.append(track)
    return tracks


def errors(tracks, lefts):
    """Pixel errors of the frames with a target; NaN without."""
    return np.array([
        np.nan if track.target is None else np.linalg.norm(track.point.uv - place(left))
        for track, left in zip(tracks, lefts, strict=True)
    ])  # fmt: skip


def test_a_point_that_comes_back_into_view_is_found_at_once():
    lefts = 240.0 + 260.0 * np.sin(np.linspace(0.0, np.pi, 22))
    tracks = follow(lefts)
    error, inside = errors(tracks, lefts), np.array([place(left)[0] > 3 for left in lefts])
    assert not inside.all() and TrackState.LOST in [track.state for track in tracks]
    assert np.isnan(error[~inside]).all() and np.nanmax(error) < 3.0
    assert np.isfinite(error[inside]).mean() > 0.85
    assert len({track.id for track in tracks}) == 1


def test_a_repetitive_texture_is_no_other_place():
    tile = world.texture(5, 24, 24)
    tiles = np.tile(tile, (20, 38))[:480, :900]
    scene = (0.6 * tiles + 0.4 * SCENE).astype(np.uint8)
    lefts = 250.0 + 40.0 * np.sin(np.linspace(0.0, 2.0 * np.pi, 20))
    tracks = follow(lefts, scene=scene, looks=lambda number: {"hand": (100, 200)} if 8 <= number < 11 else {})
    error = errors(tracks, lefts)
    assert np.nanmax(error) < 2.0
    assert np.isfinite(error).mean() > 0.8


def test_depth_that_flickers_costs_few_targets():
    lefts = 250.0 + 1.5 * np.arange(15)
    error = errors(follow(lefts, flicker=0.12), lefts)
    assert np.nanmax(error) < 1.5
    assert np.isfinite(error).mean() > 0.85


def test_fast_motion_at_ten_hertz_is_followed():
    lefts = 250.0 + 45.0 * np.sin(1.1 * np.arange(12))
    assert np.abs(np.diff(lefts)).max() > 40.0
    error = errors(follow(lefts, step_ns=100_000_000), lefts)
    assert np.nanmax(error) < 2.0
    assert np.isfinite(error).mean() > 0.9


def test_a_point_behind_a_hand_is_found_when_the_hand_has_passed():
    lefts = 250.0 + 1.0 * np.arange(20)
    hands = [(25 * number - 160, 25 * number - 70) for number in range(20)]
    tracks = follow(lefts, looks=lambda number: {"hand": hands[number]})
    error = errors(tracks, lefts)
    covered = np.array([hand[0] <= place(left)[0] < hand[1] for hand, left in zip(hands, lefts, strict=True)])
    assert covered.sum() >= 3 and np.isnan(error[covered]).all()
    assert np.nanmax(error) < 1.5
    free = np.array([not hand[0] - 20 <= place(left)[0] < hand[1] + 20 for hand, left in zip(hands, lefts, strict=True)])
    assert np.isfinite(error[free]).all()


def test_a_point_on_a_plain_surface_moves_with_the_scene():
    scene = SCENE.copy()
    scene[200:280, 360:440] = 128
    lefts = 250.0 + 40.0 * np.sin(np.linspace(0.0, np.pi, 20))
    error = errors(follow(lefts, scene=scene), lefts)
    assert np.nanmax(error) < 2.0
    assert np.isfinite(error).mean() > 0.9
