"""A rendered tabletop with known truth: color, exact depth, masks, 3D positions."""

import numpy as np

from molmo_point.errors import InputError
from molmo_point.sim.rendered_scene import MujocoScene
from molmo_point.sim.tabletop.layout import Layout, random_layout
from molmo_point.sim.tabletop.mjcf import OBJECT_PREFIX, TOY_PREFIX, layout_spec
from molmo_point.sim.toys.placed_toy import PlacedToy

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
            raise InputError("layout must hold solids and toys only", given, "use SimulatedArm, whose scene has containers")
        self.layout = layout
        model = layout_spec(layout, width, height).compile()
        objects = {f"{OBJECT_PREFIX}{i}": item for i, item in enumerate(layout.objects)}
        super().__init__(model, layout.camera, (width, height), objects)

    def move_toy(self, number: int, item: PlacedToy) -> None:
        """Put the toy of a number elsewhere, or turn it over."""
        body = self._model.body(f"{TOY_PREFIX}{number}")
        body.pos, body.quat = item.position_base_m, item.quat
        self._mujoco.mj_forward(self._model, self._data)

    @classmethod
    def random(cls, seed: int, width: int = 640, height: int = 480, object_count: int | None = None) -> "TabletopScene":
        """Make a random scene; the same seed gives the same scene."""
        return cls(random_layout(np.random.default_rng(seed), object_count), width, height)
