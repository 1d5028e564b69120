"""Picks of toys that no model was trained on: a toy is shown on one table, and asked for by its name on another."""

import itertools

import numpy as np

from molmo_point.evaluation.pick_trial import PickTask
from molmo_point.model.taught.feature_network import load_feature_network
from molmo_point.model.taught.layered_backend import LayeredBackend
from molmo_point.model.taught.library import Library
from molmo_point.model.taught.taught_backend import TaughtBackend
from molmo_point.pointer import Pointer
from molmo_point.sim.arm.tables import WIDEST_M, random_arm_layout
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.depth_faults import DepthFaults
from molmo_point.sim.tabletop.layout import random_camera
from molmo_point.sim.tabletop.scene import TabletopScene
from molmo_point.sim.toys.toy import MOST_TOYS, Toy, ToyVariant, toy_model
from molmo_point.sim.toys.toy_tables import random_toy_table
from molmo_point.teaching.session import TeachingSession

LEAST_HEIGHT_M = 0.025
"""Least height of a toy, meters: fingers find no hold on a flatter one."""
_LOOKS = 6
"""Largest number of looks at a toy for each view that is wanted."""
_OTHERS, _ALIKE, _SOLIDS = (2, 5), (1, 3), (0, 3)
"""Numbers of other toys, of look-alikes and of solids around the toy meant: least, and one more than the largest."""


def taught_task(pointer: Pointer, seed: int, rng: np.random.Generator, faults: DepthFaults, views: int = 5) -> PickTask:
    """Show a toy on a table of its own, and draw a table on which it stands among others and toys that look like it.

    Args:
        pointer: The model below the taught one.
        seed: Seed of the depth noise.
        rng: Source of all other randomness.
        faults: Faults of the depth camera that sees what is shown.
        views: Number of views; fewer if too few are good.
    """
    drawn = (Toy(int(rng.integers(MOST_TOYS)), widest_m=WIDEST_M) for _ in itertools.count())
    toys = list(itertools.islice((toy for toy in drawn if toy_model(toy).height_m >= LEAST_HEIGHT_M), _OTHERS[1]))
    taught = TaughtBackend(_library(toys[0], seed, rng, faults, views), load_feature_network())
    variants = rng.permutation(len(ToyVariant) - 1)[: rng.integers(*_ALIKE)]
    alike = [Toy(toys[0].number, list(ToyVariant)[1 + int(number)], WIDEST_M) for number in variants]
    others = toys[1 : 1 + int(rng.integers(*_OTHERS))]
    layout = random_arm_layout(rng, int(rng.integers(*_SOLIDS)), toys=(toys[0], *alike, *others))
    return PickTask(Pointer(LayeredBackend(taught, pointer.backend)), layout, meant=0)


def _library(toy: Toy, seed: int, rng: np.random.Generator, faults: DepthFaults, views: int) -> Library:
    """Show a toy alone from places around it; without a good view, the library stays empty."""
    session = TeachingSession(Library.empty(load_feature_network()), toy.name)
    with TabletopScene(random_toy_table([toy], rng).table) as scene:
        camera = SimulatedCamera(scene, seed=seed, faults=faults)
        for _ in range(_LOOKS * views):
            scene.move_camera(random_camera(rng))
            if session.offer(camera.read()).views == views:
                break
    return session.finish() if session.views else session.library
