"""Received messages as plain JSON, for programs that print them. NaN becomes null."""

import math
from typing import Any

from molmo_point_msgs.msg import GraspTarget, PointTarget, PointTargetArray
from sensor_msgs.msg import RegionOfInterest

from molmo_point_ros.conversions.cautions import cautions_of
from molmo_point_ros.pointing.gates import NAMES

_STATUS_NAMES = {
    PointTarget.DEPTH_OK: "OK",
    PointTarget.DEPTH_MISSING: "MISSING",
    PointTarget.DEPTH_AMBIGUOUS: "AMBIGUOUS",
    PointTarget.DEPTH_OUT_OF_RANGE: "OUT_OF_RANGE",
    PointTarget.DEPTH_STALE: "STALE",
    PointTarget.NO_DEPTH_INPUT: "NO_INPUT",
    PointTarget.NOT_SEEN: "NOT_SEEN",
    PointTarget.ON_PLANE: "ON_PLANE",
    PointTarget.TRIANGULATED: "TRIANGULATED",
    PointTarget.NO_CROSSING: "NO_CROSSING",
    PointTarget.NO_PARALLAX: "NO_PARALLAX",
    PointTarget.NO_MATCH: "NO_MATCH",
}
_TRACK_NAMES = {PointTarget.NOT_TRACKED: None, PointTarget.TRACKED: "TRACKED", PointTarget.HELD: "HELD"}


def targets_to_dict(message: PointTargetArray) -> dict[str, Any]:
    """Return one answer: capture time, frame, query, and every target with its position or depth status."""
    return {
        "type": "targets",
        **_header(message.header),
        "camera_frame": message.camera_frame,
        "query": message.query,
        "model": message.model,
        "text": message.text,
        "image_wh": [message.image_width, message.image_height],
        "region": _region(message.region),
        "absent": message.absent,
        "absent_probability": _number(message.absent_probability),
        "problems": list(message.problems),
        "trusted": message.cautions == 0,
        "cautions": [{"kind": caution.kind.value, "message": caution.message} for caution in cautions_of(message)],
        "truncated": message.truncated,
        "inference_s": message.inference_time.sec + message.inference_time.nanosec * 1e-9,
        "sync_skew_s": _number(message.sync_skew),
        "targets": [_target(target) for target in message.targets],
    }


def not_trusted(answer: dict[str, Any]) -> str:
    """Return one plain line with the cautions of an answer of `targets_to_dict`; "" if it is trusted."""
    if answer["trusted"]:
        return ""
    said = "; ".join(f"{caution['kind']}: {caution['message']}" for caution in answer["cautions"])
    return f"not trusted: {said or 'a caution that this version does not know'}"


def grasp_to_dict(message: GraspTarget) -> dict[str, Any]:
    """Return one grasp: capture time, frame, pose of the tool frame, width, quality."""
    turn, direction = message.pose.pose.orientation, message.approach.vector
    return {
        "type": "grasp",
        **_header(message.header),
        "label": message.label,
        "position_m": _position(message.pose.pose.position),
        "quaternion_xyzw": [turn.x, turn.y, turn.z, turn.w],
        "approach": _position(direction),
        "approach_distance_m": _number(message.approach_distance),
        "width_m": _number(message.width),
        "quality": _number(message.quality),
    }


def _target(target: PointTarget) -> dict[str, Any]:
    return {
        "label": target.label,
        "id": target.id or None,
        "u": target.u,
        "v": target.v,
        "sigma_px": _number(target.sigma_px),
        "score": _number(target.score),
        "depth_status": _STATUS_NAMES.get(target.depth_status, str(target.depth_status)),
        "position_m": _position(target.position),
        "covariance_m2": [_number(value) for value in target.position_covariance],
        "alternate_depth_m": _number(target.alternate_depth),
        "valid_ratio": _number(target.valid_ratio),
        "gate": NAMES.get(target.gate, ""),
        "reason": target.reason,
        "track_state": _TRACK_NAMES.get(target.track_state),
        "since_confirmed_s": _number(target.since_confirmed),
    }


def _region(region: RegionOfInterest) -> list[int] | None:
    """(x, y, width, height) in pixels; None for the whole image."""
    return [region.x_offset, region.y_offset, region.width, region.height] if region.width else None


def _header(header: Any) -> dict[str, Any]:
    return {"stamp_ns": header.stamp.sec * 1_000_000_000 + header.stamp.nanosec, "frame": header.frame_id}


def _position(point: Any) -> list[float | None]:
    return [_number(value) for value in (point.x, point.y, point.z)]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
