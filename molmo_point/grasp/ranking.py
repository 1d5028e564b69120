"""Ranking of other generators' grasps (AnyGrasp, Contact-GraspNet, GraspGen, ...) for a target."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.rigid import rigid_error
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GRASP_FRAME, pose_figures
from molmo_point.grasp.support import direction
from molmo_point.plain_json import plain_json

CONVENTIONS: dict[str, tuple[int, int]] = {"tool": (2, 1), "graspnet": (0, 1), "acronym": (2, 0)}
"""Columns of (approach, closing direction) in a pose's rotation. "tool" is this package's tool frame and Franka's hand,
"graspnet" that of GraspNet-1Billion and AnyGrasp, "acronym" that of ACRONYM, Contact-GraspNet and GraspGen."""

NEAR_M = 0.03
"""Distance to the target at which the nearness is 0.61, in meters."""


@dataclass(frozen=True, eq=False)
class RankedGrasp:
    """Ranked grasp of another generator.

    Attributes:
        index: Row in the input.
        camera_T_grasp: Pose in this package's convention: z approach, y closing direction, origin between the pads.
        distance_m: Distance in meters from the target to the origin, or to the free stretch before it.
        alignment: Cosine between its approach and the wanted approach; NaN without a wanted approach.
        quality: Nearness times alignment times the generator's own score, 0 to 1.
    """

    index: int
    camera_T_grasp: Transform
    distance_m: float
    alignment: float
    quality: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        figures = {"distance_m": self.distance_m, "alignment": self.alignment, "quality": self.quality}
        return plain_json({"index": self.index, **pose_figures(self.camera_T_grasp), **figures})


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
    """Rank grasps by nearness to a point and by alignment with a wanted approach.

    Args:
        external_grasps: Homogeneous poses (n, 4, 4) in `frame`.
        target_m: Target point (3,) in `frame`, in meters.
        frame: Name of the frame of grasps and target.
        convention: Axes of approach and closing: "tool", "graspnet" or "acronym"; see `CONVENTIONS`.
        origin_to_pads_m: Distance in meters along the approach from the generator's origin to the middle of the pads.
        approach: Wanted direction of approach (3,) in `frame`; None ignores alignment.
        scores: Scores of the generator (n,), finite and not negative; scaled by their largest.
        sigma_m: Standard deviation of the target, in meters; it widens the nearness.
        reach_m: Length of the stretch before the pads' middle, in meters, on which the distance is zero: the target is on
            the surface that the fingers pass.

    Returns:
        All grasps, best first; equal grasps in their input order.

    Raises:
        InputError: For wrong shapes, values that are not finite, poses that are not rigid, or an unknown convention.
    """
    poses, target, own = _checked(external_grasps, target_m, convention, scores)
    wanted = None if approach is None else direction("approach", approach)
    lengths = {"origin_to_pads_m": origin_to_pads_m, "sigma_m": sigma_m, "reach_m": reach_m}
    if not all(math.isfinite(value) for value in lengths.values()) or sigma_m < 0 or reach_m < 0:
        raise InputError("The lengths must be finite, and sigma_m and reach_m not negative", repr(lengths), "give meters")
    into, closing = CONVENTIONS[convention]
    ranked = []
    for index, pose in enumerate(poses):
        z, y = pose[:3, into], pose[:3, closing]
        origin = pose[:3, 3] + origin_to_pads_m * z
        camera_T_grasp = Transform(frame, GRASP_FRAME, np.stack([np.cross(y, z), y, z], axis=1), origin)
        away = target - origin
        distance = float(np.linalg.norm(away - np.clip(away @ z, -reach_m, 0.0) * z))
        alignment = math.nan if wanted is None else float(wanted @ z)
        nearness = math.exp(-0.5 * distance**2 / (NEAR_M**2 + sigma_m**2))
        quality = nearness * float(own[index]) * (1.0 if wanted is None else 0.5 * (1.0 + alignment))
        ranked.append(RankedGrasp(index, camera_T_grasp, distance, alignment, quality))
    return tuple(sorted(ranked, key=lambda grasp: -grasp.quality))


def _checked(
    external_grasps: ArrayLike, target_m: ArrayLike, convention: str, scores: ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    if convention not in CONVENTIONS:
        raise InputError(f"convention must be one of {', '.join(CONVENTIONS)}", repr(convention), "see CONVENTIONS")
    try:
        poses = np.asarray(external_grasps, dtype=np.float64)
        target = np.asarray(target_m, dtype=np.float64)
        own = np.ones(len(poses)) if scores is None else np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("Grasps, target and scores must be numbers", str(error), "give arrays of floats") from error
    if poses.size == 0:
        poses, own = np.zeros((0, 4, 4)), np.zeros(0)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or not np.all(np.isfinite(poses)):
        raise InputError("external_grasps must be finite homogeneous poses", f"shape {poses.shape}", "give an array (n, 4, 4)")
    if target.shape != (3,) or not np.all(np.isfinite(target)):
        raise InputError("target_m must be a finite point", f"{target.tolist()}", "give (3,) meters")
    if own.shape != (len(poses),) or not np.all(np.isfinite(own)) or np.any(own < 0):
        raise InputError(
            "scores must be one number for each grasp", f"shape {own.shape}", "give (n,) finite scores, not negative"
        )
    error = rigid_error(poses).max(initial=0.0)
    if error > 1e-3:
        given = "a mirrored rotation" if np.isinf(error) else f"error {error:.2g}"
        raise InputError("external_grasps must be rigid poses", given, "check for transposed matrices")
    return poses, target, own / own.max() if len(own) and own.max() > 0 else own
