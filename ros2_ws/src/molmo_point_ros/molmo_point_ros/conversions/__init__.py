"""Messages to the SDK's types and back: pure functions, no node, no clock, no state."""

from molmo_point_ros.conversions.camera_infos import image_size, intrinsics_from_message, intrinsics_to_message, same_camera
from molmo_point_ros.conversions.cautions import cautions_of, set_cautions
from molmo_point_ros.conversions.detections import detections_message, import_vision_msgs
from molmo_point_ros.conversions.grasps import grasp_message, no_grasp_reason
from molmo_point_ros.conversions.images import (
    DEPTH_UNIT,
    color_from_message,
    depth_from_message,
    frame_from_messages,
    frame_to_messages,
)
from molmo_point_ros.conversions.markers import markers_message
from molmo_point_ros.conversions.stamps import stamp_from_ns, stamp_to_ns
from molmo_point_ros.conversions.targets import (
    Check,
    best_target,
    doubts_of,
    image_points_message,
    plain_pose_message,
    point_message,
    pose_message,
    targets_message,
    tracks_message,
    transform_from_message,
    transform_to_message,
)

__all__ = [
    "DEPTH_UNIT",
    "Check",
    "best_target",
    "cautions_of",
    "color_from_message",
    "depth_from_message",
    "detections_message",
    "doubts_of",
    "frame_from_messages",
    "frame_to_messages",
    "grasp_message",
    "image_points_message",
    "image_size",
    "import_vision_msgs",
    "intrinsics_from_message",
    "intrinsics_to_message",
    "markers_message",
    "no_grasp_reason",
    "plain_pose_message",
    "point_message",
    "pose_message",
    "same_camera",
    "set_cautions",
    "stamp_from_ns",
    "stamp_to_ns",
    "targets_message",
    "tracks_message",
    "transform_from_message",
    "transform_to_message",
]
