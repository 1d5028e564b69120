"""Verification on fresh data, touched points, and the drift monitor: they see what is wrong, and only that."""

import numpy as np
import pytest
from planted import clean

from molmo_point.errors import InputError
from molmo_point.geometry.rigid import moved
from molmo_point.geometry.transforms import Transform
from molmo_point.hand_eye.samples import Setup
from molmo_point.hand_eye.verify import DriftMonitor, verify_by_touch, verify_with_board

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("setup", list(Setup), ids=lambda s: s.value)
def test_a_right_calibration_passes_and_a_wrong_one_does_not(setup):
    data, truth = clean(1, setup)
    good = verify_with_board(data, truth.x)
    assert good.rms_mm < 1.0 and good.interval_mm[0] < good.rms_mm < good.interval_mm[1]
    wrong = verify_with_board(data, moved(truth.x, np.array([0.0, 0, 0, 0.02, 0, 0])))
    assert wrong.rms_mm > 3.0 * good.rms_mm
    known = verify_with_board(data, truth.x, moved(truth.w, np.array([0.01, 0, 0, 0, 0, 0])))
    assert known.rms_mm == pytest.approx(10.0, abs=0.6)


def test_touched_points_give_error_and_offset():
    seen = RNG.uniform(-0.3, 0.3, (6, 3))
    result = verify_by_touch(seen, seen - [0.004, 0.0, 0.0])
    assert result.rms_mm == pytest.approx(4.0) and result.bias_mm == pytest.approx([4.0, 0.0, 0.0])
    with pytest.raises(InputError, match="at least 3 points"):
        verify_by_touch(seen[:2], seen[:2])


def watched(offset, window=9, outlier=False, in_hand=False):
    camera = Transform("base", "camera", np.eye(3), [0.3, 0.0, 0.8], np.diag([1e-7] * 3 + [1e-7] * 3))
    marker = np.eye(4)
    marker[:3, 3] = [0.0, 0.1, 0.5]
    robot = moved(np.eye(4), np.array([0.1, 0.2, 0.3, 0.0, 0.4, 0.0]))
    place = (robot if in_hand else np.eye(4)) @ camera.matrix @ marker
    monitor = DriftMonitor(camera, place, window=window)
    states = []
    for i in range(2 * window):
        change = RNG.normal(0, 0.0004, 6)
        change[:3] += offset
        if outlier and i % 4 == 0:
            change[:3] += 0.05
        states.append(monitor.update(moved(marker, change), robot if in_hand else None))
    return states


@pytest.mark.parametrize("in_hand", [False, True])
def test_the_monitor_says_when_the_camera_has_moved(in_hand):
    assert watched(np.array([0.006, 0, 0]), in_hand=in_hand)[-1].moved
    calm = watched(np.zeros(3), in_hand=in_hand)
    assert not any(state.moved for state in calm)
    assert np.isnan(calm[0].offset_mm) and calm[-1].offset_mm < 1.0


def test_single_odd_views_do_not_alarm():
    assert not any(state.moved for state in watched(np.zeros(3), outlier=True))


def test_a_monitor_without_a_known_place_learns_it():
    camera = Transform("base", "camera", np.eye(3), [0.0, 0.0, 0.0])
    monitor = DriftMonitor(camera, window=5)
    marker = moved(np.eye(4), np.array([0.0, 0, 0.5, 0, 0, 0]))
    for _ in range(6):
        assert not monitor.update(marker).moved
    for _ in range(5):
        last = monitor.update(moved(marker, np.array([0, 0, 0, 0.03, 0, 0])))
    assert last.moved and last.turn_deg == pytest.approx(np.rad2deg(0.03), rel=0.05)
