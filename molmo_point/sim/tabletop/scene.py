"""A rendered tabletop with known truth: color, exact depth, masks, 3D positions."""

import numpy as np

from molmo_point.errors import InputError
from molmo_point.sim.mujoco_import import import_mujoco
from molmo_point.sim.rendered_scene import MujocoScene
from molmo_point.sim.tabletop.layout import Layout, random_layout
from molmo_point.sim.tabletop.mjcf import OBJECT_PREFIX, layout_to_mjcf

MIN_SIDE_PX = 16


class TabletopScene(MujocoScene):
    """A simulated tabletop; attributes and errors are those of `MujocoScene`.

    Args:
        layout: Objects, table, light and camera.
        width: Image width, pixels.
        height: Image height, pixels.

    Raises:
        InputError: The image is too small, or the layout has containers.
    """

    def __init__(self, layout: Layout, width: int = 640, height: int = 480) -> None:
        if min(width, height) < MIN_SIDE_PX:
            side = f"{MIN_SIDE_PX}×{MIN_SIDE_PX}"
            raise InputError(f"Image of a scene must be {side} pixels or more", f"{width}×{height}", f"ask for {side} or more")
        if layout.containers:
            given = f"{len(layout.containers)} containers"
            raise InputError("layout must hold solids only", given, "use SimulatedArm, whose scene has containers")
        self.layout = layout
        model = import_mujoco().MjModel.from_xml_string(layout_to_mjcf(layout, width, height))
        objects = {f"{OBJECT_PREFIX}{i}": item for i, item in enumerate(layout.objects)}
        super().__init__(model, layout.camera, (width, height), objects)

    @classmethod
    def random(cls, seed: int, width: int = 640, height: int = 480, object_count: int | None = None) -> "TabletopScene":
        """Make a random scene; the same seed gives the same scene."""
        return cls(random_layout(np.random.default_rng(seed), object_count), width, height)
