"""sensor_msgs/CameraInfo to `Intrinsics`, and back.

A camera info that contradicts itself or its image is refused: a wrong focal length moves every position without a word.
"""

import math

import numpy as np
from sensor_msgs.msg import CameraInfo

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.lens_models import BY_LENGTH
from molmo_point.geometry.rigid import angle_between
from molmo_point_ros.conversions.stamps import stamp_from_ns

_MOST_OFFSET = 1e-3
"""Largest fourth column of P of a rectified image, in pixel meters."""
_MOST_TURN_RAD = math.radians(0.1)
_SAME_SHARE, _MOST_SHARE = 0.02, 2.0
"""Largest difference of the focal lengths of K and P, relative to K: without, and with lens distortion."""
_ROS_NAMES = {
    "none": "plumb_bob",
    "brown_conrady": "plumb_bob",
    "inverse_brown_conrady": "plumb_bob",
    "rational_polynomial": "rational_polynomial",
    "thin_prism": "rational_polynomial",
    "equidistant": "equidistant",
}
"""Lens model to its name in sensor_msgs/distortion_models; a thin prism has 12 or 14 coefficients."""
_PUBLISH = "publish the camera info that the driver or camera_calibration gives for this image"


def intrinsics_from_message(message: CameraInfo, *, rectified: bool = False) -> Intrinsics:
    """Return the intrinsics of the image that a CameraInfo belongs to.

    K (or P) belongs to the full sensor image; region of interest and binning (REP 104) are applied here. Binned pixels
    cover the area of their full-resolution pixels: the edges of the image stay in place.

    Args:
        message: The CameraInfo.
        rectified: True for a rectified image: P is used, without distortion.

    Raises:
        InputError: For an uncalibrated camera (fx or fy 0), a distortion model that is not supported, values that no camera
            has, or matrices and regions that contradict one another.
    """
    camera, projection = np.array(message.k).reshape(3, 3), np.array(message.p).reshape(3, 4)
    used = projection[:, :3] if rectified else camera
    if not (used[0, 0] > 0 and used[1, 1] > 0):
        given = f"{'P' if rectified else 'K'} with fx={used[0, 0]:g}, fy={used[1, 1]:g} in frame {message.header.frame_id[:80]!r}"
        fix = "calibrate the camera, or publish the driver's own camera_info"
        raise InputError("The focal length of the camera info must be above zero", given, fix)
    _check_finite(camera, "K")
    _check_finite(projection, "P")
    model, coefficients = ("none", ()) if rectified else _distortion(message)
    if rectified:
        offset = np.abs(projection[:2, 3])
        if offset.max() > _MOST_OFFSET:
            given = f"Tx={projection[0, 3]:g}, Ty={projection[1, 3]:g}"
            fix = "use the image of the first camera of the stereo pair, for which they are 0"
            raise InputError("P of a rectified image must have no offset", given, fix)
    elif projection.any() and max(message.binning_x, message.binning_y) <= 1 and not message.roi.width:
        _check_agreement(camera, projection, message, model != "none")
    try:
        window = _windowed(used, message, model, coefficients)
    except InputError as error:
        given = f"{error.given}; {'P' if rectified else 'K'} of the camera info of {message.header.frame_id[:80]!r}"
        raise InputError(error.what, given, error.fix) from error
    return _binned(window, message)


def image_size(message: CameraInfo) -> tuple[int, int]:
    """Return width and height of the image that a CameraInfo belongs to, after its region of interest and its binning."""
    width, height = int(message.roi.width) or int(message.width), int(message.roi.height) or int(message.height)
    return width // max(int(message.binning_x), 1), height // max(int(message.binning_y), 1)


def same_camera(one: CameraInfo, other: CameraInfo) -> bool:
    """Return true if two camera infos are equal but for their stamps."""
    fields = [
        (each.header.frame_id, each.width, each.height, each.distortion_model, each.binning_x, each.binning_y, each.roi)
        for each in (one, other)
    ]
    arrays = ((one.k, other.k), (one.p, other.p), (one.r, other.r), (one.d, other.d))
    return fields[0] == fields[1] and all(np.array_equal(mine, others) for mine, others in arrays)


def intrinsics_to_message(intrinsics: Intrinsics, frame: str, stamp_ns: int) -> CameraInfo:
    """Return the CameraInfo of an image with these intrinsics, not binned; a crop is the region of interest of its whole image.

    Raises:
        InputError: For inverse_brown_conrady distortion: ROS has no name for it.
    """
    if intrinsics.distortion_model == "inverse_brown_conrady" and any(intrinsics.distortion):
        raise InputError(
            "This distortion cannot be expressed in a CameraInfo",
            intrinsics.distortion_model,
            "rectify the image first, or publish plumb_bob coefficients",
        )
    name = _ROS_NAMES[intrinsics.distortion_model]
    message = CameraInfo(width=intrinsics.width, height=intrinsics.height, distortion_model=name)
    camera = intrinsics.matrix
    if intrinsics.cropped_from is not None:
        # The offset is whole pixels; the principal point moves by the same, so that it stays exact in the crop.
        left, top, width, height = (round(value) for value in intrinsics.cropped_from)
        message.width, message.height = max(width, left + intrinsics.width), max(height, top + intrinsics.height)
        message.roi.x_offset, message.roi.y_offset = left, top
        message.roi.width, message.roi.height = intrinsics.size_wh
        camera[:2, 2] += left, top
    message.header.frame_id = frame
    message.header.stamp = stamp_from_ns(stamp_ns)
    message.d = [float(value) for value in intrinsics.distortion or (0.0,) * 5]
    message.k = [float(value) for value in camera.reshape(-1)]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [float(value) for value in np.hstack([camera, np.zeros((3, 1))]).reshape(-1)]
    return message


def _check_finite(matrix: FloatArray, name: str) -> None:
    if not np.isfinite(matrix).all():
        raise InputError(f"{name} of the camera info must be finite", str(matrix.tolist()), _PUBLISH)


def _check_agreement(camera: FloatArray, projection: FloatArray, message: CameraInfo, distorts: bool) -> None:
    """Refuse a raw image whose frame is turned by R, and a K that belongs to another image than P."""
    turn = np.array(message.r).reshape(3, 3)
    _check_finite(turn, "R")
    if turn.any():
        if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-3 or np.linalg.det(turn) < 0:
            raise InputError("R of the camera info must be a rotation matrix", str(turn.tolist()), _PUBLISH)
        angle_rad = float(angle_between(turn, np.eye(3)))
        if angle_rad > _MOST_TURN_RAD:
            given = f"R turns by {math.degrees(angle_rad):.2f} degrees"
            fix = "use the rectified image (image_proc), with its depth, and set rectified to true"
            raise InputError("A raw image must be in the frame of its camera info", given, fix)
    most = _MOST_SHARE if distorts else _SAME_SHARE
    ratios = [projection[axis, axis] / camera[axis, axis] for axis in (0, 1)]
    offsets = [] if distorts else (projection[:2, 2] - camera[:2, 2]) / (most * np.array([message.width, message.height]))
    if any(ratio > 1 + most or ratio < 1 / (1 + most) for ratio in ratios) or np.abs(offsets).max(initial=0.0) > 1:
        given = "K with fx={:g}, fy={:g}, cx={:g}, cy={:g}; P with {:g}, {:g}, {:g}, {:g}".format(
            *(float(matrix[place]) for matrix in (camera, projection) for place in ((0, 0), (1, 1), (0, 2), (1, 2)))
        )
        fix = f"set rectified to true if the image is rectified; otherwise {_PUBLISH}"
        raise InputError("K and P of the camera info must be those of one image", given, fix)


def _windowed(matrix: FloatArray, message: CameraInfo, model: str, coefficients: tuple[float, ...]) -> Intrinsics:
    """Return the intrinsics of the region of interest; 0 x 0 is the whole image."""
    size_wh, region = (int(message.width), int(message.height)), message.roi
    x, y, width, height = (int(value) for value in (region.x_offset, region.y_offset, region.width, region.height))
    if not (x or y or width or height):
        return Intrinsics.from_matrix(size_wh, matrix, model, coefficients)
    if not (width and height) or x + width > size_wh[0] or y + height > size_wh[1]:
        given = f"{width}x{height} at {x}, {y} of {size_wh[0]}x{size_wh[1]}"
        raise InputError("The region of interest must lie in the image of the camera info", given, _PUBLISH)
    try:
        return Intrinsics.from_matrix(size_wh, matrix, model, coefficients).cropped(x, y, width, height)
    except InputError as error:
        # A region with its own optical center, in an image that is larger than the one that the lens lights.
        try:
            moved = matrix - np.array([[0.0, 0.0, x], [0.0, 0.0, y], [0.0, 0.0, 0.0]])
            return Intrinsics.from_matrix((width, height), moved, model, coefficients)
        except InputError:
            raise error from None


def _binned(window: Intrinsics, message: CameraInfo) -> Intrinsics:
    """Apply the binning; 0 and 1 are none."""
    size_wh = image_size(message)
    if min(size_wh) < 1:
        given = f"{message.binning_x}x{message.binning_y} for {window.width}x{window.height} pixels"
        raise InputError("The binning must be smaller than the image of the camera info", given, _PUBLISH)
    return window if size_wh == window.size_wh else window.scaled(*size_wh)


def _distortion(message: CameraInfo) -> tuple[str, tuple[float, ...]]:
    """Return the lens model and its coefficients.

    Polynomial models are told apart by the coefficients that are not zero, as image_geometry and OpenCV do: drivers publish
    five coefficients as rational_polynomial, and eight as plumb_bob.
    """
    values, name = tuple(float(value) for value in message.d), message.distortion_model
    if name in ("equidistant", "fisheye"):
        if len(values) >= 4 and not any(values[4:]):
            return "equidistant", values[:4]
    elif not any(values) and name in ("", "none", "plumb_bob", "rational_polynomial"):
        return "none", ()
    elif name in ("plumb_bob", "rational_polynomial") and len(values) <= 14:
        padded = values + (0.0,) * (14 - len(values))
        count = next(count for count in (5, 8, 12, 14) if not any(padded[count:]))
        return BY_LENGTH[count], padded[:count]
    raise InputError(
        "The distortion of this camera must be of a supported model",
        f"{name[:80]!r} with {values}",
        "publish plumb_bob, rational_polynomial or equidistant coefficients, or rectified images with the parameter rectified",
    )
