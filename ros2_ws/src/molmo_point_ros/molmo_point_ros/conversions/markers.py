"""Targets for RViz: a dot, the label, and the 2-sigma ellipsoid of the position."""

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from molmo_point.geometry.error_ellipsoid import error_ellipsoid
from molmo_point.geometry.transforms import Transform
from molmo_point.results import Target
from molmo_point.viz.text import percent
from molmo_point_ros.conversions.stamps import stamp_from_ns

DOT_DIAMETER_M = 0.01
TEXT_HEIGHT_M = 0.02
ELLIPSOID_SIGMAS = 2.0
SMALLEST_AXIS_M = 1e-4

_ORANGE = ColorRGBA(r=1.0, g=0.55, b=0.1, a=1.0)
_GRAY = ColorRGBA(r=0.6, g=0.6, b=0.6, a=0.5)
_WHITE = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
_HAZE = ColorRGBA(r=0.2, g=0.6, b=1.0, a=0.35)


def markers_message(targets: Sequence[Target], lifetime_s: float, doubted: Sequence[bool] = ()) -> MarkerArray:
    """Return the markers of all targets of one answer, after a marker that removes those of the last answer.

    Namespaces are "target", "label" and "covariance"; the id is the target's place in the answer.

    Args:
        targets: Targets, all in one frame.
        lifetime_s: Time for which RViz shows them, in seconds; 0 is no limit.
        doubted: For each target, True if its answer bears a caution: gray, and named as not trusted. () is none.
    """
    doubted = doubted or [False] * len(targets)
    markers = [Marker(action=Marker.DELETEALL)]
    if targets:
        markers[0].header.frame_id = targets[0].frame
        markers[0].header.stamp = stamp_from_ns(targets[0].stamp_ns)
    for index, (target, doubt) in enumerate(zip(targets, doubted, strict=True)):
        words = _words(target, index, lifetime_s, doubt)
        markers += [_dot(target, index, lifetime_s, doubt), words, _ellipsoid(target, index, lifetime_s)]
    return MarkerArray(markers=markers)


def _marker(target: Target, namespace: str, index: int, kind: int, lifetime_s: float) -> Marker:
    marker = Marker(ns=namespace, id=index, type=kind, action=Marker.ADD)
    marker.header.frame_id = target.frame
    marker.header.stamp = stamp_from_ns(target.stamp_ns)
    marker.lifetime = Duration(sec=int(lifetime_s), nanosec=int((lifetime_s % 1) * 1e9))
    position = marker.pose.position
    position.x, position.y, position.z = (float(value) for value in target.position_m)
    marker.pose.orientation.w = 1.0
    return marker


def _dot(target: Target, index: int, lifetime_s: float, doubt: bool) -> Marker:
    marker = _marker(target, "target", index, Marker.SPHERE, lifetime_s)
    marker.scale.x = marker.scale.y = marker.scale.z = DOT_DIAMETER_M
    marker.color = _GRAY if doubt else _ORANGE
    return marker


def _words(target: Target, index: int, lifetime_s: float, doubt: bool) -> Marker:
    marker = _marker(target, "label", index, Marker.TEXT_VIEW_FACING, lifetime_s)
    marker.scale.z = TEXT_HEIGHT_M
    marker.color = _WHITE
    certainty = "" if np.isnan(target.confidence) else f" {percent(target.confidence)}"
    certainty = " not trusted" if doubt else certainty
    marker.text = f"{target.label}{certainty} ±{target.sigma_m * 1e3:.0f} mm"
    return marker


def _ellipsoid(target: Target, index: int, lifetime_s: float) -> Marker:
    """Return a sphere stretched to the error ellipsoid; an axis is twice ELLIPSOID_SIGMAS standard deviations long."""
    marker = _marker(target, "covariance", index, Marker.SPHERE, lifetime_s)
    axes, sigmas_m = error_ellipsoid(target.covariance_m2)
    turn = Transform("world", "ellipsoid", axes, np.zeros(3)).quaternion_xyzw
    rotation = marker.pose.orientation
    rotation.x, rotation.y, rotation.z, rotation.w = (float(value) for value in turn)
    lengths = np.maximum(2 * ELLIPSOID_SIGMAS * sigmas_m, SMALLEST_AXIS_M)
    marker.scale.x, marker.scale.y, marker.scale.z = (float(value) for value in lengths)
    marker.color = _HAZE
    return marker
