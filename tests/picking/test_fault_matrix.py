"""Every state of a pick and of placing, and every fault: nothing falls, nothing moves after a stop, every end has its name.

The tables, the arm, its physics and the model are the product's; only what fails is made to fail, at a seeded moment.
"""

import functools
import os

import numpy as np
import pytest

pytest.importorskip("tabletask")
pytest.importorskip("mink")
pytest.importorskip("ruckig")

from molmo_point import Pointer
from molmo_point.picking.states import PickState

from .fault_rig import Fault, Table, judge

# (seed of the table, number of the object to pick, of another object)
TABLES = ((1, 0, 1), (2, 0, 1), (3, 0, 1), (2, 1, 0))
PICK_STATES = tuple(state for state in PickState if state is not PickState.PLACE)
PLACE_PARTS = (0.02, 0.2, 0.4, 0.55, 0.7, 0.9)
FAULTS = tuple(fault for fault in Fault if fault is not Fault.NONE)


@functools.cache
def pointer():
    import torch

    torch.set_num_threads(1)
    return Pointer.from_pretrained("tabletop")


def name_of(table, number):
    return table.arm.layout.objects[number].name


def place_of(table, other, seed):
    """Where to place: beside another object, or in the zone for what is put aside."""
    return (name_of(table, other), "next to") if seed % 2 else ("", "aside")


@functools.cache
def durations_s(which):
    """Time of every state without a fault, by the arm's clock."""
    seed, wanted, other = TABLES[which]
    table = Table(pointer(), seed)
    picked = table.run(table.picker.pick, name_of(table, wanted))
    assert picked is not None and picked.success, picked
    placed = table.run(table.picker.place, *place_of(table, other, seed))
    assert placed is not None and placed.success, placed
    assert not table.violations and not judge(table, placed)
    table.close()
    return {**picked.arm_s, **placed.arm_s}


def run(which, fault, state, part):
    """One combination; everything that is wrong with it, and a line that tells it."""
    seed, wanted, other = TABLES[which]
    after_s = part * durations_s(which)[state]
    table = Table(pointer(), seed)
    try:
        if state is PickState.PLACE:
            picked = table.run(table.picker.pick, name_of(table, wanted))
            assert picked is not None and picked.success
            table.arrange(fault, state, after_s, wanted)
            result = table.run(table.picker.place, *place_of(table, other, seed))
        else:
            table.arrange(fault, state, after_s, wanted)
            result = table.run(table.picker.pick, name_of(table, wanted))
        wrong = judge(table, result)
        if not table.switch.on:
            wrong.append("the fault never began")
        if result is not None and fault in (Fault.STOP, Fault.CANCEL) and result.failure is None:
            # A stop in the last instant may find the command done.
            if table.arm.data.time - 0.6 > table.stopped_s + 0.35 and part < 0.9:
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


QUICK = {(Fault.STOP, PickState.APPROACH), (Fault.FROZEN, PickState.LIFT), (Fault.NAN_GRIPPER, PickState.GRASP)}


def cases():
    quick = set(QUICK)
    for which, fault, state, part in combinations():
        key = (fault, state)
        marks = () if key in quick else (pytest.mark.slow,)
        quick.discard(key)
        yield pytest.param(which, fault, state, part, marks=marks, id=f"{fault.value}-{state.name}-{part}-{which}".replace(" ", "_"))


@pytest.mark.parametrize(("which", "fault", "state", "part"), cases())
def test_no_fault_moves_drops_or_forgets(which, fault, state, part):
    wrong, told = run(which, fault, state, part)
    assert not wrong, f"{wrong} after {told}"


if __name__ == "__main__":
    import sys
    import time

    share, of = int(sys.argv[1]), int(sys.argv[2])
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    os.nice(3)
    for number, (which, fault, state, part) in enumerate(combinations()):
        if number % of != share or (only and only not in f"{fault.value} {state.name}"):
            continue
        began = time.process_time()
        wrong, told = run(which, fault, state, part)
        verdict = "FAIL" if wrong else "ok"
        print(f"{verdict} {number} {fault.value}/{state.name}/{part}/{which}: {told} {wrong or ''} ({time.process_time() - began:.1f} s)", flush=True)
