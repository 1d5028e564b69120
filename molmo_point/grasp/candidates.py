"""Antipodal grasps of a parallel gripper on the object at a point, scored, and why the others are out."""

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from molmo_point.arrays import FloatArray
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.object_region import ObjectRegion
from molmo_point.grasp.shape import OrientedBox, SurfaceNormal

GRASP_FRAME = "grasp"


class Rejection(enum.Enum):
    """Why a candidate is out."""

    TOO_WIDE = "TOO_WIDE"
    """The object is wider there than the gripper opens."""
    TOO_FLAT = "TOO_FLAT"
    """Above the support plane there is too little for the fingers to hold."""
    FEW_POINTS = "FEW_POINTS"
    """Too little of the object was measured between the fingers."""
    NOT_ANTIPODAL = "NOT_ANTIPODAL"
    """A side is not square enough to the closing direction for the friction: it would slip off."""
    HITS_SUPPORT = "HITS_SUPPORT"
    """A finger or the hand would touch the support plane."""
    FINGER_HITS_OBJECT = "FINGER_HITS_OBJECT"
    FINGER_HITS_NEIGHBOR = "FINGER_HITS_NEIGHBOR"
    PALM_HITS_OBJECT = "PALM_HITS_OBJECT"
    PALM_HITS_NEIGHBOR = "PALM_HITS_NEIGHBOR"
    UNSEEN = "UNSEEN"
    """A finger would go where the camera could not look."""
    OUTSCORED = "OUTSCORED"
    """Others with the same closing direction were better placed; it was not checked further."""
    DUPLICATE = "DUPLICATE"
    """A better one is nearly the same."""


@dataclass(frozen=True, eq=False)
class GraspCandidate:
    """A way to grasp the object.

    Attributes:
        camera_T_grasp: Pose of the tool frame: z approaches the object, y is the closing direction, and the origin is
            in the middle between the pads (see `Gripper`). Turned by half a turn about z it is the same grasp.
        width_m: Width of the object between the pads.
        opening_m: How wide to open before.
        quality: 0 to 1, the weighted geometric mean of `scores`.
        scores: Its parts, each 0 to 1: antipodal, seen, outlined, near, centered, upright, engaged, room.
        approach_distance_m: How far before the pose the straight approach begins.
    """

    camera_T_grasp: Transform
    width_m: float
    opening_m: float
    quality: float
    scores: Mapping[str, float]
    approach_distance_m: float

    @property
    def center_m(self) -> FloatArray:
        """(3,) middle between the pads."""
        return self.camera_T_grasp.translation_m

    @property
    def closing(self) -> FloatArray:
        """(3,) unit vector from one finger to the other."""
        return self.camera_T_grasp.rotation[:, 1]

    @property
    def approach(self) -> FloatArray:
        """(3,) unit vector of the approach."""
        return self.camera_T_grasp.rotation[:, 2]

    def transformed(self, transform: Transform) -> "GraspCandidate":
        """The same grasp in the transform's target frame.

        Raises:
            FrameError: If the transform does not take points of this frame.
        """
        return replace(self, camera_T_grasp=transform @ self.camera_T_grasp)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        pose = self.camera_T_grasp
        return {
            "frame": pose.target,
            "position_m": [float(value) for value in pose.translation_m],
            "quaternion_xyzw": [float(value) for value in pose.quaternion_xyzw],
            "approach": [float(value) for value in self.approach],
            "closing": [float(value) for value in self.closing],
            "width_m": self.width_m,
            "opening_m": self.opening_m,
            "quality": self.quality,
            "scores": dict(self.scores),
            "approach_distance_m": self.approach_distance_m,
        }


@dataclass(frozen=True, eq=False)
class RejectedGrasp:
    """A candidate that is out.

    Attributes:
        axes: (3, 3), columns are the axes of the tool frame in the optical frame.
        position_m: (3,) its origin.
        reason: Why.
    """

    axes: FloatArray
    position_m: FloatArray
    reason: Rejection


@dataclass(frozen=True, eq=False)
class Grasps:
    """What a gripper can do about the object at a point.

    Attributes:
        candidates: Best first; empty when there is none.
        rejected: Every other one that was looked at, with its reason.
        region: The object; its status says whether it can be trusted.
        normal: Of the surface at the point.
        box: Around what was seen of the object; None without a region.
        gripper: That it was made for.
    """

    candidates: tuple[GraspCandidate, ...]
    rejected: tuple[RejectedGrasp, ...]
    region: ObjectRegion
    normal: SurfaceNormal
    box: OrientedBox | None
    gripper: Gripper

    @property
    def best(self) -> GraspCandidate | None:
        """The best candidate, or None."""
        return self.candidates[0] if self.candidates else None

    @property
    def reasons(self) -> dict[str, int]:
        """How many candidates are out for each reason, most frequent first."""
        return {reason.value: count for reason, count in Counter(each.reason for each in self.rejected).most_common()}

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; rejected candidates are counted by reason."""
        return {
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "rejected": self.reasons,
            "region": self.region.to_dict(),
            "normal": self.normal.to_dict(),
            "box": None if self.box is None else self.box.to_dict(),
        }
