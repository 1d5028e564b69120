"""Whether the motion of the arm lets the calibration be known at all: rotation about two axes is what it takes."""

from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.geometry.rigid import nearest_rotation, rotation_log
from molmo_point.hand_eye.samples import HandEyeSet

WEAK_DEG, BLIND_DEG = 15.0, 3.0


@dataclass(frozen=True, eq=False)
class Observability:
    """How the arm has turned.

    Attributes:
        spread_deg: (3,) root mean square rotation about the three principal axes, largest first, degrees.
        axes: (3, 3) those axes, as rows, in the gripper's (eye in hand) or base frame (eye to hand) of the mean pose.
        status: "good"; "weak": the second axis has less than 15 degrees; "blind": less than 3 degrees.
        travel_m: largest distance between two robot positions, metres.
    """

    spread_deg: FloatArray
    axes: FloatArray
    status: str
    travel_m: float

    def sentence(self) -> str:
        """What it means, in words."""
        first, second, _ = self.spread_deg
        given = f"rotation spread {first:.0f}° and {second:.0f}° about its two main axes"
        if self.status == "good":
            return f"The motion is good: {given}."
        if self.status == "weak":
            low = f"below {WEAK_DEG:.0f}° the translation is poorly known"
            return f"The motion is weak: {given}; {low}. Tilt the view more, in two directions."
        return (
            f"The motion is about a single axis: {given}. The camera's position along it cannot be known. Tilt in two directions."
        )


def observability(data: HandEyeSet) -> Observability:
    """Measures the rotations among the robot poses."""
    outer = data.outer
    mean = nearest_rotation(outer[:, :3, :3].mean(axis=0))
    turns = rotation_log(mean.T @ outer[:, :3, :3])
    turns = turns - turns.mean(axis=0)
    values, vectors = np.linalg.eigh(turns.T @ turns / len(turns))
    spread = np.rad2deg(np.sqrt(np.maximum(values[::-1], 0.0)))
    status = "good" if spread[1] >= WEAK_DEG else "weak" if spread[1] >= BLIND_DEG else "blind"
    positions = data.base_T_gripper[:, :3, 3]
    travel = float(np.linalg.norm(positions[:, None] - positions[None], axis=2).max())
    return Observability(spread, vectors[:, ::-1].T, status, travel)
