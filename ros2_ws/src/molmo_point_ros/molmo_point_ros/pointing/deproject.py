"""The service `~/deproject`: positions of given pixels, with the lift, frames and gates of the model's answers."""

import dataclasses
from typing import Any

from molmo_point_msgs.srv import Deproject

from molmo_point.depth.lift import check_lifting, lift_points
from molmo_point.errors import CancelledError, InputError, MolmoPointError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import within_image
from molmo_point.request import Surface
from molmo_point.results import ImagePoint, Pointing
from molmo_point_ros.conversions.field_checks import checked_frame, checked_number, checked_stamp_ns
from molmo_point_ros.nodes.goal_error import brief
from molmo_point_ros.nodes.node_resources import NodeResources
from molmo_point_ros.nodes.parameters import PointingNodeParameters
from molmo_point_ros.pointing.answers import answer_of
from molmo_point_ros.pointing.gates import Gates
from molmo_point_ros.pointing.stamped_frame import stamped_frame

MAX_PIXELS = 1000
SIGMA_PX = 0.5
"""Standard deviation of a pixel that a program names."""


def deproject(request: Deproject.Request, resources: NodeResources, parameters: PointingNodeParameters) -> Deproject.Response:
    """Answer a request; an error is in the response's message.

    The only wait is for a late transform, at most `tf_timeout_s`.
    """
    try:
        return _answer(request, resources, parameters)
    except MolmoPointError as error:
        return Deproject.Response(success=False, message=brief(str(error)))


def _answer(request: Deproject.Request, resources: NodeResources, parameters: PointingNodeParameters) -> Deproject.Response:
    wanted = checked_frame(request.target_frame) or checked_frame(parameters.target_frame)
    reference_depth_m = checked_number(request.reference_depth, "reference_depth") or None
    prefer = Surface(request.prefer or Surface.NEAR)
    check_lifting(prefer, reference_depth_m)
    if len(request.u) != len(request.v) or not 1 <= len(request.u) <= MAX_PIXELS:
        given = f"{len(request.u)} u and {len(request.v)} v"
        raise InputError("u and v must be equally many pixels", given, f"send 1 to {MAX_PIXELS} of each")
    frame = _frame(request, resources, parameters)
    points = tuple(_pixel(u, v, frame) for u, v in zip(request.u, request.v, strict=True))
    # A pixel that a program names has no confidence that could be too low.
    gates = dataclasses.replace(Gates.from_parameters(parameters), min_confidence=0.0)
    transforms, timeout_s = resources.transforms, parameters.tf_timeout_s
    flat = parameters.without_depth(wanted)
    stamped = stamped_frame(frame, wanted, gates, transforms, timeout_s, lambda: not resources.is_alive(), without_depth=flat)
    if stamped is None:
        raise CancelledError("The node shuts down")
    found = lift_points(points, frame, max_skew_s=parameters.max_skew_s, prefer=prefer, reference_depth_m=reference_depth_m)
    pointing = Pointing("", "", "", False, found, {}, frame.stamp_ns, frame.frame)
    message = answer_of(pointing, stamped, gates, resources.now_ns()).message
    return Deproject.Response(success=True, header=message.header, targets=message.targets)


def _frame(request: Deproject.Request, resources: NodeResources, parameters: PointingNodeParameters) -> RgbdFrame:
    stamp_ns = checked_stamp_ns(request.stamp, "stamp")
    if stamp_ns == 0:
        newest_ns = resources.now_ns() - round(parameters.max_image_age_s * 1e9)
        frame: Any = resources.frames.frame(max(newest_ns, 0), 0.0, lambda: False)
        assert frame is not None
        return frame
    for frame in tuple(resources.remembered):
        if frame.stamp_ns == stamp_ns:
            return frame
    frame = resources.frames.at(stamp_ns)
    if frame is None:
        raise InputError(
            "stamp must be the capture time of a recent image",
            f"{stamp_ns} ns",
            "give the stamp of a recent image or answer, or 0 for the newest image",
        )
    return frame


def _pixel(u: float, v: float, frame: RgbdFrame) -> ImagePoint:
    if not within_image((u, v), frame.size_wh):
        given = "u={:g}, v={:g}, image {}x{}".format(u, v, *frame.size_wh)
        raise InputError("u and v must be inside the image", given, "give pixels of this image")
    return ImagePoint(float(u), float(v), "", sigma_px=SIGMA_PX)
