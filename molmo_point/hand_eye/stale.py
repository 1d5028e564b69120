"""Samples whose robot pose is that of another moment: the arm moved on, the pose did not."""

from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.geometry.rigid import difference
from molmo_point.hand_eye.joint import start_model
from molmo_point.hand_eye.solve import Solution

_SIGMAS = 6.0
_FLOOR = np.repeat([0.001, np.deg2rad(0.2)], 3)


@dataclass(frozen=True)
class Stale:
    """One stale sample.

    Attributes:
        sample: its number.
        words: which other moment its pose is from.
    """

    sample: int
    words: str


def stale_samples(solution: Solution) -> list[Stale]:
    """Dropped samples whose reported pose is where the arm was at another sample, or on its way from the one before."""
    data = solution.data
    really = start_model(data, solution.x, solution.w).robot
    unit = _SIGMAS * np.maximum(np.repeat([solution.noise.robot_m, solution.noise.robot_rad], 3), _FLOOR / 3.0)
    found = []
    for i in np.flatnonzero(~solution.kept):
        reported = data.base_T_gripper[i]
        near = [
            j
            for j in range(len(data))
            if j != i and np.all(np.abs(difference(really[j], reported)) < unit + _uncertainty(j, solution))
        ]
        if near:
            j = min(near, key=lambda k: (abs(k - i), k > i))
            when = "the one before" if j == i - 1 else "the one after" if j == i + 1 else "another"
            found.append(Stale(int(i), f"that of sample {data.ids[j]} ({when})"))
        elif i > 0:
            share = _share_of_way(really[i - 1], really[i], reported, unit)
            if share is not None:
                found.append(Stale(int(i), f"late: the arm had done only {share:.0%} of its way from sample {data.ids[i - 1]}"))
    return found


def _uncertainty(j: int, solution: Solution) -> FloatArray:
    """What the image of a sample leaves open of the arm's pose, (6,)."""
    image = solution.linear.image[j]
    return 3.0 * np.repeat([np.sqrt(np.trace(image[:3, :3])), np.sqrt(np.trace(image[3:, 3:]))], 3)


def _share_of_way(start: FloatArray, end: FloatArray, reported: FloatArray, unit: FloatArray) -> float | None:
    """How far along start to end a pose lies, 0 to 1; None if it is not on the way."""
    way, done = difference(end, start) / unit, difference(reported, start) / unit
    length = float(way @ way)
    if length < 100.0:
        return None
    share = float(done @ way) / length
    # A way of other shape than a straight one counts too, up to a tenth of its length.
    off = float(np.linalg.norm(done - share * way))
    return share if 0.0 <= share < 0.97 and off < 2.5 + 0.05 * np.sqrt(length) else None
