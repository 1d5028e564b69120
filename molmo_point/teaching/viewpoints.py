"""Viewpoints on rings around an object, in an order in which any first few of them are far apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError


@dataclass(frozen=True)
class Viewpoint:
    """A place of the camera around an object, with the object in the middle of its image.

    Attributes:
        elevation_deg: Angle of the view below the horizon, degrees.
        azimuth_deg: Horizontal direction of the view, degrees; 0 looks along x of the base frame.
        distance_m: Distance of the camera from the middle of the object, meters.
    """

    elevation_deg: float
    azimuth_deg: float
    distance_m: float

    def __str__(self) -> str:
        """Viewpoint in words, for people."""
        return f"{self.elevation_deg:.0f} degrees down, toward {self.azimuth_deg:.0f} degrees, {self.distance_m:.2f} m away"

    @property
    def forward(self) -> FloatArray:
        """Direction of the view (3,), base frame."""
        elevation, azimuth = math.radians(self.elevation_deg), math.radians(self.azimuth_deg)
        level = math.cos(elevation)
        return np.array([level * math.cos(azimuth), level * math.sin(azimuth), -math.sin(elevation)])


def rings(elevations_deg: Sequence[float], count: int, distances_m: Sequence[float]) -> list[Viewpoint]:
    """Return viewpoints on rings, each ring turned against the one before.

    Args:
        elevations_deg: One ring for each angle below the horizon, degrees.
        count: Number of viewpoints of a ring.
        distances_m: Distances of the camera; neighbors on a ring take turns.

    Raises:
        InputError: If an elevation is not between 5 and 85 degrees, a distance is not positive, or nothing is left.
    """
    if not elevations_deg or not all(5.0 <= angle <= 85.0 for angle in elevations_deg):
        raise InputError("elevations_deg must be angles from 5 to 85", str(list(elevations_deg)), "give e.g. 72, 52, 32")
    if count < 1 or not distances_m or not all(0.0 < distance < math.inf for distance in distances_m):
        given = f"{count} viewpoints at {list(distances_m)} m"
        raise InputError("a ring must have viewpoints at positive distances", given, "give e.g. 8 at 0.34 m")
    step = 360.0 / count
    return [
        Viewpoint(
            elevation, (number + ring / len(elevations_deg)) * step % 360.0, distances_m[(number + ring) % len(distances_m)]
        )
        for ring, elevation in enumerate(elevations_deg)
        for number in range(count)
    ]


def spread_out(viewpoints: Sequence[Viewpoint], seen: Sequence[FloatArray]) -> list[Viewpoint]:
    """Order viewpoints so that each one is the farthest in direction from all before it.

    Args:
        viewpoints: Viewpoints to order.
        seen: Directions (3,) of views that exist already; without any, the first viewpoint stays the first.
    """
    forward = np.array([viewpoint.forward for viewpoint in viewpoints])
    nearest = np.full(len(forward), -1.0)
    for direction in seen:
        nearest = np.maximum(nearest, forward @ direction)
    order: list[int] = []
    while len(order) < len(forward):
        chosen = min((number for number in range(len(forward)) if number not in order), key=lambda number: nearest[number])
        order.append(chosen)
        nearest = np.maximum(nearest, forward @ forward[chosen])
    return [viewpoints[number] for number in order]
