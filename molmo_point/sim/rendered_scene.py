"""Rendered scenes with known truth: base class, render passes, visible objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.camera.base import Closing
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.sim.camera_pose import CAMERA_FRAME, CAMERA_NAME, CameraPose, aim_camera, camera_geometry
from molmo_point.sim.mujoco_import import import_mujoco, open_renderer


@dataclass(frozen=True)
class VisibleObject:
    """Visible part of one object.

    Attributes:
        item: The object.
        uv: Centroid (2,) of its visible pixels, snapped to the nearest of them.
        point_camera_m: Surface point (3,) at ``uv``, camera optical frame, meters.
        pixel_count: Number of visible pixels.
    """

    item: Any
    uv: FloatArray
    point_camera_m: FloatArray
    pixel_count: int


def visible_in(
    masks: np.ndarray, depth_m: np.ndarray, objects: Sequence[Any], intrinsics: Intrinsics, min_pixels: int = 1
) -> list[VisibleObject]:
    """List the objects seen in an instance mask (h, w) with depth (h, w) in meters."""
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


def render_pass(renderer: Any, data: Any, kind: str, camera: str = CAMERA_NAME) -> np.ndarray:
    """Render one image through a camera of the scene.

    Args:
        renderer: From `open_renderer`.
        data: MuJoCo's state.
        kind: ``"color"``, ``"depth"`` or ``"segmentation"``.
        camera: Name of the camera in the model.

    Returns:
        A copy that the caller owns.
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


class MujocoScene(Closing):
    """A MuJoCo model seen by one camera. Holds an OpenGL context: use ``with`` or ``close``.

    Args:
        model: Compiled model with one camera.
        camera: Pose of the camera.
        size_wh: Image width and height, pixels.
        objects: Mapping from the name of a geom to the object that it shows.

    Attributes:
        objects: Objects of the scene; indices of the instance mask.
        intrinsics: Pinhole intrinsics of the render, no distortion.
        base_T_camera: Transform from the optical frame to the base frame.
        frame: Name of the optical frame.

    Raises:
        DependencyError: MuJoCo is not installed or cannot open a headless OpenGL context.
    """

    frame = CAMERA_FRAME

    def __init__(self, model: Any, camera: CameraPose, size_wh: tuple[int, int], objects: Mapping[str, Any]) -> None:
        self._mujoco = import_mujoco()
        self._model, self._size_wh = model, size_wh
        self._data = self._mujoco.MjData(model)
        self._mujoco.mj_forward(model, self._data)
        self.intrinsics, self.base_T_camera = camera_geometry(camera, *size_wh)
        self.objects = tuple(objects.values())
        self._geoms = [self._geom(name) for name in objects]
        self._renderer = open_renderer(model, *size_wh)

    def move_camera(self, camera: CameraPose) -> None:
        """Look at the same scene from elsewhere; `intrinsics` and `base_T_camera` follow."""
        self.intrinsics, self.base_T_camera = camera_geometry(camera, *self._size_wh)
        aim_camera(self._model, camera)
        self._mujoco.mj_forward(self._model, self._data)

    def render(self) -> tuple[np.ndarray, np.ndarray]:
        """Render color (h, w, 3) uint8 RGB and exact depth (h, w) float32 meters along z."""
        return self.render_color(), self._render("depth").astype(np.float32)

    def render_color(self) -> np.ndarray:
        """Render color alone, (h, w, 3) uint8 RGB."""
        return self._render("color")

    def render_masks(self) -> np.ndarray:
        """Render the instance mask (h, w) int16: index into `objects`, −1 where no object is seen."""
        geoms = self._render("segmentation")[..., 0]
        mask = np.full(geoms.shape, -1, np.int16)
        for index, geom in enumerate(self._geoms):
            mask[geoms == geom] = index
        return mask

    def visible_objects(self, min_pixels: int = 1) -> list[VisibleObject]:
        """List the objects that the camera sees, with the surface point that a pointer should hit."""
        return visible_in(self.render_masks(), self._render("depth"), self.objects, self.intrinsics, min_pixels)

    def close(self) -> None:
        """Free the OpenGL context."""
        self._renderer.close()

    def _geom(self, name: str) -> int:
        return int(self._mujoco.mj_name2id(self._model, self._mujoco.mjtObj.mjOBJ_GEOM, name))

    def _render(self, kind: str) -> np.ndarray:
        return render_pass(self._renderer, self._data, kind)
