"""The simulated arm as a rig: a random table, two depth cameras, and a model that looks through them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from molmo_point_ros.arms.arm_session import Rig
from molmo_point_ros.nodes.pick_parameters import PickSettings
from molmo_point_ros.outputs.arm_publisher import ArmPublisher

CAMERAS = {"fixed": "fixed_camera", "wrist": "wrist_camera"}
"""Name of each camera of the arm and of its topics."""


def open_simulated_rig(
    settings: PickSettings,
    publisher: ArmPublisher,
    load_pointer: Callable[..., Any],
    recorder_for: Callable[..., Any] | None = None,
) -> Rig:
    """The simulated arm at the table of the seed; to be called in the thread that will move it.

    Args:
        settings: The parameters.
        publisher: Told at every tick.
        load_pointer: As `Pointer.from_pretrained`.
        recorder_for: Makes a `GoalVideo` of the arm and its list of what is called at ticks; None records nothing.

    Raises:
        MolmoPointError: If the model cannot be loaded, something that the simulation needs is not installed, or there is no
            such container.
    """
    from molmo_point.geometry.depth_noise import D435
    from molmo_point.picking.pick import Picker
    from molmo_point.sim.arm.containers import kinds_in
    from molmo_point.sim.arm.simulated_arm import SimulatedArm
    from molmo_point.sim.arm.tables import random_arm_layout
    from molmo_point.sim.camera import SimulatedCamera

    containers = kinds_in(settings.containers)
    pointer = load_pointer(settings.model, device=settings.device or None, quantization=settings.quantization or None)
    layout = random_arm_layout(np.random.default_rng(settings.scene_seed), settings.object_count or None, containers)
    ticked: list[Callable[[Any], None]] = [publisher.tick]

    def tick(arm: SimulatedArm) -> None:
        for each in ticked:
            each(arm)

    arm = SimulatedArm(
        layout,
        settings.width,
        settings.height,
        on_tick=tick,
        pace=settings.pace or None,
    )
    noise = D435 if settings.depth_noise else None
    seed = settings.scene_seed
    fixed = SimulatedCamera(arm.view("fixed"), noise, seed, clock_ns=arm.now_ns)
    wrist = SimulatedCamera(arm.view("wrist"), noise, seed + 1, clock_ns=arm.now_ns)
    recorder = None if recorder_for is None else recorder_for(arm, ticked)
    seen = {
        topic: SimulatedCamera(arm.view(name), noise, seed + 2 + place, clock_ns=publisher.now_ns)
        for place, (name, topic) in enumerate(CAMERAS.items())
    }
    publisher.add_cameras(seen, {topic: arm.view(name).frame for name, topic in CAMERAS.items()})
    picker = Picker(pointer if recorder is None else recorder.watch(pointer), arm, fixed, wrist)
    return Rig(arm, picker, arm.close, idles_in_wait=settings.pace > 0, recorder=recorder)
