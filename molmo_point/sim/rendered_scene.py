"""What all simulated scenes share: MuJoCo's import and renderer, the camera's geometry, what is seen of every object."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.errors import DependencyError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform
from molmo_point.sim.tabletop.layout import CameraPose
from molmo_point.sim.tabletop.mjcf import CAMERA_NAME, camera_axes

BASE_FRAME = "base"
CAMERA_FRAME = "camera_color_optical_frame"


@dataclass(frozen=True)
class VisibleObject:
    """What the camera can see of one object.

    Attributes:
        item: The object.
        uv: Centroid (2,) of its visible pixels, moved onto the nearest of them.
        point_camera_m: The visible surface point (3,) at ``uv``, camera optical frame, metres.
        pixel_count: Visible pixels.
    """

    item: Any
    uv: np.ndarray
    point_camera_m: np.ndarray
    pixel_count: int


def visible_in(
    masks: np.ndarray, depth_m: np.ndarray, objects: Sequence[Any], intrinsics: Intrinsics, min_pixels: int = 1
) -> list[VisibleObject]:
    """The objects seen in an instance mask (h, w) with depth (h, w) in metres."""
    seen = []
    for index, item in enumerate(objects):
        v, u = np.nonzero(masks == index)
        if u.size < max(min_pixels, 1):
            continue
        nearest = np.argmin((u - u.mean()) ** 2 + (v - v.mean()) ** 2)
        uv = np.array([u[nearest], v[nearest]], float)
        point = intrinsics.deproject(uv, depth_m[v[nearest], u[nearest]])
        seen.append(VisibleObject(item, uv, np.asarray(point), int(u.size)))
    return seen


def camera_geometry(camera: CameraPose, width: int, height: int) -> tuple[Intrinsics, Transform]:
    """Intrinsics and camera pose of a render of ``width`` by ``height`` pixels."""
    focal_px = float(0.5 * height / np.tan(0.5 * np.deg2rad(camera.fov_y_deg)))
    intrinsics = Intrinsics(width=width, height=height, fx=focal_px, fy=focal_px, cx=(width - 1) / 2, cy=(height - 1) / 2)
    base_T_camera = Transform(
        target=BASE_FRAME,
        source=CAMERA_FRAME,
        rotation=camera_axes(camera),
        translation_m=np.array(camera.eye_m),
    )
    return intrinsics, base_T_camera


def aim_camera(model: Any, camera: CameraPose) -> None:
    """Moves the model's camera; `mj_forward` has to follow."""
    # MuJoCo's camera looks along -z with y up; ours looks along +z with y down.
    axes = camera_axes(camera) * np.array([1.0, -1.0, -1.0])
    import_mujoco().mju_mat2Quat(model.cam_quat[0], np.ascontiguousarray(axes).ravel())
    model.cam_pos[0] = camera.eye_m
    model.cam_fovy[0] = camera.fov_y_deg


def render_pass(renderer: Any, data: Any, kind: str, camera: str = CAMERA_NAME) -> np.ndarray:
    """One picture through a camera of the scene, owned by the caller.

    Args:
        renderer: As `open_renderer` gives it.
        data: MuJoCo's state.
        kind: ``"color"``, ``"depth"`` or ``"segmentation"``.
        camera: Its name in the model.
    """
    if kind == "depth":
        renderer.enable_depth_rendering()
    elif kind == "segmentation":
        renderer.enable_segmentation_rendering()
    try:
        renderer.update_scene(data, camera=camera)
        return renderer.render().copy()
    finally:
        renderer.disable_depth_rendering()
        renderer.disable_segmentation_rendering()


def open_renderer(model: Any, width: int, height: int) -> Any:
    """MuJoCo's offscreen renderer.

    Raises:
        DependencyError: No headless OpenGL context can be opened.
    """
    try:
        return import_mujoco().Renderer(model, height=height, width=width)
    except Exception as error:  # MuJoCo raises several kinds, all meaning the same to a user
        raise DependencyError(
            "MuJoCo could not open a headless OpenGL context",
            f"MUJOCO_GL={os.environ.get('MUJOCO_GL')}: {error}",
            "install libegl1 and libgl1-mesa-dri with apt and set MUJOCO_GL=egl",
        ) from error


def import_mujoco() -> Any:
    """MuJoCo, told to render without a display.

    Raises:
        DependencyError: It is not installed.
    """
    # Without a display MuJoCo needs to be told to use EGL before its first import.
    os.environ.setdefault("MUJOCO_GL", "egl")
    try:
        import mujoco
    except ImportError as error:
        raise DependencyError("The simulated scene needs MuJoCo", str(error), "pip install 'molmo-point[sim]'") from error
    return mujoco
