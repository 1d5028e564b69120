"""Joint paths of an arm, the ways to end on one, and the reasons for having none."""

import enum
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError


class NoPathReason(enum.Enum):
    """Reason for having no path."""

    UNREACHABLE = "UNREACHABLE"
    """No joint angles within the limits bring the tool to the pose."""
    COLLISION = "COLLISION"
    """The arm would touch the table, an obstacle, or itself."""


class FollowEnd(enum.Enum):
    """End of following a path; the arm stands in every case."""

    DONE = "DONE"
    """The arm reached the end of the path."""
    CANCELLED = "CANCELLED"
    """The caller or `stop` ended the motion on the path."""
    BLOCKED = "BLOCKED"
    """The joints could not keep up: something is in the way."""


@dataclass(frozen=True, eq=False)
class JointPath:
    """A path through joint space, without a stop in between.

    Attributes:
        names: Names of the n joints.
        positions_rad: (m, n) joint angles, radians, the start first; m is at least two.
        duration_s: Duration at the limits of speed, acceleration and jerk, seconds.

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
                "A joint path must be two or more finite rows, one angle for each joint",
                f"shape {positions.shape} for {len(self.names)} joints, {self.duration_s} s",
                "give (m, n) radians, the start first",
            )
        object.__setattr__(self, "positions_rad", positions)

    @property
    def end_rad(self) -> FloatArray:
        """(n,) joint angles at the end, radians."""
        return self.positions_rad[-1]


@dataclass(frozen=True)
class NoPath:
    """The answer of a planner without a path.

    Attributes:
        reason: Kind of obstacle to the path.
        message: Pose and contact in words, for people.
    """

    reason: NoPathReason
    message: str
