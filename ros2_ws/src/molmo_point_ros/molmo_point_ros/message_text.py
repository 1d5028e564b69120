"""Received messages as plain JSON, for programs that print them: NaN becomes null."""

import math
from typing import Any

from geometry_msgs.msg import PointStamped
from molmo_point_msgs.msg import PointTarget, PointTargetArray

_STATUS_NAMES = {
    PointTarget.DEPTH_OK: "OK",
    PointTarget.DEPTH_MISSING: "MISSING",
    PointTarget.DEPTH_AMBIGUOUS: "AMBIGUOUS",
    PointTarget.DEPTH_OUT_OF_RANGE: "OUT_OF_RANGE",
    PointTarget.DEPTH_STALE: "STALE",
    PointTarget.NO_DEPTH_INPUT: "NO_INPUT",
}


def targets_to_dict(message: PointTargetArray) -> dict[str, Any]:
    """One answer: capture time, frame, query, and every target with its position or its depth status."""
    return {
        "type": "targets",
        **_header(message.header),
        "camera_frame": message.camera_frame,
        "query": message.query,
        "model": message.model,
        "absent": message.absent,
        "inference_s": message.inference_time.sec + message.inference_time.nanosec * 1e-9,
        "sync_skew_s": _number(message.sync_skew),
        "targets": [_target(target) for target in message.targets],
    }


def point_to_dict(message: PointStamped) -> dict[str, Any]:
    """One position: capture time, frame, metres."""
    return {"type": "point", **_header(message.header), "position_m": _position(message.point)}


def _target(target: PointTarget) -> dict[str, Any]:
    return {
        "label": target.label,
        "u": target.u,
        "v": target.v,
        "score": _number(target.score),
        "depth_status": _STATUS_NAMES.get(target.depth_status, str(target.depth_status)),
        "position_m": _position(target.position),
        "covariance_m2": [_number(value) for value in target.position_covariance],
        "alternate_depth_m": _number(target.alternate_depth),
        "valid_ratio": _number(target.valid_ratio),
    }


def _header(header: Any) -> dict[str, Any]:
    return {"stamp_ns": header.stamp.sec * 1_000_000_000 + header.stamp.nanosec, "frame": header.frame_id}


def _position(point: Any) -> list[float | None]:
    return [_number(value) for value in (point.x, point.y, point.z)]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
