"""A rendered tabletop with known truth: colour, exact depth, masks, 3D positions."""

import numpy as np

from molmo_point.errors import InputError
from molmo_point.sim.rendered_scene import (
    CAMERA_FRAME,
    VisibleObject,
    aim_camera,
    camera_geometry,
    import_mujoco,
    open_renderer,
    render_pass,
    visible_in,
)
from molmo_point.sim.tabletop.layout import CameraPose, Layout, random_layout
from molmo_point.sim.tabletop.mjcf import OBJECT_PREFIX, layout_to_mjcf

__all__ = ["TabletopScene", "VisibleObject"]


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
        if layout.containers:
            given = f"{len(layout.containers)} containers"
            raise InputError("This scene shows solids only", given, "use SimulatedArm, whose world has containers")
        mujoco = import_mujoco()
        self.layout = layout
        self.objects = layout.objects
        self.frame = CAMERA_FRAME
        self.intrinsics, self.base_T_camera = camera_geometry(layout.camera, width, height)
        self._model = mujoco.MjModel.from_xml_string(layout_to_mjcf(layout, width, height))
        self._data = mujoco.MjData(self._model)
        mujoco.mj_forward(self._model, self._data)
        self._renderer = open_renderer(self._model, width, height)
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
        self.intrinsics, self.base_T_camera = camera_geometry(camera, width, height)
        aim_camera(self._model, camera)
        import_mujoco().mj_forward(self._model, self._data)

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
        return visible_in(self.render_masks(), self._render("depth"), self.objects, self.intrinsics, min_pixels)

    def close(self) -> None:
        """Frees the OpenGL context."""
        self._renderer.close()

    def __enter__(self) -> "TabletopScene":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _render(self, kind: str) -> np.ndarray:
        return render_pass(self._renderer, self._data, kind)
