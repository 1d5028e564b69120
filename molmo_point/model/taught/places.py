"""Places of a taught object in an image: points, their probability and error, and the probability that it is absent."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.model.taught.heads import Head
from molmo_point.model.taught.seen_image import SeenImage

_MOST_PLACES = 32


@dataclass(frozen=True)
class Place:
    """One place that may show an object.

    Attributes:
        u: Column in pixels.
        v: Row in pixels.
        probability: Calibrated probability that the point lies on the object, 0 to 1.
        sigma_px: Standard deviation of u and of v in pixels, where the point lies on the object.
        rival: Name of another taught object that explains the place nearly as well; empty without one.
        rival_probability: Probability of the rival; 0 without one.
    """

    u: float
    v: float
    probability: float
    sigma_px: float
    rival: str = ""
    rival_probability: float = 0.0


@dataclass(frozen=True)
class Places:
    """Places of one object in one image.

    Attributes:
        places: Separate places, likeliest first; the first one is there even if the object is absent.
        absent_probability: Calibrated probability that the image does not show the object, 0 to 1.
        absent: Decision that the image does not show the object, at the stated rate of false alarms.
        count: Number of places that show the object; 0 if it is absent.
        familiarity: Probability that an image of those that were taught is less familiar than this one; NaN if unknown.
    """

    places: tuple[Place, ...]
    absent_probability: float
    absent: bool
    count: int
    familiarity: float = math.nan


def find_places(seen: SeenImage, heads: Mapping[str, Head], name: str, false_alarms: float = 0.05) -> Places:
    """Find the places of a taught object.

    Args:
        seen: The image.
        heads: Heads of all taught objects by name; the others tell rivals.
        name: Name of the object.
        false_alarms: Share of images without the object in which it may be found.
    """
    grid, head = seen.grids[0], heads[name]
    odds = _smooth(grid.values @ head.weights[:-1] + head.weights[-1])
    others = {other: _smooth(grid.values @ h.weights[:-1] + h.weights[-1]) for other, h in heads.items() if other != name}
    found = []
    rest = odds.copy()
    while len(found) < _MOST_PLACES:
        row, column = np.unravel_index(int(rest.argmax()), rest.shape)
        if found and rest[row, column] < 0:
            break
        u, v = ((k + 0.5) * grid.patch_px + corner for k, corner in zip((column, row), grid.corner_px, strict=True))
        rival = max(others, key=lambda other: others[other][row, column], default="")
        chance = _chance(others[rival][row, column]) if rival else 0.0
        named = rival if chance > 0.5 else ""
        found.append(Place(float(u), float(v), _chance(rest[row, column]), grid.patch_px, named, chance if named else 0.0))
        rest[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4] = -math.inf
    present = _chance(head.absence[0] * odds.max() + head.absence[1])
    absent = present < 0.5
    return Places(tuple(found), 1 - present, absent, 0 if absent else len(found))


def _chance(odds: float) -> float:
    return float(1 / (1 + math.exp(-min(max(odds, -50.0), 50.0))))


def _smooth(values: FloatArray) -> FloatArray:
    padded = np.pad(values, 1, mode="edge")
    rows, columns = values.shape
    return sum(padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)) / 9
