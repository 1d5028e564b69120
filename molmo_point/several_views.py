"""Targets of cameras without depth: the model points in several views, and the points are triangulated."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.cautions import Caution, CautionKind
from molmo_point.depth.lift import pixel_covariance
from molmo_point.depth.triangulation import EXTENT_M, CameraView, SeenPoint, Triangulated, triangulate
from molmo_point.errors import FrameError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.pointer import Pointer
from molmo_point.request import PointRequest
from molmo_point.results import DepthStatus, Found, ImagePoint, Pointing, Target, Unreachable


@dataclass(frozen=True, eq=False)
class PosedFrame:
    """A frame with the pose of its camera at the capture.

    Attributes:
        frame: Image and intrinsics; its depth is not used.
        world_T_camera: Pose of its optical frame, such as `base_T_camera`.

    Raises:
        InputError: The frame has no intrinsics.
        FrameError: The transform does not start in the optical frame of the image.
    """

    frame: RgbdFrame
    world_T_camera: Transform

    def __post_init__(self) -> None:
        if self.frame.intrinsics is None:
            raise InputError("frame must have intrinsics", "a frame without intrinsics", "give intrinsics to the frame")
        if self.world_T_camera.source != self.frame.frame:
            raise FrameError(
                "world_T_camera must start in the frame of the image",
                f"{self.world_T_camera.target}_T_{self.world_T_camera.source}, image in {self.frame.frame!r}",
                f"give the pose of {self.frame.frame!r} at the capture time",
            )


def point_in_views(
    pointer: Pointer,
    views: Sequence[PosedFrame],
    query: str | PointRequest,
    *,
    extent_m: float = EXTENT_M,
    should_stop: Callable[[], bool] | None = None,
    **settings: Any,
) -> Pointing:
    """Point at the same objects in several views, and triangulate the points.

    Args:
        pointer: The model.
        views: Two views or more of a scene that stands still, the one to answer for first.
        query: The objects, or a whole request.
        extent_m: Spread of the pointed-at places on one object between views, in meters.
        should_stop: Asked between passes of the model; True ends the work.
        settings: As for `Pointer.point`.

    Returns:
        The answer about the first view. Its targets have the status TRIANGULATED, in the optical frame of that view; points
        without a target have the reason NO_MATCH or NO_PARALLAX. It bears the cautions of all views.

    Raises:
        InputError: With fewer than two views, and as `Pointer.point`.
        FrameError: The poses end in different frames.
        NotTrainedError: The model was not trained for questions of this kind.
        CancelledError: `should_stop` returned True.
    """
    if len(views) < 2:
        raise InputError("views must be two or more", f"{len(views)}", "look from a second place")
    pointings = [pointer.point(_flat(view.frame), query, should_stop=should_stop, **settings) for view in views]
    return join_views(pointings, views, extent_m=extent_m)


def join_views(pointings: Sequence[Pointing], views: Sequence[PosedFrame], *, extent_m: float = EXTENT_M) -> Pointing:
    """Triangulate the points of answers to one query about several views; arguments, result and errors as `point_in_views`."""
    if len(pointings) != len(views):
        given = f"{len(pointings)} for {len(views)} views"
        raise InputError("pointings must be one for each view", given, "give both in one order")
    cameras = [_camera(pointing, view) for pointing, view in zip(pointings, views)]
    results = triangulate(cameras, extent_m=extent_m)
    first, view = pointings[0], views[0]
    found = tuple(Found.of(point, _lifted(point, result, view)) for point, result in zip(first.points, results, strict=True))
    cautions = _first_of_each(caution for pointing in pointings for caution in pointing.cautions)
    return dataclasses.replace(first, found=found, cautions=cautions)


def _flat(frame: RgbdFrame) -> RgbdFrame:
    return dataclasses.replace(frame, depth_m=None, depth_stamp_ns=None, plane=None)


def _camera(pointing: Pointing, view: PosedFrame) -> CameraView:
    assert view.frame.intrinsics is not None
    size_wh = view.frame.size_wh
    points = tuple(SeenPoint(point.uv, pixel_covariance(point, size_wh)) for point in pointing.points)
    return CameraView(view.frame.intrinsics, view.world_T_camera, points)


def _lifted(point: ImagePoint, result: Triangulated, view: PosedFrame) -> Target | Unreachable:
    if result.status is not DepthStatus.TRIANGULATED:
        return Unreachable(point.u, point.v, point.label, result.status, result.message)
    world = view.world_T_camera
    # The covariance of the pose is in the position already.
    camera_T_world = dataclasses.replace(world, covariance=None).inverse()
    target = Target(
        u=point.u,
        v=point.v,
        label=point.label,
        confidence=point.confidence,
        position_m=np.asarray(result.position_m),
        covariance_m2=result.covariance_m2,
        frame=world.target,
        stamp_ns=view.frame.stamp_ns,
        depth_status=DepthStatus.TRIANGULATED,
        alternate_depth_m=float("nan"),
        valid_ratio=0.0,
    )
    return target.transformed(camera_T_world)


def _first_of_each(cautions: Iterable[Caution]) -> tuple[Caution, ...]:
    first: dict[CautionKind, Caution] = {}
    for caution in cautions:
        first.setdefault(caution.kind, caution)
    order = list(CautionKind)
    return tuple(sorted(first.values(), key=lambda caution: order.index(caution.kind)))
