"""Labeled views: pictures of solids of which the name and the place of every object are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import ColorArray
from molmo_point.sim.arm.camera_view import FIXED, WRIST
from molmo_point.sim.arm.tables import random_arm_layout
from molmo_point.sim.tabletop.mjcf import OBJECT_PREFIX
from molmo_point.sim.tabletop.objects import COLORS, SHAPES
from molmo_point.sim.tabletop.scene import TabletopScene

MIN_PIXELS = 150
"""Pixels of an object that is well in view; words that fit one with fewer pixels are not asked."""


@dataclass(frozen=True)
class ObjectName:
    """Words for an object.

    Attributes:
        color: Its color.
        shape: Its shape.
        doubtful: Shapes that some people would call it.
    """

    color: str
    shape: str
    doubtful: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class LabeledView:
    """One picture with its truth.

    Attributes:
        color: Picture (h, w, 3), uint8 RGB.
        instances: Number of the object at each pixel (h, w), int16; -1 for none.
        objects: Names of the objects, by number.
    """

    color: ColorArray
    instances: NDArray[np.int16]
    objects: tuple[ObjectName, ...] = ()

    @cached_property
    def pixels(self) -> NDArray[np.int64]:
        """Number of visible pixels of each object."""
        return np.bincount(self.instances[self.instances >= 0], minlength=len(self.objects))

    @property
    def visible(self) -> list[int]:
        """Numbers of the objects of which a pixel is visible."""
        return np.flatnonzero(self.pixels).tolist()

    def fitting(self, color: str = "", shape: str = "") -> list[int] | None:
        """Return the numbers of the visible objects that fit; None if people could disagree.

        Args:
            color: Color of the objects; "" for any.
            shape: Shape of the objects; "" for any.
        """
        found = []
        for number in self.visible:
            name = self.objects[number]
            if color and name.color != color:
                continue
            if shape in name.doubtful:
                return None
            if shape and name.shape != shape:
                continue
            if self.pixels[number] < MIN_PIXELS:
                return None
            found.append(number)
        return found

    def mask(self, numbers: Sequence[int]) -> NDArray[np.bool_]:
        """Return the mask (h, w) of some objects."""
        return np.isin(self.instances, numbers)

    def middle(self, number: int) -> tuple[float, float]:
        """Mean column and row of the visible pixels of an object."""
        v, u = np.nonzero(self.instances == number)
        return float(u.mean()), float(v.mean())


def named(objects: Sequence[Any]) -> tuple[ObjectName, ...]:
    """Name the solids of a scene."""
    return tuple(ObjectName(item.color, item.shape) for item in objects)


def table_view(scene: int, width: int = 640, height: int = 480) -> LabeledView:
    """Render the random table of a seed."""
    with TabletopScene.random(scene, width, height) as table:
        return LabeledView(table.render_color(), table.render_masks(), named(table.objects))


def arm_views(scene: int) -> tuple[LabeledView, LabeledView]:
    """Render the arm's table of `evaluation.pick_trial`, by the fixed and by the wrist camera."""
    from molmo_point.sim.arm.simulated_arm import SimulatedArm

    with SimulatedArm(random_arm_layout(np.random.default_rng([scene, 9]))) as arm:
        geoms = [arm.model.geom(f"{OBJECT_PREFIX}{k}_solid").id for k in range(len(arm.layout.objects))]
        views = []
        for view in (arm.view(FIXED), arm.view(WRIST)):
            shown = view.render_geoms()
            instances = np.full(shown.shape, -1, np.int16)
            for number, geom in enumerate(geoms):
                instances[shown == geom] = number
            views.append(LabeledView(view.render_color(), instances, named(arm.layout.objects)))
    return views[0], views[1]


def word_pairs() -> list[tuple[str, str]]:
    """Return all colors and shapes, and all pairs of them, as (color, shape) with "" for any."""
    return [(color, shape) for color in ("", *COLORS) for shape in ("", *SHAPES) if color or shape]
