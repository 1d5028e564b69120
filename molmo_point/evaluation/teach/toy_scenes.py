"""Views to teach toys from, and tables to ask about them, with their truth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from molmo_point.evaluation.other_tables import STYLES, surface_picture
from molmo_point.frame import RgbdFrame
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.camera_pose import CameraPose
from molmo_point.sim.tabletop.clutter import ClutteredScene
from molmo_point.sim.tabletop.layout import random_camera
from molmo_point.sim.toys.placed_toy import PlacedToy, standing
from molmo_point.sim.toys.toy import Toy, ToyVariant
from molmo_point.sim.toys.toy_tables import TOY_TABLES, random_toy_table, tumbled
from molmo_point.sim.unkind_faults import simulator_faults

FIRST_SEED = 700_000
"""Toys and tables that judge; those that choose are toys 0 to 199 and from 1,000."""
MIN_PIXELS = 200
"""Pixels of an object that is well in view."""
_STRANGERS = 100_000
_LIKE = (ToyVariant.OTHER_COLORS, ToyVariant.OTHER_PATTERN, ToyVariant.OTHER_FORM)


@dataclass(frozen=True, eq=False)
class ToyScene:
    """A frame with its truth.

    Attributes:
        frame: Frame of the simulated camera.
        masks: Number of the object at each pixel (h, w); -1 for none.
        objects: Toys and solids by number.
        kind: Arrangement of the table.
        surface: Pattern of its surface; "plain" without one.
    """

    frame: RgbdFrame
    masks: NDArray[np.int16]
    objects: tuple[object, ...]
    kind: str
    surface: str

    def mask_of(self, toy: Toy) -> NDArray[np.bool_]:
        """Visible pixels (h, w) of a toy."""
        numbers = [k for k, item in enumerate(self.objects) if isinstance(item, PlacedToy) and item.toy == toy]
        return np.isin(self.masks, numbers)


def twin(toy: Toy, number: int) -> Toy:
    """Return a toy that is easy to take for another one, by turns in other colors, with another pattern, or of another form."""
    return replace(toy, variant=_LIKE[number % len(_LIKE)])


def shown_toy(toy: Toy, seed: int, view: int, simulator: str = "kind") -> ToyScene:
    """Show a toy alone, from near, on the table of a seed.

    Args:
        toy: The toy.
        seed: Seed of the table, its light and the direction of the first view.
        view: Number of the view; the direction goes around by the golden angle, and every third toy lies on another side.
        simulator: Depth camera, one of `SIMULATORS`.
    """
    rng = np.random.default_rng([seed, toy.number, 3])
    table = random_toy_table((), rng)
    around = float(rng.uniform(0, 2 * np.pi)) + 2.4 * view
    of_view = np.random.default_rng([seed, toy.number, 4, view])
    item = tumbled(toy, of_view) if view % 3 == 2 else standing(toy, (0.0, 0.0), float(rng.uniform(0, 2 * np.pi)))
    up, away = np.deg2rad(of_view.uniform(30, 70)), of_view.uniform(0.32, 0.5)
    eye = away * np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])
    camera = CameraPose((float(eye[0]), float(eye[1]), float(eye[2]) + 0.025), (0.0, 0.0, 0.025), 45.0)
    layout = replace(table, table=replace(table.table, objects=(item,), camera=camera))
    return _seen(ClutteredScene(layout), "apart", "plain", seed + view, simulator)


def asked_table(toys: Sequence[Toy], seed: int, number: int, simulator: str = "kind") -> ToyScene:
    """Put toys on a random table among toys that were not taught, and a solid.

    Args:
        toys: The toys that are asked for.
        seed: Seed of the evaluation.
        number: Number of the table; arrangements and surfaces go by turns.
        simulator: Depth camera, one of `SIMULATORS`.
    """
    rng = np.random.default_rng([seed, number, 5])
    kind = TOY_TABLES[number % len(TOY_TABLES)]
    strangers = [Toy(seed + _STRANGERS + int(rng.integers(_STRANGERS))) for _ in range(int(rng.integers(1, 3)))]
    layout = random_toy_table([*toys, *strangers], rng, kind, int(rng.integers(0, 2)))
    layout = replace(layout, table=replace(layout.table, camera=random_camera(rng)))
    style = str(rng.choice(list(STYLES))) if number // len(TOY_TABLES) % 2 else "plain"
    surface = None if style == "plain" else surface_picture(style, rng)
    return _seen(ClutteredScene(layout, surface=surface), kind, style, seed + number, simulator)


def _seen(scene: ClutteredScene, kind: str, surface: str, seed: int, simulator: str) -> ToyScene:
    with scene, SimulatedCamera(scene, seed=seed, faults=simulator_faults(simulator)) as camera:
        return ToyScene(camera.read(), scene.render_masks(), scene.objects, kind, surface)
