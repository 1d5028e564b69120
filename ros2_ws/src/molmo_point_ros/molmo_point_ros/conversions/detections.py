"""Our array as a vision_msgs/Detection3DArray, if vision_msgs is installed."""

import importlib
import math
from typing import Any

from geometry_msgs.msg import PoseWithCovariance
from molmo_point_msgs.msg import PointTarget, PointTargetArray

from molmo_point_ros.conversions.targets import pose_covariance


def import_vision_msgs() -> Any | None:
    """Return the module vision_msgs.msg; None if it is not installed."""
    try:
        return importlib.import_module("vision_msgs.msg")
    except ImportError:
        return None


def detections_message(array: PointTargetArray, vision_msgs: Any) -> Any:
    """Return one Detection3D for each target with a position that no gate stops, in the order of the array.

    class_id is the label, score the confidence (NaN if unknown), id that of the track. The box is at the position and has
    no size: a point has no extent.

    Args:
        array: Our message.
        vision_msgs: The module of `import_vision_msgs`.
    """
    message = vision_msgs.Detection3DArray(header=array.header)
    for target in array.targets:
        if target.gate != PointTarget.GATE_OPEN or not math.isfinite(target.position.x):
            continue
        pose = PoseWithCovariance(covariance=pose_covariance(target.position_covariance))
        pose.pose.position, pose.pose.orientation.w = target.position, 1.0
        detection = vision_msgs.Detection3D(header=array.header, id=target.id)
        result = vision_msgs.ObjectHypothesisWithPose(pose=pose)
        result.hypothesis.class_id, result.hypothesis.score = target.label, float(target.score)
        detection.results = [result]
        detection.bbox.center = pose.pose
        message.detections.append(detection)
    return message
