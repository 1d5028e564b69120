"""One pick in one random scene: the request, the arm's claim, and the truth."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.camera.base import Camera
from molmo_point.files import encode_png, write_file
from molmo_point.picking.pick import Picker
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.picking.states import PickFailure, PickResult
from molmo_point.plain_json import plain_json
from molmo_point.pointer import Pointer
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.arm.tables import random_arm_layout
from molmo_point.sim.arm.truth import ArmTruth
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.depth_faults import DepthFaults
from molmo_point.sim.tabletop.layout import Layout
from molmo_point.sim.tabletop.objects import signed_distance
from molmo_point.sim.unkind_faults import simulator_faults

_SEEN_PIXELS = 150
_ON_OBJECT_M = 0.015
_PUSHED_M = 0.02
MakePicker = Callable[[Pointer, SimulatedArm, Camera, Camera, np.random.Generator], Picker]
"""Makes the picker to measure, of a model, an arm, its fixed and its wrist camera, and the trial's random numbers."""


@dataclass(frozen=True, eq=False)
class PickTask:
    """Task of one pick.

    Attributes:
        pointer: The model to ask.
        layout: The table.
        meant: Number of the object to ask for; None draws one that has a unique name and is clearly visible.
    """

    pointer: Pointer
    layout: Layout
    meant: int | None = None


DrawTask = Callable[[Pointer, int, np.random.Generator, DepthFaults], PickTask]
"""Draws a task, for a model, a seed, the trial's random numbers, and the faults of depth cameras."""


@dataclass(frozen=True)
class PickTrial:
    """One pick.

    Attributes:
        seed: Seed of the scene.
        query: Words for the object.
        shape: Shape of the object meant.
        objects: Number of objects on the table.
        claimed: True if the arm claims success.
        failure: The arm's reason of the failure; None with a claim of success.
        message: The arm's message.
        lifted: True if the object meant, and no other, is in the air between the fingers.
        wrong_object: True if another object is in the air between the fingers.
        pointed_right: True if the final target lies on the object meant; False without a target.
        attempts: Number of attempts.
        dropped: True if an object fell after a lift.
        pushed: Number of other objects that moved more than 2 cm.
        collisions: Unwanted contacts, with their force.
        arm_s: Duration by the arm's clock, seconds: "total", and of each state.
        wall_s: Duration by the computer's clock, seconds: "total", and of each state.
        processor_s: Processor time of the pick with rendering and physics, seconds.
        events: The arm's events in words.
    """

    seed: int
    query: str
    shape: str
    objects: int
    claimed: bool
    failure: PickFailure | None
    message: str
    lifted: bool
    wrong_object: bool
    pointed_right: bool
    attempts: int
    dropped: bool
    pushed: int
    collisions: tuple[str, ...]
    arm_s: dict[str, float]
    wall_s: dict[str, float]
    processor_s: float
    events: tuple[str, ...] = ()

    @property
    def success(self) -> bool:
        """True if the object meant is lifted, and the arm claims it."""
        return self.claimed and self.lifted

    @property
    def problem(self) -> str:
        """Class of the failure, for tables; "" with success."""
        if self.success:
            return ""
        if self.wrong_object:
            return "another object lifted"
        return "claimed without truth" if self.failure is None else self.failure.value

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return plain_json({**vars(self), "success": self.success})


def default_picker(
    pointer: Pointer,
    arm: SimulatedArm,
    fixed_camera: Camera,
    wrist_camera: Camera,
    rng: np.random.Generator,
    settings: PickSettings | None = None,
) -> Picker:
    """The picker of the product."""
    del rng
    return Picker(pointer, arm, fixed_camera, wrist_camera, settings)


def solids_task(pointer: Pointer, seed: int, rng: np.random.Generator, faults: DepthFaults) -> PickTask:
    """Draw a table of colored solids."""
    del seed, faults
    return PickTask(pointer, random_arm_layout(rng))


def run_trial(
    pointer: Pointer,
    seed: int,
    make_picker: MakePicker = default_picker,
    failure_picture: Path | None = None,
    simulator: str = "kind",
    draw_task: DrawTask = solids_task,
) -> PickTrial:
    """Draw a scene, ask for one of its objects, and compare the outcome with the truth.

    Args:
        pointer: The model.
        seed: Seed of the scene, the request, and all noise.
        make_picker: Makes the picker to measure.
        failure_picture: File for a picture of the end of a pick that fails; None writes none.
        simulator: Depth camera, one of `SIMULATORS`.
        draw_task: Draws the table, and may teach the model.
    """
    faults = simulator_faults(simulator)
    rng = np.random.default_rng([seed, 9])
    task = draw_task(pointer, seed, rng, faults)
    with SimulatedArm(task.layout) as arm:
        meant = _choose(arm, rng) if task.meant is None else task.meant
        views = [arm.view(name) for name in ("fixed", "wrist")]
        fixed, wrist = (
            SimulatedCamera(view, seed=2 * seed + k, faults=faults, clock_ns=arm.now_ns) for k, view in enumerate(views)
        )
        picker = make_picker(task.pointer, arm, fixed, wrist, rng)
        truth = ArmTruth(arm)
        start = (time.perf_counter(), time.process_time())
        result = picker.pick(arm.layout.objects[meant].name)
        wall_s, processor_s = time.perf_counter() - start[0], time.process_time() - start[1]
        trial = _judged(seed, truth, meant, result, wall_s, processor_s)
        if failure_picture is not None and not trial.success:
            _save_picture(failure_picture, arm)
        return trial


def _choose(arm: SimulatedArm, rng: np.random.Generator) -> int:
    """An object with a unique name, clearly visible to the fixed camera."""
    names = [item.name for item in arm.layout.objects]
    geoms = arm.view("fixed").render_geoms()
    unique = [k for k, name in enumerate(names) if names.count(name) == 1]
    of_geom = [arm.model.geom(f"object_{k}_solid").id for k in range(len(names))]
    clear = [k for k in unique if np.count_nonzero(geoms == of_geom[k]) >= _SEEN_PIXELS]
    return int(rng.choice(clear or unique or list(range(len(names)))))


def _judged(seed: int, truth: ArmTruth, meant: int, result: PickResult, wall_s: float, processor_s: float) -> PickTrial:
    lifted = truth.lifted()
    item = truth.arm.layout.objects[meant]
    right = result.target is not None and signed_distance(item, result.target.position_m) < _ON_OBJECT_M
    others = np.delete(truth.moved_m(), [meant, *(lifted - {meant})])
    arm_s = {state.name: seconds for state, seconds in result.arm_s.items()}
    touches = truth.collisions(meant)
    return PickTrial(
        seed=seed,
        query=item.name,
        shape=item.shape,
        objects=len(truth.arm.layout.objects),
        claimed=result.success,
        failure=result.failure,
        message=result.message,
        lifted=lifted == {meant},
        wrong_object=bool(lifted - {meant}),
        pointed_right=bool(right),
        attempts=result.attempts,
        dropped=bool(truth.dropped),
        pushed=int(np.count_nonzero(others > _PUSHED_M)),
        collisions=tuple(f"{touch.part} and {touch.other}: {touch.force_n:.0f} N" for touch in touches),
        arm_s={"total": sum(arm_s.values()), **arm_s},
        wall_s={"total": wall_s, **{state.name: seconds for state, seconds in result.wall_s.items()}},
        processor_s=processor_s,
        events=tuple(f"{event.attempt} {event.state.name}: {event.message}" for event in result.events),
    )


def _save_picture(path: Path, arm: SimulatedArm) -> None:
    shots = [arm.view(name).render_color() for name in ("fixed", "wrist", "observer")]
    write_file(path, encode_png(np.concatenate(shots, axis=1), drawn=True))
