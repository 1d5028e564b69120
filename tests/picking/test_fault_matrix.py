"""Every state of a pick and of placing, and every fault: nothing falls, nothing moves after a stop, every end has its name.

The tables, the arm, its physics and the model are the product's; only what fails is made to fail, at a seeded moment.
"""

import functools

import numpy as np
import pytest

pytest.importorskip("tabletask")
pytest.importorskip("mink")
pytest.importorskip("ruckig")

from molmo_point import Pointer
from molmo_point.picking.states import PickState

from .fault_rig import STANDS_AFTER_S, Fault, Table, judge

# (seed of the table, number of the object to pick, of another object)
TABLES = ((1, 0, 1), (2, 0, 1), (3, 0, 1), (2, 1, 0))
PICK_STATES = tuple(state for state in PickState if state is not PickState.PLACE)
PLACE_PARTS = (0.02, 0.2, 0.4, 0.55, 0.7, 0.9)
TIMES_S = {
    PickState.POINTING: 0.35,
    PickState.PLANNING: 0.0,
    PickState.APPROACH: 3.7,
    PickState.VERIFY_POINT: 0.15,
    PickState.GRASP: 1.15,
    PickState.LIFT: 1.15,
    PickState.PLACE: 7.5,
}
"""Duration of every state on the quickest of these tables, by the arm's clock."""
FAULTS = tuple(fault for fault in Fault if fault is not Fault.NONE)


@functools.cache
def pointer():
    import torch

    torch.set_num_threads(1)
    return Pointer.from_pretrained("tabletop")


def name_of(table, number):
    return table.arm.layout.objects[number].name


def place_of(table, other, seed):
    """Return a place and a relation: next to another object, or the zone for objects put aside."""
    return (name_of(table, other), "next to") if seed % 2 else ("", "aside")


def run(which, fault, state, part):
    """One combination; everything that is wrong with it, and a line that tells it."""
    seed, wanted, other = TABLES[which]
    begins, after_s = state, part * TIMES_S.get(state, 0.0)
    if state is PickState.VERIFY_LIFT:
        # This state takes no time of the arm's: the fault begins before it, as the lift ends. Fingers need 0.1 s to close.
        begins, after_s = PickState.LIFT, (0.75 + 0.15 * part) * TIMES_S[PickState.LIFT]
    table = Table(pointer(), seed)
    try:
        if state is PickState.PLACE:
            picked = table.run(table.picker.pick, name_of(table, wanted))
            assert picked is not None and picked.success
            table.arrange(fault, begins, after_s, wanted)
            result = table.run(table.picker.place, *place_of(table, other, seed))
        else:
            table.arrange(fault, begins, after_s, wanted)
            result = table.run(table.picker.pick, name_of(table, wanted))
        wrong = judge(table, result)
        if not table.switch.on:
            wrong.append("the fault never began")
        asked_to_end = fault in (Fault.STOP, Fault.CANCEL) and table.arm.data.time - 0.6 > table.stopped_s + STANDS_AFTER_S
        if asked_to_end and result is not None and result.failure is None:
            wrong.append("a stop was not heeded")
        line = f"{result.failure.value if result and result.failure else 'success'}: {result and result.message}"
        told = f"{line} | holding {table.picker.holding!r}, in hand {table.in_hand()}"
        table.mend()
        wrong += [f"afterwards: {each}" for each in go_on(table, wanted, other)]
        return wrong, told
    finally:
        table.close()


def go_on(table, wanted, other):
    """The next commands: put down what is held, pick another object."""
    wrong, table.violations = [], []
    if table.picker.holding:
        placed = table.run(table.picker.place, "", "aside")
        wrong += judge(table, placed)
        if placed is not None and table.picker.holding:
            wrong.append(f"cannot put it down: {placed.failure} {placed.message}")
            return wrong
    table.violations = []
    picked = table.run(table.picker.pick, name_of(table, other))
    wrong += judge(table, picked)
    if picked is not None and not picked.success:
        wrong.append(f"the next pick fails: {picked.failure} {picked.message}")
    return wrong


def combinations():
    """All combinations, each at a moment of its own."""
    moments = np.random.default_rng(17)
    for number, fault in enumerate(FAULTS):
        for state in PICK_STATES:
            for again in range(2):
                yield (number + again) % len(TABLES), fault, state, round(float(moments.uniform(0.0, 1.0)), 3)
        for step, part in enumerate(PLACE_PARTS):
            yield (number + step) % len(TABLES), fault, PickState.PLACE, part


QUICK = {(Fault.STOP, PickState.APPROACH), (Fault.FROZEN, PickState.LIFT)}


def cases():
    """All combinations, those of `QUICK` once without the mark of slow tests."""
    quick, listed = set(QUICK), []
    for which, fault, state, part in combinations():
        key = (fault, state)
        marks = () if key in quick else (pytest.mark.slow,)
        quick.discard(key)
        name = f"{fault.value}-{state.name}-{part}-{which}".replace(" ", "_")
        listed.append(pytest.param(which, fault, state, part, marks=marks, id=name))
    return listed


@pytest.mark.parametrize(("which", "fault", "state", "part"), cases())
def test_no_fault_moves_drops_or_forgets(which, fault, state, part):
    wrong, told = run(which, fault, state, part)
    assert not wrong, f"{wrong} after {told}"
