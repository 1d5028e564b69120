"""Ablations of the pick: parts that lack something, their chart, and the program."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.picking.ablations import ABLATIONS, HAND_EYE_M, LatestLooker, MedianLooker, hand_eye_error
from benchmarks.picking.plot import plot_picks
from molmo_point.evaluation.picks import summary
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.results import ImagePoint, Target, Unreachable

from ...evaluation.test_picks import GOOD, WRONG

POINTER = SimpleNamespace(backend=SimpleNamespace(tells_spread=False))


class Clock:
    """Answers with the stamps that it is asked for."""

    def base_T_camera(self, frame, stamp_ns=None):
        return frame, stamp_ns


def test_the_median_takes_the_background_where_there_is_more_of_it():
    depth = np.full((48, 64), 0.8, np.float32)
    depth[20:24, 30:33] = 0.5
    frame = RgbdFrame(np.zeros((48, 64, 3), np.uint8), depth, Intrinsics(64, 48, 60.0, 60.0, 31.5, 23.5), 5)
    found = MedianLooker(POINTER, Clock()).lift(ImagePoint(31, 22, "rod"), frame)
    assert isinstance(found, Target)
    assert found.position_m[2] == pytest.approx(0.8)
    hole = replace(frame, depth_m=np.full((48, 64), np.nan, np.float32))
    assert isinstance(
        MedianLooker(POINTER, Clock()).lift(ImagePoint(31, 22, "rod"), hole),
        Unreachable,
    )


def test_the_hand_eye_error_has_the_stated_size():
    error = hand_eye_error(np.random.default_rng(0), "camera")
    assert np.linalg.norm(error.translation_m) == pytest.approx(HAND_EYE_M)
    assert np.degrees(np.arccos((np.trace(error.rotation) - 1) / 2)) == pytest.approx(2.0, abs=1e-6)


def test_the_latest_pose_is_not_the_one_at_the_capture():
    frame = RgbdFrame(np.zeros((4, 4, 3), np.uint8), None, None, 5)
    assert MedianLooker(POINTER, Clock()).camera_pose(frame)[1] == 5
    assert LatestLooker(POINTER, Clock()).camera_pose(frame)[1] is None


def test_the_chart_shows_every_variant(tmp_path):
    pytest.importorskip("matplotlib")
    plot_picks({name: summary([GOOD, WRONG]) for name in ABLATIONS}, tmp_path / "picks.png")
    assert (tmp_path / "picks.png").stat().st_size > 10_000
