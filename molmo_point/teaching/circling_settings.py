"""Settings of circling an object."""

import math
from dataclasses import dataclass

from molmo_point.errors import InputError
from molmo_point.teaching.viewpoints import rings


@dataclass(frozen=True)
class CirclingSettings:
    """Choice of the viewpoints, and limits of the motion.

    Attributes:
        views: Number of views to take; motions end as soon as so many are accepted, the first ones without a motion included.
        elevations_deg: Angle below the horizon of each ring, degrees.
        around: Number of viewpoints on a ring.
        distances_m: Distances of the camera from the object, taken in turns, meters; a large object is seen from farther away.
        speed: Share of the arm's speed limits.
        lift_m: Rise of a hand that is low at the start, meters.
        assumed_height_m: Height that everything on the table is assumed to have if no fixed camera measures it, meters. NaN
            refuses to move without a fixed camera with depth.

    Raises:
        InputError: If a number is out of its range.
    """

    views: int = 8
    elevations_deg: tuple[float, ...] = (72.0, 52.0, 34.0)
    around: int = 8
    distances_m: tuple[float, ...] = (0.32, 0.46)
    speed: float = 1.0
    lift_m: float = 0.16
    assumed_height_m: float = math.nan

    def __post_init__(self) -> None:
        rings(self.elevations_deg, self.around, self.distances_m)
        if self.views < 1:
            raise InputError("views must be at least 1", f"views={self.views}", "give e.g. 8")
        if not 0 < self.speed <= 1:
            raise InputError("speed must be in (0, 1]", f"speed={self.speed}", "give e.g. 0.5")
        if not self.lift_m >= 0 or self.assumed_height_m <= 0:
            given = f"lift_m={self.lift_m}, assumed_height_m={self.assumed_height_m}"
            raise InputError("heights must be positive", given, "give meters, or NaN for an unknown height of the objects")
