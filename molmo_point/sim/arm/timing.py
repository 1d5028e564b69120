"""Timing of joint paths within limits of speed, acceleration and jerk, and slowing down on the way."""

import bisect
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.dependencies import require

SPEED_RAD_S = 0.7 * np.array([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61])
"""70 % of the Panda's joint speed limits."""
ACCELERATION_RAD_S2 = 0.4 * np.array([15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0])
JERK_S = 0.15
"""Time to full acceleration, seconds."""
_STEP = 0.01
_STOP = 4.5
"""Acceleration of a stop, as a multiple of that of a path."""


def evened(rows: FloatArray) -> FloatArray:
    """Resample rows (m, n) of joint angles at even steps of time, with rounded corners and the same ends."""
    travel = _travel(rows)
    count = max(3, int(np.ceil(travel[-1] / _STEP)) + 1)
    even = np.linspace(0.0, travel[-1], count)
    keep = np.concatenate([[True], np.diff(travel) > 1e-12])
    path = np.stack([np.interp(even, travel[keep], column[keep]) for column in rows.T], axis=1)
    reach = min(6, (count - 1) // 2)
    for _ in range(2):
        path = _smoothed(path, reach)
    return path


def _smoothed(path: FloatArray, reach: int) -> FloatArray:
    """Moving average with a window that shrinks toward the ends, which stay."""
    total = np.concatenate([np.zeros((1, path.shape[1])), np.cumsum(path, axis=0)])
    index = np.arange(len(path))
    half = np.minimum(reach, np.minimum(index, len(path) - 1 - index))
    return (total[index + half + 1] - total[index - half]) / (2 * half + 1)[:, None]


def _travel(rows: FloatArray) -> FloatArray:
    """Times (m,) of the rows at the speed limit of the slowest joint, seconds."""
    steps = (np.abs(np.diff(rows, axis=0)) / SPEED_RAD_S).max(axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


@dataclass
class PathTiming:
    """A path with a time for every position.

    Attributes:
        rows: (m, n) joint angles, radians.
        stops: Positions of the rows on the path: their times at the speed limit of the slowest joint, seconds.
        duration_s: Duration from the start to the end, seconds.
    """

    rows: FloatArray
    stops: list[float]
    duration_s: float
    _profile: Any = field(repr=False)
    _limits: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def at(self, time_s: float) -> tuple[FloatArray, FloatArray]:
        """Joint angles (n,), radians, and speeds (n,), rad/s, at a time."""
        place, speed, _ = self._state(time_s)
        after = min(max(bisect.bisect_right(self.stops, place), 1), len(self.stops) - 1)
        begin, end = self.stops[after - 1], self.stops[after]
        slope = (self.rows[after] - self.rows[after - 1]) / max(end - begin, 1e-9)
        share = min(max(place - begin, 0.0), end - begin)
        return self.rows[after - 1] + share * slope, slope * speed

    def slowed(self, time_s: float) -> "PathTiming":
        """Slow down on the path from a time on, as fast as the limits allow; the new time starts at 0."""
        place, speed, acceleration = self._state(time_s)
        ruckig = _ruckig()
        wanted = ruckig.InputParameter(1)
        wanted.control_interface = ruckig.ControlInterface.Velocity
        wanted.current_position, wanted.current_velocity = [place], [max(speed, 0.0)]
        wanted.current_acceleration, wanted.target_velocity = [acceleration], [0.0]
        # A stop may use more: on the slowest joint 90 % of the Panda's own limit of acceleration.
        wanted.max_acceleration, wanted.max_jerk = [_STOP * self._limits[1]], [8 * _STOP * self._limits[2]]
        return _timing(self.rows, self.stops, wanted, self._limits)

    def _state(self, time_s: float) -> tuple[float, float, float]:
        place, speed, acceleration = self._profile.at_time(min(max(time_s, 0.0), self.duration_s))
        return float(place[0]), float(speed[0]), float(acceleration[0])


def timed(rows: FloatArray, speed: float = 1.0) -> PathTiming:
    """Find the fastest timing of rows (m, n) from `evened` within the limits.

    Args:
        rows: Joint angles, radians.
        speed: Share of the speed limits.

    Raises:
        DependencyError: ruckig is not installed.
    """
    travel = _travel(rows)
    limits = _limits(rows, travel, speed)
    wanted = _ruckig().InputParameter(1)
    wanted.current_position, wanted.target_position = [0.0], [float(travel[-1])]
    wanted.max_velocity, wanted.max_acceleration, wanted.max_jerk = [limits[0]], [limits[1]], [limits[2]]
    return _timing(rows, travel.tolist(), wanted, limits)


def _timing(rows: FloatArray, stops: list[float], wanted: Any, limits: tuple[float, float, float]) -> PathTiming:
    ruckig = _ruckig()
    profile = ruckig.Trajectory(1)
    ruckig.Ruckig(1).calculate(wanted, profile)
    return PathTiming(rows, stops, float(profile.duration), profile, limits)


def _limits(rows: FloatArray, travel: FloatArray, speed: float) -> tuple[float, float, float]:
    """Limits of speed, acceleration and jerk along the path; half of the acceleration is left for its bends."""
    along = 0.5 * float((ACCELERATION_RAD_S2 / SPEED_RAD_S).min())
    top = speed
    gaps = np.diff(travel)
    if len(rows) > 2 and gaps.min() > 1e-9:
        slope = np.diff(rows, axis=0) / gaps[:, None]
        bend = np.abs(np.diff(slope, axis=0)) / (0.5 * (gaps[1:] + gaps[:-1]))[:, None]
        sharpest = float((bend / (0.5 * ACCELERATION_RAD_S2)).max())
        top = min(top, 1.0 / np.sqrt(max(sharpest, 1e-9)))
    return max(top, 0.05), along, along / JERK_S


def _ruckig() -> Any:
    return require("ruckig", "The smooth motion of the simulated arm", "arm")
