"""Grasps of the SDK to messages."""

import numpy as np
from geometry_msgs.msg import Vector3Stamped
from molmo_point_msgs.msg import GraspTarget

from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GraspCandidate, Grasps
from molmo_point.results import Target
from molmo_point_ros.conversions.targets import header_of

UNKNOWN_VARIANCE = -1.0


def grasp_message(grasp: GraspCandidate, target: Target, grasps: Grasps | None, into: Transform | None = None) -> GraspTarget:
    """One way to grasp a target.

    Args:
        grasp: In the optical frame.
        target: What it takes hold of, in the optical frame.
        grasps: What it is one of; why the others were left out is told. None where that is not known.
        into: Into the frame that poses are wanted in, at the capture time; None keeps the optical frame.
    """
    if into is not None:
        grasp, target = grasp.transformed(into), target.transformed(into)
    header = header_of(target.frame, target.stamp_ns)
    message = GraspTarget(header=header, label=target.label, width=float(grasp.width_m), quality=float(grasp.quality))
    position, rotation = message.pose.pose.position, message.pose.pose.orientation
    position.x, position.y, position.z = (float(value) for value in grasp.center_m)
    rotation.x, rotation.y, rotation.z, rotation.w = (float(value) for value in grasp.camera_T_grasp.quaternion_xyzw)
    covariance = np.diag([0.0] * 3 + [UNKNOWN_VARIANCE] * 3)
    covariance[:3, :3] = target.covariance_m2
    message.pose.covariance = covariance.reshape(-1)
    message.approach = Vector3Stamped(header=header)
    direction = message.approach.vector
    direction.x, direction.y, direction.z = (float(value) for value in grasp.approach)
    message.approach_distance = float(grasp.approach_distance_m)
    message.rejected_reasons = [] if grasps is None else [f"{reason}: {count}" for reason, count in grasps.reasons.items()]
    return message


def no_grasp_reason(grasps: Grasps) -> str:
    """Why a target cannot be grasped; "" where it can."""
    if grasps.candidates:
        return ""
    reasons = ", ".join(f"{reason} {count}" for reason, count in grasps.reasons.items())
    said = "; ".join(part for part in (grasps.region.message, reasons) if part)
    return f"no grasp: {said or 'nothing there can be taken hold of'}"
