"""Grasps of other generators (AnyGrasp, Contact-GraspNet, GraspGen, ...) ranked for a target."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GRASP_FRAME

CONVENTIONS: dict[str, tuple[int, int]] = {"tool": (2, 1), "graspnet": (0, 1), "acronym": (2, 0)}
"""Which columns of a pose's rotation are (approach, closing direction): this package's tool frame (also Franka's
hand), GraspNet-1Billion and AnyGrasp, ACRONYM and with it Contact-GraspNet and GraspGen."""

NEAR_M = 0.03
"""Distance to the target at which the nearness has fallen to 0.61, in meters."""


@dataclass(frozen=True, eq=False)
class RankedGrasp:
    """One grasp of another generator.

    Attributes:
        index: Its row in the input.
        camera_T_grasp: As this package writes it: z approach, y closing direction, origin between the pads.
        distance_m: From the target to the origin, or to the stretch before it that the palm leaves free.
        alignment: Cosine between its approach and the wanted one; NaN when none was wanted.
        quality: 0 to 1: nearness times alignment times the generator's own score.
    """

    index: int
    camera_T_grasp: Transform
    distance_m: float
    alignment: float
    quality: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "index": self.index,
            "frame": self.camera_T_grasp.target,
            "position_m": [float(value) for value in self.camera_T_grasp.translation_m],
            "quaternion_xyzw": [float(value) for value in self.camera_T_grasp.quaternion_xyzw],
            "distance_m": self.distance_m,
            "alignment": None if math.isnan(self.alignment) else self.alignment,
            "quality": self.quality,
        }


def rank_grasps(
    external_grasps: ArrayLike,
    target_m: ArrayLike,
    frame: str,
    *,
    convention: str = "tool",
    origin_to_pads_m: float = 0.0,
    approach: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    sigma_m: float = 0.0,
    reach_m: float = 0.03,
) -> tuple[RankedGrasp, ...]:
    """Order grasps by how near they close to a point and how well they come from a wanted direction.

    Args:
        external_grasps: Homogeneous poses (n, 4, 4) in `frame`.
        target_m: The point (3,) in `frame`, in meters.
        frame: Name of the frame that both are in.
        convention: Which axes approach and close: "tool", "graspnet" or "acronym"; see `CONVENTIONS`.
        origin_to_pads_m: From the generator's origin (often the wrist) along its approach to the middle of the pads.
            Conventions differ here by centimeters, so it is never guessed.
        approach: Wanted direction of approach (3,) in `frame`; None leaves alignment out.
        scores: The generator's own (n,), finite and not negative; scaled by their largest.
        sigma_m: Standard deviation of the target; widens what counts as near.
        reach_m: How far before the pads' middle, against the approach, the target is as good as at it: the target is
            on the surface that the fingers pass.

    Returns:
        All of them, best first; equal ones in their order.

    Raises:
        InputError: For wrong shapes, values that are not finite, poses that are not rigid, or an unknown convention.
    """
    poses, target, own = _checked(external_grasps, target_m, convention, scores)
    lengths = {"origin_to_pads_m": origin_to_pads_m, "sigma_m": sigma_m, "reach_m": reach_m}
    if not all(math.isfinite(value) for value in lengths.values()) or sigma_m < 0 or reach_m < 0:
        raise InputError("The settings of the ranking cannot be used", repr(lengths), "give finite meters, not negative")
    wanted = None if approach is None else _direction(approach)
    into, closing = CONVENTIONS[convention]
    ranked = []
    for index, pose in enumerate(poses):
        z, y = pose[:3, into], pose[:3, closing]
        origin = pose[:3, 3] + origin_to_pads_m * z
        camera_T_grasp = Transform(frame, GRASP_FRAME, np.stack([np.cross(y, z), y, z], axis=1), origin)
        away = target - origin
        behind = float(np.clip(away @ z, -reach_m, 0.0))
        distance = float(np.linalg.norm(away - behind * z))
        alignment = math.nan if wanted is None else float(wanted @ z)
        quality = math.exp(-0.5 * distance**2 / (NEAR_M**2 + sigma_m**2)) * float(own[index])
        if wanted is not None:
            quality *= 0.5 * (1.0 + alignment)
        ranked.append(RankedGrasp(index, camera_T_grasp, distance, alignment, quality))
    return tuple(sorted(ranked, key=lambda grasp: -grasp.quality))


def _checked(
    external_grasps: ArrayLike, target_m: ArrayLike, convention: str, scores: ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    if convention not in CONVENTIONS:
        raise InputError("The convention of the grasps is unknown", repr(convention), f"use one of {', '.join(CONVENTIONS)}")
    try:
        poses = np.asarray(external_grasps, dtype=np.float64)
        target = np.asarray(target_m, dtype=np.float64)
        own = np.ones(len(poses)) if scores is None else np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("Grasps, target and scores must be numbers", str(error), "give arrays of floats") from error
    if poses.size == 0:
        poses, own = np.zeros((0, 4, 4)), np.zeros(0)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or not np.all(np.isfinite(poses)):
        raise InputError("Grasps must be finite homogeneous poses", f"shape {poses.shape}", "give an array (n, 4, 4)")
    if target.shape != (3,) or not np.all(np.isfinite(target)):
        raise InputError("The target must be a finite point", f"{target.tolist()}", "give (3,) meters")
    if own.shape != (len(poses),) or not np.all(np.isfinite(own)) or np.any(own < 0):
        raise InputError("There must be one score for each grasp", f"shape {own.shape}", "give (n,) finite scores, not negative")
    last = np.abs(poses[:, 3] - [0.0, 0.0, 0.0, 1.0]).max(initial=0.0)
    turn = poses[:, :3, :3]
    error = np.abs(np.swapaxes(turn, 1, 2) @ turn - np.eye(3)).max(initial=0.0)
    if last > 1e-3 or error > 1e-3 or np.any(np.linalg.det(turn) < 0):
        raise InputError(
            "Grasps must be rigid poses", f"off by {max(last, error):.2g}, or mirrored", "check that they are not transposed"
        )
    return poses, target, own / own.max() if len(own) and own.max() > 0 else own


def _direction(approach: ArrayLike) -> FloatArray:
    vector = np.asarray(approach, dtype=np.float64)
    length = float(np.linalg.norm(vector)) if vector.shape == (3,) else 0.0
    if not (math.isfinite(length) and length > 1e-9):
        raise InputError("The wanted approach must be a direction", repr(approach), "give three finite numbers, not all zero")
    return vector / length
