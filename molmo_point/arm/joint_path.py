"""Paths of an arm in its joints, the boxes that they must stay clear of, and why there is none."""

import enum
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError


class NoPathReason(enum.Enum):
    """Why there is no path."""

    UNREACHABLE = "UNREACHABLE"
    """No joint angles within their limits bring the tool there."""
    COLLISION = "COLLISION"
    """On the way, or there, the arm would touch the table, an obstacle, or itself."""


class FollowEnd(enum.Enum):
    """How following a path ended; in every case the arm stands."""

    DONE = "DONE"
    """At the end of the path."""
    CANCELLED = "CANCELLED"
    """Stopped on the path, because somebody asked for it."""
    BLOCKED = "BLOCKED"
    """Stopped, because the joints could not keep up: something is in the way."""


@dataclass(frozen=True, eq=False)
class JointPath:
    """A path through joint space, passed without stopping in between.

    Attributes:
        names: Of the n joints.
        positions_rad: (m, n) joint angles on the way, the start first; m is at least two.
        duration_s: How long the arm will take at its limits of speed, acceleration and jerk.

    Raises:
        InputError: If the shape does not fit the names, or a value is not finite.
    """

    names: tuple[str, ...]
    positions_rad: FloatArray
    duration_s: float

    def __post_init__(self) -> None:
        positions = np.asarray(self.positions_rad, dtype=np.float64)
        fits = positions.ndim == 2 and positions.shape[0] >= 2 and positions.shape[1] == len(self.names)
        if not (fits and np.all(np.isfinite(positions)) and self.duration_s >= 0):
            raise InputError(
                "A joint path needs two or more finite rows, one angle for each joint",
                f"shape {positions.shape} for {len(self.names)} joints, {self.duration_s} s",
                "give (m, n) radians, the start first",
            )
        object.__setattr__(self, "positions_rad", positions)

    @property
    def end_rad(self) -> FloatArray:
        """(n,) joint angles at its end."""
        return self.positions_rad[-1]


@dataclass(frozen=True)
class NoPath:
    """There is no path.

    Attributes:
        reason: Why.
        message: In words: which pose, what it would touch.
    """

    reason: NoPathReason
    message: str


@dataclass(frozen=True)
class ObstacleBox:
    """An upright box that the arm must stay clear of.

    Attributes:
        center_m: (3,) its middle, base frame.
        half_m: (3,) half extents along its own axes.
        yaw_rad: Its turn about the vertical.
    """

    center_m: tuple[float, float, float]
    half_m: tuple[float, float, float]
    yaw_rad: float = 0.0

    @property
    def top_m(self) -> float:
        """Height of its top, base frame."""
        return self.center_m[2] + self.half_m[2]
