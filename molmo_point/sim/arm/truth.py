"""What really happens around the simulated arm: for judging it, never for moving it."""

from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.sim.arm.containers import CONTAINER_PREFIX
from molmo_point.sim.arm.physics_model import ARM
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.mujoco_import import import_mujoco
from molmo_point.sim.tabletop.mjcf import OBJECT_PREFIX

_EVERY = 5
_PADS = ("left_pad", "right_pad", "left_follower", "right_follower")
_RISEN_M, _FALLEN_M = 0.03, 0.05


@dataclass
class Touch:
    """The hardest contact between a part of the arm and something else.

    Attributes:
        part: Of the arm.
        other: "table", the number of an object as text, or "container_0" and so on.
        force_n: Largest force, newtons.
        time_s: When, simulated seconds.
    """

    part: str
    other: str
    force_n: float
    time_s: float


class ArmTruth:
    """Watches an arm from when it is made.

    Args:
        arm: To watch.

    Attributes:
        touches: Of the arm with the table and with objects, by (part, other).
        highest_m: (n,) highest place of each object's middle so far.
        dropped: Numbers of objects that fell after they had been lifted.
    """

    def __init__(self, arm: SimulatedArm) -> None:
        self._arm, self._mujoco = arm, import_mujoco()
        self._bodies = [arm.model.body(f"{OBJECT_PREFIX}{k}").id for k in range(len(arm.layout.objects))]
        self._owner = {body: str(number) for number, body in enumerate(self._bodies)}
        hollow = [f"{CONTAINER_PREFIX}{k}" for k in range(len(arm.layout.containers))]
        self._owner |= {arm.model.body(name).id: name for name in hollow}
        self._start = self.positions_m()
        self.touches: dict[tuple[str, str], Touch] = {}
        self.highest_m = self._start[:, 2].copy()
        self.dropped: set[int] = set()
        self._count = 0
        arm.after_every_step(self._watch)

    def positions_m(self) -> FloatArray:
        """(n, 3) middles of the objects, base frame."""
        return self._arm.data.xpos[self._bodies].copy()

    def moved_m(self) -> FloatArray:
        """(n,) how far each object is from where it stood."""
        return np.linalg.norm(self.positions_m() - self._start, axis=1)

    def lifted(self, least_m: float = 0.06) -> set[int]:
        """Numbers of the objects that are off the table and between the fingers now."""
        high = self.positions_m()[:, 2] - self._start[:, 2] > least_m
        between = {number for number in range(len(self._bodies)) if self._held(number)}
        return {number for number in np.flatnonzero(high).tolist() if number in between}

    def _held(self, number: int) -> bool:
        sides = set()
        model, data = self._arm.model, self._arm.data
        for contact in data.contact[: data.ncon]:
            bodies = model.geom_bodyid[contact.geom]
            if self._bodies[number] in bodies:
                names = [model.body(body).name for body in bodies]
                sides |= {side for side in ("left", "right") for name in names if name.startswith(f"{ARM}{side}")}
        return len(sides) == 2

    def _watch(self) -> None:
        self._count += 1
        if self._count % _EVERY:
            return
        heights = self._arm.data.xpos[self._bodies, 2]
        self.highest_m = np.maximum(self.highest_m, heights)
        risen = self.highest_m - self._start[:, 2] > _RISEN_M
        fallen = risen & (self.highest_m - heights > _FALLEN_M)
        for number in np.flatnonzero(fallen):
            if not self._held(int(number)):
                self.dropped.add(int(number))
        self._touch()

    def _touch(self) -> None:
        model, data = self._arm.model, self._arm.data
        force = np.zeros(6)
        for index in range(data.ncon):
            geoms = data.contact.geom[index]
            bodies = model.geom_bodyid[geoms]
            names = [model.body(body).name for body in bodies]
            ours = [name.startswith(ARM) for name in names]
            if ours[0] == ours[1]:
                continue
            other = 1 if ours[0] else 0
            what = self._owner.get(int(bodies[other]), "table")
            self._mujoco.mj_contactForce(model, data, index, force)
            part = names[1 - other].removeprefix(ARM)
            key, strength = (part, what), float(np.linalg.norm(force[:3]))
            if key not in self.touches or strength > self.touches[key].force_n:
                self.touches[key] = Touch(part, what, strength, float(data.time))

    def collisions(self, target: int, least_n: float = 1.0) -> list[Touch]:
        """Contacts that should not be: with the table, with other objects, or of the target with more than the fingers."""
        return [
            touch
            for touch in self.touches.values()
            if touch.force_n >= least_n and (touch.other != str(target) or touch.part not in _PADS)
        ]
