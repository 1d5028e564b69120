"""Answers of the SDK to messages: arrays of targets, and the standard messages that an arm knows.

Every message is stamped with the capture time of the image. A point without usable depth has a NaN position in the
array, and has no PointStamped or pose at all.
"""

import math
from collections.abc import Iterable

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import PointStamped, PoseWithCovarianceStamped, TransformStamped
from molmo_point_msgs.msg import PointTarget, PointTargetArray
from numpy.typing import NDArray
from std_msgs.msg import Header

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth import DepthStatus
from molmo_point.geometry.transforms import Transform
from molmo_point.results import ImagePoint, Pointing, Target, Unreachable
from molmo_point_ros.conversions.images import stamp_from_ns

ORIENTATION_VARIANCE_RAD2 = math.pi**2
"""A point has no orientation: the pose's identity stands for "any", and this variance says so."""

_STATUS = {
    DepthStatus.OK: PointTarget.DEPTH_OK,
    DepthStatus.MISSING: PointTarget.DEPTH_MISSING,
    DepthStatus.AMBIGUOUS: PointTarget.DEPTH_AMBIGUOUS,
    DepthStatus.OUT_OF_RANGE: PointTarget.DEPTH_OUT_OF_RANGE,
    DepthStatus.STALE: PointTarget.DEPTH_STALE,
    DepthStatus.NO_INPUT: PointTarget.NO_DEPTH_INPUT,
}


def targets_message(pointing: Pointing, frame: RgbdFrame, target_T_camera: Transform | None = None) -> PointTargetArray:
    """The array for one answer, in the model's order.

    Args:
        pointing: The answer, in the optical frame.
        frame: The capture it was given for.
        target_T_camera: Into the frame that positions are wanted in, at the capture time; None keeps the optical frame.

    Raises:
        FrameError: If the transform does not take points of the optical frame.
    """
    message = _empty_array(pointing.query, pointing.model, frame, target_T_camera)
    message.absent = pointing.absent
    seconds = float(pointing.timing_ms.get("total", 0.0)) * 1e-3
    message.inference_time = Duration(sec=int(seconds), nanosec=int((seconds % 1) * 1e9))
    message.targets = [_target_message(point, result, target_T_camera) for point, result in in_order(pointing)]
    return message


def image_points_message(query: str, model: str, points: Iterable[ImagePoint], frame: RgbdFrame) -> PointTargetArray:
    """The points so far, pixels only, for feedback while the model still writes."""
    message = _empty_array(query, model, frame, None)
    message.targets = [
        _target_message(point, Unreachable(point.u, point.v, point.label, DepthStatus.NO_INPUT, ""), None) for point in points
    ]
    return message


def point_message(target: Target) -> PointStamped:
    """The position of a target, in its frame, at its capture time."""
    message = PointStamped(header=_header(target.frame, target.stamp_ns))
    message.point.x, message.point.y, message.point.z = (float(value) for value in target.position_m)
    return message


def pose_message(target: Target) -> PoseWithCovarianceStamped:
    """The position with its covariance; the orientation is the identity with a variance of pi^2 about each axis."""
    message = PoseWithCovarianceStamped(header=_header(target.frame, target.stamp_ns))
    position = message.pose.pose.position
    position.x, position.y, position.z = (float(value) for value in target.position_m)
    message.pose.pose.orientation.w = 1.0
    covariance = np.diag([0.0] * 3 + [ORIENTATION_VARIANCE_RAD2] * 3)
    covariance[:3, :3] = target.covariance_m2
    message.pose.covariance = covariance.reshape(-1)
    return message


def best_target(targets: Iterable[Target]) -> Target | None:
    """The most confident target, the first of several alike; one without confidence only where none has any."""
    return max(targets, key=lambda target: -1.0 if math.isnan(target.confidence) else target.confidence, default=None)


def transform_to_message(transform: Transform, stamp_ns: int) -> TransformStamped:
    """`parent_T_child` as tf2 has it: header.frame_id is the target (parent), child_frame_id the source."""
    message = TransformStamped(header=_header(transform.target, stamp_ns), child_frame_id=transform.source)
    translation, rotation = message.transform.translation, message.transform.rotation
    translation.x, translation.y, translation.z = (float(value) for value in transform.translation_m)
    rotation.x, rotation.y, rotation.z, rotation.w = (float(value) for value in transform.quaternion_xyzw)
    return message


def transform_from_message(message: TransformStamped) -> Transform:
    """`parent_T_child` of a message.

    Raises:
        InputError: For values that are not finite, a quaternion that is not of unit length, or a missing frame name.
    """
    translation, rotation = message.transform.translation, message.transform.rotation
    return Transform.from_quaternion(
        message.header.frame_id.lstrip("/"),
        message.child_frame_id.lstrip("/"),
        (rotation.x, rotation.y, rotation.z, rotation.w),
        (translation.x, translation.y, translation.z),
    )


def in_order(pointing: Pointing) -> list[tuple[ImagePoint, Target | Unreachable]]:
    """Each point of the answer with what became of it, in the model's order."""
    targets, unreachable = list(pointing.targets), list(pointing.unreachable)
    pairs: list[tuple[ImagePoint, Target | Unreachable]] = []
    for point in pointing.points:
        # An unreachable point keeps the model's pixel; a target's pixel may have moved onto the surface.
        lost = bool(unreachable) and (unreachable[0].u, unreachable[0].v) == (point.u, point.v)
        rest = unreachable if lost else targets
        if rest:
            pairs.append((point, rest.pop(0)))
    return pairs


def _target_message(point: ImagePoint, result: Target | Unreachable, target_T_camera: Transform | None) -> PointTarget:
    message = PointTarget(label=result.label, u=float(point.u), v=float(point.v), score=float(point.confidence))
    message.normal.x = message.normal.y = message.normal.z = math.nan
    if isinstance(result, Unreachable):
        message.depth_status = _STATUS[result.reason]
        message.alternate_depth, message.valid_ratio = math.nan, 0.0
        _set_position(message, np.full(3, math.nan), np.array([-1.0] + [math.nan] * 8))
        return message
    if target_T_camera is not None:
        result = result.transformed(target_T_camera)
    message.depth_status = _STATUS[result.depth_status]
    message.alternate_depth, message.valid_ratio = float(result.alternate_depth_m), float(result.valid_ratio)
    _set_position(message, result.position_m, result.covariance_m2.reshape(-1))
    return message


def _set_position(message: PointTarget, position_m: NDArray[np.float64], covariance_m2: NDArray[np.float64]) -> None:
    message.position.x, message.position.y, message.position.z = (float(value) for value in position_m)
    message.position_covariance = np.asarray(covariance_m2, dtype=np.float64)


def _empty_array(query: str, model: str, frame: RgbdFrame, target_T_camera: Transform | None) -> PointTargetArray:
    name = frame.frame if target_T_camera is None else target_T_camera.target
    width, height = frame.size_wh
    return PointTargetArray(
        header=_header(name, frame.stamp_ns),
        camera_frame=frame.frame,
        query=query,
        model=model,
        image_width=width,
        image_height=height,
        sync_skew=math.nan if frame.depth_m is None else abs(frame.skew_s),
    )


def _header(frame: str, stamp_ns: int) -> Header:
    return Header(stamp=stamp_from_ns(stamp_ns), frame_id=frame)
