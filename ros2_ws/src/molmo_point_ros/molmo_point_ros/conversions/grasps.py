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
    """Return the message of one grasp of a target.

    Args:
        grasp: The grasp, in the optical frame.
        target: The target to grasp, in the optical frame.
        grasps: All candidates of the target, for the reasons of the rejected ones; None if unknown.
        into: Into the frame of the poses, at the capture time; None keeps the optical frame.
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
    """Return the reason why a target cannot be grasped; "" if it can."""
    if grasps.candidates:
        return ""
    reasons = ", ".join(f"{reason} {count}" for reason, count in grasps.reasons.items())
    said = "; ".join(part for part in (grasps.region.message, reasons) if part)
    return f"no grasp: {said or 'no surface fits the gripper'}"
