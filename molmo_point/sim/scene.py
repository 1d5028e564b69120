"""A rendered tabletop with known truth: colour, exact depth, masks, 3D positions."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.errors import DependencyError, InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform
from molmo_point.sim.layout import CameraPose, Layout, random_layout
from molmo_point.sim.mjcf import CAMERA_NAME, OBJECT_PREFIX, camera_axes, layout_to_mjcf
from molmo_point.sim.objects import SceneObject

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

    item: SceneObject
    uv: np.ndarray
    point_camera_m: np.ndarray
    pixel_count: int


class TabletopScene:
    """A MuJoCo tabletop seen by one camera. Holds an OpenGL context: use ``with`` or ``close``.

    Args:
        layout: What stands where.
        width: Image width, pixels.
        height: Image height, pixels.

    Attributes:
        objects: The objects of the layout.
        intrinsics: Pinhole intrinsics of the render, no distortion.
        base_T_camera: Transform from the optical frame to the base frame.
        frame: Name of the optical frame.

    Raises:
        DependencyError: MuJoCo is not installed or cannot open a headless OpenGL context.
        InputError: The image size is not positive.
    """

    def __init__(self, layout: Layout, width: int = 640, height: int = 480) -> None:
        if width < 16 or height < 16:
            raise InputError("The image of a scene is too small", f"{width}×{height}", "ask for 16×16 or more")
        mujoco = _import_mujoco()
        self.layout = layout
        self.objects = layout.objects
        self.frame = CAMERA_FRAME
        self.intrinsics, self.base_T_camera = _camera_geometry(layout.camera, width, height)
        self._model = mujoco.MjModel.from_xml_string(layout_to_mjcf(layout, width, height))
        self._data = mujoco.MjData(self._model)
        mujoco.mj_forward(self._model, self._data)
        try:
            self._renderer = mujoco.Renderer(self._model, height=height, width=width)
        except Exception as error:  # MuJoCo raises several kinds, all meaning the same to a user
            raise DependencyError(
                "MuJoCo could not open a headless OpenGL context",
                f"MUJOCO_GL={os.environ.get('MUJOCO_GL')}: {error}",
                "install libegl1 and libgl1-mesa-dri with apt and set MUJOCO_GL=egl",
            ) from error
        self._geom_to_object = {
            mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_GEOM, f"{OBJECT_PREFIX}{i}"): i for i in range(len(self.objects))
        }

    @classmethod
    def random(cls, seed: int, width: int = 640, height: int = 480, object_count: int | None = None) -> "TabletopScene":
        """A random scene; the same seed gives the same scene."""
        return cls(random_layout(np.random.default_rng(seed), object_count), width, height)

    def move_camera(self, camera: CameraPose) -> None:
        """Looks at the same table from elsewhere; `intrinsics` and `base_T_camera` follow."""
        width, height = self.intrinsics.size_wh
        self.intrinsics, self.base_T_camera = _camera_geometry(camera, width, height)
        axes = camera_axes(camera)
        # MuJoCo's camera looks along -z with y up; ours looks along +z with y down.
        mujoco_axes = axes * np.array([1.0, -1.0, -1.0])
        mujoco = _import_mujoco()
        mujoco.mju_mat2Quat(self._model.cam_quat[0], np.ascontiguousarray(mujoco_axes).ravel())
        self._model.cam_pos[0] = camera.eye_m
        self._model.cam_fovy[0] = camera.fov_y_deg
        mujoco.mj_forward(self._model, self._data)

    def render(self) -> tuple[np.ndarray, np.ndarray]:
        """Colour (h, w, 3) uint8 RGB and exact depth (h, w) float32 metres along z."""
        return self._render("color"), self._render("depth").astype(np.float32)

    def render_color(self) -> np.ndarray:
        """Colour alone, (h, w, 3) uint8 RGB."""
        return self._render("color")

    def render_masks(self) -> np.ndarray:
        """Instance mask (h, w) int16: index into `objects`, −1 where no object is seen."""
        geoms = self._render("segmentation")[..., 0]
        mask = np.full(geoms.shape, -1, np.int16)
        for geom, index in self._geom_to_object.items():
            mask[geoms == geom] = index
        return mask

    def visible_objects(self, min_pixels: int = 1) -> list[VisibleObject]:
        """The objects the camera sees, with the surface point that a pointer should hit."""
        masks, depth_m = self.render_masks(), self._render("depth")
        seen = []
        for index, item in enumerate(self.objects):
            v, u = np.nonzero(masks == index)
            if u.size < max(min_pixels, 1):
                continue
            nearest = np.argmin((u - u.mean()) ** 2 + (v - v.mean()) ** 2)
            uv = np.array([u[nearest], v[nearest]], float)
            point = self.intrinsics.deproject(uv, depth_m[v[nearest], u[nearest]])
            seen.append(VisibleObject(item, uv, np.asarray(point), int(u.size)))
        return seen

    def close(self) -> None:
        """Frees the OpenGL context."""
        self._renderer.close()

    def __enter__(self) -> "TabletopScene":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _render(self, kind: str) -> np.ndarray:
        renderer = self._renderer
        if kind == "depth":
            renderer.enable_depth_rendering()
        elif kind == "segmentation":
            renderer.enable_segmentation_rendering()
        try:
            renderer.update_scene(self._data, camera=CAMERA_NAME)
            return renderer.render().copy()
        finally:
            renderer.disable_depth_rendering()
            renderer.disable_segmentation_rendering()


def _camera_geometry(camera: CameraPose, width: int, height: int) -> tuple[Intrinsics, Transform]:
    focal_px = float(0.5 * height / np.tan(0.5 * np.deg2rad(camera.fov_y_deg)))
    intrinsics = Intrinsics(width=width, height=height, fx=focal_px, fy=focal_px, cx=(width - 1) / 2, cy=(height - 1) / 2)
    base_T_camera = Transform(
        target=BASE_FRAME,
        source=CAMERA_FRAME,
        rotation=camera_axes(camera),
        translation_m=np.array(camera.eye_m),
    )
    return intrinsics, base_T_camera


def _import_mujoco() -> Any:
    # Without a display MuJoCo needs to be told to use EGL before its first import.
    os.environ.setdefault("MUJOCO_GL", "egl")
    try:
        import mujoco
    except ImportError as error:
        raise DependencyError("The simulated scene needs MuJoCo", str(error), "pip install 'molmo-point[sim]'") from error
    return mujoco
