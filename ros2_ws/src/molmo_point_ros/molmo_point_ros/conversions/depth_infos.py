"""The depth's own camera info, compared with that of the color image."""

import numpy as np
from sensor_msgs.msg import CameraInfo

from molmo_point.arrays import FloatArray
from molmo_point_ros.conversions.camera_infos import image_size

_MOST_PX = 2.0
"""Largest distance of one ray in two cameras that count as the same, in pixels of an image of 640 pixels."""
_REFERENCE_PX = 640.0


def depth_info_doubt(color: CameraInfo | None, depth: CameraInfo | None, frame: str, *, rectified: bool = False) -> str | None:
    """Return the reason why depth is not that of the color image, by its own camera info; None without one.

    Args:
        color: Camera info of the color image; None if unknown.
        depth: Camera info of the depth image; None if unknown. One without focal length says nothing.
        frame: Optical frame of the color image.
        rectified: True for rectified images: P is compared instead of K.
    """
    if color is None or depth is None:
        return None
    given_frame = depth.header.frame_id.lstrip("/")
    cameras = [_camera(info, rectified) for info in (color, depth)]
    if not (cameras[1][:2] > 0).all():
        return None
    sizes = image_size(color), image_size(depth)
    other_frame = given_frame not in ("", frame)
    if not other_frame and sizes[0] == sizes[1] and _apart_px(*cameras, sizes[0]) <= _MOST_PX * max(sizes[0]) / _REFERENCE_PX:
        return None
    told = [
        f"fx {fx:.1f}, fy {fy:.1f}, cx {cx:.1f}, cy {cy:.1f} for {width}x{height} in {name!r}"
        for (fx, fy, cx, cy), (width, height), name in zip(cameras, sizes, (frame, given_frame or frame), strict=True)
    ]
    return f"its own camera info has {told[1][:400]}; the color image's has {told[0]}"


def _camera(info: CameraInfo, rectified: bool) -> FloatArray:
    """Return fx, fy, cx, cy of an image, after its region of interest and its binning."""
    matrix = np.array(info.p).reshape(3, 4) if rectified else np.array(info.k).reshape(3, 3)
    lens = np.array([matrix[0, 0], matrix[1, 1], matrix[0, 2] - info.roi.x_offset, matrix[1, 2] - info.roi.y_offset])
    return lens / np.maximum([info.binning_x, info.binning_y] * 2, 1)


def _apart_px(one: FloatArray, other: FloatArray, size_wh: tuple[int, int]) -> float:
    """Return the largest distance in pixels of the images of one ray, over the corners."""
    corners = np.array([[0.0, 0.0], np.array(size_wh) - 1.0])
    moved = (corners - one[2:]) / one[:2] * other[:2] + other[2:]
    return float(np.abs(moved - corners).max())
