"""No motion on 200 foreign queries: the embedded model, the simulated arm, and the simulation's truth as the judge."""

import functools
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tabletask")
pytest.importorskip("mink")
pytest.importorskip("ruckig")
pytest.importorskip("torch")

import molmo_point
from molmo_point.commands.steps import Relation
from molmo_point.picking.pick import Picker
from molmo_point.picking.states import PickFailure
from molmo_point.pointer import Pointer
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.arm.tables import random_arm_layout
from molmo_point.sim.arm.truth import ArmTruth
from molmo_point.sim.camera import SimulatedCamera

from .foreign_words import COLORED, FOREIGN, LANGUAGES, NEGATIONS

CHECKPOINT = Path(molmo_point.__file__).parent / "checkpoints" / "tabletop" / "model.safetensors"
pytestmark = pytest.mark.skipif(not CHECKPOINT.is_file(), reason="the embedded checkpoint is not there")
TABLES, NAMED_TABLE = 10, 1
"""Number of tables, and a table whose first object the model names rightly."""
_STILL_RAD, _STILL_M = 0.003, 0.0005
SAMPLE = tuple(group.split(", ")[0] for group in (COLORED, LANGUAGES, NEGATIONS))


@functools.cache
def pointer():
    return Pointer.from_pretrained("tabletop")


class Watched:
    """A table with a picker, and everything that moves on it from `watch` on.

    Attributes:
        told: Number of physics steps in which a motor was told anything new.
        off_rad: Largest distance of a joint from where it stood.
        off_m: Largest distance of a finger or an object from where it stood, meters.
    """

    def __init__(self, seed):
        self.arm = SimulatedArm(random_arm_layout(np.random.default_rng([5000, seed]), 5))
        self.truth = ArmTruth(self.arm)
        views = [SimulatedCamera(self.arm.view(name), seed=seed, clock_ns=self.arm.now_ns) for name in ("fixed", "wrist")]
        self.picker = Picker(pointer(), self.arm, *views)
        self.before = None
        self.arm.after_every_step(self._look)

    def watch(self):
        self.arm.wait(0.3)
        self.told, self.off_rad, self.off_m = 0, 0.0, 0.0
        self.before = (self.arm.data.ctrl.copy(), self.arm.joint_positions(), self._places())

    def _places(self):
        return np.append(self.truth.positions_m().ravel(), self.arm.gripper_width())

    def _look(self):
        if self.before is None:
            return
        motors, joints, places = self.before
        self.told += not np.array_equal(self.arm.data.ctrl, motors)
        self.off_rad = max(self.off_rad, float(np.abs(self.arm.joint_positions() - joints).max()))
        self.off_m = max(self.off_m, float(np.abs(self._places() - places).max()))

    def stood_still(self):
        return self.told == 0 and self.off_rad < _STILL_RAD and self.off_m < _STILL_M


def untrusted_picks(table, queries):
    """Pick all of them; a line for each that does not end as untrusted."""
    wrong = []
    for query in queries:
        result = table.picker.pick(query)
        if result.failure is not PickFailure.UNTRUSTED or result.attempts != 1:
            wrong.append(f"{query!r}: {result.failure} {result.message}")
    return wrong


def test_a_sample_of_foreign_queries_moves_nothing():
    table = Watched(NAMED_TABLE)
    table.watch()
    assert untrusted_picks(table, SAMPLE) == []
    assert table.stood_still(), (table.told, table.off_rad, table.off_m)
    table.arm.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(TABLES))
def test_no_foreign_query_moves_anything(seed):
    table = Watched(seed)
    table.watch()
    assert untrusted_picks(table, FOREIGN[seed::TABLES]) == []
    assert table.stood_still(), (table.told, table.off_rad, table.off_m)
    table.arm.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_foreign_place_moves_what_the_gripper_holds_and_an_arm_in_the_view_moves_for_no_foreign_query():
    table = Watched(NAMED_TABLE)
    named = table.arm.layout.objects[0].name
    assert table.picker.pick(named).success
    table.watch()
    for number, query in enumerate(FOREIGN[::10]):
        placed = table.picker.place(query, (Relation.IN, Relation.ON, Relation.NEXT_TO)[number % 3])
        assert placed.failure is PickFailure.UNTRUSTED, placed.message
        assert table.picker.holding == placed.holding == named
    assert table.stood_still(), (table.told, table.off_rad, table.off_m)
    assert table.truth._held(0)
    assert table.picker.release().success
    table.watch()
    assert untrusted_picks(table, FOREIGN[5::10]) == []
    assert table.stood_still(), (table.told, table.off_rad, table.off_m)
    table.arm.close()


def test_the_list_has_200_queries():
    assert len(set(FOREIGN)) == 200
