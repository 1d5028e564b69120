"""One object picked and placed in a container in a random scene: the arm's claim, and the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.evaluation.intervals import share
from molmo_point.picking.pick import Picker
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.picking.states import PickFailure
from molmo_point.pointer import Pointer
from molmo_point.sim.arm.containers import CONTAINER_PREFIX, CONTAINERS
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.arm.tables import random_arm_layout
from molmo_point.sim.arm.truth import ArmTruth, contents
from molmo_point.sim.camera import SimulatedCamera

FIRST_SEED = 970_000
OBJECTS, VIEWS = 4, ("fixed", "wrist")
_RESTED_S = 1.0


@dataclass(frozen=True)
class PlaceTrial:
    """One pick and one placing.

    Attributes:
        seed: Seed of the scene and of all noise.
        container: Kind of the container, and the word for it.
        query: Words for the object.
        lifted: True if the object meant, and no other, was lifted.
        found: True if the place was measured as a container; only the container is one.
        inside: True if the lifted object lies in the container at the end.
        claimed: True if the arm claims it.
        seen: True if the fixed camera sees it there, as the arm reports.
        failure: The arm's reason of the failure; None with a claim of success.
        message: The arm's message.
        touch_n: Largest force of the arm on the container, newtons.
        pushed_m: Distance of the container from its first position, meters.
        arm_s: Duration of placing by the arm's clock, seconds.
        events: The arm's events in words.
    """

    seed: int
    container: str
    query: str
    lifted: bool
    found: bool
    inside: bool
    claimed: bool
    seen: bool
    failure: PickFailure | None
    message: str
    touch_n: float
    pushed_m: float
    arm_s: float
    events: tuple[str, ...] = ()


def run_place_trial(pointer: Pointer, seed: int, settings: PickSettings | None = None) -> PlaceTrial:
    """Draw a table with one container, whose kinds take turns, and ask for one of its objects to be placed in it."""
    rng = np.random.default_rng([seed, 31])
    kind = CONTAINERS[seed % len(CONTAINERS)]
    layout = random_arm_layout(rng, OBJECTS, (kind,))
    names = [item.name for item in layout.objects]
    meant = next((number for number, name in enumerate(names) if names.count(name) == 1), 0)
    with SimulatedArm(layout) as arm:
        fixed, wrist = (SimulatedCamera(arm.view(name), seed=2 * seed + k, clock_ns=arm.now_ns) for k, name in enumerate(VIEWS))
        truth, picker = ArmTruth(arm), Picker(pointer, arm, fixed, wrist, settings)
        picked = picker.pick(names[meant])
        lifted = truth.lifted()
        placed = picker.place(f"the {kind}", "in") if picked.success else None
        arm.wait(_RESTED_S)
        body = arm.data.body(f"{CONTAINER_PREFIX}0")
        last = placed or picked
        touches = [touch.force_n for touch in truth.touches.values() if touch.other.startswith(CONTAINER_PREFIX)]
        return PlaceTrial(
            seed=seed,
            container=kind,
            query=names[meant],
            lifted=lifted == {meant},
            found=placed is not None and placed.found_container,
            inside=bool(lifted) and lifted <= contents(arm),
            claimed=placed is not None and placed.success,
            seen=placed is not None and placed.seen is True,
            failure=last.failure,
            message=last.message,
            touch_n=max(touches, default=0.0),
            pushed_m=float(np.linalg.norm(body.xpos[:2] - layout.containers[0].position_base_m[:2])),
            arm_s=0.0 if placed is None else sum(placed.arm_s.values()),
            events=tuple(f"{event.state.name}: {event.message}" for event in (placed or picked).events),
        )


def place_summary(trials: Sequence[PlaceTrial]) -> dict[str, Any]:
    """Summarize trials with 95 % intervals: of all, given the right object lifted, and given the container found."""
    lifted = [trial for trial in trials if trial.lifted]
    found = [trial for trial in trials if trial.found]
    return {
        "trials": len(trials),
        "right object lifted": share([trial.lifted for trial in trials]),
        "right object inside": share([trial.lifted and trial.inside for trial in trials]),
        "container found, given it was lifted": share([trial.found for trial in lifted]),
        "inside, given a container found": share([trial.inside for trial in found]),
        "of these refused, because it does not fit": sum(trial.failure is PickFailure.NO_GRASP for trial in found),
        "of these lost on the way": sum(trial.failure is PickFailure.SLIPPED for trial in found),
        "claimed inside, and is": share([trial.inside for trial in trials if trial.claimed]),
        "seen there, of those inside": share([trial.seen for trial in trials if trial.inside]),
        "container touched with more than 1 N": sum(trial.touch_n > 1.0 for trial in trials),
        "container pushed by more than 5 mm": sum(trial.pushed_m > 0.005 for trial in trials),
        "median arm s": float(np.median([trial.arm_s for trial in trials if trial.claimed] or [np.nan])),
        "by container": {
            kind: share([trial.inside for trial in found if trial.container == kind])
            for kind in CONTAINERS
            if any(trial.container == kind for trial in found)
        },
    }
