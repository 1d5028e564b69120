"""Labeled views like those of a checkpoint's training, for fitting what tells familiar images and objects."""

from collections.abc import Iterator

import numpy as np

from lab.household.arrangement import MAX_OBJECTS
from lab.household.arranging import random_arrangement
from lab.household.scene_set import household_assets
from lab.household.stage import Stage
from lab.household.truth import scene_truth
from lab.training.scenes import arm_camera
from molmo_point.evaluation.labeled_view import LabeledView, ObjectName, arm_views, named, table_view
from molmo_point.evaluation.place_trial import OBJECTS
from molmo_point.sim.arm.camera_view import FIXED, WRIST
from molmo_point.sim.arm.containers import CONTAINERS
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.arm.tables import random_arm_layout
from molmo_point.sim.tabletop.layout import random_camera, random_layout
from molmo_point.sim.tabletop.scene import TabletopScene

_ARM_EVERY, _HOUSEHOLD_ARM_EVERY = 3, 8


def plain_views(first: int, count: int) -> Iterator[LabeledView]:
    """Render tables of plain solids: as the training shows them, as `molmo-point eval` does, and as the arm's cameras do."""
    for scene in range(first, first + count):
        rng = np.random.default_rng([scene, 31])
        yield table_view(scene)
        with TabletopScene(random_arm_layout(rng)) as table:
            for camera in (arm_camera(rng), random_camera(rng)):
                table.move_camera(camera)
                yield LabeledView(table.render_color(), table.render_masks(), named(table.objects))
        with TabletopScene(random_layout(rng)) as table:
            table.move_camera(arm_camera(rng))
            yield LabeledView(table.render_color(), table.render_masks(), named(table.objects))
        if scene % _ARM_EVERY == 0:
            yield from arm_views(scene)
            yield from _container_views(rng, scene)


def _container_views(rng: np.random.Generator, scene: int) -> Iterator[LabeledView]:
    """Render the arm's table with a container, which is no named object, by both cameras."""
    with SimulatedArm(random_arm_layout(rng, OBJECTS, (CONTAINERS[scene % len(CONTAINERS)],))) as arm:
        for view in (arm.view(FIXED), arm.view(WRIST)):
            color = view.render_color()
            yield LabeledView(color, np.full(color.shape[:2], -1, np.int16))


def household_views(first: int, count: int) -> Iterator[LabeledView]:
    """Render household tables of the training's kind, and as many of the kind that evaluates."""
    assets = household_assets(None)
    with Stage(assets, 640, 480) as stage:
        for scene in range(first, first + count):
            rng = np.random.default_rng([scene, 37])
            arrangement = random_arrangement(rng, assets, bool(scene % 2), int(rng.integers(1, MAX_OBJECTS + 1)))
            stage.show(arrangement)
            masks = stage.render_masks()
            rows = scene_truth(arrangement, stage, masks)["objects"]
            names = (
                ObjectName(row["colors"][0] if len(row["colors"]) == 1 else "", item.asset.noun, tuple(item.asset.doubtful_nouns))
                for row, item in zip(rows, arrangement.objects, strict=True)
            )
            yield LabeledView(stage.render_color(), masks, tuple(names))
            if scene % _HOUSEHOLD_ARM_EVERY == 0:
                yield from _container_views(rng, scene)


def mixed_views(first: int, count: int) -> Iterator[LabeledView]:
    """Render household tables, and half as many scenes of plain solids."""
    yield from household_views(first, count)
    yield from plain_views(first, count // 4)


VIEWS = {"tabletop": plain_views, "household": household_views, "objects": mixed_views}
"""Views by the name of the checkpoint that was trained on them."""
