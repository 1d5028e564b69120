"""The object that a camera circles: its box on the table, its pixels in a view, and if it still stands there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molmo_point.arm.obstacle_boxes import LEAST_HEIGHT_M, ObstacleBox, depth_points
from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.depth.frame_noise import noise_of
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.object_region import grow_region
from molmo_point.picking.approach import gap
from molmo_point.picking.event_log import PickStopped
from molmo_point.picking.states import PickFailure

_NEAR_M, _ON_TABLE_M = 0.03, 0.03
"""Largest distances of a given position from the box of its object, and of the position of a flat object from the table."""
_FLAT_HALF_M = (0.03, 0.03, 0.006)
"""Half extents of an object that is too flat for a box, meters."""
_MARGIN_M = 0.012
"""Room around a box for the points of its object, meters."""
_LEAST_POINTS, _LEAST_SAMPLES = 12, 20
_BEHIND_M, _GONE = 0.008, 0.9
"""An object is gone if this share of the rays through its upper half end this far behind it."""


@dataclass(frozen=True)
class CircledObject:
    """An object on a table.

    Attributes:
        box: Box around it, base frame.
        is_flat: True if it is too flat to be measured.
    """

    box: ObstacleBox
    is_flat: bool = False

    @property
    def center_m(self) -> FloatArray:
        """Middle (3,), meters, base frame."""
        return np.array(self.box.center_m)

    @property
    def radius_m(self) -> float:
        """Radius of the sphere around it, meters."""
        return float(np.linalg.norm(self.box.half_m))

    def pixel(self, frame: RgbdFrame, base_T_camera: Transform) -> tuple[float, float] | None:
        """Pixel (u, v) on the object near its middle; None outside of the image."""
        assert frame.intrinsics is not None
        camera_T_base = base_T_camera.inverse()
        uv = frame.intrinsics.project_inside(camera_T_base.apply(self.center_m, camera_T_base.source))
        if np.isnan(uv[0]):
            return None
        if frame.depth_m is not None:
            points = depth_points(frame.depth_m, frame.intrinsics, base_T_camera)
            points = points[self._holds(points) & (points[:, 2] > self.box.top_m - 2 * self.box.half_m[2] + LEAST_HEIGHT_M)]
            pixels = frame.intrinsics.project_inside(camera_T_base.apply(points, camera_T_base.source))
            pixels = pixels[np.isfinite(pixels).all(axis=1)]
            if len(pixels) >= _LEAST_POINTS:
                uv = pixels[np.argmin(np.linalg.norm(pixels - uv, axis=1))]
        return float(uv[0]), float(uv[1])

    def is_gone(self, frame: RgbdFrame, base_T_camera: Transform) -> bool:
        """True if the depth of a view shows that nothing is where the object stood; False if it cannot tell."""
        if self.is_flat or frame.depth_m is None or frame.intrinsics is None:
            return False
        grid = np.stack(np.meshgrid(*(np.linspace(-0.7, 0.7, 5),) * 2, np.linspace(0.1, 0.7, 4)), axis=-1).reshape(-1, 3)
        local = grid * np.array(self.box.half_m)
        samples = np.column_stack([local[:, :2] @ self.box.axes, local[:, 2]]) + self.center_m
        camera_T_base = base_T_camera.inverse()
        in_camera = camera_T_base.apply(samples, camera_T_base.source)
        uv = frame.intrinsics.project_inside(in_camera)
        seen = np.isfinite(uv).all(axis=1)
        columns, rows = np.rint(uv[seen]).astype(np.int64).T
        behind = frame.depth_m[rows, columns] - in_camera[seen, 2]
        behind = behind[np.isfinite(behind)]
        return len(behind) >= _LEAST_SAMPLES and float(np.mean(behind > _BEHIND_M)) >= _GONE

    def _holds(self, points: FloatArray) -> BoolArray:
        """True for each point (n, 3) in the box."""
        local = np.abs((points[:, :2] - self.center_m[:2]) @ self.box.axes.T)
        inside = np.all(local <= np.array(self.box.half_m[:2]) + _MARGIN_M, axis=1)
        return inside & (points[:, 2] < self.box.top_m + _MARGIN_M)


def object_at(boxes: Sequence[ObstacleBox], at_m: FloatArray | None, table_z_m: float) -> CircledObject:
    """Return the object at a position, or the only one on the table.

    Args:
        boxes: Boxes around all objects on the table.
        at_m: (3,) position on the object, meters, base frame; None takes the only object.
        table_z_m: Height of the table top, meters, base frame.

    Raises:
        PickStopped: NOT_FOUND if nothing is there, WRONG_OBJECT if several objects are and no position tells which.
    """
    if at_m is None:
        if len(boxes) == 1:
            return CircledObject(boxes[0])
        if not boxes:
            raise PickStopped(PickFailure.NOT_FOUND, "nothing is on the table, or it is too flat: give its position", again=False)
        places = ", ".join(f"({box.center_m[0]:.2f}, {box.center_m[1]:.2f})" for box in boxes)
        said = f"{len(boxes)} objects are on the table, at {places} m: give the position of one"
        raise PickStopped(PickFailure.WRONG_OBJECT, said, again=False)
    nearest = min(boxes, key=lambda box: gap(box, at_m), default=None)
    if nearest is not None and gap(nearest, at_m) <= _NEAR_M:
        return CircledObject(nearest)
    if abs(at_m[2] - table_z_m) > _ON_TABLE_M:
        said = f"nothing stands at ({at_m[0]:.2f}, {at_m[1]:.2f}, {at_m[2]:.2f}) m"
        raise PickStopped(PickFailure.NOT_FOUND, said, again=False)
    center = (float(at_m[0]), float(at_m[1]), table_z_m + _FLAT_HALF_M[2])
    return CircledObject(ObstacleBox(center, _FLAT_HALF_M), is_flat=True)


def position_at(frame: RgbdFrame, pixel: tuple[float, float], base_T_camera: Transform) -> FloatArray:
    """Return the position (3,), base frame, in the middle of the object at a pixel.

    Raises:
        PickStopped: NOT_FOUND if the pixel shows no object.
    """
    assert frame.depth_m is not None and frame.intrinsics is not None
    up = base_T_camera.rotation[2]
    region = grow_region(frame.depth_m, pixel, frame.intrinsics, noise_of(frame), up=up, color=frame.color)
    if not len(region.points_m):
        where = f"({pixel[0]:.0f}, {pixel[1]:.0f})"
        raise PickStopped(PickFailure.NOT_FOUND, f"no object at pixel {where}: {region.message}", again=False)
    return np.median(base_T_camera.apply(region.points_m, frame.frame), axis=0)
