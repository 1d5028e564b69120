"""Grasp candidates, rejected grasps with their reasons, and the result of a grasp search."""

import enum
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from molmo_point.arrays import FloatArray
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.object_region import ObjectRegion
from molmo_point.grasp.shape import OrientedBox, SurfaceNormal
from molmo_point.plain_json import plain_json

GRASP_FRAME = "grasp"


def pose_figures(pose: Transform) -> dict[str, Any]:
    """Return frame, position and orientation of a grasp's pose by the names of the JSON."""
    return {"frame": pose.target, "position_m": pose.translation_m, "quaternion_xyzw": pose.quaternion_xyzw}


class Rejection(enum.Enum):
    """Reason for the rejection of a grasp."""

    TOO_WIDE = "TOO_WIDE"
    """The object is wider than the gripper opens."""
    TOO_FLAT = "TOO_FLAT"
    """Too little of the object stands above the support plane for the fingers to hold."""
    FEW_POINTS = "FEW_POINTS"
    """Too little of the object was measured between the fingers."""
    NOT_ANTIPODAL = "NOT_ANTIPODAL"
    """A contact normal is too far off the closing direction for the friction: the object would slip."""
    HITS_SUPPORT = "HITS_SUPPORT"
    """A finger or the hand would touch the support plane."""
    FINGER_HITS_OBJECT = "FINGER_HITS_OBJECT"
    """A finger would hit the object."""
    FINGER_HITS_NEIGHBOR = "FINGER_HITS_NEIGHBOR"
    """A finger would hit another object."""
    PALM_HITS_OBJECT = "PALM_HITS_OBJECT"
    """The hand would hit the object."""
    PALM_HITS_NEIGHBOR = "PALM_HITS_NEIGHBOR"
    """The hand would hit another object."""
    NEIGHBOR_BETWEEN = "NEIGHBOR_BETWEEN"
    """Another object is between the fingers."""
    FAR_FROM_TARGET = "FAR_FROM_TARGET"
    """The fingers would close on a part of the region that is far from the target."""
    UNSEEN = "UNSEEN"
    """A finger would enter space that the camera did not see."""
    UNLIKELY = "UNLIKELY"
    """The scores together make it unlikely that the grasp holds."""
    OUTSCORED = "OUTSCORED"
    """Enough better grasps were found."""
    DUPLICATE = "DUPLICATE"
    """A better grasp is nearly the same."""


@dataclass(frozen=True, eq=False)
class GraspCandidate:
    """One scored grasp of the object.

    Attributes:
        camera_T_grasp: Pose of the tool frame: z approaches the object, y is the closing direction, and the origin is
            in the middle between the pads (see `Gripper`). Half a turn about z gives the same grasp.
        width_m: Width of the object between the pads, in meters.
        opening_m: Opening before the approach, in meters.
        quality: Probability that the grasp holds the object; see docs/grasps.md.
        scores: Scores by name, each 0 to 1: antipodal, seen, outlined, both_seen, near, centered, upright, engaged,
            room, region.
        approach_distance_m: Length of the straight approach, in meters.
        width_sigma_m: Standard deviation of the width, in meters; large where a side was not seen, NaN if unknown.
    """

    camera_T_grasp: Transform
    width_m: float
    opening_m: float
    quality: float
    scores: Mapping[str, float]
    approach_distance_m: float
    width_sigma_m: float = math.nan

    @property
    def center_m(self) -> FloatArray:
        """Middle between the pads (3,), in meters."""
        return self.camera_T_grasp.translation_m

    @property
    def closing(self) -> FloatArray:
        """Unit vector (3,) from one finger to the other."""
        return self.camera_T_grasp.rotation[:, 1]

    @property
    def approach(self) -> FloatArray:
        """Unit vector (3,) of the approach."""
        return self.camera_T_grasp.rotation[:, 2]

    def transformed(self, transform: Transform) -> "GraspCandidate":
        """Express the grasp in the transform's target frame.

        Raises:
            FrameError: If the transform does not start in the grasp's frame.
        """
        return replace(self, camera_T_grasp=transform @ self.camera_T_grasp)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        names = ("approach", "closing", "width_m", "width_sigma_m", "opening_m", "quality", "scores", "approach_distance_m")
        return plain_json(pose_figures(self.camera_T_grasp) | {name: getattr(self, name) for name in names})


@dataclass(frozen=True, eq=False)
class RejectedGrasp:
    """One rejected grasp.

    Attributes:
        axes: Axes of the tool frame as columns (3, 3), in the optical frame.
        position_m: Origin of the tool frame (3,), in meters.
        reason: Reason for the rejection.
    """

    axes: FloatArray
    position_m: FloatArray
    reason: Rejection


@dataclass(frozen=True, eq=False)
class Grasps:
    """Result of a grasp search on the object at a point.

    Attributes:
        candidates: Grasps, best first; empty if there is none.
        rejected: All other grasps examined, with their reasons.
        region: Object region; its status tells whether it is reliable.
        normal: Surface normal at the point.
        box: Box around the measured part of the object; None without a region.
        gripper: Gripper of the search.
    """

    candidates: tuple[GraspCandidate, ...]
    rejected: tuple[RejectedGrasp, ...]
    region: ObjectRegion
    normal: SurfaceNormal
    box: OrientedBox | None
    gripper: Gripper

    @property
    def best(self) -> GraspCandidate | None:
        """Best candidate, or None."""
        return self.candidates[0] if self.candidates else None

    @property
    def reasons(self) -> dict[str, int]:
        """Number of rejected grasps by reason, most frequent first."""
        return {reason.value: count for reason, count in Counter(each.reason for each in self.rejected).most_common()}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON; rejected grasps are counted by reason."""
        return {
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "rejected": self.reasons,
            "region": self.region.to_dict(),
            "normal": self.normal.to_dict(),
            "box": None if self.box is None else self.box.to_dict(),
        }
