"""The embedded read-out on a rendered table: names, counts, absence, and words that it leaves to the model below."""

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("torch")

from molmo_point.backend import Limits, Prompt
from molmo_point.evaluation.tabletop import nameable
from molmo_point.pointer import Pointer
from molmo_point.request import Kind
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.tabletop.scene import TabletopScene


@pytest.fixture(scope="module")
def pointer() -> Pointer:
    return Pointer.from_pretrained("objects")


@pytest.fixture(scope="module")
def table() -> Iterator[tuple]:
    with TabletopScene.random(28) as scene, SimulatedCamera(scene, seed=28) as camera:
        yield camera.read(), scene.render_masks(), scene, scene.visible_objects()


def test_points_lie_on_the_named_objects(pointer: Pointer, table: tuple) -> None:
    frame, masks, scene, seen = table
    asked = nameable(seen)
    hits = []
    for each in asked:
        best = pointer.point(frame, each.item.name, max_points=1).points[0]
        hits.append(masks[round(best.v), round(best.u)] == scene.objects.index(each.item))
    assert len(hits) >= 3 and np.mean(hits) >= 0.75


def test_the_name_of_the_layer_is_in_the_answer(pointer: Pointer, table: tuple) -> None:
    frame = table[0]
    assert pointer.point(frame, "the cube").model == "objects"
    assert pointer.point(frame, "the cube left of the ball").model == "household"


def test_counts_state_as_many_as_they_point_at(pointer: Pointer, table: tuple) -> None:
    count = pointer.count(table[0], "cubes")
    assert count.consistent and count.count == len(count.points) and count.model == "objects"


def test_an_empty_picture_shows_nothing(pointer: Pointer) -> None:
    gray = np.full((480, 640, 3), 128, np.uint8)
    answer = pointer.point(gray, "the banana")
    assert answer.absent and not answer.points and answer.denial_probability > 0.9


def test_prompts_of_both_layers_may_come_together(pointer: Pointer, table: tuple) -> None:
    prompts = [Prompt("Point to cube", Kind.POINT, "cube"), Prompt("Point to cube left of ball", Kind.POINT, "cube left of ball")]
    ends = [growth for growth in pointer.backend.answers(table[0].color, prompts, Limits(64)) if growth.finished]
    assert sorted(growth.prompt for growth in ends) == [0, 1]
