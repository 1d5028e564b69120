"""Timed paths keep the limits of the joints, and slow down on the path."""

import numpy as np
import pytest

pytest.importorskip("ruckig")

from molmo_point.sim.arm.timing import ACCELERATION_RAD_S2, SPEED_RAD_S, evened, timed

CORNER = np.array([[0.0] * 7, [0.6, 0.1, 0, 0, 0, 0.3, 0], [0.6, 0.5, -0.4, 0, 0.2, 0.3, 1.0]])


def sampled(timing, step_s=0.002):
    times = np.arange(0.0, timing.duration_s + step_s, step_s)
    return np.array([timing.at(time)[0] for time in times]), step_s


def test_it_starts_and_ends_at_the_ends_and_stands_there():
    timing = timed(evened(CORNER))
    assert timing.at(0.0)[0] == pytest.approx(CORNER[0], abs=1e-9)
    assert timing.at(timing.duration_s)[0] == pytest.approx(CORNER[-1], abs=1e-6)
    assert np.abs(timing.at(0.0)[1]).max() < 1e-6
    assert np.abs(timing.at(timing.duration_s)[1]).max() < 1e-3


def test_speed_and_acceleration_stay_within_the_limits():
    places, step_s = sampled(timed(evened(CORNER)))
    speed = np.diff(places, axis=0) / step_s
    assert (np.abs(speed) <= 1.01 * SPEED_RAD_S).all()
    # Rows are a hundredth of a second apart: means over that much, not over the steps between two rows.
    acceleration = (speed[10:] - speed[:-10]) / (10 * step_s)
    assert (np.abs(acceleration) <= 1.3 * ACCELERATION_RAD_S2).all()


def test_the_stated_speed_is_that_of_the_places():
    timing = timed(evened(CORNER))
    at, step = 0.4 * timing.duration_s, 1e-5
    measured = (timing.at(at + step)[0] - timing.at(at - step)[0]) / (2 * step)
    assert timing.at(at)[1] == pytest.approx(measured, abs=0.02)


def test_half_the_speed_takes_longer():
    rows = evened(np.array([[0.0] * 7, [1.5, 0, 0, 0, 0, 0, 0]]))
    assert timed(rows, 0.5).duration_s > 1.15 * timed(rows).duration_s


def test_slowing_down_goes_on_smoothly_and_stays_on_the_path():
    timing = timed(evened(CORNER))
    at = 0.45 * timing.duration_s
    slowed = timing.slowed(at)
    assert slowed.at(0.0)[0] == pytest.approx(timing.at(at)[0], abs=1e-9)
    assert slowed.at(0.0)[1] == pytest.approx(timing.at(at)[1], rel=0.05, abs=1e-3)
    assert np.abs(slowed.at(slowed.duration_s)[1]).max() < 1e-3
    rows = evened(CORNER)
    for place in sampled(slowed, 0.02)[0]:
        assert np.abs(rows - place).max(axis=1).min() < 0.02
    assert slowed.duration_s < 0.6


def test_evening_keeps_the_ends_and_rounds_corners():
    rows = evened(CORNER)
    assert rows[0] == pytest.approx(CORNER[0])
    assert rows[-1] == pytest.approx(CORNER[-1])
    steps = np.diff(rows, axis=0)
    assert np.abs(np.diff(steps, axis=0)).max() < 0.5 * np.abs(steps).max()
