"""One thing picked up and put into a container, in a random scene: what the arm says, and where it really is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from molmo_point.evaluation.intervals import share
from molmo_point.picking.pick import Picker
from molmo_point.pointer import Pointer
from molmo_point.sim.arm.containers import CONTAINER_PREFIX, CONTAINERS
from molmo_point.sim.arm.contents import contents
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.arm.tables import random_arm_layout
from molmo_point.sim.arm.truth import ArmTruth
from molmo_point.sim.camera import SimulatedCamera

FIRST_SEED = 970_000
OBJECTS, VIEWS = 4, ("fixed", "wrist")
_RESTED_S = 1.0


@dataclass(frozen=True)
class PlaceTrial:
    """One pick and one placing.

    Attributes:
        seed: Of the scene and of all noise.
        container: Its kind, which was asked for by this word.
        thing: What was asked for.
        lifted: That thing, and no other, was lifted.
        sought: What was pointed at was measured as hollow, and only the container is.
        inside: What was lifted lies in the container in the end.
        claimed: The arm says so.
        seen: It says that the fixed camera sees it there.
        failure: As the arm classified it; "" when it claims success.
        message: In the arm's words.
        touch_n: The hardest that the arm touched the container, newtons.
        pushed_m: How far the container was pushed.
        simulated_s: That the placing took.
        events: What the arm said.
    """

    seed: int
    container: str
    thing: str
    lifted: bool
    sought: bool
    inside: bool
    claimed: bool
    seen: bool
    failure: str
    message: str
    touch_n: float
    pushed_m: float
    simulated_s: float
    events: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)


def run_place_trial(pointer: Pointer, seed: int) -> PlaceTrial:
    """Draws a table with one container, and asks for one of its things to be put into it.

    Args:
        pointer: The model.
        seed: Of the scene; the kinds of containers take turns.
    """
    rng = np.random.default_rng([seed, 31])
    kind = CONTAINERS[seed % len(CONTAINERS)]
    layout = random_arm_layout(rng, OBJECTS, (kind,))
    names = [item.name for item in layout.objects]
    meant = next((number for number, name in enumerate(names) if names.count(name) == 1), 0)
    with SimulatedArm(layout) as arm:
        fixed, wrist = (SimulatedCamera(arm.view(name), seed=2 * seed + k, clock_ns=arm.now_ns) for k, name in enumerate(VIEWS))
        truth, picker = ArmTruth(arm), Picker(pointer, arm, fixed, wrist)
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
            thing=names[meant],
            lifted=lifted == {meant},
            sought=placed is not None and any("is hollow" in event.message for event in placed.events),
            inside=bool(lifted) and lifted <= contents(arm),
            claimed=placed is not None and placed.success,
            seen=placed is not None and "sees it there" in placed.message,
            failure="" if last.failure is None else last.failure.value,
            message=last.message,
            touch_n=max(touches, default=0.0),
            pushed_m=float(np.linalg.norm(body.xpos[:2] - layout.containers[0].position_base_m[:2])),
            simulated_s=0.0 if placed is None else placed.simulated_s,
            events=tuple(f"{event.state.name}: {event.message}" for event in (placed or picked).events),
        )


def place_summary(trials: Sequence[PlaceTrial]) -> dict[str, Any]:
    """Shares with 95 % intervals: of everything, given the right thing was lifted, and given the container was found."""
    lifted = [trial for trial in trials if trial.lifted]
    found = [trial for trial in trials if trial.sought]
    return {
        "trials": len(trials),
        "right thing lifted": share([trial.lifted for trial in trials]),
        "right thing inside": share([trial.lifted and trial.inside for trial in trials]),
        "container found, given it was lifted": share([trial.sought for trial in lifted]),
        "inside, given a container found": share([trial.inside for trial in found]),
        "of these refused, because it does not fit": sum(trial.failure == "NO_GRASP" for trial in found),
        "of these lost on the way": sum(trial.failure == "SLIPPED" for trial in found),
        "claimed inside, and is": share([trial.inside for trial in trials if trial.claimed]),
        "seen there, of those inside": share([trial.seen for trial in trials if trial.inside]),
        "container touched with more than 1 N": sum(trial.touch_n > 1.0 for trial in trials),
        "container pushed by more than 5 mm": sum(trial.pushed_m > 0.005 for trial in trials),
        "median simulated s": float(np.median([trial.simulated_s for trial in trials if trial.claimed] or [np.nan])),
        "by container": {
            kind: share([trial.inside for trial in found if trial.container == kind])
            for kind in CONTAINERS
            if any(trial.container == kind for trial in found)
        },
    }
