"""Answers of the SDK to messages: arrays of targets, and the standard messages that an arm knows.

Every message has the capture time of the image. A point without usable depth has a NaN position in the array, and no
PointStamped or pose.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import PointStamped, PoseStamped, PoseWithCovarianceStamped, TransformStamped
from molmo_point_msgs.msg import PointTarget, PointTargetArray
from numpy.typing import ArrayLike
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from molmo_point.arrays import FloatArray
from molmo_point.cautions import Caution
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.results import DepthStatus, ImagePoint, Pointing, Target, Unreachable
from molmo_point.tracking.track import Track, TrackState
from molmo_point_ros.conversions.cautions import set_cautions
from molmo_point_ros.conversions.stamps import stamp_from_ns

Check = Callable[[Target, Sequence[Caution]], tuple[int, str]]
"""From a target in the optical frame and the cautions of its answer to the GATE_ constant that stops it and the reason; else
GATE_OPEN and ""."""

ORIENTATION_VARIANCE_RAD2 = math.pi**2
"""Variance of the identity orientation of a pose: a point has any orientation."""

_STATUS = {
    DepthStatus.OK: PointTarget.DEPTH_OK,
    DepthStatus.MISSING: PointTarget.DEPTH_MISSING,
    DepthStatus.AMBIGUOUS: PointTarget.DEPTH_AMBIGUOUS,
    DepthStatus.OUT_OF_RANGE: PointTarget.DEPTH_OUT_OF_RANGE,
    DepthStatus.STALE: PointTarget.DEPTH_STALE,
    DepthStatus.NO_INPUT: PointTarget.NO_DEPTH_INPUT,
    DepthStatus.ON_PLANE: PointTarget.ON_PLANE,
    DepthStatus.TRIANGULATED: PointTarget.TRIANGULATED,
    DepthStatus.NO_CROSSING: PointTarget.NO_CROSSING,
    DepthStatus.NO_PARALLAX: PointTarget.NO_PARALLAX,
    DepthStatus.NO_MATCH: PointTarget.NO_MATCH,
}


def targets_message(
    pointing: Pointing, frame: RgbdFrame, target_T_camera: Transform | None = None, check: Check | None = None
) -> PointTargetArray:
    """Return the array of one answer, in the model's order.

    Args:
        pointing: The answer, in the optical frame.
        frame: The capture of the answer.
        target_T_camera: Into the frame of the positions, at the capture time; None keeps the optical frame.
        check: The gates; None lets every target pass.

    Raises:
        FrameError: If the transform does not take points of the optical frame.
    """
    message = _answer_array(pointing, frame, target_T_camera)
    message.targets = [
        _target_message(found.point, found.lifted, target_T_camera, check, pointing.cautions) for found in pointing
    ]
    return message


def tracks_message(
    last: Pointing,
    tracks: Iterable[Track],
    frame: RgbdFrame,
    target_T_camera: Transform | None = None,
    check: Check | None = None,
    prefix: str = "",
) -> PointTargetArray:
    """Convert the tracks of one query in one image, without the lost ones.

    Args:
        last: The model's last answer to the query. Its words, problems and probability are those of the message. A target
            has its cautions, and those of the last answer with the point.
        tracks: The tracks of the query.
        frame: The capture that the tracks are in.
        target_T_camera: As `targets_message`.
        check: As `targets_message`.
        prefix: First part of every id.

    Raises:
        FrameError: As `targets_message`.
    """
    message = _answer_array(last, frame, target_T_camera)
    cautions = list(last.cautions)
    for track in tracks:
        if track.state is TrackState.LOST:
            continue
        point, result = track.point, track.target or track.unreachable
        hidden = Unreachable(point.u, point.v, track.label, DepthStatus.MISSING, track.message or "not seen in this image")
        doubts = doubts_of(last, track)
        cautions += [caution for caution in doubts if caution.kind not in {known.kind for known in cautions}]
        target = _target_message(point, result or hidden, target_T_camera, check, doubts)
        if result is None:
            target.depth_status = PointTarget.NOT_SEEN
        target.id = f"{prefix}{track.id}"
        target.track_state = PointTarget.TRACKED if track.state is TrackState.TRACKED else PointTarget.HELD
        target.since_confirmed = float(track.since_confirmed_s)
        message.targets.append(target)
    message.absent = last.absent and not message.targets
    set_cautions(message, cautions)
    return message


def doubts_of(last: Pointing, track: Track) -> tuple[Caution, ...]:
    """Return the cautions of a tracked point: of the last answer to its query, and of the last answer with the point."""
    kinds = {caution.kind for caution in last.cautions}
    return (*last.cautions, *(caution for caution in track.cautions if caution.kind not in kinds))


def image_points_message(query: str, model: str, points: Iterable[ImagePoint], frame: RgbdFrame) -> PointTargetArray:
    """Return the points so far, without positions, for feedback while the model writes."""
    message = _empty_array(query, model, frame, None)
    message.targets = [
        _target_message(point, Unreachable(point.u, point.v, point.label, DepthStatus.NO_INPUT, ""), None, None, ())
        for point in points
    ]
    return message


def point_message(target: Target) -> PointStamped:
    """Return the position of a target, in its frame, at its capture time."""
    message = PointStamped(header=header_of(target.frame, target.stamp_ns))
    message.point.x, message.point.y, message.point.z = (float(value) for value in target.position_m)
    return message


def pose_message(target: Target) -> PoseWithCovarianceStamped:
    """Return the position with its covariance; the orientation is the identity with a variance of pi^2 about each axis."""
    message = PoseWithCovarianceStamped(header=header_of(target.frame, target.stamp_ns))
    position = message.pose.pose.position
    position.x, position.y, position.z = (float(value) for value in target.position_m)
    message.pose.pose.orientation.w = 1.0
    message.pose.covariance = pose_covariance(target.covariance_m2)
    return message


def pose_covariance(position_m2: ArrayLike) -> FloatArray:
    """Return (36,) row-major, for a position covariance (3, 3) or (9,) in square meters and any orientation."""
    covariance = np.diag([0.0] * 3 + [ORIENTATION_VARIANCE_RAD2] * 3)
    covariance[:3, :3] = np.asarray(position_m2, dtype=np.float64).reshape(3, 3)
    return covariance.reshape(-1)


def plain_pose_message(target: Target) -> PoseStamped:
    """Return the position as a pose, for programs that take only poses; the identity orientation means "any"."""
    full = pose_message(target)
    return PoseStamped(header=full.header, pose=full.pose.pose)


def best_target(targets: Iterable[Target]) -> Target | None:
    """Return the most confident target, the first of equals; one without confidence only if none has any."""
    return max(targets, key=lambda target: -1.0 if math.isnan(target.confidence) else target.confidence, default=None)


def transform_to_message(transform: Transform, stamp_ns: int) -> TransformStamped:
    """Return `parent_T_child` as in tf2: header.frame_id is the target (parent), child_frame_id the source."""
    message = TransformStamped(header=header_of(transform.target, stamp_ns), child_frame_id=transform.source)
    translation, rotation = message.transform.translation, message.transform.rotation
    translation.x, translation.y, translation.z = (float(value) for value in transform.translation_m)
    rotation.x, rotation.y, rotation.z, rotation.w = (float(value) for value in transform.quaternion_xyzw)
    return message


def transform_from_message(message: TransformStamped) -> Transform:
    """Return `parent_T_child` of a message.

    Raises:
        InputError: For values that are not finite, a quaternion that is not of unit length, an absurd distance, an unusable
            frame name, or a frame below itself.
    """
    translation, rotation = message.transform.translation, message.transform.rotation
    parent, child = message.header.frame_id.lstrip("/"), message.child_frame_id.lstrip("/")
    if parent == child:
        raise InputError("A frame must not be its own parent", repr(child[:80]), "name two frames")
    xyzw, position = (rotation.x, rotation.y, rotation.z, rotation.w), (translation.x, translation.y, translation.z)
    return Transform.from_quaternion(parent, child, xyzw, position)


def _target_message(
    point: ImagePoint,
    result: Target | Unreachable,
    target_T_camera: Transform | None,
    check: Check | None,
    cautions: Sequence[Caution],
) -> PointTarget:
    message = PointTarget(label=result.label, u=float(point.u), v=float(point.v), score=float(point.confidence))
    message.sigma_px, message.since_confirmed = float(point.sigma_px), math.nan
    if isinstance(result, Unreachable):
        message.depth_status, message.reason = _STATUS[result.reason], result.message
        message.alternate_depth, message.valid_ratio = math.nan, 0.0
        _set_position(message, np.full(3, math.nan), np.array([-1.0] + [math.nan] * 8))
        return message
    if check is not None:
        message.gate, message.reason = check(result, cautions)
    if target_T_camera is not None:
        result = result.transformed(target_T_camera)
    message.depth_status = _STATUS[result.depth_status]
    message.alternate_depth, message.valid_ratio = float(result.alternate_depth_m), float(result.valid_ratio)
    _set_position(message, result.position_m, result.covariance_m2.reshape(-1))
    return message


def _set_position(message: PointTarget, position_m: FloatArray, covariance_m2: FloatArray) -> None:
    message.position.x, message.position.y, message.position.z = (float(value) for value in position_m)
    message.position_covariance = np.asarray(covariance_m2, dtype=np.float64)


def _empty_array(query: str, model: str, frame: RgbdFrame, target_T_camera: Transform | None) -> PointTargetArray:
    name = frame.frame if target_T_camera is None else target_T_camera.target
    width, height = frame.size_wh
    return PointTargetArray(
        header=header_of(name, frame.stamp_ns),
        camera_frame=frame.frame,
        query=query,
        model=model,
        image_width=width,
        image_height=height,
        absent_probability=math.nan,
        sync_skew=math.nan if frame.depth_m is None else abs(frame.skew_s),
    )


def _answer_array(pointing: Pointing, frame: RgbdFrame, target_T_camera: Transform | None) -> PointTargetArray:
    """Return the fields of an answer about itself, without its points."""
    message = _empty_array(pointing.query, pointing.model, frame, target_T_camera)
    message.text, message.problems, message.truncated = pointing.text, list(pointing.problems), pointing.truncated
    message.absent, message.absent_probability = pointing.absent, float(pointing.absent_probability)
    set_cautions(message, pointing.cautions)
    seconds = float(pointing.timing_ms.get("total", 0.0)) * 1e-3
    message.inference_time = Duration(sec=int(seconds), nanosec=int((seconds % 1) * 1e9))
    if pointing.region is not None:
        x, y, width, height = pointing.region
        message.region = RegionOfInterest(x_offset=int(x), y_offset=int(y), width=int(width), height=int(height))
    return message


def header_of(frame: str, stamp_ns: int) -> Header:
    """Return the header of a frame at a capture time."""
    return Header(stamp=stamp_from_ns(stamp_ns), frame_id=frame)
