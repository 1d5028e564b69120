"""Pose and lens of a rendered camera: names of its frames, intrinsics, transform to the base."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform
from molmo_point.sim.mujoco_import import import_mujoco

BASE_FRAME = "base"
CAMERA_FRAME = "camera_color_optical_frame"
CAMERA_NAME = "camera"
"""Name of the camera in MuJoCo's model."""


@dataclass(frozen=True)
class CameraPose:
    """Position, aim and field of view of a camera.

    Attributes:
        eye_m: Position (3,) in the base frame, meters.
        look_at_m: Point (3,) in the middle of the image, base frame, meters.
        fov_y_deg: Vertical field of view, degrees.
    """

    eye_m: tuple[float, float, float]
    look_at_m: tuple[float, float, float]
    fov_y_deg: float


def camera_axes(camera: CameraPose) -> FloatArray:
    """Rotation (3, 3) from the camera's optical axes (x right, y down, z forward) to base."""
    forward = np.array(camera.look_at_m) - np.array(camera.eye_m)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    return np.stack([right, down, forward], axis=1)


def pinhole(width: int, height: int, fov_y_deg: float) -> Intrinsics:
    """Intrinsics of a render of ``width`` by ``height`` pixels, without distortion."""
    focal_px = float(0.5 * height / np.tan(0.5 * np.deg2rad(fov_y_deg)))
    return Intrinsics(width=width, height=height, fx=focal_px, fy=focal_px, cx=(width - 1) / 2, cy=(height - 1) / 2)


def camera_geometry(camera: CameraPose, width: int, height: int) -> tuple[Intrinsics, Transform]:
    """Intrinsics and base_T_camera of a render of ``width`` by ``height`` pixels."""
    pose = Transform(BASE_FRAME, CAMERA_FRAME, camera_axes(camera), np.array(camera.eye_m))
    return pinhole(width, height, camera.fov_y_deg), pose


def aim_camera(model: Any, camera: CameraPose) -> None:
    """Move the camera of MuJoCo's model; call `mj_forward` afterwards."""
    # MuJoCo's camera looks along -z with y up; the optical frame looks along +z with y down.
    axes = camera_axes(camera) * np.array([1.0, -1.0, -1.0])
    import_mujoco().mju_mat2Quat(model.cam_quat[0], np.ascontiguousarray(axes).ravel())
    model.cam_pos[0] = camera.eye_m
    model.cam_fovy[0] = camera.fov_y_deg
